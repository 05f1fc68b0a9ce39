//! What holds for every problem of every world.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tercet_problems::context::Style;
use tercet_problems::gold::Mode;
use tercet_problems::parse;
use tercet_problems::render;
use tercet_problems::spec::{Forms, Sentences, Variables};
use tercet_problems::stream::Stream;
use tercet_problems::{Cell, Context, Contexts, Generator, Problem, Split, SplitRule, World};

prop_compose! {
    fn worlds()(
        d in 2..=3u8,
        max_value in prop_oneof![12..60i64, 60..2000i64],
        modulus in prop_oneof![3 => Just(None), 1 => (10..100i64).prop_map(Some)],
        places in 1..=5u8,
        kinds in 1..=5u8,
        distractors in 0.0..4.0,
        max_operands in 1..=5u8,
        literal_max in 1..9i64,
        forms in (0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0),
        query_total in 0.0..=1.0,
        variables in prop_oneof![Just(Variables::Random), Just(Variables::Ordered), Just(Variables::Names)],
        sentences in prop_oneof![Just(Sentences::Random), Just(Sentences::Solution)],
        style in prop_oneof![Just(None), Just(Some(Style::Prose)), Just(Some(Style::Terse))],
    ) -> World {
        let forms = Forms { number: forms.0, literal: forms.1, times: forms.2, difference: forms.3 };
        World {
            d, max_value, modulus, places: (1, places), kinds: (1, kinds), distractors, max_operands,
            literals: (1, literal_max), forms, query_total, variables, sentences, style, preset: None,
        }
    }
}

fn cells() -> impl Strategy<Value = Cell> {
    let contexts: Vec<String> = Contexts::builtin().names().map(str::to_owned).collect();
    let mode = prop_oneof![Just(Mode::Forward), Just(Mode::Reverse)];
    (1..=40u32, prop::sample::select(contexts), mode).prop_map(|(op, context, mode)| Cell {
        op,
        context,
        mode,
    })
}

/// Every number that a forward solution mentions: literals, operands, intermediate results and values.
fn numbers(text: &str) -> impl Iterator<Item = i64> + '_ {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok())
}

fn check_graph(world: &World, cell: &Cell, problem: &Problem) {
    let bounds = world.modulus.map_or(1..=world.max_value, |m| 0..=m - 1);
    let graph = &problem.graph;
    let path = graph.path_nodes().len();
    assert_eq!(problem.stats().op, cell.op);
    assert_eq!(graph.mode(), cell.mode);
    let mut needed = BTreeSet::from([graph.last()]);
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        assert!(node.operands.iter().all(|operand| operand < i), "not acyclic");
        assert!(bounds.contains(&node.value), "{} is out of bounds", node.value);
        if needed.contains(&i) {
            needed.extend(node.operands.iter());
        }
        if node.quantity.is_stated() {
            assert!(node.operands.len() <= usize::from(world.max_operands));
        }
    }
    assert_eq!(needed, (0..path).collect(), "the path is what the answer needs, and nothing else");
    if cell.mode == Mode::Forward {
        let within = |n| bounds.contains(&n);
        assert!(
            numbers(&problem.solution).all(within) && !problem.solution.contains("= -"),
            "{}",
            problem.solution
        );
    }
}

fn check_text(contexts: &Contexts, problem: &Problem) {
    let context = contexts.get(&problem.cell.context).unwrap();
    let parsed = parse::parse(&problem.problem, &problem.question, Some(&problem.solution), context).unwrap();
    assert_eq!((parsed.left_out, parsed.repeated), (0, 0));
    let texts = render::texts(&parsed.graph, &parsed.layout, context).unwrap();
    let again = (texts.problem.as_str(), texts.question.as_str(), texts.solution.as_str());
    assert_eq!(again, (problem.problem.as_str(), problem.question.as_str(), problem.solution.as_str()));
    let hash = parsed.graph.structure_hash();
    assert_eq!(hash, problem.structure_hash());
    // Read without its solution, the text gives the same structure.
    let parsed = parse::parse(&problem.problem, &problem.question, None, context).unwrap();
    assert_eq!(parsed.graph.structure_hash(), hash);
    assert_eq!(parsed.graph.answer(), problem.answer);
    for text in [problem.prompt(), problem.response()] {
        assert!(!text.contains("  "), "{text}");
    }
}

fn check_kin(contexts: &Contexts, world: &World, problem: &Problem) {
    let record = problem.record();
    let json = serde_json::to_string(&record).unwrap();
    let record = serde_json::from_str(&json).unwrap();
    assert_eq!(&Problem::from_record(&record).unwrap(), problem);
    for context in contexts.iter() {
        let told = problem.render_in(context);
        assert_eq!(told.structure_hash(), problem.structure_hash());
        assert_eq!((told.answer, told.stats()), (problem.answer, problem.stats()));
        assert_eq!(&told.render_in(contexts.get(&problem.cell.context).unwrap()).graph, &problem.graph);
    }
    let context = contexts.get(&problem.cell.context).unwrap();
    assert_eq!(&problem.render_in(context), problem);
    if let Some(other) = problem.renumber(world, context, &Stream::root(1)) {
        assert_eq!(other.shape_hash(), problem.shape_hash());
        assert_eq!(other.stats().op, problem.stats().op);
        let bounds = world.modulus.map_or(1..=world.max_value, |m| 0..=m - 1);
        assert!(other.graph.nodes.iter().all(|n| bounds.contains(&n.value)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn problems_are_what_they_claim(world in worlds(), cell in cells(), seed: u64, i: u64) {
        let contexts = Contexts::builtin();
        let generator = Generator::new(&world, &contexts, seed, None).unwrap();
        if let Ok(sequence) = generator.sequence(&cell) {
            let problem = sequence.problem(i);
            check_graph(&world, &cell, &problem);
            check_text(&contexts, &problem);
            check_kin(&contexts, &world, &problem);
            // Nothing but (world, seed, cell, i) matters: not what was drawn before.
            let fresh = Generator::new(&world, &contexts, seed, None).unwrap().sequence(&cell).unwrap();
            let _ = fresh.problem(i.wrapping_add(1));
            prop_assert_eq!(fresh.problem(i), problem);
        }
    }
}

/// Every op from 1 to 40 can be had in every context, mode and d of the default world, and up to 12 in a tiny one.
#[test]
fn every_cell_is_reachable() {
    let contexts = Contexts::builtin();
    let tiny = World {
        max_value: 20,
        places: (1, 3),
        kinds: (1, 4),
        max_operands: 3,
        distractors: 0.0,
        ..World::default()
    };
    for (world, op_max) in [(World::default(), 40), (World { d: 3, ..World::default() }, 40), (tiny, 12)] {
        let generator = Generator::new(&world, &contexts, 3, None).unwrap();
        for context in contexts.names() {
            for mode in [Mode::Forward, Mode::Reverse] {
                for op in if mode == Mode::Forward { 1 } else { 2 }..=op_max {
                    let cell = Cell { op, context: context.to_owned(), mode };
                    assert!(generator.sequence(&cell).is_ok(), "{cell}");
                }
            }
        }
    }
}

/// The same bytes, whoever asks and in whatever order.
#[test]
fn threads_do_not_matter() {
    let generator = Generator::new(&World::default(), &Contexts::builtin(), 9, None).unwrap();
    let cell = Cell { op: 9, context: "school".into(), mode: Mode::Reverse };
    let sequence = generator.sequence(&cell).unwrap();
    let one: Vec<Problem> = (0..400).map(|i| sequence.problem(i)).collect();
    let many = std::thread::scope(|scope| {
        let sequence = &sequence;
        let part = |t: u64| {
            scope.spawn(move || {
                let mut numbers: Vec<u64> = (0..400).filter(|i| i % 7 == t).collect();
                numbers.reverse();
                numbers.into_iter().map(|i| sequence.problem(i)).collect::<Vec<_>>()
            })
        };
        let parts: Vec<_> = (0..7).map(part).collect();
        let mut all: Vec<Problem> = parts.into_iter().flat_map(|part| part.join().unwrap()).collect();
        all.sort_by_key(|problem| problem.index);
        all
    });
    assert_eq!(one, many);
}

/// Splits share nothing that decides them, across worlds, seeds and contexts.
#[test]
fn splits_are_disjoint() {
    let contexts = Contexts::builtin();
    let tiny = World { max_value: 20, places: (1, 3), kinds: (1, 4), max_operands: 3, ..World::default() };
    let mut audit = tercet_problems::audit::Audit::default();
    for (seed, world) in [(1, World::default()), (2, tiny)] {
        for split in Split::ALL {
            let generator =
                Generator::new(&world, &contexts, seed, Some((split, SplitRule::Structure))).unwrap();
            for context in ["zoo", "terse"] {
                for mode in [Mode::Forward, Mode::Reverse] {
                    for op in 2..=8 {
                        let cell = Cell { op, context: context.to_owned(), mode };
                        let sequence = generator.sequence(&cell).unwrap();
                        (0..40).for_each(|i| audit.add(split.name(), &sequence.problem(i)));
                    }
                }
            }
        }
    }
    let report = audit.report();
    assert!(report.rules.iter().all(|rule| rule.shared == 0), "{report}");
    // The check can fail: op 5 is split by instance, and shares structures.
    assert!(report.overlaps.iter().any(|o| o.structures > 0), "{report}");
}

#[test]
fn the_text_rule_splits_by_text() {
    let contexts = Contexts::builtin();
    let cell = Cell { op: 6, context: "zoo".into(), mode: Mode::Forward };
    for split in Split::ALL {
        let generator =
            Generator::new(&World::default(), &contexts, 1, Some((split, SplitRule::Text))).unwrap();
        let sequence = generator.sequence(&cell).unwrap();
        for i in 0..20 {
            assert_eq!(Split::of(&sequence.problem(i).text_hash()), split);
        }
    }
}

#[test]
fn impossible_wishes_are_refused_with_a_reason() {
    let contexts = Contexts::builtin();
    let check = |world: World, op, context: &str, mode, expected: &str| {
        let generator = Generator::new(&world, &contexts, 1, None);
        let error = generator
            .and_then(|g| g.sequence(&Cell { op, context: context.into(), mode }))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    };
    let tiny = World { places: (1, 1), kinds: (1, 1), ..World::default() };
    check(World::default(), 0, "zoo", Mode::Forward, "op must be from 1 to 50");
    check(World::default(), 1, "zoo", Mode::Reverse, "op must be from 2 to 50");
    check(World::default(), 4, "sea", Mode::Forward, "there is no context `sea`; known are zoo, school");
    check(tiny, 9, "zoo", Mode::Forward, "1 places of 1 kinds with 4 operands each do not make such a graph");
    check(
        World { max_value: 2, ..World::default() },
        30,
        "zoo",
        Mode::Forward,
        "4000 draws gave none with values up to 2",
    );
    check(World { d: 4, ..World::default() }, 3, "zoo", Mode::Forward, "d is 4, but must be 2 or 3");
    check(
        World { places: (3, 9), ..World::default() },
        3,
        "zoo",
        Mode::Forward,
        "places is (3, 9), but must be a range",
    );
    let wheel = World { modulus: Some(7), ..World::default() };
    check(wheel.clone(), 4, "zoo", Mode::Reverse, "may have several solutions");
    check(
        World { literals: (1, 8), ..wheel },
        4,
        "zoo",
        Mode::Forward,
        "literals is (1, 8), but must be below",
    );
    check(World { distractors: f64::NAN, ..World::default() }, 3, "zoo", Mode::Forward, "distractors is NaN");
}

#[test]
fn records_that_contradict_themselves_are_refused() {
    let generator = Generator::new(&World::default(), &Contexts::builtin(), 1, None).unwrap();
    let cell = Cell { op: 8, context: "zoo".into(), mode: Mode::Reverse };
    let problem = generator.sequence(&cell).unwrap().problem(0);
    let check = |change: &dyn Fn(&mut tercet_problems::Record), expected: &str| {
        let mut record = problem.record();
        change(&mut record);
        let error = Problem::from_record(&record).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|r| r.answer += 1, "`answer` contradicts");
    check(&|r| r.op += 1, "`op` contradicts");
    check(&|r| r.mode = "normalforward".into(), "`mode` contradicts");
    check(&|r| r.problem.push('!'), "`text_hash` contradicts");
    check(&|r| r.graph.nodes[1].value += 1, "has another value than its rule gives");
    check(&|r| r.graph.path = 200, "does not exist");
    check(&|r| r.graph.unknown = Some(77), "cannot be the unknown");
    check(&|r| r.names.truncate(1), "`names` contradicts");
    check(&|r| r.graph.nodes.reverse(), "node 0");
    check(&|r| r.layout.places.truncate(1), "`layout` contradicts");
    check(&|r| r.layout.letters.truncate(1), "`layout` contradicts");
}

#[test]
fn sentences_can_stand_in_the_order_of_the_solution() {
    let contexts = Contexts::builtin();
    let sentences_in_turn = |sentences| {
        let world = World { sentences, distractors: 3.0, ..World::default() };
        let generator = Generator::new(&world, &contexts, 7, None).unwrap();
        let cell = Cell { op: 9, context: "terse".to_owned(), mode: Mode::Forward };
        let sequence = generator.sequence(&cell).unwrap();
        (0..50).all(|i| {
            let problem = sequence.problem(i);
            let gold = problem.gold();
            let stated = gold.nodes.iter().filter(|node| !node.name.starts_with("total"));
            let at = stated.map(|node| {
                let sentences = problem.problem.split(';').map(str::trim);
                sentences.clone().position(|sentence| sentence.starts_with(&format!("{} =", node.name)))
            });
            at.collect::<Option<Vec<usize>>>().is_some_and(|at| at.is_sorted())
        })
    };
    assert!(sentences_in_turn(Sentences::Solution));
    assert!(!sentences_in_turn(Sentences::Random));
}

/// A context of one's own, told as the `zoo` is but for its names.
fn own_context(reference_name: &str) -> Context {
    let zoo = include_str!("../../contexts/zoo.toml");
    let text = zoo.replace("name = \"zoo\"", "name = \"own\"");
    let text = text.replace("reference_name = \"crazy_zootopia\"", reference_name);
    Context::from_toml(&text).unwrap()
}

/// Records name a context as the reference does, whoever wrote the context.
#[test]
fn a_reference_name_reaches_the_records() {
    let check = |context: Context, expected: &str| {
        let mut contexts = Contexts::builtin();
        let name = context.name.clone();
        if contexts.get(&name).is_none() {
            contexts.add(context).unwrap();
        }
        let generator = Generator::new(&World::default(), &contexts, 1, None).unwrap();
        let cell = Cell { op: 4, context: name, mode: Mode::Forward };
        let problem = generator.sequence(&cell).unwrap().problem(0);
        assert_eq!(problem.record().template, expected);
        let again = Problem::from_record(&problem.record()).unwrap();
        assert_eq!(again.record().template, expected);
        assert_eq!(problem.render_in(contexts.get("zoo").unwrap()).record().template, "crazy_zootopia");
        // The reference's name finds the context, and the problem is the same.
        let cell = Cell { context: expected.to_owned(), ..cell };
        assert_eq!(generator.sequence(&cell).unwrap().problem(0), problem);
    };
    check(own_context("reference_name = \"somebody_elses_zoo\""), "somebody_elses_zoo");
    check(own_context(""), "own");
    for context in Contexts::builtin().iter() {
        let expected = context.reference_name.as_ref().unwrap_or(&context.name).clone();
        check(context.clone(), &expected);
    }
}

//! Problems pinned to the byte: a change of the random stream, of the distribution or of the text is a decision,
//! made by accepting the new snapshots (`INSTA_UPDATE=always cargo test -p tercet-problems golden`).

use std::fmt::Write as _;

use tercet_problems::gold::Mode;
use tercet_problems::spec::{Preset, Variables};
use tercet_problems::{Cell, Contexts, Generator, Split, SplitRule, World};

fn golden(world: &World, split: Option<Split>, cells: &[(u32, &str, Mode)]) -> String {
    let split = split.map(|split| (split, SplitRule::Structure));
    let generator = Generator::new(world, &Contexts::builtin(), 2026, split).unwrap();
    let mut text = String::new();
    for &(op, context, mode) in cells {
        let problem = generator.sequence(&Cell { op, context: context.to_owned(), mode }).unwrap().problem(3);
        writeln!(text, "{} {}\n{}\n{}\n", problem.cell, problem.id, problem.prompt(), problem.response())
            .unwrap();
    }
    text
}

#[test]
fn prose() {
    let cells = [(1, "zoo", Mode::Forward), (5, "school", Mode::Forward), (9, "festival", Mode::Reverse)];
    insta::assert_snapshot!(golden(&World::default(), None, &cells));
}

#[test]
fn hard() {
    let world = World { d: 3, ..World::default() };
    insta::assert_snapshot!(golden(
        &world,
        None,
        &[(8, "library", Mode::Forward), (12, "zoo", Mode::Reverse)]
    ));
}

#[test]
fn terse() {
    let world = World {
        max_value: 20,
        places: (1, 3),
        kinds: (1, 4),
        max_operands: 3,
        distractors: 0.25,
        ..World::default()
    };
    let cells = [(3, "terse", Mode::Forward), (6, "terse", Mode::Forward), (7, "terse", Mode::Reverse)];
    insta::assert_snapshot!(golden(&world, Some(Split::Test), &cells));
    let names = World { variables: Variables::Names, ..world };
    insta::assert_snapshot!(golden(&names, Some(Split::Rl), &cells));
}

#[test]
fn reference_preset() {
    let world = World { preset: Some(Preset::Reference), ..World::default() };
    insta::assert_snapshot!(golden(
        &world,
        None,
        &[(4, "zoo", Mode::Forward), (14, "school", Mode::Reverse)]
    ));
}

/// The record of a problem, as it stands in a file.
#[test]
fn record() {
    let generator = Generator::new(&World::default(), &Contexts::builtin(), 2026, None).unwrap();
    let cell = Cell { op: 3, context: "terse".to_owned(), mode: Mode::Forward };
    let problem = generator.sequence(&cell).unwrap().problem(0);
    insta::assert_json_snapshot!(problem.record());
}

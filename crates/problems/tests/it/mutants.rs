//! The judge against generated solutions, harmlessly different ones, and wrong ones.

use tercet_problems::context::Style;
use tercet_problems::gold::Mode;
use tercet_problems::mutate::{Harmless, Material, Wrong};
use tercet_problems::spec::Variables;
use tercet_problems::stream::{Draws, Stream};
use tercet_problems::verify::{Policy, explain, verify};
use tercet_problems::{Cell, Contexts, Generator, Problem, World};

/// A few problems of every op in every world that changes how solutions are written.
fn for_each_problem(mut check: impl FnMut(&Problem, &mut Draws)) {
    let contexts = Contexts::builtin();
    let root = Stream::root(20_26).fork("mutants");
    let variables = [Variables::Random, Variables::Ordered, Variables::Names];
    for (d, variables) in [2, 3].into_iter().flat_map(|d| variables.map(|v| (d, v))) {
        for style in [Style::Prose, Style::Terse] {
            let world = World { d, variables, style: Some(style), ..World::default() };
            let generator = Generator::new(&world, &contexts, 3, None).expect("a world");
            let cells = ["zoo", "school", "festival", "terse"].into_iter().flat_map(|context| {
                let modes = [Mode::Forward, Mode::Reverse];
                modes.into_iter().flat_map(move |mode| {
                    (2..=20).step_by(3).map(move |op| Cell { op, context: context.into(), mode })
                })
            });
            for sequence in cells.filter_map(|cell| generator.sequence(&cell).ok()) {
                let problem = sequence.problem(u64::from(sequence.cell().op));
                check(&problem, &mut root.fork(&problem.id).draws());
            }
        }
    }
}

#[test]
fn gold_is_right_under_every_policy() {
    let mut problems = 0;
    for_each_problem(|problem, _| {
        for response in [problem.response(), problem.solution.clone()] {
            for policy in Policy::ALL {
                let verdict = verify(&problem.gold(), &response, policy);
                assert!(
                    verdict.verified && verdict.first_fault.is_none(),
                    "{}",
                    explain(&response, &verdict)
                );
                assert_eq!((verdict.process_acc, verdict.extra), (1.0, 0));
                assert_eq!(verdict.well_formed, response.contains("</answer>"));
                assert!(!verdict.truncated);
            }
        }
        problems += 1;
    });
    assert!(problems > 500, "{problems}");
}

#[test]
fn harmless_changes_are_right() {
    let mut counts = [0; Harmless::ALL.len()];
    for_each_problem(|problem, draws| {
        let (gold, response) = (problem.gold(), problem.response());
        let material = Material::new(&response);
        for kind in Harmless::ALL {
            let Some(changed) = kind.apply(&material, draws) else { continue };
            let verdict = verify(&gold, &changed, Policy::Strict);
            assert!(verdict.verified, "{}: {response}\n{}", kind.name(), explain(&changed, &verdict));
            counts[kind as usize] += 1;
        }
    });
    for kind in Harmless::ALL {
        assert!(counts[kind as usize] > 50, "{} happened {} times", kind.name(), counts[kind as usize]);
    }
}

#[test]
fn mutants_are_wrong() {
    let mut counts = [0; Wrong::ALL.len()];
    for_each_problem(|problem, draws| {
        let (gold, response) = (problem.gold(), problem.response());
        let material = Material::new(&response);
        for kind in Wrong::ALL {
            let Some(changed) = kind.apply(&material, draws) else { continue };
            for policy in Policy::ALL.into_iter().filter(|&p| kind.is_wrong_under(p)) {
                let verdict = verify(&gold, &changed, policy);
                assert!(!verdict.verified, "{}: {response}\n{}", kind.name(), explain(&changed, &verdict));
                assert!(verdict.first_fault.is_some(), "{}", explain(&changed, &verdict));
            }
            counts[kind as usize] += 1;
        }
    });
    for kind in Wrong::ALL {
        assert!(counts[kind as usize] > 50, "{} happened {} times", kind.name(), counts[kind as usize]);
    }
}

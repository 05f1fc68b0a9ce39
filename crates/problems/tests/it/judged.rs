//! The generator and the judge know nothing of each other; here they meet.

use tercet_problems::context::Style;
use tercet_problems::gold::Mode;
use tercet_problems::spec::Variables;
use tercet_problems::verify::{Policy, verify};
use tercet_problems::{Cell, Contexts, Generator, World};

/// Every gold response is right in every respect, in every style and under every policy.
#[test]
fn gold_responses_are_judged_right() {
    let contexts = Contexts::builtin();
    for d in [2, 3] {
        for variables in [Variables::Random, Variables::Ordered, Variables::Names] {
            for style in [Style::Prose, Style::Terse] {
                let world = World { d, variables, style: Some(style), ..World::default() };
                let generator = Generator::new(&world, &contexts, 5, None).unwrap();
                for context in contexts.names() {
                    for mode in [Mode::Forward, Mode::Reverse] {
                        for op in 2..=24 {
                            let cell = Cell { op, context: context.to_owned(), mode };
                            let problem = generator.sequence(&cell).unwrap().problem(0);
                            let (gold, response) = (problem.gold(), problem.response());
                            for policy in [Policy::Paper, Policy::Reference, Policy::Strict] {
                                let verdict = verify(&gold, &response, policy);
                                assert!(
                                    verdict.verified
                                        && verdict.arithmetic_sound
                                        && verdict.first_fault.is_none(),
                                    "{policy:?} {variables:?}\n{}\n{response}\n{verdict:?}",
                                    problem.prompt()
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

//! Rewards of generated problems.

use tercet_problems::gold::Mode;
use tercet_problems::reward::ending_credit;
use tercet_problems::verify::{EQUATION, Policy, verify};
use tercet_problems::{Cell, Contexts, Generator, World};

#[test]
fn the_ending_of_a_reverse_solution_is_correct_after_its_equation() {
    let world = World { distractors: 0.0, ..World::default() };
    let generator = Generator::new(&world, &Contexts::builtin(), 3, None).expect("a world");
    let cell = Cell { op: 4, context: "zoo".to_owned(), mode: Mode::Reverse };
    let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
    let ending = |response: &str| {
        let verdict = verify(&problem.gold(), response, Policy::Paper);
        assert_eq!(verdict.missing(), 0);
        ending_credit(&verdict, response, Mode::Reverse).1
    };
    let whole = problem.response();
    assert!(ending(&whole));
    let verdict = verify(&problem.gold(), &whole, Policy::Paper);
    let equation = verdict.steps.iter().find(|step| step.name == EQUATION).expect("an equation");
    assert!(!ending(&format!("{}{}", &whole[..equation.range.start], &whole[equation.range.end..])));
}

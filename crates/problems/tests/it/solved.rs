//! An independent solver reads the text alone and agrees with the stored answer.

use tercet_problems::context::Style;
use tercet_problems::gold::Mode;
use tercet_problems::verify::{Policy, verify};
use tercet_problems::{Cell, Contexts, Generator, World};

use crate::solver;

#[test]
fn text_determines_the_answer_in_every_cell() {
    let contexts = Contexts::builtin();
    let mut solved = 0;
    for d in [2, 3] {
        for style in [Style::Prose, Style::Terse] {
            let generator =
                Generator::new(&World { d, style: Some(style), ..World::default() }, &contexts, 11, None)
                    .unwrap();
            for context in contexts.names() {
                for mode in [Mode::Forward, Mode::Reverse] {
                    for op in if mode == Mode::Forward { 1 } else { 2 }..=40 {
                        let cell = Cell { op, context: context.to_owned(), mode };
                        let sequence = generator.sequence(&cell).unwrap();
                        for i in 0..4 {
                            let p = sequence.problem(i);
                            let answer = solver::solve(&p.problem, &p.question);
                            assert_eq!(
                                answer,
                                Ok(i128::from(p.answer)),
                                "{cell}\n{}\n{}",
                                p.prompt(),
                                p.solution
                            );
                            solved += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(solved, 2 * 2 * contexts.names().count() * (40 + 39) * 4);
}

/// With a modulus the text says so, and values are remainders.
#[test]
fn a_modulus_is_part_of_the_text() {
    let contexts = Contexts::builtin();
    let mut zeros = 0;
    for (d, modulus) in [(2, 5), (3, 23)] {
        let world = World { d, modulus: Some(modulus), ..World::default() };
        let generator = Generator::new(&world, &contexts, 1, None).unwrap();
        for context in ["zoo", "terse"] {
            for op in 1..=40 {
                let cell = Cell { op, context: context.to_owned(), mode: Mode::Forward };
                let sequence = generator.sequence(&cell).unwrap();
                for i in 0..10 {
                    let p = sequence.problem(i);
                    assert_eq!(
                        solver::solve(&p.problem, &p.question),
                        Ok(i128::from(p.answer)),
                        "{}",
                        p.prompt()
                    );
                    assert!((0..modulus).contains(&p.answer));
                    let verdict = verify(&p.gold(), &p.response(), Policy::Strict);
                    assert!(verdict.verified && verdict.first_fault.is_none(), "{}", p.response());
                    zeros += usize::from(p.answer == 0);
                }
            }
        }
    }
    assert!(zeros > 50, "remainders of 0 occur: {zeros}");
}

/// A solver that finds an answer to everything proves nothing.
#[test]
fn the_solver_refuses_what_text_does_not_determine() {
    let check = |problem: &str, question: &str, expected: Result<i128, &str>| match (
        solver::solve(problem, question),
        expected,
    ) {
        (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
        (answer, expected) => assert_eq!(answer, expected.map_err(str::to_owned)),
    };
    check("crow zoo =3; owl zoo =2 * crow zoo;", "total zoo?", Ok(9));
    check("crow zoo =3; owl zoo =2 * fox zoo;", "total zoo?", Err("nowhere stated"));
    check("crow zoo =3 + owl zoo; owl zoo =2 * crow zoo;", "total zoo?", Err("depends on itself"));
    check("crow zoo =3;", "total farm?", Err("nothing is in"));
    check("crow zoo =?; owl zoo =2 * crow zoo; total zoo =9;", "crow zoo?", Ok(3));
    check("crow zoo =?; owl zoo =2 * crow zoo; total zoo =8;", "crow zoo?", Err("does not determine"));
    check("modulo7; crow zoo =3; owl zoo =2 * crow zoo;", "total zoo?", Ok(2));
    check("crow zoo =?; owl zoo =2;", "crow zoo?", Err("without a given value"));
    check("crow zoo =?; crow zoo =?; total zoo =8;", "crow zoo?", Err("stated twice"));
}

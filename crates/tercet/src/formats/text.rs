//! The text that models are trained on.

use problems::Problem;

pub(super) fn problem(problem: &Problem) -> String {
    problem.prompt() + &problem.response() + "\n"
}

//! A page to print for a class: numbered problems with room to work, and the solutions on pages of their own.

use problems::Problem;
use report::chart::escape;

use super::Part;

pub(super) fn head(part: Part) -> &'static str {
    match part {
        Part::Problems => include_str!("worksheet.html"),
        Part::Solutions => "<section class=\"solutions\">\n<h1>Solutions</h1>\n",
    }
}

pub(super) fn foot(part: Part) -> &'static str {
    match part {
        Part::Problems => "</section>\n",
        Part::Solutions => "</section>\n</body>\n</html>\n",
    }
}

pub(super) fn problem(part: Part, number: u64, problem: &Problem) -> String {
    let (text, question) = (escape(problem.problem.trim()), escape(problem.question.trim()));
    let number = format!("<span class=\"number\">{number}.</span>");
    match part {
        Part::Problems => format!(
            "<article>\n<p>{number} {text}</p>\n<p>{question}</p>\n<div class=\"room\"></div>\n\
             <p class=\"answer\">Answer:</p>\n</article>\n"
        ),
        Part::Solutions => {
            let steps = escape(problem.steps().trim());
            let answer = problem.answer;
            format!("<article>\n<p>{number} {steps}</p>\n<p>Answer: <b>{answer}</b></p>\n</article>\n")
        }
    }
}

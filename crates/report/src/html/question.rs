//! A recipe's opening comment as a question and notes.

use runs::records::Manifest;
use serde::Serialize;

/// The first sentence asks; the rest explains. Commands are left out: the provenance holds the one that made the run.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Question<'a> {
    first: String,
    rest: Vec<&'a str>,
}

impl<'a> Question<'a> {
    pub(crate) fn of(manifest: &'a Manifest) -> Self {
        Self::of_text(&manifest.question)
    }

    fn of_text(text: &'a str) -> Self {
        let first = text.lines().next().unwrap_or_default();
        let rest = text.get(first.len()..).unwrap_or_default();
        let rest = rest.split("\n\n").map(str::trim).filter(|p| !p.is_empty() && !is_command(p)).collect();
        Self { first: first.trim().to_owned(), rest }
    }
}

/// Whether every line of a paragraph is for a shell.
fn is_command(paragraph: &str) -> bool {
    let starts = ["cargo ", "tercet ", "$ ", "./", "nice "];
    paragraph.lines().all(|line| starts.iter().any(|start| line.trim_start().starts_with(start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_notes_and_no_commands() {
        let text =
            "Does it?\nIt is small.\n\ncargo run --release -- run r.toml\ntercet report r\n\nTwo cores.";
        let question = Question { first: "Does it?".into(), rest: vec!["It is small.", "Two cores."] };
        assert_eq!(Question::of_text(text), question);
    }
}

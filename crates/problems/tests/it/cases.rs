//! Faults that were found in use, each with the responses or contexts that showed it.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tercet_problems::context::Style;
use tercet_problems::gold::Mode;
use tercet_problems::spec::Variables;
use tercet_problems::verify::{Policy, explain, verify};
use tercet_problems::{Cell, Context, Contexts, Generator, Problem, Record, World};
use unicode_normalization::UnicodeNormalization as _;

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cases").join(case)
}

fn read(case: &str, file: &str) -> String {
    fs::read_to_string(folder(case).join(file)).expect("the case is part of the repository")
}

/// A response, and the first fault that `strict` should find in it.
#[derive(Deserialize)]
struct Response {
    text: String,
    fault: Option<String>,
}

/// Judges the responses of a case under `strict`: verified are exactly those without a fault.
#[track_caller]
fn check(case: &str) {
    let record: Record = serde_json::from_str(&read(case, "problem.jsonl")).expect("a record");
    let gold = Problem::from_record(&record).expect("a problem").gold();
    for line in read(case, "responses.jsonl").lines() {
        let Response { text, fault } = serde_json::from_str(line).expect("a response");
        let verdict = verify(&gold, &text, Policy::Strict);
        let found = verdict.first_fault.as_ref().map(|(kind, _)| kind.name());
        assert_eq!(
            (verdict.verified, found),
            (fault.is_none(), fault.as_deref()),
            "{}",
            explain(&text, &verdict)
        );
    }
}

#[test]
fn signs_of_any_script_are_no_remarks() {
    check("strict-skips-other-operators");
}

#[test]
fn answer_lines_that_differ_conflict_wherever_they_stand() {
    check("several-answer-lines");
}

#[test]
fn a_step_gives_its_quantity_one_value() {
    check("one-step-two-values");
}

/// The contexts of a case, and a word of the error that each should be refused with.
#[track_caller]
fn refused(case: &str, expected: &[(&str, &str)]) {
    for (file, word) in expected {
        let error = Context::from_toml(&read(case, file)).expect_err(file).to_string();
        assert!(error.contains(word), "{file}: {error}");
    }
}

#[test]
fn contexts_that_the_judge_cannot_read_are_refused() {
    refused(
        "context-names-with-grammar",
        &[
            ("amp.toml", "R&D owl"),
            ("answer.toml", "Answer"),
            ("as.toml", "AS house"),
            ("define.toml", "Define Hall"),
            ("t-rex.toml", "T-rex"),
            ("we-know.toml", "we know"),
        ],
    );
}

/// Names are the same whether their accents are composed or not, and whichever blanks they have.
#[test]
fn names_are_compared_folded() {
    let case = "context-names-decomposed";
    refused(case, &[("same.toml", "two quantities are called")]);
    for file in ["decomposed.toml", "nbsp.toml"] {
        let context = Context::from_toml(&read(case, file)).expect("names that differ");
        let (mut contexts, name) = (Contexts::builtin(), context.name.clone());
        contexts.add(context).expect("a name of its own");
        for (variables, mode) in
            [Variables::Random, Variables::Names].into_iter().flat_map(|v| Mode::ALL.map(|mode| (v, mode)))
        {
            for style in [Style::Prose, Style::Terse] {
                let world = World { variables, style: Some(style), ..World::default() };
                let generator = Generator::new(&world, &contexts, 1, None).expect("a world");
                let sequence =
                    generator.sequence(&Cell { op: 6, context: name.clone(), mode }).expect("a cell");
                for problem in (0..20).map(|i| sequence.problem(i)) {
                    let (gold, response) = (problem.gold(), problem.response());
                    let composed: String = response.nfc().collect::<String>().replace('\u{a0}', " ");
                    for text in [response, composed] {
                        let verdict = verify(&gold, &text, Policy::Strict);
                        assert!(verdict.verified, "{}", explain(&text, &verdict));
                    }
                }
            }
        }
    }
}

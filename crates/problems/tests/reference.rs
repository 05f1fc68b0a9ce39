//! The reference generator's own problems: the parser recovers their graphs and finds the ill-posed ones.
//!
//! The data are not part of a clone; where they are absent these tests say so and pass.
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

#[path = "published/rows.rs"]
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use tercet_problems::Contexts;
use tercet_problems::compare::{FORMS, METRICS, compare_reference};
use tercet_problems::graph::{Act, Join, Node, Rule};
use tercet_problems::parse::{ParseError, Parser};

use rows::text;

fn data(name: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/reference").join(name);
    let rows = rows::rows(&path);
    if rows.is_none() {
        println!("skipped: {} is absent", path.display());
    }
    rows
}

/// Name, parents, joining sign, literal with its sign, and value of a node, as the reference's graph file has them.
type Row = (String, BTreeSet<String>, Option<&'static str>, Option<(&'static str, i64)>, i64);

fn theirs(node: &Value) -> Row {
    let parents: BTreeSet<String> =
        node["deps"].as_array().unwrap().iter().map(|d| d.as_str().unwrap().to_owned()).collect();
    let sign = |field: &str| match node[field].as_str() {
        Some("+") => Some("+"),
        Some("-") => Some("-"),
        Some("*") => Some("*"),
        _ => None,
    };
    let value = node["value"].as_i64().unwrap();
    let literal = node["rngv"].as_i64().and_then(|c| Some((sign("rngnot")?, c)));
    let parents = parents.into_iter().filter(|p| p != "RNG").collect();
    (text(node, "name").to_owned(), parents, sign("notation"), literal, value)
}

fn ours(node: &Node, name: &str, names: &[String]) -> Row {
    let parents: BTreeSet<String> = node.operands.iter().map(|i| names[i].clone()).collect();
    let (join, literal) = match node.rule {
        Rule::Joined(join, literal) => (Some(join), literal),
        _ => (None, None),
    };
    let join = match (join, parents.len()) {
        (Some(Join::Sum), 2) => Some("+"),
        (Some(Join::Difference), 2) => Some("-"),
        _ => None,
    };
    let literal = literal.map(|(act, c)| (if act == Act::Plus { "+" } else { "*" }, c));
    (name.to_owned(), parents, join, literal, node.value)
}

#[test]
fn graphs_of_all_forward_problems_are_recovered() {
    let (Some(problems), Some(graphs)) = (data("problems.jsonl.gz"), data("graphs.jsonl.gz")) else { return };
    let contexts = Contexts::builtin();
    let mut forward = 0;
    for (problem, graph) in problems.iter().zip(&graphs) {
        if text(problem, "mode") != "normalforward" {
            continue;
        }
        let context = contexts.get(text(problem, "template")).unwrap();
        let parsed = Parser::new(context)
            .parse(text(problem, "problem"), text(problem, "question"), Some(text(problem, "solution")))
            .unwrap_or_else(|e| panic!("{e}: {problem}"));
        let names: Vec<String> = tercet_problems::render::names(&parsed.graph, &parsed.layout, context);
        let mine: Vec<Row> = parsed
            .graph
            .path_nodes()
            .iter()
            .zip(&names)
            .map(|(node, name)| ours(node, name, &names))
            .collect();
        let true_graph: Vec<Row> = graph["topo"].as_array().unwrap().iter().map(theirs).collect();
        assert_eq!(mine, true_graph, "{problem}");
        assert_eq!(parsed.graph.op() as u64, problem["op"].as_u64().unwrap());
        forward += 1;
    }
    assert_eq!(forward, 2336, "all forward problems of the data");
}

#[test]
fn ill_posed_reverse_problems_are_recognised_and_no_others() {
    let (Some(problems), Some(graphs)) = (data("problems.jsonl.gz"), data("graphs.jsonl.gz")) else { return };
    let Some(bad) = data("illposed.jsonl") else { return };
    let bad: BTreeMap<&str, &str> = bad.iter().map(|row| (text(row, "sha"), text(row, "why"))).collect();
    let contexts = Contexts::builtin();
    let mut found = BTreeSet::new();
    for (problem, graph) in problems.iter().zip(&graphs) {
        let context = contexts.get(text(problem, "template")).unwrap();
        let parsed = Parser::new(context).parse(text(problem, "problem"), text(problem, "question"), None);
        let gold = text(problem, "solution").rsplit_once("Answer: ").unwrap().1.trim_end_matches('.');
        let right = match parsed {
            Ok(parsed) => parsed.graph.answer().to_string() == gold,
            Err(ParseError::IllPosed(_)) => false,
            Err(error) => panic!("{error}: {problem}"),
        };
        let sha = text(graph, "sha");
        assert_eq!(right, !bad.contains_key(sha), "{:?} {problem}", bad.get(sha));
        if !right {
            found.insert(sha);
        }
    }
    assert_eq!(found.len(), bad.len());
}

/// Where the reference's reverse problems are well posed, its sentences give back its graph too.
#[test]
fn graphs_of_well_posed_reverse_problems_are_recovered() {
    let (Some(problems), Some(graphs)) = (data("problems.jsonl.gz"), data("graphs.jsonl.gz")) else { return };
    let contexts = Contexts::builtin();
    let mut same = 0;
    for (problem, graph) in problems.iter().zip(&graphs).filter(|(p, _)| text(p, "mode") == "forwardreverse")
    {
        let context = contexts.get(text(problem, "template")).unwrap();
        let (problem_text, question) = (text(problem, "problem"), text(problem, "question"));
        let Ok(parsed) = Parser::new(context).parse(problem_text, question, Some(text(problem, "solution")))
        else {
            continue;
        };
        let names = tercet_problems::render::names(&parsed.graph, &parsed.layout, context);
        let mine: Vec<Row> = parsed
            .graph
            .path_nodes()
            .iter()
            .zip(&names)
            .map(|(node, name)| ours(node, name, &names))
            .collect();
        let true_graph: Vec<Row> = graph["topo"].as_array().unwrap().iter().map(theirs).collect();
        same += usize::from(mine == true_graph);
    }
    assert!(same >= 1880, "{same}");
}

/// Text → graph → text is the identity on the reference's problems: our renderer writes its format to the letter.
#[test]
fn reference_texts_are_reproduced_to_the_letter() {
    let Some(problems) = data("problems.jsonl.gz") else { return };
    let contexts = Contexts::builtin();
    let (mut same, mut left_out, mut dropped) = (0, 0, 0);
    for problem in &problems {
        let context = contexts.get(text(problem, "template")).unwrap();
        let fields = [text(problem, "problem"), text(problem, "question"), text(problem, "solution")];
        match Parser::new(context).parse(fields[0], fields[1], Some(fields[2])) {
            // Sentences in a circle, and sentences that the reference dropped, cannot come back.
            Ok(parsed) if parsed.left_out > 0 => left_out += 1,
            Ok(parsed) if parsed.repeated == 0 => {
                let texts = tercet_problems::render::texts(&parsed.graph, &parsed.layout, context).unwrap();
                assert_eq!([texts.problem.as_str(), &texts.question, &texts.solution], fields);
                same += 1;
            }
            _ => dropped += 1,
        }
    }
    println!("{same} the same, {left_out} with circular distractors, {dropped} with dropped sentences");
    assert!(same > 3900, "{same}");
}

/// The `reference` preset draws from counts of these very problems, so what it plans (sizes, forms) is theirs but for
/// chance, and what follows from it (depth) nearly so.
#[test]
fn the_preset_is_distributed_as_the_reference() {
    let Some(problems) = data("problems.jsonl.gz") else { return };
    let records = problems.into_iter().map(|row| serde_json::from_value(row).unwrap());
    let comparison = compare_reference(records, &Contexts::builtin(), 1, 2).unwrap();
    let column = |name| METRICS.iter().position(|&metric| metric == name).unwrap();
    for (cell, differences) in comparison.differences() {
        for (metric, percent) in [("nodes", 2.0), ("depth", 5.0), ("solution chars", 2.0)] {
            let (difference, _) = differences[column(metric)];
            assert!(difference.abs() < percent, "{cell:?} {metric}: {difference:+.1} %");
        }
    }
    for (cell, points) in comparison.form_differences() {
        for (form, points) in FORMS.iter().zip(points) {
            assert!(points.abs() < 5.0, "{cell:?} {form}: {points:+.1} points");
        }
    }
}

//! The reference generator's own problems: the parser recovers their graphs and finds the ill-posed ones.
#![expect(clippy::print_stdout, reason = "how many texts come back is worth a line")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tercet_problems::Contexts;
use tercet_problems::compare::{FORMS, METRICS, compare_reference};
use tercet_problems::graph::{Act, Join, Node, Rule};
use tercet_problems::parse::{ParseError, Parsed, Parser};
use tercet_problems::{Context, render};

use crate::data::Data;
use crate::published::text;

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

/// The path of a text's graph, as the reference's graph file has it.
fn path(parsed: &Parsed, context: &Context) -> Vec<Row> {
    let names = render::names(&parsed.graph, &parsed.layout, context);
    let nodes = parsed.graph.path_nodes().iter().zip(&names);
    nodes.map(|(node, name)| ours(node, name, &names)).collect()
}

/// The path of a row of the reference's graph file.
fn true_path(graph: &Value) -> Vec<Row> {
    graph["topo"].as_array().unwrap().iter().map(theirs).collect()
}

#[test]
fn graphs_of_all_forward_problems_are_recovered() {
    let contexts = Contexts::builtin();
    for data in Data::at_hand() {
        let mut forward = 0;
        for (problem, graph) in data.problems.iter().zip(&data.graphs) {
            if text(problem, "mode") != "normalforward" {
                continue;
            }
            let context = contexts.get(text(problem, "template")).unwrap();
            let parsed = Parser::new(context)
                .parse(text(problem, "problem"), text(problem, "question"), Some(text(problem, "solution")))
                .unwrap_or_else(|e| panic!("{e}: {problem}"));
            assert_eq!(path(&parsed, context), true_path(graph), "{problem}");
            assert_eq!(u64::from(parsed.graph.op()), problem["op"].as_u64().unwrap());
            forward += 1;
        }
        assert_eq!(forward, data.expected(74, 2336), "all forward problems of the data");
    }
}

#[test]
fn ill_posed_reverse_problems_are_recognised_and_no_others() {
    let contexts = Contexts::builtin();
    for data in Data::at_hand() {
        let bad: BTreeMap<&str, &str> =
            data.ill_posed.iter().map(|row| (text(row, "sha"), text(row, "why"))).collect();
        let mut found = BTreeSet::new();
        for (problem, graph) in data.problems.iter().zip(&data.graphs) {
            let context = contexts.get(text(problem, "template")).unwrap();
            let parsed =
                Parser::new(context).parse(text(problem, "problem"), text(problem, "question"), None);
            let gold = text(problem, "solution").rsplit_once("Answer: ").unwrap().1.trim_end_matches('.');
            let correct = match parsed {
                Ok(parsed) => parsed.graph.answer().to_string() == gold,
                Err(ParseError::IllPosed(_)) => false,
                Err(error) => panic!("{error}: {problem}"),
            };
            let sha = text(graph, "sha");
            assert_eq!(correct, !bad.contains_key(sha), "{:?} {problem}", bad.get(sha));
            if !correct {
                found.insert(sha);
            }
        }
        assert_eq!(found.len(), bad.len());
        assert_eq!(bad.len(), data.expected(8, 394));
    }
}

/// Where the reference's reverse problems are well posed, its sentences give back its graph too.
#[test]
fn graphs_of_well_posed_reverse_problems_are_recovered() {
    let contexts = Contexts::builtin();
    for data in Data::at_hand() {
        let mut same = 0;
        for (problem, graph) in data.problems.iter().zip(&data.graphs) {
            if text(problem, "mode") != "forwardreverse" {
                continue;
            }
            let context = contexts.get(text(problem, "template")).unwrap();
            let (problem_text, question) = (text(problem, "problem"), text(problem, "question"));
            let parsed = Parser::new(context).parse(problem_text, question, Some(text(problem, "solution")));
            same += usize::from(parsed.is_ok_and(|parsed| path(&parsed, context) == true_path(graph)));
        }
        assert!(same >= data.expected(1, 1880), "{same}");
    }
}

/// Text → graph → text is the identity on the reference's problems: our renderer writes its format to the letter.
#[test]
fn reference_texts_are_reproduced_to_the_letter() {
    let contexts = Contexts::builtin();
    for data in Data::at_hand() {
        let (mut same, mut left_out, mut dropped) = (0, 0, 0);
        for problem in &data.problems {
            let context = contexts.get(text(problem, "template")).unwrap();
            let fields = [text(problem, "problem"), text(problem, "question"), text(problem, "solution")];
            match Parser::new(context).parse(fields[0], fields[1], Some(fields[2])) {
                // Sentences in a circle, and sentences that the reference dropped, cannot come back.
                Ok(parsed) if parsed.left_out > 0 => left_out += 1,
                Ok(parsed) if parsed.repeated == 0 => {
                    let texts = render::texts(&parsed.graph, &parsed.layout, context).unwrap();
                    assert_eq!([texts.problem.as_str(), &texts.question, &texts.solution], fields);
                    same += 1;
                }
                _ => dropped += 1,
            }
        }
        println!("{same} the same, {left_out} with circular distractors, {dropped} with dropped sentences");
        assert!(same > data.expected(1, 3900), "{same}");
    }
}

/// The `reference` preset draws from counts of these very problems, so what it plans (sizes, forms) is theirs but for
/// chance, and what follows from it (depth) nearly so.
#[test]
fn the_preset_is_distributed_as_the_reference() {
    // A few problems are no distribution: the sample would say nothing here.
    let Some(data) = Data::all() else { return };
    let records = data.problems.into_iter().map(|row| serde_json::from_value(row).unwrap());
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

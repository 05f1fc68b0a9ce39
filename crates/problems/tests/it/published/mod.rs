//! The data of the published code as the judge needs them: rows of JSON lines, and true graphs.

mod rows;

use std::collections::HashMap;

use serde_json::Value;
use tercet_problems::gold::{Gold, GoldNode, Mode};
use tercet_problems::linear::Linear;

pub(crate) use rows::{rows, text};

/// `39*x + 21`, `4 - x`, `-7`, `x`: the published code's canonical form, read without the judge's grammar.
fn linear(text: &str) -> Option<Linear> {
    let mut sum = Linear::number(0);
    let spaced = text.trim().replace(" - ", " + -").replace("--", "");
    for term in spaced.split(" + ") {
        let value = match term.split_once('*') {
            Some((a, "x")) => Linear { a: a.parse().ok()?, b: 0 },
            _ if term == "x" => Linear::X,
            _ if term == "-x" => Linear { a: -1, b: 0 },
            _ => Linear::number(term.parse().ok()?),
        };
        sum = sum.plus(value)?;
    }
    Some(sum)
}

/// Values in the unknown as the solution states them, by name: the last member of each step.
fn stated_values(solution: &str) -> HashMap<String, Linear> {
    let steps = solution.split("Define ").skip(1);
    let pairs = steps.filter_map(|step| {
        let (name, rest) = step.split_once(" as ")?;
        let (head, body) = rest.split_once(';')?;
        let body = body.split(" We know ").next()?.trim();
        let value = body.strip_suffix('.').unwrap_or(body).rsplit(" = ").next()?;
        Some((
            name.to_owned(),
            if head == "x" && body.contains("know its value") { Linear::X } else { linear(value)? },
        ))
    });
    pairs.collect()
}

/// The true graph; in reverse mode its numbers become expressions that have the same value at the answer.
pub(crate) fn gold(graph: &Value, solution: &str, answer: i64) -> Gold {
    let topo = graph["topo"].as_array().expect("nodes");
    let index: HashMap<&str, u32> = topo.iter().zip(0..).map(|(n, i)| (text(n, "name"), i)).collect();
    let reverse = text(graph, "mode") == "forwardreverse";
    let stated = if reverse { stated_values(solution) } else { HashMap::new() };
    let nodes = topo.iter().map(|node| {
        let name = text(node, "name");
        let deps = node["deps"].as_array().expect("deps");
        let deps = deps.iter().filter_map(|d| index.get(d.as_str().expect("a name")).copied());
        let mut parents: Vec<u32> = deps.collect();
        parents.sort_unstable();
        parents.dedup();
        let number = node["value"].as_i64().expect("a number");
        let value = if reverse { stated[name] } else { Linear::number(number) };
        assert_eq!(value.at(answer), Some(number), "{name} in {solution}");
        GoldNode { name: name.to_owned(), parents, value }
    });
    let mode = if reverse { Mode::Reverse } else { Mode::Forward };
    Gold { nodes: nodes.collect(), answer, mode, modulus: None }
}

/// The number after `Answer:`.
pub(crate) fn answer_of(solution: &str) -> i64 {
    let (_, answer) = solution.rsplit_once("Answer: ").expect("an answer line");
    answer.trim_end().trim_end_matches('.').parse().expect("a number")
}

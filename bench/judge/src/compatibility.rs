//! The judge on the published code's data: its solutions, and perturbed ones that should be accepted or rejected.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use serde_json::Value;
use tercet_problems::verify::{Policy, verify};

use crate::published::{answer_of, gold, rows, text};

/// Rows judged, and how many of them each policy decided otherwise than they should be, in the order of `Policy::ALL`.
#[derive(Default)]
struct Line {
    rows: u64,
    otherwise: [u64; 3],
}

/// Prints both tables; false if data are missing or a true solution is not verified.
pub(crate) fn run(dir: &Path) -> bool {
    let read = |name: &str| rows(&dir.join(name));
    let all =
        (read("problems.jsonl.gz"), read("graphs.jsonl.gz"), read("illposed.jsonl"), read("verify.jsonl.gz"));
    let (Some(problems), Some(graphs), Some(ill_posed), Some(perturbed)) = all else {
        eprintln!("{} does not hold the published code's data", dir.display());
        return false;
    };
    let good = solutions(&problems, &graphs, &ill_posed);
    perturbations(&graphs, &perturbed);
    good
}

fn solutions(problems: &[Value], graphs: &[Value], ill_posed: &[Value]) -> bool {
    let ill_posed: BTreeSet<&str> = ill_posed.iter().map(|row| text(row, "sha")).collect();
    let mut lines: BTreeMap<(&str, bool), Line> = BTreeMap::new();
    for (problem, graph) in problems.iter().zip(graphs) {
        let solution = text(problem, "solution");
        let gold = gold(graph, solution, answer_of(solution));
        let ill = ill_posed.contains(text(graph, "sha"));
        let line = lines.entry((text(problem, "mode"), ill)).or_default();
        line.rows += 1;
        for (policy, otherwise) in Policy::ALL.into_iter().zip(&mut line.otherwise) {
            *otherwise += u64::from(!verify(&gold, solution, policy).verified);
        }
    }
    println!(
        "| published solutions | text | solutions | rejected: paper | reference | strict |\n|---|---|---|---|---|---|"
    );
    for ((mode, ill), Line { rows, otherwise: [paper, reference, strict] }) in &lines {
        let posed = if *ill { "ill-posed" } else { "well-posed" };
        println!("| {mode} | {posed} | {rows} | {paper} | {reference} | {strict} |");
    }
    lines.values().all(|line| line.otherwise == [0; 3])
}

fn perturbations(graphs: &[Value], perturbed: &[Value]) {
    let graphs: HashMap<&str, &Value> = graphs.iter().map(|graph| (text(graph, "sha"), graph)).collect();
    let mut totals: BTreeMap<(&str, &str), Line> = BTreeMap::new();
    let mut kinds: BTreeMap<(&str, &str), Line> = BTreeMap::new();
    for row in perturbed {
        let answer = text(row, "gold_answer").parse().expect("a number");
        let gold = gold(graphs[text(row, "gold_sha")], text(row, "gold_solution"), answer);
        let (expect, mode) = (text(row, "expect"), text(row, "mode"));
        let verified = Policy::ALL.map(|policy| verify(&gold, text(row, "pred"), policy).verified);
        let mut lines = vec![totals.entry((mode, expect)).or_default()];
        if expect != "ambiguous" {
            lines.push(kinds.entry((text(row, "kind"), mode)).or_default());
        }
        for line in lines {
            line.rows += 1;
            for (verified, otherwise) in verified.into_iter().zip(&mut line.otherwise) {
                *otherwise += u64::from(verified != (expect == "valid"));
            }
        }
    }
    println!(
        "\n| perturbed solutions | should be | rows | decided otherwise: paper | reference | strict |\n|---|---|---|---|---|---|"
    );
    for ((mode, expect), Line { rows, otherwise: [paper, reference, strict] }) in &totals {
        if *expect == "ambiguous" {
            println!("| {mode} | either | {rows} | | | |");
        } else {
            println!("| {mode} | {expect} | {rows} | {paper} | {reference} | {strict} |");
        }
    }
    println!(
        "\n| kind with a disagreement | mode | rows | paper | reference | strict |\n|---|---|---|---|---|---|"
    );
    for ((kind, mode), Line { rows, otherwise }) in kinds.iter().filter(|(_, line)| line.otherwise != [0; 3])
    {
        let [paper, reference, strict] = otherwise;
        println!("| {kind} | {mode} | {rows} | {paper} | {reference} | {strict} |");
    }
}

//! How often the judge is fooled, and how fast it is.
//!
//! ```text
//! cargo run --release -p judge-bench -- harmless 1000000    right solutions, changed harmlessly: all accepted?
//! cargo run --release -p judge-bench -- wrong 1000000       wrong solutions: any accepted?
//! cargo run --release -p judge-bench -- speed               verdicts a second, and time against length
//! cargo run --release -p judge-bench -- compatibility DIR   verdicts on the published code's data
//! ```
//! Run in `bench/`. DIR holds `problems.jsonl.gz`, `graphs.jsonl.gz`, `verify.jsonl.gz` and `illposed.jsonl`. Tables go to stdout; the exit code is 1 when the judge was fooled.

mod compatibility;
#[path = "../../../crates/problems/tests/it/published/mod.rs"]
mod published;
mod speed;

use std::path::Path;
use std::process::ExitCode;

use tercet_problems::gold::{Gold, Mode};
use tercet_problems::mutate::{Harmless, Material, Wrong};
use tercet_problems::spec::Variables;
use tercet_problems::stream::{Draws, Stream};
use tercet_problems::verify::{Policy, explain, verify};
use tercet_problems::{Cell, Contexts, Generator, Sequence, World};

const SEED: u64 = 2026;

/// What was asked, how often, and how often the judge said otherwise.
struct Line {
    name: &'static str,
    judged: u64,
    /// Disagreements under each policy, in the order of `Policy::ALL`.
    accepted: [u64; 3],
    example: Option<String>,
}

impl Line {
    fn new(name: &'static str) -> Self {
        Self { name, judged: 0, accepted: [0; 3], example: None }
    }

    /// Judges a response under every policy; keeps one that strict should not have decided so.
    fn judge(&mut self, gold: &Gold, response: &str, should_be: bool) {
        self.judged += 1;
        for (policy, accepted) in Policy::ALL.into_iter().zip(&mut self.accepted) {
            let verdict = verify(gold, response, policy);
            *accepted += u64::from(verdict.verified);
            if policy == Policy::Strict && verdict.verified != should_be {
                self.example.get_or_insert_with(|| explain(response, &verdict));
            }
        }
    }
}

/// Problems of every context, mode, depth, style of variables and op, one after the other.
struct Source {
    sequences: Vec<Sequence>,
}

impl Source {
    fn new() -> Self {
        let contexts = Contexts::builtin();
        let mut source = Self { sequences: Vec::new() };
        for variables in [Variables::Random, Variables::Ordered, Variables::Names] {
            for d in [2, 3] {
                let world = World { d, variables, ..World::default() };
                let generator = Generator::new(&world, &contexts, SEED, None).expect("a world");
                for context in ["zoo", "school", "festival", "terse"] {
                    for mode in [Mode::Forward, Mode::Reverse] {
                        for op in 2..=20 {
                            let cell = Cell { op, context: context.into(), mode };
                            source.sequences.extend(generator.sequence(&cell).ok());
                        }
                    }
                }
            }
        }
        source
    }

    /// Calls `judge` for problem after problem until it has judged `wanted` responses.
    fn run(&self, wanted: u64, mut judge: impl FnMut(&Gold, &str, &mut Draws) -> u64) -> u64 {
        let stream = Stream::root(SEED).fork("bench-judge");
        let (mut judged, mut problems) = (0, 0);
        while judged < wanted {
            let round = problems / self.sequences.len() as u64;
            let problem = self.sequences[(problems % self.sequences.len() as u64) as usize].problem(round);
            judged += judge(&problem.gold(), &problem.response(), &mut stream.index(problems).draws());
            problems += 1;
        }
        problems
    }
}

/// Each right solution with new letters, blanks and order at once, and with one other change.
fn harmless(wanted: u64) -> bool {
    let mut all = Line::new("letters + order + blanks");
    let mut lines = Harmless::ALL.map(|kind| Line::new(kind.name()));
    let problems = Source::new().run(wanted, |gold, response, draws| {
        let mut text = response.to_owned();
        for kind in [Harmless::Letters, Harmless::Order, Harmless::Blanks] {
            text = kind.apply(&Material::new(&text), draws).unwrap_or(text);
        }
        all.judge(gold, &text, true);
        let kind = Harmless::ALL[draws.below(Harmless::ALL.len())];
        if let Some(changed) = kind.apply(&Material::new(response), draws) {
            lines[kind as usize].judge(gold, &changed, true);
        }
        1
    });
    let lines: Vec<&Line> = std::iter::once(&all).chain(&lines).collect();
    let fooled = lines.iter().map(|l| l.judged - l.accepted[2]).sum::<u64>();
    table("Right solutions, harmlessly changed", &lines, problems);
    println!("rejected under strict: {fooled}");
    fooled == 0
}

/// Each right solution with two kinds of change that make it wrong.
fn wrong(wanted: u64) -> bool {
    let mut lines = Wrong::ALL.map(|kind| Line::new(kind.name()));
    let mut turn = 0;
    let problems = Source::new().run(wanted, |gold, response, draws| {
        let material = Material::new(response);
        let mut judged = 0;
        for _ in 0..4 {
            turn = (turn + 1) % Wrong::ALL.len();
            if let Some(changed) = Wrong::ALL[turn].apply(&material, draws) {
                lines[turn].judge(gold, &changed, false);
                judged += 1;
            }
        }
        judged
    });
    let lines: Vec<&Line> = lines.iter().collect();
    table("Wrong solutions", &lines, problems);
    let fooled = lines.iter().map(|l| l.accepted[2]).sum::<u64>();
    println!("accepted under strict: {fooled}");
    fooled == 0
}

fn table(title: &str, lines: &[&Line], problems: u64) {
    println!("{title}: {} of {problems} problems, seed {SEED}", lines.iter().map(|l| l.judged).sum::<u64>());
    println!("\n| kind | judged | accepted: paper | reference | strict |\n|---|---|---|---|---|");
    for line in lines {
        let [paper, reference, strict] = line.accepted;
        println!("| {} | {} | {paper} | {reference} | {strict} |", line.name, line.judged);
    }
    println!();
    for line in lines {
        if let Some(example) = &line.example {
            println!("{}:\n{example}", line.name);
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.get(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let compatible = |dir: &String| compatibility::run(Path::new(dir));
    let good = match arguments.first().map(String::as_str) {
        Some("harmless") => harmless(count),
        Some("wrong") => wrong(count),
        Some("speed") => {
            speed::run();
            true
        }
        Some("compatibility") => arguments.get(1).is_some_and(compatible),
        _ => {
            eprintln!("usage: judge-bench harmless|wrong [COUNT], speed, or compatibility DIR");
            return ExitCode::from(2);
        }
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! Measures the generator.
//!
//! ```text
//! cargo run --release --manifest-path bench/Cargo.toml -p problems-bench -- rate [PROBLEMS]
//! cargo run --release --manifest-path bench/Cargo.toml -p problems-bench -- solve [PROBLEMS]
//! cargo run --release --manifest-path bench/Cargo.toml -p problems-bench -- structures [PROBLEMS]
//! cargo run --release --manifest-path bench/Cargo.toml -p problems-bench -- plans GRAPHS.jsonl.gz
//! ```
//!
//! `rate` prints problems a second (a core, and on two threads) by op, mode and style, and the peak of memory.
//! `solve` lets the tests' independent solver read that many problems over all cells and compares the answers.
//! `structures` counts how many structures and instances small cells hold: the ground of the split's rule.
//! `plans` counts the plans of the reference generator's problems: `crates/problems/presets/reference.txt`.

#[path = "../../../crates/problems/tests/it/solver/mod.rs"]
mod solver;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use tercet_problems::gold::Mode;
use tercet_problems::{Cell, Contexts, Generator, Sequence, World};

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Fallible<()> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let argument = args.next();
    if command == "plans" {
        return plans(&argument.ok_or("which file of graphs?")?);
    }
    let count = argument.map(|n| n.replace('_', "").parse::<u64>()).transpose()?;
    match command.as_str() {
        "rate" => rate(count.unwrap_or(40_000)),
        "solve" => solve(count.unwrap_or(1_000_000)),
        "structures" => structures(count.unwrap_or(100_000)),
        _ => Err(
            "usage: problems-bench rate|solve|structures [PROBLEMS], or problems-bench plans GRAPHS.jsonl.gz"
                .into(),
        ),
    }
}

/// Peak resident memory in MiB, where the system tells.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0
}

/// Seconds that this thread has been on a core, where the system tells.
fn core_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

/// Problems a second of wall-clock time with that many threads, each with its own share of the sequence, and
/// problems a second of time on a core: the latter is what a busy machine does not distort much.
fn measure(sequence: &Sequence, count: u64, threads: u64) -> (f64, f64) {
    let start = Instant::now();
    let on_core = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let on_core = &on_core;
        for thread in 0..threads {
            scope.spawn(move || {
                let before = core_seconds();
                let mut bytes = 0;
                for i in (thread..count).step_by(threads as usize) {
                    let problem = sequence.problem(i);
                    bytes += problem.problem.len() + problem.question.len() + problem.solution.len();
                }
                std::hint::black_box(bytes);
                on_core.fetch_add(((core_seconds() - before) * 1e9) as u64, Ordering::Relaxed);
            });
        }
    });
    (count as f64 / start.elapsed().as_secs_f64(), count as f64 * 1e9 / on_core.into_inner().max(1) as f64)
}

fn rate(count: u64) -> Fallible<()> {
    let contexts = Contexts::builtin();
    let generator = Generator::new(&World::default(), &contexts, 1, None)?;
    println!("rendered problems a second; best of three; {count} problems each");
    println!(
        "{:<9}{:<9}{:>4}{:>12}{:>12}{:>14}{:>14}",
        "context", "mode", "op", "1 thread", "2 threads", "a core (1 t)", "a core (2 t)"
    );
    for context in ["zoo", "terse"] {
        for mode in [Mode::Forward, Mode::Reverse] {
            for op in [2, 5, 10, 15, 20, 40] {
                let cell = Cell { op, context: context.to_owned(), mode };
                let sequence = generator.sequence(&cell)?;
                let best = |threads| {
                    let runs = (0..3).map(|_| measure(&sequence, count, threads));
                    runs.fold((0.0, 0.0), |best: (f64, f64), run| (best.0.max(run.0), best.1.max(run.1)))
                };
                let ((one, core_one), (two, core_two)) = (best(1), best(2));
                println!(
                    "{context:<9}{:<9}{op:>4}{one:>12.0}{two:>12.0}{core_one:>14.0}{core_two:>14.0}",
                    mode.name()
                );
            }
        }
    }
    println!("peak memory {:.1} MiB", peak_mib());
    Ok(())
}

fn solve(count: u64) -> Fallible<()> {
    let contexts = Contexts::builtin();
    let mut generators = Vec::new();
    for d in [2, 3] {
        for style in
            [None, Some(tercet_problems::context::Style::Terse), Some(tercet_problems::context::Style::Prose)]
        {
            let small = World {
                d,
                style,
                max_value: 60,
                places: (1, 3),
                kinds: (1, 4),
                max_operands: 3,
                ..World::default()
            };
            generators
                .push((Generator::new(&World { d, style, ..World::default() }, &contexts, 1, None)?, 40));
            generators.push((Generator::new(&small, &contexts, 2, None)?, 12));
        }
    }
    let mut sequences = Vec::new();
    for (generator, op_max) in &generators {
        for context in contexts.names() {
            for mode in [Mode::Forward, Mode::Reverse] {
                for op in if mode == Mode::Forward { 1 } else { 2 }..=*op_max {
                    let cell = Cell { op, context: context.to_owned(), mode };
                    sequences.push(generator.sequence(&cell)?);
                }
            }
        }
    }
    let per_cell = count.div_ceil(sequences.len() as u64);
    let (right, wrong) = (AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (sequences, right, wrong) = (&sequences, &right, &wrong);
            scope.spawn(move || {
                for sequence in sequences.iter().skip(thread).step_by(2) {
                    for i in 0..per_cell {
                        let problem = sequence.problem(i);
                        let answer = solver::solve(&problem.problem, &problem.question);
                        if answer == Ok(i128::from(problem.answer)) {
                            right.fetch_add(1, Ordering::Relaxed);
                        } else if wrong.fetch_add(1, Ordering::Relaxed) == 0 {
                            println!(
                                "{} #{i}: {answer:?}, stored {}\n{}",
                                sequence.cell(),
                                problem.answer,
                                problem.prompt()
                            );
                        }
                    }
                }
            });
        }
    });
    let (right, wrong) = (right.into_inner(), wrong.into_inner());
    println!(
        "{} problems of {} cells: {right} solved as stored, {wrong} not; {:.0} s, peak memory {:.1} MiB",
        right + wrong,
        sequences.len(),
        start.elapsed().as_secs_f64(),
        peak_mib()
    );
    if wrong == 0 { Ok(()) } else { Err("some problems are not solved as stored".into()) }
}

fn structures(count: u64) -> Fallible<()> {
    let contexts = Contexts::builtin();
    let small = World {
        max_value: 20,
        places: (1, 3),
        kinds: (1, 4),
        max_operands: 3,
        distractors: 0.0,
        ..World::default()
    };
    println!(
        "distinct among {count} problems; default world, and values to 20 with 3 places of 4 kinds without distractors"
    );
    println!(
        "{:<9}{:>4}{:>14}{:>14}{:>14}{:>14}",
        "mode", "op", "structures", "instances", "small: str.", "small: inst."
    );
    for mode in [Mode::Forward, Mode::Reverse] {
        for op in 2..=9 {
            let mut columns = Vec::new();
            for world in [&World::default(), &small] {
                let generator = Generator::new(world, &contexts, 1, None)?;
                let cell = Cell { op, context: "terse".to_owned(), mode };
                let (mut structures, mut instances) = (BTreeSet::new(), BTreeSet::new());
                let sequence = generator.sequence(&cell)?;
                for i in 0..count {
                    let problem = sequence.problem(i);
                    structures.insert(problem.structure_hash());
                    instances.insert(problem.instance_hash());
                }
                columns.extend([structures.len(), instances.len()]);
            }
            println!(
                "{:<9}{op:>4}{:>14}{:>14}{:>14}{:>14}",
                mode.name(),
                columns[0],
                columns[1],
                columns[2],
                columns[3]
            );
        }
    }
    Ok(())
}

/// A quantity of a reference graph; `RNG` among what it depends on is a literal.
#[derive(serde::Deserialize)]
struct ReferenceNode {
    name: String,
    kind: String,
    deps: BTreeSet<String>,
}

/// A reference graph, its path in topological order.
#[derive(serde::Deserialize)]
struct ReferenceGraph {
    op: u32,
    mode: String,
    topo: Vec<ReferenceNode>,
    n_instance: usize,
}

impl ReferenceGraph {
    /// One line of the table without its last column, and how to sort it.
    fn plan(&self) -> Fallible<(u32, String, String)> {
        let (stated, totals): (Vec<_>, Vec<_>) = self.topo.iter().partition(|node| node.kind == "instance");
        let members: BTreeSet<&String> = totals.iter().flat_map(|total| &total.deps).collect();
        let free = stated.iter().filter(|node| !members.contains(&node.name)).count();
        let mut forms = [0; 8];
        for node in &stated {
            let literal = node.deps.contains("RNG");
            // A number, P, c + P, P + Q, c + (P + Q) and so on up to four operands.
            let column = (2 * (node.deps.len() - usize::from(literal)) + usize::from(literal)).checked_sub(1);
            *column.and_then(|c| forms.get_mut(c)).ok_or("a form that the table has no column for")? += 1;
        }
        if forms.iter().any(|&count| count > 9) {
            return Err("a form more than nine times".into());
        }
        let forms: String = forms.iter().map(u32::to_string).collect();
        let ends = if self.topo.last().is_some_and(|node| node.kind == "instance") { "f" } else { "t" };
        let (totals, members, distractors) = (totals.len(), members.len(), self.n_instance - stated.len());
        let mode = if self.mode == Mode::Forward.reference_name() { "f" } else { "r" };
        Ok((self.op, mode.to_owned(), format!("{totals} {members} {free} {ends} {distractors} {forms}")))
    }
}

fn plans(path: &str) -> Fallible<()> {
    let file = BufReader::new(MultiGzDecoder::new(File::open(path)?));
    let mut counts = BTreeMap::new();
    for line in file.lines() {
        let graph: ReferenceGraph = serde_json::from_str(&line?)?;
        *counts.entry(graph.plan()?).or_insert(0_u64) += 1;
    }
    println!(
        "# Plans of problems as the reference generator draws them: how often each occurred among its {} problems (d = 2).",
        counts.values().sum::<u64>()
    );
    println!(
        "# op, mode (f forward, r reverse), totals on the path, counts that they add up, other quantities on the path,"
    );
    println!(
        "# what the path ends in (t a total, f another quantity), distractor sentences, how many of the path's sentences have each"
    );
    println!("# form (a digit each: c, P, c∘P, P∘Q, c∘(P∘Q), P+Q+R, c∘(P+Q+R), P+Q+R+S), how often");
    for ((op, mode, rest), count) in counts {
        println!("{op} {mode} {rest} {count}");
    }
    Ok(())
}

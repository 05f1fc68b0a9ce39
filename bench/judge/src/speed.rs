//! Verdicts a second on one core, and time against length.

use std::time::Instant;

use tercet_problems::gold::Mode;
use tercet_problems::verify::{Policy, verify};
use tercet_problems::{Cell, Contexts, Generator, World};

/// Fastest of some repetitions, in seconds. Each is short, so that on a busy machine some are not interrupted;
/// another thread on the same physical core still slows all of them.
fn fastest(repetitions: u32, mut work: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..repetitions {
        let start = Instant::now();
        work();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

pub(crate) fn run() {
    rates();
    lengths();
}

fn rates() {
    let generator = Generator::new(&World::default(), &Contexts::builtin(), 1, None).expect("a world");
    println!("| context | mode | op | bytes | verdicts/s | MB/s |\n|---|---|---|---|---|---|");
    for (context, mode) in
        [("zoo", Mode::Forward), ("zoo", Mode::Reverse), ("terse", Mode::Forward), ("terse", Mode::Reverse)]
    {
        for op in [2, 10, 20] {
            let cell = Cell { op, context: context.into(), mode };
            let sequence = generator.sequence(&cell).expect("a possible cell");
            let problems = (0..200).map(|i| sequence.problem(i));
            let set: Vec<_> = problems.map(|p| (p.gold(), p.response())).collect();
            let bytes: usize = set.iter().map(|(_, response)| response.len()).sum();
            let time = fastest(300, || {
                let right =
                    set.iter().filter(|(gold, text)| verify(gold, text, Policy::Strict).verified).count();
                assert_eq!(right, set.len());
            });
            let rate = set.len() as f64 / time;
            let speed = bytes as f64 / time / 1e6;
            println!(
                "| {context} | {} | {op} | {} | {rate:.0} | {speed:.0} |",
                mode.name(),
                bytes / set.len()
            );
        }
    }
}

/// Text that makes the published parser's time grow with the cube of its length, and other repetitions.
fn lengths() {
    let generator = Generator::new(&World::default(), &Contexts::builtin(), 1, None).expect("a world");
    let cell = Cell { op: 10, context: "zoo".into(), mode: Mode::Reverse };
    let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
    let (gold, response) = (problem.gold(), problem.response());
    let steps = response.split("</solution>").next().unwrap_or_default();
    let cases: [(&str, &str); 8] = [
        ("headers without end", "Define x as y "),
        ("a step", "Define adult owl in South Zoo as u; so u = 2. "),
        ("equals signs", "= "),
        ("we know", "We know x = 3, so we have "),
        ("parentheses", "Define x as y; so y = ((((((((1"),
        ("tags", "<answer> 8 </answer> "),
        ("blanks", "  \n "),
        ("a whole solution", steps),
    ];
    println!("\n| repeated | 10 kB, ms | 100 kB, ms | 1 MB, ms | ns a byte at 1 MB |\n|---|---|---|---|---|");
    for (name, piece) in cases {
        let times = [10_000, 100_000, 1_000_000].map(|length| {
            let text = piece.repeat(length / piece.len());
            fastest(10, || assert!(!verify(&gold, &text, Policy::Strict).verified))
        });
        let [small, middle, large] = times.map(|t| t * 1e3);
        println!("| {name} | {small:.3} | {middle:.2} | {large:.1} | {:.1} |", large);
    }
}

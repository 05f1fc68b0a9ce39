//! What was measured, as markdown.

use std::fmt::Write as _;

use crate::peers::{Measured, Part, Report};
use crate::shapes::Work;
use crate::stats::Summary;

/// Beyond this spread of the rounds a figure is marked as noisy.
const NOISY: f64 = 0.15;

/// What we want to be true: ours over the best of some of theirs.
struct Goal {
    what: &'static str,
    /// What their names begin and end with.
    peers: (&'static [&'static str], &'static [&'static str]),
    factor: f64,
}

const PYTORCH: &[&str] = &["eager-", "compile-"];
const TRAIN: [Goal; 2] = [
    Goal { what: "the best PyTorch variant", peers: (PYTORCH, &[""]), factor: 2.0 },
    Goal { what: "the best PyTorch variant in f32", peers: (PYTORCH, &["-f32"]), factor: 1.5 },
];
const TRAIN_P: [Goal; 2] = [
    Goal { what: "the best PyTorch variant in bf16", peers: (PYTORCH, &["-bf16", "-bf16pure"]), factor: 1.2 },
    Goal { what: "the best PyTorch variant in f32", peers: (PYTORCH, &["-f32"]), factor: 1.5 },
];
const SAMPLE: [Goal; 2] = [
    Goal { what: "generate() in bf16", peers: (&["generate-"], &["-bf16"]), factor: 5.0 },
    Goal { what: "generate() in f32", peers: (&["generate-"], &["-f32"]), factor: 3.0 },
];

/// The lines above the tables.
pub(crate) fn head(report: &Report) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Machine: {}. Revision {}.", report.machine, report.revision);
    let _ = writeln!(
        out,
        "{} threads a side, {} rounds in turn; medians, and in brackets the least and the greatest round.",
        report.threads, report.rounds
    );
    if let Some(load) = report.load.filter(|load| *load > 0.2) {
        let _ = writeln!(
            out,
            "**The machine was not idle (others kept {load:.1} processors busy): not to be published.**"
        );
    }
    if let Some(startup) = &report.startup {
        let s = &startup.seconds;
        let ms = |seconds: f64| seconds * 1e3;
        let _ = writeln!(
            out,
            "`{} --version` starts and ends in {:.1} ms ({:.1}–{:.1}); goal under 200 ms.",
            startup.program,
            ms(s.median),
            ms(s.min),
            ms(s.max)
        );
    }
    out
}

/// The table of one shape and work, with its goals.
pub(crate) fn part(part: &Part) -> String {
    let mut out = String::new();
    let Some((ours, theirs)) = part.sides.split_first() else { return out };
    let what = match part.work {
        Work::Train => "training",
        Work::Sample => "sampling, distinct prompts",
        Work::Group => "sampling, eight samples a prompt",
    };
    let millions = part.parameters as f64 / 1e6;
    let _ = writeln!(out, "\n### {}: {what} ({millions:.2}M parameters)\n", part.shape);
    let _ = writeln!(
        out,
        "| | tokens/s | ours is faster by | of the ceiling | tokens/core-s | step memory | process | start-up |"
    );
    let _ = writeln!(out, "|---|--:|--:|--:|--:|--:|--:|--:|");
    for side in &part.sides {
        let ratio = if side.ours { "–".to_owned() } else { ratio(ours, side) };
        let _ = writeln!(
            out,
            "| {} | {} | {ratio} | {} | {} | {} | {} | {:.2} s |",
            side.name,
            rate(side),
            share(part, ours, side),
            Summary::of(&side.core_rates).map_or("–".to_owned(), |s| thousands(s.median)),
            bytes(side.step_bytes()),
            bytes(side.peak_bytes),
            side.startup_seconds
        );
    }
    let mut versions: Vec<&str> = part.sides.iter().map(|side| side.versions.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    let _ = writeln!(out, "\n{}.", versions.join("; "));
    if let Some(s) = Summary::of(&ours.ceilings) {
        let giga = |rate: f64| rate / 1e9;
        let (median, min, max) = (giga(s.median), giga(s.min), giga(s.max));
        let _ = writeln!(
            out,
            "Ceiling: our matrix kernel on data in cache, beside each round: {median:.0} ({min:.0}–{max:.0}) GFLOP/s."
        );
    }
    let goals: &[Goal] = match (part.work, part.shape.as_str()) {
        (Work::Train, "P") => &TRAIN_P,
        (Work::Train, _) => &TRAIN,
        (Work::Sample | Work::Group, _) => &SAMPLE,
    };
    out.push('\n');
    for goal in goals {
        out.push_str(&verdict(goal, ours, theirs));
    }
    out.push_str(&memory(ours, theirs));
    for side in &part.sides {
        let spread = Summary::of(&side.rates).map_or(0.0, |s| s.spread());
        if spread > NOISY {
            let _ = writeln!(
                out,
                "- **Noisy:** the rounds of {} lie {:.0}% apart; repeat on an idle machine.",
                side.name,
                spread * 100.0
            );
        }
    }
    out
}

fn verdict(goal: &Goal, ours: &Measured, theirs: &[Measured]) -> String {
    let (begins, ends) = goal.peers;
    let best = theirs
        .iter()
        .filter(|side| begins.iter().any(|b| side.name.starts_with(b)))
        .filter(|side| ends.iter().any(|e| side.name.ends_with(e)))
        .filter_map(|side| Some((Summary::of(&side.rates)?.median, side)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let Some((_, side)) = best else { return String::new() };
    let Some(ratio) = Summary::of_ratios(&ours.rates, &side.rates) else { return String::new() };
    let word = if ratio.median >= goal.factor { "reached" } else { "**missed**" };
    format!("- Against {} ({}): {:.2}×, goal {}×: {word}.\n", goal.what, side.name, ratio.median, goal.factor)
}

fn memory(ours: &Measured, theirs: &[Measured]) -> String {
    let least = theirs.iter().filter_map(|side| Some((side.step_bytes()?, side))).min_by_key(|(b, _)| *b);
    let (Some(mine), Some((least, side))) = (ours.step_bytes(), least) else { return String::new() };
    let word = if mine <= least { "reached" } else { "**missed**" };
    format!(
        "- Step memory {} against the least of theirs, {} ({}), goal no more: {word}.\n",
        bytes(Some(mine)),
        bytes(Some(least)),
        side.name
    )
}

fn rate(side: &Measured) -> String {
    Summary::of(&side.rates).map_or("–".to_owned(), |s| {
        format!("{} ({}–{})", thousands(s.median), thousands(s.min), thousands(s.max))
    })
}

/// Operations in matrix products over what the kernel reaches at best; for training, where they are known.
fn share(part: &Part, ours: &Measured, side: &Measured) -> String {
    let medians = (part.flops, Summary::of(&side.rates), Summary::of(&ours.ceilings));
    let (Some(flops), Some(rate), Some(ceiling)) = medians else { return "–".to_owned() };
    format!("{:.0}%", 100.0 * flops * rate.median / ceiling.median)
}

fn ratio(ours: &Measured, theirs: &Measured) -> String {
    Summary::of_ratios(&ours.rates, &theirs.rates)
        .map_or("–".to_owned(), |s| format!("{:.2}× ({:.2}–{:.2})", s.median, s.min, s.max))
}

fn bytes(bytes: Option<u64>) -> String {
    bytes.map_or("–".to_owned(), |b| format!("{} MB", thousands(b as f64 / 1e6)))
}

/// A whole number with its thousands apart: `12 345`.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, rates: &[f64], peak: u64) -> Measured {
        Measured {
            name: name.to_owned(),
            ours: name == "ours f32",
            versions: "v".to_owned(),
            startup_seconds: 0.5,
            warm_up_seconds: 1.0,
            base_bytes: Some(1_000_000),
            peak_bytes: Some(peak),
            rates: rates.to_vec(),
            core_rates: rates.iter().map(|rate| rate / 2.0).collect(),
            ceilings: vec![200e9; 3],
        }
    }

    #[test]
    fn a_goal_is_judged_by_the_fastest_peer_and_noise_is_named() {
        let text = part(&Part {
            shape: "T".to_owned(),
            work: Work::Train,
            parameters: 854_144,
            flops: Some(4e6),
            sides: vec![
                side("ours f32", &[30_000.0, 31_000.0, 30_500.0], 41_000_000),
                side("eager-f32", &[10_000.0, 10_000.0, 10_000.0], 1_041_000_000),
                side("compile-bf16", &[16_000.0, 20_000.0, 16_000.0], 941_000_000),
            ],
        });
        assert!(
            text.contains(
                "| ours f32 | 30 500 (30 000–31 000) | – | 61% | 15 250 | 40 MB | 41 MB | 0.50 s |"
            ),
            "{text}"
        );
        assert!(text.contains("best PyTorch variant (compile-bf16): 1.88×, goal 2×: **missed**"), "{text}");
        assert!(text.contains("in f32 (eager-f32): 3.05×, goal 1.5×: reached"), "{text}");
        assert!(text.contains("least of theirs, 940 MB (compile-bf16), goal no more: reached"), "{text}");
        assert!(text.contains("the rounds of compile-bf16 lie 25% apart"), "{text}");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(thousands(1_234_567.4), "1 234 567");
        assert_eq!(thousands(999.0), "999");
    }
}

//! Numbers as pages and terminals write them.

use runs::{Folder, LeftOut, Metric};

use crate::chart::number;
use crate::stats::Estimate;

/// A number of a metric: rates as percent, others as they are.
pub(crate) fn plain(metric: Metric, value: f64) -> String {
    let text = if metric.is_rate() { format!("{:.1}", value * 100.0) } else { number(value) };
    text.replace('-', "−")
}

/// A signed difference of a metric: rates in points; what rounds to zero has no sign.
pub(crate) fn signed(metric: Metric, difference: f64) -> String {
    let size = plain(metric, difference.abs());
    match difference {
        _ if size.parse() == Ok(0.0) => plain(metric, 0.0),
        d if d > 0.0 => format!("+{size}"),
        _ => format!("−{size}"),
    }
}

/// What a difference of the metric is counted in.
pub(crate) fn unit(metric: Metric) -> &'static str {
    match metric {
        Metric::Tokens => "tokens",
        Metric::GoldNll => "nats per token",
        _ => "points",
    }
}

/// An estimate of a metric, e.g. `41.2 [38.0, 44.1]`: rates as percent.
pub fn estimate(metric: Metric, e: &Estimate) -> String {
    let [value, low, high] = [e.value, e.low, e.high].map(|v| plain(metric, v));
    format!("{value} [{low}, {high}]")
}

/// A difference of a metric, e.g. `+3.1 [−0.4, +6.2]`: rates in points.
pub fn difference(metric: Metric, e: &Estimate) -> String {
    let [value, low, high] = [e.value, e.low, e.high].map(|v| signed(metric, v));
    format!("{value} [{low}, {high}]")
}

/// A band with its ops: `edge (op 7–8)`, `hard (op 9)`. A name that says its op says it once: `op 9`.
pub fn band_name(name: &str, (from, to): (u32, u32)) -> String {
    match from == to {
        true if name == format!("op {from}") => name.to_owned(),
        true => format!("{name} (op {from})"),
        false => format!("{name} (op {from}–{to})"),
    }
}

/// Which evaluations were left out, in a sentence; empty if none was.
pub(crate) fn left_out_sentence(left_out: &[LeftOut]) -> String {
    if left_out.is_empty() {
        return String::new();
    }
    let name = |e: &LeftOut| {
        let step = e.step.map_or_else(String::new, |step| format!(" at step {step}"));
        format!("{} of {}{step}", e.suite, e.stage)
    };
    let names: Vec<String> = left_out.iter().map(name).collect();
    let s = if names.len() == 1 { "" } else { "s" };
    format!("Left out because the suite is another: {} evaluation{s} ({}).", names.len(), names.join(", "))
}

/// Which finished stages lack which files, in a sentence each; empty if none does.
pub(crate) fn lacking_sentence(folder: &Folder) -> String {
    let finished = || folder.stages.iter().filter(|(_, stage)| stage.done.is_some());
    let names = |lacks: fn(&runs::Stage) -> bool| {
        finished().filter(|(_, stage)| lacks(stage)).map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let mut unread: Vec<String> = folder.manifest.runs.iter().flat_map(|run| run.stages.clone()).collect();
    unread.retain(|name| {
        !folder.stages.contains_key(name) && folder.path.join("stages").join(name).join("done.json").is_file()
    });
    unread.sort();
    unread.dedup();
    let mut sentences = Vec::new();
    for (what, names) in [
        ("metrics.jsonl is missing or ends early", names(runs::Stage::lacks_metrics)),
        ("exposure.json is missing", names(|stage| stage.exposure.is_none())),
        ("stage.json is missing, so the stage is left out", unread),
    ] {
        if !names.is_empty() {
            sentences.push(format!("Finished, but {what}: {}.", names.join(", ")));
        }
    }
    sentences.join(" ")
}

/// Which stages left updates out, in a sentence; empty if none did. (Of unfinished stages, too: a stage that diverged has
/// no `done.json`.)
pub(crate) fn skipped_sentence(folder: &Folder) -> String {
    let skipped = |(name, stage): (&String, &runs::Stage)| {
        let (_, skipped) = *stage.series("skipped_updates").last()?;
        let updates: f64 = stage.series("updates").iter().map(|(_, updates)| updates).sum();
        (skipped > 0.0).then(|| format!("{name} ({skipped} of {updates} updates)"))
    };
    let names: Vec<String> = folder.stages.iter().filter_map(skipped).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("Updates were left out because the gradient was not finite: {}.", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_of_one_op_names_it_once() {
        assert_eq!([band_name("edge", (7, 8)), band_name("hard", (9, 9))], ["edge (op 7–8)", "hard (op 9)"]);
        assert_eq!(band_name("op 9", (9, 9)), "op 9");
    }

    #[test]
    fn differences_have_a_sign_and_a_unit() {
        let e = Estimate { value: 0.031, low: -0.004, high: 0.0004, problems: 10, seeds: 1 };
        assert_eq!(difference(Metric::PassAt(1), &e), "+3.1 [−0.4, 0.0]");
        assert_eq!(difference(Metric::GoldNll, &e), "+0.031 [−0.004, +4.0e−4]");
        assert_eq!(estimate(Metric::PassAt(1), &e), "3.1 [−0.4, 0.0]");
    }
}

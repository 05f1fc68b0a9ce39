//! The first paragraph: what was gained, what was lost and how sure that is, in plain words made from the numbers.

use runs::records::StageKind;
use runs::{Metric, Stage};
use serde::Serialize;

use crate::chart::number;
use crate::comparisons::{Comparison, RATE};
use crate::measure::{Measure, Model};
use crate::table::{Change, Row, Table, Word};
use crate::words;

/// With more models than this that have a parent, the arms are compared and the stages are left to the table.
const STAGES_MAX: usize = 5;

/// The paragraph's sentences; none where nothing was compared.
pub(super) fn sentences(measure: &Measure, table: &Table) -> Vec<String> {
    let mut out = Vec::new();
    let suites = measure.folder.suites();
    for suite in &suites {
        let rows: Vec<&Row> =
            table.rows.iter().filter(|row| row.suite == *suite && row.level().is_none()).collect();
        let changed: Vec<&Model> = measure.models.iter().filter(|model| model.parent.is_some()).collect();
        let mut said = Vec::new();
        if changed.len() <= STAGES_MAX {
            said.extend(changed.iter().filter_map(|model| of_stage(model, &changed, &rows)));
            said.extend(how_sure(&rows));
        }
        let of_suite: Vec<&Comparison> = table.comparisons.iter().filter(|c| c.suite == *suite).collect();
        said.extend(of_arms(&of_suite));
        if let Some(first) = said.first_mut().filter(|_| suites.len() > 1) {
            *first = format!("On suite {suite}: {first}");
        }
        out.append(&mut said);
    }
    out
}

fn of_stage(model: &Model, all: &[&Model], rows: &[&Row]) -> Option<String> {
    let rows: Vec<&&Row> = rows.iter().filter(|row| row.model == model.label).collect();
    let k = rows.first()?.k;
    let alone = all.iter().filter(|other| other.kind == model.kind).count() == 1;
    let subject = match model.kind {
        _ if !alone => format!("“{}”", model.label),
        StageKind::PreTraining => "Pre-training".to_owned(),
        StageKind::MidTraining => "Mid-training".to_owned(),
        StageKind::Rl => "RL".to_owned(),
        StageKind::Elsewhere => "The model".to_owned(),
    };
    let changes = |word: Word| {
        let of = |how: &str, change: fn(&Row) -> Option<Change>| {
            let found: Vec<String> = rows
                .iter()
                .filter_map(|row| {
                    let change = change(row).filter(|c| c.word == word)?;
                    let points = words::signed(Metric::PassAt(1), change.difference.value);
                    Some(format!("{points} in {}", row.band))
                })
                .collect();
            (!found.is_empty()).then(|| format!("{how} ({})", found.join(", ")))
        };
        let first = of("at the first try", |row| row.change_1);
        let within = of(&format!("within {k} tries"), |row| row.change_k).filter(|_| k > 1);
        first.into_iter().chain(within).collect::<Vec<_>>().join(" and ")
    };
    if rows.iter().all(|row| row.change_1.is_none()) {
        return None;
    }
    Some(match (changes(Word::Up), changes(Word::Down)) {
        (up, down) if up.is_empty() && down.is_empty() => {
            format!("{subject} changed nothing that can be told from noise.")
        }
        (up, down) if down.is_empty() => format!("{subject} solved more {up}."),
        (up, down) if up.is_empty() => format!("{subject} solved fewer {down}."),
        (up, down) => format!("{subject} solved more {up}, and fewer {down}."),
    })
}

fn how_sure(rows: &[&Row]) -> Option<String> {
    let changes = || rows.iter().flat_map(|row| [row.change_1, row.change_k]).flatten();
    let noise = changes().filter(|c| c.word == Word::WithinNoise).count();
    let seeds = changes().map(|c| c.difference.seeds).min()?;
    let named = changes().count() > noise;
    let sure = match (named, noise) {
        (true, 0) => "All of these changes in points have a 95% interval that excludes zero.".to_owned(),
        (true, noise) => format!(
            "These changes are in percentage points, and their 95% intervals exclude zero; {noise} further {} within noise.",
            if noise == 1 { "change is" } else { "changes are" }
        ),
        (false, _) => "All intervals (95%) contain zero.".to_owned(),
    };
    let seeds = match seeds {
        1 => "There is one seed, so how much another seed would differ is not known.".to_owned(),
        n => format!("They rest on {n} seeds."),
    };
    Some(format!("{sure} {seeds}"))
}

/// The largest gain and loss against the base arm, and how many differences remain after correction.
fn of_arms(of: &[&Comparison]) -> Vec<String> {
    let Some(base) = of.first().map(|c| &c.right) else { return Vec::new() };
    let against: Vec<&&Comparison> = of.iter().filter(|c| c.right == *base).collect();
    let kept: Vec<&&&Comparison> = against.iter().filter(|c| c.q <= RATE).collect();
    let mut out = Vec::new();
    let said = |c: &Comparison| {
        let how = match c.metric {
            Metric::PassAt(1) => "at the first try".to_owned(),
            Metric::PassAt(k) => format!("within {k} tries"),
            metric => metric.name(),
        };
        format!("“{}” in {} {how} ({} points)", c.left, c.band, words::difference(c.metric, &c.difference))
    };
    let by_value = |a: &&&&&Comparison, b: &&&&&Comparison| a.difference.value.total_cmp(&b.difference.value);
    let most = kept.iter().filter(|c| c.difference.value > 0.0).max_by(by_value);
    let least = kept.iter().filter(|c| c.difference.value < 0.0).min_by(by_value);
    let compared = format!("Compared with “{base}”");
    match (most, least) {
        (Some(most), Some(least)) => out.push(format!(
            "{compared}, the largest gain is that of {}, the largest loss that of {}.",
            said(most),
            said(least)
        )),
        (Some(most), None) => out.push(format!("{compared}, the largest gain is that of {}.", said(most))),
        (None, Some(least)) => out.push(format!("{compared}, the largest loss is that of {}.", said(least))),
        (None, None) => {}
    }
    out.push(match kept.len() {
        0 => format!(
            "{} of {} differences from “{base}” can be told from noise at a false-discovery rate of 5%.",
            "None",
            against.len()
        ),
        n => format!(
            "{n} of {} differences from “{base}” {} at a false-discovery rate of 5%.",
            against.len(),
            if n == 1 { "remains" } else { "remain" }
        ),
    });
    out
}

/// Things in a row, e.g. `a, b and c`.
pub(super) fn list(of: &[String]) -> String {
    match of {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What the run took, in one line.
#[derive(Serialize)]
pub(super) struct Facts {
    parameters: String,
    tokens: String,
    flops: String,
    time: String,
}

impl Facts {
    /// The largest model, and what all stages of all arms and seeds took together; empty where nothing says it.
    pub(super) fn of(measure: &Measure) -> Self {
        let stages = || measure.folder.stages.values();
        let cost: runs::records::Cost = stages().filter_map(|s| s.done.as_ref()).map(|done| done.cost).sum();
        let tokens = cost.trained_tokens + cost.sampled_tokens + cost.prompt_tokens + cost.scored_tokens;
        let seconds: f64 = stages().map(seconds).sum();
        let said = |value: f64, text: String| if value > 0.0 { text } else { String::new() };
        let parameters = stages().map(|s| s.info.parameters).max().unwrap_or(0) as f64;
        Self {
            parameters: said(parameters, format!("{} parameters", number(parameters))),
            tokens: said(tokens as f64, format!("{} tokens", number(tokens as f64))),
            flops: said(cost.flops, format!("{} FLOPs", number(cost.flops))),
            time: said(seconds, format!("{} of training", duration(seconds))),
        }
    }
}

/// The time of a stage's steps.
pub(super) fn seconds(stage: &Stage) -> f64 {
    runs::series(&stage.timings, "timing_s/step").iter().map(|(_, s)| s).sum()
}

/// A time as it is said.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_in_a_row_are_read_aloud() {
        let of = |things: &[&str]| list(&things.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!([of(&["a"]), of(&["a", "b"]), of(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }
}

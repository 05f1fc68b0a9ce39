//! The figures of a run. Each is a set of panels with one caption, one CSV file and one SVG file a panel.

mod accuracy;
mod differences;
pub(crate) mod ink;
mod novelty;
mod outcomes;
mod smooth;
mod split;
mod training;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use runs::records::{Band, StageKind};

use crate::chart::{self, Axis, Chart, Format, Key, Scale};
use crate::error::ReportError;
use crate::measure::{Factor, Measure, Model, Slice};
use crate::words;
use runs::{error::failed, files};

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Its name in file names and links, e.g. `pass-at-k`.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What is shown and how to read it.
    pub caption: String,
    /// The panels.
    pub panels: Vec<Chart>,
}

/// Colours of parts that are no models: dark and light in turn, so that neighbours differ in grey.
const PARTS: [usize; 7] = [2, 1, 4, 3, 5, 7, 6];

impl Figure {
    /// The numbers of all panels.
    pub fn csv(&self) -> String {
        let header = self.panels.first().map(Chart::csv_header).unwrap_or_default();
        chart::csv(&header, self.panels.iter().flat_map(Chart::csv_rows))
    }

    /// What the lines, dots and bars of all its panels are, each once.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = Vec::new();
        for key in self.panels.iter().flat_map(Chart::keys) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }

    /// Names of the files that its panels are drawn into.
    pub fn drawings(&self) -> Vec<String> {
        let number = |i: usize| if self.panels.len() > 1 { format!("-{}", i + 1) } else { String::new() };
        (0..self.panels.len()).map(|i| format!("{}{}.svg", self.id, number(i))).collect()
    }

    fn new(id: &str, title: &str, caption: &str, panels: Vec<Chart>) -> Option<Self> {
        (!panels.is_empty()).then(|| Self {
            id: id.into(),
            title: title.into(),
            caption: caption.into(),
            panels,
        })
    }
}

/// All figures that the run has data for; arms are compared with the last model of the arm `base`, or of the first arm.
///
/// # Errors
/// If a suite's problems cannot be read.
pub fn figures(measure: &Measure, base: Option<&str>) -> Result<Vec<Figure>, ReportError> {
    let mut figures = of_evaluation(measure, base);
    for (suite, suffix) in suites(measure) {
        for factor in Factor::of(measure, &suite) {
            figures.extend(accuracy::pass_at_k_by(measure, &suite, &suffix, &factor));
            figures.extend(accuracy::by_op_and(measure, &suite, &suffix, &factor));
        }
        figures.extend(novelty::shapes(measure, &suite, &suffix)?);
        figures.extend(novelty::sharpened(measure, &suite, &suffix));
    }
    figures.extend(of_training(measure));
    for (suite, suffix) in suites(measure) {
        figures.extend(outcomes::outcomes(measure, &suite, &suffix));
        figures.extend(outcomes::faults(measure, &suite, &suffix));
        figures.extend(accuracy::nll(measure, &suite, &suffix));
    }
    figures.extend(training::exposure(measure));
    figures.extend(training::budget(measure));
    Ok(figures)
}

/// The figures that show first how good the models are.
pub fn of_evaluation(measure: &Measure, base: Option<&str>) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (suite, suffix) in suites(measure) {
        figures.extend(accuracy::arms(measure, &suite, &suffix));
        figures.extend(differences::differences(measure, &suite, &suffix, base));
        figures.extend(accuracy::pass_at_k(measure, &suite, &suffix));
        figures.extend(accuracy::by_op(measure, &suite, &suffix));
        figures.extend(split::split(measure, &suite, &suffix));
        figures.extend(accuracy::ladder(measure, &suite, &suffix));
    }
    figures
}

/// The figures drawn from `metrics.jsonl` alone.
pub fn of_training(measure: &Measure) -> Vec<Figure> {
    let mut figures = Vec::new();
    figures.extend(training::curves(
        measure,
        ("reward", "Reward"),
        "Mean reward of the rollouts at each step of RL.",
        &[("critic/rewards/mean", "reward")],
        |kind| kind == StageKind::Rl,
    ));
    figures.extend(training::groups(measure));
    figures.extend(training::curriculum(measure));
    figures.extend(training::curves(
        measure,
        ("signals", "RL, other signals"),
        "Share of rollouts that are correct, and with a correct answer by a wrong process; their length; the entropy of the policy and its distance from where it started.",
        &training::SIGNALS,
        |kind| kind == StageKind::Rl,
    ));
    figures.extend(training::curves(
        measure,
        ("loss", "Loss"),
        "Training loss at each step, in nats per token: of the whole objective, and of the solutions alone.",
        &[("loss", "objective"), ("loss/response", "solutions")],
        |kind| kind != StageKind::Rl,
    ));
    figures.extend(training::held_out_loss(measure));
    figures
}

/// The suites, each with what tells its figures' names apart.
fn suites(measure: &Measure) -> Vec<(String, String)> {
    let suites = measure.folder.suites();
    let several = suites.len() > 1;
    let suffix = |suite: &String| if several { format!("-{suite}") } else { String::new() };
    suites.iter().map(|suite| (suite.clone(), suffix(suite))).collect()
}

/// Names of the files that the report made in `figures/`, one per line: it removes no others.
const MADE: &str = ".made-by-report";

/// Writes every figure under `RUN/figures/`: `ID.csv`, and `ID.svg` or `ID-1.svg`, `ID-2.svg`, …. Files that an earlier
/// report made and this one does not are removed, since a run that has grown has other panels. Other files stay.
///
/// # Errors
/// If a file cannot be written, or `figures` is a link that leads out of the run folder.
pub fn export(run_dir: &Path, figures: &[Figure]) -> Result<Vec<PathBuf>, ReportError> {
    let dir = run_dir.join("figures");
    files::make_folder(&dir)?;
    let [root, true_dir] = [run_dir, &dir].map(|path| fs::canonicalize(path).map_err(failed(path, "open")));
    if !true_dir?.starts_with(root?) {
        return Err(ReportError::Outside { path: dir });
    }
    let mut written = Vec::new();
    let mut write = |name: String, text: String| {
        files::write(&dir.join(&name), text.as_bytes())?;
        written.push(name);
        Ok::<_, ReportError>(())
    };
    for figure in figures {
        write(format!("{}.csv", figure.id), figure.csv())?;
        for (name, panel) in figure.drawings().into_iter().zip(&figure.panels) {
            write(name, panel.standalone())?;
        }
    }
    let earlier = fs::read_to_string(dir.join(MADE)).unwrap_or_default();
    for name in
        earlier.lines().filter(|name| !name.contains(['/', '\\']) && !written.iter().any(|new| new == name))
    {
        files::remove_file(&dir.join(name))?;
    }
    files::write(&dir.join(MADE), (written.join("\n") + "\n").as_bytes())?;
    Ok(written.iter().map(|name| dir.join(name)).collect())
}

/// Lines that one panel can hold and still be told apart.
const LINES_MAX: usize = 12;

/// The models for a set of panels, at most [`LINES_MAX`] in each, with what a panel's title says of it. Where
/// there are more, those between the first and the last of every arm are left out, and the last ones are
/// spread over several panels, each beside the first model that all arms share.
fn panels_of<'m>(measure: &'m Measure<'_>) -> Vec<(Vec<&'m Model>, String)> {
    if measure.models.len() <= LINES_MAX {
        return vec![(measure.models.iter().collect(), String::new())];
    }
    let last = measure.last_models();
    let arms = measure.models.iter().flat_map(|m| &m.arms).collect::<BTreeSet<_>>().len();
    let first = measure.models.iter().find(|m| m.arms.len() == arms && !last.contains(m));
    let room = LINES_MAX - usize::from(first.is_some());
    let count = last.len().div_ceil(room);
    let mut panels = Vec::new();
    for (i, chunk) in last.chunks(room).enumerate() {
        let part = if count > 1 { format!(" ({} of {count})", i + 1) } else { String::new() };
        panels.push((first.into_iter().chain(chunk.iter().copied()).collect(), part));
    }
    panels
}

/// A panel for each band.
fn by_band(measure: &Measure, panel: impl Fn(String, &Slice) -> Option<Chart>) -> Vec<Chart> {
    let bands = &measure.folder.manifest.bands;
    let of = |b: &Band| panel(words::band_name(&b.name, (b.from, b.to)), &Slice::ops(b.from, b.to));
    bands.iter().filter_map(of).collect()
}

fn rate(label: &str) -> Axis {
    Axis { label: label.into(), scale: Scale::Linear, format: Format::Percent, range: Some((0.0, 1.0)) }
}

fn plain(label: &str, scale: Scale) -> Axis {
    Axis { label: label.into(), scale, format: Format::Number, range: None }
}

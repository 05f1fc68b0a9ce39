//! Progress of a run: one bar at a time, and one line for each finished thing.

use std::collections::BTreeMap;
use std::time::Instant;

use runs::records::{EvalRow, MetricsRow, StageDone, StageInfo, StageKind};
use train::observer::{Event, Observer};

use crate::failure::sentence;
use crate::progress::{Progress, duration, now, say};

/// Draws progress on stderr.
#[derive(Default)]
pub(crate) struct Terminal {
    bar: Option<Progress>,
    /// When the stage started or was resumed.
    since: Option<Instant>,
    remark: String,
    /// Whether stages may come from other run folders.
    reuses: bool,
    /// The number of this job among others. Jobs draw no bars.
    job: Option<usize>,
}

impl Observer for Terminal {
    fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Preparing(what) => self.begin(what.to_owned(), 0, "", 0),
            Event::Arm { name, seed } => self.tell(&format!("arm {name}, seed {seed}")),
            Event::StageKnown { folder, taken_from: None } => self.tell(&format!("{folder}: already done")),
            Event::StageKnown { folder, taken_from: Some(run) } => {
                self.tell(&format!("{folder}: reused from {}", run.display()));
            }
            Event::Waiting { name, process: Some(process) } => {
                self.tell(&format!("waiting for {name}: {process} works on it"));
            }
            Event::Waiting { name, process: None } => {
                self.tell(&format!("waiting for {name}: another process works on it"));
            }
            Event::TakenOver { name, process } => {
                self.tell(&format!("{name}: taken over from {process}, whose lease stood still"));
            }
            Event::StageFailed { folder, error } => {
                self.tell(&format!("{folder} failed: {}", sentence(error)));
                self.tell("  stages that do not start from it go on");
            }
            Event::StageStarted { info, done } => {
                if done > 0 {
                    self.tell(&format!("{}: resumes after step {done}", info.name));
                } else if self.reuses {
                    self.tell(&format!("{}: not in any --reuse folder, so it runs here", info.name));
                }
                if let (Some(_), 0) = (self.job, done) {
                    self.tell(&format!("{}: begins", info.folder()));
                }
                self.since = Some(now());
                self.begin(info.name.clone(), info.steps, "steps", done);
            }
            Event::Sampling { done, total, .. } => self.note(&format!("sampling {done}/{total}")),
            Event::Step { info, metrics, .. } => self.step(info, metrics),
            Event::Checkpoint { .. } => {}
            Event::EvaluationStarted { suite, done, total } => {
                self.begin(format!("eval {suite}"), total as u64, "samples", done as u64);
            }
            Event::EvaluationReplaced { suite } => {
                self.tell(&format!("  {suite} has changed: it is measured again and replaces the old one"));
            }
            Event::Evaluating { done, .. } => {
                if let Some(bar) = &mut self.bar {
                    bar.set(done as u64);
                }
            }
            Event::EvaluationDone { suite, rows } => self.evaluated(suite, rows),
            Event::StageDone { info, done } => self.stage_done(info, done),
        }
    }
}

impl Terminal {
    pub(crate) fn new(reuses: bool, job: Option<usize>) -> Self {
        Self { reuses, job, ..Self::default() }
    }

    fn begin(&mut self, what: String, total: u64, unit: &str, done: u64) {
        if self.job.is_some() {
            return;
        }
        // The old bar goes before the new one comes.
        self.bar = None;
        let mut bar = Progress::new(what, total, unit);
        bar.start_at(done);
        self.bar = Some(bar);
    }

    fn tell(&mut self, line: &str) {
        self.bar = None;
        match self.job {
            Some(job) => say(&format!("[{job}] {line}")),
            None => say(line),
        }
    }

    fn note(&mut self, note: &str) {
        if let Some(bar) = &mut self.bar {
            let separator = if self.remark.is_empty() { "" } else { ", " };
            bar.remark(format!("{}{separator}{note}", self.remark));
            bar.tick();
        }
    }

    fn step(&mut self, info: &StageInfo, metrics: &MetricsRow) {
        let value = |name: &str| metrics.values.get(name).copied().flatten();
        let wanted: &[(&str, &str)] = match info.kind {
            StageKind::Rl => &[("reward", "critic/rewards/mean"), ("verified", "verified/mean")],
            StageKind::PreTraining | StageKind::MidTraining => &[("loss", "loss")],
            StageKind::Elsewhere => &[],
        };
        let shown = wanted.iter().filter_map(|(word, name)| Some(format!("{word} {:.3}", value(name)?)));
        self.remark = shown.collect::<Vec<_>>().join(", ");
        if let Some(bar) = &mut self.bar {
            bar.remark(self.remark.clone());
            bar.set(metrics.step);
        }
    }

    fn evaluated(&mut self, suite: &str, rows: &[EvalRow]) {
        let mut by_op: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for row in rows {
            let (sum, n) = by_op.entry(row.op).or_default();
            *sum += f64::from(row.verified) / f64::from(row.n.max(1));
            *n += 1.0;
        }
        let shown = by_op.iter().map(|(op, (sum, n))| format!("op {op} {:.1}%", 100.0 * sum / n));
        self.tell(&format!("  {suite}: pass@1 {}", shown.collect::<Vec<_>>().join(", ")));
        self.remark.clear();
    }

    fn stage_done(&mut self, info: &StageInfo, done: &StageDone) {
        let seconds = self.since.take().map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.remark.clear();
        self.tell(&format!(
            "{}: {} steps, {:.2} M tokens trained, {:.2} M sampled, {}",
            info.name,
            done.steps,
            done.cost.trained_tokens as f64 / 1e6,
            done.cost.sampled_tokens as f64 / 1e6,
            duration(seconds),
        ));
        if done.cost.skipped_updates > 0 {
            let updates = done.cost.skipped_updates;
            self.tell(&format!("  {updates} updates were left out: the gradient was not finite"));
        }
    }
}

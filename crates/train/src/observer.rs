//! What a run reports while it works. The library prints nothing: the caller draws progress bars, or nothing at all.

use std::path::Path;

use runs::{
    Process,
    records::{EvalRow, MetricsRow, StageDone, StageInfo},
};

use crate::error::RunError;

/// Something that happened in a run.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Something is being made that takes a moment: `tokenizer`, `suite main`.
    Preparing(&'a str),
    /// An arm is begun at a seed.
    Arm {
        /// The arm.
        name: &'a str,
        /// The seed.
        seed: u64,
    },
    /// A stage is finished already, by an earlier run or another arm.
    StageKnown {
        /// The stage's folder name.
        folder: &'a str,
        /// The run folder that it was taken from just now.
        taken_from: Option<&'a Path>,
    },
    /// Other processes work on everything that can be begun.
    Waiting {
        /// A part of the run that is waited for: `tokenizer`, `suites`, or a stage's folder name.
        name: &'a str,
        /// Who works on it, if they say.
        process: Option<&'a Process>,
    },
    /// A part of the run is taken over from a process that was not heard of for too long.
    TakenOver {
        /// The part.
        name: &'a str,
        /// The process that had it.
        process: &'a Process,
    },
    /// A stage cannot go on. Those that do not start from it do.
    StageFailed {
        /// The stage's folder name.
        folder: &'a str,
        /// Why.
        error: &'a RunError,
    },
    /// A stage begins, or goes on after `done` steps.
    StageStarted {
        /// The stage.
        info: &'a StageInfo,
        /// Steps that an earlier run took.
        done: u64,
    },
    /// Rollouts of a step are being sampled.
    Sampling {
        /// Responses so far.
        done: usize,
        /// All of the step.
        total: usize,
        /// Tokens so far.
        tokens: u64,
    },
    /// A step is done.
    Step {
        /// The stage.
        info: &'a StageInfo,
        /// The line of `metrics.jsonl`.
        metrics: &'a MetricsRow,
        /// The line of `timings.jsonl`.
        timings: &'a MetricsRow,
    },
    /// A checkpoint has been saved.
    Checkpoint {
        /// Its folder.
        path: &'a Path,
    },
    /// A suite is begun, or goes on.
    EvaluationStarted {
        /// The suite.
        suite: &'a str,
        /// Samples already there.
        done: usize,
        /// All samples.
        total: usize,
    },
    /// A suite asks for something else than what was measured: it is measured again, in the place of the old.
    EvaluationReplaced {
        /// The suite.
        suite: &'a str,
    },
    /// A suite is being sampled.
    Evaluating {
        /// The suite.
        suite: &'a str,
        /// Samples so far.
        done: usize,
        /// All samples.
        total: usize,
        /// Tokens so far.
        tokens: u64,
    },
    /// A suite is done.
    EvaluationDone {
        /// The suite.
        suite: &'a str,
        /// Its rows.
        rows: &'a [EvalRow],
    },
    /// A stage is done, evaluations included.
    StageDone {
        /// The stage.
        info: &'a StageInfo,
        /// What it cost.
        done: &'a StageDone,
    },
}

/// Is told of what a run does.
pub trait Observer {
    /// Called at every event, often several times a second.
    fn on(&mut self, event: Event<'_>);
}

/// Ignores everything.
impl Observer for () {
    fn on(&mut self, _: Event<'_>) {}
}

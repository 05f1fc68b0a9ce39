//! The training loop, which pre-training, mid-training and reinforcement learning share. It asks its source for the work
//! of a step, passes it through the model, and reports. The caller decides what happens between steps.

use learner::Learner;
use runs::records::MetricsRow;

use crate::{
    error::RunError,
    ledger::Ledger,
    metrics::Metrics,
    observer::Observer,
    recipe::Stage,
    stopwatch,
    work::{BatchSource, Step},
};

/// A stage on its way.
pub struct Training<'a> {
    /// The model.
    pub learner: Box<dyn Learner>,
    /// Where the work comes from.
    pub source: Box<dyn BatchSource + 'a>,
    /// What was spent and seen.
    pub ledger: Ledger,
    /// The stage.
    pub stage: &'a Stage,
    /// Steps it will take.
    pub steps: u64,
    /// Steps taken.
    pub step: u64,
}

/// Measures the model after a step, into the step's metrics.
pub type Measure<'a> = dyn FnMut(&mut dyn Learner, u64, &mut Metrics) -> Result<(), RunError> + 'a;

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The line of `metrics.jsonl`.
    pub metrics: MetricsRow,
    /// The line of `timings.jsonl`.
    pub timings: MetricsRow,
}

/// Updates that are left out one after the other before the stage counts as diverged.
const SKIPPED_AT_MOST: u64 = 10;

impl Training<'_> {
    /// Takes the next step, or says that there is none. `measure` adds measurements of the model after it.
    ///
    /// # Errors
    /// If the model or the source fails, or training has diverged; the model is then in the middle of a step.
    pub fn next(
        &mut self,
        observer: &mut dyn Observer,
        measure: &mut Measure<'_>,
    ) -> Result<Option<Report>, RunError> {
        if self.step >= self.steps {
            return Ok(None);
        }
        self.step += 1;
        let (mut metrics, mut timings) = (Metrics::default(), Metrics::default());
        let whole = stopwatch::start();
        let mut step = Step {
            number: self.step,
            metrics: &mut metrics,
            timings: &mut timings,
            ledger: &mut self.ledger,
            observer,
        };
        let updates = self.source.work(&mut *self.learner, &mut step)?;
        let share = self.stage.schedule.at(self.step, self.steps);
        let optimizer = self.stage.optimizer.at(share);
        metrics.set("learning_rate", f64::from(optimizer.lr));
        metrics.set("updates", updates.len() as f64);
        let training = stopwatch::start();
        let mut trained = 0;
        for update in updates {
            for mut batch in update {
                batch.prepare()?;
                let pass =
                    self.learner.forward_backward(batch.batch(), batch.objective(), batch.temperature())?;
                trained += batch.batch().len() as u64;
                batch.observe(&pass, &mut metrics);
            }
            let applied = self.learner.optim_step(&optimizer)?;
            self.ledger.count_update(applied.applied);
            if applied.applied {
                metrics.mean("grad_norm", applied.grad_norm, 1.0);
            } else if self.ledger.skipped_in_a_row >= SKIPPED_AT_MOST {
                let (stage, step) = (self.stage.name.clone(), self.step);
                return Err(RunError::Diverged { stage, step, updates: SKIPPED_AT_MOST });
            }
        }
        let seconds = training.seconds();
        timings.set("timing_s/update_actor", seconds);
        timings.set("tokens_per_second/train", trained as f64 / seconds);
        self.ledger.trained_tokens += trained;
        metrics.set("num_tokens", self.ledger.trained_tokens as f64);
        metrics.set("skipped_updates", self.ledger.skipped_updates as f64);
        measure(&mut *self.learner, self.step, &mut metrics)?;
        timings.set("timing_s/step", whole.seconds());
        Ok(Some(Report { metrics: metrics.row(self.step), timings: timings.row(self.step) }))
    }
}

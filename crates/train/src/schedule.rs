//! How the learning rate runs over a stage.

use serde::{Deserialize, Serialize};

/// The learning rate over the steps of a stage: a warm-up from 0 to the peak, then one of four shapes.
///
/// Example: WSD over 100 steps, 10 of warm-up, decay over the last 20%, down to 0:
/// steps 1–10 rise, 11–80 are at the peak, 81–100 fall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The shape after the warm-up.
    #[serde(default)]
    pub kind: ScheduleKind,
    /// Warm-up in steps; not together with `warmup_share`.
    #[serde(default)]
    pub warmup_steps: u64,
    /// Warm-up as a share of the stage's steps, 0 to 1.
    #[serde(default)]
    pub warmup_share: f64,
    /// The last steps over which `wsd` decays, as a share of the stage's steps.
    #[serde(default = "default_decay_share")]
    pub decay_share: f64,
    /// The rate at the end as a share of the peak (`linear`, `cosine`, `wsd`).
    #[serde(default)]
    pub minimum: f64,
}

/// The shape of a [`Schedule`] after its warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The peak until the end.
    #[default]
    Constant,
    /// A straight line to the minimum.
    Linear,
    /// Half a cosine to the minimum.
    Cosine,
    /// Warm-up, stable, decay: the peak, then a straight line to the minimum.
    Wsd,
}

fn default_decay_share() -> f64 {
    0.2
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Constant,
            warmup_steps: 0,
            warmup_share: 0.0,
            decay_share: default_decay_share(),
            minimum: 0.0,
        }
    }
}

impl Schedule {
    /// The learning rate of `step` (from 1) of `steps`, as a share of the peak.
    pub fn at(&self, step: u64, steps: u64) -> f64 {
        let warmup = if self.warmup_share > 0.0 {
            (self.warmup_share * steps as f64).round() as u64
        } else {
            self.warmup_steps
        };
        if step < warmup {
            return step as f64 / warmup as f64;
        }
        match self.kind {
            ScheduleKind::Constant => 1.0,
            ScheduleKind::Linear => self.down(1.0 - progress(step, warmup, steps)),
            ScheduleKind::Cosine => {
                self.down(0.5 * (1.0 + (std::f64::consts::PI * progress(step, warmup, steps)).cos()))
            }
            ScheduleKind::Wsd => {
                let decay = (self.decay_share * steps as f64).round() as u64;
                let start = steps.saturating_sub(decay).max(warmup);
                if step <= start { 1.0 } else { self.down(1.0 - progress(step, start, steps)) }
            }
        }
    }

    fn down(&self, share: f64) -> f64 {
        self.minimum + (1.0 - self.minimum) * share
    }
}

/// How far `step` is from `from` to `to`, 0 to 1.
fn progress(step: u64, from: u64, to: u64) -> f64 {
    if to <= from { 0.0 } else { (step.saturating_sub(from) as f64 / (to - from) as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schedule: Schedule, steps: u64, expected: &[(u64, f64)]) {
        schedule.check().expect("the schedule is valid");
        for &(step, rate) in expected {
            let got = schedule.at(step, steps);
            assert!((got - rate).abs() < 1e-12, "step {step}: {got}, not {rate}");
        }
    }

    #[test]
    fn shapes() {
        let base = Schedule { warmup_steps: 10, minimum: 0.1, ..Schedule::default() };
        check(base, 100, &[(1, 0.1), (5, 0.5), (10, 1.0), (100, 1.0)]);
        let linear = Schedule { kind: ScheduleKind::Linear, ..base };
        check(linear, 110, &[(10, 1.0), (60, 0.55), (110, 0.1)]);
        let cosine = Schedule { kind: ScheduleKind::Cosine, ..base };
        check(cosine, 110, &[(10, 1.0), (60, 0.55), (110, 0.1)]);
        let wsd = Schedule { kind: ScheduleKind::Wsd, minimum: 0.0, ..base };
        check(wsd, 100, &[(5, 0.5), (11, 1.0), (80, 1.0), (90, 0.5), (100, 0.0)]);
    }

    #[test]
    fn warm_up_as_a_share() {
        let schedule = Schedule { warmup_share: 0.25, ..Schedule::default() };
        check(schedule, 40, &[(1, 0.1), (10, 1.0), (11, 1.0)]);
    }

    #[test]
    fn a_warm_up_given_twice_is_refused() {
        let schedule = Schedule { warmup_share: 0.1, warmup_steps: 3, ..Schedule::default() };
        assert_eq!(schedule.check().map_err(|(field, _)| field), Err("warmup_share"));
    }
}

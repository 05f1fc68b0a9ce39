//! Checks that a run will be able to decide the claims of a recipe.

use runs::{Claim, Evaluation, Metric, draws};

use super::Arm;

/// Checks that everything a claim names is there and measured.
///
/// # Errors
/// What is missing.
pub(super) fn check(claim: &Claim, evaluation: &Evaluation, arms: &[Arm]) -> Result<(), String> {
    let suite = evaluation.suites.iter().find(|suite| suite.name == claim.suite);
    let suite = suite.ok_or_else(|| format!("there is no suite `{}`", claim.suite))?;
    if claim.ops(&evaluation.bands, suite)?.is_empty() {
        return Err(format!("suite `{}` has no problem of these ops", suite.name));
    }
    let no_problem = |name: &str| Err(format!("suite `{}` has no problem of `{name}`", suite.name));
    if let Some(context) = claim.context.as_ref().filter(|context| !suite.contexts.contains(context)) {
        return no_problem(context);
    }
    if let Some(mode) = claim.mode.filter(|mode| !suite.modes.contains(mode)) {
        return no_problem(mode.name());
    }
    let (needed, samples) = (claim.metric.samples(), suite.samples);
    if needed > samples {
        return Err(format!("{} needs {needed} samples, and there are {samples}", claim.metric));
    }
    if let Metric::MajAt(k) = claim.metric
        && draws(samples, k).is_infinite()
    {
        return Err(format!(
            "{} of {samples} samples cannot be computed, there are too many ways to draw them: take fewer samples \
                 or a smaller k",
            claim.metric
        ));
    }
    if !(claim.margin.is_finite() && claim.margin >= 0.0) {
        return Err(format!("a margin of {} is impossible", claim.margin));
    }
    for point in claim.points() {
        let arm = arms.iter().find(|arm| arm.name == point.arm);
        let arm = arm.ok_or_else(|| format!("there is no arm `{}`", point.arm))?;
        for stage in std::iter::once(&point.stage).chain(&point.since) {
            if !arm.stages.iter().any(|known| known.stage.name == *stage) {
                return Err(format!("arm `{}` has no stage `{stage}`", point.arm));
            }
            if !suite.after.is_empty() && !suite.after.contains(stage) {
                return Err(format!("suite `{}` is not run after stage `{stage}`", suite.name));
            }
        }
        let place = |stage: &String| arm.stages.iter().position(|known| known.stage.name == *stage);
        if let Some(since) = point.since.as_ref().filter(|since| place(since) >= place(&point.stage)) {
            return Err(format!("`{since}` is no earlier stage than `{}`", point.stage));
        }
    }
    Ok(())
}

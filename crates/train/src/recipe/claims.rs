//! Checks that a run will be able to decide the claims of a recipe.

use runs::{Claim, Evaluation, Metric, Point, Side, SuiteConfig, draws};

use super::{Arm, known::unknown};

/// The field, and what is wrong with it.
type Wrong = (&'static str, String);

/// Checks that everything a claim names is there and measured. `names` are those of all arms, `arms` those that are right.
///
/// # Errors
/// The field and what is missing.
pub(super) fn check(
    claim: &Claim,
    evaluation: &Evaluation,
    names: &[String],
    arms: &[Arm],
) -> Result<(), Wrong> {
    let suites = evaluation.suites.iter().map(|suite| suite.name.as_str());
    let suite = evaluation.suites.iter().find(|suite| suite.name == claim.suite);
    let suite = suite.ok_or_else(|| ("suite", unknown("suite", &claim.suite, suites)))?;
    let bands = || evaluation.bands.iter().map(|band| band.name.as_str());
    if let Some(band) = claim.band.as_deref().filter(|name| !bands().any(|band| band == *name)) {
        return Err(("band", unknown("band", band, bands())));
    }
    let asked = if claim.band.is_some() { "band" } else { "ops" };
    if claim.ops(&evaluation.bands, suite).map_err(|message| ("ops", message))?.is_empty() {
        return Err((asked, format!("suite `{}` has no problem of these ops", suite.name)));
    }
    let no_problem = |name: &str| format!("suite `{}` has no problem of `{name}`", suite.name);
    if let Some(context) = claim.context.as_ref().filter(|context| !suite.contexts.contains(context)) {
        return Err(("context", no_problem(context)));
    }
    if let Some(mode) = claim.mode.filter(|mode| !suite.modes.contains(mode)) {
        return Err(("mode", no_problem(mode.name())));
    }
    metric(claim.metric, suite.samples).map_err(|message| ("metric", message))?;
    if !(claim.margin.is_finite() && claim.margin >= 0.0) {
        return Err(("margin", format!("a margin of {} is impossible", claim.margin)));
    }
    point(&claim.left, &LEFT, suite, names, arms)?;
    match &claim.right {
        Side::Model(right) => point(right, &RIGHT, suite, names, arms),
        Side::Number(_) => Ok(()),
    }
}

/// Whether a suite of so many samples can measure a metric.
fn metric(metric: Metric, samples: u32) -> Result<(), String> {
    let needed = metric.samples();
    if needed > samples {
        return Err(format!("{metric} needs {needed} samples, and there are {samples}"));
    }
    if let Metric::MajAt(k) = metric
        && draws(samples, k).is_infinite()
    {
        return Err(format!(
            "{metric} of {samples} samples cannot be computed, there are too many ways to draw them: take fewer samples \
                 or a smaller k"
        ));
    }
    Ok(())
}

/// The fields of a side: the side itself, and its arm, stage and earlier stage.
struct Fields {
    side: &'static str,
    arm: &'static str,
    stage: &'static str,
    since: &'static str,
}

const LEFT: Fields = Fields { side: "left", arm: "left.arm", stage: "left.stage", since: "left.since" };
const RIGHT: Fields = Fields { side: "right", arm: "right.arm", stage: "right.stage", since: "right.since" };

/// Whether a model that a claim names is there and measured.
fn point(
    point: &Point,
    fields: &Fields,
    suite: &SuiteConfig,
    names: &[String],
    arms: &[Arm],
) -> Result<(), Wrong> {
    if !names.contains(&point.arm) {
        let list = names.iter().map(String::as_str);
        // What `arm` is where it is left out.
        return Err(if point.arm == "main" {
            let message = format!("`{}` needs an `arm`; there are: {}", fields.side, names.join(", "));
            (fields.side, message)
        } else {
            (fields.arm, unknown("arm", &point.arm, list))
        });
    }
    // The errors of an arm that is wrong are told already.
    let Some(arm) = arms.iter().find(|arm| arm.name == point.arm) else { return Ok(()) };
    let place = |stage: &str| arm.stages.iter().position(|known| known.stage.name == stage);
    let stages = [(fields.stage, Some(&point.stage)), (fields.since, point.since.as_ref())];
    for (field, stage) in stages.into_iter().filter_map(|(field, stage)| Some((field, stage?))) {
        if place(stage).is_none() {
            let known = arm.stages.iter().map(|known| known.stage.name.as_str());
            let what = unknown("stage", stage, known);
            return Err((field, format!("arm `{}`: {what}", point.arm)));
        }
        if !suite.after.is_empty() && !suite.after.contains(stage) {
            return Err((field, format!("suite `{}` is not run after stage `{stage}`", suite.name)));
        }
    }
    if let Some(since) = point.since.as_ref().filter(|since| place(since) >= place(&point.stage)) {
        return Err((fields.since, format!("`{since}` is no earlier stage than `{}`", point.stage)));
    }
    Ok(())
}

//! What is measured after each stage, and what is claimed about it.

use std::fmt;

use problems::verify::Policy;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::{
    Arm,
    metric::{Metric, draws},
    mix::{bad_range, ranges},
};
use crate::{learner::Sampling, records::Band};

/// What is measured: suites of held-out problems, reported in bands of op.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Names the suites' problems: the same for all arms and seeds, so that they can be compared pairwise.
    #[serde(default)]
    pub seed: u64,
    /// Bands of op that results are reported in.
    #[serde(default)]
    pub bands: Vec<Band>,
    /// Problems of each cell for the loss during training (`validate_every`).
    #[serde(default = "default_validation_problems")]
    pub validation_problems: u64,
    /// The suites.
    #[serde(default, rename = "suite")]
    pub suites: Vec<SuiteConfig>,
}

fn default_validation_problems() -> u64 {
    16
}

/// A fixed set of held-out problems and how the model is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteConfig {
    /// Its name; files are named by it.
    pub name: String,
    /// The ops: `"2-7,9-10"` or `[2, 3]`.
    pub ops: OpList,
    /// The contexts.
    pub contexts: Vec<String>,
    /// The modes.
    #[serde(default = "forward")]
    pub modes: Vec<String>,
    /// Problems of each op × context × mode.
    pub problems: u64,
    /// Samples a problem.
    pub samples: u32,
    /// The k of pass@k; empty: powers of two up to `samples`.
    #[serde(default)]
    pub k: Vec<u32>,
    /// Sampling temperature; 0 is greedy.
    #[serde(default = "default_temperature")]
    pub temperature: f32,
    /// Nucleus; 1 is off.
    #[serde(default = "one")]
    pub top_p: f32,
    /// Only the k most likely tokens; 0 is off.
    #[serde(default)]
    pub top_k: u32,
    /// Longest response, in tokens. A response that reaches it is a failure.
    pub max_tokens: u32,
    /// The stages after which it is run; empty: all.
    #[serde(default)]
    pub after: Vec<String>,
    /// The verdict that counts.
    #[serde(default = "paper")]
    pub policy: Policy,
    /// Problems sampled at once: how much is lost at most when a run is stopped.
    #[serde(default = "default_chunk")]
    pub chunk: usize,
}

impl SuiteConfig {
    /// The sampling of the suite.
    pub fn sampling(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            max_tokens: self.max_tokens,
        }
    }
}

fn forward() -> Vec<String> {
    vec!["forward".to_owned()]
}
fn default_temperature() -> f32 {
    0.7
}
fn one() -> f32 {
    1.0
}
fn paper() -> Policy {
    Policy::Paper
}
fn default_chunk() -> usize {
    50
}

/// A list of ops, written as text (`"2-7,9-10"`) or numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpList(pub Vec<u32>);

impl<'de> Deserialize<'de> for OpList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OpListVisitor;
        impl<'de> Visitor<'de> for OpListVisitor {
            type Value = OpList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ops such as \"2-7,9-10\" or [2, 3]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OpList, E> {
                ranges(text).map(OpList).ok_or_else(|| bad_range(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OpList, A::Error> {
                let mut ops = Vec::new();
                while let Some(op) = list.next_element()? {
                    ops.push(op);
                }
                Ok(OpList(ops))
            }
        }
        deserializer.deserialize_any(OpListVisitor)
    }
}

/// An inequality that the run is to decide: holds, fails, or inconclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// A short name.
    pub name: String,
    /// The claim in words.
    pub says: String,
    /// The suite it is measured on.
    pub suite: String,
    /// Only problems of this band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<String>,
    /// Only problems of these ops, e.g. `"9-10"`; instead of a band.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ops: Option<OpList>,
    /// Only problems of this context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Only problems of this mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The number that is compared.
    pub metric: Metric,
    /// The side that the claim is about.
    pub left: Point,
    /// What it is compared with.
    pub right: Side,
    /// What is claimed of left − right.
    #[serde(default)]
    pub relation: Relation,
    /// `greater`: larger by more than this. `less`: smaller by more than this. `equal`: within this.
    #[serde(default)]
    pub margin: f64,
    /// The paper's figure for left − right, if it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper: Option<f64>,
    /// What the paper says of it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_says: Option<String>,
}

/// A model in a recipe: an arm after a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The arm; `main` in a recipe without arms.
    #[serde(default = "main_arm")]
    pub arm: String,
    /// The stage.
    pub stage: String,
    /// Not the number itself but its change since this earlier stage of the same arm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// The right side of a claim.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Side {
    /// A number, e.g. 0.9 for “pass@128 is above 90%”.
    Number(f64),
    /// A model.
    Model(Point),
}

// By hand: a derived untagged enum would not say which key of the model is unknown.
impl<'de> Deserialize<'de> for Side {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SideVisitor;
        impl<'de> Visitor<'de> for SideVisitor {
            type Value = Side;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a model such as { arm = \"main\", stage = \"rl\" }, or a number")
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Side, E> {
                Ok(Side::Number(number))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Side, E> {
                Ok(Side::Number(number as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Side, A::Error> {
                Point::deserialize(MapAccessDeserializer::new(map)).map(Side::Model)
            }
        }
        deserializer.deserialize_any(SideVisitor)
    }
}

impl Claim {
    /// The models it names: the left one, and the right one if the right side is one.
    pub fn points(&self) -> impl Iterator<Item = &Point> {
        let right = match &self.right {
            Side::Model(point) => Some(point),
            Side::Number(_) => None,
        };
        std::iter::once(&self.left).chain(right)
    }

    /// The ops it is about, of those of its suite.
    ///
    /// # Errors
    /// If it names a band that does not exist, or a band and ops.
    pub fn ops(&self, bands: &[Band], suite: &SuiteConfig) -> Result<Vec<u32>, String> {
        let named: Box<dyn Fn(u32) -> bool> = match (&self.band, &self.ops) {
            (Some(_), Some(_)) => return Err("name a `band` or `ops`, not both".to_owned()),
            (Some(name), None) => {
                let band = bands.iter().find(|band| band.name == *name);
                let band = band.ok_or_else(|| format!("there is no band `{name}`"))?;
                Box::new(|op| (band.from..=band.to).contains(&op))
            }
            (None, Some(ops)) => Box::new(|op| ops.0.contains(&op)),
            (None, None) => Box::new(|_| true),
        };
        Ok(suite.ops.0.iter().copied().filter(|op| named(*op)).collect())
    }

    /// Whether the run will be able to decide it: everything it names is there and measured.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn check(&self, evaluation: &Evaluation, arms: &[Arm]) -> Result<(), String> {
        let suite = evaluation.suites.iter().find(|suite| suite.name == self.suite);
        let suite = suite.ok_or_else(|| format!("there is no suite `{}`", self.suite))?;
        if self.ops(&evaluation.bands, suite)?.is_empty() {
            return Err(format!("suite `{}` has no problem of these ops", suite.name));
        }
        for (name, known) in [(&self.context, &suite.contexts), (&self.mode, &suite.modes)] {
            if let Some(name) = name.as_ref().filter(|name| !known.contains(name)) {
                return Err(format!("suite `{}` has no problem of `{name}`", suite.name));
            }
        }
        let (needed, samples) = (self.metric.samples(), suite.samples);
        if needed > samples {
            return Err(format!("{} needs {needed} samples, and there are {samples}", self.metric));
        }
        if let Metric::MajAt(k) = self.metric
            && draws(samples, k).is_infinite()
        {
            return Err(format!(
                "{} of {samples} samples cannot be computed, there are too many ways to draw them: take fewer samples \
                 or a smaller k",
                self.metric
            ));
        }
        if !(self.margin.is_finite() && self.margin >= 0.0) {
            return Err(format!("a margin of {} is impossible", self.margin));
        }
        for point in self.points() {
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
}

fn main_arm() -> String {
    "main".to_owned()
}

/// What is claimed of a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is larger than the margin.
    #[default]
    Greater,
    /// It is below minus the margin.
    Less,
    /// It lies within ± the margin.
    Equal,
}

/// Arms that are meant to cost the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matched {
    /// The arms.
    pub arms: Vec<String>,
    /// What is compared.
    #[serde(default)]
    pub by: MatchedBy,
}

/// The measure of a compute match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchedBy {
    /// The paper's nominal token equivalents.
    #[default]
    NominalTokens,
    /// Floating-point operations as planned.
    Flops,
}

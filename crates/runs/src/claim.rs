//! What a recipe claims in advance.

use std::fmt;

use problems::gold::Mode;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{Metric, OpList, SuiteConfig, records::Band};

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
    pub mode: Option<Mode>,
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

//! What a user asks for: the world that problems live in, and the cell that a problem belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::context::Style;
use super::graph::SIDE_MAX;
use super::mode::Mode;

/// The largest op. Every step may need a letter of its own, and reverse mode has 50 letters.
pub const OP_MAX: u32 = 50;

/// The largest modulus: products of two remainders stay far from overflow.
const MODULUS_MAX: i64 = 1_000_000;

/// The names of variables in solutions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variables {
    /// Random letters, as the reference does it.
    #[default]
    Random,
    /// a, b, c, … in the order of their definition.
    Ordered,
    /// The quantity's own name; only intermediate results have letters (in the order of their definition).
    Names,
}

/// The order of the sentences in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sentences {
    /// In random order, as the reference does it.
    #[default]
    Random,
    /// In the order of the solution's steps, with distractors anywhere between. Totals add up in that order as well.
    Solution,
}

impl Sentences {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_random(&self) -> bool {
        *self == Self::Random
    }
}

/// A distribution with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Shapes and numbers of distractors as measured on the reference generator (op 2 to 20, d = 2).
    Reference,
}

/// Chances that decide the form of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Forms {
    /// That a quantity with room for exactly one edge is a number (else it equals another quantity).
    pub number: f64,
    /// That a quantity with room for more edges has a literal among them.
    pub literal: f64,
    /// That a literal multiplies (else it is added).
    pub times: f64,
    /// That two operands are subtracted (else they are added).
    pub difference: f64,
}

impl Default for Forms {
    fn default() -> Self {
        Self { number: 0.5, literal: 0.5, times: 0.5, difference: 0.5 }
    }
}

/// The world that problems live in: every knob of the generator, with the reference's values as defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// 2 (medium) or 3 (hard: averages and grand totals).
    pub d: u8,
    /// Every value, intermediate results included, is from 1 to this.
    pub max_value: i64,
    /// Every result is the remainder by this, from 0 up, and the text says so; `max_value` then has no effect.
    /// Forward problems only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<i64>,
    /// Fewest and most places of a problem.
    pub places: (u8, u8),
    /// Fewest and most kinds of a problem.
    pub kinds: (u8, u8),
    /// Mean number of sentences that the query does not depend on (fewer where there is no room).
    pub distractors: f64,
    /// Most quantities that a sentence refers to.
    pub max_operands: u8,
    /// Smallest and largest literal.
    pub literals: (i64, i64),
    /// Chances that decide the form of a sentence.
    pub forms: Forms,
    /// Chance that the path ends in a total (forward: that a total is asked for; reverse: that its value is given).
    pub query_total: f64,
    /// The names of variables in solutions.
    pub variables: Variables,
    /// The order of the sentences in the text.
    #[serde(skip_serializing_if = "Sentences::is_random")]
    pub sentences: Sentences,
    /// How sentences and solutions are written; as the context says if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// A distribution with a name; it replaces `distractors`, `query_total`, and `number` and `literal` of `forms`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            d: 2,
            max_value: 1000,
            modulus: None,
            places: (1, SIDE_MAX as u8),
            kinds: (1, SIDE_MAX as u8),
            distractors: 2.0,
            max_operands: 4,
            literals: (1, 4),
            forms: Forms::default(),
            query_total: 0.85,
            variables: Variables::Random,
            sentences: Sentences::Random,
            style: None,
            preset: None,
        }
    }
}

/// A world or a cell that no problem can be made for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A knob out of its bounds.
    #[error("{knob} is {value}, but must be {bounds}")]
    Knob {
        /// Name of the knob.
        knob: &'static str,
        /// What was asked for.
        value: String,
        /// What is possible.
        bounds: String,
    },
    /// No context has that name.
    #[error("there is no context `{name}`; known are {known}")]
    Context {
        /// What was asked for.
        name: String,
        /// The names of all contexts.
        known: String,
    },
    /// No problem of this cell exists in this world.
    #[error("no problem of op {op} ({mode}) can be made: {why}")]
    Impossible {
        /// The cell's op.
        op: u32,
        /// The cell's mode.
        mode: &'static str,
        /// The reason.
        why: String,
    },
}

impl World {
    /// Checks every knob by itself.
    ///
    /// # Errors
    /// Names the first knob that is out of bounds.
    pub fn check(&self) -> Result<(), SpecError> {
        let knob = |ok: bool, knob: &'static str, value: &dyn fmt::Debug, bounds: &str| {
            if ok {
                Ok(())
            } else {
                Err(SpecError::Knob { knob, value: format!("{value:?}"), bounds: bounds.to_owned() })
            }
        };
        let side = |range: (u8, u8)| range.0 >= 1 && range.0 <= range.1 && usize::from(range.1) <= SIDE_MAX;
        let chance = |p: f64| (0.0..=1.0).contains(&p);
        let sides = format!("a range within 1 to {SIDE_MAX}");
        knob((2..=3).contains(&self.d), "d", &self.d, "2 or 3")?;
        knob(
            (1..=1_000_000_000).contains(&self.max_value),
            "max_value",
            &self.max_value,
            "from 1 to 1000000000",
        )?;
        let modulus = self.modulus.unwrap_or(MODULUS_MAX);
        knob((2..=MODULUS_MAX).contains(&modulus), "modulus", &modulus, "from 2 to 1000000")?;
        knob(side(self.places), "places", &self.places, &sides)?;
        knob(side(self.kinds), "kinds", &self.kinds, &sides)?;
        knob((0.0..=50.0).contains(&self.distractors), "distractors", &self.distractors, "from 0 to 50")?;
        knob((1..=5).contains(&self.max_operands), "max_operands", &self.max_operands, "from 1 to 5")?;
        let (lo, hi) = self.literals;
        knob(1 <= lo && lo <= hi && hi <= 1000, "literals", &self.literals, "a range within 1 to 1000")?;
        knob(lo <= self.max_value, "literals", &self.literals, "not all above max_value")?;
        knob(hi < modulus, "literals", &self.literals, "below the modulus")?;
        knob(chance(self.forms.number), "forms.number", &self.forms.number, "from 0 to 1")?;
        knob(chance(self.forms.literal), "forms.literal", &self.forms.literal, "from 0 to 1")?;
        knob(chance(self.forms.times), "forms.times", &self.forms.times, "from 0 to 1")?;
        knob(chance(self.forms.difference), "forms.difference", &self.forms.difference, "from 0 to 1")?;
        knob(chance(self.query_total), "query_total", &self.query_total, "from 0 to 1")?;
        let reference = self.preset == Some(Preset::Reference);
        knob(!reference || self.d == 2, "d", &self.d, "2 with the reference preset")
    }

    /// The least and the largest value of a quantity.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        self.modulus.map_or((1, self.max_value), |modulus| (0, modulus - 1))
    }
}

/// The kind of a problem: what is fixed before anything is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Sum of the in-degrees on the path to the query, literals included.
    pub op: u32,
    /// Name of the context.
    pub context: String,
    /// Forward or reverse.
    pub mode: Mode,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {} {} {}", self.op, self.context, self.mode.name())
    }
}

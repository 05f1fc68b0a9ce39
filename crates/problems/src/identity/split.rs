//! Splits: which of train, RL, validation and test a problem belongs to, decided by a hash of what it is.
//!
//! The identity that decides depends on nothing but the rule and the cell's op, so two data sets made
//! with different worlds, seeds or contexts can never disagree:
//!
//! | rule | cells | identity |
//! |---|---|---|
//! | structure | op 6 and more | the path's graph, with operations and values, without entities |
//! | structure | op 1 to 5, which have a few hundred structures at most | the above with entities and distractors |
//! | text | all | problem, question and solution, blanks normalised (the paper's rule) |
//!
//! [`Identity::of`] is that table.

use serde::{Deserialize, Serialize};
use strum::{EnumCount as _, VariantArray as _};

/// What a problem is for.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Split {
    /// Pre-training and mid-training.
    Train,
    /// Prompts of reinforcement learning.
    Rl,
    /// Choosing settings.
    Validation,
    /// Reported results.
    Test,
}

/// Which identity decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// No structure occurs in two splits (cells with few structures: no instance does).
    #[default]
    Structure,
    /// No text occurs in two splits: the paper's weaker rule.
    Text,
}

/// The identity that decides for a cell.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Identity {
    /// The path's graph: operations and values.
    Structure,
    /// The whole graph with its entities; letters, sentence order and context do not matter.
    Instance,
    /// The text.
    Text,
}

/// Cells of at most this op have too few structures to be split by them.
pub const FEW_STRUCTURES_OP: u32 = 5;

impl Identity {
    /// The identity that decides for a cell (see the module's table).
    pub fn of(rule: SplitRule, op: u32) -> Self {
        match rule {
            SplitRule::Text => Self::Text,
            SplitRule::Structure if op <= FEW_STRUCTURES_OP => Self::Instance,
            SplitRule::Structure => Self::Structure,
        }
    }
}

impl Split {
    /// Every split, in order.
    pub const ALL: [Self; Self::COUNT] = *Self::VARIANTS.first_chunk().expect("there are COUNT variants");

    /// Its share of all identities. A draw that falls elsewhere is drawn again, so a problem takes 1/share draws
    /// on average.
    pub fn share(self) -> f64 {
        match self {
            Self::Train => 0.80,
            Self::Rl => 0.12,
            Self::Validation | Self::Test => 0.04,
        }
    }

    /// The split of an identity.
    pub fn of(hash: &[u8; 32]) -> Self {
        // A hash of the hash: the identity's own bytes serve as names and must stay independent of the split.
        let hash = blake3::derive_key("tercet split, version 1", hash);
        let u = f64::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]])) / 4_294_967_296.0;
        let mut below = 0.0;
        for split in Self::ALL {
            below += split.share();
            if u < below {
                return split;
            }
        }
        Self::Test
    }

    /// e.g. `train`
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let mut counts = [0; 4];
        for i in 0..20_000u64 {
            counts[Split::of(blake3::hash(&i.to_le_bytes()).as_bytes()) as usize] += 1;
        }
        for split in Split::ALL {
            let share = f64::from(counts[split as usize]) / 20_000.0;
            assert!((share - split.share()).abs() < 0.01, "{split:?} {share}");
        }
    }
}

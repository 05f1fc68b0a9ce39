//! Which quantity a problem asks for.

use serde::{Deserialize, Serialize};
use strum::{EnumCount as _, VariantArray as _};

/// Which quantity is asked for (paper, Section 2). Its name is the same in files, in tables and on the command line.
///
/// ```
/// use tercet_problems::gold::Mode;
/// assert_eq!(Mode::Reverse.name(), "reverse");
/// assert_eq!("forward".parse(), Ok(Mode::Forward));
/// ```
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
pub enum Mode {
    /// The last quantity of the topological order is asked for. The reference calls it `normalforward`.
    Forward,
    /// One quantity is unknown, and another's value is given. The reference calls it `forwardreverse`.
    Reverse,
}

impl Mode {
    /// Every mode, in order.
    pub const ALL: [Self; Self::COUNT] = *Self::VARIANTS.first_chunk().expect("there are COUNT variants");

    /// `forward` or `reverse`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The name in the reference's records.
    pub fn reference_name(self) -> &'static str {
        match self {
            Self::Forward => "normalforward",
            Self::Reverse => "forwardreverse",
        }
    }
}

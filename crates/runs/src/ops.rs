//! Lists and ranges of op, as people write them.

use std::{fmt, str::FromStr};

use problems::spec::OP_MAX;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, SeqAccess, Visitor},
};

/// Larger ops are not even listed: `"2-4000000000"` would fill the memory. What is listed and larger than [`OP_MAX`] is
/// refused where the mix or suite that asks for it is known.
const LISTED_MAX: u32 = 1000;

/// `"7"` or `"2-5"`, both ends included.
pub fn range(text: &str) -> Option<std::ops::RangeInclusive<u32>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to): (u32, u32) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (from <= to && to <= LISTED_MAX).then_some(from..=to)
}

/// `"2-5,7"`: ranges separated by commas.
pub fn ranges(text: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.split(',') {
        all.extend(range(part)?);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The error about a text that is none.
pub fn bad_range<E: Error>(text: &str) -> E {
    E::custom(not_ops(text))
}

fn not_ops(text: &str) -> String {
    format!("`{text}` is no op or range of ops: write \"7\", \"2-5\" or \"2-5,9\", up to {OP_MAX}")
}

/// A list of ops, written as text (`"2-7,9-10"`) or numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpList(pub Vec<u32>);

impl FromStr for OpList {
    type Err = String;

    /// ```
    /// use tercet_runs::OpList;
    /// assert_eq!("2-4,9,3".parse(), Ok(OpList(vec![2, 3, 4, 9])));
    /// assert!("5-2".parse::<OpList>().is_err() && "x".parse::<OpList>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        ranges(text).map(Self).ok_or_else(|| not_ops(text))
    }
}

impl<'de> Deserialize<'de> for OpList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OpListVisitor;
        impl<'de> Visitor<'de> for OpListVisitor {
            type Value = OpList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("ops such as \"2-7,9-10\" or [2, 3]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OpList, E> {
                text.parse().map_err(E::custom)
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

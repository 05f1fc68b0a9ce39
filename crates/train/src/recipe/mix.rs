//! What a stage is trained on: shares of op × context × mode.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use problems::{gold::Mode, spec::Cell};
use runs::ops::{bad_range, range, ranges};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, IntoDeserializer, MapAccess, SeqAccess, Visitor},
};

/// A part of a mix: every combination of its ops, contexts and modes, weighted by the product.
///
/// Example: `{ share = 0.9, ops = "2-20", contexts = "zoo" }` with
/// `{ share = 0.1, ops = "2", contexts = "school" }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Share of the mix; the shares of all parts sum to 1.
    #[serde(default = "one")]
    pub share: f64,
    /// Weights of ops: `"2-5"` (equal), or `{ 2 = 0.4, "3-5" = 0.6 }` (a range divides its weight equally).
    pub ops: Ops,
    /// Weights of contexts: `"zoo"`, `["zoo", "school"]` (equal), or `{ zoo = 0.9, school = 0.1 }`.
    pub contexts: Weights<String>,
    /// Weights of modes, written as those of contexts: `forward`, `reverse`.
    #[serde(default = "forward")]
    pub modes: Weights<Mode>,
}

fn one() -> f64 {
    1.0
}

fn forward() -> Weights<Mode> {
    Weights(BTreeMap::from([(Mode::Forward, 1.0)]))
}

/// Weights of ops; resolved to one weight an op.
#[derive(Debug, Clone, PartialEq)]
pub struct Ops(pub BTreeMap<u32, f64>);

/// Weights of names or modes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weights<K: Ord>(pub BTreeMap<K, f64>);

/// How far a sum of weights may be from 1.
const TOLERANCE: f64 = 1e-6;

/// The weight of every cell of a mix; the weights sum to 1.
///
/// # Errors
/// Where (a path inside the mix, such as `0.ops`) and what is wrong.
pub(crate) fn cells(parts: &[Part]) -> Result<BTreeMap<Cell, f64>, (String, String)> {
    check_sum("the shares of the parts", parts.iter().map(|part| part.share))
        .map_err(|message| (String::new(), message))?;
    let mut cells = BTreeMap::new();
    for (i, part) in parts.iter().enumerate() {
        let wrong = |field: &'static str| move |message| (format!("{i}.{field}"), message);
        check_sum("the weights of ops", part.ops.0.values().copied()).map_err(wrong("ops"))?;
        check_sum("the weights of contexts", part.contexts.0.values().copied()).map_err(wrong("contexts"))?;
        check_sum("the weights of modes", part.modes.0.values().copied()).map_err(wrong("modes"))?;
        for (&op, op_weight) in &part.ops.0 {
            for (context, context_weight) in &part.contexts.0 {
                for (&mode, mode_weight) in &part.modes.0 {
                    let cell = Cell { op, context: context.clone(), mode };
                    let weight = part.share * op_weight * context_weight * mode_weight;
                    *cells.entry(cell).or_insert(0.0) += weight;
                }
            }
        }
    }
    cells.retain(|_, weight| *weight > 0.0);
    Ok(cells)
}

fn check_sum(what: &str, weights: impl Iterator<Item = f64> + Clone) -> Result<(), String> {
    if let Some(weight) = weights.clone().find(|w| !w.is_finite() || *w < 0.0) {
        return Err(format!("{what} include {weight}, which is no share"));
    }
    let sum: f64 = weights.sum();
    if (sum - 1.0).abs() > TOLERANCE {
        return Err(format!("{what} sum to {}, not to 1", (sum * 1e6).round() / 1e6));
    }
    Ok(())
}

impl Serialize for Ops {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(op, weight)| (op.to_string(), weight)))
    }
}

impl<'de> Deserialize<'de> for Ops {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OpsVisitor;
        impl<'de> Visitor<'de> for OpsVisitor {
            type Value = Ops;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a range such as \"2-5\", or a table of weights such as { 2 = 0.4, \"3-5\" = 0.6 }",
                )
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ops, E> {
                let ops = ranges(text).ok_or_else(|| bad_range(text))?;
                Ok(Ops(ops.iter().map(|&op| (op, 1.0 / ops.len() as f64)).collect()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ops, A::Error> {
                let mut ops = BTreeMap::new();
                while let Some((key, weight)) = map.next_entry::<String, f64>()? {
                    let range = range(&key).ok_or_else(|| bad_range::<A::Error>(&key))?;
                    let count = range.clone().count() as f64;
                    for op in range {
                        if ops.insert(op, weight / count).is_some() {
                            return Err(A::Error::custom(format!("op {op} has two weights")));
                        }
                    }
                }
                Ok(Ops(ops))
            }
        }
        deserializer.deserialize_any(OpsVisitor)
    }
}

impl<'de, K: Ord + Deserialize<'de>> Deserialize<'de> for Weights<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WeightsVisitor<K>(PhantomData<K>);
        impl<'de, K: Ord + Deserialize<'de>> Visitor<'de> for WeightsVisitor<K> {
            type Value = Weights<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a name, a list of names, or a table of weights such as { zoo = 0.9, school = 0.1 }",
                )
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Weights<K>, E> {
                Ok(Weights(BTreeMap::from([(K::deserialize(name.into_deserializer())?, 1.0)])))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Weights<K>, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                let weight = 1.0 / names.len() as f64;
                Ok(Weights(names.into_iter().map(|name| (name, weight)).collect()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weights<K>, A::Error> {
                let mut names = BTreeMap::new();
                while let Some((name, weight)) = map.next_entry()? {
                    names.insert(name, weight);
                }
                Ok(Weights(names))
            }
        }
        deserializer.deserialize_any(WeightsVisitor(PhantomData))
    }
}

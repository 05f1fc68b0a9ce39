//! What a suite varies besides op.

use super::{Measure, Slice};

/// A factor of a suite with its levels, each as a slice of all ops.
pub(crate) struct Factor {
    /// `context` or `mode`.
    pub(crate) name: &'static str,
    /// Name and slice of each level; at least two.
    pub(crate) levels: Vec<(String, Slice)>,
}

impl Factor {
    /// The factors of which the suite has several levels.
    pub(crate) fn of(measure: &Measure, suite: &str) -> Vec<Self> {
        let context = |name: String| (name.clone(), Slice { context: Some(name), ..Slice::default() });
        let contexts = measure.contexts(suite).into_iter().map(context).collect();
        let modes = measure.modes(suite).into_iter();
        let modes =
            modes.map(|m| (m.name().to_owned(), Slice { mode: Some(m), ..Slice::default() })).collect();
        let factors = [Self { name: "context", levels: contexts }, Self { name: "mode", levels: modes }];
        factors.into_iter().filter(|factor| factor.levels.len() > 1).collect()
    }
}

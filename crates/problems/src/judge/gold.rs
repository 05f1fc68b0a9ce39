//! What the judge needs to know of a problem: names, parents and values. It says nothing of how the problem was made.

use serde::{Deserialize, Serialize};

use crate::world::linear::Linear;
pub use crate::world::mode::Mode;

/// The graph a solution is judged against: the nodes on the path to the query, in topological order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gold {
    /// The quantities of the solution; every parent comes before its children.
    pub nodes: Vec<GoldNode>,
    /// The answer.
    pub answer: i64,
    /// Forward or reverse.
    pub mode: Mode,
    /// The modulus of the problem's arithmetic, if it has one. Values of quantities are then remainders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modulus: Option<i64>,
}

/// One quantity of the solution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldNode {
    /// The name as the text has it, e.g. `adult wolf in South Zoo`.
    pub name: String,
    /// Indices into [`Gold::nodes`] of the quantities it is computed from; literals are not parents.
    /// Sorted and without repeats.
    pub parents: Vec<u32>,
    /// The value; in reverse mode possibly an expression in the unknown.
    pub value: Linear,
}

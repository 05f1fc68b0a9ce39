//! Making problems: from a cell to a plan, from a plan to a graph, from a graph to a problem.

mod distract;
pub(crate) mod generate;
mod plan;
mod renumber;
mod wire;

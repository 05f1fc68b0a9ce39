//! The same graph with other numbers.

use crate::problem::Problem;
use crate::world::context::Context;
use crate::world::graph::{Act, Graph, Join, Node, Operands, Quantity, Rule};
use crate::world::linear::Linear;
use crate::world::spec::{Cell, World};
use crate::world::stream::{Draws, Stream};

/// Draws of all numbers before giving up.
const TRIES: usize = 1000;

impl Problem {
    /// The same problem with other numbers: operations, edges, words and letters stay, and literals are drawn again
    /// within the world's bounds. `None` if no numbers were found that keep every value within bounds (a chain of
    /// differences may leave few).
    #[must_use]
    pub fn renumber(&self, world: &World, context: &Context, stream: &Stream) -> Option<Self> {
        let mut draws = stream.draws();
        let graph = (0..TRIES).find_map(|_| redrawn(&self.graph, world, &mut draws))?;
        let cell = Cell { context: context.name.clone(), ..self.cell.clone() };
        self.retold(cell, graph, context)
    }
}

/// The graph with other literals, drawn once; `None` if a value is out of bounds.
fn redrawn(graph: &Graph, world: &World, draws: &mut Draws) -> Option<Graph> {
    let mut graph = graph.clone();
    let mut values: Vec<Linear> = Vec::with_capacity(graph.nodes.len());
    let modulus = graph.modulus;
    let (least, most) = world.bounds();
    let within = |value: Option<Linear>| value?.as_number().filter(|v| (least..=most).contains(v));
    let (lo, hi) = world.literals;
    for node in &mut graph.nodes {
        let mut joined = None;
        match &mut node.rule {
            Rule::Literal(c) => *c = draws.range(lo, hi),
            Rule::Joined(join, Some((act, c))) => {
                *c = draws.range(if *act == Act::Times { lo.max(2).min(hi) } else { lo }, hi);
                joined = Some(without_literal(node.quantity, *join, node.operands));
            }
            Rule::Joined(_, None) | Rule::Total | Rule::Grand => {}
        }
        if let Some(joined) = joined {
            within(joined.apply(&values, modulus))?;
        }
        node.value = within(node.apply(&values, modulus))?;
        values.push(Linear::number(node.value));
    }
    let determined = |graph: &Graph| graph.linear().and_then(|v| v.last().copied()).is_some_and(|v| v.a != 0);
    (graph.unknown.is_none() || determined(&graph)).then_some(graph)
}

/// What a literal acts on, as a quantity of its own.
fn without_literal(quantity: Quantity, join: Join, operands: Operands) -> Node {
    Node { quantity, rule: Rule::Joined(join, None), operands, value: 0 }
}

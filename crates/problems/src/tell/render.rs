//! From graph and layout to text. The prose style is the reference's, to the letter.

pub use super::layout::{Layout, Sentence};
pub use super::parts::Texts;
use super::parts::{Telling, Words};
use super::{prose, terse};
use crate::world::context::{Context, Style};
use crate::world::graph::Graph;
use crate::world::linear::Linear;

/// The text of a graph in a context. `None` if its values are not linear in the unknown or the layout does not fit
/// the graph.
pub fn texts(graph: &Graph, layout: &Layout, context: &Context) -> Option<Texts> {
    if graph.path == 0 || usize::from(graph.path) > graph.nodes.len() || !layout.fits(graph) {
        return None;
    }
    let values = match graph.unknown {
        Some(_) => graph.linear()?,
        None => graph.path_nodes().iter().map(|n| Linear::number(n.value)).collect(),
    };
    let telling = Telling { graph, layout, words: Words::new(context, layout), values };
    match layout.style.unwrap_or(context.style) {
        Style::Prose => prose::texts(&telling),
        Style::Terse => terse::texts(&telling),
    }
}

/// The name of every node of a graph in a context; none if the layout does not fit the graph.
pub fn names(graph: &Graph, layout: &Layout, context: &Context) -> Vec<String> {
    if !layout.fits(graph) {
        return Vec::new();
    }
    let words = Words::new(context, layout);
    graph.nodes.iter().map(|node| words.name(node.quantity).to_owned()).collect()
}

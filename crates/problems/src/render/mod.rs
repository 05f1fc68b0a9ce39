//! From graph and layout to text. The prose style is the reference's, to the letter.

mod clauses;
mod prose;
mod terse;

use serde::{Deserialize, Serialize};

use crate::context::{Context, Style, Word};
use crate::graph::{Graph, Node, Quantity};
use crate::linear::Linear;
use crate::spec::Variables;

/// A sentence of a problem's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sentence {
    /// How that node is computed; for the unknown, that it exists.
    Defines(u8),
    /// The value of the path's last node (reverse mode).
    Known,
}

/// Everything about a problem's text that is not in its graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The word for each place of the graph.
    pub places: Vec<Word>,
    /// The word for each kind of the graph.
    pub kinds: Vec<Word>,
    /// The sentences, in the order of the text.
    pub order: Vec<Sentence>,
    /// Letters for variables, in the order in which the solution needs them.
    pub letters: String,
    /// How variables are called.
    pub variables: Variables,
    /// How sentences and solutions are written; as the context says if absent.
    pub style: Option<Style>,
}

/// The texts of a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// The sentences.
    pub problem: String,
    /// The question.
    pub question: String,
    /// The steps and the answer.
    pub solution: String,
}

/// Looks up the words of one problem.
pub(crate) struct Words<'a> {
    context: &'a Context,
    places: Vec<usize>,
    kinds: Vec<usize>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(context: &'a Context, layout: &Layout) -> Self {
        let (places, kinds) = context.resolve(&layout.places, &layout.kinds);
        Self { context, places, kinds }
    }

    pub(crate) fn name(&self, quantity: Quantity) -> &'a str {
        let place = self.places[usize::from(quantity.place())];
        match quantity {
            Quantity::Count { kind, .. } => self.context.count(place, self.kinds[usize::from(kind)]),
            Quantity::Average { kind, .. } => self.context.average(place, self.kinds[usize::from(kind)]),
            Quantity::Total { .. } => self.context.total(place),
            Quantity::Grand { .. } => self.context.grand(place),
        }
    }

    /// The phrase around a name, in two pieces.
    fn phrase(&self, quantity: Quantity) -> (&'a str, &'a str) {
        match quantity {
            Quantity::Count { .. } => self.context.count_phrase(),
            _ => self.context.other_phrase(),
        }
    }

    fn question(&self, quantity: Quantity) -> String {
        match quantity {
            Quantity::Count { place, kind } => {
                self.context.how_many(self.places[usize::from(place)], self.kinds[usize::from(kind)])
            }
            _ => self.context.what_is(self.name(quantity)),
        }
    }
}

/// The parts of a problem that its text is made from.
pub(crate) struct Source<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) layout: &'a Layout,
    pub(crate) words: Words<'a>,
    /// Values of the path; expressions in the unknown in reverse mode.
    pub(crate) values: Vec<Linear>,
}

impl Source<'_> {
    fn node(&self, i: usize) -> &Node {
        &self.graph.nodes[i]
    }

    fn name(&self, i: usize) -> &str {
        self.words.name(self.graph.nodes[i].quantity)
    }
}

/// The text of a graph in a context. `None` if its values are not linear in the unknown or it lacks letters.
pub fn texts(graph: &Graph, layout: &Layout, context: &Context) -> Option<Texts> {
    let values = match graph.unknown {
        Some(_) => graph.linear()?,
        None => graph.path_nodes().iter().map(|n| Linear::number(n.value)).collect(),
    };
    let source = Source { graph, layout, words: Words::new(context, layout), values };
    match layout.style.unwrap_or(context.style) {
        Style::Prose => prose::texts(&source),
        Style::Terse => terse::texts(&source),
    }
}

/// The name of every node of a graph in a context.
pub fn names(graph: &Graph, layout: &Layout, context: &Context) -> Vec<String> {
    let words = Words::new(context, layout);
    graph.nodes.iter().map(|node| words.name(node.quantity).to_owned()).collect()
}

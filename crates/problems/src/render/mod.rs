//! From graph and layout to text. The prose style is the reference's, to the letter.

mod clauses;
mod prose;
mod terse;

use serde::{Deserialize, Serialize};

use crate::context::{Context, Style, Word};
use crate::graph::{Graph, Node, Quantity, Rule, SIDE_MAX};
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

/// Appends a number; rendering spends most of its time on numbers, and `fmt` would double it.
fn push_number(out: &mut String, n: i64) {
    if n < 0 {
        out.push('-');
    }
    let mut rest = n.unsigned_abs();
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits[first..].iter().for_each(|&digit| out.push(char::from(digit)));
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

impl Layout {
    /// Whether it has a word for every place and kind of the graph, and sentences for nodes that exist.
    pub fn fits(&self, graph: &Graph) -> bool {
        let worded = |node: &Node| {
            let kind = match node.quantity {
                Quantity::Count { kind, .. } | Quantity::Average { kind, .. } => usize::from(kind),
                Quantity::Total { .. } | Quantity::Grand { .. } => 0,
            };
            usize::from(node.quantity.place()) < self.places.len() && (kind == 0 || kind < self.kinds.len())
        };
        let few = self.places.len() <= SIDE_MAX && self.kinds.len() <= SIDE_MAX && !self.kinds.is_empty();
        let told = |s: &Sentence| !matches!(s, Sentence::Defines(i) if usize::from(*i) >= graph.nodes.len());
        few && graph.nodes.iter().all(worded) && self.order.iter().all(told)
    }

    /// Whether it has letters for every step, in whatever style.
    pub fn has_letters(&self, graph: &Graph) -> bool {
        let steps = graph.path_nodes().iter().enumerate().filter(|(i, _)| graph.unknown != Some(*i as u8));
        steps.map(|(_, node)| self.letters_for(node)).sum::<usize>() <= self.letters.len()
    }

    /// Most letters that a step takes: one for the quantity, one for each intermediate result.
    fn letters_for(&self, node: &Node) -> usize {
        let operands = node.operands.len();
        let intermediates = match node.rule {
            Rule::Literal(_) => 0,
            Rule::Joined(_, None) | Rule::Total => operands.saturating_sub(2),
            Rule::Joined(_, Some(_)) => operands.saturating_sub(1).max(1),
            Rule::Grand => (operands / 2 + (operands / 2).saturating_sub(2)) * usize::from(operands > 2),
        };
        intermediates + usize::from(self.variables != Variables::Names)
    }
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
    let source = Source { graph, layout, words: Words::new(context, layout), values };
    match layout.style.unwrap_or(context.style) {
        Style::Prose => prose::texts(&source),
        Style::Terse => terse::texts(&source),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_fmt_does_it() {
        for n in [0, 7, 10, 105, -3, -40, i64::MAX, i64::MIN] {
            let mut out = String::new();
            push_number(&mut out, n);
            assert_eq!(out, n.to_string());
        }
    }
}

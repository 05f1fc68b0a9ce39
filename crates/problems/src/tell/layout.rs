//! Everything about a problem's text that is not in its graph.

use serde::{Deserialize, Serialize};

use crate::identity::hash;
use crate::world::context::{Style, Word};
use crate::world::graph::{Graph, Node, Quantity, Rule, SIDE_MAX};
use crate::world::spec::Variables;

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
#[non_exhaustive]
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

    /// Whether it has letters for every step in either style.
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

    /// Hash of a graph with its entities, distractors included; letters, sentence order and context do not matter.
    pub fn instance_hash(&self, graph: &Graph) -> [u8; 32] {
        let number = |words: &[Word], i: u8| {
            words
                .get(usize::from(i))
                .map_or(u64::MAX, |&Word(list, position)| u64::from(list) << 8 | u64::from(position))
        };
        hash::instance_hash(graph, |p| number(&self.places, p), |k| number(&self.kinds, k))
    }
}

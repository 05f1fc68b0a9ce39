//! Dependency graphs: quantities, their rules and their values. A graph holds no words.

use serde::{Deserialize, Serialize};

use super::linear::Linear;
use super::mode::Mode;

/// A problem has at most this many places, and at most this many kinds.
pub const SIDE_MAX: usize = 5;
/// A quantity has at most this many operands (a grand total of five kinds has ten).
pub const OPERANDS_MAX: usize = 2 * SIDE_MAX;

/// What is counted. Places and kinds are numbered within the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// How many of a kind there are in a place, e.g. `adult wolf in South Zoo`.
    Count {
        /// The place.
        place: u8,
        /// The kind.
        kind: u8,
    },
    /// An average over a kind in a place (hard problems only).
    Average {
        /// The place.
        place: u8,
        /// The kind.
        kind: u8,
    },
    /// The sum of a place's counts.
    Total {
        /// The place.
        place: u8,
    },
    /// The sum over a place's kinds of count times average (hard problems only).
    Grand {
        /// The place.
        place: u8,
    },
}

impl Quantity {
    /// The place.
    pub fn place(self) -> u8 {
        match self {
            Self::Count { place, .. }
            | Self::Average { place, .. }
            | Self::Total { place }
            | Self::Grand { place } => place,
        }
    }

    /// Whether the text states it in a sentence of its own; totals are implied.
    pub fn is_stated(self) -> bool {
        matches!(self, Self::Count { .. } | Self::Average { .. })
    }
}

/// How a literal acts on the rest of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// `c plus …`
    Plus,
    /// `c times …`
    Times,
}

/// How operands are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// All are added; a single operand is taken as it is.
    Sum,
    /// The second is taken from the first.
    Difference,
}

/// How a quantity is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A number.
    Literal(i64),
    /// Operands joined, and perhaps a literal that acts on the result.
    Joined(Join, Option<(Act, i64)>),
    /// The sum of a place's counts.
    Total,
    /// The sum of products of operands taken in pairs (count, average).
    Grand,
}

/// Indices of operands, inline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Operands {
    items: [u8; OPERANDS_MAX],
    len: u8,
}

impl Operands {
    /// Adds one; false if there is no room.
    #[must_use]
    pub fn push(&mut self, item: u8) -> bool {
        let Some(slot) = self.items.get_mut(usize::from(self.len)) else { return false };
        *slot = item;
        self.len += 1;
        true
    }

    /// The indices, in the order of the text.
    pub fn as_slice(&self) -> &[u8] {
        &self.items[..usize::from(self.len)]
    }

    /// The indices, to be changed in place.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.items[..usize::from(self.len)]
    }

    /// The indices as `usize`.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + DoubleEndedIterator + '_ {
        self.as_slice().iter().map(|&i| usize::from(i))
    }

    /// How many.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl FromIterator<u8> for Operands {
    /// Takes the first [`OPERANDS_MAX`].
    fn from_iter<I: IntoIterator<Item = u8>>(iter: I) -> Self {
        let mut operands = Self::default();
        for item in iter {
            if !operands.push(item) {
                break;
            }
        }
        operands
    }
}

impl Serialize for Operands {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Operands {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<u8>::deserialize(deserializer)?;
        if items.len() > OPERANDS_MAX {
            return Err(serde::de::Error::custom(format!("more than {OPERANDS_MAX} operands")));
        }
        Ok(items.into_iter().collect())
    }
}

/// One quantity of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What it counts.
    pub quantity: Quantity,
    /// How it is computed.
    pub rule: Rule,
    /// From which nodes, in the order of the text.
    pub operands: Operands,
    /// Its value.
    pub value: i64,
}

impl Node {
    /// The number of incoming edges. A literal counts as one.
    pub fn in_degree(&self) -> u32 {
        let literal = matches!(self.rule, Rule::Literal(_) | Rule::Joined(_, Some(_)));
        self.operands.len() as u32 + u32::from(literal)
    }
}

/// A problem without its words: the nodes on the path to the query first, in topological order, then distractors.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Every node is computed from earlier ones.
    pub nodes: Vec<Node>,
    /// How many of them the query depends on, itself included; the others are distractors.
    pub path: u8,
    /// Reverse mode: the node that is asked for. Then the value of the path's last node is given.
    pub unknown: Option<u8>,
    /// Every result is the remainder by this, if present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modulus: Option<i64>,
}

/// Counts that describe a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Stats {
    /// Sum of the in-degrees on the path, literals included: the reference's measure of difficulty.
    pub op: u32,
    /// Nodes on the longest chain of dependencies of the path.
    pub depth: u32,
    /// Most nodes of the path at the same depth.
    pub width: u32,
    /// Additions, subtractions and multiplications that the path takes.
    pub arithmetic_operations: u32,
    /// Largest value on the path.
    pub max_value: i64,
    /// Sentences that the query does not depend on.
    pub distractors: u32,
    /// Edges of the path that a sentence states.
    pub explicit_edges: u32,
    /// Edges of the path that are implied by a total.
    pub implicit_edges: u32,
}

impl Graph {
    /// The nodes that the query depends on, itself included.
    pub fn path_nodes(&self) -> &[Node] {
        &self.nodes[..usize::from(self.path)]
    }

    /// Forward or reverse.
    pub fn mode(&self) -> Mode {
        if self.unknown.is_some() { Mode::Reverse } else { Mode::Forward }
    }

    /// Index of the node that is asked for.
    pub fn query(&self) -> usize {
        self.unknown.map_or(self.last(), usize::from)
    }

    /// Index of the path's last node.
    pub fn last(&self) -> usize {
        usize::from(self.path).saturating_sub(1)
    }

    /// The answer.
    pub fn answer(&self) -> i64 {
        self.nodes[self.query()].value
    }

    /// The sum of the path's in-degrees, literals included.
    pub fn op(&self) -> u32 {
        self.path_nodes().iter().map(Node::in_degree).sum()
    }

    /// Depth of every node: 1 for a literal, else one more than its deepest operand.
    pub fn depths(&self) -> Vec<u32> {
        let mut depths = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            depths.push(1 + node.operands.iter().map(|i| depths[i]).max().unwrap_or(0));
        }
        depths
    }

    /// Values of the path as expressions in the unknown; `None` if one would be quadratic or overflow.
    pub fn linear(&self) -> Option<Vec<Linear>> {
        let mut values: Vec<Linear> = Vec::with_capacity(usize::from(self.path));
        for (i, node) in self.path_nodes().iter().enumerate() {
            let value =
                if self.unknown == Some(i as u8) { Linear::X } else { node.apply(&values, self.modulus)? };
            values.push(value);
        }
        Some(values)
    }

    /// Counts that describe the problem.
    pub fn stats(&self) -> Stats {
        let depths = self.depths();
        let path = self.path_nodes();
        let depths = &depths[..path.len()];
        let depth = depths.iter().copied().max().unwrap_or(0);
        let width = (1..=depth).map(|d| depths.iter().filter(|&&n| n == d).count()).max().unwrap_or(0);
        let edges = |stated: bool| -> u32 {
            path.iter().filter(|n| n.quantity.is_stated() == stated).map(|n| n.operands.len() as u32).sum()
        };
        Stats {
            op: self.op(),
            depth,
            width: width as u32,
            arithmetic_operations: path.iter().map(Node::arithmetic_operations).sum(),
            max_value: path.iter().map(|n| n.value).max().unwrap_or(0),
            distractors: self.nodes[path.len()..].iter().filter(|n| n.quantity.is_stated()).count() as u32,
            explicit_edges: edges(true),
            implicit_edges: edges(false),
        }
    }
}

impl Node {
    /// The value by this node's rule, given the values of earlier nodes and perhaps a modulus.
    pub fn apply(&self, values: &[Linear], modulus: Option<i64>) -> Option<Linear> {
        self.whole(values).map(|value| value.modulo(modulus))
    }

    fn whole(&self, values: &[Linear]) -> Option<Linear> {
        let value = |i: usize| values.get(i).copied();
        let mut operands = self.operands.iter();
        match self.rule {
            Rule::Literal(c) => Some(Linear::number(c)),
            Rule::Total => operands.try_fold(Linear::number(0), |sum, i| sum.plus(value(i)?)),
            Rule::Grand => {
                let pairs = self.operands.as_slice().chunks_exact(2);
                let product = |pair: &[u8]| value(usize::from(pair[0]))?.times(value(usize::from(pair[1]))?);
                pairs.into_iter().try_fold(Linear::number(0), |sum, pair| sum.plus(product(pair)?))
            }
            Rule::Joined(join, literal) => {
                let first = value(operands.next()?)?;
                let joined = operands.try_fold(first, |sum, i| match join {
                    Join::Sum => sum.plus(value(i)?),
                    Join::Difference => sum.minus(value(i)?),
                })?;
                match literal {
                    None => Some(joined),
                    Some((Act::Plus, c)) => Linear::number(c).plus(joined),
                    Some((Act::Times, c)) => Linear::number(c).times(joined),
                }
            }
        }
    }

    fn arithmetic_operations(&self) -> u32 {
        let operands = self.operands.len() as u32;
        match self.rule {
            Rule::Literal(_) => 0,
            Rule::Joined(_, literal) => operands.saturating_sub(1) + u32::from(literal.is_some()),
            Rule::Total => operands.saturating_sub(1),
            Rule::Grand => operands / 2 + (operands / 2).saturating_sub(1),
        }
    }
}

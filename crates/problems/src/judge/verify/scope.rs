//! What each variable stands for at the current place of the text.

use crate::judge::grammar::Symbol;
use crate::world::linear::Linear;

use super::chain::Values;

/// A variable's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Never given a value.
    Nothing,
    /// The quantity of the step that is being read, so far without a value.
    Own,
    /// A quantity of an earlier step: a gold node, or `None` for a quantity that gold does not have.
    Quantity(Option<u32>),
    /// An intermediate result of the step with this number.
    Intermediate(u32),
}

#[derive(Debug, Clone, Copy)]
struct Binding {
    meaning: Meaning,
    value: Option<Linear>,
}

/// Sets of parents are bit sets over the gold nodes and one more bit for everything else, `stride` words each.
pub(super) struct Scope {
    bindings: Vec<Binding>,
    sets: Vec<u64>,
    stride: usize,
    foreign: u32,
}

impl Scope {
    pub(super) fn new(symbols: usize, nodes: usize) -> Self {
        let stride = nodes / 64 + 1;
        let unbound = Binding { meaning: Meaning::Nothing, value: None };
        Self {
            bindings: vec![unbound; symbols],
            sets: vec![0; symbols * stride],
            stride,
            foreign: nodes as u32,
        }
    }

    /// An empty set of parents.
    pub(super) fn empty(&self) -> Parents {
        Parents(if self.stride == 1 { Words::One(0) } else { Words::Many(vec![0; self.stride]) })
    }

    pub(super) fn meaning(&self, symbol: Symbol) -> Meaning {
        self.bindings[symbol.0 as usize].meaning
    }

    pub(super) fn bind(&mut self, symbol: Symbol, meaning: Meaning, value: Option<Linear>) {
        self.bindings[symbol.0 as usize] = Binding { meaning, value };
    }

    /// An intermediate result and the quantities it was computed from.
    pub(super) fn bind_intermediate(
        &mut self,
        symbol: Symbol,
        step: u32,
        value: Option<Linear>,
        from: &Parents,
    ) {
        self.bind(symbol, Meaning::Intermediate(step), value);
        let at = symbol.0 as usize * self.stride;
        self.sets[at..at + self.stride].copy_from_slice(from.words());
    }

    /// Adds what an intermediate result was computed from.
    pub(super) fn add_intermediate(&self, symbol: Symbol, parents: &mut Parents) {
        let at = symbol.0 as usize * self.stride;
        parents.union(&self.sets[at..at + self.stride]);
    }

    /// Adds one quantity; `None` is one that gold does not have.
    pub(super) fn add(&self, node: Option<u32>, parents: &mut Parents) {
        parents.insert(node.unwrap_or(self.foreign));
    }
}

impl Values for Scope {
    fn value(&self, symbol: Symbol) -> Option<Linear> {
        self.bindings[symbol.0 as usize].value
    }
}

/// A set of parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parents(Words);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Words {
    One(u64),
    Many(Vec<u64>),
}

impl Parents {
    fn words(&self) -> &[u64] {
        match &self.0 {
            Words::One(word) => std::slice::from_ref(word),
            Words::Many(words) => words,
        }
    }

    fn words_mut(&mut self) -> &mut [u64] {
        match &mut self.0 {
            Words::One(word) => std::slice::from_mut(word),
            Words::Many(words) => words,
        }
    }

    fn insert(&mut self, index: u32) {
        self.words_mut()[index as usize / 64] |= 1 << (index % 64);
    }

    fn union(&mut self, other: &[u64]) {
        for (mine, theirs) in self.words_mut().iter_mut().zip(other) {
            *mine |= theirs;
        }
    }

    /// Adds all of another set.
    pub(super) fn extend(&mut self, other: &Self) {
        self.union(other.words());
    }

    /// Exactly these nodes?
    pub(super) fn is(&self, nodes: &[u32]) -> bool {
        let held: u32 = self.words().iter().map(|w| w.count_ones()).sum();
        held as usize == nodes.len()
            && nodes.iter().all(|&n| self.words()[n as usize / 64] >> (n % 64) & 1 == 1)
    }

    /// Is this node in the set?
    pub(super) fn contains(&self, node: usize) -> bool {
        self.words()[node / 64] >> (node % 64) & 1 == 1
    }

    /// Is any of the nodes that satisfy `test` in the set?
    pub(super) fn any(&self, nodes: usize, test: impl Fn(usize) -> bool) -> bool {
        (0..nodes).any(|n| self.contains(n) && test(n))
    }
}

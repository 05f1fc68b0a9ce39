//! Shapes of solutions: is a correct solution in one context the copy of a graph from another context, or is it new?
//! (paper, Section 4 and Fig. 5)
//!
//! A topology is a directed graph of quantities without names, values or operations. Two of them are
//! compared by the neighbourhoods of their nodes (colour refinement along both directions of the edges):
//! the share of neighbourhoods, up to [`ROUNDS`] edges wide, that they have in common.

use std::collections::{BTreeMap, HashMap};

use super::gold::Gold;
use super::grammar::{self, Atom, Item, NONE, Solution, Step, Symbol, TermId};
use crate::world::colour::pair;
use crate::world::name::folded;

/// How far a neighbourhood reaches.
pub const ROUNDS: usize = 3;

/// A predicted solution is read up to this many quantities.
pub const NODES_MAX: usize = 256;

/// A directed graph: for each node the nodes it is computed from, sorted, without repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    parents: Vec<Vec<u32>>,
    /// Colours of all rounds with the number of nodes that have them.
    colours: BTreeMap<u64, u32>,
}

impl Topology {
    /// From parents; indices out of range are ignored.
    pub fn new(mut parents: Vec<Vec<u32>>) -> Self {
        let count = parents.len();
        for list in &mut parents {
            list.retain(|&p| (p as usize) < count);
            list.sort_unstable();
            list.dedup();
        }
        let colours = refined(&parents);
        Self { parents, colours }
    }

    /// The graph that a solution should show.
    pub fn of_gold(gold: &Gold) -> Self {
        Self::new(gold.nodes.iter().map(|node| node.parents.clone()).collect())
    }

    /// The graph that a response shows, be it correct or not: a node for every quantity that it defines, with the
    /// quantities that its last definition uses, intermediate results expanded.
    pub fn of_response(response: &str) -> Self {
        Self::new(predicted(&grammar::parse(response)))
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.parents.len()
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.parents.iter().map(Vec::len).sum()
    }

    /// Parents of every node.
    pub fn parents(&self) -> &[Vec<u32>] {
        &self.parents
    }

    /// The same for graphs that differ only in the numbering of their nodes. Different graphs may in principle
    /// share it, as with any colour refinement.
    pub fn canonical(&self) -> u64 {
        let counts = self.colours.iter();
        counts.fold(self.nodes() as u64, |hash, (&colour, &count)| pair(hash, pair(colour, u64::from(count))))
    }

    /// Shared neighbourhoods over all neighbourhoods (a Jaccard index of multisets): 1 for the same shape,
    /// 0 when not even two nodes look alike. Two empty graphs are the same.
    pub fn similarity(&self, other: &Self) -> f64 {
        let all = |t: &Self| t.colours.values().map(|&n| u64::from(n)).sum::<u64>();
        let common = |(colour, &n): (&u64, &u32)| u64::from(n.min(*other.colours.get(colour).unwrap_or(&0)));
        let shared: u64 = self.colours.iter().map(common).sum();
        let union = all(self) + all(other) - shared;
        if union == 0 { 1.0 } else { shared as f64 / union as f64 }
    }
}

/// The shapes of a set of graphs, to compare predicted ones with.
#[derive(Debug, Clone, Default)]
pub struct Shapes {
    shapes: Vec<Topology>,
    by_canonical: HashMap<u64, usize>,
}

impl FromIterator<Topology> for Shapes {
    /// Keeps one of each shape.
    fn from_iter<I: IntoIterator<Item = Topology>>(iter: I) -> Self {
        let mut set = Self::default();
        for shape in iter {
            set.by_canonical.entry(shape.canonical()).or_insert_with(|| {
                set.shapes.push(shape);
                set.shapes.len() - 1
            });
        }
        set
    }
}

impl Shapes {
    /// Number of different shapes.
    pub fn len(&self) -> usize {
        self.shapes.len()
    }

    /// No shapes at all.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// Is it one of them?
    pub fn contains(&self, shape: &Topology) -> bool {
        self.by_canonical.contains_key(&shape.canonical())
    }

    /// Similarity to the most similar of them, 1 for a replica; `None` without shapes.
    pub fn nearest(&self, shape: &Topology) -> Option<f64> {
        if self.contains(shape) {
            return Some(1.0);
        }
        self.shapes.iter().map(|s| s.similarity(shape)).max_by(f64::total_cmp)
    }
}

/// Colours of every round, from in- and out-degree to neighbourhoods of [`ROUNDS`] edges.
fn refined(parents: &[Vec<u32>]) -> BTreeMap<u64, u32> {
    let mut children = vec![Vec::new(); parents.len()];
    for (child, list) in (0..).zip(parents) {
        for &parent in list {
            children[parent as usize].push(child);
        }
    }
    let degrees =
        parents.iter().zip(&children).map(|(p, c): (_, &Vec<u32>)| pair(p.len() as u64, c.len() as u64));
    let mut colours: Vec<u64> = degrees.collect();
    let mut counts = BTreeMap::new();
    for round in 0..=ROUNDS {
        for &colour in &colours {
            *counts.entry(pair(round as u64, colour)).or_default() += 1;
        }
        let around = |neighbours: &[u32]| {
            let mut around: Vec<u64> = neighbours.iter().map(|&n| colours[n as usize]).collect();
            around.sort_unstable();
            around.into_iter().fold(0, pair)
        };
        let next = |i: usize| pair(pair(colours[i], around(&parents[i])), around(&children[i]));
        colours = (0..parents.len()).map(next).collect();
    }
    counts
}

/// Parents of every quantity that a solution defines, in the order of their first definition.
fn predicted(solution: &Solution) -> Vec<Vec<u32>> {
    let mut index = HashMap::new();
    let mut parents: Vec<Vec<u32>> = Vec::new();
    // What a variable stands for: quantities, and the step it is local to.
    let mut meaning: HashMap<Symbol, (Option<usize>, Vec<u32>)> = HashMap::new();
    for (number, item) in solution.items.iter().enumerate() {
        let Item::Step(step) = item else { continue };
        let next = parents.len();
        let node = *index.entry(folded(&solution.text[step.name.range()])).or_insert(next);
        if node == NODES_MAX {
            break;
        }
        if node == next {
            parents.push(Vec::new());
        }
        parents[node] = used(solution, step, number, &mut meaning);
        if let Some(variable) = step.variable {
            meaning.insert(variable.symbol, (None, vec![node as u32]));
        }
    }
    parents
}

/// The quantities that a step uses.
fn used(
    solution: &Solution,
    step: &Step,
    number: usize,
    meaning: &mut HashMap<Symbol, (Option<usize>, Vec<u32>)>,
) -> Vec<u32> {
    let mut own = Vec::new();
    for clause in &solution.clauses[step.clauses.start as usize..step.clauses.end as usize] {
        let Some(target) = clause.target else { continue };
        let first = solution.members.get(clause.members.start as usize);
        let mut found = Vec::new();
        let mut names = Vec::new();
        if let Some(expression) = first.and_then(|m| m.expression) {
            collect(solution, expression, &mut names);
        }
        for symbol in names {
            if let Some((scope, nodes)) = meaning.get(&symbol)
                && scope.is_none_or(|s| s == number)
            {
                found.extend_from_slice(nodes);
            }
        }
        found.sort_unstable();
        found.dedup();
        if step.variable.is_some_and(|v| v.symbol == target.symbol) {
            own.extend(found);
        } else {
            meaning.insert(target.symbol, (Some(number), found));
        }
    }
    own.sort_unstable();
    own.dedup();
    own
}

fn collect(solution: &Solution, expression: TermId, names: &mut Vec<Symbol>) {
    let mut term_id = expression;
    while term_id != NONE {
        let term = solution.terms[term_id as usize];
        let mut factor_id = term.first;
        while factor_id != NONE {
            let factor = solution.factors[factor_id as usize];
            match factor.atom {
                Atom::Number(_) => {}
                Atom::Name(symbol) => names.push(symbol),
                Atom::Group(inner) => collect(solution, inner, names),
            }
            factor_id = factor.next;
        }
        term_id = term.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(parents: &[&[u32]]) -> Topology {
        Topology::new(parents.iter().map(|p| p.to_vec()).collect())
    }

    #[test]
    fn numbering_does_not_matter() {
        let diamond = graph(&[&[], &[0], &[0], &[1, 2]]);
        let relabelled = graph(&[&[1, 2], &[3], &[3], &[]]);
        assert_eq!(diamond.canonical(), relabelled.canonical());
        assert_eq!(diamond.similarity(&relabelled), 1.0);
    }

    #[test]
    fn similarity_falls_with_every_difference() {
        let chain = graph(&[&[], &[0], &[1], &[2]]);
        let shorter = graph(&[&[], &[0], &[1]]);
        let star = graph(&[&[], &[], &[], &[0, 1, 2]]);
        assert_ne!(chain.canonical(), shorter.canonical());
        let (near, far) = (chain.similarity(&shorter), chain.similarity(&star));
        assert!(0.0 < far && far < near && near < 1.0, "{near} {far}");
        assert_eq!(near, shorter.similarity(&chain));
        // The direction of the edges counts.
        assert!(star.similarity(&graph(&[&[], &[0], &[0], &[0]])) < 0.2);
    }

    #[test]
    fn a_response_shows_a_graph() {
        let response = " Define crow in Zoo as a; so a = 3. Define owl in Zoo as b; u = a = 3; so b = 2 * u = 6. \
            Define total in Zoo as T; so T = a + b = 9. </solution> <answer> 9 </answer>";
        let shape = Topology::of_response(response);
        assert_eq!(shape.parents(), [vec![], vec![0], vec![0, 1]]);
        assert_eq!((shape.nodes(), shape.edges()), (3, 3));
        let shapes: Shapes = [shape.clone(), shape.clone(), graph(&[&[]])].into_iter().collect();
        assert_eq!(shapes.len(), 2);
        assert_eq!(shapes.nearest(&shape), Some(1.0));
        assert!(!shapes.contains(&graph(&[&[], &[0]])));
        assert_eq!(Topology::of_response("").nodes(), 0);
    }

    #[test]
    fn the_number_of_quantities_is_bounded() {
        let steps: Vec<String> = (0..400).map(|i| format!("Define q{i} as v{i}; so v{i} = 1.")).collect();
        assert_eq!(Topology::of_response(&steps.join(" ")).nodes(), NODES_MAX);
    }
}

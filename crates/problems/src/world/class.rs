//! Classes of structure: the kind of graph that a solution walks through, independent of its size. There are few of
//! them, so that a run can count what its model has seen.

use super::graph::{Graph, Node, Rule};

/// The class of a problem's path: `chain` (every quantity is computed from at most one before it), `tree` (from
/// several, and none is used twice) or `reuse` (some quantity is used more than once); with `+totals` if an
/// implied total is among them.
pub fn class(graph: &Graph) -> &'static str {
    let path = graph.path_nodes();
    let mut used = vec![0u32; path.len()];
    path.iter().flat_map(|node| node.operands.iter()).for_each(|operand| used[operand] += 1);
    let total = |node: &Node| matches!(node.rule, Rule::Total | Rule::Grand);
    let reuse = used.iter().any(|&uses| uses > 1);
    let branches = path.iter().any(|node| node.operands.len() > 1);
    match (reuse, branches, path.iter().any(total)) {
        (true, _, false) => "reuse",
        (true, _, true) => "reuse+totals",
        (false, true, false) => "tree",
        (false, true, true) => "tree+totals",
        (false, false, false) => "chain",
        (false, false, true) => "chain+totals",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::graph::{Join, Quantity};

    /// A graph of these nodes: each with its operands, a total if it says so.
    fn graph(nodes: &[(&[u8], bool)]) -> Graph {
        let node = |(operands, total): &(&[u8], bool)| Node {
            quantity: Quantity::Total { place: 0 },
            rule: match (operands.is_empty(), total) {
                (true, _) => Rule::Literal(1),
                (false, true) => Rule::Total,
                (false, false) => Rule::Joined(Join::Sum, None),
            },
            operands: operands.iter().copied().collect(),
            value: 1,
        };
        let nodes: Vec<Node> = nodes.iter().map(node).collect();
        Graph { path: nodes.len() as u8, nodes, unknown: None, modulus: None }
    }

    #[test]
    fn what_is_used_twice_and_what_branches() {
        assert_eq!(class(&graph(&[(&[], false), (&[0], false), (&[1], false)])), "chain");
        assert_eq!(class(&graph(&[(&[], false), (&[0], true)])), "chain+totals");
        assert_eq!(class(&graph(&[(&[], false), (&[], false), (&[0, 1], false)])), "tree");
        assert_eq!(class(&graph(&[(&[], false), (&[], false), (&[0, 1], true)])), "tree+totals");
        assert_eq!(class(&graph(&[(&[], false), (&[0], false), (&[0, 1], false)])), "reuse");
        assert_eq!(class(&graph(&[(&[], false), (&[0], false), (&[0, 1], true)])), "reuse+totals");
    }

    #[test]
    fn distractors_do_not_count() {
        let mut graph = graph(&[(&[], false), (&[0], false), (&[0], true)]);
        graph.path = 2;
        assert_eq!(class(&graph), "chain");
    }
}

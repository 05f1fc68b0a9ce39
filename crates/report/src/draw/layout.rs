//! Layered layout (Sugiyama's steps): layers, long edges cut by way-points, crossings lowered by barycentres, then
//! positions pulled towards neighbours. Plain arithmetic in a fixed order, so the same graph is drawn the same.
//!
//! Axes in names: `_N` node (way-points after the nodes).

use super::Dag;

/// Where everything is.
#[derive(Debug)]
pub(super) struct Layout {
    /// Centre of every node and way-point, in units of one node's width and one layer's height.
    pub(super) at_N: Vec<(f64, f64)>,
    /// For each edge (parent, child): the points it passes, both ends included.
    pub(super) edges: Vec<(usize, usize, Vec<usize>)>,
    /// Width in nodes, height in layers.
    pub(super) size: (f64, f64),
}

const SWEEPS: usize = 8;
/// Width of a way-point compared to a node.
const WAYPOINT: f64 = 0.25;

/// The layer of every node: one below its lowest parent; nodes without parents stand right above their first child.
pub(super) fn layers(dag: &Dag) -> Vec<usize> {
    let mut layer_N = vec![0; dag.nodes.len()];
    for (i, node) in dag.nodes.iter().enumerate() {
        layer_N[i] = node.parents.iter().map(|&p| layer_N[p] + 1).max().unwrap_or(0);
    }
    for i in (0..dag.nodes.len()).rev() {
        if dag.nodes[i].parents.is_empty() {
            let children = dag.nodes.iter().zip(&layer_N).filter(|(n, _)| n.parents.contains(&i));
            layer_N[i] = children.map(|(_, l)| l - 1).min().unwrap_or(0);
        }
    }
    layer_N
}

pub(super) fn layout(dag: &Dag) -> Layout {
    let mut layer_N = layers(dag);
    let mut edges = Vec::new();
    for (child, node) in dag.nodes.iter().enumerate() {
        let mut parents = node.parents.clone();
        parents.sort_unstable();
        parents.dedup();
        for parent in parents {
            let mut way = vec![parent];
            for layer in layer_N[parent] + 1..layer_N[child] {
                way.push(layer_N.len());
                layer_N.push(layer);
            }
            way.push(child);
            edges.push((parent, child, way));
        }
    }
    let nodes = dag.nodes.len();
    let mut up_N = vec![Vec::new(); layer_N.len()];
    let mut down_N = vec![Vec::new(); layer_N.len()];
    for pair in edges.iter().flat_map(|(_, _, way)| way.windows(2)) {
        down_N[pair[0]].push(pair[1]);
        up_N[pair[1]].push(pair[0]);
    }
    let depth = layer_N.iter().max().map_or(0, |l| l + 1);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); depth];
    for (i, &layer) in layer_N.iter().enumerate() {
        rows[layer].push(i);
    }
    order(&mut rows, &up_N, &down_N);
    let width = |i: usize| if i < nodes { 1.0 } else { WAYPOINT };
    let x_N = place(&rows, &up_N, &down_N, width, layer_N.len());
    let left = (0..x_N.len()).map(|i| x_N[i] - width(i) / 2.0).fold(f64::INFINITY, f64::min);
    let right = (0..x_N.len()).map(|i| x_N[i] + width(i) / 2.0).fold(f64::NEG_INFINITY, f64::max);
    let at_N = x_N.iter().zip(&layer_N).map(|(x, layer)| (x - left, *layer as f64 + 0.5)).collect();
    let size = if nodes == 0 { (0.0, 0.0) } else { (right - left, depth as f64) };
    Layout { at_N, edges, size }
}

/// Orders every layer to lower the number of crossings: the best of some sweeps down and up.
fn order(rows: &mut Vec<Vec<usize>>, up_N: &[Vec<usize>], down_N: &[Vec<usize>]) {
    let mut best = rows.clone();
    let mut fewest = crossings(rows, down_N);
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let layers: Vec<usize> =
            if down { (1..rows.len()).collect() } else { (0..rows.len().saturating_sub(1)).rev().collect() };
        for layer in layers {
            let (neighbours_N, fixed) = if down { (up_N, layer - 1) } else { (down_N, layer + 1) };
            let rank = ranks(&rows[fixed], up_N.len());
            let mut keyed: Vec<(f64, usize, usize)> = rows[layer]
                .iter()
                .enumerate()
                .map(|(position, &i)| {
                    let near = &neighbours_N[i];
                    let sum: f64 = near.iter().map(|&j| rank[j]).sum();
                    (if near.is_empty() { position as f64 } else { sum / near.len() as f64 }, position, i)
                })
                .collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            rows[layer] = keyed.into_iter().map(|(_, _, i)| i).collect();
        }
        let now = crossings(rows, down_N);
        if now < fewest {
            (fewest, best) = (now, rows.clone());
        }
    }
    *rows = best;
}

fn ranks(row: &[usize], all: usize) -> Vec<f64> {
    let mut rank = vec![0.0; all];
    for (position, &i) in row.iter().enumerate() {
        rank[i] = position as f64;
    }
    rank
}

fn crossings(rows: &[Vec<usize>], down_N: &[Vec<usize>]) -> usize {
    let between = |pair: &[Vec<usize>]| {
        let rank = ranks(&pair[1], down_N.len());
        let ends: Vec<(usize, f64)> = pair[0]
            .iter()
            .enumerate()
            .flat_map(|(a, &i)| down_N[i].iter().map(move |&j| (a, j)))
            .map(|(a, j)| (a, rank[j]))
            .collect();
        let cross = |(i, a): (usize, &(usize, f64))| {
            ends[i + 1..].iter().filter(|b| (a.0 < b.0 && a.1 > b.1) || (a.0 > b.0 && a.1 < b.1)).count()
        };
        ends.iter().enumerate().map(cross).sum::<usize>()
    };
    rows.windows(2).map(between).sum()
}

/// Horizontal positions: side by side in order, then pulled to the mean of the neighbours without overlap.
fn place(
    rows: &[Vec<usize>],
    up_N: &[Vec<usize>],
    down_N: &[Vec<usize>],
    width: impl Fn(usize) -> f64,
    all: usize,
) -> Vec<f64> {
    let mut x_N = vec![0.0; all];
    for row in rows {
        let total: f64 = row.iter().map(|&i| width(i)).sum();
        let mut at = -total / 2.0;
        for &i in row {
            x_N[i] = at + width(i) / 2.0;
            at += width(i);
        }
    }
    for sweep in 0..2 * SWEEPS {
        let order: Vec<usize> =
            if sweep % 2 == 0 { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for layer in order {
            let row = &rows[layer];
            let wish = |&i: &usize| {
                let near: Vec<usize> = up_N[i].iter().chain(&down_N[i]).copied().collect();
                if near.is_empty() {
                    x_N[i]
                } else {
                    near.iter().map(|&j| x_N[j]).sum::<f64>() / near.len() as f64
                }
            };
            let wishes: Vec<f64> = row.iter().map(wish).collect();
            for (&i, x) in row.iter().zip(apart(row, &wishes, &width)) {
                x_N[i] = x;
            }
        }
    }
    x_N
}

/// The positions nearest to the wishes at which nothing overlaps: the mean of pushing right and pushing left.
fn apart(row: &[usize], wishes: &[f64], width: impl Fn(usize) -> f64) -> Vec<f64> {
    let gap = |k: usize| f64::midpoint(width(row[k]), width(row[k + 1]));
    let mut right = wishes.to_vec();
    for k in 1..row.len() {
        right[k] = right[k].max(right[k - 1] + gap(k - 1));
    }
    let mut left = wishes.to_vec();
    for k in (0..row.len().saturating_sub(1)).rev() {
        left[k] = left[k].min(left[k + 1] - gap(k));
    }
    left.iter().zip(&right).map(|(l, r)| f64::midpoint(*l, *r)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Node, Role};
    use super::*;

    fn dag(parents: &[&[usize]]) -> Dag {
        let node = |p: &&[usize]| Node {
            name: "n".into(),
            formula: String::new(),
            value: "1".into(),
            role: Role::Needed,
            parents: p.to_vec(),
            implied: false,
        };
        Dag { nodes: parents.iter().map(node).collect() }
    }

    #[test]
    fn children_are_below_their_parents_and_givens_near_their_use() {
        // 0 → 1 → 2 → 3, and 4 is given and first used by 3's sibling 5.
        let d = dag(&[&[], &[0], &[1], &[2], &[], &[2, 4]]);
        assert_eq!(layers(&d), [0, 1, 2, 3, 2, 3]);
    }

    #[test]
    fn nothing_overlaps() {
        let d = dag(&[&[], &[], &[], &[0, 1], &[1, 2], &[0, 3], &[4, 5], &[], &[7], &[6, 0, 2]]);
        let l = layout(&d);
        for a in 0..d.nodes.len() {
            for b in 0..a {
                let ((ax, ay), (bx, by)) = (l.at_N[a], l.at_N[b]);
                assert!(ay != by || (ax - bx).abs() > 0.999, "{a} {b}: {ax} {bx}");
            }
        }
    }

    #[test]
    fn two_crossed_edges_are_uncrossed() {
        let d = dag(&[&[], &[], &[1], &[0]]);
        let l = layout(&d);
        assert_eq!(l.at_N[0].0 < l.at_N[1].0, l.at_N[3].0 < l.at_N[2].0);
    }

    #[test]
    fn an_empty_graph_has_no_size() {
        assert_eq!(layout(&Dag::default()).size, (0.0, 0.0));
    }
}

//! A graph for the terminal.

use std::fmt::Write;

use super::layout::layers;
use super::{Dag, Role};

/// The graph as lines of text: one layer after the other, distractors last.
///
/// ```
/// use tercet_report::draw::{text, Dag, Node, Role};
/// let node = |name: &str, formula: &str, value: &str, role, parents: &[usize]| Node {
///     name: name.into(), formula: formula.into(), value: value.into(), role, parents: parents.to_vec(), implied: false,
/// };
/// let dag = Dag { nodes: vec![
///     node("crow zoo", "", "3", Role::Needed, &[]),
///     node("owl zoo", "2 * crow zoo", "6", Role::Asked, &[0]),
///     node("fox hill", "", "4", Role::Distractor, &[]),
/// ]};
/// assert_eq!(text(&dag), "\
/// 1 │ crow zoo = 3
/// 2 │ owl zoo  = 2 * crow zoo = 6   ◀ asked
///   ┆ fox hill = 4   (not needed)
/// ");
/// ```
pub fn text(dag: &Dag) -> String {
    let layer_N = layers(dag);
    let mut order: Vec<usize> = (0..dag.nodes.len()).collect();
    order.sort_by_key(|&i| (dag.nodes[i].role == Role::Distractor, layer_N[i], i));
    let width = dag.nodes.iter().map(|n| n.name.chars().count()).max().unwrap_or(0);
    let digits = layer_N.iter().max().map_or(1, |l| (l + 1).to_string().len());
    let mut out = String::new();
    let mut last = None;
    for i in order {
        let node = &dag.nodes[i];
        let needed = node.role != Role::Distractor;
        let number =
            if needed && last != Some(layer_N[i]) { (layer_N[i] + 1).to_string() } else { String::new() };
        last = Some(layer_N[i]);
        let rail = if needed { '│' } else { '┆' };
        let _ = write!(out, "{number:>digits$} {rail} {:width$}", node.name);
        if !node.formula.is_empty() {
            let _ = write!(out, " = {}", node.formula);
        }
        let _ = write!(out, " = {}", node.value);
        match node.role {
            Role::Needed => {}
            Role::Distractor => out.push_str("   (not needed)"),
            role => {
                let _ = write!(out, "   ◀ {}", role.note());
            }
        }
        out.push('\n');
    }
    out
}

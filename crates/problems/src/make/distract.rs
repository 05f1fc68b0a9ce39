//! What the query does not need: distractor sentences, and the unknown of reverse mode.

use crate::make::wire::{Parts, draw_literal, join};
use crate::world::graph::{Graph, Node, Operands, Quantity, Rule};
use crate::world::spec::World;
use crate::world::stream::Draws;

/// How many distractors are wanted: geometric with the world's mean.
pub(crate) fn draw_count(world: &World, draws: &mut Draws) -> u8 {
    let go_on = world.distractors / (1.0 + world.distractors);
    let mut count = 0;
    while count < 50 && draws.chance(go_on) {
        count += 1;
    }
    count
}

/// Adds distractors after the path, as many as there is room for. They may depend on anything before them, on
/// totals of finished places too, and never on each other in a circle.
pub(crate) fn add(graph: &mut Graph, count: u8, places: u8, kinds: u8, world: &World, draws: &mut Draws) {
    let mut slots = free_slots(graph, places, kinds, world);
    draws.shuffle(&mut slots);
    // An average needs its count in the text: counts first, then averages whose count is there.
    let has_count =
        |graph: &Graph, p, k| graph.nodes.iter().any(|n| n.quantity == Quantity::Count { place: p, kind: k });
    let mut chosen: Vec<Quantity> = Vec::with_capacity(usize::from(count));
    for quantity in slots {
        if chosen.len() >= usize::from(count) {
            break;
        }
        if let Quantity::Average { place, kind } = quantity
            && !has_count(graph, place, kind)
            && !chosen.contains(&Quantity::Count { place, kind })
        {
            continue;
        }
        chosen.push(quantity);
    }
    let mut independent: Vec<u8> = Vec::new();
    for (k, &quantity) in chosen.iter().enumerate() {
        let detached = draws.chance(0.5);
        let index = graph.nodes.len() as u8;
        let node = draw(graph, quantity, detached.then_some(&independent[..]), world, draws);
        graph.nodes.push(node);
        if detached {
            independent.push(index);
        }
        finish_place(graph, quantity.place(), &chosen[k + 1..], world);
    }
}

/// Quantities that may be stated without changing what the path's totals add up.
fn free_slots(graph: &Graph, places: u8, kinds: u8, world: &World) -> Vec<Quantity> {
    let mut slots = Vec::new();
    for place in 0..places {
        let has = |q: Quantity| graph.nodes.iter().any(|n| n.quantity == q);
        let (total, grand) = (has(Quantity::Total { place }), has(Quantity::Grand { place }));
        for kind in 0..kinds {
            if !total && !grand && !has(Quantity::Count { place, kind }) {
                slots.push(Quantity::Count { place, kind });
            }
            if world.d == 3 && !grand && !has(Quantity::Average { place, kind }) {
                slots.push(Quantity::Average { place, kind });
            }
        }
    }
    slots
}

/// One distractor: a number, or up to `max_operands` earlier quantities with or without a literal.
fn draw(graph: &Graph, quantity: Quantity, pool: Option<&[u8]>, world: &World, draws: &mut Draws) -> Node {
    for attempt in 0..8 {
        let mut edges = 1;
        while edges < 4 && draws.chance(0.5) {
            edges += 1;
        }
        let mut operands = Operands::default();
        let mut literal = draws.chance(0.58);
        let available = pool.map_or(graph.nodes.len(), <[u8]>::len);
        let wanted = (edges - usize::from(literal)).min(usize::from(world.max_operands)).min(available);
        while operands.len() < wanted {
            let pick = draws.below(available);
            let pick = pool.map_or(pick as u8, |pool| pool[pick]);
            if !operands.as_slice().contains(&pick) && !operands.push(pick) {
                break;
            }
        }
        literal |= operands.is_empty();
        let literal = literal.then(|| draw_literal(world, draws, attempt >= 4));
        let parts = Parts { operands, literal, difference: world.forms.difference };
        if let Some((rule, operands, value)) = join(world, draws, &graph.nodes, parts, world.bounds().1) {
            return Node { quantity, rule, operands, value };
        }
    }
    let value = world.literals.0;
    Node { quantity, rule: Rule::Literal(value), operands: Operands::default(), value }
}

/// When a place's last sentence is there, later distractors may refer to its total.
fn finish_place(graph: &mut Graph, place: u8, later: &[Quantity], world: &World) {
    let count_of_place = |q: Quantity| matches!(q, Quantity::Count { place: p, .. } if p == place);
    let known = graph.nodes.iter().any(|n| n.quantity == Quantity::Total { place });
    if known || later.is_empty() || later.iter().any(|&q| count_of_place(q)) {
        return;
    }
    let members = graph.nodes.iter().enumerate().filter(|(_, n)| count_of_place(n.quantity));
    let operands: Operands = members.map(|(i, _)| i as u8).collect();
    let value: i64 = operands.iter().map(|i| graph.nodes[i].value).sum();
    let value = world.modulus.map_or(value, |m| value % m);
    if !operands.is_empty() && value <= world.bounds().1 {
        graph.nodes.push(Node { quantity: Quantity::Total { place }, rule: Rule::Total, operands, value });
    }
}

/// Drops totals among the distractors that nothing refers to.
pub(crate) fn prune(graph: &mut Graph) {
    let mut index = graph.nodes.len();
    while index > usize::from(graph.path) {
        index -= 1;
        let used = graph.nodes[index + 1..].iter().any(|n| n.operands.iter().any(|i| i == index));
        if !graph.nodes[index].quantity.is_stated() && !used {
            graph.nodes.remove(index);
            for node in &mut graph.nodes[index..] {
                for operand in node.operands.as_mut_slice() {
                    if usize::from(*operand) > index {
                        *operand -= 1;
                    }
                }
            }
        }
    }
}

/// Makes a literal of the path the unknown. The last node's value has to determine it; false if it determines none.
pub(crate) fn choose_unknown(graph: &mut Graph, from_the_end: bool, draws: &mut Draws) -> bool {
    let last = graph.last();
    let mut leaves: Vec<u8> =
        (0..last as u8).filter(|&i| matches!(graph.nodes[usize::from(i)].rule, Rule::Literal(_))).collect();
    if from_the_end {
        leaves.reverse();
    } else {
        draws.shuffle(&mut leaves);
    }
    for leaf in leaves {
        graph.unknown = Some(leaf);
        if graph.linear().is_some_and(|values| values[last].a != 0) {
            return true;
        }
    }
    graph.unknown = None;
    false
}

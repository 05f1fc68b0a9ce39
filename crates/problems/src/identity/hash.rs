//! What makes two problems the same: canonical hashes.
//!
//! The *structure* of a problem is its path with operations, literals and values; letters, sentence order, entities,
//! context and distractors do not matter. The hash colours every node by its own rule, then by its operands
//! (bottom-up) and by what it is used for (top-down), twice, and hashes the sorted colours. Structures that differ may
//! in principle share a colouring (as with any colour refinement); they would then share a split, never straddle two.

use crate::world::colour::{mix, pair};
use crate::world::graph::{Act, Graph, Join, Node, Quantity, Rule};

/// A number for the operation alone, literals left out.
fn operation(rule: Rule) -> u64 {
    match rule {
        Rule::Literal(_) => 1,
        Rule::Total => 2,
        Rule::Grand => 3,
        Rule::Joined(join, literal) => {
            let join = match join {
                Join::Sum => 0,
                Join::Difference => 1,
            };
            let act = match literal {
                None => 0,
                Some((Act::Plus, _)) => 2,
                Some((Act::Times, _)) => 4,
            };
            8 + join + act
        }
    }
}

fn literal(rule: Rule) -> i64 {
    match rule {
        Rule::Literal(c) | Rule::Joined(_, Some((_, c))) => c,
        Rule::Joined(_, None) | Rule::Total | Rule::Grand => 0,
    }
}

/// The part that an operand plays: the same number for operands that may be exchanged.
fn role(rule: Rule, position: usize) -> u64 {
    match rule {
        Rule::Joined(Join::Difference, _) => 1 + position as u64,
        _ => 0,
    }
}

fn refine(graph: &Graph, start: impl Fn(&Node) -> u64) -> Vec<u64> {
    let path = graph.path_nodes();
    let mut colours: Vec<u64> = path.iter().map(start).collect();
    if let Some(unknown) = graph.unknown {
        colours[usize::from(unknown)] = mix(colours[usize::from(unknown)] ^ 0x756e_6b6e);
    }
    let mut used = vec![0u64; path.len()];
    for _ in 0..2 {
        for (i, node) in path.iter().enumerate() {
            let mut from = 0u64;
            if node.rule == Rule::Grand {
                for two in node.operands.as_slice().chunks_exact(2) {
                    let product = colours[usize::from(two[0])].wrapping_add(colours[usize::from(two[1])]);
                    from = from.wrapping_add(mix(product));
                }
            } else {
                for (k, operand) in node.operands.iter().enumerate() {
                    from = from.wrapping_add(pair(colours[operand], role(node.rule, k)));
                }
            }
            colours[i] = pair(colours[i], from);
        }
        used.fill(0);
        for i in (0..path.len()).rev() {
            colours[i] = pair(colours[i], used[i]);
            let node = &path[i];
            for (k, operand) in node.operands.iter().enumerate() {
                // The partner in a product is part of what an operand is used for.
                let partner = if node.rule == Rule::Grand {
                    node.operands.iter().nth(k ^ 1).map_or(0, |p| colours[p])
                } else {
                    0
                };
                used[operand] =
                    used[operand].wrapping_add(pair(colours[i].wrapping_add(partner), role(node.rule, k)));
            }
        }
    }
    colours
}

fn finish(domain: &str, graph: &Graph, mut colours: Vec<u64>) -> [u8; 32] {
    colours.extend(graph.modulus.map(|m| pair(0x6d6f_6475, m as u64)));
    colours.sort_unstable();
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    for colour in colours {
        hasher.update(&colour.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

impl Graph {
    /// Hash of the structure: equal for problems that differ in nothing but letters, sentence order, entities, context
    /// and distractors.
    pub fn structure_hash(&self) -> [u8; 32] {
        let start =
            |node: &Node| pair(operation(node.rule), pair(literal(node.rule) as u64, node.value as u64));
        finish("tercet structure, version 1", self, refine(self, start))
    }
}

/// Hash of the shape: the structure without literals and values. Problems of one shape are near-duplicates.
pub(crate) fn shape_hash(graph: &Graph) -> [u8; 32] {
    finish("tercet shape, version 1", graph, refine(graph, |node| mix(operation(node.rule))))
}

/// Hash of the whole graph with its entities, distractors included. `place` and `kind` give an entity's number
/// outside the problem; letters, sentence order and context do not matter.
pub(crate) fn instance_hash(graph: &Graph, place: impl Fn(u8) -> u64, kind: impl Fn(u8) -> u64) -> [u8; 32] {
    let code = |quantity: Quantity| match quantity {
        Quantity::Count { place: p, kind: k } => pair(1, pair(place(p), kind(k))),
        Quantity::Average { place: p, kind: k } => pair(2, pair(place(p), kind(k))),
        Quantity::Total { place: p } => pair(3, place(p)),
        Quantity::Grand { place: p } => pair(4, place(p)),
    };
    let mut colours: Vec<u64> = Vec::with_capacity(graph.nodes.len() + 2);
    for node in &graph.nodes {
        let mut from = 0u64;
        for (k, operand) in node.operands.iter().enumerate() {
            from = from.wrapping_add(pair(code(graph.nodes[operand].quantity), role(node.rule, k)));
        }
        let own = pair(operation(node.rule), pair(literal(node.rule) as u64, node.value as u64));
        colours.push(pair(code(node.quantity), pair(own, from)));
    }
    colours.push(pair(0x71, code(graph.nodes[graph.query()].quantity)));
    colours.push(pair(0x72 + u64::from(graph.unknown.is_some()), code(graph.nodes[graph.last()].quantity)));
    finish("tercet instance, version 1", graph, colours)
}

/// Hash of a text in several fields; runs of blanks count as one.
pub(crate) fn text_hash(fields: [&str; 3]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("tercet text, version 1");
    for field in fields {
        let field = field.trim();
        let bytes = field.as_bytes();
        if memchr::memmem::find(bytes, b"  ").is_some() || memchr::memchr2(b'\n', b'\t', bytes).is_some() {
            for word in field.split_whitespace() {
                hasher.update(word.as_bytes());
                hasher.update(b" ");
            }
        } else {
            hasher.update(field.as_bytes());
            hasher.update(b" ");
        }
        hasher.update(b"\x1f");
    }
    *hasher.finalize().as_bytes()
}

/// The first 16 hexadecimal digits of a hash: enough to name a thing.
pub(crate) fn short(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex()[..16].to_owned()
}

//! Turns a plan into a graph: order, edges, literals and values.
//!
//! The order is built from the query backwards: a total brings its members, and any other quantity enters as the
//! operand of a quantity that is placed already, so everything on the path is needed. Then the spare budget is dealt
//! out as further operands and literals, and values are drawn from the front, each within its limits.

use crate::make::plan::{Form, FormCounts, Plan, Shape};
use crate::world::graph::{Act, Graph, Join, Node, Operands, Quantity, Rule};
use crate::world::spec::World;
use crate::world::stream::Draws;

/// Draws for one quantity before the whole graph is wired again.
const TRIES: usize = 12;

/// A place whose total or grand total is on the path.
#[derive(Clone, Copy)]
struct Block {
    grand: bool,
    place: u8,
    kinds: u8,
}

/// A quantity of the path before it has its place in the order.
#[derive(Clone, Copy)]
struct Item {
    quantity: Quantity,
    /// The block whose total adds it up.
    block: Option<u8>,
    /// The item that it must have among its operands.
    link: Option<u8>,
    /// Its in-degree.
    edges: u8,
    /// Whether a literal is among them, where the plan decides that.
    literal: Option<bool>,
}

pub(crate) struct Wiring<'a> {
    world: &'a World,
    draws: &'a mut Draws,
    places: u8,
    kinds: u8,
    blocks: Vec<Block>,
    items: Vec<Item>,
    /// Items from the query backwards.
    order: Vec<u8>,
    nodes: Vec<Node>,
    /// Node of each item.
    node_of: Vec<u8>,
}

/// A path with its values, or `None` if this attempt ran out of bounds.
///
/// Also gives the numbers of places and kinds; there are places enough for that many distractors.
pub(crate) fn wire(
    plan: &Plan,
    op: u32,
    distractors: u8,
    world: &World,
    draws: &mut Draws,
) -> Option<(Graph, u8, u8)> {
    let shape = plan.shape;
    let mut wiring = Wiring::new(shape, distractors, world, draws)?;
    wiring.place_all(shape);
    match plan.forms {
        Some(forms) => wiring.deal_forms(forms)?,
        None => wiring.deal(shape.spare(op)?)?,
    }
    wiring.evaluate()?;
    let path = wiring.nodes.len() as u8;
    Some((
        Graph { nodes: wiring.nodes, path, unknown: None, modulus: world.modulus },
        wiring.places,
        wiring.kinds,
    ))
}

impl<'a> Wiring<'a> {
    /// Draws places and kinds for every item of the shape.
    fn new(shape: Shape, distractors: u8, world: &'a World, draws: &'a mut Draws) -> Option<Self> {
        let blocks = shape.totals + shape.grands;
        let fewest_kinds = |blocks: u8, members: u8| if blocks == 0 { 0 } else { members.div_ceil(blocks) };
        let need =
            fewest_kinds(shape.totals, shape.total_kinds).max(fewest_kinds(shape.grands, shape.grand_kinds));
        // Kinds enough for the totals, and for everything else in the places that are left.
        let others =
            (shape.free + distractors).div_ceil((world.places.1 - blocks.min(world.places.1)).max(1));
        let need = need.max(others.min(world.kinds.1));
        let kinds = draws.range(i64::from(world.kinds.0.max(need)), i64::from(world.kinds.1)) as u8;
        let (need, most) = (shape.places(kinds), world.places.1);
        let kinds = if need > most { world.kinds.1 } else { kinds };
        let roomy = Shape { free: shape.free + distractors, ..shape };
        let need = roomy.places(kinds).min(most).max(shape.places(kinds));
        let places = draws.range(i64::from(world.places.0.max(need)), i64::from(most)) as u8;
        let mut wiring = Self {
            world,
            draws,
            places,
            kinds,
            blocks: Vec::with_capacity(usize::from(blocks)),
            items: Vec::with_capacity(32),
            order: Vec::with_capacity(32),
            nodes: Vec::with_capacity(40),
            node_of: Vec::new(),
        };
        wiring.draw_blocks(shape);
        wiring.draw_members();
        wiring.draw_free(shape)?;
        Some(wiring)
    }

    /// Items 0.. are the blocks' totals.
    fn draw_blocks(&mut self, shape: Shape) {
        let mut place = 0;
        for (grand, blocks, members) in
            [(false, shape.totals, shape.total_kinds), (true, shape.grands, shape.grand_kinds)]
        {
            let first = self.blocks.len();
            for _ in 0..blocks {
                let quantity = if grand { Quantity::Grand { place } } else { Quantity::Total { place } };
                self.blocks.push(Block { grand, place, kinds: 1 });
                self.items.push(Item { quantity, block: None, link: None, edges: 0, literal: None });
                place += 1;
            }
            for _ in blocks..members {
                // One more kind for a random block that has room; the shape guarantees one.
                let start = self.draws.below(usize::from(blocks));
                let room = (0..usize::from(blocks)).map(|i| first + (start + i) % usize::from(blocks));
                if let Some(block) = room.into_iter().find(|&b| self.blocks[b].kinds < self.kinds) {
                    self.blocks[block].kinds += 1;
                }
            }
        }
    }

    fn draw_members(&mut self) {
        let mut kinds: Vec<u8> = (0..self.kinds).collect();
        for b in 0..self.blocks.len() {
            let Block { grand, place, kinds: n } = self.blocks[b];
            self.draws.shuffle(&mut kinds);
            for &kind in &kinds[..usize::from(n)] {
                let block = Some(b as u8);
                self.items.push(Item {
                    quantity: Quantity::Count { place, kind },
                    block,
                    link: None,
                    edges: 1,
                    literal: None,
                });
                if grand {
                    self.items.push(Item {
                        quantity: Quantity::Average { place, kind },
                        block,
                        link: None,
                        edges: 1,
                        literal: None,
                    });
                }
            }
        }
    }

    /// Quantities of places whose totals are not on the path.
    fn draw_free(&mut self, shape: Shape) -> Option<()> {
        let first = self.blocks.len() as u8;
        let mut slots: Vec<(u8, u8)> =
            (first..self.places).flat_map(|p| (0..self.kinds).map(move |k| (p, k))).collect();
        self.draws.shuffle(&mut slots);
        let mut averages: Vec<(u8, u8)> = Vec::new();
        if self.world.d == 3 {
            // A kind may have an average wherever it has a count that no grand total uses.
            for item in &self.items {
                if let (Quantity::Count { place, kind }, Some(b)) = (item.quantity, item.block)
                    && !self.blocks[usize::from(b)].grand
                {
                    averages.push((place, kind));
                }
            }
        }
        for _ in 0..shape.free {
            let quantity = if !averages.is_empty() && self.draws.chance(0.4) {
                let (place, kind) = averages.swap_remove(self.draws.below(averages.len()));
                Quantity::Average { place, kind }
            } else {
                let (place, kind) = slots.pop()?;
                if self.world.d == 3 {
                    averages.push((place, kind));
                }
                Quantity::Count { place, kind }
            };
            self.items.push(Item { quantity, block: None, link: None, edges: 1, literal: None });
        }
        Some(())
    }

    /// Builds the order from the query backwards, with one link for every item that no total brings in.
    fn place_all(&mut self, shape: Shape) {
        let totals = self.blocks.len();
        let free_from = self.items.len() - usize::from(shape.free);
        // Items that nothing placed uses yet.
        let mut loose: Vec<u8> = (0..totals).chain(free_from..self.items.len()).map(|i| i as u8).collect();
        let ends = if shape.ends_in_total {
            self.draws.below(totals)
        } else {
            totals + self.draws.below(loose.len() - totals)
        };
        let mut next = Some(loose.swap_remove(ends));
        let mut ready: Vec<u8> = Vec::with_capacity(self.items.len());
        while let Some(item) = next {
            self.order.push(item);
            if usize::from(item) < totals {
                let members = self.items.iter().enumerate().filter(|(_, m)| m.block == Some(item));
                ready.extend(members.map(|(i, _)| i as u8));
            } else if !loose.is_empty() && (ready.is_empty() || self.draws.chance(0.5)) {
                let link = loose.swap_remove(self.draws.below(loose.len()));
                self.items[usize::from(item)].link = Some(link);
                ready.push(link);
            }
            next =
                if ready.is_empty() { None } else { Some(ready.swap_remove(self.draws.below(ready.len()))) };
        }
        self.order.reverse();
    }

    /// Deals the spare budget out to items that have room for more edges.
    fn deal(&mut self, spare: u32) -> Option<()> {
        let most = 1 + usize::from(self.world.max_operands);
        let mut open: Vec<(u8, u8)> = Vec::with_capacity(self.order.len());
        for (before, &item) in self.order.iter().enumerate() {
            if self.items[usize::from(item)].quantity.is_stated() && before > 0 {
                open.push((item, most.min(1 + before) as u8));
            }
        }
        for _ in 0..spare {
            if open.is_empty() {
                return None;
            }
            let pick = self.draws.below(open.len());
            let (item, most) = open[pick];
            let edges = &mut self.items[usize::from(item)].edges;
            *edges += 1;
            if *edges == most {
                open.swap_remove(pick);
            }
        }
        Some(())
    }

    /// Deals the plan's forms out from the front, to each item one that it has operands enough for; `None` if the last
    /// ones do not fit.
    fn deal_forms(&mut self, forms: FormCounts) -> Option<()> {
        let mut forms: Vec<Form> = forms.forms().collect();
        self.draws.shuffle(&mut forms);
        for (before, &index) in self.order.iter().enumerate() {
            let item = &mut self.items[usize::from(index)];
            if item.quantity.is_stated() {
                let least = u8::from(item.link.is_some());
                let fits = |form: &Form| (least..=before as u8).contains(&form.operands);
                let Form { operands, literal } = forms.swap_remove(forms.iter().position(fits)?);
                item.edges = operands + u8::from(literal);
                item.literal = Some(literal);
            }
        }
        Some(())
    }

    fn evaluate(&mut self) -> Option<()> {
        self.node_of = vec![u8::MAX; self.items.len()];
        for position in 0..self.order.len() {
            let index = self.order[position];
            let item = self.items[usize::from(index)];
            let node = if item.quantity.is_stated() {
                let limit = self.limit(item)?;
                self.stated(item, position, limit)?
            } else {
                self.total(index, item.quantity)?
            };
            self.node_of[usize::from(index)] = self.nodes.len() as u8;
            self.nodes.push(node);
        }
        Some(())
    }

    /// The value of a member if it is known, else the least it can be.
    fn value_or_least(&self, item: usize) -> i64 {
        match self.node_of[item] {
            u8::MAX => 1,
            node => self.nodes[usize::from(node)].value,
        }
    }

    /// The largest value that an item may take without driving its total out of bounds.
    fn limit(&self, item: Item) -> Option<i64> {
        let (_, most) = self.world.bounds();
        let Some(block) = item.block.filter(|_| self.world.modulus.is_none()) else { return Some(most) };
        let members = |i: &usize| self.items[*i].block == Some(block);
        let members = (self.blocks.len()..self.items.len()).filter(members);
        let limit = if self.blocks[usize::from(block)].grand {
            let members: Vec<usize> = members.collect();
            let mut left = most;
            let mut partner = 1;
            for pair in members.chunks_exact(2) {
                match pair.iter().position(|&i| self.items[i].quantity == item.quantity) {
                    Some(k) => partner = self.value_or_least(pair[1 - k]),
                    None => left -= self.value_or_least(pair[0]) * self.value_or_least(pair[1]),
                }
            }
            left / partner.max(1)
        } else {
            let others = members.filter(|&i| self.items[i].quantity != item.quantity);
            most - others.map(|i| self.value_or_least(i)).sum::<i64>()
        };
        (limit >= 1).then_some(limit)
    }

    fn total(&mut self, block: u8, quantity: Quantity) -> Option<Node> {
        let members = (self.blocks.len()..self.items.len()).filter(|&i| self.items[i].block == Some(block));
        let operands: Operands = members.map(|i| self.node_of[i]).collect();
        let values: Vec<i64> = operands.iter().map(|i| self.nodes[i].value).collect();
        let (rule, value) = if self.blocks[usize::from(block)].grand {
            (Rule::Grand, values.chunks_exact(2).map(|pair| pair[0] * pair[1]).sum())
        } else {
            (Rule::Total, values.iter().sum::<i64>())
        };
        let value = self.world.modulus.map_or(value, |m| value % m);
        (value <= self.world.bounds().1).then_some(Node { quantity, rule, operands, value })
    }

    /// A stated quantity with its planned in-degree and a value from 1 to `limit`.
    fn stated(&mut self, item: Item, before: usize, limit: i64) -> Option<Node> {
        let link = item.link.map(|l| self.node_of[usize::from(l)]);
        let edges = usize::from(item.edges);
        let forms = self.world.forms;
        // A planned sum or difference stays one when operands are drawn again because two values are equal.
        let planned = (item.literal == Some(true) && edges == 3).then(|| self.draws.chance(forms.difference));
        let difference = planned.map_or(forms.difference, |difference| f64::from(u8::from(difference)));
        for attempt in 0..TRIES {
            let most = before.min(usize::from(self.world.max_operands));
            let literal = match item.literal {
                Some(planned) => planned,
                None if edges == 1 => link.is_none() && (before == 0 || self.draws.chance(forms.number)),
                None => edges > most || self.draws.chance(forms.literal),
            };
            let count = edges - usize::from(literal);
            let literal = literal.then(|| draw_literal(self.world, self.draws, attempt >= TRIES / 2));
            let operands = self.choose(link, count, before, attempt >= TRIES / 3);
            if let Some((rule, operands, value)) =
                join(self.world, self.draws, &self.nodes, Parts { operands, literal, difference }, limit)
                && planned.is_none_or(|d| d == matches!(rule, Rule::Joined(Join::Difference, _)))
            {
                return Some(Node { quantity: item.quantity, rule, operands, value });
            }
        }
        None
    }

    /// Distinct operands among the nodes so far, the linked one among them; small ones when values run out of bounds.
    fn choose(&mut self, link: Option<u8>, count: usize, before: usize, small: bool) -> Operands {
        let mut operands: Operands = link.into_iter().collect();
        while operands.len() < count.min(before) {
            let mut pick = self.draws.below(before) as u8;
            if small {
                let other = self.draws.below(before) as u8;
                if self.nodes[usize::from(other)].value < self.nodes[usize::from(pick)].value {
                    pick = other;
                }
            }
            while operands.as_slice().contains(&pick) {
                pick = (pick + 1) % before as u8;
            }
            if !operands.push(pick) {
                break;
            }
        }
        self.draws.shuffle(operands.as_mut_slice());
        operands
    }
}

/// A literal and how it acts, drawn as the reference does it: an added one from the whole range, a multiplying one
/// from 2 on.
pub(crate) fn draw_literal(world: &World, draws: &mut Draws, small: bool) -> (Act, i64) {
    let (lo, hi) = world.literals;
    let hi = if small { lo } else { hi };
    if !small && draws.chance(world.forms.times) {
        (Act::Times, draws.range(lo.max(2).min(hi), hi))
    } else {
        (Act::Plus, draws.range(lo, hi))
    }
}

/// What a stated quantity is joined from.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) operands: Operands,
    pub(crate) literal: Option<(Act, i64)>,
    /// Chance that two operands are subtracted.
    pub(crate) difference: f64,
}

/// Joins operands and a literal, two different values by their difference with that chance; `None` if a value or an
/// intermediate result is out of bounds.
pub(crate) fn join(
    world: &World,
    draws: &mut Draws,
    nodes: &[Node],
    parts: Parts,
    limit: i64,
) -> Option<(Rule, Operands, i64)> {
    let Parts { mut operands, literal, difference } = parts;
    let value = |i: u8| nodes[usize::from(i)].value;
    let (join, joined) = match *operands.as_slice() {
        [] => {
            let (_, c) = literal?;
            return (c <= limit).then_some((Rule::Literal(c), operands, c));
        }
        [a, b] if value(a) != value(b) && draws.chance(difference) => {
            if value(a) < value(b) {
                operands.as_mut_slice().swap(0, 1);
            }
            (Join::Difference, (value(a) - value(b)).abs())
        }
        _ => (Join::Sum, operands.as_slice().iter().map(|&i| value(i)).sum()),
    };
    let joined = world.modulus.map_or(joined, |m| joined % m);
    let result = match literal {
        None => joined,
        Some((Act::Plus, c)) => joined + c,
        Some((Act::Times, c)) => joined * c,
    };
    let result = world.modulus.map_or(result, |m| result % m);
    let (least, most) = world.bounds();
    (joined <= most && (least..=limit).contains(&result)).then_some((
        Rule::Joined(join, literal),
        operands,
        result,
    ))
}

//! The generator: problem `i` of a cell is a function of (world, seed, split, cell, i) and of nothing else.

use std::sync::{Arc, OnceLock};

use super::plan::Plans;
use super::{distract, wire};
use crate::identity::hash;
use crate::identity::split::{Identity, Split, SplitRule};
use crate::problem::{Origin, Problem};
use crate::tell::layout::{Layout, Sentence};
use crate::tell::render;
use crate::world::context::{Context, Contexts, Word};
use crate::world::graph::{Graph, Rule};
use crate::world::mode::Mode;
use crate::world::spec::{Cell, OP_MAX, Preset, Sentences, SpecError, Variables, World};
use crate::world::stream::{Draws, Stream};

/// Graphs drawn for one problem before giving up. A checked cell needs a handful; 1/share times that with a split.
const DRAWS_MAX: usize = 1_000_000;
/// Graphs drawn for one problem of a cell that is being checked.
const CHECK_DRAWS_MAX: usize = 4_000;
/// Attempts to wire a shape before another is drawn.
const WIRINGS: usize = 16;
/// Problems drawn to check a cell.
const CHECK_PROBLEMS: u64 = 8;

/// Makes problems. Clones share their plans, so they are cheap, and threads can share one.
#[derive(Debug, Clone)]
pub struct Generator {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: World,
    contexts: Contexts,
    seed: u64,
    stream: Stream,
    split: Option<(Split, SplitRule)>,
    /// The shapes of each (mode, op), made when they are first asked for.
    plans: Vec<OnceLock<Plans>>,
}

/// The problems of one cell: an endless sequence whose members can be drawn in any order.
///
/// Only a generator makes one, and only of a cell that it has checked. So drawing a problem cannot fail.
#[derive(Debug, Clone)]
pub struct Sequence {
    shared: Arc<Shared>,
    cell: Cell,
    /// Position of the cell's context.
    context: usize,
    stream: Stream,
}

impl Generator {
    /// A generator for a world. With a split it makes that split's problems only.
    ///
    /// # Errors
    /// If a knob of the world is out of its bounds.
    pub fn new(
        world: &World,
        contexts: &Contexts,
        seed: u64,
        split: Option<(Split, SplitRule)>,
    ) -> Result<Self, SpecError> {
        world.check()?;
        let shared = Shared {
            world: world.clone(),
            contexts: contexts.clone(),
            seed,
            stream: Stream::root(seed).fork("problems"),
            split,
            plans: (0..=2 * OP_MAX as usize + 1).map(|_| OnceLock::new()).collect(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.shared.world
    }

    /// The contexts.
    pub fn contexts(&self) -> &Contexts {
        &self.shared.contexts
    }

    /// The problems of a cell.
    ///
    /// The cell's context may be given by its reference name.
    ///
    /// # Errors
    /// Says why there are none: no such context, no graph with that op in this world, or none in the split.
    pub fn sequence(&self, cell: &Cell) -> Result<Sequence, SpecError> {
        let shared = &self.shared;
        let Some(context) = shared.contexts.position(&cell.context) else {
            let known = shared.contexts.names().collect::<Vec<_>>().join(", ");
            return Err(SpecError::Context { name: cell.context.clone(), known });
        };
        shared.check_bounds(cell)?;
        let words = shared.contexts.at(context);
        let checks = shared.stream.fork("check");
        for i in 0..CHECK_PROBLEMS {
            if shared.draw(cell, words, &mut checks.index(i).draws(), CHECK_DRAWS_MAX).is_none() {
                return Err(shared.none_drawn(cell));
            }
        }
        let cell = Cell { context: words.name.clone(), ..cell.clone() };
        let path = format!("{} {} {} {}", cell.op, cell.context, cell.mode.name(), shared.world.d);
        Ok(Sequence { shared: Arc::clone(shared), stream: shared.stream.fork(&path), cell, context })
    }
}

impl Sequence {
    /// The cell; its context goes by its own name.
    pub fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Problem `i`.
    pub fn problem(&self, i: u64) -> Problem {
        let shared = &*self.shared;
        let context = shared.contexts.at(self.context);
        let mut draws = self.stream.index(i).draws();
        let (graph, layout) = shared.draw(&self.cell, context, &mut draws, DRAWS_MAX).expect(
            "a checked cell has problems: each draw succeeds with a probability well above 1 in 4,000",
        );
        let origin = Origin { cell: self.cell.clone(), d: shared.world.d, seed: shared.seed, index: i };
        Problem::new(origin, graph, layout, context)
            .expect("values are linear in the unknown and letters suffice: both are checked on drawing")
    }
}

impl Shared {
    /// Whether graphs of this op and mode exist in the world at all.
    fn check_bounds(&self, cell: &Cell) -> Result<(), SpecError> {
        let least = if cell.mode == Mode::Reverse { 2 } else { 1 };
        if !(least..=OP_MAX).contains(&cell.op) {
            return Err(impossible(cell, format!("op must be from {least} to {OP_MAX}")));
        }
        if cell.mode == Mode::Reverse && self.world.modulus.is_some() {
            let why = "an equation modulo a number may have several solutions";
            return Err(impossible(cell, why.to_owned()));
        }
        if self.plans(cell).is_empty() {
            let World { places, kinds, max_operands, .. } = self.world;
            let why = format!(
                "{} places of {} kinds with {max_operands} operands each do not make such a graph",
                places.1, kinds.1
            );
            return Err(impossible(cell, why));
        }
        Ok(())
    }

    fn none_drawn(&self, cell: &Cell) -> SpecError {
        let split = self.split.map_or(String::new(), |(split, _)| format!(" in the {} split", split.name()));
        let most = self.world.bounds().1;
        impossible(cell, format!("{CHECK_DRAWS_MAX} draws gave none{split} with values up to {most}"))
    }

    fn plans(&self, cell: &Cell) -> &Plans {
        let slot = 2 * cell.op.min(OP_MAX) as usize + usize::from(cell.mode == Mode::Reverse);
        self.plans[slot].get_or_init(|| Plans::new(cell.op, cell.mode, &self.world))
    }

    /// Draws graphs until one is within bounds and in the split.
    fn draw(
        &self,
        cell: &Cell,
        context: &Context,
        draws: &mut Draws,
        draws_max: usize,
    ) -> Option<(Graph, Layout)> {
        let plans = self.plans(cell);
        for _ in 0..draws_max {
            let plan = plans.draw(draws)?;
            let distractors = plan.distractors.unwrap_or_else(|| distract::draw_count(&self.world, draws));
            // A shape that does not work out gets further chances, or hard shapes would be rarer than planned.
            let wired =
                (0..WIRINGS).find_map(|_| wire::wire(&plan, cell.op, distractors, &self.world, draws));
            let Some((mut graph, places, kinds)) = wired else { continue };
            if cell.mode == Mode::Reverse {
                let from_the_end = self.world.preset == Some(Preset::Reference);
                if !distract::choose_unknown(&mut graph, from_the_end, draws) {
                    continue;
                }
            }
            distract::add(&mut graph, distractors, places, kinds, &self.world, draws);
            distract::prune(&mut graph);
            if self.world.sentences == Sentences::Solution {
                let totals = graph.nodes.iter_mut().filter(|node| node.rule == Rule::Total);
                totals.for_each(|total| total.operands.as_mut_slice().sort_unstable());
            }
            let places = draw_words(context.place_lists(), places, draws);
            let kinds = draw_words(context.kind_lists(), kinds, draws);
            let mut layout = Layout {
                places,
                kinds,
                order: Vec::new(),
                letters: String::new(),
                variables: self.world.variables,
                style: self.world.style.filter(|&style| style != context.style),
            };
            if !self.belongs(cell, &graph, &layout) {
                continue;
            }
            draw_order(&graph, &mut layout, self.world.sentences, draws);
            draw_letters(&graph, &mut layout, cell.op, draws);
            if self.belongs_by_text(cell, &graph, &layout, context) {
                return Some((graph, layout));
            }
        }
        None
    }

    /// Whether the graph is in the generator's split.
    fn belongs(&self, cell: &Cell, graph: &Graph, layout: &Layout) -> bool {
        let Some((split, rule)) = self.split else { return true };
        match Identity::of(rule, cell.op) {
            Identity::Structure => Split::of(&graph.structure_hash()) == split,
            Identity::Instance => Split::of(&layout.instance_hash(graph)) == split,
            Identity::Text => true,
        }
    }

    fn belongs_by_text(&self, cell: &Cell, graph: &Graph, layout: &Layout, context: &Context) -> bool {
        match self.split {
            Some((split, rule)) if Identity::of(rule, cell.op) == Identity::Text => {
                render::texts(graph, layout, context).is_some_and(|t| {
                    Split::of(&hash::text_hash([&t.problem, &t.question, &t.solution])) == split
                })
            }
            _ => true,
        }
    }
}

fn impossible(cell: &Cell, why: String) -> SpecError {
    SpecError::Impossible { op: cell.op, mode: cell.mode.name(), why }
}

/// Distinct words of one list.
fn draw_words(lists: impl ExactSizeIterator<Item = usize>, n: u8, draws: &mut Draws) -> Vec<Word> {
    let list = draws.below(lists.len());
    let length = lists.into_iter().nth(list).unwrap_or(0);
    let mut positions: Vec<u8> = (0..length as u8).collect();
    draws.shuffle(&mut positions);
    positions.iter().take(usize::from(n)).map(|&position| Word(list as u8, position)).collect()
}

fn draw_order(graph: &Graph, layout: &mut Layout, sentences: Sentences, draws: &mut Draws) {
    let stated = graph.nodes.iter().enumerate().filter(|(_, n)| n.quantity.is_stated());
    layout.order = stated.map(|(i, _)| Sentence::Defines(i as u8)).collect();
    if graph.unknown.is_some() {
        layout.order.push(Sentence::Known);
    }
    let in_turn = layout.order.clone();
    draws.shuffle(&mut layout.order);
    if sentences == Sentences::Solution {
        let path = graph.path_nodes().len();
        let is_step = |s: &&mut Sentence| matches!(s, Sentence::Defines(i) if usize::from(*i) < path);
        // Those of the path come first in turn.
        let slots = layout.order.iter_mut().filter(is_step);
        slots.zip(in_turn).for_each(|(slot, step)| *slot = step);
    }
}

/// As many letters as the solution may need: op at most (a step of in-degree n takes n letters at most).
fn draw_letters(graph: &Graph, layout: &mut Layout, op: u32, draws: &mut Draws) {
    let reverse = graph.unknown.is_some();
    let mut letters: Vec<u8> =
        (b'a'..=b'z').chain(b'A'..=b'Z').filter(|l| !(reverse && matches!(l, b'x' | b'X'))).collect();
    let n = letters.len().min(op as usize);
    if layout.variables == Variables::Random {
        for i in 0..n {
            let other = i + draws.below(letters.len() - i);
            letters.swap(i, other);
        }
    }
    layout.letters = letters[..n].iter().map(|&l| char::from(l)).collect();
}

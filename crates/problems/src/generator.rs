//! The generator: problem `i` of a cell is a function of (world, seed, split, cell, i) and of nothing else.

use std::sync::OnceLock;

use crate::context::{Context, Contexts, Style, Word};
use crate::distract;
use crate::gold::Mode;
use crate::graph::{Graph, Rule};
use crate::identity;
use crate::plan::Plans;
use crate::problem::Problem;
use crate::render::{Layout, Sentence};
use crate::spec::{Cell, OP_MAX, Preset, Sentences, SpecError, Variables, World};
use crate::split::{Identity, Split, SplitRule};
use crate::stream::{Draws, Stream};
use crate::wire;

/// Graphs drawn for one problem before giving up. A checked cell needs a handful; 1/share times that with a split.
const DRAWS_MAX: usize = 1_000_000;
/// Graphs drawn for one problem of a cell that is being checked.
const CHECK_DRAWS_MAX: usize = 4_000;
/// Attempts to wire a shape before another is drawn.
const WIRINGS: usize = 16;
/// Problems drawn to check a cell.
const CHECK_PROBLEMS: u64 = 8;

/// Makes problems. Cheap to share between threads.
#[derive(Debug)]
pub struct Generator {
    world: World,
    contexts: Contexts,
    seed: u64,
    stream: Stream,
    split: Option<(Split, SplitRule)>,
    /// The shapes of each (mode, op), made when they are first asked for.
    plans: Vec<OnceLock<Plans>>,
}

impl Generator {
    /// A generator for a world.
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
        Ok(Self {
            world: world.clone(),
            contexts: contexts.clone(),
            seed,
            stream: Stream::root(seed).fork("problems"),
            split,
            plans: (0..=2 * OP_MAX as usize + 1).map(|_| OnceLock::new()).collect(),
        })
    }

    /// The world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The contexts.
    pub fn contexts(&self) -> &Contexts {
        &self.contexts
    }

    /// Whether problems of this cell can be made.
    ///
    /// # Errors
    /// Says why not: no such context, no graph with that op in this world, or none in the split.
    pub fn check(&self, cell: &Cell) -> Result<(), SpecError> {
        let impossible =
            |why: &str| SpecError::Impossible { op: cell.op, mode: cell.mode.name(), why: why.to_owned() };
        let Some(context) = self.contexts.get(&cell.context) else {
            let known = self.contexts.names().collect::<Vec<_>>().join(", ");
            return Err(SpecError::Context { name: cell.context.clone(), known });
        };
        let least = if cell.mode == Mode::Reverse { 2 } else { 1 };
        if !(least..=OP_MAX).contains(&cell.op) {
            return Err(impossible(&format!("op must be from {least} to {OP_MAX}")));
        }
        if cell.mode == Mode::Reverse && self.world.modulus.is_some() {
            return Err(impossible("an equation modulo a number may have several solutions"));
        }
        if self.plans(cell).is_empty() {
            let World { places, kinds, max_operands, .. } = self.world;
            return Err(impossible(&format!(
                "{} places of {} kinds with {max_operands} operands each do not make such a graph",
                places.1, kinds.1
            )));
        }
        for i in 0..CHECK_PROBLEMS {
            let mut draws = self.stream.fork("check").index(i).draws();
            if self.draw(cell, context, &mut draws, CHECK_DRAWS_MAX).is_none() {
                let split =
                    self.split.map_or(String::new(), |(split, _)| format!(" in the {} split", split.name()));
                return Err(impossible(&format!(
                    "{CHECK_DRAWS_MAX} draws gave none{split} with values up to {}",
                    self.world.bounds().1
                )));
            }
        }
        Ok(())
    }

    /// Problem `i` of a cell, from an endless sequence.
    ///
    /// # Panics
    /// If the cell is impossible; [`Generator::check`] tells.
    pub fn problem(&self, cell: &Cell, i: u64) -> Problem {
        let context =
            self.contexts.get(&cell.context).expect("the cell's context exists: the cell has been checked");
        let path = format!("{} {} {} {}", cell.op, context.name, cell.mode.name(), self.world.d);
        let mut draws = self.stream.fork(&path).index(i).draws();
        let cell = Cell { context: context.name.clone(), ..cell.clone() };
        let (graph, layout) = self.draw(&cell, context, &mut draws, DRAWS_MAX).expect(
            "a checked cell has problems: each draw succeeds with a probability well above 1 in 4,000",
        );
        Problem::new(cell, self.world.d, self.seed, i, graph, layout, context)
            .expect("values are linear in the unknown and letters suffice: both are checked on drawing")
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
            Identity::Structure => Split::of(&identity::structure_hash(graph)) == split,
            Identity::Instance => Split::of(&layout.instance_hash(graph)) == split,
            Identity::Text => true,
        }
    }

    fn belongs_by_text(&self, cell: &Cell, graph: &Graph, layout: &Layout, context: &Context) -> bool {
        match self.split {
            Some((split, rule)) if Identity::of(rule, cell.op) == Identity::Text => {
                crate::render::texts(graph, layout, context).is_some_and(|t| {
                    Split::of(&identity::text_hash([&t.problem, &t.question, &t.solution])) == split
                })
            }
            _ => true,
        }
    }
}

impl Layout {
    /// Hash of a graph with its entities (see [`identity::instance_hash`]).
    pub fn instance_hash(&self, graph: &Graph) -> [u8; 32] {
        let number = |words: &[Word], i: u8| {
            words
                .get(usize::from(i))
                .map_or(u64::MAX, |&Word(list, position)| u64::from(list) << 8 | u64::from(position))
        };
        identity::instance_hash(graph, |p| number(&self.places, p), |k| number(&self.kinds, k))
    }
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

impl Context {
    /// The style of its problems in a world.
    pub fn style_in(&self, world: &World) -> Style {
        world.style.unwrap_or(self.style)
    }
}

//! A problem: its graph, its texts, and what identifies it.

mod record;

use crate::identity::hash;
use crate::judge::gold::{Gold, GoldNode};
use crate::tell::layout::Layout;
use crate::tell::parts::Words;
use crate::tell::render;
use crate::world::context::Context;
use crate::world::graph::{Graph, Stats};
use crate::world::linear::Linear;
use crate::world::mode::Mode;
use crate::world::spec::Cell;

pub use record::{Record, RecordError};

/// A problem with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The first 16 hexadecimal digits of the text's hash.
    pub id: String,
    /// Its number in its cell's sequence.
    pub index: u64,
    /// op, context and mode.
    pub cell: Cell,
    /// 2 (medium) or 3 (hard).
    pub d: u8,
    /// The seed it was made with.
    pub seed: u64,
    /// Quantities, rules and values.
    pub graph: Graph,
    /// Words, sentence order and letters.
    pub layout: Layout,
    /// The sentences.
    pub problem: String,
    /// The question.
    pub question: String,
    /// The steps; ends with `Answer: n.`
    pub solution: String,
    /// The answer.
    pub answer: i64,
    /// The name of each node of the graph, one a line.
    names: String,
    /// The context's name in the reference's records, or its own where it has none.
    template: String,
}

/// What a problem has besides its graph, its layout and its context.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) cell: Cell,
    pub(crate) d: u8,
    pub(crate) seed: u64,
    pub(crate) index: u64,
}

impl Problem {
    /// Renders a graph. `None` if its values are not linear in the unknown or the layout lacks letters.
    pub(crate) fn new(origin: Origin, graph: Graph, layout: Layout, context: &Context) -> Option<Self> {
        let Origin { cell, d, seed, index } = origin;
        let texts = render::texts(&graph, &layout, context)?;
        let words = Words::new(context, &layout);
        let mut names = String::with_capacity(40 * graph.nodes.len());
        for node in &graph.nodes {
            names.push_str(words.name(node.quantity));
            names.push('\n');
        }
        let hash = hash::text_hash([&texts.problem, &texts.question, &texts.solution]);
        Some(Self {
            id: hash::short(&hash),
            index,
            cell,
            d,
            seed,
            answer: graph.answer(),
            graph,
            layout,
            problem: texts.problem,
            question: texts.question,
            solution: texts.solution,
            names,
            template: context.reference_name.as_ref().unwrap_or(&context.name).clone(),
        })
    }

    /// This problem with another graph of the same layout, in a context.
    pub(crate) fn retold(&self, cell: Cell, graph: Graph, context: &Context) -> Option<Self> {
        let origin = Origin { cell, d: self.d, seed: self.seed, index: self.index };
        Self::new(origin, graph, self.layout.clone(), context)
    }

    /// Forward or reverse.
    pub fn mode(&self) -> Mode {
        self.cell.mode
    }

    /// What a model is given: `<question> … </question> <solution>`.
    pub fn prompt(&self) -> String {
        let (problem, question) = (self.problem.trim(), self.question.trim());
        format!("<question> {problem} {question} </question> <solution>")
    }

    /// What a model should answer, with the blank that follows the prompt: ` … </solution> <answer> n </answer>`.
    pub fn response(&self) -> String {
        format!(" {} </solution> <answer> {} </answer>", self.steps(), self.answer)
    }

    /// The solution without its answer.
    pub fn steps(&self) -> &str {
        self.solution.rsplit_once("Answer:").map_or(self.solution.as_str(), |(steps, _)| steps).trim()
    }

    /// The names of the graph's nodes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.lines()
    }

    /// What a judge needs to know.
    pub fn gold(&self) -> Gold {
        gold_of(&self.graph, self.names.lines())
    }

    /// Counts that describe the problem.
    pub fn stats(&self) -> Stats {
        self.graph.stats()
    }

    /// Hash of the structure: equal for problems that differ in nothing but letters, sentence order, entities,
    /// context and distractors.
    pub fn structure_hash(&self) -> [u8; 32] {
        self.graph.structure_hash()
    }

    /// Hash of the shape: the structure without literals and values.
    pub fn shape_hash(&self) -> [u8; 32] {
        hash::shape_hash(&self.graph)
    }

    /// Hash of the graph with its entities and distractors.
    pub fn instance_hash(&self) -> [u8; 32] {
        self.layout.instance_hash(&self.graph)
    }

    /// Hash of problem, question and solution, blanks normalised.
    pub fn text_hash(&self) -> [u8; 32] {
        hash::text_hash([&self.problem, &self.question, &self.solution])
    }

    /// The same problem told in another context: same graph, same order of sentences, same letters.
    #[must_use]
    pub fn render_in(&self, context: &Context) -> Self {
        let cell = Cell { context: context.name.clone(), ..self.cell.clone() };
        self.retold(cell, self.graph.clone(), context)
            .expect("the graph and the letters have been rendered before, and contexts have words enough")
    }
}

/// What a judge needs to know of a graph whose nodes have these names.
pub(crate) fn gold_of<'n>(graph: &Graph, names: impl Iterator<Item = &'n str>) -> Gold {
    let values = if graph.unknown.is_some() { graph.linear() } else { None };
    let nodes = graph.path_nodes().iter().zip(names).enumerate().map(|(i, (node, name))| {
        let mut parents: Vec<u32> = node.operands.as_slice().iter().map(|&p| u32::from(p)).collect();
        parents.sort_unstable();
        parents.dedup();
        if graph.unknown == Some(i as u8) {
            parents.clear();
        }
        let value = values.as_ref().map_or(Linear::number(node.value), |v| v[i]);
        GoldNode { name: name.to_owned(), parents, value }
    });
    Gold { nodes: nodes.collect(), answer: graph.answer(), mode: graph.mode(), modulus: graph.modulus }
}

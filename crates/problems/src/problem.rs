//! A problem: its graph, its texts, and the record it is stored as.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::gold::{Gold, Mode};
use crate::graph::{Graph, Node, Rule, Stats};
use crate::identity;
use crate::linear::Linear;
use crate::render::{self, Layout, Words};
use crate::spec::{Cell, World};
use crate::stream::Stream;

/// A problem with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}

/// What a problem is stored as: the reference's fields first, then ours. One line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// See [`Problem::problem`].
    pub problem: String,
    /// See [`Problem::question`].
    pub question: String,
    /// See [`Problem::solution`].
    pub solution: String,
    /// See [`Cell::op`].
    pub op: u32,
    /// See [`Problem::id`].
    pub id: String,
    /// The reference's name for the context, or the context's own.
    pub template: String,
    /// `normalforward` or `forwardreverse`.
    pub mode: String,
    /// Always `zero_context`: no padding.
    pub length: String,
    /// See [`Problem::d`].
    pub d: u8,
    /// The cell.
    pub cell: Cell,
    /// See [`Problem::index`].
    pub index: u64,
    /// See [`Problem::seed`].
    pub seed: u64,
    /// See [`Problem::answer`].
    pub answer: i64,
    /// Counts that describe the graph; for readers, and not read back.
    #[serde(skip_deserializing)]
    pub stats: Stats,
    /// See [`Problem::graph`].
    pub graph: Graph,
    /// See [`Problem::layout`].
    pub layout: Layout,
    /// The name of each node of the graph.
    pub names: Vec<String>,
    /// Hash of the structure, hexadecimal.
    pub structure_hash: String,
    /// Hash of the text, hexadecimal.
    pub text_hash: String,
}

/// A record that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The graph is not a graph.
    #[error("problem {id}: node {node} {problem}")]
    Node {
        /// The record's id.
        id: String,
        /// Index of the node.
        node: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A field contradicts the graph.
    #[error("problem {id}: `{field}` contradicts the graph")]
    Field {
        /// The record's id.
        id: String,
        /// The field.
        field: &'static str,
    },
}

impl Problem {
    /// Renders a graph. `None` if its values are not linear in the unknown or the layout lacks letters.
    pub(crate) fn new(
        cell: Cell,
        d: u8,
        seed: u64,
        index: u64,
        graph: Graph,
        layout: Layout,
        context: &Context,
    ) -> Option<Self> {
        let texts = render::texts(&graph, &layout, context)?;
        let words = Words::new(context, &layout);
        let mut names = String::with_capacity(40 * graph.nodes.len());
        for node in &graph.nodes {
            names.push_str(words.name(node.quantity));
            names.push('\n');
        }
        let hash = identity::text_hash([&texts.problem, &texts.question, &texts.solution]);
        Some(Self {
            id: identity::short(&hash),
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
        })
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
        let mut names = self.names.lines();
        self.graph.gold(|_| names.next().unwrap_or_default().to_owned())
    }

    /// Counts that describe the problem.
    pub fn stats(&self) -> Stats {
        self.graph.stats()
    }

    /// Hash of the structure: equal for problems that differ in nothing but letters, sentence order, entities,
    /// context and distractors.
    pub fn structure_hash(&self) -> [u8; 32] {
        identity::structure_hash(&self.graph)
    }

    /// Hash of the shape: the structure without literals and values.
    pub fn shape_hash(&self) -> [u8; 32] {
        identity::shape_hash(&self.graph)
    }

    /// Hash of the graph with its entities and distractors.
    pub fn instance_hash(&self) -> [u8; 32] {
        self.layout.instance_hash(&self.graph)
    }

    /// Hash of problem, question and solution, blanks normalised.
    pub fn text_hash(&self) -> [u8; 32] {
        identity::text_hash([&self.problem, &self.question, &self.solution])
    }

    /// The same problem told in another context: same graph, same order of sentences, same letters.
    #[must_use]
    pub fn render_in(&self, context: &Context) -> Self {
        let cell = Cell { context: context.name.clone(), ..self.cell.clone() };
        Self::new(cell, self.d, self.seed, self.index, self.graph.clone(), self.layout.clone(), context)
            .expect("the graph and the letters have been rendered before, and contexts have words enough")
    }

    /// The same problem with other numbers: operations, edges, words and letters stay, literals are drawn anew within
    /// the world's bounds. `None` if no numbers were found that keep every value within bounds (a chain of differences
    /// may leave few).
    #[must_use]
    pub fn renumber(&self, world: &World, context: &Context, stream: &Stream) -> Option<Self> {
        let graph = self.graph.renumber(world, &mut stream.draws())?;
        let cell = Cell { context: context.name.clone(), ..self.cell.clone() };
        Self::new(cell, self.d, self.seed, self.index, graph, self.layout.clone(), context)
    }

    /// The record it is stored as. `template` is the context's name in the reference's records where it has one.
    pub fn record(&self) -> Record {
        let hex = |hash: [u8; 32]| blake3::Hash::from_bytes(hash).to_hex().to_string();
        Record {
            problem: self.problem.clone(),
            question: self.question.clone(),
            solution: self.solution.clone(),
            op: self.cell.op,
            id: self.id.clone(),
            template: template(&self.cell.context).to_owned(),
            mode: self.cell.mode.reference_name().to_owned(),
            length: "zero_context".to_owned(),
            d: self.d,
            cell: self.cell.clone(),
            index: self.index,
            seed: self.seed,
            answer: self.answer,
            stats: self.stats(),
            graph: self.graph.clone(),
            layout: self.layout.clone(),
            names: self.names.lines().map(str::to_owned).collect(),
            structure_hash: hex(self.structure_hash()),
            text_hash: hex(self.text_hash()),
        }
    }

    /// The problem of a record, checked: the graph is well formed, and op, answer, mode and hashes agree with it.
    ///
    /// # Errors
    /// Names the first field that contradicts the graph.
    pub fn from_record(record: &Record) -> Result<Self, RecordError> {
        let id = &record.id;
        check_graph(&record.graph).map_err(|(node, problem)| RecordError::Node {
            id: id.clone(),
            node,
            problem,
        })?;
        let problem = Self {
            id: id.clone(),
            index: record.index,
            cell: record.cell.clone(),
            d: record.d,
            seed: record.seed,
            graph: record.graph.clone(),
            layout: record.layout.clone(),
            problem: record.problem.clone(),
            question: record.question.clone(),
            solution: record.solution.clone(),
            answer: record.answer,
            names: record.names.iter().flat_map(|n| [n.as_str(), "\n"]).collect(),
        };
        let expected = problem.record();
        let field = |same: bool, field: &'static str| {
            if same { Ok(()) } else { Err(RecordError::Field { id: id.clone(), field }) }
        };
        field(problem.graph.op() == record.op && record.op == record.cell.op, "op")?;
        field(problem.graph.answer() == record.answer, "answer")?;
        field(problem.graph.mode() == record.cell.mode && expected.mode == record.mode, "mode")?;
        field(record.names.len() == record.graph.nodes.len() && expected.names == record.names, "names")?;
        let layout = &record.layout;
        field(layout.fits(&record.graph) && layout.has_letters(&record.graph), "layout")?;
        field(record.graph.unknown.is_none() || record.graph.linear().is_some(), "graph")?;
        field(expected.structure_hash == record.structure_hash, "structure_hash")?;
        field(expected.text_hash == record.text_hash, "text_hash")?;
        field(record.solution.ends_with(&format!("Answer: {}.", record.answer)), "solution")?;
        Ok(problem)
    }
}

/// The reference's name for a context, as written into records.
fn template(context: &str) -> &str {
    match context {
        "zoo" => "crazy_zootopia",
        "school" => "teachers_in_school",
        "festival" => "movie_festival_awards",
        other => other,
    }
}

/// Whether every node is computed from earlier ones, by its rule.
fn check_graph(graph: &Graph) -> Result<(), (usize, &'static str)> {
    let mut values: Vec<Linear> = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let count = node.operands.len();
        let possible = match node.rule {
            Rule::Literal(_) => count == 0,
            Rule::Joined(crate::graph::Join::Difference, _) => count == 2,
            Rule::Joined(..) | Rule::Total => count > 0,
            Rule::Grand => count > 0 && count.is_multiple_of(2),
        };
        if !possible {
            return Err((i, "has the wrong number of operands"));
        }
        if node.operands.iter().any(|operand| operand >= i) {
            return Err((i, "is computed from a later node"));
        }
        if node.apply(&values, graph.modulus) != Some(Linear::number(node.value)) {
            return Err((i, "has another value than its rule gives"));
        }
        values.push(Linear::number(node.value));
    }
    let path = usize::from(graph.path);
    if path == 0 || path > graph.nodes.len() {
        return Err((path, "is said to end the path, but does not exist"));
    }
    if graph.modulus.is_some_and(|m| m < 1 || graph.unknown.is_some()) {
        return Err((0, "has an impossible modulus"));
    }
    if let Some(unknown) = graph.unknown.map(usize::from) {
        let leaf = |node: &Node| matches!(node.rule, Rule::Literal(_));
        if unknown >= path || !leaf(&graph.nodes[unknown]) {
            return Err((unknown, "cannot be the unknown"));
        }
    }
    Ok(())
}

impl Problem {
    /// Forward or reverse.
    pub fn mode(&self) -> Mode {
        self.cell.mode
    }
}

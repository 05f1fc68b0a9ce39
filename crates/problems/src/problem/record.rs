//! The line of JSON that a problem is stored as, and the problem of a line.

use serde::{Deserialize, Serialize};

use super::Problem;
use crate::tell::layout::Layout;
use crate::world::graph::{Graph, Join, Node, Rule, Stats};
use crate::world::linear::Linear;
use crate::world::spec::Cell;

/// What a problem is stored as: the reference's fields first, then ours. One line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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
    /// Counts that describe the graph. They are for readers: a problem does not take them over.
    #[serde(default)]
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
#[non_exhaustive]
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
    /// The record it is stored as.
    pub fn record(&self) -> Record {
        let hex = |hash: [u8; 32]| blake3::Hash::from_bytes(hash).to_hex().to_string();
        Record {
            problem: self.problem.clone(),
            question: self.question.clone(),
            solution: self.solution.clone(),
            op: self.cell.op,
            id: self.id.clone(),
            template: self.template.clone(),
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
            template: record.template.clone(),
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

/// Whether every node is computed from earlier ones, by its rule.
fn check_graph(graph: &Graph) -> Result<(), (usize, &'static str)> {
    let mut values: Vec<Linear> = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let count = node.operands.len();
        let possible = match node.rule {
            Rule::Literal(_) => count == 0,
            Rule::Joined(Join::Difference, _) => count == 2,
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

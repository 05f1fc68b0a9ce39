//! Dependency graphs drawn: layers from what is given down to what follows, for the terminal and as SVG.

use problems::Problem;
use problems::graph::{Act, Join, Rule};

mod layout;
mod svg;
mod text;

pub use svg::svg;
pub(crate) use svg::{Judged, inline};
pub use text::text;

/// A graph to draw. Every node comes after its parents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dag {
    /// The quantities.
    pub nodes: Vec<Node>,
}

/// One quantity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name as the text has it.
    pub name: String,
    /// How it is computed, e.g. `2 * crow zoo`; empty for a number that is simply given.
    pub formula: String,
    /// Its value.
    pub value: String,
    /// What it is to the question.
    pub role: Role,
    /// Indices of the quantities it is computed from.
    pub parents: Vec<usize>,
    /// Whether its edges follow from the structure and are not stated.
    pub implied: bool,
}

/// What a quantity is to the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// On the way to the answer.
    Needed,
    /// What is asked for.
    Asked,
    /// Its value is told although it could be computed (reverse problems).
    Told,
    /// Of no use.
    Distractor,
}

/// How a solution fared at a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Present, from the correct parents, with the correct value.
    Correct,
    /// Present and wrong.
    Wrong,
    /// Not in the solution.
    Missing,
}

impl Dag {
    /// The graph of a problem: the path to the answer first, distractors last.
    ///
    /// ```
    /// use problems::{Cell, Contexts, Generator, World, gold::Mode};
    /// let generator = Generator::new(&World::default(), &Contexts::builtin(), 7, None)?;
    /// let cell = Cell { op: 4, context: "terse".into(), mode: Mode::Forward };
    /// let dag = tercet_report::draw::Dag::of_problem(&generator.sequence(&cell)?.problem(0));
    /// assert!(tercet_report::draw::text(&dag).contains("asked"));
    /// # Ok::<(), problems::SpecError>(())
    /// ```
    pub fn of_problem(problem: &Problem) -> Self {
        let graph = &problem.graph;
        let names: Vec<&str> = problem.names().collect();
        let name = |i: usize| names.get(i).copied().unwrap_or("?");
        let node = |(i, node): (usize, &problems::graph::Node)| Node {
            name: name(i).to_owned(),
            formula: formula(node, name),
            value: node.value.to_string(),
            role: match i {
                _ if i == graph.query() => Role::Asked,
                _ if graph.unknown.is_some() && i == graph.last() => Role::Told,
                _ if i >= usize::from(graph.path) => Role::Distractor,
                _ => Role::Needed,
            },
            parents: node.operands.iter().collect(),
            implied: !node.quantity.is_stated(),
        };
        Self { nodes: graph.nodes.iter().enumerate().map(node).collect() }
    }
}

/// How a quantity is computed, e.g. `2 * (crow zoo - owl zoo)`; empty for a number that is given.
fn formula<'a>(node: &problems::graph::Node, name: impl Fn(usize) -> &'a str) -> String {
    let names: Vec<&str> = node.operands.iter().map(&name).collect();
    match node.rule {
        Rule::Literal(_) => String::new(),
        Rule::Total => names.join(" + "),
        Rule::Grand => names.chunks(2).map(|pair| pair.join(" * ")).collect::<Vec<_>>().join(" + "),
        Rule::Joined(join, literal) => {
            let joined = names.join(if join == Join::Sum { " + " } else { " - " });
            let several = names.len() > 1;
            match literal {
                None => joined,
                Some((Act::Plus, c)) => format!("{c} + {joined}"),
                Some((Act::Times, c)) if several => format!("{c} * ({joined})"),
                Some((Act::Times, c)) => format!("{c} * {joined}"),
            }
        }
    }
}

impl Role {
    /// A word beside the node, for the terminal and for those who cannot see colour.
    pub fn note(self) -> &'static str {
        match self {
            Self::Needed => "",
            Self::Asked => "asked",
            Self::Told => "told",
            Self::Distractor => "not needed",
        }
    }
}

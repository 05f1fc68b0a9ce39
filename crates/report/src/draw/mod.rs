//! Dependency graphs drawn: layers from what is given down to what follows, for the terminal and as SVG.

mod layout;
mod svg;
mod text;

pub use svg::svg;
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
    /// Present, from the right parents, with the right value.
    Right,
    /// Present and wrong.
    Wrong,
    /// Not in the solution.
    Missing,
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

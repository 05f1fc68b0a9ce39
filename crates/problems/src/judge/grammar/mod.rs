//! The grammar of a solution: text in, a flat syntax tree out.
//!
//! The lexer and the recursive descent are written by hand. They look at every byte a bounded number of times, so the time
//! is linear in the text, and [`DEPTH_MAX`] bounds nesting. They know nothing of graphs, of values, or of correct and wrong. Text that is not a solution yields a [`Solution`] without steps, never an error.
//!
//! There are two styles, and the text itself tells which one it has:
//! * prose: `Define NAME as V; U = A + B = 3 + 4 = 7; so V = 2 * U = 2 * 7 = 14.`
//! * terse: `NAME: m =2 * j =2 *3 =6.`

mod answer;
mod expression;
mod lexer;
mod prose;
mod symbol;
mod terse;

use std::ops::Range;

use crate::world::context::Style;

pub use answer::normalise_answer;
pub(crate) use answer::solution_end;
pub(crate) use answer::{Answer, Tags};
pub(crate) use symbol::Symbol;
use symbol::Symbols;

/// Parentheses may nest this deep; deeper expressions are malformed.
pub(crate) const DEPTH_MAX: u32 = 32;

/// Text beyond this many bytes is not read; such a response counts as truncated.
pub const TEXT_MAX: usize = 4 << 20;

/// A range of bytes of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// The same as a range of `usize`.
    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A parsed solution. Ranges index into the tables of the same struct.
#[derive(Debug)]
pub(crate) struct Solution<'t> {
    /// The text that was parsed.
    pub(crate) text: &'t str,
    /// How the steps are written.
    pub(crate) style: Style,
    /// Steps and equations in the order of the text.
    pub(crate) items: Vec<Item>,
    /// The tags around the solution and the answers that were given.
    pub(crate) tags: Tags,
    pub(crate) clauses: Vec<Clause>,
    pub(crate) members: Vec<Member>,
    pub(crate) terms: Vec<Term>,
    pub(crate) factors: Vec<Factor>,
    pub(crate) symbols: Symbols<'t>,
}

/// A variable and where it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Which variable.
    pub(crate) symbol: Symbol,
    /// Its bytes.
    pub(crate) span: Span,
}

/// One part of the solution.
#[derive(Debug)]
pub(crate) enum Item {
    /// A quantity is defined.
    Step(Step),
    /// The equation of a reverse problem is stated and solved.
    Tail(Tail),
}

/// The definition of one quantity.
#[derive(Debug)]
pub(crate) struct Step {
    /// The whole step, from its header to its last mark.
    pub(crate) span: Span,
    /// The quantity's name as written.
    pub(crate) name: Span,
    /// The variable that stands for it; `None` when the header (prose) or the last clause (terse) is malformed.
    pub(crate) variable: Option<Variable>,
    /// Says that the value is not known yet.
    pub(crate) unknown: bool,
    /// `U = … = …`, in order.
    pub(crate) clauses: Range<u32>,
}

/// `We know V = 99, so we have …`: the equation of a reverse problem.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The whole tail.
    pub(crate) span: Span,
    /// Which quantity is said to be known.
    pub(crate) known: Option<Known>,
    /// `left = right`, line by line.
    pub(crate) equations: Range<u32>,
}

/// `V = 99`.
#[derive(Debug)]
pub(crate) struct Known {
    /// The variable, or the name itself.
    pub(crate) by: KnownBy,
    /// The whole statement.
    pub(crate) span: Span,
    /// Its value; `None` when it is not a whole number.
    pub(crate) value: Option<i64>,
}

/// How the known quantity is referred to.
#[derive(Debug)]
pub(crate) enum KnownBy {
    /// By its variable (prose).
    Variable(Variable),
    /// By its name (terse).
    Name(Span),
}

/// A chain `target = member = member …`; in a tail the target is the first member instead.
#[derive(Debug, Clone)]
pub(crate) struct Clause {
    pub(crate) target: Option<Variable>,
    pub(crate) span: Span,
    pub(crate) members: Range<u32>,
}

/// One expression of a chain.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) span: Span,
    /// `None` when it is malformed.
    pub(crate) expression: Option<TermId>,
    /// A variable occurs in it.
    pub(crate) has_names: bool,
}

/// Index of the first term of an expression.
pub(crate) type TermId = u32;
/// "No further term" and "no further factor".
pub(crate) const NONE: u32 = u32::MAX;

/// A summand: a product with a sign.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term {
    pub(crate) negative: bool,
    pub(crate) first: u32,
    pub(crate) next: TermId,
}

/// A factor of a product.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor {
    pub(crate) divides: bool,
    pub(crate) negative: bool,
    pub(crate) atom: Atom,
    pub(crate) span: Span,
    pub(crate) next: u32,
}

/// What a factor is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Atom {
    /// A number; `None` when it is not whole or does not fit.
    Number(Option<i64>),
    Name(Symbol),
    Group(TermId),
}

/// Parses the text after `<solution>`. Any text gives a result.
pub(crate) fn parse(text: &str) -> Solution<'_> {
    let mut parser = Parser::new(text);
    let (body, tags) = answer::split(parser.text);
    parser.solution.tags = tags;
    if prose::has_define(parser.text.as_bytes(), body) {
        parser.prose(body);
    } else {
        parser.terse(body);
    }
    parser.solution
}

pub(crate) struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    /// Next byte to read.
    at: usize,
    /// Where the part that is being read ends.
    end: usize,
    depth: u32,
    /// Variables read so far.
    names: u32,
    solution: Solution<'t>,
}

impl<'t> Parser<'t> {
    /// The variable that is written there.
    fn variable(&mut self, span: Span) -> Variable {
        Variable { symbol: self.solution.symbols.intern(self.text, span), span }
    }

    fn new(text: &'t str) -> Self {
        let mut cut = text.len().min(TEXT_MAX);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let cut = &text[..cut];
        let guess = cut.len() / 16;
        Self {
            text: cut,
            bytes: cut.as_bytes(),
            at: 0,
            end: cut.len(),
            depth: 0,
            names: 0,
            solution: Solution {
                text,
                style: Style::Prose,
                items: Vec::with_capacity(cut.len() / 48 + 1),
                tags: Tags::default(),
                clauses: Vec::with_capacity(guess / 2),
                members: Vec::with_capacity(guess),
                terms: Vec::with_capacity(guess * 2),
                factors: Vec::with_capacity(guess * 2),
                symbols: Symbols::default(),
            },
        }
    }
}

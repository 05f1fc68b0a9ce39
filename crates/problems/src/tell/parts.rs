//! What both styles tell a problem with: its words, its values and its numbers.

use super::layout::Layout;
use crate::world::context::Context;
use crate::world::graph::{Graph, Node, Quantity};
use crate::world::linear::Linear;

/// The texts of a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Texts {
    /// The sentences.
    pub problem: String,
    /// The question.
    pub question: String,
    /// The steps and the answer.
    pub solution: String,
}

/// Looks up the words of one problem.
pub(crate) struct Words<'a> {
    context: &'a Context,
    places: Vec<usize>,
    kinds: Vec<usize>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(context: &'a Context, layout: &Layout) -> Self {
        let (places, kinds) = context.resolve(&layout.places, &layout.kinds);
        Self { context, places, kinds }
    }

    pub(crate) fn name(&self, quantity: Quantity) -> &'a str {
        let place = self.places[usize::from(quantity.place())];
        match quantity {
            Quantity::Count { kind, .. } => self.context.count(place, self.kinds[usize::from(kind)]),
            Quantity::Average { kind, .. } => self.context.average(place, self.kinds[usize::from(kind)]),
            Quantity::Total { .. } => self.context.total(place),
            Quantity::Grand { .. } => self.context.grand(place),
        }
    }

    /// The phrase around a name, in two pieces.
    pub(crate) fn phrase(&self, quantity: Quantity) -> (&'a str, &'a str) {
        match quantity {
            Quantity::Count { .. } => self.context.count_phrase(),
            _ => self.context.other_phrase(),
        }
    }

    pub(crate) fn question(&self, quantity: Quantity) -> String {
        match quantity {
            Quantity::Count { place, kind } => {
                self.context.how_many(self.places[usize::from(place)], self.kinds[usize::from(kind)])
            }
            _ => self.context.what_is(self.name(quantity)),
        }
    }
}

/// A problem that is being told.
pub(crate) struct Telling<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) layout: &'a Layout,
    pub(crate) words: Words<'a>,
    /// Values of the path; expressions in the unknown in reverse mode.
    pub(crate) values: Vec<Linear>,
}

impl Telling<'_> {
    pub(crate) fn node(&self, i: usize) -> &Node {
        &self.graph.nodes[i]
    }

    pub(crate) fn name(&self, i: usize) -> &str {
        self.words.name(self.graph.nodes[i].quantity)
    }
}

/// Appends a number; rendering spends most of its time on numbers, and `fmt` would double it.
pub(crate) fn push_number(out: &mut String, n: i64) {
    if n < 0 {
        out.push('-');
    }
    let mut rest = n.unsigned_abs();
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits[first..].iter().for_each(|&digit| out.push(char::from(digit)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_fmt_does_it() {
        for n in [0, 7, 10, 105, -3, -40, i64::MAX, i64::MIN] {
            let mut out = String::new();
            push_number(&mut out, n);
            assert_eq!(out, n.to_string());
        }
    }
}

//! The steps of a solution as clauses (`U = P + Q = 2 + 3 = 5`), before any style.

use crate::world::graph::{Act, Join, Node, Rule};
use crate::world::linear::Linear;
use crate::world::spec::Variables;

use super::parts::Telling;

/// What stands for a value in an equation.
#[derive(Clone, Copy)]
pub(super) enum Symbol {
    /// A literal.
    Number(i64),
    /// A letter.
    Letter(u8),
    /// The name of that node.
    Name(u8),
}

#[derive(Clone, Copy)]
pub(super) struct Term {
    pub(super) symbol: Symbol,
    pub(super) value: Linear,
}

/// One equation: `target = left [operator right] = … = value`.
pub(super) struct Clause {
    pub(super) target: Symbol,
    pub(super) left: Term,
    pub(super) right: Option<(char, Term)>,
    pub(super) value: Linear,
    /// The step's last clause.
    pub(super) last: bool,
}

/// Hands out variables while a solution is written.
pub(super) struct Steps<'a> {
    telling: &'a Telling<'a>,
    letters: std::slice::Iter<'a, u8>,
    /// What stands for each node that is defined so far.
    symbols: Vec<Symbol>,
    /// A single operand with a literal gets an intermediate of its own (the reference's habit).
    alias: bool,
}

impl<'a> Steps<'a> {
    pub(super) fn new(telling: &'a Telling<'a>, alias: bool) -> Self {
        Self { telling, letters: telling.layout.letters.as_bytes().iter(), symbols: Vec::new(), alias }
    }

    fn letter(&mut self) -> Option<Symbol> {
        self.letters.next().map(|&l| Symbol::Letter(l))
    }

    /// Defines the path's next node; appends its clauses.
    pub(super) fn define(&mut self, clauses: &mut Vec<Clause>) -> Option<Symbol> {
        let i = self.symbols.len();
        let node = self.telling.node(i);
        let value = self.telling.values[i];
        clauses.clear();
        if self.telling.graph.unknown == Some(i as u8) {
            self.symbols.push(Symbol::Letter(b'x'));
            return Some(Symbol::Letter(b'x'));
        }
        let target = match self.telling.layout.variables {
            Variables::Names => Symbol::Name(i as u8),
            Variables::Random | Variables::Ordered => self.letter()?,
        };
        match node.rule {
            Rule::Literal(_) => {
                let left = Term { symbol: Symbol::Number(value.b), value };
                clauses.push(Clause { target, left, right: None, value, last: true });
            }
            Rule::Joined(join, None) => self.join(node, join, Some(target), clauses)?,
            Rule::Joined(join, Some((act, c))) => {
                let mut right = self.term(node.operands.iter().next()?);
                if node.operands.len() > 1 || self.alias {
                    self.join(node, join, None, clauses)?;
                    let joined = clauses.last_mut()?;
                    joined.last = false;
                    right = Term { symbol: joined.target, value: joined.value };
                }
                let left = Term { symbol: Symbol::Number(c), value: Linear::number(c) };
                let sign = if act == Act::Plus { '+' } else { '*' };
                clauses.push(Clause { target, left, right: Some((sign, right)), value, last: true });
            }
            Rule::Total => self.join(node, Join::Sum, Some(target), clauses)?,
            Rule::Grand => self.grand(node, target, clauses)?,
        }
        self.symbols.push(target);
        Some(target)
    }

    fn term(&self, i: usize) -> Term {
        Term { symbol: self.symbols[i], value: self.telling.values[i] }
    }

    /// Joins all operands from left to right; the result goes to `target`, or to a letter of its own.
    fn join(
        &mut self,
        node: &Node,
        join: Join,
        target: Option<Symbol>,
        clauses: &mut Vec<Clause>,
    ) -> Option<()> {
        let mut operands = node.operands.iter();
        let first = self.term(operands.next()?);
        let rest: Vec<Term> = operands.map(|i| self.term(i)).collect();
        self.chain(first, &rest, join, target, clauses)
    }

    fn chain(
        &mut self,
        first: Term,
        rest: &[Term],
        join: Join,
        target: Option<Symbol>,
        clauses: &mut Vec<Clause>,
    ) -> Option<()> {
        let mut left = first;
        if rest.is_empty() {
            let target = target.or_else(|| self.letter())?;
            clauses.push(Clause { target, left, right: None, value: left.value, last: true });
        }
        for (k, &right) in rest.iter().enumerate() {
            let last = k + 1 == rest.len();
            let target = if last { target } else { None };
            let target = if let Some(target) = target { target } else { self.letter()? };
            let (sign, value) = match join {
                Join::Sum => ('+', left.value.plus(right.value)?),
                Join::Difference => ('-', left.value.minus(right.value)?),
            };
            let value = value.modulo(self.telling.graph.modulus);
            clauses.push(Clause { target, left, right: Some((sign, right)), value, last });
            left = Term { symbol: target, value };
        }
        Some(())
    }

    fn grand(&mut self, node: &Node, target: Symbol, clauses: &mut Vec<Clause>) -> Option<()> {
        let pairs: Vec<(usize, usize)> = node
            .operands
            .as_slice()
            .chunks_exact(2)
            .map(|p| (usize::from(p[0]), usize::from(p[1])))
            .collect();
        let mut products: Vec<Term> = Vec::with_capacity(pairs.len());
        for &(count, average) in &pairs {
            let (left, right) = (self.term(count), self.term(average));
            let value = left.value.times(right.value)?.modulo(self.telling.graph.modulus);
            let single = pairs.len() == 1;
            let symbol = if single { target } else { self.letter()? };
            clauses.push(Clause { target: symbol, left, right: Some(('*', right)), value, last: single });
            products.push(Term { symbol, value });
        }
        let (first, rest) = products.split_first()?;
        if rest.is_empty() { Some(()) } else { self.chain(*first, rest, Join::Sum, Some(target), clauses) }
    }

    /// The equation that a reverse solution ends with: the last node's symbol, its expression and its given value.
    pub(super) fn known(&self) -> (Symbol, Linear, i64) {
        let last = self.telling.graph.last();
        (self.symbols[last], self.telling.values[last], self.telling.graph.nodes[last].value)
    }
}

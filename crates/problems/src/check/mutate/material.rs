//! A correct response, parsed, and ways to point at its parts.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::judge::grammar::{
    self, Atom, Clause, Factor, Item, KnownBy, Member, NONE, Solution, Span, Step, Symbol, Tail, TermId,
    Variable,
};
use crate::world::context::Style;
use crate::world::stream::Draws;

/// Replacements of ranges of the text.
pub(super) type Edits = Vec<(Range<usize>, String)>;

/// A correct response, parsed once for many changes.
#[derive(Debug)]
pub struct Material<'t> {
    pub(super) text: &'t str,
    pub(super) solution: Solution<'t>,
}

impl<'t> Material<'t> {
    /// Reads a response that is correct.
    pub fn new(response: &'t str) -> Self {
        Self { text: response, solution: grammar::parse(response) }
    }

    pub(super) fn is_prose(&self) -> bool {
        self.solution.style == Style::Prose
    }

    pub(super) fn at(&self, span: Span) -> &'t str {
        &self.text[span.range()]
    }

    /// The text with some of its ranges replaced.
    pub(super) fn edited(&self, mut edits: Edits) -> Option<String> {
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = String::with_capacity(self.text.len() + 64);
        let mut at = 0;
        for (range, new) in edits {
            out.push_str(self.text.get(at..range.start)?);
            out.push_str(&new);
            at = range.end;
        }
        out.push_str(self.text.get(at..)?);
        (out != self.text).then_some(out)
    }

    pub(super) fn steps(&self) -> Vec<&Step> {
        let items = self.solution.items.iter();
        items.filter_map(|item| if let Item::Step(step) = item { Some(step) } else { None }).collect()
    }

    pub(super) fn tail(&self) -> Option<&Tail> {
        let mut items = self.solution.items.iter();
        items.find_map(|item| if let Item::Tail(tail) = item { Some(tail) } else { None })
    }

    pub(super) fn clauses(&self, step: &Step) -> &[Clause] {
        &self.solution.clauses[step.clauses.start as usize..step.clauses.end as usize]
    }

    pub(super) fn equations(&self, tail: &Tail) -> &[Clause] {
        &self.solution.clauses[tail.equations.start as usize..tail.equations.end as usize]
    }

    pub(super) fn members(&self, clause: &Clause) -> &[Member] {
        &self.solution.members[clause.members.start as usize..clause.members.end as usize]
    }

    /// Every factor of an expression, those in parentheses included.
    pub(super) fn factors(&self, expression: TermId) -> Vec<Factor> {
        let mut found = Vec::new();
        let mut terms = vec![expression];
        while let Some(mut term_id) = terms.pop() {
            while term_id != NONE {
                let term = self.solution.terms[term_id as usize];
                let mut factor_id = term.first;
                while factor_id != NONE {
                    let factor = self.solution.factors[factor_id as usize];
                    if let Atom::Group(inner) = factor.atom {
                        terms.push(inner);
                    }
                    found.push(factor);
                    factor_id = factor.next;
                }
                term_id = term.next;
            }
        }
        found
    }

    /// The whole numbers of a member.
    pub(super) fn numbers(&self, member: &Member) -> Vec<(Span, i64)> {
        let factors = member.expression.map(|e| self.factors(e)).unwrap_or_default();
        let number = |f: Factor| if let Atom::Number(Some(n)) = f.atom { Some((f.span, n)) } else { None };
        factors.into_iter().filter_map(number).collect()
    }

    /// The variables of a member.
    pub(super) fn names(&self, member: &Member) -> Vec<Variable> {
        let factors = member.expression.map(|e| self.factors(e)).unwrap_or_default();
        let name = |f: Factor| {
            if let Atom::Name(symbol) = f.atom { Some(Variable { symbol, span: f.span }) } else { None }
        };
        factors.into_iter().filter_map(name).collect()
    }

    /// The variables of the whole step, right sides only.
    pub(super) fn uses(&self, step: &Step) -> Vec<Symbol> {
        let members = self.clauses(step).iter().flat_map(|c| self.members(c));
        members.flat_map(|m| self.names(m)).map(|v| v.symbol).collect()
    }

    /// The operands of a plain sum or product of two: their factors and the range of the operator between.
    pub(super) fn pair(&self, member: &Member) -> Option<[Factor; 2]> {
        let first = self.solution.terms[member.expression? as usize];
        let left = self.solution.factors[first.first as usize];
        let (right, last) = if first.next == NONE {
            let right = self.solution.factors.get(left.next as usize)?;
            (*right, right.next == NONE)
        } else {
            let second = self.solution.terms[first.next as usize];
            let right = self.solution.factors[second.first as usize];
            (right, left.next == NONE && right.next == NONE && second.next == NONE)
        };
        let plain = last && !left.negative && !right.negative && !right.divides;
        plain.then_some([left, right])
    }

    /// Where the operator of such a pair is written.
    pub(super) fn operator(&self, [left, right]: [Factor; 2]) -> Option<(usize, char)> {
        let between = left.span.end as usize..right.span.start as usize;
        let text = self.text.get(between.clone())?;
        let at = text.find(['+', '-', '*'])?;
        Some((between.start + at, text.as_bytes()[at] as char))
    }

    /// Every place where a variable is written, by variable.
    pub(super) fn variables(&self) -> BTreeMap<Symbol, Vec<Span>> {
        let mut places: BTreeMap<Symbol, Vec<Span>> = BTreeMap::new();
        let mut add = |v: Variable| places.entry(v.symbol).or_default().push(v.span);
        for item in &self.solution.items {
            match item {
                Item::Step(step) => step.variable.into_iter().for_each(&mut add),
                Item::Tail(tail) => {
                    if let Some(KnownBy::Variable(variable)) = tail.known.as_ref().map(|k| &k.by) {
                        add(*variable);
                    }
                }
            }
        }
        for clause in &self.solution.clauses {
            clause.target.into_iter().for_each(&mut add);
            self.members(clause).iter().flat_map(|m| self.names(m)).for_each(&mut add);
        }
        for spans in places.values_mut() {
            spans.sort_by_key(|s| s.start);
            spans.dedup();
        }
        places
    }

    /// Edits that rename variables.
    pub(super) fn renamed(&self, new: impl Fn(Symbol) -> Option<String>) -> Edits {
        let mut edits = Edits::new();
        for (symbol, spans) in self.variables() {
            let Some(name) = new(symbol) else { continue };
            edits.extend(spans.into_iter().map(|s| (s.range(), name.clone())));
        }
        edits
    }

    /// The chain that gives a step its value, and its last member.
    pub(super) fn value(&self, step: &Step) -> Option<(&Clause, &Member)> {
        let own = step.variable?.symbol;
        let mut clauses = self.clauses(step).iter().rev();
        let clause = clauses.find(|c| c.target.is_some_and(|t| t.symbol == own))?;
        Some((clause, self.members(clause).last()?))
    }

    /// The variables of earlier steps that this step does not use, its own and the unknown's excluded.
    pub(super) fn unrelated(&self, steps: &[&Step], index: usize) -> Vec<Variable> {
        let step = steps[index];
        let used = self.uses(step);
        let own = step.variable.map(|v| v.symbol);
        let earlier = steps[..index].iter().filter_map(|s| s.variable);
        earlier.filter(|v| !used.contains(&v.symbol) && own != Some(v.symbol)).collect()
    }

    /// The text with its steps in another order; steps may be left out or repeated.
    pub(super) fn rearranged(&self, steps: &[&Step], order: &[usize]) -> Option<String> {
        let (first, last) = (steps.first()?, steps.last()?);
        let parts: Vec<&str> = order.iter().map(|&i| self.at(steps[i].span)).collect();
        let before = &self.text[..first.span.start as usize];
        let after = &self.text[last.span.end as usize..];
        let text = format!("{before}{}{after}", parts.join(" "));
        (text != self.text).then_some(text)
    }
}

/// A small number other than 0.
pub(super) fn offset(draws: &mut Draws) -> i64 {
    let size = draws.range(1, 5);
    if draws.chance(0.5) { size } else { -size }
}

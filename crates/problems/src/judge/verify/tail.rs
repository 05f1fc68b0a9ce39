//! The equation of a reverse problem, line by line.

use crate::judge::grammar::{Clause, KnownBy, Span, Tail};
use crate::world::linear::Linear;
use crate::world::mode::Mode;

use super::chain;
use super::fault::FaultKind;
use super::scope::Meaning;
use super::steps::{Judgement, Walk};

impl Walk<'_, '_> {
    /// Checks `V = n`, every line after it, and the solution.
    pub(super) fn tail(&mut self, tail: &Tail) {
        if self.gold.mode == Mode::Forward {
            return;
        }
        let mut judged = Judgement { is_equation: true, ..Judgement::new(tail.span, Span::default(), None) };
        let equation = self.stated(tail, &mut judged);
        let mut solved = None;
        let solution = self.solution;
        for clause in &solution.clauses[tail.equations.start as usize..tail.equations.end as usize] {
            self.line(clause, equation, &mut judged, &mut solved);
        }
        self.solved = solved.map(|(x, _)| x).or(self.solved);
        let right = solved.is_some_and(|(x, _)| x == self.gold.answer);
        match solved {
            None => judged.blame(FaultKind::MissingEquation, tail.span),
            Some((_, span)) if !right => judged.blame(FaultKind::WrongSolution, span),
            Some(_) => {}
        }
        judged.correct = right;
        judged.clean &= judged.fault.is_none();
        self.arithmetic_sound &= judged.clean;
        self.equation_correct = judged.correct && judged.clean;
        self.judged.push(judged);
    }

    /// The equation `V - n = 0` from the statement of what is known. It has to be the problem's.
    fn stated(&mut self, tail: &Tail, judged: &mut Judgement) -> Option<Linear> {
        let Some(known) = &tail.known else {
            judged.blame(FaultKind::MissingEquation, tail.span);
            return None;
        };
        let node = match known.by {
            KnownBy::Name(name) => self.node_at(name),
            KnownBy::Variable(variable) => match self.scope.meaning(variable.symbol) {
                Meaning::Quantity(node) => node,
                _ => None,
            },
        };
        // The problem states the last quantity of the order.
        let is_last = node.is_some_and(|n| n as usize + 1 == self.gold.nodes.len());
        let true_value = self.gold.nodes.last().and_then(|last| last.value.at(self.gold.answer));
        if !is_last || known.value.is_none() || known.value != true_value {
            judged.blame(FaultKind::WrongKnown, known.span);
        }
        let value = self.stated_value(&known.by, node)?;
        value.minus(Linear::number(known.value?))
    }

    fn stated_value(&self, by: &KnownBy, node: Option<u32>) -> Option<Linear> {
        match *by {
            KnownBy::Variable(variable) => chain::Values::value(&self.scope, variable.symbol),
            KnownBy::Name(_) => self.defined_value(node?),
        }
    }

    /// One line. It has to have the same solution as the equation that was set up.
    fn line(
        &mut self,
        clause: &Clause,
        equation: Option<Linear>,
        judged: &mut Judgement,
        solved: &mut Option<(i64, Span)>,
    ) {
        let solution = self.solution;
        let members = &solution.members[clause.members.start as usize..clause.members.end as usize];
        let value = |i: usize| {
            let expression = members.get(i)?.expression?;
            chain::evaluate(solution, &self.scope, expression)
        };
        for (i, pair) in members.windows(2).enumerate() {
            let span = Span { start: pair[0].span.start, end: pair[1].span.end };
            let (Some(left), Some(right)) = (value(i), value(i + 1)) else {
                judged.blame(FaultKind::MalformedExpression, span);
                continue;
            };
            let follows =
                left.minus(right).zip(equation).is_some_and(|(line, stated)| same_root(line, stated));
            if !follows {
                judged.blame(FaultKind::WrongEquation, span);
            }
            if left == Linear::X
                && let Some(x) = right.as_number()
            {
                *solved = Some((x, pair[1].span));
            }
        }
    }
}

/// Are `a·x + b = 0` and `c·x + d = 0` the same equation, up to a factor?
fn same_root(line: Linear, stated: Linear) -> bool {
    let cross = |p: i64, q: i64| i128::from(p) * i128::from(q);
    line.a != 0 && stated.a != 0 && cross(line.a, stated.b) == cross(stated.a, line.b)
}

//! The reference's English.

use std::fmt::Write as _;

use crate::world::graph::{Act, Join, Quantity, Rule};
use crate::world::linear::Linear;

use super::clauses::{Clause, Steps, Symbol, Term};
use super::layout::Sentence;
use super::parts::{Telling, Texts, push_number};

const REVERSE_START: &str = "The question is difficult, so we use equations to solve it. ";

pub(super) fn texts(telling: &Telling<'_>) -> Option<Texts> {
    let mut problem = String::with_capacity(96 * telling.layout.order.len());
    if let Some(modulus) = telling.graph.modulus {
        let _ = write!(problem, "All numbers are taken modulo {modulus}. ");
    }
    for &sentence in &telling.layout.order {
        push_sentence(&mut problem, telling, sentence);
        problem.push_str(". ");
    }
    let question = telling.words.question(telling.node(telling.graph.query()).quantity);
    Some(Texts { problem, question, solution: solution(telling)? })
}

/// `the number of adult wolf in South Zoo`
fn push_reference(out: &mut String, telling: &Telling<'_>, quantity: Quantity) {
    let (before, after) = telling.words.phrase(quantity);
    out.push_str(before);
    out.push_str(telling.words.name(quantity));
    out.push_str(after);
}

/// The same at the start of a sentence.
fn push_subject(out: &mut String, telling: &Telling<'_>, quantity: Quantity) {
    let start = out.len();
    push_reference(out, telling, quantity);
    if let Some(first) = out.get_mut(start..=start) {
        first.make_ascii_uppercase();
    }
}

fn push_sentence(out: &mut String, telling: &Telling<'_>, sentence: Sentence) {
    match sentence {
        Sentence::Known => {
            let last = telling.node(telling.graph.last());
            push_subject(out, telling, last.quantity);
            let _ = write!(out, " equals {}", last.value);
        }
        Sentence::Defines(i) => {
            let node = telling.node(usize::from(i));
            push_subject(out, telling, node.quantity);
            if telling.graph.unknown == Some(i) {
                out.push_str(match node.quantity {
                    Quantity::Count { .. } => " exists, and its number is greater than 0",
                    _ => " is greater than 0",
                });
                return;
            }
            out.push_str(" equals ");
            match node.rule {
                Rule::Literal(c) => {
                    push_number(out, c);
                }
                Rule::Joined(join, literal) => {
                    match literal {
                        None => {}
                        Some((Act::Plus, c)) => {
                            let _ = write!(out, "{c} plus ");
                        }
                        Some((Act::Times, c)) => {
                            let _ = write!(out, "{c} times ");
                        }
                    }
                    push_operands(out, telling, join, node.operands.as_slice());
                }
                Rule::Total | Rule::Grand => push_operands(out, telling, Join::Sum, node.operands.as_slice()),
            }
        }
    }
}

fn push_operands(out: &mut String, telling: &Telling<'_>, join: Join, operands: &[u8]) {
    if operands.len() > 1 {
        out.push_str(if join == Join::Difference { "the difference between " } else { "the sum of " });
    }
    for (k, &operand) in operands.iter().enumerate() {
        out.push_str(match (k, operands.len()) {
            (0, _) => "",
            (1, 2) => " and ",
            (k, n) if k + 1 == n => ", and ",
            _ => ", ",
        });
        push_reference(out, telling, telling.node(usize::from(operand)).quantity);
    }
}

fn solution(telling: &Telling<'_>) -> Option<String> {
    let reverse = telling.graph.unknown.is_some();
    let mut out =
        String::with_capacity(112 * usize::from(telling.graph.path) + if reverse { 512 } else { 16 });
    if reverse {
        out.push_str(REVERSE_START);
    }
    let mut steps = Steps::new(telling, true);
    let mut clauses = Vec::with_capacity(8);
    for i in 0..usize::from(telling.graph.path) {
        let variable = steps.define(&mut clauses)?;
        out.push_str("Define ");
        out.push_str(telling.name(i));
        out.push_str(" as ");
        push_symbol(&mut out, telling, variable);
        out.push_str("; ");
        if clauses.is_empty() {
            out.push_str("we don't know its value yet but will find it out later; ");
        }
        let plain = telling.node(i).rule == Rule::Grand && clauses.len() > 1;
        for clause in &clauses {
            out.push_str(if clause.last && !plain { "so " } else { "" });
            push_clause(&mut out, telling, clause);
            out.push_str("; ");
        }
        out.truncate(out.len() - 2);
        out.push_str(". ");
    }
    if reverse {
        push_tail(&mut out, telling, steps.known())?;
    }
    let _ = write!(out, "Answer: {}.", telling.graph.answer());
    Some(out)
}

fn push_symbol(out: &mut String, telling: &Telling<'_>, symbol: Symbol) {
    match symbol {
        Symbol::Number(n) => {
            push_number(out, n);
        }
        Symbol::Letter(l) => out.push(char::from(l)),
        Symbol::Name(i) => out.push_str(telling.name(usize::from(i))),
    }
}

fn push_clause(out: &mut String, telling: &Telling<'_>, clause: &Clause) {
    push_symbol(out, telling, clause.target);
    out.push_str(" = ");
    let literal = matches!(clause.left.symbol, Symbol::Number(_)) && clause.right.is_none();
    if !literal {
        push_symbol(out, telling, clause.left.symbol);
        if let Some((sign, right)) = clause.right {
            push_sign(out, sign);
            push_symbol(out, telling, right.symbol);
        }
        out.push_str(" = ");
        if let Some((sign, right)) = clause.right {
            let parentheses = sign != '+' && telling.graph.unknown.is_some();
            push_value(out, clause.left, parentheses);
            push_sign(out, sign);
            push_value(out, right, parentheses);
            out.push_str(" = ");
        }
    }
    push_linear(out, clause.value);
}

fn push_sign(out: &mut String, sign: char) {
    out.push(' ');
    out.push(sign);
    out.push(' ');
}

fn push_linear(out: &mut String, value: Linear) {
    match value.as_number() {
        Some(n) => push_number(out, n),
        None => drop(write!(out, "{value}")),
    }
}

fn push_value(out: &mut String, term: Term, parentheses: bool) {
    out.push_str(if parentheses { "(" } else { "" });
    push_linear(out, term.value);
    out.push_str(if parentheses { ")" } else { "" });
}

fn push_tail(
    out: &mut String,
    telling: &Telling<'_>,
    (symbol, expression, known): (Symbol, Linear, i64),
) -> Option<()> {
    let Linear { a, b } = expression;
    let moved = expression.minus(Linear::number(known))?;
    let right = known.checked_sub(b)?;
    out.push_str("We know ");
    push_symbol(out, telling, symbol);
    write!(
        out,
        " = {known}, so we have {expression} = {known} and we solve it through the following steps: \
         Simplifying the equation: {expression} = {known}. Move all terms to one side: {moved} = 0. \
         Isolate the term with x: {a}*x = {right}. Divide both sides by {a}: x = {right} / {a}. Solution: x = {}. ",
        telling.graph.answer()
    )
    .ok()
}

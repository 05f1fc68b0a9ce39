//! The terse style: a blank before every word and operator, none before a digit or after an opening parenthesis
//! (Qwen2's pre-tokeniser makes every digit a token, and a blank before a digit another).

use std::fmt::Write as _;

use crate::world::graph::{Act, Join, Rule};
use crate::world::linear::Linear;

use super::clauses::{Clause, Steps, Symbol, Term};
use super::layout::Sentence;
use super::parts::{Telling, Texts, push_number};

pub(super) fn texts(telling: &Telling<'_>) -> Option<Texts> {
    let mut problem = String::with_capacity(24 * telling.layout.order.len());
    if let Some(modulus) = telling.graph.modulus {
        let _ = write!(problem, "modulo{modulus};");
    }
    for &sentence in &telling.layout.order {
        if !problem.is_empty() {
            problem.push(' ');
        }
        push_sentence(&mut problem, telling, sentence);
        problem.push(';');
    }
    let mut question = String::from(telling.name(telling.graph.query()));
    question.push('?');
    Some(Texts { problem, question, solution: solution(telling)? })
}

fn push_sentence(out: &mut String, telling: &Telling<'_>, sentence: Sentence) {
    match sentence {
        Sentence::Known => {
            let last = telling.graph.last();
            let _ = write!(out, "{} ={}", telling.name(last), telling.node(last).value);
        }
        Sentence::Defines(i) => {
            let node = telling.node(usize::from(i));
            out.push_str(telling.name(usize::from(i)));
            out.push_str(" =");
            if telling.graph.unknown == Some(i) {
                out.push('?');
                return;
            }
            let (join, literal) = match node.rule {
                Rule::Literal(c) => {
                    push_number(out, c);
                    return;
                }
                Rule::Joined(join, literal) => (join, literal),
                Rule::Total | Rule::Grand => (Join::Sum, None),
            };
            if let Some((act, c)) = literal {
                let _ = write!(out, "{c} {}", if act == Act::Plus { '+' } else { '*' });
            }
            let parentheses = literal.is_some() && node.operands.len() > 1;
            for (k, operand) in node.operands.iter().enumerate() {
                if k > 0 {
                    out.push_str(if join == Join::Sum { " +" } else { " -" });
                }
                out.push_str(if parentheses && k == 0 { " (" } else { " " });
                out.push_str(telling.name(operand));
            }
            if parentheses {
                out.push(')');
            }
        }
    }
}

fn solution(telling: &Telling<'_>) -> Option<String> {
    let mut out = String::with_capacity(48 * usize::from(telling.graph.path) + 96);
    let mut steps = Steps::new(telling, false);
    let mut clauses = Vec::with_capacity(8);
    for i in 0..usize::from(telling.graph.path) {
        steps.define(&mut clauses)?;
        out.push_str(telling.name(i));
        out.push(':');
        if clauses.is_empty() {
            out.push_str(" x =?");
        }
        for (k, clause) in clauses.iter().enumerate() {
            out.push_str(if k == 0 { "" } else { ";" });
            push_clause(&mut out, telling, clause);
        }
        out.push_str(". ");
    }
    if telling.graph.unknown.is_some() {
        let (_, expression, known) = steps.known();
        push_tail(&mut out, telling, expression, known)?;
    }
    let _ = write!(out, "Answer: {}.", telling.graph.answer());
    Some(out)
}

/// With a blank before it unless it is a number.
fn push_symbol(out: &mut String, telling: &Telling<'_>, symbol: Symbol) {
    match symbol {
        Symbol::Number(n) => {
            push_number(out, n);
        }
        Symbol::Letter(l) => {
            out.push(' ');
            out.push(char::from(l));
        }
        Symbol::Name(i) => {
            out.push(' ');
            out.push_str(telling.name(usize::from(i)));
        }
    }
}

fn push_clause(out: &mut String, telling: &Telling<'_>, clause: &Clause) {
    push_symbol(out, telling, clause.target);
    out.push_str(" =");
    let literal = matches!(clause.left.symbol, Symbol::Number(_)) && clause.right.is_none();
    if !literal {
        push_symbol(out, telling, clause.left.symbol);
        if let Some((sign, right)) = clause.right {
            out.push(' ');
            out.push(sign);
            push_symbol(out, telling, right.symbol);
        }
        out.push_str(" =");
        if let Some((sign, right)) = clause.right {
            push_operand(out, clause.left, sign == '*', sign == '*');
            out.push(' ');
            out.push(sign);
            push_operand(out, right, sign != '+', sign == '*');
            out.push_str(" =");
        }
    }
    push_linear(out, clause.value, false);
}

/// A value as part of an expression: in parentheses where it would bind otherwise, and as a factor wherever it is
/// more than a number or `x`.
fn push_operand(out: &mut String, term: Term, tight: bool, factor: bool) {
    let Linear { a, b } = term.value;
    let negative = if a == 0 { b < 0 } else { a < 0 && b <= 0 };
    if negative || (tight && a != 0 && b != 0) || (factor && a.abs() > 1) {
        out.push_str(" (");
        push_linear(out, term.value, true);
        out.push(')');
    } else {
        push_linear(out, term.value, false);
    }
}

/// `a * x + b` with a blank before words and operators; `opened`: right after a parenthesis.
fn push_linear(out: &mut String, Linear { a, b }: Linear, opened: bool) {
    let start = out.len();
    let multiple = |out: &mut String, a: u64| {
        if a == 1 {
            out.push_str(" x");
        } else {
            push_number(out, a as i64);
            out.push_str(" * x");
        }
    };
    if a == 0 {
        out.push_str(if b < 0 { " " } else { "" });
        push_number(out, b);
    } else if a < 0 && b > 0 {
        let _ = write!(out, "{b} -");
        multiple(out, a.unsigned_abs());
    } else {
        out.push_str(if a < 0 { " -" } else { "" });
        multiple(out, a.unsigned_abs());
        if b != 0 {
            let _ = write!(out, " {}{}", if b > 0 { '+' } else { '-' }, b.unsigned_abs());
        }
    }
    if opened && out.as_bytes().get(start) == Some(&b' ') {
        out.remove(start);
    }
}

/// `total cave =99: 39 * x +21 =99; 39 * x =78; x =2.` Equations that would repeat the one before are left out.
fn push_tail(out: &mut String, telling: &Telling<'_>, expression: Linear, known: i64) -> Option<()> {
    let _ = write!(out, "{} ={known}:", telling.name(telling.graph.last()));
    let right = known.checked_sub(expression.b)?;
    let answer = telling.graph.answer();
    let mut push = |a: i64, b: i64, value: i64, first: bool| {
        out.push_str(if first { "" } else { ";" });
        // At the start of a clause a number has a blank before it, like any word.
        let start = out.len();
        push_linear(out, Linear { a, b }, false);
        if out.as_bytes().get(start) != Some(&b' ') {
            out.insert(start, ' ');
        }
        out.push_str(" =");
        push_linear(out, Linear::number(value), false);
    };
    push(expression.a, expression.b, known, true);
    if expression.b != 0 && expression.a != 1 {
        push(expression.a, 0, right, false);
    }
    if (expression.a, expression.b) != (1, 0) {
        push(1, 0, answer, false);
    }
    out.push_str(". ");
    Some(())
}

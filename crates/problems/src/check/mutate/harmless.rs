//! Changes that leave a solution correct.

use std::collections::BTreeSet;

use crate::judge::grammar::{Atom, Symbol};
use crate::world::stream::Draws;

use super::material::{Edits, Material};

const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Replaces a piece of text everywhere.
pub(super) fn replaced(material: &Material, from: &str, to: &str) -> Option<String> {
    material.text.contains(from).then(|| material.text.replace(from, to))
}

/// The variables that are one letter; names that stand for themselves are left alone.
fn short(material: &Material) -> Vec<Symbol> {
    let variables = material.variables();
    let short = |span: &crate::judge::grammar::Span| span.range().len() == 1;
    variables.iter().filter(|(_, spans)| spans.iter().all(short)).map(|(&symbol, _)| symbol).collect()
}

pub(super) fn letters(material: &Material, draws: &mut Draws) -> Option<String> {
    let symbols = short(material);
    let mut letters = LETTERS.to_vec();
    draws.shuffle(&mut letters);
    let letter = |symbol: Symbol| {
        let at = symbols.iter().position(|&s| s == symbol)?;
        letters.get(at).map(|&b| char::from(b).to_string())
    };
    material.edited(material.renamed(letter))
}

pub(super) fn long_variables(material: &Material, draws: &mut Draws) -> Option<String> {
    let symbols = short(material);
    let style = draws.below(3);
    let name = |symbol: Symbol| {
        let at = symbols.iter().position(|&s| s == symbol)?;
        Some(match style {
            0 => format!("v{at}"),
            1 => format!("q_{at}"),
            _ => {
                format!("z{}{}", char::from(b'a' + (at / 26 % 26) as u8), char::from(b'a' + (at % 26) as u8))
            }
        })
    };
    material.edited(material.renamed(name))
}

pub(super) fn blanks(material: &Material, draws: &mut Draws) -> Option<String> {
    let mut out = String::with_capacity(material.text.len() * 2);
    let body = material.solution.tags.body_end as usize;
    for (at, c) in material.text.char_indices() {
        let tight = "=+*();".contains(c);
        match c {
            ' ' => out.push_str([" ", "  ", "\n", " \n", "\t", "   "][draws.below(6)]),
            _ if tight && at < body => {
                // Around a mark, blanks come and go.
                match draws.below(3) {
                    0 => out.truncate(out.trim_end_matches([' ', '\n', '\t']).len()),
                    1 => out.push(' '),
                    _ => {}
                }
                out.push(c);
                if draws.chance(0.3) {
                    out.push(' ');
                }
            }
            _ => out.push(c),
        }
    }
    (out != material.text).then_some(out)
}

/// For each step, the steps whose variables it uses.
pub(super) fn needs(material: &Material) -> Vec<Vec<usize>> {
    let steps = material.steps();
    let defines =
        |symbol: &Symbol| steps.iter().position(|s| s.variable.is_some_and(|v| v.symbol == *symbol));
    let needs = steps.iter().enumerate().map(|(i, step)| {
        let used: BTreeSet<usize> = material.uses(step).iter().filter_map(defines).collect();
        used.into_iter().filter(|&j| j != i).collect()
    });
    needs.collect()
}

pub(super) fn order(material: &Material, draws: &mut Draws) -> Option<String> {
    let needs = needs(material);
    let mut order: Vec<usize> = Vec::with_capacity(needs.len());
    while order.len() < needs.len() {
        let ready: Vec<usize> = (0..needs.len())
            .filter(|i| !order.contains(i) && needs[*i].iter().all(|j| order.contains(j)))
            .collect();
        order.push(*draws.choose(&ready)?);
    }
    material.rearranged(&material.steps(), &order)
}

/// Exchanges the operands of a sum or product in the first two members of a chain.
pub(super) fn commuted(material: &Material, draws: &mut Draws) -> Option<String> {
    let mut candidates = Vec::new();
    for clause in material.steps().iter().flat_map(|s| material.clauses(s)) {
        let [symbolic, numeric, _, ..] = material.members(clause) else { continue };
        let Some((left, right)) = material.pair(symbolic).zip(material.pair(numeric)) else { continue };
        let commutes = |pair| material.operator(pair).is_some_and(|(_, c)| c != '-');
        // `3*x` as the value of one variable is not a pair.
        let whole = |f: &crate::judge::grammar::Factor| !matches!(f.atom, Atom::Name(_));
        if commutes(left) && commutes(right) && right.iter().all(whole) {
            candidates.push((left, right));
        }
    }
    let &(left, right) = draws.choose(&candidates)?;
    let mut edits = Edits::new();
    for [a, b] in [left, right] {
        edits.push((a.span.range(), material.at(b.span).to_owned()));
        edits.push((b.span.range(), material.at(a.span).to_owned()));
    }
    material.edited(edits)
}

pub(super) fn without_so(material: &Material) -> Option<String> {
    replaced(material, "; so ", "; ")
}

pub(super) fn answer_line(material: &Material) -> Option<String> {
    let answer = material.solution.tags.answers.first()?.value.as_ref()?;
    let body = &material.text[..material.solution.tags.body_end as usize];
    Some(format!("{}Answer: {answer}.", body.trim_end().to_owned() + " "))
}

/// Writes the value of a step differently, where it is one number.
pub(super) fn last_number(
    material: &Material,
    draws: &mut Draws,
    new: impl Fn(i64) -> String,
) -> Option<String> {
    let steps = material.steps();
    let values = steps.iter().filter_map(|s| material.value(s)).filter_map(|(_, member)| {
        let numbers = material.numbers(member);
        let &(span, n) = numbers.first()?;
        (span == member.span).then_some((span, n))
    });
    let values: Vec<_> = values.collect();
    let &(span, n) = draws.choose(&values)?;
    material.edited(vec![(span.range(), new(n))])
}

pub(super) fn remark(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let chains: Vec<_> = steps.iter().flat_map(|s| material.clauses(s)).collect();
    let chain = draws.choose(&chains)?;
    let member = draws.choose(material.members(chain))?;
    let end = member.span.end as usize;
    let remark = [", which is clear", ", as we see", " , which is obviously"][draws.below(3)];
    material.edited(vec![(end..end, remark.to_owned())])
}

pub(super) fn chatter(material: &Material) -> Option<String> {
    let first = material.steps().first()?.span.start as usize;
    let words = "Let me think: a = 3, so b = 4. ";
    material.is_prose().then(|| format!("{}{words}{}", &material.text[..first], &material.text[first..]))
}

pub(super) fn extra_step(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let step = draws.choose(&steps)?;
    let at = step.span.start as usize;
    let n = draws.range(1, 9);
    let extra = if material.is_prose() {
        format!("Define grey dragon in Nowhere as qq; so qq = {n}. ")
    } else {
        format!("grey dragon: qq ={n}. ")
    };
    material.edited(vec![(at..at, extra)])
}

//! Wrong values, numbers, operators and operands.

use std::collections::BTreeMap;

use crate::judge::grammar::{Clause, Member, Span, Step, Symbol, Variable, parse};
use crate::judge::verify::chain::{Values, evaluate};
use crate::world::linear::Linear;
use crate::world::stream::Draws;

use super::material::{Edits, Material, offset};

/// The last members that give a step's own value (`own`) or that of an intermediate result.
fn results<'m>(material: &'m Material, own: bool) -> Vec<&'m Member> {
    let mut found = Vec::new();
    for step in material.steps() {
        for clause in material.clauses(step) {
            let is_own = step.variable.map(|v| v.symbol) == clause.target.map(|t| t.symbol);
            if is_own == own {
                found.extend(material.members(clause).last());
            }
        }
    }
    found
}

/// Changes a number in the value of a step or an intermediate result.
pub(super) fn value(
    material: &Material,
    draws: &mut Draws,
    own: bool,
    new: impl Fn(i64, i64) -> String,
) -> Option<String> {
    let results = results(material, own);
    let member = draws.choose(&results)?;
    let numbers = material.numbers(member);
    let offset = offset(draws);
    let edit = match draws.choose(&numbers) {
        Some(&(span, n)) => (span.range(), new(n, offset)),
        // A bare unknown.
        None => (member.span.range(), format!("{} + {}", material.at(member.span), offset.abs())),
    };
    material.edited(vec![edit])
}

/// Signs that look like arithmetic and are not in the grammar.
const OTHER_SIGNS: [&str; 9] = ["×", "−", "÷", "·", "≠", "±", "＋", "^", "x"];

pub(super) fn other_sign(material: &Material, draws: &mut Draws) -> Option<String> {
    let results = results(material, true);
    let member = draws.choose(&results)?;
    let sign = draws.choose(&OTHER_SIGNS)?;
    let end = member.span.end as usize;
    material.edited(vec![(end..end, format!(" {sign} {}", draws.range(2, 9)))])
}

pub(super) fn second_value(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let chains: Vec<(&Clause, &Member)> = steps.iter().filter_map(|step| material.value(step)).collect();
    let (chain, member) = draws.choose(&chains)?;
    let (start, name) = (chain.span.start as usize, material.at(chain.target?.span));
    let other = number(material.at(member.span))?.plus(Linear::number(offset(draws)))?;
    material.edited(vec![(start..start, format!("{name} = {other}; "))])
}

pub(super) fn negated(material: &Material, draws: &mut Draws) -> Option<String> {
    let results = results(material, true);
    let member = draws.choose(&results)?;
    let zero = material.at(member.span).trim() == "0";
    (!zero)
        .then(|| material.edited(vec![(member.span.range(), format!("-({})", material.at(member.span)))]))?
}

/// Chains that quote numbers: at least `A + B = 3 + 4 = 7`.
fn quoting<'m>(material: &'m Material) -> Vec<&'m Clause> {
    let steps = material.steps();
    let clauses = steps.iter().flat_map(|s| material.clauses(s));
    clauses.filter(|c| c.members.len() >= 3).collect()
}

pub(super) fn misquoted(material: &Material, draws: &mut Draws) -> Option<String> {
    let chains = quoting(material);
    let chain = draws.choose(&chains)?;
    let numbers = material.numbers(&material.members(chain)[1]);
    let &(span, n) = draws.choose(&numbers)?;
    material.edited(vec![(span.range(), (n + offset(draws)).to_string())])
}

/// `3 + 6 = 9` becomes `4 + 5 = 9`.
pub(super) fn swapped_quote(material: &Material, draws: &mut Draws) -> Option<String> {
    let sums = quoting(material).into_iter().filter_map(|chain| {
        let pair = material.pair(&material.members(chain)[1])?;
        let (_, sign) = material.operator(pair)?;
        let numbers = material.numbers(&material.members(chain)[1]);
        let plain = numbers.len() == 2 && pair.iter().zip(&numbers).all(|(f, n)| f.span == n.0);
        (plain && sign != '*').then_some((numbers, sign))
    });
    let sums: Vec<_> = sums.collect();
    let (numbers, sign) = draws.choose(&sums)?;
    let [(left, a), (right, b)] = numbers[..] else { return None };
    // Moving by their difference would only exchange the two.
    let by = if b - a == 1 { 2 } else { 1 };
    let other = if *sign == '+' { b - by } else { b + by };
    material.edited(vec![(left.range(), (a + by).to_string()), (right.range(), other.to_string())])
}

/// Only the unknown has a value: enough for the numbers of a chain.
struct NumbersOnly;

impl Values for NumbersOnly {
    fn value(&self, _: Symbol) -> Option<Linear> {
        Some(Linear::X)
    }
}

pub(super) fn operator(material: &Material, draws: &mut Draws) -> Option<String> {
    let chains = quoting(material).into_iter().filter_map(|chain| {
        let [symbolic, numeric, ..] = material.members(chain) else { return None };
        let (left, sign) = material.operator(material.pair(symbolic)?)?;
        let (right, same) = material.operator(material.pair(numeric)?)?;
        (sign == same).then_some((numeric.span, left, right, sign))
    });
    let chains: Vec<_> = chains.collect();
    let &(numeric, left, right, sign) = draws.choose(&chains)?;
    let others: Vec<char> = "+-*".chars().filter(|&c| c != sign).collect();
    let new = draws.choose(&others)?.to_string();
    let start = numeric.start as usize;
    let mut expression = material.at(numeric).to_owned();
    let before = number(&expression);
    expression.replace_range(right - start..=right - start, &new);
    if number(&expression) == before {
        // 2 + 2 = 2 * 2.
        return None;
    }
    material.edited(vec![(left..left + 1, new.clone()), (right..right + 1, new)])
}

/// The value of an expression of numbers and the unknown.
fn number(expression: &str) -> Option<Linear> {
    let text = format!("n: v = {expression}");
    let solution = parse(&text);
    evaluate(&solution, &NumbersOnly, solution.members.first()?.expression?)
}

struct Known(BTreeMap<Symbol, Linear>);

impl Values for Known {
    fn value(&self, symbol: Symbol) -> Option<Linear> {
        self.0.get(&symbol).copied()
    }
}

/// Another literal in a step that is only a number, and everything after it computed from that (forward mode).
pub(super) fn start(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let is_leaf = |step: &Step| material.clauses(step).len() == 1 && material.uses(step).is_empty();
    let leaves: Vec<usize> = (0..steps.len()).filter(|&i| is_leaf(steps[i])).collect();
    let &changed = draws.choose(&leaves)?;
    let by = draws.range(1, 5);
    let mut values = Known(BTreeMap::new());
    let mut edits = Edits::new();
    let mut last = None;
    for (i, step) in steps.iter().enumerate() {
        if step.unknown {
            return None;
        }
        for clause in material.clauses(step) {
            let members = material.members(clause);
            let old = evaluate(&material.solution, &values, members.first()?.expression?)?;
            let value = if i == changed { old.plus(Linear::number(by))? } else { old };
            recomputed(material, members, value, &values, &mut edits);
            values.0.insert(clause.target?.symbol, value);
            last = Some(value);
        }
    }
    let answer = material.solution.tags.answers.first()?;
    edits.push((answer.span.range(), format!(" {} ", last?.b)));
    material.edited(edits)
}

/// Writes the second and the last member of a chain for new values.
fn recomputed(material: &Material, members: &[Member], value: Linear, values: &Known, edits: &mut Edits) {
    let [first, rest @ ..] = members else { return };
    let Some((last, middle)) = rest.split_last() else {
        edits.push((first.span.range(), value.to_string()));
        return;
    };
    for member in middle {
        let mut text = material.at(first.span).to_owned();
        for Variable { symbol, span } in material.names(first).into_iter().rev() {
            let at = (span.start - first.span.start) as usize;
            let number = values.value(symbol).map_or(String::new(), |v| v.to_string());
            text.replace_range(at..at + span.range().len(), &number);
        }
        edits.push((member.span.range(), text));
    }
    edits.push((last.span.range(), value.to_string()));
}

/// Variables of earlier steps in the first members of a step.
fn operands(material: &Material, steps: &[&Step], index: usize) -> Vec<Variable> {
    let clauses = material.clauses(steps[index]).iter();
    let names = clauses.filter_map(|c| material.members(c).first()).flat_map(|m| material.names(m));
    let defined =
        |v: &Variable| steps[..index].iter().any(|s| s.variable.is_some_and(|d| d.symbol == v.symbol));
    names.filter(defined).collect()
}

pub(super) fn parent(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let candidates: Vec<(Span, Variable)> = (0..steps.len())
        .flat_map(|i| {
            let others = material.unrelated(&steps, i);
            let operands = operands(material, &steps, i);
            operands
                .into_iter()
                .flat_map(move |o| others.clone().into_iter().map(move |other| (o.span, other)))
        })
        .collect();
    let &(span, other) = draws.choose(&candidates)?;
    material.edited(vec![(span.range(), material.at(other.span).to_owned())])
}

pub(super) fn undefined(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let candidates: Vec<Variable> = (0..steps.len()).flat_map(|i| operands(material, &steps, i)).collect();
    let operand = draws.choose(&candidates)?;
    material.edited(vec![(operand.span.range(), "qqq".to_owned())])
}

/// Leaves out the second operand of a sum; the result stays.
pub(super) fn dropped_operand(material: &Material, draws: &mut Draws) -> Option<String> {
    let sums = quoting(material).into_iter().filter_map(|chain| {
        let [symbolic, numeric, ..] = material.members(chain) else { return None };
        let (left, right) = material.pair(symbolic).zip(material.pair(numeric))?;
        let (_, sign) = material.operator(left)?;
        let (_, same) = material.operator(right)?;
        let zero = number(material.at(right[1].span)) == Some(Linear::number(0));
        (sign != '*' && sign == same && !zero).then_some([left, right])
    });
    let sums: Vec<_> = sums.collect();
    let pairs = draws.choose(&sums)?;
    let edits = pairs.map(|[left, right]| (left.span.end as usize..right.span.end as usize, String::new()));
    material.edited(edits.to_vec())
}

pub(super) fn added_parent(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let candidates: Vec<(usize, Variable)> = (0..steps.len())
        .filter_map(|i| Some((material.value(steps[i])?.0, i)))
        .flat_map(|(clause, i)| {
            let end = material.members(clause).first().map_or(0, |m| m.span.end as usize);
            material.unrelated(&steps, i).into_iter().map(move |other| (end, other))
        })
        .collect();
    let &(end, other) = draws.choose(&candidates)?;
    material.edited(vec![(end..end, format!(" + 0 * {}", material.at(other.span)))])
}

pub(super) fn self_reference(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let chains: Vec<&Clause> =
        steps.iter().filter_map(|s| material.value(s)).map(|(clause, _)| clause).collect();
    let chain = draws.choose(&chains)?;
    let start = material.members(chain).first()?.span.start as usize;
    material.edited(vec![(start..start, format!(" {} + ", material.at(chain.target?.span)))])
}

//! Values of expressions, and whether a chain `A + B = 3 + 4 = 7` holds.

use crate::judge::grammar::{Atom, NONE, Solution, Symbol, TermId};
use crate::world::linear::Linear;

/// Something that knows the value of a variable here and now.
pub(crate) trait Values {
    fn value(&self, symbol: Symbol) -> Option<Linear>;
}

/// The value of an expression; `None` when a variable has none, or the result is not whole, not linear or too large.
pub(crate) fn evaluate(solution: &Solution, values: &impl Values, expression: TermId) -> Option<Linear> {
    let mut sum = Linear::number(0);
    let mut next = expression;
    while next != NONE {
        let term = solution.terms[next as usize];
        let product = product(solution, values, term.first)?;
        sum = if term.negative { sum.minus(product)? } else { sum.plus(product)? };
        next = term.next;
    }
    Some(sum)
}

fn product(solution: &Solution, values: &impl Values, first: u32) -> Option<Linear> {
    let mut product = Linear::number(1);
    let mut next = first;
    while next != NONE {
        let factor = solution.factors[next as usize];
        let value = atom(solution, values, factor.atom, factor.negative)?;
        product = if factor.divides { divided(product, value)? } else { product.times(value)? };
        next = factor.next;
    }
    Some(product)
}

fn atom(solution: &Solution, values: &impl Values, atom: Atom, negative: bool) -> Option<Linear> {
    let value = match atom {
        Atom::Number(number) => Linear::number(number?),
        Atom::Name(symbol) => values.value(symbol)?,
        Atom::Group(inner) => evaluate(solution, values, inner)?,
    };
    if negative { Linear::number(0).minus(value) } else { Some(value) }
}

/// An exact quotient by a number other than 0.
fn divided(value: Linear, by: Linear) -> Option<Linear> {
    let by = by.as_number()?;
    let exact = |n: i64| (n.checked_rem(by)? == 0).then(|| n.checked_div(by)).flatten();
    Some(Linear { a: exact(value.a)?, b: exact(value.b)? })
}

/// Summands and factors of an expression after its variables are replaced by their values: what the
/// substitution has to show, in the order of the text. Sums are split into the part with the unknown and the number; products of
/// two or more factors keep their factors, except `number * unknown`.
pub(super) fn shape(
    solution: &Solution,
    values: &impl Values,
    expression: TermId,
    parts: &mut Vec<Part>,
) -> Option<()> {
    parts.clear();
    flatten(solution, values, expression, false, parts)
}

/// A summand (`product = 0`) or a factor of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    is_factor: bool,
    value: Linear,
}

fn flatten(
    solution: &Solution,
    values: &impl Values,
    expression: TermId,
    negative: bool,
    parts: &mut Vec<Part>,
) -> Option<()> {
    let mut next = expression;
    while next != NONE {
        let term = solution.terms[next as usize];
        let negative = negative != term.negative;
        let first = solution.factors[term.first as usize];
        if first.next == NONE {
            let negative = negative != first.negative;
            match first.atom {
                Atom::Group(inner) => flatten(solution, values, inner, negative, parts)?,
                other => summand(atom(solution, values, other, negative)?, parts),
            }
        } else {
            factors(solution, values, term.first, negative, parts)?;
        }
        next = term.next;
    }
    Some(())
}

/// Zeros do not show: `0 + 3` and `3` are the same sum.
fn summand(value: Linear, parts: &mut Vec<Part>) {
    for value in [Linear { a: value.a, b: 0 }, Linear::number(value.b)] {
        if value != Linear::number(0) {
            parts.push(Part { is_factor: false, value });
        }
    }
}

fn factors(
    solution: &Solution,
    values: &impl Values,
    first: u32,
    negative: bool,
    parts: &mut Vec<Part>,
) -> Option<()> {
    let start = parts.len();
    let mut next = first;
    let mut divides = false;
    while next != NONE {
        let factor = solution.factors[next as usize];
        let value = atom(solution, values, factor.atom, factor.negative)?;
        // `2*x` as a factor is two factors, so that `2*x` in place of a variable reads the same.
        if value.b == 0 && value.a.unsigned_abs() > 1 {
            parts.push(Part { is_factor: true, value: Linear::number(value.a) });
            parts.push(Part { is_factor: true, value: Linear::X });
        } else {
            parts.push(Part { is_factor: true, value });
        }
        divides |= factor.divides;
        next = factor.next;
    }
    let monomial = match parts[start..] {
        [Part { value: c, .. }, Part { value: x, .. }] if c.a == 0 && x == Linear::X => Some(c.b),
        [Part { value: x, .. }, Part { value: c, .. }] if c.a == 0 && x == Linear::X => Some(c.b),
        _ => None,
    };
    if let Some(a) = monomial.filter(|&a| a != 0 && !divides) {
        parts.truncate(start);
        summand(Linear { a: if negative { a.checked_neg()? } else { a }, b: 0 }, parts);
    }
    Some(())
}

/// Is this a final form: at most one multiple of the unknown and at most one number?
pub(super) fn is_simple(parts: &[Part]) -> bool {
    let count = |has_x: bool| parts.iter().filter(|p| (p.value.a != 0) == has_x).count();
    parts.iter().all(|p| !p.is_factor) && count(true) <= 1 && count(false) <= 1
}

//! Endings that are wrong: the answer, the equation of a reverse problem, or no ending at all.

use crate::world::stream::Draws;

use super::material::{Material, offset};

fn given(material: &Material) -> Option<(std::ops::Range<usize>, i64)> {
    let answer = material.solution.tags.answers.first()?;
    Some((answer.span.range(), answer.value.as_ref()?.parse().ok()?))
}

pub(super) fn answer(material: &Material, draws: &mut Draws) -> Option<String> {
    let (range, n) = given(material)?;
    material.edited(vec![(range, format!(" {} ", n + offset(draws)))])
}

pub(super) fn none(material: &Material) -> Option<String> {
    let (range, _) = given(material)?;
    let start = material.text[..range.start].rfind('<')?;
    Some(material.text[..start].to_owned())
}

pub(super) fn wordy(material: &Material) -> Option<String> {
    let (range, n) = given(material)?;
    material.edited(vec![(range, format!(" {n} in all "))])
}

pub(super) fn two(material: &Material, draws: &mut Draws) -> Option<String> {
    let (range, n) = given(material)?;
    let wrong = n + offset(draws);
    let [first, second] = if draws.chance(0.5) { [wrong, n] } else { [n, wrong] };
    material.edited(vec![(range, format!(" {first} </answer> <answer> {second} "))])
}

pub(super) fn two_lines(material: &Material, draws: &mut Draws) -> Option<String> {
    let (_, n) = given(material)?;
    let wrong = n + offset(draws);
    let [first, second] = if draws.chance(0.5) { [wrong, n] } else { [n, wrong] };
    let body = &material.text[..material.solution.tags.body_end as usize];
    Some(format!("{} Answer: {first}. Answer: {second}.", body.trim_end()))
}

/// Cuts anywhere before the answer's number.
pub(super) fn truncated(material: &Material, draws: &mut Draws) -> Option<String> {
    let (range, _) = given(material)?;
    let mut cut = draws.below(range.start.max(1));
    while !material.text.is_char_boundary(cut) {
        cut -= 1;
    }
    Some(material.text[..cut].to_owned())
}

pub(super) fn answer_only(material: &Material) -> Option<String> {
    given(material)?;
    Some(material.text[material.solution.tags.body_end as usize..].to_owned())
}

pub(super) fn repeated(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let step = draws.choose(&steps)?;
    Some(format!("{} ", material.at(step.span)).repeat(2 + draws.below(8)))
}

pub(super) fn known(material: &Material, draws: &mut Draws) -> Option<String> {
    let known = material.tail()?.known.as_ref()?;
    let range = known.span.range();
    let text = material.at(known.span);
    let digits = text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let new = (known.value? + offset(draws)).to_string();
    material.edited(vec![(range.end - digits..range.end, new)])
}

/// Changes a number in a line that is not the last.
pub(super) fn line(material: &Material, draws: &mut Draws) -> Option<String> {
    let (_, before) = material.equations(material.tail()?).split_last()?;
    let members = before.iter().flat_map(|equation| material.members(equation));
    let numbers: Vec<_> = members.flat_map(|m| material.numbers(m)).collect();
    let &(span, n) = draws.choose(&numbers)?;
    material.edited(vec![(span.range(), (n + offset(draws)).to_string())])
}

pub(super) fn solution(material: &Material, draws: &mut Draws) -> Option<String> {
    let last = material.equations(material.tail()?).last()?;
    let numbers = material.numbers(material.members(last).last()?);
    let &(span, n) = numbers.first()?;
    material.edited(vec![(span.range(), (n + offset(draws)).to_string())])
}

pub(super) fn no_equation(material: &Material) -> Option<String> {
    let tail = material.tail()?;
    material.edited(vec![(tail.span.range(), String::new())])
}

//! Steps that are missing, repeated, misplaced or misnamed.

use crate::judge::grammar::{Step, Symbol};
use crate::world::stream::Draws;

use super::harmless::needs;
use super::material::{Material, offset};

/// Moves a step before one that it uses.
pub(super) fn illegal_order(material: &Material, draws: &mut Draws) -> Option<String> {
    let needs = needs(material);
    let dependent: Vec<usize> = (0..needs.len()).filter(|&i| !needs[i].is_empty()).collect();
    let &late = draws.choose(&dependent)?;
    let &early = draws.choose(&needs[late])?;
    let mut order: Vec<usize> = (0..needs.len()).filter(|&i| i != late).collect();
    let at = order.iter().position(|&i| i == early)?;
    order.insert(at, late);
    material.rearranged(&material.steps(), &order)
}

pub(super) fn reversed(material: &Material) -> Option<String> {
    let steps = material.steps();
    let order: Vec<usize> = (0..steps.len()).rev().collect();
    material.rearranged(&steps, &order)
}

pub(super) fn missing(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let left_out = draws.below(steps.len());
    let order: Vec<usize> = (0..steps.len()).filter(|&i| i != left_out).collect();
    material.rearranged(&steps, &order)
}

pub(super) fn duplicate(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let again = draws.below(steps.len());
    let order: Vec<usize> = (0..steps.len()).flat_map(|i| vec![i; 1 + usize::from(i == again)]).collect();
    material.rearranged(&steps, &order)
}

pub(super) fn redefined(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let step = draws.choose(&steps)?;
    let (_, member) = material.value(step)?;
    let numbers = material.numbers(member);
    let &(span, n) = draws.choose(&numbers)?;
    let mut wrong = material.at(step.span).to_owned();
    let at = (span.start - step.span.start) as usize;
    wrong.replace_range(at..at + span.range().len(), &(n + offset(draws)).to_string());
    let start = step.span.start as usize;
    material.edited(vec![(start..start, wrong + " ")])
}

/// The steps that give a value.
fn with_value<'m>(material: &'m Material) -> Vec<&'m Step> {
    material.steps().into_iter().filter(|s| material.value(s).is_some()).collect()
}

pub(super) fn no_assignment(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = with_value(material);
    let step = draws.choose(&steps)?;
    let start = material.clauses(step).first()?.span.start as usize;
    material.edited(vec![(start..step.span.end as usize, "we skip this.".to_owned())])
}

pub(super) fn name(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let step = draws.choose(&steps)?;
    let end = step.name.end as usize;
    material.edited(vec![(end..end, "s".to_owned())])
}

pub(super) fn header(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let step = draws.choose(&steps)?;
    let end = step.name.end as usize;
    let length = if material.is_prose() { " as".len() } else { ":".len() };
    material.edited(vec![(end..end + length, String::new())])
}

/// Gives a step the variable of an earlier one that is needed there or later.
pub(super) fn clash(material: &Material, draws: &mut Draws) -> Option<String> {
    let steps = material.steps();
    let needs = needs(material);
    let mut candidates: Vec<(Symbol, usize)> = Vec::new();
    for late in 1..steps.len() {
        let still_needed = |early: &usize| needs[late..].iter().any(|n| n.contains(early));
        let own = steps[late].variable?.symbol;
        candidates.extend((0..late).filter(still_needed).map(|early| (own, early)));
    }
    let &(own, early) = draws.choose(&candidates)?;
    let taken = material.at(steps[early].variable?.span).to_owned();
    material.edited(material.renamed(|symbol| (symbol == own).then(|| taken.clone())))
}

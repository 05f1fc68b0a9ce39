//! The verdicts as the page shows them: a table for the claims of each unit, on one axis.

use runs::Relation;
use serde::Serialize;

use super::bars::Axis;
use crate::claims::{Ruling, Verdict};
use crate::words::{signed, unit};

/// How many claims got which verdict, in words.
pub(super) fn summary(rulings: &[Ruling]) -> String {
    let count = |verdict| rulings.iter().filter(|r| r.verdict == verdict).count();
    let parts = [
        (count(Verdict::Holds), "held"),
        (count(Verdict::Fails), "failed"),
        (count(Verdict::Inconclusive), "could not be decided at this scale"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    match rulings.len() {
        0 => String::new(),
        1 => format!("The recipe states one claim: it {}.", said[0].trim_start_matches("1 ")),
        n => format!("Of the recipe's {n} claims, {}.", super::summary::list(&said)),
    }
}

/// The claims that are counted in one unit.
#[derive(Serialize)]
pub(super) struct ClaimTable {
    unit: &'static str,
    axis: String,
    has_paper: bool,
    claims: Vec<ClaimView>,
}

#[derive(Serialize)]
struct ClaimView {
    name: String,
    text: String,
    verdict: &'static str,
    effect: String,
    claimed: String,
    bar: String,
    basis: String,
    paper: String,
    paper_says: String,
    power: String,
    cost: String,
}

pub(super) fn claim_tables(rulings: &[Ruling]) -> Vec<ClaimTable> {
    let mut units: Vec<&'static str> = Vec::new();
    for ruling in rulings {
        let unit = unit(ruling.claim.metric);
        if !units.contains(&unit) {
            units.push(unit);
        }
    }
    let table = |unit_of: &'static str| {
        let of: Vec<&Ruling> = rulings.iter().filter(|r| unit(r.claim.metric) == unit_of).collect();
        let ends = of.iter().flat_map(|r| {
            let effect = r.effect.map_or([0.0, 0.0], |e| [e.low, e.high]);
            effect.into_iter().chain(bounds(r)).chain(r.claim.paper)
        });
        let axis = Axis::of(ends, of.iter().all(|r| r.claim.metric.is_rate()));
        ClaimTable {
            unit: unit_of,
            axis: axis.head(),
            has_paper: of.iter().any(|r| r.claim.paper.is_some() || r.claim.paper_says.is_some()),
            claims: of.into_iter().map(|ruling| ClaimView::new(ruling, &axis)).collect(),
        }
    };
    units.into_iter().map(table).collect()
}

/// Where the verdict turns.
fn bounds(ruling: &Ruling) -> Vec<f64> {
    let margin = ruling.claim.margin;
    match ruling.claim.relation {
        Relation::Greater => vec![margin],
        Relation::Less => vec![-margin],
        Relation::Equal => vec![-margin, margin],
    }
}

impl ClaimView {
    fn new(ruling: &Ruling, axis: &Axis) -> Self {
        let claim = &ruling.claim;
        let bar = |e| axis.bar(e, &bounds(ruling), claim.paper);
        Self {
            name: claim.name.clone(),
            text: claim.says.clone(),
            verdict: ruling.verdict.name(),
            effect: ruling.effect_text(),
            claimed: ruling.claimed_text(),
            bar: ruling.effect.as_ref().map_or_else(String::new, bar),
            basis: ruling.basis_text(),
            paper: claim.paper.map_or_else(String::new, |paper| signed(claim.metric, paper)),
            paper_says: claim.paper_says.clone().unwrap_or_default(),
            power: ruling.power_text(),
            cost: ruling.cost_text(),
        }
    }
}

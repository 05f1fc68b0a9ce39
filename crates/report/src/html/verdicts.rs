//! The verdicts as the page shows them.

use runs::Relation;
use serde::Serialize;

use super::findings::bar;
use crate::claims::{Ruling, Verdict};

/// How many claims got which verdict, in words.
pub(super) fn summary(rulings: &[Ruling]) -> String {
    let count = |verdict| rulings.iter().filter(|r| r.verdict == verdict).count();
    let claims = if rulings.len() == 1 { "claim" } else { "claims" };
    format!(
        "Of {} {claims}, {} held, {} failed and {} could not be decided at this scale.",
        rulings.len(),
        count(Verdict::Holds),
        count(Verdict::Fails),
        count(Verdict::Inconclusive)
    )
}

#[derive(Serialize)]
pub(super) struct ClaimView {
    name: String,
    text: String,
    verdict: &'static str,
    effect: String,
    claimed: String,
    bar: String,
    basis: String,
    paper: String,
    power: String,
    cost: String,
}

impl ClaimView {
    pub(super) fn new(ruling: &Ruling) -> Self {
        let claim = &ruling.claim;
        let bounds = match claim.relation {
            Relation::Greater => vec![claim.margin],
            Relation::Less => vec![-claim.margin],
            Relation::Equal => vec![-claim.margin, claim.margin],
        };
        let bar = ruling.effect.as_ref().map_or_else(String::new, |e| {
            let shown = bounds.iter().copied().chain(claim.paper).chain([e.low, e.high]);
            bar(e, shown.fold(0.0, |widest, v| widest.max(v.abs())), &bounds, claim.paper)
        });
        Self {
            name: claim.name.clone(),
            text: claim.says.clone(),
            verdict: ruling.verdict.name(),
            effect: ruling.effect_text(),
            claimed: ruling.claimed_text(),
            bar,
            basis: ruling.basis_text(),
            paper: ruling.paper_text(),
            power: ruling.power_text(),
            cost: ruling.cost_text(),
        }
    }
}

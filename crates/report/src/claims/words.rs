//! A ruling in words, for page and terminal alike.

use runs::{Relation, Side};

use super::{Ruling, Verdict};
use crate::chart::number;
use crate::words::{difference, estimate, plain, signed, unit};

impl Ruling {
    /// The difference with its interval and unit, e.g. `+3.1 [−0.4, +6.2] points`.
    pub fn effect_text(&self) -> String {
        let metric = self.claim.metric;
        match &self.effect {
            Some(effect) => format!("{} {}", difference(metric, effect), unit(metric)),
            None => "not measured".to_owned(),
        }
    }

    /// What was claimed of the difference, e.g. `more than 0`.
    pub fn claimed_text(&self) -> String {
        let margin = format!("{} {}", plain(self.claim.metric, self.claim.margin), unit(self.claim.metric));
        match self.claim.relation {
            Relation::Greater if self.claim.margin == 0.0 => "more than 0".to_owned(),
            Relation::Less if self.claim.margin == 0.0 => "less than 0".to_owned(),
            Relation::Greater => format!("more than +{margin}"),
            Relation::Less => format!("less than −{margin}"),
            Relation::Equal => format!("within ±{margin}"),
        }
    }

    /// What it rests on, e.g. `pass@1 44.0 [40.1, 48.2] against 41.0 [37.0, 45.3], 200 problems, 2 seeds`.
    pub fn basis_text(&self) -> String {
        let metric = self.claim.metric;
        let (Some(left), Some(effect)) = (&self.left, &self.effect) else {
            return format!("{}: there is no such number of both sides on the same problems", metric.name());
        };
        let right = match (&self.claim.right, &self.right) {
            (Side::Number(number), _) => plain(metric, *number),
            (_, Some(right)) => estimate(metric, right),
            (_, None) => "nothing".to_owned(),
        };
        let s = if effect.seeds == 1 { "" } else { "s" };
        let (problems, seeds) = (effect.problems, effect.seeds);
        let left = estimate(metric, left);
        format!("{} {left} against {right}, {problems} problems, {seeds} seed{s}", metric.name())
    }

    /// What the paper says of it; empty if the recipe names nothing.
    pub fn paper_text(&self) -> String {
        let metric = self.claim.metric;
        let figure = self.claim.paper.map(|p| format!("{} {}", signed(metric, p), unit(metric)));
        match (figure, &self.claim.paper_says) {
            (Some(figure), Some(says)) => format!("{figure} ({says})"),
            (figure, says) => figure.or_else(|| says.clone()).unwrap_or_default(),
        }
    }

    /// For what could not be decided: what this scale sees, and what scale would see the effect.
    pub fn power_text(&self) -> String {
        let (metric, Some(power), Some(effect)) = (self.claim.metric, &self.power, &self.effect) else {
            return String::new();
        };
        if self.verdict != Verdict::Inconclusive {
            return String::new();
        }
        let sees = format!(
            "At this scale a difference of {} {} from the bound would be seen (four times in five)",
            plain(metric, power.detectable),
            unit(metric)
        );
        let whose = if self.claim.paper.is_some() { "the paper's" } else { "the measured" };
        let wanted = signed(metric, self.claim.paper.unwrap_or(effect.value));
        let Some(needed) = power.needed else {
            return format!("{sees}; no scale can tell {whose} {wanted} from the bound.");
        };
        let unsure = if effect.seeds == 1 { ", if other seeds agree with this one" } else { "" };
        format!(
            "{sees}; to see {whose} {wanted} takes about {} problems × {} seed{}{unsure}.",
            needed.problems,
            needed.seeds,
            if needed.seeds == 1 { "" } else { "s" }
        )
    }

    /// What it cost, e.g. `cost 12.3M tokens, 1.2T FLOPs`.
    pub fn cost_text(&self) -> String {
        let cost = &self.cost;
        let tokens = cost.trained_tokens + cost.sampled_tokens + cost.prompt_tokens + cost.scored_tokens;
        let skipped = match cost.skipped_updates {
            0 => String::new(),
            skipped => format!(", {skipped} updates left out because the gradient was not finite"),
        };
        format!("{} tokens, {} FLOPs{skipped}", number(tokens as f64), number(cost.flops))
    }
}

//! Many verdicts in a table.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::world::mode::Mode;

use super::fault::FaultKind;
use super::verdict::Verdict;

/// Counts of verdicts by op, context and mode.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    cells: BTreeMap<(u32, String, Mode), Counts>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Row {
    /// The problem's op; `None` in the line of totals.
    pub op: Option<u32>,
    /// The problem's context; empty in the line of totals.
    pub context: String,
    /// Forward or reverse; `None` in the line of totals.
    pub mode: Option<Mode>,
    /// The counts.
    pub counts: Counts,
}

/// What became of some responses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Responses that were judged.
    pub responses: u64,
    /// Of these, verified under the policy.
    pub verified: u64,
    /// Of these, with the correct answer.
    #[serde(rename = "right_answers")]
    pub correct_answers: u64,
    /// Of these, with the correct answer but not verified: a correct answer for the wrong reason.
    #[serde(rename = "right_by_chance")]
    pub correct_by_chance: u64,
    /// Of these, cut before the answer.
    pub truncated: u64,
    /// Of these, with the tags as they should be.
    pub well_formed: u64,
    /// Sum of the process scores.
    pub process: f64,
    /// First faults of the responses that are not verified, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        self.responses += 1;
        self.verified += u64::from(verdict.verified);
        self.correct_answers += u64::from(verdict.answer_correct);
        self.correct_by_chance += u64::from(verdict.answer_correct && !verdict.verified);
        self.truncated += u64::from(verdict.truncated);
        self.well_formed += u64::from(verdict.well_formed);
        self.process += verdict.process_acc;
        if let Some((kind, _)) = verdict.first_fault.as_ref().filter(|_| !verdict.verified) {
            *self.faults.entry(*kind).or_default() += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.responses += other.responses;
        self.verified += other.verified;
        self.correct_answers += other.correct_answers;
        self.correct_by_chance += other.correct_by_chance;
        self.truncated += other.truncated;
        self.well_formed += other.well_formed;
        self.process += other.process;
        for (&kind, &count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }

    /// Mean process score, 0 to 1; 0 without responses.
    pub fn mean_process(&self) -> f64 {
        self.process / self.responses.max(1) as f64
    }
}

impl Summary {
    /// Counts one verdict.
    pub fn add(&mut self, op: u32, context: &str, mode: Mode, verdict: &Verdict) {
        self.cells.entry((op, context.to_owned(), mode)).or_default().add(verdict);
    }

    /// One row for each op, context and mode, in this order.
    pub fn rows(&self) -> Vec<Row> {
        let row = |((op, context, mode), counts): (&(u32, String, Mode), &Counts)| Row {
            op: Some(*op),
            context: context.clone(),
            mode: Some(*mode),
            counts: counts.clone(),
        };
        self.cells.iter().map(row).collect()
    }

    /// All rows in one.
    pub fn total(&self) -> Row {
        let mut counts = Counts::default();
        self.cells.values().for_each(|c| counts.merge(c));
        Row { op: None, context: String::new(), mode: None, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::gold::Gold;
    use crate::judge::verify::{Policy, verify};

    #[test]
    fn failures_are_counted_by_their_first_fault() {
        let gold = Gold { nodes: Vec::new(), answer: 8, mode: Mode::Forward, modulus: None };
        let mut summary = Summary::default();
        for (op, response) in [(2, "<answer> 8 </answer>"), (2, "<answer> 7 </answer>"), (3, "")] {
            summary.add(op, "zoo", Mode::Forward, &verify(&gold, response, Policy::Paper));
        }
        let rows = summary.rows();
        assert_eq!((rows.len(), rows[0].op, rows[1].op), (2, Some(2), Some(3)));
        let total = summary.total().counts;
        assert_eq!((total.responses, total.verified, total.truncated), (3, 1, 1));
        let faults: Vec<_> = total.faults.into_iter().collect();
        assert_eq!(faults, [(FaultKind::MissingAnswer, 1), (FaultKind::WrongAnswer, 1)]);
    }
}

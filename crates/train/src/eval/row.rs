//! The row of a problem: its responses, judged and counted.

use std::collections::BTreeMap;

use problems::verify::normalise_answer;
use runs::{
    Judgement,
    records::{EvalRow, Response},
};

use super::suite::Suite;

/// Judges all samples of problem `i`, marks those that are verified, and counts them. Unparsable, empty and truncated
/// responses are failures.
pub(super) fn judge(suite: &Suite, i: usize, responses: &mut [Response], gold_nll: Option<f64>) -> EvalRow {
    let problem = &suite.problems[i];
    let gold = problem.gold();
    let mut row = EvalRow {
        problem: i as u64,
        op: problem.cell.op,
        context: problem.cell.context.clone(),
        mode: problem.cell.mode,
        n: responses.len() as u32,
        verified: 0,
        correct: 0,
        truncated: 0,
        process_acc: 0.0,
        tokens: 0.0,
        answers: BTreeMap::new(),
        answer: normalise_answer(&problem.answer.to_string()).unwrap_or_default(),
        first_faults: BTreeMap::new(),
        gold_nll,
    };
    for response in responses.iter_mut() {
        let judgement = Judgement::of(&gold, &response.text, suite.config.policy, response.cut);
        response.verified = judgement.verified();
        row.verified += u32::from(judgement.verified());
        row.correct += u32::from(judgement.correct());
        row.truncated += u32::from(judgement.truncated());
        row.process_acc += judgement.verdict().process_acc;
        row.tokens += f64::from(response.tokens);
        *row.answers.entry(judgement.answer().unwrap_or_default().to_owned()).or_default() += 1;
        if let Some((kind, _)) = &judgement.verdict().first_fault {
            *row.first_faults.entry(kind.name().to_owned()).or_default() += 1;
        }
    }
    row.process_acc /= responses.len().max(1) as f64;
    row.tokens /= responses.len().max(1) as f64;
    row
}

#[cfg(test)]
pub(super) mod tests {
    use problems::{context::Contexts, spec::World, split::SplitRule};

    use super::*;

    /// Two problems with four samples each, judged under a policy.
    pub(in crate::eval) fn suite(policy: &str) -> Suite {
        let text = format!(
            "name = \"s\"\nops = \"4\"\ncontexts = [\"terse\"]\nproblems = 2\nsamples = 4\nmax_tokens = 50\npolicy = \"{policy}\""
        );
        let config = toml::from_str(&text).expect("a suite");
        Suite::make(&config, &World::default(), &Contexts::builtin(), SplitRule::Structure, 1)
            .expect("problems")
    }

    /// A correct response, the same truncated, an empty and an unparsable one.
    pub(in crate::eval) fn responses(suite: &Suite, problem: usize) -> Vec<Response> {
        let gold = suite.problems[problem].response();
        let texts =
            [(gold.as_str(), false), (gold.as_str(), true), ("", false), ("no solution at all", false)];
        let response = |(sample, (text, cut)): (usize, (&str, bool))| Response {
            problem: problem as u64,
            sample: sample as u32,
            text: text.to_owned(),
            verified: false,
            tokens: 10,
            cut,
            reward: None,
            policy: None,
            record: None,
        };
        texts.into_iter().enumerate().map(response).collect()
    }

    #[test]
    fn truncated_empty_and_unparsable_responses_are_failures() {
        let suite = suite("paper");
        let mut responses = responses(&suite, 0);
        let row = judge(&suite, 0, &mut responses, Some(0.5));
        assert_eq!((row.n, row.verified, row.correct, row.truncated), (4, 1, 1, 1));
        // None is left out, and none votes.
        assert_eq!(row.answers.get(""), Some(&3));
        assert_eq!(row.first_faults.values().sum::<u32>(), 2);
        let verified: Vec<bool> = responses.iter().map(|response| response.verified).collect();
        assert_eq!(verified, [true, false, false, false]);
    }
}

//! Evaluations on disk: rows, responses, and which suite they are of.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use runs::{
    error::damaged,
    files, lines,
    records::{EvalInfo, EvalRow, Response},
};

use super::{row::judge, suite::Suite};
use crate::error::RunError;

/// The results of an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluated {
    /// One row a problem.
    pub rows: Vec<EvalRow>,
    /// Every response.
    pub responses: Vec<Response>,
}

impl Evaluated {
    pub(super) fn extend(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.responses.extend(other.responses);
    }
}

/// The files of an evaluation.
pub(super) struct Stored {
    info: PathBuf,
    rows: PathBuf,
    responses: PathBuf,
}

impl Stored {
    /// `SUITE.json`, `SUITE.jsonl.gz` and `SUITE.responses.jsonl.gz`.
    pub(super) fn of_suite(folder: &Path, suite: &str) -> Self {
        Self { info: folder.join(format!("{suite}.json")), ..Self::named(folder, suite) }
    }

    /// The files of chunk `i` of an unfinished evaluation.
    pub(super) fn of_chunk(folder: &Path, i: usize) -> Self {
        Self::named(folder, &format!("{i:05}"))
    }

    fn named(folder: &Path, name: &str) -> Self {
        let file = |end: &str| folder.join(format!("{name}{end}"));
        Self { info: PathBuf::new(), rows: file(".jsonl.gz"), responses: file(".responses.jsonl.gz") }
    }

    /// Whether rows and responses are there.
    pub(super) fn is_whole(&self) -> bool {
        self.rows.exists() && self.responses.exists()
    }

    pub(super) fn has_rows(&self) -> bool {
        self.rows.exists()
    }

    pub(super) fn info(&self) -> Result<Option<EvalInfo>, RunError> {
        Ok(files::read_optional(&self.info)?)
    }

    /// Makes the evaluation unfinished: its files are not taken for those of a suite that replaces it.
    pub(super) fn forget_info(&self) -> Result<(), RunError> {
        Ok(files::remove_file(&self.info)?)
    }

    /// Reads what was found for these problems.
    pub(super) fn read(&self, problems: Range<usize>) -> Result<Evaluated, RunError> {
        Ok(Evaluated { rows: self.read_rows(problems)?, responses: lines::read(&self.responses)? })
    }

    /// A file that holds other rows, or not all, is damaged: a row is taken for the problem that it names.
    fn read_rows(&self, problems: Range<usize>) -> Result<Vec<EvalRow>, RunError> {
        let rows: Vec<EvalRow> = lines::read(&self.rows)?;
        if rows.iter().map(|row| row.problem).eq(problems.start as u64..problems.end as u64) {
            return Ok(rows);
        }
        let reason =
            format!("its rows are not those of the {} problems from {} on", problems.len(), problems.start);
        Err(damaged(&self.rows, &reason).into())
    }

    /// Writes responses and rows, in this order: rows mean that the responses are there.
    pub(super) fn write(&self, evaluated: &Evaluated) -> Result<(), RunError> {
        lines::write(&self.responses, &evaluated.responses)?;
        Ok(lines::write(&self.rows, &evaluated.rows)?)
    }

    /// Writes a whole evaluation.
    pub(super) fn write_all(&self, info: &EvalInfo, evaluated: &Evaluated) -> Result<(), RunError> {
        self.write(evaluated)?;
        Ok(files::write_json(&self.info, info)?)
    }
}

/// Judges the stored responses of an evaluation again, without a model, after the verifier or the suite's policy has
/// changed. Likelihoods stay as they are.
///
/// # Errors
/// If the evaluation is not there, is one of other problems or other sampling, or does not say which responses were
/// truncated (an older program wrote it).
pub fn judge_again(folder: &Path, suite: &Suite) -> Result<Vec<EvalRow>, RunError> {
    let info = suite.info()?;
    let stored = Stored::of_suite(folder, &suite.config.name);
    let wrong = |what: &str| RunError::Data(format!("{}: {what}", stored.responses.display()));
    match stored.info()? {
        None => return Err(wrong("there is no such evaluation")),
        Some(known) if known.samples != info.samples => {
            return Err(wrong(
                "the responses are to other problems or were sampled otherwise (or an older program wrote them)",
            ));
        }
        Some(_) => {}
    }
    let mut old = stored.read(0..suite.problems.len())?;
    let mut all = Evaluated::default();
    let groups = old.responses.chunk_by_mut(|a, b| a.problem == b.problem);
    for (row, responses) in old.rows.iter().zip(groups) {
        let truncated = responses.iter().filter(|response| response.cut).count();
        let same = responses.iter().all(|response| response.problem == row.problem);
        if !same || responses.len() != row.n as usize || truncated != row.truncated as usize {
            return Err(wrong(&format!("problem {} has not the responses that it had", row.problem)));
        }
        all.rows.push(judge(suite, row.problem as usize, responses, row.gold_nll));
    }
    if all.rows.len() != suite.problems.len() {
        return Err(wrong("responses are missing"));
    }
    all.responses = old.responses;
    // If this is stopped half way, the next call judges again.
    files::write_json(&stored.info, &EvalInfo { suite: String::new(), ..info.clone() })?;
    stored.write_all(&info, &all)?;
    Ok(all.rows)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokens::Tokenizer;

    use super::{
        super::{
            Evaluator,
            row::tests::{responses, suite},
        },
        *,
    };

    fn evaluated(suite: &Suite) -> Evaluated {
        let mut all = Evaluated::default();
        for problem in 0..2 {
            let mut responses = responses(suite, problem);
            all.rows.push(judge(suite, problem, &mut responses, Some(0.5)));
            all.responses.extend(responses);
        }
        all
    }

    #[test]
    fn stored_responses_are_judged_again_and_never_taken_for_others() {
        let dir = tempfile::tempdir().unwrap();
        let old = suite("paper");
        let mut all = evaluated(&old);
        assert!(judge_again(dir.path(), &old).is_err(), "there is nothing yet");
        Stored::of_suite(dir.path(), "s").write_all(&old.info().unwrap(), &all).unwrap();
        assert_eq!(judge_again(dir.path(), &old).unwrap(), all.rows);

        // Another policy needs no model.
        let strict = suite("strict");
        let tokenizer = Tokenizer::train(std::iter::once(old.problems[0].response()), 300).unwrap();
        let stop = AtomicBool::new(false);
        let evaluator = Evaluator { suite: &strict, tokenizer: &tokenizer, stop: &stop };
        assert!(evaluator.is_done(dir.path(), &mut ()).unwrap());

        let mut warm = suite("paper");
        warm.config.temperature = 1.3;
        let error = judge_again(dir.path(), &warm).unwrap_err().to_string();
        assert!(error.contains("sampled otherwise"), "{error}");
        all.responses.retain(|response| response.sample != 3);
        Stored::of_suite(dir.path(), "s").write_all(&old.info().unwrap(), &all).unwrap();
        let error = judge_again(dir.path(), &old).unwrap_err().to_string();
        assert!(error.contains("problem 0 has not the responses"), "{error}");
    }

    #[test]
    fn a_row_of_a_problem_that_the_suite_has_not_is_damage_and_no_panic() {
        let dir = tempfile::tempdir().unwrap();
        let suite = suite("paper");
        let stored = Stored::of_suite(dir.path(), "s");
        let damaged = |change: fn(&mut Vec<EvalRow>)| {
            let mut all = evaluated(&suite);
            change(&mut all.rows);
            stored.write_all(&suite.info().unwrap(), &all).unwrap();
            judge_again(dir.path(), &suite).unwrap_err().to_string()
        };
        let changes: [fn(&mut Vec<EvalRow>); 3] =
            [|rows| rows[1].problem = 7, |rows| rows.swap(0, 1), |rows| rows.truncate(1)];
        for change in changes {
            let error = damaged(change);
            assert!(error.contains("s.jsonl.gz` is damaged: its rows are not those of the 2"), "{error}");
        }
    }
}

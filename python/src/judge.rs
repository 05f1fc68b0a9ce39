//! Judging responses.

use std::borrow::Cow;
use std::sync::Arc;

use ::problems::gold::Gold;
use ::problems::verify as judged;
use judged::Policy;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};
use runs::Judgement;

use crate::errors::refused;
use crate::offsets::text;
use crate::problem::Problem;
use crate::problems::Problems;
use crate::verdict::Verdict;
use crate::{given, parallel};

/// Judges a response: the text after `<solution>`, without the end token. Any text gets a verdict.
///
/// - `policy`: `paper`, `reference` or `strict`, as in docs/verifier.md.
/// - `cut`: whether the response ran into the length limit. Then it is a failure, whatever it says.
#[pyfunction]
#[pyo3(signature = (problem, text, *, policy = "paper", cut = false))]
pub(crate) fn verify(
    py: Python<'_>,
    problem: &Bound<'_, Problem>,
    text: &Bound<'_, PyString>,
    policy: &str,
    cut: bool,
) -> PyResult<Verdict> {
    judge(py, problem.get(), text, given::policy(policy)?, cut)
}

pub(crate) fn judge(
    py: Python<'_>,
    problem: &Problem,
    response: &Bound<'_, PyString>,
    policy: Policy,
    cut: bool,
) -> PyResult<Verdict> {
    let content = text(response)?;
    let verdict = py.detach(|| Judgement::of(problem.gold(), &content, policy, cut).into_verdict());
    Ok(Verdict { verdict, cut, gold: Arc::clone(problem.gold()), text: response.clone().unbind() })
}

/// A response judged and explained: a step a line, with marks under what is wrong and the reason behind it.
#[pyfunction]
#[pyo3(signature = (problem, text, *, policy = "paper"))]
pub(crate) fn explain(
    py: Python<'_>,
    problem: &Bound<'_, Problem>,
    text: &Bound<'_, PyString>,
    policy: &str,
) -> PyResult<String> {
    let verdict = judge(py, problem.get(), text, given::policy(policy)?, false)?;
    Ok(judged::explain(&crate::offsets::text(text)?, &verdict.verdict))
}

/// Whose responses are judged.
enum Whom<'py> {
    One(Bound<'py, Problem>),
    Each(Vec<Py<Problem>>),
    Made(Bound<'py, Problems>),
}

/// Judges many responses on all cores, with the interpreter's lock released.
///
/// - `problems`: one problem for all responses, or as many as there are responses, as a list or as `Problems`.
/// - `texts`: the responses.
/// - `cut`: whether each ran into the length limit, or one value for all.
#[pyfunction]
#[pyo3(signature = (problems, texts, *, policy = "paper", cut = None))]
pub(crate) fn verify_many(
    py: Python<'_>,
    problems: &Bound<'_, PyAny>,
    texts: Vec<Bound<'_, PyString>>,
    policy: &str,
    cut: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<Verdict>> {
    let policy = given::policy(policy)?;
    let whom = if let Ok(one) = problems.cast::<Problem>() {
        Whom::One(one.clone())
    } else if let Ok(made) = problems.cast::<Problems>() {
        Whom::Made(made.clone())
    } else {
        Whom::Each(problems.try_iter()?.map(|problem| a_problem(&problem?)).collect::<PyResult<_>>()?)
    };
    let problems = match &whom {
        Whom::One(_) => texts.len(),
        Whom::Each(each) => each.len(),
        Whom::Made(made) => made.get().len(),
    };
    if problems != texts.len() {
        return Err(refused(format!("there are {problems} problems and {} responses", texts.len())));
    }
    let cut = cuts(cut, texts.len())?;
    let contents = texts.iter().map(text).collect::<PyResult<Vec<Cow<'_, str>>>>()?;
    let judged = match &whom {
        Whom::One(one) => {
            let gold = one.get().gold();
            all(py, &contents, &cut, policy, |_| Arc::clone(gold))
        }
        Whom::Each(each) => all(py, &contents, &cut, policy, |i| Arc::clone(each[i].get().gold())),
        Whom::Made(made) => {
            let made = made.get();
            all(py, &contents, &cut, policy, |i| Arc::new(made.make(i).gold()))
        }
    };
    let mut verdicts = Vec::with_capacity(texts.len());
    for (i, (gold, verdict)) in judged.into_iter().enumerate() {
        verdicts.push(Verdict { verdict, cut: cut[i], gold, text: texts[i].clone().unbind() });
    }
    Ok(verdicts)
}

fn all(
    py: Python<'_>,
    texts: &[Cow<'_, str>],
    cut: &[bool],
    policy: Policy,
    gold: impl Fn(usize) -> Arc<Gold> + Sync + Send,
) -> Vec<(Arc<Gold>, judged::Verdict)> {
    py.detach(|| {
        parallel::map(texts.len(), |i| {
            let gold = gold(i);
            let verdict = Judgement::of(&gold, &texts[i], policy, cut[i]).into_verdict();
            (gold, verdict)
        })
    })
}

fn a_problem(given: &Bound<'_, PyAny>) -> PyResult<Py<Problem>> {
    if let Ok(problem) = given.cast::<Problem>() {
        return Ok(problem.clone().unbind());
    }
    Err(PyTypeError::new_err(format!("problems are of the type Problem, not {}", given.get_type().name()?)))
}

/// Which responses were cut, from one value or from one for each.
fn cuts(given: Option<&Bound<'_, PyAny>>, n: usize) -> PyResult<Vec<bool>> {
    let Some(given) = given else { return Ok(vec![false; n]) };
    if let Ok(all) = given.cast::<PyBool>() {
        return Ok(vec![all.is_true(); n]);
    }
    let each: Vec<bool> = given.try_iter()?.map(|cut| cut?.is_truthy()).collect::<PyResult<_>>()?;
    if each.len() == n {
        Ok(each)
    } else {
        Err(refused(format!("there are {n} responses, and `cut` has {}", each.len())))
    }
}

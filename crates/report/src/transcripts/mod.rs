//! Single problems before and after a stage: what the model wrote, step by step, and where it went wrong.

mod pieces;

use std::collections::{BTreeMap, BTreeSet};

use problems::Problem;
#[cfg(feature = "serve")]
use problems::Record;
use problems::verify::{FaultKind, Policy, Verdict};
use runs::Judgement;
use runs::records::Response;
use serde::Serialize;

use crate::draw::{self, Dag, Judged, Mark};
use crate::error::ReportError;
use crate::measure::{Measure, Model};
use pieces::{Piece, pieces};
use runs::{Stage, lines};

/// Transcripts of a report, at most about this many.
const TRANSCRIPTS_MAX: usize = 96;
/// Of each model, band and kind of change, at most this many.
const ALIKE_MAX: usize = 4;

/// One problem, answered by one or two models.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Transcript {
    /// Which models, e.g. `mid → rl`.
    pub(crate) stage: String,
    /// What changed.
    pub(crate) change: Kind,
    /// The change in words.
    pub(crate) change_text: &'static str,
    pub(crate) op: u32,
    pub(crate) context: String,
    pub(crate) mode: &'static str,
    /// Position in the suite.
    pub(crate) problem: u64,
    pub(crate) text: String,
    pub(crate) question: String,
    pub(crate) answer: i64,
    pub(crate) solution: String,
    /// Names of all faults, separated by blanks.
    pub(crate) faults: String,
    /// The first fault of the last side.
    pub(crate) first_fault: String,
    pub(crate) sides: Vec<Attempt>,
}

/// What became of a problem between two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Wrong before, correct after.
    Fixed,
    /// Correct before, wrong after.
    Broken,
    /// Wrong both times.
    Wrong,
    /// Correct both times.
    Correct,
}

impl Kind {
    fn of(before: Option<bool>, after: bool) -> (Self, &'static str) {
        match (before, after) {
            (Some(false), true) => (Self::Fixed, "wrong → correct"),
            (Some(true), false) => (Self::Broken, "correct → wrong"),
            (Some(true), true) => (Self::Correct, "correct → correct"),
            (Some(false), false) => (Self::Wrong, "wrong → wrong"),
            (None, true) => (Self::Correct, "correct"),
            (None, false) => (Self::Wrong, "wrong"),
        }
    }
}

/// One model's response to the problem.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attempt {
    pub(crate) model: String,
    pub(crate) verified: bool,
    pub(crate) outcome: &'static str,
    pub(crate) steps: Vec<Piece>,
    pub(crate) note: String,
    pub(crate) graph: String,
}

/// The transcripts of a run: for every stage, problems of every band that it fixed, broke and left as they were.
pub(crate) fn transcripts(measure: &Measure) -> Result<Vec<Transcript>, ReportError> {
    let mut pairs: Vec<(Option<&Model>, &Model)> =
        measure.models.iter().filter_map(|m| Some((Some(&measure.models[m.parent?]), m))).collect();
    if pairs.is_empty() {
        pairs.extend(measure.models.iter().map(|m| (None, m)));
    }
    let mut transcripts = Vec::new();
    for suite in measure.folder.suites() {
        let problems = measure.folder.problems(&suite)?;
        if problems.is_empty() {
            continue;
        }
        let policy = measure.folder.recipe.policy_of(&suite);
        let groups = (pairs.len() * measure.folder.manifest.bands.len() * 4).max(1);
        let quota = (TRANSCRIPTS_MAX / groups).clamp(1, ALIKE_MAX);
        let mut cache: BTreeMap<String, BTreeMap<u64, Response>> = BTreeMap::new();
        for (before, after) in &pairs {
            let Some((left, right)) = shared_seed(measure, *before, after) else { continue };
            for stage in left.into_iter().chain([right]) {
                if !cache.contains_key(&stage.info.key) {
                    cache.insert(stage.info.key.clone(), first_samples(stage, &suite)?);
                }
            }
            let old = left.and_then(|s| cache.get(&s.info.key));
            let Some(new) = cache.get(&right.info.key) else { continue };
            let chosen = choose(measure, &problems, old, new, quota);
            for position in chosen {
                let Some(problem) = problems.get(position as usize) else { continue };
                let sides = [(*before, old), (Some(*after), Some(new))];
                let sides =
                    sides.into_iter().filter_map(|(m, r)| Some((m?.label.as_str(), r?.get(&position)?)));
                let sides: Vec<(&str, &Response)> = sides.collect();
                transcripts.push(transcript(problem, position, &sides, policy));
            }
        }
    }
    // The most telling first: what a stage fixed or broke, the last stages and the hardest problems before the others.
    let stages: Vec<String> = pairs.iter().rev().map(|(_, after)| after.label.clone()).collect();
    let late = |t: &Transcript| stages.iter().position(|stage| t.stage.ends_with(stage.as_str()));
    transcripts.sort_by_cached_key(|t| (t.change, late(t), std::cmp::Reverse(t.op)));
    Ok(transcripts)
}

/// A rollout, with the problem that its record holds; `None` if it holds none or one that contradicts itself.
#[cfg(feature = "serve")]
pub(crate) fn of_rollout(rollout: &Response, label: &str) -> Option<Transcript> {
    let record: Record = serde_json::from_value(rollout.record.clone()?).ok()?;
    let problem = Problem::from_record(&record).ok()?;
    let policy = rollout.policy.unwrap_or(Policy::Paper);
    Some(transcript(&problem, rollout.problem, &[(label, rollout)], policy))
}

/// The stages of two models at the first seed that both have.
fn shared_seed<'a>(
    measure: &Measure<'a>,
    before: Option<&Model>,
    after: &Model,
) -> Option<(Option<&'a Stage>, &'a Stage)> {
    let Some(before) = before else {
        return measure.stages(after).next().map(|(_, stage)| (None, stage));
    };
    measure.stages(after).find_map(|(seed, stage)| {
        let (_, parent) = measure.stages(before).find(|(other, _)| *other == seed)?;
        Some((Some(parent), stage))
    })
}

/// The first sample of every problem, where the evaluation counts.
fn first_samples(stage: &Stage, suite: &str) -> Result<BTreeMap<u64, Response>, ReportError> {
    let path = stage.responses_path(suite);
    let mut first: BTreeMap<u64, Response> = BTreeMap::new();
    if stage.evals.contains_key(suite) && path.is_file() {
        lines::for_each(&path, |_, response: Response| {
            if first.get(&response.problem).is_none_or(|known| response.sample < known.sample) {
                first.insert(response.problem, response);
            }
        })?;
    }
    Ok(first)
}

/// Positions of the problems to show: `quota` of each kind and band, the lowest positions first.
fn choose(
    measure: &Measure,
    problems: &[Problem],
    old: Option<&BTreeMap<u64, Response>>,
    new: &BTreeMap<u64, Response>,
    quota: usize,
) -> Vec<u64> {
    let mut taken: BTreeMap<(Kind, usize), Vec<u64>> = BTreeMap::new();
    for (position, response) in new {
        let Some(problem) = problems.get(*position as usize) else { continue };
        let bands = &measure.folder.manifest.bands;
        let Some(band) = bands.iter().position(|b| (b.from..=b.to).contains(&problem.cell.op)) else {
            continue;
        };
        let before = match old {
            Some(old) => match old.get(position) {
                Some(response) => Some(response.verified),
                None => continue,
            },
            None => None,
        };
        let group = taken.entry((Kind::of(before, response.verified).0, band)).or_default();
        if group.len() < quota {
            group.push(*position);
        }
    }
    taken.into_values().flatten().collect()
}

/// The responses of some models to a problem, judged by the policy that their evaluation has.
fn transcript(problem: &Problem, position: u64, sides: &[(&str, &Response)], policy: Policy) -> Transcript {
    let dag = Dag::of_problem(problem);
    let gold = problem.gold();
    let mut faults = BTreeSet::new();
    let mut first_fault = "";
    let mut views = Vec::new();
    for (model, response) in sides {
        let judgement = Judgement::of(&gold, &response.text, policy, response.cut);
        let verdict = judgement.verdict();
        faults.extend(verdict.steps.iter().filter_map(|s| s.fault).map(FaultKind::name));
        faults.extend(verdict.answer_fault.iter().map(|(kind, _)| kind.name()));
        first_fault =
            verdict.first_fault.as_ref().filter(|_| !response.verified).map_or("", |(kind, _)| kind.name());
        views.push(side(model, response, verdict, &dag));
    }
    let before = (sides.len() > 1).then(|| sides[0].1.verified);
    let (change, change_text) = Kind::of(before, sides.last().is_some_and(|(_, r)| r.verified));
    let labels: Vec<&str> = sides.iter().map(|(m, _)| *m).collect();
    Transcript {
        stage: labels.join(" → "),
        change,
        change_text,
        op: problem.cell.op,
        context: problem.cell.context.clone(),
        mode: problem.mode().name(),
        problem: position,
        text: problem.problem.trim().to_owned(),
        question: problem.question.trim().to_owned(),
        answer: problem.answer,
        solution: problem.steps().to_owned(),
        faults: faults.into_iter().collect::<Vec<_>>().join(" "),
        first_fault: first_fault.to_owned(),
        sides: views,
    }
}

/// What became of each node of the graph.
fn judged(verdict: &Verdict, dag: &Dag) -> Vec<Judged> {
    let of = |(node, verdict_of): (&draw::Node, &problems::verify::NodeVerdict)| {
        let mark = match verdict_of {
            n if n.correct() => Mark::Correct,
            n if n.present => Mark::Wrong,
            _ => Mark::Missing,
        };
        let step = verdict.steps.iter().find(|step| step.name == node.name);
        let wrote = step.and_then(|step| step.wrong_value.as_ref()?.says.clone());
        Judged { mark, wrote: wrote.filter(|_| mark == Mark::Wrong) }
    };
    dag.nodes.iter().zip(&verdict.nodes).map(of).collect()
}

fn side(model: &str, response: &Response, verdict: &Verdict, dag: &Dag) -> Attempt {
    let mut notes = Vec::new();
    if verdict.missing() > 0 {
        notes.push(format!("{} of {} quantities are missing.", verdict.missing(), verdict.nodes.len()));
    }
    if verdict.truncated {
        notes.push("The text ends before it gives an answer.".to_owned());
    }
    Attempt {
        model: model.to_owned(),
        verified: response.verified,
        outcome: match (response.verified, response.cut, verdict.answer_correct) {
            (true, ..) => "correct",
            (false, true, _) => "cut off",
            (false, false, true) => "correct answer, wrong process",
            (false, false, false) => "wrong",
        },
        steps: pieces(&response.text, verdict),
        note: notes.join(" "),
        graph: draw::inline(dag, &judged(verdict, dag)),
    }
}

#[cfg(test)]
mod tests {
    use problems::{Cell, Contexts, Generator, World, gold::Mode};

    use super::*;

    /// A response with one slip in its arithmetic, which `paper` does not look at and `strict` does.
    fn slip(problem: &Problem) -> String {
        let (gold, text) = (problem.gold(), problem.response());
        let judged = |text: &str, policy| Judgement::of(&gold, text, policy, false).verified();
        let digits = text.char_indices().filter_map(|(i, c)| Some((i, c.to_digit(10)?)));
        let mut changed = digits.map(|(i, d)| format!("{}{}{}", &text[..i], (d + 1) % 10, &text[i + 1..]));
        let slip = changed.find(|text| judged(text, Policy::Paper) && !judged(text, Policy::Strict));
        slip.expect("a step with a sum")
    }

    #[test]
    fn a_transcript_is_judged_by_the_policy_of_its_suite() {
        let generator = Generator::new(&World::default(), &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 6, context: "zoo".to_owned(), mode: Mode::Forward };
        let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
        let wrong_steps = |policy| {
            let response = Response {
                problem: 0,
                sample: 0,
                text: slip(&problem),
                verified: policy == Policy::Paper,
                tokens: 9,
                cut: false,
                reward: Some(0.0),
                policy: Some(policy),
                record: Some(serde_json::to_value(problem.record()).expect("JSON")),
            };
            let transcript = of_rollout(&response, "rl").expect("a problem");
            transcript.sides[0].steps.iter().filter(|step| step.class == "wrong").count()
        };
        assert_eq!([Policy::Paper, Policy::Strict].map(wrong_steps), [0, 1]);
    }
}

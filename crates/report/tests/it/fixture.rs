//! A run folder that nobody trained: plausible numbers written in the run folder's format.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use problems::gold::Mode;
use problems::stream::{Draws, Stream};
use problems::verify::{Policy, verify};
use problems::{Cell, Contexts, Generator, Problem, World};
use runs::records::*;
use runs::{files, lines};

/// A recipe that a run would have resolved, as far as the report reads it.
const RECIPE: &str = r#"# A fixture
name = "synthetic"

[[evaluation.suite]]
name = "heldout"
ops = "2-7,9-10"
contexts = ["terse", "zoo"]
modes = ["forward", "reverse"]
problems = 20
samples = 16
max_tokens = 100

[[claim]]
name = "rl-edge"
says = "reinforcement learning raises pass@1 at the edge"
suite = "heldout"
band = "edge"
metric = "pass@1"
left = { arm = "main", stage = "rl" }
right = { arm = "main", stage = "mid" }
paper = 0.2

[[claim]]
name = "rl-id"
says = "reinforcement learning leaves pass@16 on ID as it was, within two points"
suite = "heldout"
band = "ID"
metric = "pass@16"
left = { stage = "rl" }
right = { stage = "mid" }
relation = "equal"
margin = 0.02

[[claim]]
name = "mid-hard"
says = "mid-training lowers the share of cut-off answers"
suite = "heldout"
band = "hard"
metric = "truncated"
left = { stage = "pre" }
right = { stage = "rl" }
margin = 0.3
"#;

/// What to make up.
pub(crate) struct Synthetic {
    pub(crate) arms: Vec<&'static str>,
    pub(crate) seeds: Vec<u64>,
    pub(crate) problems_per_op: u64,
    pub(crate) samples: u32,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self { arms: vec!["main"], seeds: vec![1], problems_per_op: 20, samples: 16 }
    }
}

const STAGES: [(&str, StageKind); 3] =
    [("pre", StageKind::PreTraining), ("mid", StageKind::MidTraining), ("rl", StageKind::Rl)];

impl Synthetic {
    /// Writes the folder: three stages an arm, of which the arms share the first two.
    pub(crate) fn write(&self, dir: &Path) {
        let mut runs = Vec::new();
        for arm in &self.arms {
            for &seed in &self.seeds {
                let mut stages = Vec::new();
                for (position, (name, _)) in STAGES.iter().enumerate() {
                    let shared = position < 2;
                    let folder =
                        if shared { format!("{name}-{seed:04}") } else { format!("{name}-{arm}-{seed:04}") };
                    let parent = stages.last().cloned();
                    self.stage(dir, &folder, position, seed, parent);
                    stages.push(folder);
                }
                runs.push(ArmRun { arm: (*arm).to_owned(), seed, stages });
            }
        }
        let band = |name: &str, from, to| Band { name: name.into(), from, to };
        let manifest = Manifest {
            format: FORMAT,
            name: "synthetic".into(),
            question: "Does reinforcement learning at the edge of competence extend what a model can do?"
                .into(),
            command: "tercet run recipes/synthetic.toml".into(),
            recipe_hash: "5f1c".repeat(16),
            revision: "0.1.0 (fixture)".into(),
            bands: vec![band("ID", 2, 5), band("edge", 6, 7), band("hard", 9, 10)],
            runs,
            engines: Vec::new(),
        };
        files::write_json(&dir.join("manifest.json"), &manifest).unwrap();
        fs::create_dir_all(dir.join("data/suites")).unwrap();
        let records: Vec<_> = self.suite().iter().map(Problem::record).collect();
        lines::write(&dir.join("data/suites/heldout.jsonl"), &records).unwrap();
        fs::write(dir.join("recipe.toml"), RECIPE).unwrap();
    }

    fn stage(&self, dir: &Path, folder: &str, position: usize, seed: u64, parent: Option<String>) {
        let path = dir.join("stages").join(folder);
        fs::create_dir_all(path.join("evals")).unwrap();
        let (name, kind) = STAGES[position];
        let steps = 120;
        files::write_json(
            &path.join("stage.json"),
            &StageInfo {
                format: FORMAT,
                name: name.into(),
                kind,
                key: folder.into(),
                parent,
                seed,
                steps,
                tokens: 400_000,
                parameters: 800_000,
            },
        )
        .unwrap();
        let mut draws = Stream::root(seed).fork(folder).draws();
        let mut lines = Vec::new();
        let mut timings = Vec::new();
        for step in 1..=steps {
            lines.push(MetricsRow {
                step,
                values: metrics(kind, step as f64 / steps as f64, position, &mut draws),
            });
            timings.push(MetricsRow { step, values: BTreeMap::from([("timing_s/step".into(), Some(0.5))]) });
        }
        lines::write(&path.join("metrics.jsonl"), &lines).unwrap();
        lines::write(&path.join("timings.jsonl"), &timings).unwrap();
        self.evaluation(&path, position, &mut draws);
        counts(&path, kind, steps);
    }

    fn evaluation(&self, path: &Path, position: usize, draws: &mut Draws) {
        let mut rows = Vec::new();
        let mut responses = Vec::new();
        for (i, problem) in self.suite().iter().enumerate() {
            let of_problem = Stream::root(9).fork("ease").index(i as u64).draws();
            let row = self.row(i as u64, problem, position, of_problem, draws);
            for sample in 0..self.samples.min(2) {
                let text = damaged(problem, sample < row.verified.min(1 + row.verified / 4), draws);
                let verified = verify(&problem.gold(), &text, Policy::Paper).verified;
                responses.push(Response {
                    problem: i as u64,
                    sample,
                    text,
                    verified,
                    tokens: 30,
                    cut: false,
                    reward: None,
                    policy: None,
                    record: None,
                });
            }
            rows.push(row);
        }
        lines::write(&path.join("evals/heldout.responses.jsonl.gz"), &responses).unwrap();
        lines::write(&path.join("evals/heldout.jsonl.gz"), &rows).unwrap();
    }

    /// Real problems: two contexts, forward and a few reverse.
    fn suite(&self) -> Vec<Problem> {
        let world = World::default();
        let generator = Generator::new(&world, &Contexts::builtin(), 3, None).unwrap();
        let mut problems = Vec::new();
        for op in [2, 3, 4, 5, 6, 7, 9, 10] {
            for i in 0..self.problems_per_op {
                let context = if i.is_multiple_of(2) { "terse" } else { "zoo" };
                let mode = if i % 5 == 4 { Mode::Reverse } else { Mode::Forward };
                let cell = Cell { op, context: context.into(), mode };
                problems.push(generator.sequence(&cell).unwrap().problem(i));
            }
        }
        problems
    }

    fn row(
        &self,
        problem: u64,
        source: &Problem,
        position: usize,
        mut of_problem: Draws,
        draws: &mut Draws,
    ) -> EvalRow {
        let op = source.cell.op;
        let ease = of_problem.below(100) as f64 / 100.0;
        let level = [0.0, 0.4, 1.3][position] + 5.0 - f64::from(op) + 2.0 * (ease - 0.5);
        let chance = 1000.0 / (1.0 + (-1.4 * level).exp());
        let verified = (0..self.samples).filter(|_| (draws.below(1000) as f64) < chance).count() as u32;
        let lucky = (self.samples - verified) / 8;
        let wrong = self.samples - verified - lucky;
        EvalRow {
            problem,
            op,
            context: source.cell.context.clone(),
            mode: source.mode(),
            n: self.samples,
            verified,
            correct: verified + lucky,
            truncated: wrong / 10,
            process_acc: 0.5 + 0.5 * f64::from(verified) / f64::from(self.samples),
            tokens: 12.0 * f64::from(op),
            answers: BTreeMap::from([("8".into(), verified + lucky), ("9".into(), wrong)]),
            answer: "8".into(),
            first_faults: BTreeMap::from([
                ("wrong-value".into(), wrong / 2 + lucky),
                ("missing-step".into(), wrong - wrong / 2),
            ]),
            gold_nll: Some(0.3 + 0.02 * f64::from(op) - 0.02 * position as f64),
        }
    }
}

/// What the stage was trained on and what it cost.
fn counts(path: &Path, kind: StageKind, steps: u64) {
    files::write_json(
        &path.join("exposure.json"),
        &Exposure {
            format: FORMAT,
            cells: (2..=7)
                .map(|op| ExposureCell {
                    op,
                    context: "terse".into(),
                    mode: Mode::Forward,
                    depth: op / 2 + 1,
                    structure: "tree".into(),
                    problems: 1000 * u64::from(9 - op),
                    tokens: 50_000 * u64::from(9 - op),
                })
                .collect(),
        },
    )
    .unwrap();
    files::write_json(
        &path.join("done.json"),
        &StageDone {
            format: FORMAT,
            steps,
            cost: Cost {
                trained_tokens: 400_000,
                sampled_tokens: if kind == StageKind::Rl { 300_000 } else { 0 },
                prompt_tokens: 0,
                scored_tokens: 0,
                flops: 2.0e12,
                nominal_tokens: 400_000.0,
                real_tokens: 500_000.0,
                skipped_updates: 0,
            },
            weights_hash: "ab".repeat(32),
        },
    )
    .unwrap();
}

fn metrics(kind: StageKind, t: f64, position: usize, draws: &mut Draws) -> BTreeMap<String, Option<f64>> {
    let noise = |draws: &mut Draws| draws.below(1000) as f64 / 1000.0 - 0.5;
    let mut put = BTreeMap::new();
    for op in [2, 5, 6, 7, 9] {
        put.insert(
            format!("eval/loss/op{op}/terse/forward"),
            Some(0.2 + 0.05 * f64::from(op) + (-4.0 * t).exp()),
        );
    }
    if kind == StageKind::Rl {
        let reward = 0.12 + 0.15 * t + 0.06 * noise(draws);
        put.insert("critic/rewards/mean".into(), Some(reward));
        put.insert("loss".into(), Some(0.02 * noise(draws)));
        put.insert("groups/all_equal_not_right".into(), Some(0.55 - 0.2 * t));
        put.insert("groups/all_right".into(), Some(0.1 + 0.1 * t));
        put.insert("curriculum/op6".into(), Some(0.8 - 0.5 * t));
        put.insert("curriculum/op7".into(), Some(0.2 + 0.5 * t));
        put.insert("groups/mixed".into(), Some(0.35 + 0.1 * t));
    } else {
        let loss = 0.5 + (2.2 - position as f64) * (-5.0 * t).exp() + 0.05 * noise(draws);
        put.insert("loss".into(), Some(loss));
        put.insert("loss/response".into(), Some(0.9 * loss));
    }
    put
}

/// The right response, or one with a number changed, a step left out, or the end missing.
fn damaged(problem: &Problem, right: bool, draws: &mut Draws) -> String {
    let text = problem.response();
    if right {
        return text;
    }
    match draws.below(4) {
        0 => {
            let mut steps: Vec<&str> = text.split_inclusive('.').collect();
            steps.remove(draws.below(steps.len().saturating_sub(1).max(1)));
            steps.concat()
        }
        1 => text.chars().take(text.chars().count() * 2 / 3).collect(),
        _ => {
            let digits: Vec<usize> =
                text.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(i, _)| i).collect();
            let at = digits[draws.below(digits.len())];
            let other = (text.as_bytes()[at] - b'0' + 1 + draws.below(8) as u8) % 10;
            format!("{}{other}{}", &text[..at], &text[at + 1..])
        }
    }
}

//! The graph of a run: everything that is made, once, and what it is made from.
//!
//! A run by one process, a run by many, the plan, and programs that hand out work to a cluster all walk this graph.

use std::{
    collections::{BTreeMap, BTreeSet, btree_set},
    iter::Copied,
    path::{Path, PathBuf},
};

use runs::{
    FileError, Locks, files,
    records::{ArmRun, EngineInfo},
};
use serde::Serialize;

use super::{
    Options, TokenizerSource, check_choice, done,
    key::{PlannedStage, hash, stages_with, tokenizer_key},
};
use crate::{
    error::RunError,
    recipe::{Recipe, unknown},
};

/// The work of a run, every part after the parts that it is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The parts.
    pub nodes: Vec<Node>,
    /// Every arm at every seed with the folders of its stages.
    pub runs: Vec<ArmRun>,
}

/// One part of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// `tokenizer`, `suites`, `report`, or the name of the stage's folder.
    pub name: String,
    /// Hash of all that determines it.
    pub key: String,
    /// What it leaves, relative to the run folder.
    pub place: PathBuf,
    /// What it is made from: indices into [`Graph::nodes`].
    pub parents: Vec<usize>,
    /// What is done.
    pub work: Work,
}

/// What is done for a part of a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Work {
    /// The tokenizer is trained, or copied from a model that is given.
    Tokenizer,
    /// The problems of the suites are made.
    Suites,
    /// A stage is trained and evaluated.
    Stage(Box<StageNode>),
    /// The report is written.
    Report,
}

impl Work {
    /// e.g. `stage`
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Suites => "suites",
            Self::Stage(_) => "stage",
            Self::Report => "report",
        }
    }
}

/// A stage of one or several arms at a seed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StageNode {
    /// The arms that go through it, in the order of the recipe.
    pub arms: Vec<String>,
    /// The seed.
    pub seed: u64,
    /// The stage with its key.
    pub planned: PlannedStage,
    /// The first of its arms, and which of that arm's stages it is.
    pub(super) first: (usize, usize),
    /// The stage that it starts from.
    pub(super) parent: Option<usize>,
}

/// The places of the parts that every stage needs.
const TOKENIZER: usize = 0;
const SUITES: usize = 1;

impl Graph {
    /// The graph of all arms and seeds of a recipe; `engine` is what trains, if it is not this program's own.
    ///
    /// # Errors
    /// If a part of the recipe has no JSON form.
    pub fn of(recipe: &Recipe, engine: Option<&EngineInfo>) -> Result<Self, RunError> {
        let key = tokenizer_key(recipe)?;
        let part = |name: &str, key: String, place: &str, parents: Vec<usize>, work: Work| Node {
            name: name.to_owned(),
            key,
            place: place.into(),
            parents,
            work,
        };
        let document = &recipe.document;
        let suites = hash(&(&document.evaluation, &document.world, document.split, &recipe.context_texts))?;
        let mut nodes = vec![
            part("tokenizer", key.clone(), "data/tokenizer", Vec::new(), Work::Tokenizer),
            part("suites", suites, "data/suites", Vec::new(), Work::Suites),
        ];
        let mut runs = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for &seed in &document.seeds {
            for (number, arm) in recipe.arms.iter().enumerate() {
                let mut parent = None;
                let mut folders = Vec::new();
                for (place, planned) in
                    stages_with(recipe, &key, (arm, seed), engine)?.into_iter().enumerate()
                {
                    folders.push(planned.folder.clone());
                    if let Some(&shared) = known.get(&planned.key) {
                        if let Work::Stage(stage) = &mut nodes[shared].work {
                            stage.arms.push(arm.name.clone());
                        }
                        parent = Some(shared);
                        continue;
                    }
                    known.insert(planned.key.clone(), nodes.len());
                    let (name, key) = (planned.folder.clone(), planned.key.clone());
                    let parents = parent.map_or_else(|| vec![TOKENIZER, SUITES], |parent| vec![parent]);
                    let arms = vec![arm.name.clone()];
                    let stage = StageNode { arms, seed, planned, first: (number, place), parent };
                    let folder = format!("stages/{name}");
                    nodes.push(part(&name, key, &folder, parents, Work::Stage(Box::new(stage))));
                    parent = Some(nodes.len() - 1);
                }
                runs.push(ArmRun { arm: arm.name.clone(), seed, stages: folders });
            }
        }
        let started_from: BTreeSet<usize> =
            nodes.iter().flat_map(|node| node.parents.iter().copied()).collect();
        let last: Vec<usize> = (0..nodes.len()).filter(|node| !started_from.contains(node)).collect();
        let key = hash(&(recipe.hash(), last.iter().map(|&i| &nodes[i].key).collect::<Vec<_>>()))?;
        nodes.push(part("report", key, "report.html", last, Work::Report));
        Ok(Self { nodes, runs })
    }

    /// Which parts a run with these options makes: those of an arm, of a seed, or a single one. Never the report, which
    /// is not made by a run.
    ///
    /// # Errors
    /// If there is no such arm, seed or part.
    pub(super) fn wanted(&self, recipe: &Recipe, options: &Options) -> Result<Vec<bool>, RunError> {
        check_choice(recipe, options)?;
        if let Some(name) = &options.stage {
            let only = self.find(name)?;
            // A stage cannot be made without them, and they are there if another process made it.
            let needs = matches!(self.nodes[only].work, Work::Stage(_));
            let wanted = |i: usize| i == only || needs && (i == TOKENIZER || i == SUITES);
            return Ok((0..self.nodes.len())
                .map(|i| wanted(i) && self.nodes[i].work != Work::Report)
                .collect());
        }
        let arm = |stage: &StageNode| options.arm.as_ref().is_none_or(|arm| stage.arms.contains(arm));
        let seed = |stage: &StageNode| options.seed.is_none_or(|seed| stage.seed == seed);
        let is_wanted = |node: &Node| match &node.work {
            Work::Tokenizer | Work::Suites => true,
            Work::Stage(stage) => arm(stage) && seed(stage),
            Work::Report => false,
        };
        Ok(self.nodes.iter().map(is_wanted).collect())
    }

    /// The part with this name or key. The beginning of a key is enough if no other key begins like it.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn find(&self, name: &str) -> Result<usize, RunError> {
        let is = |node: &&Node| node.name == name || node.key == name;
        if let Some(found) = self.nodes.iter().position(|node| is(&node)) {
            return Ok(found);
        }
        let mut begins = self.nodes.iter().enumerate().filter(|(_, node)| node.key.starts_with(name));
        match (begins.next(), begins.next()) {
            (Some((found, _)), None) if name.len() >= 6 => Ok(found),
            _ => {
                let known = self.nodes.iter().map(|node| node.name.as_str());
                Err(RunError::Unknown(unknown("stage", name, known)))
            }
        }
    }

    /// How far every part is in a run folder.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn states(&self, run: &Path) -> Result<Vec<State>, FileError> {
        let (holders, failures) = (Locks::holders(run)?, Locks::failures(run)?);
        let mut states: Vec<State> = Vec::new();
        for node in &self.nodes {
            let before = node.parents.iter().all(|&parent| states[parent].name == StateName::Finished);
            let mut state = State { name: StateName::Waiting, process: None, reason: None };
            if let Some(process) = holders.get(&node.name) {
                (state.name, state.process) = (StateName::Running, process.as_ref().map(ToString::to_string));
            } else if let Some(failure) = failures.get(&node.name) {
                // A stage that is finished and damaged as well: whoever finds it whole takes this back.
                state.name = StateName::Failed;
                state.process = Some(failure.process.to_string());
                state.reason = Some(failure.reason.clone());
            } else if before && is_there(run, node) {
                state.name = StateName::Finished;
            } else if before {
                state.name = StateName::Ready;
            }
            states.push(state);
        }
        Ok(states)
    }
}

/// Whether a part lies in a run folder.
fn is_there(run: &Path, node: &Node) -> bool {
    let place = run.join(&node.place);
    match &node.work {
        Work::Tokenizer => {
            let source = files::read_optional::<TokenizerSource>(&place.join("source.json"));
            source.ok().flatten().is_some_and(|source| source.key == node.key)
        }
        Work::Suites => place.is_dir(),
        Work::Stage(_) => done::is_done(&place),
        Work::Report => place.is_file(),
    }
}

/// How far a part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct State {
    /// In one word.
    pub name: StateName,
    /// Who works on it, or at whom it failed.
    pub process: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
}

impl State {
    /// In a folder where nothing is done.
    pub(super) fn at_first(node: &Node) -> Self {
        let name = if node.parents.is_empty() { StateName::Ready } else { StateName::Waiting };
        Self { name, process: None, reason: None }
    }
}

/// How far a part is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateName {
    /// Something that it is made from is not finished.
    Waiting,
    /// It can be begun.
    Ready,
    /// A process works on it.
    Running,
    /// It could not go on, and nobody has begun it again.
    Failed,
    /// It is there.
    Finished,
}

/// Which parts can be begun, as others are finished.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Unfinished parents of each part; none for parts that are not wanted any more.
    waits: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
    ready: BTreeSet<usize>,
    left: usize,
}

impl Schedule {
    /// For the parts that are wanted. What the others make is taken to be there.
    pub fn of(graph: &Graph, wanted: &[bool]) -> Self {
        let mut schedule = Self {
            waits: vec![None; graph.nodes.len()],
            children: vec![Vec::new(); graph.nodes.len()],
            ready: BTreeSet::new(),
            left: 0,
        };
        for (i, node) in graph.nodes.iter().enumerate().filter(|(i, _)| wanted[*i]) {
            let parents = node.parents.iter().filter(|&&parent| wanted[parent]);
            for &parent in parents.clone() {
                schedule.children[parent].push(i);
            }
            schedule.waits[i] = Some(parents.count());
            schedule.left += 1;
            if schedule.waits[i] == Some(0) {
                schedule.ready.insert(i);
            }
        }
        schedule
    }

    /// The parts that can be begun, in the order of the graph.
    pub fn ready(&self) -> Copied<btree_set::Iter<'_, usize>> {
        self.ready.iter().copied()
    }

    /// How many parts are neither finished nor given up.
    pub fn left(&self) -> usize {
        self.left
    }

    /// A part is finished: what waited for it only can be begun.
    pub fn finish(&mut self, part: usize) {
        if self.waits[part].take().is_none() {
            return;
        }
        self.ready.remove(&part);
        self.left -= 1;
        for child in std::mem::take(&mut self.children[part]) {
            if let Some(waits) = &mut self.waits[child] {
                *waits -= 1;
                if *waits == 0 {
                    self.ready.insert(child);
                }
            }
        }
    }

    /// A part cannot be made: neither can what is made from it.
    pub fn give_up(&mut self, part: usize) {
        if self.waits[part].take().is_none() {
            return;
        }
        self.ready.remove(&part);
        self.left -= 1;
        for child in std::mem::take(&mut self.children[part]) {
            self.give_up(child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(overrides: &[&str], arms: &[&str]) -> Recipe {
        let mut text = include_str!("../../../../recipes/quickstart.toml").to_owned();
        for (i, arm) in arms.iter().enumerate() {
            let set = format!("set = {{ \"stage.rl.optimizer.lr\" = {}e-4 }}", i + 1);
            text = format!("{text}[[arm]]\nname = \"{arm}\"\n{set}\n");
        }
        let overrides = overrides.iter().chain(&["claim=[]"]).map(|&o| o.to_owned());
        let overrides: Vec<String> = overrides.collect();
        Recipe::parse(&text, "quickstart.toml", &overrides).expect("right")
    }

    /// The names of parts without their keys.
    fn short(graph: &Graph, parts: impl Iterator<Item = usize>) -> Vec<String> {
        let name = |i: usize| graph.nodes[i].name.split('-').next().unwrap_or_default().to_owned();
        parts.map(name).collect()
    }

    #[test]
    fn what_arms_share_is_made_once() {
        let graph = Graph::of(&recipe(&["seeds=[1,2]"], &["a", "b"]), None).expect("a graph");
        let names = short(&graph, 0..graph.nodes.len());
        let of_seed = ["pre", "mid", "rl", "rl"];
        assert_eq!(names, [&["tokenizer", "suites"][..], &of_seed, &of_seed, &["report"]].concat());
        let Work::Stage(shared) = &graph.nodes[3].work else { panic!("a stage") };
        assert_eq!((shared.arms.len(), shared.seed), (2, 1));
        assert_eq!(graph.nodes[2].parents, [0, 1]);
        assert_eq!((&graph.nodes[4].parents, &graph.nodes[5].parents), (&vec![3], &vec![3]));
        assert_eq!(graph.nodes[10].parents, [4, 5, 8, 9]);
        assert_eq!(graph.runs.len(), 4);
        // By name, by key, by the beginning of a key.
        let node = &graph.nodes[4];
        for name in [&node.name, &node.key, &node.key[..8]] {
            assert_eq!(graph.find(name).expect("known"), 4);
        }
        assert!(graph.find("rl").is_err() && graph.find(&node.key[..2]).is_err());
    }

    #[test]
    fn a_schedule_is_walked_to_its_end_and_around_what_fails() {
        let graph = Graph::of(&recipe(&["seeds=[1,2]"], &["a", "b"]), None).expect("a graph");
        let all = vec![true; graph.nodes.len()];
        let mut schedule = Schedule::of(&graph, &all);
        let mut order = Vec::new();
        while let Some(next) = schedule.ready().next() {
            order.push(next);
            schedule.finish(next);
        }
        assert_eq!(order, (0..graph.nodes.len()).collect::<Vec<_>>());
        assert_eq!(schedule.left(), 0);

        let mut schedule = Schedule::of(&graph, &all);
        schedule.finish(0);
        schedule.finish(1);
        assert_eq!(short(&graph, schedule.ready()), ["pre", "pre"]);
        schedule.give_up(2);
        let mut order = Vec::new();
        while let Some(next) = schedule.ready().next() {
            order.push(next);
            schedule.finish(next);
        }
        // The other seed, and no report.
        assert_eq!(short(&graph, order.into_iter()), ["pre", "mid", "rl", "rl"]);
        assert_eq!(schedule.left(), 0);
    }
}

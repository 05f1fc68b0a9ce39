//! The walk through the graph of a run, by one process of perhaps many.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use runs::{FileError, Lock, Locks, files, lines, locks::Taken, records::Failure};
use tokens::Tokenizer;

use super::{
    Run, TokenizerSource, done,
    graph::{Schedule, StageNode, Work},
    lengths::Lengths,
    model_of,
    stage::StageRun,
    traps,
};
use crate::{
    Outcome, data,
    error::RunError,
    eval::Suite,
    observer::{Event, Observer},
};

/// A walk: it takes parts that can be begun and that nobody else works on, until all are finished.
pub(super) struct Walk<'r, 'a> {
    run: &'r Run<'a>,
    schedule: Schedule,
    tokenizer: Option<Tokenizer>,
    suites: Option<Vec<Suite>>,
    is_checked: bool,
    /// What had failed before this process began: that is tried again.
    failed_before: BTreeMap<String, Failure>,
    /// The first stage that could not go on.
    failure: Option<RunError>,
    /// The arm and seed that were last spoken of.
    told: Option<(String, u64)>,
}

impl<'r, 'a> Walk<'r, 'a> {
    pub(super) fn new(run: &'r Run<'a>) -> Result<Self, RunError> {
        let wanted = run.graph.wanted(&run.recipe, &run.options)?;
        Ok(Self {
            run,
            schedule: Schedule::of(&run.graph, &wanted),
            tokenizer: None,
            suites: None,
            is_checked: false,
            failed_before: Locks::failures(&run.folder)?,
            failure: None,
            told: None,
        })
    }

    pub(super) fn go(mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Outcome, RunError> {
        self.check_parents()?;
        let mut waits_for = None;
        while self.schedule.left() > 0 {
            if stop.load(Ordering::Relaxed) {
                return Ok(Outcome::Stopped);
            }
            let Some((part, lock)) = self.next(observer, &mut waits_for)? else {
                thread::sleep(self.run.locks.pause());
                continue;
            };
            waits_for = None;
            self.check_once(part)?;
            match self.execute(part, lock.as_ref(), observer, stop) {
                Ok(Outcome::Finished(())) => self.schedule.finish(part),
                Ok(Outcome::Stopped) => return Ok(Outcome::Stopped),
                Err(error) => {
                    // Who has lost the stage may stumble over what the next one does to its files.
                    let lost = lock.as_ref().and_then(|lock| lock.check().err());
                    let lost = lost.filter(|lost| matches!(lost, FileError::Lost { .. }));
                    self.failed(part, lost.map_or(error, Into::into), observer)?;
                }
            }
        }
        self.failure.map_or(Ok(Outcome::Finished(())), Err)
    }

    /// Every process makes the suites for itself, and two that write them write the same. A tokenizer that is there is only
    /// read.
    fn needs_lock(&self, part: usize) -> bool {
        let node = &self.run.graph.nodes[part];
        match node.work {
            Work::Tokenizer => !self.run.folder.join(&node.place).join("source.json").exists(),
            Work::Suites | Work::Report => false,
            Work::Stage(_) => true,
        }
    }

    /// A part that can be begun, with its lock if it needs one. Where others work on all of them, it says so once.
    fn next(
        &self,
        observer: &mut dyn Observer,
        waits_for: &mut Option<usize>,
    ) -> Result<Option<(usize, Option<Lock>)>, RunError> {
        let mut busy = None;
        for part in self.schedule.ready() {
            if !self.needs_lock(part) {
                return Ok(Some((part, None)));
            }
            match self.run.locks.take(&self.run.graph.nodes[part].name)? {
                Taken::Lock(lock) => return Ok(Some((part, Some(lock)))),
                Taken::Busy(process) => busy = busy.or(Some((part, process))),
                _ => {}
            }
        }
        if let Some((part, process)) = busy
            && *waits_for != Some(part)
        {
            *waits_for = Some(part);
            let name = &self.run.graph.nodes[part].name;
            observer.on(Event::Waiting { name, process: process.as_ref() });
        }
        Ok(None)
    }

    /// A single stage is made from one that must be there.
    fn check_parents(&self) -> Result<(), RunError> {
        let nodes = &self.run.graph.nodes;
        let Some(name) = &self.run.options.stage else { return Ok(()) };
        let node = &nodes[self.run.graph.find(name)?];
        let parent = |&parent: &usize| matches!(nodes[parent].work, Work::Stage(_)).then_some(&nodes[parent]);
        for parent in node.parents.iter().filter_map(parent) {
            if !done::is_done(&self.run.folder.join(&parent.place)) {
                return Err(RunError::Waits { name: node.name.clone(), parent: parent.name.clone() });
            }
        }
        Ok(())
    }

    /// Before the first stage: what is wrong with the whole run is no fault of that stage.
    fn check_once(&mut self, part: usize) -> Result<(), RunError> {
        if let (false, Work::Stage(_), Some(tokenizer), Some(suites)) =
            (self.is_checked, &self.run.graph.nodes[part].work, &self.tokenizer, &self.suites)
        {
            self.run.check_lengths(suites, tokenizer)?;
            self.is_checked = true;
        }
        Ok(())
    }

    fn execute(
        &mut self,
        part: usize,
        lock: Option<&Lock>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Outcome, RunError> {
        let node = &self.run.graph.nodes[part];
        if let Some(process) = lock.and_then(Lock::taken_over) {
            observer.on(Event::TakenOver { name: &node.name, process });
        }
        let place = self.run.folder.join(&node.place);
        match lock {
            Some(_) => files::sweep(&place)?,
            None => files::sweep_dead(&place)?,
        }
        match (&node.work, lock) {
            (Work::Tokenizer, _) => self.tokenizer = Some(self.make_tokenizer(observer)?),
            (Work::Suites, _) => self.suites = Some(self.make_suites(observer)?),
            (Work::Stage(stage), lock) => {
                let unlocked = || RunError::Data("a stage was begun without its lock".to_owned());
                let lock = lock.ok_or_else(unlocked)?;
                self.check_failure(&node.name)?;
                return self.stage(part, stage, lock, (observer, stop));
            }
            (Work::Report, _) => {}
        }
        Ok(Outcome::Finished(()))
    }

    fn stage(
        &mut self,
        part: usize,
        node: &StageNode,
        lock: &Lock,
        (observer, stop): (&mut dyn Observer, &AtomicBool),
    ) -> Result<Outcome, RunError> {
        let run = self.run;
        let arm = &run.recipe.arms[node.first.0];
        let (Some(tokenizer), Some(suites)) = (&self.tokenizer, &self.suites) else {
            return Err(RunError::Data("a stage was begun without its tokenizer and suites".to_owned()));
        };
        let spoken_of = (arm.name.clone(), node.seed);
        if self.told.as_ref() != Some(&spoken_of) {
            observer.on(Event::Arm { name: &arm.name, seed: node.seed });
            self.told = Some(spoken_of);
        }
        let of = |part: usize| run.folder.join(&run.graph.nodes[part].place);
        let parent = node.parent.map(of);
        let stage = StageRun {
            recipe: &run.recipe,
            stage: &node.planned.stage,
            model: &model_of(arm, tokenizer),
            seed: node.seed,
            key: &node.planned.key,
            folder: &of(part),
            parent: parent.as_deref(),
            tokenizer,
            suites,
            factory: run.factory,
            reuse: &run.options.reuse,
            lock,
            stop,
        };
        let outcome = stage.execute(observer)?;
        run.locks.forget_failure(&run.graph.nodes[part].name)?;
        Ok(outcome)
    }

    /// What failed for good at another process since this one began would fail here as well.
    fn check_failure(&self, name: &str) -> Result<(), RunError> {
        let known = Locks::failure(&self.run.folder, name)?.filter(|failure| failure.is_final);
        match known {
            Some(failure) if self.failed_before.get(name) != Some(&failure) => Err(RunError::Elsewhere {
                stage: name.to_owned(),
                process: failure.process.to_string(),
                reason: failure.reason,
            }),
            _ => Ok(()),
        }
    }

    /// A stage that cannot go on is left, and the rest of the graph goes on. What is wrong with the machine ends the walk.
    fn failed(&mut self, part: usize, error: RunError, observer: &mut dyn Observer) -> Result<(), RunError> {
        let name = &self.run.graph.nodes[part].name;
        if let RunError::File(FileError::Lost { .. }) = error {
            // This process had stood still, and another goes on with the stage: wait for that one.
            observer.on(Event::Waiting { name, process: None });
            return Ok(());
        }
        let is_final = error.is_of_stage();
        if !matches!(error, RunError::Elsewhere { .. }) {
            // Best effort: the error itself is what counts.
            let _ = self.run.locks.note_failure(name, &error.to_string(), is_final);
        }
        if !is_final {
            return Err(error);
        }
        self.schedule.give_up(part);
        if self.schedule.left() > 0 {
            observer.on(Event::StageFailed { folder: name, error: &error });
        }
        self.failure.get_or_insert(error);
        Ok(())
    }

    /// The run's tokenizer: trained once or given, the same for all arms and seeds.
    fn make_tokenizer(&self, observer: &mut dyn Observer) -> Result<Tokenizer, RunError> {
        let run = self.run;
        let path = run.folder.join("data").join("tokenizer");
        let source = TokenizerSource { key: run.graph.nodes[0].key.clone() };
        let source_path = path.join("source.json");
        if source_path.exists() {
            if files::read_json::<TokenizerSource>(&source_path)? != source {
                let what = "a tokenizer that was trained on other problems".to_owned();
                return Err(RunError::Foreign { folder: run.folder.clone(), what });
            }
            return Ok(Tokenizer::open_any(&path)?);
        }
        observer.on(Event::Preparing("tokenizer"));
        let tokenizer = data::tokenizer(&run.recipe, u64::MAX)?;
        let partial = files::begin_folder(&path)?;
        tokenizer.save(&partial)?;
        files::write_json(&partial.join("source.json"), &source)?;
        files::publish(&partial, &path)?;
        // As it will be read by every later run.
        Ok(Tokenizer::open_any(&path)?)
    }

    fn make_suites(&self, observer: &mut dyn Observer) -> Result<Vec<Suite>, RunError> {
        let run = self.run;
        let document = &run.recipe.document;
        let folder = run.folder.join("data").join("suites");
        files::make_folder(&folder)?;
        let mut suites = Vec::new();
        for config in &document.evaluation.suites {
            observer.on(Event::Preparing(&format!("suite {}", config.name)));
            let contexts = &run.recipe.contexts;
            let seed = document.evaluation.seed;
            let suite = Suite::make(config, &document.world, contexts, document.split, seed)?;
            let path = folder.join(format!("{}.jsonl", config.name));
            let text = lines::to_bytes(&path, &suite.records())?;
            if fs::read(&path).ok().as_deref() != Some(&text[..]) {
                files::write(&path, &text)?;
            }
            suites.push(suite);
        }
        Ok(suites)
    }
}

impl Run<'_> {
    /// Refuses stages and suites that do not fit the model's context before the first stage begins. (Stories that the
    /// tokenizer was not trained on take many tokens.)
    fn check_lengths(&self, suites: &[Suite], tokenizer: &Tokenizer) -> Result<(), RunError> {
        for arm in self.arms() {
            traps::check_vocabulary(arm, tokenizer)?;
        }
        for suite in suites {
            let longest = suite.longest(tokenizer);
            if let Some(arm) = self.arms().find(|arm| arm.model.context() < longest) {
                return Err(RunError::Data(format!(
                    "suite `{}`: a problem with its solution has {longest} tokens, and the model's context is {}",
                    suite.config.name,
                    arm.model.context()
                )));
            }
        }
        let lengths = Lengths::new(&self.recipe, tokenizer)?;
        for arm in self.arms() {
            traps::check_context(arm, &lengths)?;
        }
        Ok(())
    }
}

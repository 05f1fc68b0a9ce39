//! A stage of a recipe as a folder that a trainer of another project takes as it is.

mod check;
mod llama_factory;
mod rates;
mod rows;
mod trl;
mod verl;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use problems::Problem;
use runs::files;
use runs::records::StageKind;
use tokens::Tokenizer;
use train::data::Reading;
use train::eval::Suite;
use train::recipe::{Arm, ArmStage, Recipe};

use crate::failure::Usage;
use crate::progress::Progress;

/// The programs that a stage can be handed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trainer {
    Verl,
    LlamaFactory,
    Trl,
}

impl Trainer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Verl => "verl",
            Self::LlamaFactory => "LLaMA-Factory",
            Self::Trl => "TRL",
        }
    }

    /// Whether it trains stages of this kind.
    pub(crate) fn takes(self, kind: StageKind) -> bool {
        match self {
            Self::Verl | Self::Trl => kind == StageKind::Rl,
            Self::LlamaFactory => matches!(kind, StageKind::PreTraining | StageKind::MidTraining),
        }
    }

    /// Files of the folder, by name: templates, filled with the facts of the stage.
    fn templates(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Verl => verl::FILES,
            Self::LlamaFactory => llama_factory::FILES,
            Self::Trl => trl::FILES,
        }
    }
}

/// Values for the templates, by name. Numbers are written out: YAML readers differ in what they make of 1e-6.
type Facts = BTreeMap<&'static str, String>;

/// What is handed over.
pub(crate) struct Handover<'a> {
    pub(crate) trainer: Trainer,
    pub(crate) recipe: &'a Recipe,
    pub(crate) arm: &'a Arm,
    pub(crate) stage: &'a ArmStage,
    pub(crate) seed: u64,
    pub(crate) tokenizer: &'a Tokenizer,
    /// The model's longest sequence, in tokens.
    pub(crate) context: usize,
}

/// What a trainer cannot express, collected so that all of it can be said at once.
#[derive(Default)]
struct Refused(Vec<String>);

impl Refused {
    fn when(&mut self, refused: bool, what: &str) {
        if refused {
            self.0.push(what.to_owned());
        }
    }
}

impl Handover<'_> {
    /// Writes the folder; `model` fills a folder with the model. Returns how many problems there are.
    pub(crate) fn write(
        &self,
        problems: Option<u64>,
        out: &Path,
        model: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let mut refused = Refused::default();
        let mut facts = self.facts();
        match self.trainer {
            Trainer::Verl => verl::facts(self, &mut facts, &mut refused),
            Trainer::LlamaFactory => llama_factory::facts(self, &mut facts, &mut refused),
            Trainer::Trl => trl::facts(self, &mut facts, &mut refused),
        }
        if !refused.0.is_empty() {
            let (name, stage) = (self.trainer.name(), &self.stage.stage.name);
            let what = refused.0.join("; ");
            return Err(Usage::error(format!("{name} cannot express the stage `{stage}`: {what}")));
        }
        let partial = files::begin_folder(out)?;
        let filled = (|| {
            model(&partial.join("checkpoint"))?;
            let number = self.data(&partial, problems, &mut facts)?;
            self.templates(&partial, &facts)?;
            files::publish(&partial, out)?;
            Ok(number)
        })();
        filled.inspect_err(|_| {
            // The first error is the one to tell.
            let _ = files::remove_folder(&partial);
        })
    }

    /// What every template may name.
    fn facts(&self) -> Facts {
        let (document, stage) = (&self.recipe.document, &self.stage.stage);
        let scale = match document.scale.as_str() {
            "" => "as it stands".to_owned(),
            scale => format!("at scale `{scale}`"),
        };
        BTreeMap::from([
            ("recipe", document.name.clone()),
            ("scale", scale),
            ("hash", self.recipe.hash()[..12].to_owned()),
            ("arm", self.arm.name.clone()),
            ("stage", stage.name.clone()),
            ("seed", self.seed.to_string()),
            ("version", crate::revision()),
            ("context", self.context.to_string()),
            ("lr", stage.optimizer.lr.to_string()),
            ("weight_decay", stage.optimizer.weight_decay.to_string()),
            ("beta1", stage.optimizer.beta1.to_string()),
            ("beta2", stage.optimizer.beta2.to_string()),
            ("eps", stage.optimizer.eps.to_string()),
            ("clip_norm", stage.optimizer.clip_norm.to_string()),
            ("steps", stage.total_steps().to_string()),
            ("messages", if self.trainer == Trainer::Verl { "True" } else { "False" }.to_owned()),
            // Where nothing is rewarded.
            ("reward_call", "{}".to_owned()),
        ])
    }

    /// Writes the problems, those that are held out, and what the check in the trainer's environment compares with.
    fn data(&self, folder: &Path, problems: Option<u64>, facts: &mut Facts) -> anyhow::Result<u64> {
        let mut check = check::Check::new(self)?;
        let mut reading = Reading::of_stage(self.recipe, self.stage, self.seed)?;
        let mut file = rows::Rows::new(self, folder, "train");
        let wanted = problems.or(self.prompts());
        let budget = self.stage.stage.budget().0;
        let mut progress = match wanted {
            Some(wanted) => Progress::new("problems", wanted, "problems"),
            None => Progress::new("problems", budget, "tokens"),
        };
        let (mut number, mut tokens) = (0, 0);
        while wanted.map_or(tokens < budget, |wanted| number < wanted) {
            let problem = reading.next().context("a reading has no end")??;
            let length = check.problem(&problem)?;
            file.push(&problem, number)?;
            progress.add(if wanted.is_some() { 1 } else { length });
            (number, tokens) = (number + 1, tokens + length);
        }
        progress.finish();
        file.finish()?;
        if let Some(config) = self.recipe.document.evaluation.suites.first() {
            let document = &self.recipe.document;
            let (world, contexts) = (&document.world, &self.recipe.contexts);
            let suite = Suite::make(config, world, contexts, document.split, document.evaluation.seed)?;
            self.held_out(&suite.problems, folder)?;
        }
        check.finish(folder, facts)?;
        facts.insert("problems", number.to_string());
        facts.insert("tokens", tokens.to_string());
        if self.trainer == Trainer::LlamaFactory {
            llama_factory::batch(self, tokens as f64 / number as f64, facts);
        }
        Ok(number)
    }

    fn held_out(&self, problems: &[Problem], folder: &Path) -> anyhow::Result<()> {
        let mut file = rows::Rows::new(self, folder, "test");
        for (i, problem) in problems.iter().enumerate() {
            file.push(problem, i as u64)?;
        }
        file.finish()
    }

    /// Prompts that the stage reads; none if its budget is in tokens.
    fn prompts(&self) -> Option<u64> {
        let rollout = self.stage.stage.rollout.as_ref()?;
        Some(u64::from(rollout.prompts) * self.stage.stage.total_steps())
    }

    fn templates(&self, folder: &Path, facts: &Facts) -> anyhow::Result<()> {
        let mut templates = minijinja::Environment::new();
        templates.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
        for (name, text) in self.trainer.templates() {
            // Rendering takes the last line's end away.
            let text =
                templates.render_named_str(name, text, facts).with_context(|| (*name).to_owned())? + "\n";
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let path = folder.join("recipe.toml");
        fs::write(&path, self.recipe.resolved()).with_context(|| format!("cannot write {}", path.display()))
    }
}

//! From a recipe's text to a checked recipe.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use problems::{
    Generator,
    context::{Context, ContextError, Contexts},
    spec::{Cell, OP_MAX, SpecError},
    split::{Split, SplitRule},
};
use runs::{
    SuiteConfig,
    records::{Band, StageKind},
};
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    Arm, ArmConfig, ArmStage, Model, ModelSource, Recipe, RecipeDocument, RecipeError, Stage, claims,
    error::Errors,
    known::{NAME_MAX, quoted, unknown},
    limits,
    mix::cells,
    read,
    sources::{Files, model_path, pin_models, text},
    text::{RecipeText, apply, item_span, span_of},
};
use crate::data::{DataFile, check_cells};

/// Resolves a recipe; the files it names are relative to `folder`.
pub(super) fn recipe(
    text: &str,
    file: &str,
    overrides: &[String],
    folder: Option<&Path>,
) -> Result<Recipe, RecipeError> {
    let mut files = Files::of(folder);
    let source = RecipeText::new(text, file, overrides)?;
    let mut base = source.file_table()?;
    let sets = source.override_tables()?;
    let errors = Errors::default();
    let scale = take_scale(&source, &mut base, &sets, &errors)?;
    for set in &sets {
        errors.of(apply(&source, &mut base, set, &[]));
    }
    base.remove("scale");
    let document = read::document(&source, &base, &errors);
    errors.check()?;
    let Some(mut document) = document else { return Err(RecipeError::new("the recipe cannot be read")) };
    document.scale = scale;
    if document.question.is_empty() {
        document.question = opening_comment(text);
    }
    let checks = Checks { source: &source, table: &base, errors: &errors };
    let Some((contexts, context_texts)) = errors.of(checks.contexts(&document, &files)) else {
        return Err(errors.check().err().unwrap_or_else(|| RecipeError::new("a context cannot be read")));
    };
    checks.shared(&document, &contexts);
    let arms = arms(&checks, &sets, &document, &contexts, &mut files);
    checks.claims(&document, &arms);
    errors.check()?;
    pin_models(&source, &base, &mut document, &arms, &files);
    Ok(Recipe { document, arms, contexts, context_texts })
}

/// Removes the `scale` table and applies the scale that was picked. A resolved recipe has the scale's name there. The
/// others are tried, so that what is wrong with them is told now.
fn take_scale<'i>(
    source: &RecipeText,
    base: &mut DeTable<'i>,
    sets: &[DeTable<'i>],
    errors: &Errors,
) -> Result<String, RecipeError> {
    let picked = sets.iter().rev().find_map(|set| set.get("scale"));
    let Some(scales) = base.remove("scale") else {
        return match picked {
            Some(name) => Err(source.error("the recipe has no scales", Some(name.span()))),
            None => Ok(String::new()),
        };
    };
    if let DeValue::String(name) = scales.get_ref() {
        return match picked {
            Some(other) => Err(source.error("the recipe is resolved already", Some(other.span()))),
            None => Ok(name.to_string()),
        };
    }
    let Some(table) = scales.get_ref().as_table() else {
        return Err(
            source.error("`scale` has tables of overrides: write `[scale.NAME]`", Some(scales.span()))
        );
    };
    let name = picked.map(|picked| picked.get_ref().as_str().unwrap_or_default());
    for (other, patch) in table.iter().filter(|(other, _)| Some(other.get_ref().as_ref()) != name) {
        try_scale(source, base, other, patch, errors);
    }
    let (Some(picked), Some(name)) = (picked, name) else { return Ok(String::new()) };
    let Some(patch) = table.get(name).and_then(|t| t.get_ref().as_table()) else {
        let message = unknown("scale", name, table.keys().map(|key| key.get_ref().as_ref()));
        return Err(source.error(message, Some(picked.span())));
    };
    apply(source, base, patch, &[])?;
    Ok(name.to_owned())
}

/// Adds what is wrong with the keys and types of a scale that was not picked.
fn try_scale<'i>(
    source: &RecipeText,
    base: &DeTable<'i>,
    name: &Spanned<DeString<'i>>,
    patch: &Spanned<DeValue<'i>>,
    errors: &Errors,
) {
    let Some(patch) = patch.get_ref().as_table() else {
        let message = format!("scale `{}` is no table of overrides", quoted(name.get_ref()));
        return errors.add(source.error(message, Some(name.span())));
    };
    let mut table = base.clone();
    if errors.of(apply(source, &mut table, patch, &[])).is_none() {
        return;
    }
    let Some(document) = read::document(source, &table, errors) else { return };
    if patch.keys().any(|key| key.get_ref().split('.').next() == Some("arm")) {
        for i in 0..document.arms.len() {
            if let Some(table) = arm_table(source, &table, i, &document.arms[i].name, errors) {
                read::document(source, &table, errors);
            }
        }
    }
}

/// The comment that the file opens with.
fn opening_comment(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with('#'));
    let lines: Vec<&str> = lines.map(|line| line.trim_start_matches('#').trim()).collect();
    lines.join("\n").trim().to_owned()
}

/// What an arm may change.
const ARM_KEYS: [&str; 3] = ["model", "mix", "stage"];

/// The recipe with the changes of its `i`-th arm.
fn arm_table<'i>(
    source: &RecipeText,
    base: &DeTable<'i>,
    i: usize,
    name: &str,
    errors: &Errors,
) -> Option<DeTable<'i>> {
    let mut table = base.clone();
    let own = base.get("arm").and_then(|arms| arms.get_ref().as_array()).and_then(|arms| arms.get(i));
    let patch = own.and_then(|arm| arm.get_ref().as_table()).and_then(|arm| arm.get("set"));
    let Some(patch) = patch.and_then(|patch| patch.get_ref().as_table()) else { return Some(table) };
    for key in patch.keys() {
        let first = key.get_ref().split('.').next().unwrap_or_default();
        if !ARM_KEYS.contains(&first) {
            let message = format!(
                "arm `{name}` changes `{}`, but arms can change only {}",
                quoted(first),
                ARM_KEYS.join(", ")
            );
            errors.add(source.error(message, Some(key.span())));
            return None;
        }
    }
    errors.of(apply(source, &mut table, patch, &[]))?;
    Some(table)
}

/// The arms that are right; of the others the errors are added.
fn arms(
    checks: &Checks<'_, '_>,
    sets: &[DeTable<'_>],
    document: &RecipeDocument,
    contexts: &Contexts,
    files: &mut Files<'_>,
) -> Vec<Arm> {
    let Checks { source, table: base, errors } = *checks;
    let main = [ArmConfig { name: "main".to_owned(), stages: Vec::new(), set: toml::Table::new() }];
    let configs = if document.arms.is_empty() { &main[..] } else { &document.arms[..] };
    let mut arms = Vec::new();
    for (i, config) in configs.iter().enumerate() {
        let Some(mut table) = arm_table(source, base, i, &config.name, errors) else { continue };
        // What was given on the command line goes before what the arm says.
        let applied = sets.iter().map(|set| errors.of(apply(source, &mut table, set, &[])));
        if applied.collect::<Option<Vec<()>>>().is_none() {
            continue;
        }
        table.remove("scale");
        let Some(changed) = read::document(source, &table, errors) else { continue };
        let checks = Checks { source, table: &table, errors };
        arms.extend(checks.arm(config, i, &changed, contexts, files));
    }
    checks.one_tokenizer(&arms);
    arms
}

#[derive(Clone, Copy)]
struct Checks<'a, 'i> {
    source: &'a RecipeText,
    table: &'a DeTable<'i>,
    errors: &'a Errors,
}

impl Checks<'_, '_> {
    fn error(&self, path: &str, message: impl Into<String>) -> RecipeError {
        self.source.error(message, span_of(self.table, path))
    }

    /// Adds an error at a path.
    fn wrong(&self, path: &str, message: impl Into<String>) {
        self.errors.add(self.error(path, message));
    }

    /// Adds an error at a field below a path.
    fn limit(&self, path: &str, limit: Result<(), (&'static str, String)>) {
        if let Err((field, message)) = limit {
            self.wrong(&format!("{path}.{field}"), message);
        }
    }

    fn known(&self, path: &str, what: &str, name: &str, known: &[&str]) -> bool {
        let there = known.contains(&name);
        if !there {
            self.wrong(path, unknown(what, name, known.iter().copied()));
        }
        there
    }

    fn contexts(
        &self,
        document: &RecipeDocument,
        files: &Files<'_>,
    ) -> Result<(Contexts, Vec<String>), RecipeError> {
        let mut contexts = Contexts::builtin();
        let mut texts = Vec::new();
        for (i, file) in document.context_files.iter().enumerate() {
            let wrong = |message| self.error(&format!("context_files.{i}"), message);
            let text = files.path(file).and_then(|path| text(&path)).map_err(wrong)?;
            let context = Context::from_toml(&text).map_err(|e| wrong(format!("`{file}`: {}", said(&e))))?;
            contexts.add(context).map_err(|e| wrong(format!("`{file}`: {}", said(&e))))?;
            texts.push(text);
        }
        Ok((contexts, texts))
    }

    /// What all arms have in common.
    fn shared(&self, document: &RecipeDocument, contexts: &Contexts) {
        self.names("name", std::iter::once(document.name.as_str()));
        let seeds: BTreeSet<u64> = document.seeds.iter().copied().collect();
        if seeds.is_empty() || seeds.len() < document.seeds.len() {
            self.wrong("seeds", "`seeds` must name at least one seed and none twice");
        }
        if let Some(tokenizer) = &document.tokenizer {
            let mixes: Vec<&str> = document.mix.keys().map(String::as_str).collect();
            if !tokenizer.mix.is_empty() {
                self.known("tokenizer.mix", "mix", &tokenizer.mix, &mixes);
            }
            self.limit("tokenizer", tokenizer.check());
        }
        self.names("stage", document.stages.iter().map(|stage| stage.name.as_str()));
        self.names("arm", document.arms.iter().map(|arm| arm.name.as_str()));
        self.names("evaluation.suite", document.evaluation.suites.iter().map(|s| s.name.as_str()));
        self.bands(&document.evaluation.bands);
        self.limit("evaluation", limits::evaluation(&document.evaluation));
        let Some(train) = self.errors.of(self.generator(document, contexts, Split::Train)) else { return };
        for name in document.mix.keys() {
            self.mix(document, name, &train);
        }
        let Some(test) = self.errors.of(self.generator(document, contexts, Split::Test)) else { return };
        for suite in &document.evaluation.suites {
            self.suite(document, suite, &test);
        }
    }

    fn generator(
        &self,
        document: &RecipeDocument,
        contexts: &Contexts,
        split: Split,
    ) -> Result<Generator, RecipeError> {
        Generator::new(&document.world, contexts, 0, Some((split, document.split)))
            .map_err(|e| self.error("world", format!("impossible world: {e}")))
    }

    fn names<'a>(&self, what: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        let whose = what.rsplit('.').next().unwrap_or(what);
        for (i, name) in names.enumerate() {
            let path = if what == "name" { what.to_owned() } else { format!("{what}.{name}.name") };
            let fit =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !fit {
                let message = format!("`{}` is no name: use letters, digits, `-` and `_`", quoted(name));
                self.wrong(&path, message);
            } else if name.len() > NAME_MAX {
                self.wrong(
                    &path,
                    format!("a name of {} letters is too long: the most are {NAME_MAX}", name.len()),
                );
            } else if !seen.insert(name) {
                let twice = self
                    .source
                    .error(format!("two {whose}s are named `{name}`"), item_span(self.table, what, i));
                self.errors.add(twice);
            }
        }
    }

    fn bands(&self, bands: &[Band]) {
        let mut seen = BTreeSet::new();
        for (i, Band { name, from, to }) in bands.iter().enumerate() {
            let count = name.chars().count();
            let message = if from > to {
                format!("band `{}` goes from op {from} down to {to}", quoted(name))
            } else if *to > OP_MAX {
                format!("band `{}` goes up to op {to}, and there is none above {OP_MAX}", quoted(name))
            } else if count > NAME_MAX {
                format!("a name of {count} letters is too long for a band: the most are {NAME_MAX}")
            } else if name.trim().is_empty() || name.chars().any(char::is_control) {
                format!("`{name}` is no name of a band: it needs letters, and all in one line")
            } else if !seen.insert(name) {
                format!("two bands are named `{name}`")
            } else {
                continue;
            };
            self.errors.add(self.source.error(message, item_span(self.table, "evaluation.bands", i)));
        }
    }

    /// The weights of a mix, if they are right.
    fn mix(
        &self,
        document: &RecipeDocument,
        name: &str,
        generator: &Generator,
    ) -> Option<BTreeMap<Cell, f64>> {
        let parts = document.mix.get(name).map_or(&[][..], Vec::as_slice);
        let cells = cells(parts).map_err(|(place, message)| {
            let path = format!("mix.{name}.{place}");
            self.error(path.trim_end_matches('.'), format!("mix `{name}`: {message}"))
        });
        let cells = self.errors.of(cells)?;
        // The largest op first: it is the likeliest to be impossible, and tells at once.
        for cell in cells.keys().rev() {
            if let Err(e) = generator.sequence(cell) {
                let part = parts.iter().position(|part| {
                    part.ops.0.contains_key(&cell.op) && part.contexts.0.contains_key(&cell.context)
                });
                let path = format!("mix.{name}.{}.{}", part.unwrap_or(0), field_of(&e));
                self.wrong(&path, format!("mix `{name}`: {e}"));
                return None;
            }
        }
        Some(cells)
    }

    fn suite(&self, document: &RecipeDocument, suite: &SuiteConfig, generator: &Generator) {
        let path = format!("evaluation.suite.{}", suite.name);
        let at = |field: &str| format!("{path}.{field}");
        self.limit(&path, limits::suite(suite));
        let ops: Vec<String> = suite.ops.0.iter().map(ToString::to_string).collect();
        let modes: Vec<String> = suite.modes.iter().map(|mode| mode.name().to_owned()).collect();
        for (field, names) in [("ops", &ops), ("contexts", &suite.contexts), ("modes", &modes)] {
            if let Some(name) = repeated(names) {
                self.wrong(&at(field), format!("suite `{}` names `{name}` twice", suite.name));
            }
        }
        let stages: Vec<&str> = document.stages.iter().map(|stage| stage.name.as_str()).collect();
        for stage in &suite.after {
            self.known(&at("after"), "stage", stage, &stages);
        }
        for cell in suite.cells().into_iter().rev() {
            if let Err(e) = generator.sequence(&cell) {
                return self.wrong(&at(field_of(&e)), format!("suite `{}`: {e}", suite.name));
            }
        }
    }

    /// An arm, if it is right.
    fn arm(
        &self,
        config: &ArmConfig,
        index: usize,
        document: &RecipeDocument,
        contexts: &Contexts,
        files: &mut Files<'_>,
    ) -> Option<Arm> {
        let model = self.model(document, files);
        let train = self.errors.of(self.generator(document, contexts, Split::Train))?;
        let rl = self.errors.of(self.generator(document, contexts, Split::Rl))?;
        let all: Vec<&str> = document.stages.iter().map(|stage| stage.name.as_str()).collect();
        let own: Vec<&str> = config.stages.iter().map(String::as_str).collect();
        let (mut stages, mut right) = (Vec::new(), true);
        for &name in if own.is_empty() { &all } else { &own } {
            let Some(stage) = document.stages.iter().find(|stage| stage.name == name) else {
                right &= self.known(&format!("arm.{}.stages", config.name), "stage", name, &all);
                continue;
            };
            self.stage(stage, document, model.as_ref().map(Model::context));
            let generator = if stage.kind == StageKind::Rl { &rl } else { &train };
            let stage = document.mix.contains_key(&stage.mix).then_some(stage).and_then(|stage| {
                let cells = self.mix(document, &stage.mix, generator)?;
                let files = self.errors.of(self.files(stage, &cells, files, document.split))?;
                Some(ArmStage { stage: stage.clone(), cells, files })
            });
            right &= stage.is_some();
            stages.extend(stage);
        }
        self.errors.of(self.validation(&stages, document, contexts))?;
        if right && stages.is_empty() {
            self.wrong(&format!("arm.{index}"), "there is no stage");
        }
        Some(Arm { name: config.name.clone(), model: model?, stages }).filter(|_| right)
    }

    /// The model that an arm starts from, and whether there is a tokenizer for it.
    fn model(&self, document: &RecipeDocument, files: &mut Files<'_>) -> Option<Model> {
        let directory = match (&document.model, &document.tokenizer) {
            (ModelSource::From(directory), None) => directory,
            (ModelSource::From(_), Some(_)) => {
                let message = "the tokenizer comes with the model that `from` names: leave out `[tokenizer]`";
                self.wrong("tokenizer", message);
                return None;
            }
            (ModelSource::Fresh(_), None) => {
                self.errors.add(self.source.missing("tokenizer"));
                return None;
            }
            (ModelSource::Fresh(shape), Some(tokenizer)) => {
                self.limit("model", limits::shape(shape, tokenizer.vocab));
                return Some(Model::Fresh(shape.clone()));
            }
        };
        let span = span_of(self.table, "model.from");
        let path = model_path(self.source, span.as_ref(), &directory.from, files);
        let given = path.and_then(|path| files.model(&path));
        let given = self.errors.of(given.map_err(|message| self.error("model.from", message)))?;
        if !directory.hash.is_empty() && directory.hash != given.hash {
            let message = format!(
                "the files in `{}` are not those that the recipe names: their hash is {}",
                given.dir.display(),
                given.hash
            );
            self.wrong("model.hash", message);
            return None;
        }
        Some(Model::Given(given))
    }

    /// A run has one tokenizer.
    fn one_tokenizer(&self, arms: &[Arm]) {
        let tokenizer = |arm: &Arm| arm.model.given().map(|given| given.tokenizer_hash.clone());
        let Some(first) = arms.first() else { return };
        for arm in arms.iter().filter(|arm| tokenizer(arm) != tokenizer(first)) {
            let message = format!(
                "arm `{}` has another tokenizer than arm `{}`, and a run has one",
                arm.name, first.name
            );
            self.wrong(&format!("arm.{}.set", arm.name), message);
        }
    }

    /// Whether there are held-out problems of every cell whose loss a stage measures.
    fn validation(
        &self,
        stages: &[ArmStage],
        document: &RecipeDocument,
        contexts: &Contexts,
    ) -> Result<(), RecipeError> {
        let generator = self.generator(document, contexts, Split::Validation)?;
        let mut checked = BTreeSet::new();
        for ArmStage { stage, cells, .. } in stages.iter().filter(|s| s.stage.validate_every > 0) {
            for cell in document.validation_cells(cells) {
                if !checked.contains(&cell) {
                    generator.sequence(&cell).map_err(|e| {
                        let message =
                            format!("stage `{}` cannot measure the loss on {cell}: {e}", stage.name);
                        self.error(&format!("stage.{}.validate_every", stage.name), message)
                    })?;
                    checked.insert(cell);
                }
            }
        }
        Ok(())
    }

    /// A stage's files, which must have what its mix asks for and no problem of the test split.
    fn files(
        &self,
        stage: &Stage,
        cells: &BTreeMap<Cell, f64>,
        files: &mut Files<'_>,
        rule: SplitRule,
    ) -> Result<Vec<Arc<DataFile>>, RecipeError> {
        let wrong = |message| self.error(&format!("stage.{}.files", stage.name), message);
        let data: Result<Vec<_>, String> = stage.files.iter().map(|name| files.data(name, rule)).collect();
        let data = data.map_err(wrong)?;
        if !data.is_empty() {
            check_cells(&data, cells.keys()).map_err(wrong)?;
        }
        Ok(data)
    }

    fn stage(&self, stage: &Stage, document: &RecipeDocument, context: Option<usize>) {
        let path = format!("stage.{}", stage.name);
        let mixes: Vec<&str> = document.mix.keys().map(String::as_str).collect();
        self.known(&format!("{path}.mix"), "mix", &stage.mix, &mixes);
        self.limit(&path, stage.check());
        self.limit(&format!("{path}.optimizer"), stage.optimizer.check());
        self.limit(&format!("{path}.schedule"), stage.schedule.check());
        match stage.kind {
            StageKind::PreTraining | StageKind::MidTraining => self.corpus_stage(stage, &path),
            StageKind::Rl => self.rl_stage(stage, &path, context),
            StageKind::Elsewhere => {
                self.wrong(&format!("{path}.kind"), "a stage trains: `pre-training`, `mid-training` or `rl`");
            }
        }
    }

    fn corpus_stage(&self, stage: &Stage, path: &str) {
        for (field, present) in [("rollout", stage.rollout.is_some()), ("policy", stage.policy.is_some())] {
            if present {
                let message = format!("`{field}` belongs to reinforcement learning (`kind = \"rl\"`)");
                self.wrong(&format!("{path}.{field}"), message);
            }
        }
        self.limit(path, stage.check_corpus());
    }

    fn rl_stage(&self, stage: &Stage, path: &str, context: Option<usize>) {
        if stage.steps.is_none() || stage.tokens.is_some() {
            self.wrong(&format!("{path}.tokens"), "reinforcement learning is measured in `steps`");
        }
        let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) else {
            let message = "reinforcement learning needs the tables `rollout` and `policy`";
            return self.wrong(&format!("{path}.kind"), message);
        };
        self.limit(&format!("{path}.rollout"), rollout.check(context));
        self.limit(&format!("{path}.policy"), policy.check(rollout));
    }

    fn claims(&self, document: &RecipeDocument, arms: &[Arm]) {
        self.names("claim", document.claims.iter().map(|claim| claim.name.as_str()));
        let names: Vec<String> = document.arms.iter().map(|arm| arm.name.clone()).collect();
        let names = if names.is_empty() { vec!["main".to_owned()] } else { names };
        for claim in &document.claims {
            let path = format!("claim.{}", claim.name);
            let checked = claims::check(claim, &document.evaluation, &names, arms);
            if let Err((field, message)) = checked {
                let message = format!("claim `{}`: {message}", quoted(&claim.name));
                self.wrong(format!("{path}.{field}").trim_end_matches('.'), message);
            }
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (i, matched) in document.matched.iter().enumerate() {
            for (j, name) in matched.arms.iter().enumerate() {
                self.known(&format!("matched.{i}.arms.{j}"), "arm", name, &names);
            }
        }
    }
}

/// What is wrong with a context. Of an error in TOML it is the sentence: the line stands in another file than the caret of
/// the recipe.
fn said(error: &ContextError) -> String {
    match error {
        ContextError::Toml(e) => e.message().to_owned(),
        other => other.to_string(),
    }
}

/// The field of a mix or suite that makes a cell impossible.
fn field_of(error: &SpecError) -> &'static str {
    if matches!(error, SpecError::Context { .. }) { "contexts" } else { "ops" }
}

/// A name that is there twice. The same problems would be asked twice and count as different ones.
fn repeated(names: &[String]) -> Option<&String> {
    let mut seen = BTreeSet::new();
    names.iter().find(|name| !seen.insert(*name))
}

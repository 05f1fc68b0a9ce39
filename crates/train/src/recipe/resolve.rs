//! From a recipe's text to a checked recipe.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use problems::{
    Generator,
    context::{Context, Contexts},
    spec::{Cell, OP_MAX, SpecError},
    split::{Split, SplitRule},
};
use runs::{
    SuiteConfig,
    records::{Band, StageKind},
};
use toml::de::{DeTable, DeValue};

use super::{
    Arm, ArmConfig, ArmStage, Recipe, RecipeDocument, RecipeError, Stage, claims, limits,
    mix::cells,
    text::{RecipeText, apply, span_of},
};
use crate::data::{DataFile, check_cells};

/// The files that a recipe names, relative to its folder. Those of problems are read once for all arms.
struct Files<'a> {
    folder: Option<&'a Path>,
    indexed: BTreeMap<PathBuf, Arc<DataFile>>,
}

impl Files<'_> {
    fn path(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.ok_or_else(|| format!("`{name}` cannot be read: the recipe is no file"))?;
        Ok(folder.join(name))
    }

    fn data(&mut self, name: &str, rule: SplitRule) -> Result<Arc<DataFile>, String> {
        let path = self.path(name)?;
        if let Some(known) = self.indexed.get(&path) {
            return Ok(Arc::clone(known));
        }
        let data = Arc::new(DataFile::index(&path, rule)?);
        self.indexed.insert(path, Arc::clone(&data));
        Ok(data)
    }
}

/// The text of a file, without the byte order mark that some editors write.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Resolves a recipe; the files it names are relative to `folder`.
pub(super) fn recipe(
    text: &str,
    file: &str,
    overrides: &[String],
    folder: Option<&Path>,
) -> Result<Recipe, RecipeError> {
    let mut files = Files { folder, indexed: BTreeMap::new() };
    let source = RecipeText::new(text, file, overrides)?;
    let mut base = source.file_table()?;
    let sets = source.override_tables()?;
    let scale = take_scale(&source, &mut base, &sets)?;
    for set in &sets {
        apply(&source, &mut base, set, &[])?;
    }
    base.remove("scale");
    let mut document: RecipeDocument = source.typed(base.clone())?;
    document.scale = scale;
    if document.question.is_empty() {
        document.question = opening_comment(text);
    }
    let checks = Checks { source: &source, table: &base };
    let (contexts, context_texts) = checks.contexts(&document, &files)?;
    checks.shared(&document, &contexts)?;
    let arms = arms(&source, &base, &sets, &document, &contexts, &mut files)?;
    checks.claims(&document, &arms)?;
    Ok(Recipe { document, arms, contexts, context_texts })
}

/// Removes the `scale` table and applies the scale that was picked. A resolved recipe has the scale's name there.
fn take_scale<'i>(
    source: &RecipeText,
    base: &mut DeTable<'i>,
    sets: &[DeTable<'i>],
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
    let Some(picked) = picked else { return Ok(String::new()) };
    let name = picked.get_ref().as_str().unwrap_or_default();
    let table = scales.get_ref().as_table();
    let Some(patch) = table.and_then(|t| t.get(name)).and_then(|t| t.get_ref().as_table()) else {
        let known: Vec<&str> =
            table.into_iter().flat_map(|t| t.keys().map(|k| k.get_ref().as_ref())).collect();
        let message = format!("there is no scale `{name}`; there are: {}", known.join(", "));
        return Err(source.error(message, Some(picked.span())));
    };
    apply(source, base, patch, &[])?;
    Ok(name.to_owned())
}

/// The comment that the file opens with.
fn opening_comment(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with('#'));
    let lines: Vec<&str> = lines.map(|line| line.trim_start_matches('#').trim()).collect();
    lines.join("\n").trim().to_owned()
}

/// What an arm may change.
const ARM_KEYS: [&str; 3] = ["model", "mix", "stage"];

fn arms(
    source: &RecipeText,
    base: &DeTable<'_>,
    sets: &[DeTable<'_>],
    document: &RecipeDocument,
    contexts: &Contexts,
    files: &mut Files<'_>,
) -> Result<Vec<Arm>, RecipeError> {
    let main = [ArmConfig { name: "main".to_owned(), stages: Vec::new(), set: toml::Table::new() }];
    let configs = if document.arms.is_empty() { &main[..] } else { &document.arms[..] };
    let mut arms = Vec::new();
    for (i, config) in configs.iter().enumerate() {
        let own = base.get("arm").and_then(|arms| arms.get_ref().as_array()).and_then(|arms| arms.get(i));
        let patch = own.and_then(|arm| arm.get_ref().as_table()).and_then(|arm| arm.get("set"));
        let mut table = base.clone();
        if let Some(patch) = patch.and_then(|patch| patch.get_ref().as_table()) {
            for key in patch.keys() {
                let first = key.get_ref().split('.').next().unwrap_or_default();
                if !ARM_KEYS.contains(&first) {
                    let message = format!(
                        "arm `{}` changes `{first}`, but arms can change only {}",
                        config.name,
                        ARM_KEYS.join(", ")
                    );
                    return Err(source.error(message, Some(key.span())));
                }
            }
            apply(source, &mut table, patch, &[])?;
        }
        // What was given on the command line goes before what the arm says.
        for set in sets {
            apply(source, &mut table, set, &[])?;
        }
        table.remove("scale");
        let changed: RecipeDocument = source.typed(table.clone())?;
        let checks = Checks { source, table: &table };
        arms.push(checks.arm(config, i, &changed, contexts, files)?);
    }
    Ok(arms)
}

struct Checks<'a, 'i> {
    source: &'a RecipeText,
    table: &'a DeTable<'i>,
}

impl Checks<'_, '_> {
    fn error(&self, path: &str, message: impl Into<String>) -> RecipeError {
        self.source.error(message, span_of(self.table, path))
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
            let context = Context::from_toml(&text).map_err(|e| wrong(format!("`{file}`: {e}")))?;
            contexts.add(context).map_err(|e| wrong(format!("`{file}`: {e}")))?;
            texts.push(text);
        }
        Ok((contexts, texts))
    }

    /// What all arms have in common.
    fn shared(&self, document: &RecipeDocument, contexts: &Contexts) -> Result<(), RecipeError> {
        self.names("name", std::iter::once(document.name.as_str()))?;
        let seeds: BTreeSet<u64> = document.seeds.iter().copied().collect();
        if seeds.is_empty() || seeds.len() < document.seeds.len() {
            return Err(self.error("seeds", "`seeds` must name at least one seed and none twice"));
        }
        let tokenizer = &document.tokenizer;
        if !tokenizer.mix.is_empty() && !document.mix.contains_key(&tokenizer.mix) {
            return Err(self.error("tokenizer.mix", format!("there is no mix `{}`", tokenizer.mix)));
        }
        let train = self.generator(document, contexts, Split::Train)?;
        for name in document.mix.keys() {
            self.mix(document, name, &train)?;
        }
        self.names("stage", document.stages.iter().map(|stage| stage.name.as_str()))?;
        self.names("arm", document.arms.iter().map(|arm| arm.name.as_str()))?;
        self.names("evaluation.suite", document.evaluation.suites.iter().map(|s| s.name.as_str()))?;
        self.bands(&document.evaluation.bands)?;
        let test = self.generator(document, contexts, Split::Test)?;
        for suite in &document.evaluation.suites {
            self.suite(document, suite, &test)?;
        }
        Ok(())
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

    fn names<'a>(&self, what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), RecipeError> {
        let mut seen = BTreeSet::new();
        for (i, name) in names.enumerate() {
            let fit =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
            if !fit {
                let message = format!("`{name}` is no name: use letters, digits, `-` and `_`");
                return Err(self.error(&format!("{what}.{name}.name"), message));
            }
            if !seen.insert(name) {
                return Err(self.error(&format!("{what}.{i}"), format!("two {what}s are named `{name}`")));
            }
        }
        Ok(())
    }

    fn bands(&self, bands: &[Band]) -> Result<(), RecipeError> {
        let mut seen = BTreeSet::new();
        for Band { name, from, to } in bands {
            let message = if from > to {
                format!("band `{name}` goes from op {from} down to {to}")
            } else if *to > OP_MAX {
                format!("band `{name}` goes up to op {to}, and there is none above {OP_MAX}")
            } else if !seen.insert(name) {
                format!("two bands are named `{name}`")
            } else {
                continue;
            };
            return Err(self.error(&format!("evaluation.bands.{name}"), message));
        }
        Ok(())
    }

    fn mix(
        &self,
        document: &RecipeDocument,
        name: &str,
        generator: &Generator,
    ) -> Result<BTreeMap<Cell, f64>, RecipeError> {
        let parts = document.mix.get(name).map_or(&[][..], Vec::as_slice);
        let cells = cells(parts).map_err(|(place, message)| {
            let path = format!("mix.{name}.{place}");
            self.error(path.trim_end_matches('.'), format!("mix `{name}`: {message}"))
        })?;
        // The largest op first: it is the likeliest to be impossible, and tells at once.
        for cell in cells.keys().rev() {
            generator.sequence(cell).map_err(|e| {
                let part = parts.iter().position(|part| {
                    part.ops.0.contains_key(&cell.op) && part.contexts.0.contains_key(&cell.context)
                });
                let path = format!("mix.{name}.{}.{}", part.unwrap_or(0), field_of(&e));
                self.error(&path, format!("mix `{name}`: {e}"))
            })?;
        }
        Ok(cells)
    }

    fn suite(
        &self,
        document: &RecipeDocument,
        suite: &SuiteConfig,
        generator: &Generator,
    ) -> Result<(), RecipeError> {
        let at = |field: &str| format!("evaluation.suite.{}.{field}", suite.name);
        limits::suite(suite).map_err(|(field, message)| self.error(&at(field), message))?;
        let ops: Vec<String> = suite.ops.0.iter().map(ToString::to_string).collect();
        let modes: Vec<String> = suite.modes.iter().map(|mode| mode.name().to_owned()).collect();
        for (field, names) in [("ops", &ops), ("contexts", &suite.contexts), ("modes", &modes)] {
            if let Some(name) = repeated(names) {
                let message = format!("suite `{}` names `{name}` twice", suite.name);
                return Err(self.error(&at(field), message));
            }
        }
        for stage in &suite.after {
            if !document.stages.iter().any(|s| &s.name == stage) {
                return Err(self.error(&at("after"), format!("there is no stage `{stage}`")));
            }
        }
        for cell in suite.cells().into_iter().rev() {
            generator
                .sequence(&cell)
                .map_err(|e| self.error(&at(field_of(&e)), format!("suite `{}`: {e}", suite.name)))?;
        }
        Ok(())
    }

    fn arm(
        &self,
        config: &ArmConfig,
        index: usize,
        document: &RecipeDocument,
        contexts: &Contexts,
        files: &mut Files<'_>,
    ) -> Result<Arm, RecipeError> {
        let model = document.model.check();
        model.map_err(|(field, message)| self.error(&format!("model.{field}"), message))?;
        let train = self.generator(document, contexts, Split::Train)?;
        let rl = self.generator(document, contexts, Split::Rl)?;
        let mut stages = Vec::new();
        let all: Vec<String> = document.stages.iter().map(|stage| stage.name.clone()).collect();
        for name in if config.stages.is_empty() { &all } else { &config.stages } {
            let Some(stage) = document.stages.iter().find(|stage| &stage.name == name) else {
                return Err(
                    self.error(&format!("arm.{}.stages", config.name), format!("there is no stage `{name}`"))
                );
            };
            self.stage(stage, document)?;
            let generator = if stage.kind == StageKind::Rl { &rl } else { &train };
            let cells = self.mix(document, &stage.mix, generator)?;
            let files = self.files(stage, &cells, files, document.split)?;
            stages.push(ArmStage { stage: stage.clone(), cells, files });
        }
        self.validation(&stages, document, contexts)?;
        if stages.is_empty() {
            return Err(self.error(&format!("arm.{index}"), "there is no stage"));
        }
        Ok(Arm { name: config.name.clone(), model: document.model.clone(), stages })
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

    fn stage(&self, stage: &Stage, document: &RecipeDocument) -> Result<(), RecipeError> {
        let at = |field: &str| format!("stage.{}.{field}", stage.name);
        let wrong = |field: &str, message: String| Err(self.error(&at(field), message));
        if !document.mix.contains_key(&stage.mix) {
            return wrong("mix", format!("there is no mix `{}`", stage.mix));
        }
        if let Err((field, message)) = stage.check() {
            return wrong(field, message);
        }
        if let Err((field, message)) = stage.optimizer.check() {
            return wrong(&format!("optimizer.{field}"), message);
        }
        if let Err((field, message)) = stage.schedule.check() {
            return wrong(&format!("schedule.{field}"), message);
        }
        match stage.kind {
            StageKind::PreTraining | StageKind::MidTraining => self.corpus_stage(stage),
            StageKind::Rl => self.rl_stage(stage, document),
            StageKind::Elsewhere => {
                wrong("kind", "a stage trains: `pre-training`, `mid-training` or `rl`".to_owned())
            }
        }
    }

    fn corpus_stage(&self, stage: &Stage) -> Result<(), RecipeError> {
        let at = |field: &str| format!("stage.{}.{field}", stage.name);
        for (field, present) in [("rollout", stage.rollout.is_some()), ("policy", stage.policy.is_some())] {
            if present {
                let message = format!("`{field}` belongs to reinforcement learning (`kind = \"rl\"`)");
                return Err(self.error(&at(field), message));
            }
        }
        stage.check_corpus().map_err(|(field, message)| self.error(&at(field), message))
    }

    fn rl_stage(&self, stage: &Stage, document: &RecipeDocument) -> Result<(), RecipeError> {
        let at = |field: &str| format!("stage.{}.{field}", stage.name);
        let wrong = |field: &str, message: &str| Err(self.error(&at(field), message));
        let (Some(rollout), Some(policy)) = (&stage.rollout, &stage.policy) else {
            return wrong("kind", "reinforcement learning needs the tables `rollout` and `policy`");
        };
        if stage.steps.is_none() || stage.tokens.is_some() {
            return wrong("tokens", "reinforcement learning is measured in `steps`");
        }
        if let Err((field, message)) = rollout.check(document.model.context) {
            return wrong(&format!("rollout.{field}"), &message);
        }
        if let Err((field, message)) = policy.check(rollout) {
            return wrong(&format!("policy.{field}"), &message);
        }
        Ok(())
    }

    fn claims(&self, document: &RecipeDocument, arms: &[Arm]) -> Result<(), RecipeError> {
        self.names("claim", document.claims.iter().map(|claim| claim.name.as_str()))?;
        for claim in &document.claims {
            claims::check(claim, &document.evaluation, arms).map_err(|message| {
                self.error(&format!("claim.{}", claim.name), format!("claim `{}`: {message}", claim.name))
            })?;
        }
        for (i, matched) in document.matched.iter().enumerate() {
            if let Some(name) = matched.arms.iter().find(|name| !arms.iter().any(|arm| arm.name == **name)) {
                return Err(self.error(&format!("matched.{i}.arms"), format!("there is no arm `{name}`")));
            }
        }
        Ok(())
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

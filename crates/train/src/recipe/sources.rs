//! What a recipe names outside of itself: files of problems and contexts, and models that are given.

use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use problems::split::SplitRule;
use toml::de::DeTable;

use super::{
    Arm, GivenModel, ModelDirectory, ModelSource, RecipeDocument,
    text::{RecipeText, span_of},
};
use crate::data::DataFile;

/// The files that a recipe names, relative to its folder. Those of problems and models are read once for all arms.
pub(super) struct Files<'a> {
    folder: Option<&'a Path>,
    indexed: BTreeMap<PathBuf, Arc<DataFile>>,
    given: BTreeMap<PathBuf, Result<Arc<GivenModel>, String>>,
}

impl<'a> Files<'a> {
    pub(super) fn of(folder: Option<&'a Path>) -> Self {
        Self { folder, indexed: BTreeMap::new(), given: BTreeMap::new() }
    }

    pub(super) fn path(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.ok_or_else(|| format!("`{name}` cannot be read: the recipe is no file"))?;
        Ok(folder.join(name))
    }

    pub(super) fn data(&mut self, name: &str, rule: SplitRule) -> Result<Arc<DataFile>, String> {
        let path = self.path(name)?;
        if let Some(known) = self.indexed.get(&path) {
            return Ok(Arc::clone(known));
        }
        let data = Arc::new(DataFile::index(&path, rule)?);
        self.indexed.insert(path, Arc::clone(&data));
        Ok(data)
    }

    pub(super) fn model(&mut self, path: &Path) -> Result<Arc<GivenModel>, String> {
        let path = runs::named(path)?;
        let read = |path: &PathBuf| GivenModel::read(path).map(Arc::new);
        self.given.entry(path).or_insert_with_key(read).clone()
    }
}

/// The text of a file.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Writes the hashes of given models into the document, and where they lie in full: a resolved recipe is read elsewhere.
pub(super) fn pin_models(
    source: &RecipeText,
    base: &DeTable<'_>,
    document: &mut RecipeDocument,
    arms: &[Arm],
    files: &Files<'_>,
) {
    let pinned = |given: &GivenModel| ModelDirectory {
        from: given.dir.display().to_string(),
        hash: given.hash.clone(),
    };
    for (config, arm) in document.arms.iter_mut().zip(arms) {
        let own = config.set.get("model").and_then(toml::Value::as_table);
        let named = config.set.contains_key("model.from") || own.is_some_and(|own| own.contains_key("from"));
        let given = arm.model.given().filter(|_| named);
        if let Some(value) = given.and_then(|given| toml::Value::try_from(pinned(given)).ok()) {
            config.set.retain(|key, _| !key.starts_with("model."));
            config.set.insert("model".to_owned(), value);
        }
    }
    if let ModelSource::From(directory) = &mut document.model {
        let span = span_of(base, "model.from");
        let path = model_path(source, span.as_ref(), &directory.from, files).ok();
        let known =
            arms.iter().filter_map(|arm| arm.model.given()).find(|given| Some(&given.dir) == path.as_ref());
        if let Some(given) = known {
            *directory = pinned(given);
        }
    }
}

/// Where a model lies that is named in a recipe or, relative to where one is, on the command line.
pub(super) fn model_path(
    source: &RecipeText,
    span: Option<&Range<usize>>,
    from: &str,
    files: &Files<'_>,
) -> Result<PathBuf, String> {
    let path = match span.filter(|span| source.is_override(span)) {
        Some(_) => PathBuf::from(from),
        None if Path::new(from).is_absolute() => PathBuf::from(from),
        None => files.path(from)?,
    };
    std::path::absolute(&path).map_err(|e| format!("`{}`: {e}", path.display()))
}

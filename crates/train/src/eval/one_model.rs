//! A folder of evaluations outside a run folder is kept to one model.

use std::{fs, path::Path};

use runs::{checkpoints::weights_hash, error::failed, files, records::EngineInfo};
use serde::{Deserialize, Serialize};

use super::stored::Stored;
use crate::error::RunError;

/// Says which model the evaluations of a folder are of. A suite's name has no dot, so no suite has this file.
const ASKED_FILE: &str = "asked.model.json";

/// The model that was asked.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// Where it lay.
    model: String,
    /// blake3 of its weights.
    weights: String,
    /// Engine and arithmetic, if it was not this program's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    engine: Option<(String, String)>,
}

impl Asked {
    fn name(&self) -> String {
        let weights = self.weights.get(..10).unwrap_or(&self.weights);
        let engine = self.engine.as_ref().map(|(name, precision)| format!(", engine {name} in {precision}"));
        format!("`{}` (weights {weights}{})", self.model, engine.unwrap_or_default())
    }
}

/// Notes the weights of the model in a fresh folder, and compares them with the note in any other. (In a run folder the
/// stage's key already identifies the model.) The engine counts as part of the model, `None` for this program's own.
///
/// # Errors
/// If the folder holds evaluations of another model or does not say of which, or a file cannot be read or written.
pub fn keep_to_model(folder: &Path, model: &Path, engine: Option<&EngineInfo>) -> Result<(), RunError> {
    files::make_folder(folder)?;
    let foreign = |what: String| Err(RunError::Foreign { folder: folder.to_owned(), what });
    let engine = engine.map(|engine| (engine.name.clone(), engine.precision.clone()));
    let asked = Asked { model: model.display().to_string(), weights: weights_hash(model)?, engine };
    let path = folder.join(ASKED_FILE);
    match files::read_optional::<Asked>(&path)? {
        Some(known) if known.weights == asked.weights && known.engine == asked.engine => Ok(()),
        Some(known) => foreign(format!("evaluations of the model {}, not of {}", known.name(), asked.name())),
        None if holds_evaluations(folder)? => {
            foreign("evaluations and does not say of which model".to_owned())
        }
        None => Ok(files::write_json(&path, &asked)?),
    }
}

/// Whether a folder holds evaluations, finished or begun.
fn holds_evaluations(folder: &Path) -> Result<bool, RunError> {
    for entry in fs::read_dir(folder).map_err(failed(folder, "read"))? {
        let path = entry.map_err(failed(folder, "read"))?.path();
        let finished = path.to_string_lossy().ends_with(".jsonl.gz");
        if finished || Stored::of_chunk(&path, 0).has_rows() {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_evaluations_is_kept_to_one_model() {
        let dir = tempfile::tempdir().unwrap();
        let model = |name: &str, weights: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("model.safetensors"), weights).unwrap();
            path
        };
        let (first, second, copy) = (model("first", "1"), model("second", "2"), model("copy", "1"));
        let folder = dir.path().join("evals");
        keep_to_model(&folder, &first, None).unwrap();
        keep_to_model(&folder, &copy, None).unwrap();
        let error = keep_to_model(&folder, &second, None).unwrap_err().to_string();
        assert!(error.contains("evaluations of the model") && error.contains("first"), "{error}");
        assert!(error.contains("second") && error.ends_with("choose another folder"), "{error}");
        // The same model on another engine may answer otherwise.
        let torch = EngineInfo {
            name: "torch".into(),
            precision: "f32".into(),
            workers: 1,
            device: "cpu".into(),
            versions: std::collections::BTreeMap::new(),
        };
        let error = keep_to_model(&folder, &first, Some(&torch)).unwrap_err().to_string();
        assert!(error.contains("engine torch in f32"), "{error}");
        // What an older program left, whole or begun, may be of any model.
        fs::remove_file(folder.join(ASKED_FILE)).unwrap();
        for file in ["main.jsonl.gz", ".main-0123456789/00000.jsonl.gz"] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            let error = keep_to_model(&folder, &first, None).unwrap_err().to_string();
            assert!(error.contains("does not say of which model"), "{error}");
            fs::remove_file(&path).unwrap();
        }
    }
}

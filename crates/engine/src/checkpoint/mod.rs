//! Checkpoints: Hugging Face directories, and the optimizer's state beside them.
//!
//! Every file is written under another name, flushed to disk and renamed, so a file that has its name is
//! whole. The tokenizer's files are the caller's.
//!
//! What a directory claims is held against what it has before memory is asked for: `config.json` against the limits of
//! [`Layout::new`] and the length of the weights, a weights file's header against its length.

mod config;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use learner::{LearnerError, ModelConfig};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub(crate) use self::config::read_config;
use self::config::{generation_json, model_json};
use crate::layout::Layout;

/// The file that holds a model's shape.
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// AdamW's state as it lies in a checkpoint.
pub(crate) struct OptimizerState {
    pub(crate) step: u64,
    pub(crate) first: Vec<f32>,
    pub(crate) second: Vec<f32>,
}

fn error(path: &Path, reason: impl std::fmt::Display) -> LearnerError {
    LearnerError::Checkpoint { path: path.display().to_string(), reason: reason.to_string() }
}

/// Writes `config.json`, `generation_config.json` and the weights.
pub(crate) fn save(dir: &Path, layout: &Layout, flat: &[f32]) -> Result<(), LearnerError> {
    fs::create_dir_all(dir).map_err(|e| error(dir, e))?;
    let bytes = to_bytes(flat);
    let views = views(layout, &bytes, "").map_err(|e| error(&dir.join(WEIGHTS), e))?;
    write_tensors(&dir.join(WEIGHTS), views)?;
    write(&dir.join("generation_config.json"), &generation_json(&layout.config))?;
    write(&dir.join(CONFIG), &model_json(&layout.config))
}

/// Writes the optimizer's state, or removes one that a former save left behind.
pub(crate) fn save_optimizer(
    dir: &Path,
    layout: &Layout,
    state: Option<&OptimizerState>,
) -> Result<(), LearnerError> {
    let path = dir.join(OPTIMIZER);
    let Some(state) = state else {
        return match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(error(&path, e)),
            _ => Ok(()),
        };
    };
    let (first, second, step) = (to_bytes(&state.first), to_bytes(&state.second), state.step.to_le_bytes());
    let mut all = views(layout, &first, "first.").map_err(|e| error(&path, e))?;
    all.extend(views(layout, &second, "second.").map_err(|e| error(&path, e))?);
    let step = TensorView::new(Dtype::U64, vec![1], &step).map_err(|e| error(&path, e))?;
    all.insert("step".to_owned(), step);
    write_tensors(&path, all)
}

/// The layout of the model that `config` of this directory describes.
pub(crate) fn layout(dir: &Path, config: &ModelConfig) -> Result<Layout, LearnerError> {
    Layout::new(config).map_err(|e| match e {
        LearnerError::Request(reason) => error(&dir.join(CONFIG), reason),
        other => other,
    })
}

/// Reads the weights into the layout's order.
pub(crate) fn load(dir: &Path, layout: &Layout) -> Result<Vec<f32>, LearnerError> {
    let files = weight_files(dir)?;
    let mut bytes = 0;
    for file in &files {
        bytes += fs::metadata(file).map_err(|e| error(file, e))?.len();
    }
    let mut reader = Reader::new(layout, "");
    for file in &files {
        reader.file(file, layout, bytes)?;
    }
    reader.finish(dir)
}

/// The files that hold the weights: one, or those that the index names.
fn weight_files(dir: &Path) -> Result<Vec<PathBuf>, LearnerError> {
    let (single, index) = (dir.join(WEIGHTS), dir.join(INDEX));
    if single.exists() {
        return Ok(vec![single]);
    }
    if index.exists() {
        return Ok(shards(&index)?.into_iter().map(|file| dir.join(file)).collect());
    }
    let pickled = ["pytorch_model.bin", "pytorch_model.bin.index.json"].map(|name| dir.join(name));
    match pickled.iter().find(|path| path.exists()) {
        Some(path) => Err(error(path, "pickled weights are not read: convert them to safetensors")),
        None => Ok(vec![single]),
    }
}

/// Reads the optimizer's state if there is one.
pub(crate) fn load_optimizer(dir: &Path, layout: &Layout) -> Result<Option<OptimizerState>, LearnerError> {
    let path = dir.join(OPTIMIZER);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error(&path, e)),
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| error(&path, e))?;
    let step = tensors.tensor("step").map_err(|e| error(&path, e))?;
    let step: [u8; 8] =
        step.data().try_into().map_err(|_| error(&path, "the step count is not one number"))?;
    let read = |prefix| {
        let mut reader = Reader::new(layout, prefix);
        reader.tensors(&path, &tensors, layout)?;
        reader.finish(&path)
    };
    Ok(Some(OptimizerState {
        step: u64::from_le_bytes(step),
        first: read("first.")?,
        second: read("second.")?,
    }))
}

/// Collects the tensors of one prefix.
struct Reader<'a> {
    prefix: &'a str,
    flat: Vec<f32>,
    missing: BTreeMap<String, usize>,
}

impl<'a> Reader<'a> {
    fn new(layout: &Layout, prefix: &'a str) -> Reader<'a> {
        let missing =
            layout.tensors.iter().enumerate().map(|(i, t)| (format!("{prefix}{}", t.name), i)).collect();
        Reader { prefix, flat: Vec::new(), missing }
    }

    /// Reads one of the files that have `all_bytes` together.
    fn file(&mut self, path: &Path, layout: &Layout, all_bytes: u64) -> Result<(), LearnerError> {
        let bytes = fs::read(path).map_err(|e| error(path, e))?;
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|e| error(path, format!("not a whole safetensors file ({e})")))?;
        // The narrowest type that is read has two bytes a number.
        let parameters = layout.parameters;
        if all_bytes / 2 < parameters as u64 {
            let reason = format!("{all_bytes} bytes are too few for the {parameters} parameters of {CONFIG}");
            return Err(error(path, reason));
        }
        self.tensors(path, &tensors, layout)
    }

    fn tensors(
        &mut self,
        path: &Path,
        tensors: &SafeTensors<'_>,
        layout: &Layout,
    ) -> Result<(), LearnerError> {
        if self.flat.is_empty() {
            self.flat = vec![0.0; layout.parameters];
        }
        let mut names = tensors.names();
        names.sort_unstable();
        for name in names {
            // A tied model may come with a copy of the embedding; old files carry rotation frequencies.
            let spare =
                (layout.config.tied && name == "lm_head.weight") || name.ends_with("rotary_emb.inv_freq");
            if !name.starts_with(self.prefix) || spare {
                continue;
            }
            let Some(i) = self.missing.remove(name) else {
                return Err(error(path, format!("unknown or repeated tensor {name}")));
            };
            let (view, tensor) = (tensors.tensor(name).map_err(|e| error(path, e))?, &layout.tensors[i]);
            if view.shape() != tensor.shape {
                let (found, wanted) = (view.shape(), &tensor.shape);
                return Err(error(path, format!("tensor {name} has shape {found:?} instead of {wanted:?}")));
            }
            let values = &mut self.flat[tensor.span.clone()];
            convert(&view, values)
                .map_err(|dtype| error(path, format!("tensor {name} has the unsupported type {dtype:?}")))?;
            if let Some(value) = values.iter().find(|value| !value.is_finite()) {
                return Err(error(
                    path,
                    format!("tensor {name} holds {value}, which is not a finite number"),
                ));
            }
        }
        Ok(())
    }

    fn finish(self, path: &Path) -> Result<Vec<f32>, LearnerError> {
        match self.missing.keys().next() {
            Some(name) => Err(error(path, format!("tensor {name} is missing"))),
            None => Ok(self.flat),
        }
    }
}

/// Widens to f32; the type if it is none of f32, bf16, f16.
fn convert(view: &TensorView<'_>, out: &mut [f32]) -> Result<(), Dtype> {
    let halves = || view.data().chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match view.dtype() {
        Dtype::F32 => {
            for (out, b) in out.iter_mut().zip(view.data().chunks_exact(4)) {
                *out = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            }
        }
        Dtype::BF16 => {
            out.iter_mut().zip(halves()).for_each(|(out, h)| *out = f32::from_bits(u32::from(h) << 16));
        }
        Dtype::F16 => out.iter_mut().zip(halves()).for_each(|(out, h)| *out = half(h)),
        other => return Err(other),
    }
    Ok(())
}

/// IEEE half precision to single.
fn half(h: u16) -> f32 {
    let sign = if h >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(h >> 10 & 31), f32::from(h & 1023));
    match exponent {
        0 => sign * fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn views<'a>(
    layout: &Layout,
    bytes: &'a [u8],
    prefix: &str,
) -> Result<BTreeMap<String, TensorView<'a>>, safetensors::SafeTensorError> {
    let view = |t: &crate::layout::Tensor| {
        let data = &bytes[4 * t.span.start..4 * t.span.end];
        Ok((format!("{prefix}{}", t.name), TensorView::new(Dtype::F32, t.shape.clone(), data)?))
    };
    layout.tensors.iter().map(view).collect()
}

fn write_tensors(path: &Path, views: BTreeMap<String, TensorView<'_>>) -> Result<(), LearnerError> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| error(path, e))?;
    write(path, &bytes)
}

/// Writes a file so that it is either whole or absent (or its former self).
///
/// Crates that do this choose a random name for the unfinished file, so every kill leaves another one behind, as large
/// as the weights. Here the next write takes the place of what a killed one left. The folder is flushed as well.
fn write(path: &Path, bytes: &[u8]) -> Result<(), LearnerError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let result = (|| {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        // The rename itself must survive a crash: flush the folder, where the system can.
        match path.parent() {
            Some(dir) if cfg!(unix) => File::open(dir)?.sync_all(),
            _ => Ok(()),
        }
    })();
    result.map_err(|e: std::io::Error| {
        let _ = fs::remove_file(&partial);
        error(path, e)
    })
}

/// The files of a sharded checkpoint, each once.
fn shards(index: &Path) -> Result<Vec<PathBuf>, LearnerError> {
    let text = fs::read_to_string(index).map_err(|e| error(index, e))?;
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|e| error(index, e))?;
    let map = json.get("weight_map").and_then(|map| map.as_object());
    let map = map.ok_or_else(|| error(index, "there is no weight_map"))?;
    let mut files: Vec<PathBuf> = Vec::new();
    for file in map.values() {
        let file = file.as_str().ok_or_else(|| error(index, "a weight_map entry is not a file name"))?;
        if Path::new(file).file_name() != Some(file.as_ref()) {
            return Err(error(index, format!("{file} is not a plain file name")));
        }
        files.push(file.into());
    }
    files.sort();
    files.dedup();
    Ok(files)
}

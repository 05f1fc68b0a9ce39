//! Checkpoints: Hugging Face directories, and the optimizer's state beside them.
//!
//! Every file is written under another name, flushed to disk and renamed, so a file that has its name is
//! whole. The tokenizer's files are the caller's.

mod config;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use learner::LearnerError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub(crate) use self::config::read_config;
use self::config::{generation_json, model_json};
use crate::layout::Layout;

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
    write(&dir.join("config.json"), &model_json(&layout.config))
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

/// Reads the weights into the layout's order.
pub(crate) fn load(dir: &Path, layout: &Layout) -> Result<Vec<f32>, LearnerError> {
    let mut reader = Reader::new(layout, "");
    let single = dir.join(WEIGHTS);
    let index = dir.join(INDEX);
    if !single.exists() && index.exists() {
        for file in shards(&index)? {
            reader.file(&dir.join(file), layout)?;
        }
    } else {
        reader.file(&single, layout)?;
    }
    reader.finish(dir)
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
        Reader { prefix, flat: vec![0.0; layout.parameters], missing }
    }

    fn file(&mut self, path: &Path, layout: &Layout) -> Result<(), LearnerError> {
        let bytes = fs::read(path).map_err(|e| error(path, e))?;
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|e| error(path, format!("not a whole safetensors file ({e})")))?;
        self.tensors(path, &tensors, layout)
    }

    fn tensors(
        &mut self,
        path: &Path,
        tensors: &SafeTensors<'_>,
        layout: &Layout,
    ) -> Result<(), LearnerError> {
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
            convert(&view, &mut self.flat[tensor.span.clone()])
                .map_err(|dtype| error(path, format!("tensor {name} has the unsupported type {dtype:?}")))?;
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

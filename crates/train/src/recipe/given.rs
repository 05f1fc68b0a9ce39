//! Models that are given: Hugging Face directories that training starts from.
//!
//! Only what every engine needs to know is read here: how long the context is, how large the vocabulary, how many
//! parameters there are. Whether the architecture can be trained is for the engine to say.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokens::{TAGS, Tokenizer};

/// A model in a Hugging Face directory, with its tokenizer. Its files are looked at and not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GivenModel {
    /// Where it lies.
    pub dir: PathBuf,
    /// blake3 of the names and contents of its files: weights, configuration, tokenizer.
    pub hash: String,
    /// blake3 of what determines how text is encoded: two models with the same have one tokenizer.
    pub tokenizer_hash: String,
    /// Longest sequence, in tokens.
    pub context: usize,
    /// Rows of its embedding.
    pub vocab: usize,
    /// Trainable parameters.
    pub parameters: u64,
    /// Layers; 0 if the configuration does not say.
    pub(crate) layers: usize,
    /// Width of the residual stream; 0 if the configuration does not say.
    pub(crate) hidden: usize,
    /// Width of the feed-forward layer; 0 if the configuration does not say.
    pub(crate) mlp: usize,
    /// Width of the keys of a layer; 0 if the configuration does not say.
    pub(crate) kv: usize,
}

/// What a directory must have besides its weights.
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
/// What is read as well where it is there.
const OPTIONAL: [&str; 3] =
    ["generation_config.json", "tokenizer_config.json", "model.safetensors.index.json"];
/// GPT-2's own names for what other configurations say.
const ALIASES: [(&str, &str); 5] = [
    ("max_position_embeddings", "n_positions"),
    ("num_hidden_layers", "n_layer"),
    ("num_attention_heads", "n_head"),
    ("hidden_size", "n_embd"),
    ("intermediate_size", "n_inner"),
];
/// The optimizer's state in a checkpoint of a stage that is not finished.
const OPTIMIZER: &str = "optimizer.safetensors";

impl GivenModel {
    /// Reads a directory.
    ///
    /// # Errors
    /// What is missing or unfit, as a sentence that names the directory.
    pub(crate) fn read(dir: &Path) -> Result<Self, String> {
        let config = json(dir, CONFIG)?;
        let weights = weights(dir)?;
        let tokenizer = tokenizer(dir)?;
        let size = |key: &str| {
            let own = || ALIASES.iter().find(|(name, _)| *name == key).and_then(|(_, own)| config.get(own));
            config.get(key).or_else(own).and_then(Value::as_u64).unwrap_or(0) as usize
        };
        let needed = |key: &str| match size(key) {
            0 => Err(format!("`{}` does not say its `{key}`", dir.join(CONFIG).display())),
            size => Ok(size),
        };
        let (context, vocab) = (needed("max_position_embeddings")?, needed("vocab_size")?);
        // A published tokenizer may have a token more than the model, as long as no problem needs it.
        let needs = tokenizer.encode(&sample()).into_iter().chain([tokenizer.eos()]);
        if let Some(token) = needs.into_iter().find(|token| *token as usize >= vocab) {
            return Err(format!(
                "`{}`: problems need token {token} of its tokenizer, and its vocabulary has {vocab}",
                dir.display()
            ));
        }
        let heads = size("num_attention_heads").max(1);
        let kv_heads = if size("num_key_value_heads") > 0 { size("num_key_value_heads") } else { heads };
        let tied = config.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false);
        let mut parameters = 0;
        for file in &weights {
            parameters += count(file, tied)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            hash: hash(dir, &weights)?,
            tokenizer_hash: tokenizer_hash(dir, &tokenizer)?,
            context,
            vocab,
            parameters,
            layers: size("num_hidden_layers"),
            hidden: size("hidden_size"),
            mlp: size("intermediate_size"),
            kv: size("hidden_size") / heads * kv_heads,
        })
    }

    /// Its tokenizer.
    ///
    /// # Errors
    /// If it cannot be read any more.
    pub fn tokenizer(&self) -> Result<Tokenizer, tokens::TokenizerError> {
        Tokenizer::open_any(&self.dir)
    }

    /// Whether the files are still those that the recipe was read with.
    ///
    /// # Errors
    /// If they are others, or cannot be read.
    pub(crate) fn is_unchanged(&self) -> Result<(), String> {
        if hash(&self.dir, &weights(&self.dir)?)? == self.hash {
            return Ok(());
        }
        Err(format!("the files of the model in `{}` have changed since the run began", self.dir.display()))
    }
}

fn cannot_read(path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |e| match e.kind() {
        ErrorKind::NotFound => format!("`{}` is missing", path.display()),
        _ => format!("cannot read `{}`: {e}", path.display()),
    }
}

fn json(dir: &Path, name: &str) -> Result<Value, String> {
    if !dir.is_dir() {
        return Err(format!("there is no folder `{}`", dir.display()));
    }
    let path = dir.join(name);
    let text = fs::read_to_string(&path).map_err(cannot_read(&path))?;
    serde_json::from_str(&text).map_err(|e| format!("`{}` is damaged: {e}", path.display()))
}

/// The files that hold weights, by name.
fn weights(dir: &Path) -> Result<Vec<PathBuf>, String> {
    if dir.join(OPTIMIZER).exists() {
        return Err(format!(
            "`{}` holds the state of an optimizer, which a stage would not start with: write the model alone with `tercet \
             export hf`",
            dir.display()
        ));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(cannot_read(dir))? {
        let path = entry.map_err(cannot_read(dir))?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(format!("`{}` has no weights: no file ends with .safetensors", dir.display()));
    }
    Ok(files)
}

/// The tokenizer, which must be able to write problems and solutions.
fn tokenizer(dir: &Path) -> Result<Tokenizer, String> {
    let path = dir.join(TOKENIZER);
    if !path.exists() {
        return Err(format!("`{}` is missing: a model is started from with its tokenizer", path.display()));
    }
    let tokenizer = Tokenizer::open_any(dir).map_err(|e| e.to_string())?;
    let text = sample();
    for sample in TAGS.iter().copied().chain([text.as_str()]) {
        let back = tokenizer.decode(&tokenizer.encode(sample));
        if back != sample {
            return Err(format!(
                "`{}` cannot write `{sample}`, which problems have: it reads back as `{back}`",
                path.display()
            ));
        }
    }
    Ok(tokenizer)
}

/// A text with all that problems and solutions are made of.
fn sample() -> String {
    let [question, question_end, solution, solution_end, answer, answer_end] = TAGS;
    format!(
        "{question} a =1; b =a+2*3-4; b? {question_end} {solution} Define a as x; so x = 10. Answer: 25. {solution_end} \
         {answer} 67890 {answer_end}"
    )
}

fn update(hasher: &mut blake3::Hasher, path: &Path) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut own = blake3::Hasher::new();
    let file = File::open(path).map_err(cannot_read(path))?;
    own.update_reader(file).map_err(cannot_read(path))?;
    hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
    hasher.update(own.finalize().as_bytes());
    Ok(())
}

fn hash(dir: &Path, weights: &[PathBuf]) -> Result<String, String> {
    let mut hasher = blake3::Hasher::new();
    for path in [CONFIG, TOKENIZER].map(|name| dir.join(name)) {
        update(&mut hasher, &path)?;
    }
    for path in OPTIONAL.map(|name| dir.join(name)).iter().filter(|path| path.exists()) {
        update(&mut hasher, path)?;
    }
    for path in weights {
        update(&mut hasher, path)?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn tokenizer_hash(dir: &Path, tokenizer: &Tokenizer) -> Result<String, String> {
    let mut hasher = blake3::Hasher::new();
    update(&mut hasher, &dir.join(TOKENIZER))?;
    hasher.update(&tokenizer.eos().to_le_bytes()).update(&tokenizer.pad().to_le_bytes());
    Ok(hasher.finalize().to_hex().to_string())
}

/// Largest header of a weights file, as the format has it.
const HEADER_MAX: u64 = 100_000_000;

/// Numbers in a weights file, by its header. A tied model may come with a copy of the embedding, which counts once.
fn count(path: &Path, tied: bool) -> Result<u64, String> {
    let damaged = || format!("`{}` is no safetensors file", path.display());
    let mut file = File::open(path).map_err(cannot_read(path))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| damaged())?;
    let length = u64::from_le_bytes(length);
    let known = file.metadata().map_err(cannot_read(path))?.len();
    if length > HEADER_MAX.min(known) {
        return Err(damaged());
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|_| damaged())?;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&header).map_err(|_| damaged())?;
    let mut numbers = 0;
    for (name, tensor) in &header {
        let spare = tied && name == "lm_head.weight" || name.ends_with("rotary_emb.inv_freq");
        if name == "__metadata__" || spare {
            continue;
        }
        let shape = tensor["shape"].as_array().ok_or_else(damaged)?;
        let product = shape.iter().try_fold(1_u64, |n, side| n.checked_mul(side.as_u64()?));
        numbers += product.ok_or_else(damaged)?;
    }
    Ok(numbers)
}

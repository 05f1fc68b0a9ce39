//! `tokenizer.json` and `tokenizer_config.json`: exactly what transformers reads for a Qwen2 checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::bpe::Pair;
use crate::{EOS, PAD, TAGS, TokenizerError, bytes, specials, split};

/// File names inside a tokenizer's or a checkpoint's folder.
pub(crate) const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// Renders messages as the text that models are trained on: a user's message becomes the prompt, an assistant's the response
/// with its end token, so that trainers get the very tokens of pre-training. A prompt ends with `<solution>`, whether or not
/// the caller asks for a generation prompt.
pub(crate) const CHAT_TEMPLATE: &str = "{%- for m in messages -%}\
    {%- if m['role'] == 'user' -%}<question> {{ m['content'] }} </question> <solution>\
    {%- elif m['role'] == 'assistant' -%}{{ m['content'] }}<|im_end|>\
    {%- else -%}{{ m['content'] }} {% endif -%}\
    {%- endfor -%}";

/// What a `tokenizer.json` says beyond the fixed pipeline.
pub(crate) struct Contents {
    /// Bytes of each token by id; a special's bytes are its text.
    pub bytes_of: Vec<Vec<u8>>,
    /// Merges in the order in which they are applied.
    pub merges: Vec<Pair>,
}

fn added_tokens() -> Value {
    let token = |(id, content): (usize, &str)| {
        json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": !TAGS.contains(&content),
        })
    };
    specials().enumerate().map(token).collect()
}

fn byte_level() -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false})
}

fn pipeline() -> [(&'static str, Value); 5] {
    let split = json!({
        "type": "Split", "pattern": {"Regex": split::PATTERN}, "behavior": "Isolated", "invert": false,
    });
    [
        ("added_tokens", added_tokens()),
        ("normalizer", json!({"type": "NFC"})),
        ("pre_tokenizer", json!({"type": "Sequence", "pretokenizers": [split, byte_level()]})),
        ("post_processor", Value::Null),
        ("decoder", byte_level()),
    ]
}

fn model_options() -> [(&'static str, Value); 7] {
    [
        ("type", json!("BPE")),
        ("dropout", Value::Null),
        ("unk_token", Value::Null),
        ("continuing_subword_prefix", Value::Null),
        ("end_of_word_suffix", Value::Null),
        ("fuse_unk", json!(false)),
        ("byte_fallback", json!(false)),
    ]
}

/// The text of `tokenizer.json`: a function of the contents alone.
pub(crate) fn render(contents: &Contents) -> String {
    let alphabet = bytes::alphabet();
    let printable = |id: u32| -> String {
        let token = &contents.bytes_of[id as usize];
        match specials().nth(id as usize) {
            Some(special) => special.to_owned(),
            None => token.iter().map(|&b| alphabet[b as usize]).collect(),
        }
    };
    let vocab: serde_json::Map<String, Value> =
        (0..contents.bytes_of.len() as u32).map(|id| (printable(id), json!(id))).collect();
    let merges: Vec<Value> =
        contents.merges.iter().map(|&(a, b)| json!([printable(a), printable(b)])).collect();
    let mut model = serde_json::Map::new();
    model.extend(model_options().map(|(key, value)| (key.to_owned(), value)));
    model.insert("ignore_merges".to_owned(), json!(false));
    model.insert("vocab".to_owned(), Value::Object(vocab));
    model.insert("merges".to_owned(), Value::Array(merges));
    let mut file = serde_json::Map::new();
    file.insert("version".to_owned(), json!("1.0"));
    file.insert("truncation".to_owned(), Value::Null);
    file.insert("padding".to_owned(), Value::Null);
    file.extend(pipeline().map(|(key, value)| (key.to_owned(), value)));
    file.insert("model".to_owned(), Value::Object(model));
    format!("{:#}\n", Value::Object(file))
}

/// Takes back what transformers 5 writes otherwise when it saves a tokenizer of ours again, and what changes no id:
/// options of the byte-level steps that only matter elsewhere, a post-processor that adds no token, and empty affixes.
fn settle(file: &mut Value) {
    if file["decoder"]["type"] == "ByteLevel" {
        file["decoder"] = byte_level();
    }
    // A step of the pre-tokenizer trims no offsets, whatever it says.
    let steps = file.pointer_mut("/pre_tokenizer/pretokenizers").and_then(Value::as_array_mut);
    for step in steps.into_iter().flatten().filter(|step| step["type"] == "ByteLevel") {
        step["trim_offsets"] = json!(false);
    }
    let after = &file["post_processor"];
    let template = after["type"] == "TemplateProcessing" && after["special_tokens"] == json!({});
    if template || after["type"] == "ByteLevel" {
        file["post_processor"] = Value::Null;
    }
    for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if file["model"][affix] == "" {
            file["model"][affix] = Value::Null;
        }
    }
}

/// Reads the text of `tokenizer.json`, as [`render`] wrote it or as transformers saved it again; the error is the first
/// thing that is otherwise.
pub(crate) fn parse(text: &str) -> Result<Contents, String> {
    let mut file: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if !file.is_object() {
        return Err("it is not an object".to_owned());
    }
    settle(&mut file);
    for (key, wanted) in pipeline() {
        if file.get(key).unwrap_or(&Value::Null) != &wanted {
            return Err(format!("its {key} differs"));
        }
    }
    let model = file.get("model").unwrap_or(&Value::Null);
    for (key, wanted) in model_options() {
        if model.get(key).unwrap_or(&Value::Null) != &wanted {
            return Err(format!("its model's {key} differs"));
        }
    }
    let vocab = model.get("vocab").and_then(Value::as_object).ok_or("it has no vocabulary")?;
    let id_of: BTreeMap<&str, u32> = vocab
        .iter()
        .map(|(token, id)| Some((token.as_str(), u32::try_from(id.as_u64()?).ok()?)))
        .collect::<Option<_>>()
        .ok_or("an id is not a number")?;
    Ok(Contents { bytes_of: tokens(&id_of)?, merges: merges(model, &id_of)? })
}

fn tokens(id_of: &BTreeMap<&str, u32>) -> Result<Vec<Vec<u8>>, String> {
    let mut bytes_of = vec![None; id_of.len()];
    for (&token, &id) in id_of {
        let slot = bytes_of.get_mut(id as usize).ok_or("its ids have gaps")?;
        let special = specials().nth(id as usize);
        *slot = match special {
            Some(special) if special == token => Some(token.as_bytes().to_vec()),
            Some(special) => return Err(format!("id {id} is not {special}")),
            None => Some(
                bytes::from_printable(token).ok_or_else(|| format!("token {token:?} is not byte-level"))?,
            ),
        };
    }
    let bytes_of: Vec<Vec<u8>> =
        bytes_of.into_iter().collect::<Option<_>>().ok_or("two tokens share an id")?;
    let singles = bytes_of.iter().filter(|bytes| bytes.len() == 1).count();
    if singles != 256 || bytes_of.len() < crate::LEAST_VOCABULARY {
        return Err(format!("it holds {singles} of the 256 bytes"));
    }
    Ok(bytes_of)
}

fn merges(model: &Value, id_of: &BTreeMap<&str, u32>) -> Result<Vec<Pair>, String> {
    let merges = model.get("merges").and_then(Value::as_array).ok_or("it has no merges")?;
    let id = |merge: &Value, side: usize| {
        merge.get(side).and_then(Value::as_str).and_then(|token| id_of.get(token)).copied()
    };
    let pairs = merges.iter().map(|merge| {
        id(merge, 0).zip(id(merge, 1)).ok_or_else(|| format!("merge {merge} names no pair of tokens"))
    });
    pairs.collect()
}

fn config(context: usize) -> Value {
    json!({
        "tokenizer_class": "Qwen2Tokenizer",
        "bos_token": null,
        "eos_token": EOS,
        "pad_token": PAD,
        "unk_token": null,
        "add_prefix_space": false,
        "add_bos_token": false,
        "clean_up_tokenization_spaces": false,
        "split_special_tokens": false,
        "errors": "replace",
        "model_max_length": context,
        "chat_template": CHAT_TEMPLATE,
    })
}

/// Writes both files; neither is ever seen half-written. A name of its own for the unfinished file, not a random one:
/// the next write takes the place of what a killed one left.
pub(crate) fn write(
    dir: &Path,
    tokenizer: &str,
    foreign: Option<Value>,
    context: usize,
) -> Result<(), TokenizerError> {
    let config = foreign.unwrap_or_else(|| config(context));
    let config = format!("{config:#}\n");
    let failed = |path: &Path, source| TokenizerError::Write { path: path.to_owned(), source };
    fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
    for (name, text) in [(CONFIG, config.as_str()), (TOKENIZER, tokenizer)] {
        let path = dir.join(name);
        let partial = dir.join(format!("{name}.partial"));
        let written = fs::File::create(&partial)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| fs::rename(&partial, &path));
        if let Err(source) = written {
            // The first error is the one to tell; a left-over is no tokenizer by name.
            let _ = fs::remove_file(&partial);
            return Err(failed(&path, source));
        }
    }
    Ok(())
}

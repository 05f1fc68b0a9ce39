//! Tokenizers of other makers, as published models bring them: any byte-level BPE that the `tokenizers` crate reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::DecoderWrapper;

use crate::bytes;

/// What this program must know of a tokenizer beyond how it encodes.
pub(crate) struct Foreign {
    /// Bytes of each token by id; nothing for an id that no token has.
    pub bytes_of: Vec<Vec<u8>>,
    /// The token that ends a document.
    pub eos: u32,
    /// The padding token; the end token where none is named.
    pub pad: u32,
    /// `tokenizer_config.json`, with both tokens.
    pub config: Value,
}

/// Reads the rest of a folder whose `tokenizer.json` is `inner`.
pub(crate) fn read(dir: &Path, inner: &tokenizers::Tokenizer) -> Result<Foreign, String> {
    if !matches!(inner.get_decoder(), Some(DecoderWrapper::ByteLevel(_))) {
        return Err("its decoder is not byte-level".to_owned());
    }
    let bytes_of = bytes_of(inner)?;
    let eos = special(dir, inner, "eos")?
        .ok_or("neither tokenizer_config.json, generation_config.json nor config.json names its end token")?;
    let pad = special(dir, inner, "pad")?.filter(|&id| (id as usize) < bytes_of.len());
    if eos as usize >= bytes_of.len() {
        return Err(format!("its end token {eos} is outside the vocabulary of {}", bytes_of.len()));
    }
    let pad = pad.unwrap_or(eos);
    let config = config(dir, inner, eos, pad)?;
    Ok(Foreign { bytes_of, eos, pad, config })
}

/// The tokenizer's configuration. It names the end and padding tokens, even if only the model's did: the tokenizer must
/// say the same without the model.
fn config(dir: &Path, inner: &tokenizers::Tokenizer, eos: u32, pad: u32) -> Result<Value, String> {
    let mut config = json(dir, CONFIG)?.unwrap_or_else(|| json!({}));
    let fields = config.as_object_mut().ok_or_else(|| format!("{CONFIG} is not an object"))?;
    for (name, id) in [("eos_token", eos), ("pad_token", pad)] {
        if fields.get(name).is_none_or(Value::is_null) {
            let token = inner.id_to_token(id).ok_or_else(|| format!("it has no token {id}"))?;
            fields.insert(name.to_owned(), json!(token));
        }
    }
    Ok(config)
}

const CONFIG: &str = "tokenizer_config.json";

/// Ids beyond any model's vocabulary: a damaged file must not ask for the memory of such a list.
const ID_MAX: u32 = 1 << 24;

fn bytes_of(inner: &tokenizers::Tokenizer) -> Result<Vec<Vec<u8>>, String> {
    let added = inner.get_added_tokens_decoder();
    let vocab: BTreeMap<String, u32> = inner.get_vocab(true).into_iter().collect();
    let mut bytes_of = Vec::new();
    for (token, id) in vocab {
        if id > ID_MAX {
            return Err(format!("its token {token:?} has the id {id}"));
        }
        let bytes = match added.get(&id) {
            Some(added) => added.content.clone().into_bytes(),
            None => bytes::from_printable(&token).ok_or(format!("its token {token:?} is not byte-level"))?,
        };
        let id = id as usize;
        bytes_of.resize(bytes_of.len().max(id + 1), Vec::new());
        bytes_of[id] = bytes;
    }
    Ok(bytes_of)
}

/// The id of the end or padding token. The tokenizer's own word for it comes first: published models name ids in
/// `config.json` that are outside of their vocabulary.
fn special(dir: &Path, inner: &tokenizers::Tokenizer, name: &str) -> Result<Option<u32>, String> {
    let token = json(dir, CONFIG)?.map(|config| config[format!("{name}_token")].clone());
    let text = token.as_ref().and_then(|token| token.as_str().or(token["content"].as_str()));
    if let Some(text) = text {
        let id = inner.token_to_id(text);
        return id.map(Some).ok_or(format!("it has no token {text:?}, which its configuration names"));
    }
    for file in ["generation_config.json", "config.json"] {
        let id = json(dir, file)?.map(|config| config[format!("{name}_token_id")].clone());
        let id = id.and_then(|id| id.as_u64().or(id[0].as_u64()));
        if let Some(id) = id {
            return u32::try_from(id).map(Some).map_err(|_| format!("{file} names the token {id}"));
        }
    }
    Ok(None)
}

/// A file of the folder, if it is there.
fn json(dir: &Path, name: &str) -> Result<Option<Value>, String> {
    match fs::read_to_string(dir.join(name)) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| format!("{name}: {e}")),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{name}: {e}")),
    }
}

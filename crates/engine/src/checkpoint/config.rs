//! `config.json` and `generation_config.json`.

use std::fs;
use std::path::Path;

use learner::{LearnerError, ModelConfig};
use serde_json::{Value, json};

use super::{CONFIG, error};

/// The model's configuration as transformers 4.57 to 5.23 read it. θ stands in two places: older versions
/// know only the first, and fall back to another value without a word where it is missing.
pub(super) fn model_json(c: &ModelConfig) -> Vec<u8> {
    pretty(&json!({
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "vocab_size": c.vocab,
        "hidden_size": c.hidden,
        "intermediate_size": c.mlp,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.kv_heads,
        "hidden_act": "silu",
        "max_position_embeddings": c.context,
        "initializer_range": c.init_std,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": c.rope_theta},
        "tie_word_embeddings": c.tied,
        "use_cache": true,
        "use_sliding_window": false,
        "sliding_window": null,
        "max_window_layers": c.layers,
        "attention_dropout": 0.0,
        "torch_dtype": "float32",
        "dtype": "float32",
        "bos_token_id": null,
        "eos_token_id": c.eos,
        "pad_token_id": c.pad,
    }))
}

/// Only the special tokens: some engines take anything else here as their sampling defaults.
pub(super) fn generation_json(c: &ModelConfig) -> Vec<u8> {
    pretty(&json!({"eos_token_id": c.eos, "pad_token_id": c.pad}))
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Reads `config.json` of a Qwen2 model; anything this engine would compute differently is refused.
pub(crate) fn read_config(dir: &Path) -> Result<ModelConfig, LearnerError> {
    let path = dir.join(CONFIG);
    let text = fs::read_to_string(&path).map_err(|e| error(&path, e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| error(&path, e))?;
    parse(&json).map_err(|reason| error(&path, reason))
}

fn parse(json: &Value) -> Result<ModelConfig, String> {
    let find = |key: &str| json.get(key).filter(|v| !v.is_null());
    let size = |key: &str| match find(key) {
        Some(v) => v.as_u64().map(|v| v as usize).ok_or(format!("{key} is not a whole number")),
        None => Err(format!("{key} is missing")),
    };
    let number = |key: &str, default: f64| match find(key) {
        Some(v) => v.as_f64().ok_or(format!("{key} is not a number")),
        None => Ok(default),
    };
    let token = |key: &str| {
        let id = match find(key) {
            Some(Value::Array(list)) => list.first(),
            id => id,
        };
        let token = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(|id| token(id).ok_or(format!("{key} is {id}, which is no token"))).transpose()
    };
    let wants = |key: &str, wanted: &str| match find(key) {
        Some(v) if v.as_str() != Some(wanted) => Err(format!("{key} is {v}, only \"{wanted}\" is supported")),
        _ => Ok(()),
    };
    wants("model_type", "qwen2")?;
    wants("hidden_act", "silu")?;
    only_full_attention(json)?;
    if find("quantization_config").is_some() {
        return Err("quantised weights are not supported".to_owned());
    }
    let rope_theta = rope_theta(json)?;
    let (hidden, heads) = (size("hidden_size")?, size("num_attention_heads")?);
    if find("head_dim").is_some() && size("head_dim")?.checked_mul(heads) != Some(hidden) {
        return Err("a head_dim other than hidden_size / num_attention_heads is not supported".to_owned());
    }
    Ok(ModelConfig {
        vocab: size("vocab_size")?,
        hidden,
        layers: size("num_hidden_layers")?,
        heads,
        kv_heads: if find("num_key_value_heads").is_some() { size("num_key_value_heads")? } else { heads },
        mlp: size("intermediate_size")?,
        context: size("max_position_embeddings")?,
        rope_theta,
        tied: find("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
        norm_eps: number("rms_norm_eps", 1e-6)?,
        init_std: number("initializer_range", 0.02)?,
        scale_residual_init: false,
        eos: token("eos_token_id")?,
        pad: token("pad_token_id")?,
    })
}

/// Refuses attention over a window, for all layers or for some.
fn only_full_attention(json: &Value) -> Result<(), String> {
    if json.get("use_sliding_window") == Some(&Value::Bool(true)) {
        return Err("sliding-window attention is not supported".to_owned());
    }
    let kinds = json.get("layer_types").and_then(Value::as_array);
    match kinds.into_iter().flatten().find(|kind| kind.as_str() != Some("full_attention")) {
        Some(kind) => Err(format!("layer_types has {kind}, only \"full_attention\" is supported")),
        None => Ok(()),
    }
}

/// θ of plain rotary embeddings. Which of the places wins differs between versions of transformers: 4.57 reads
/// `rope_scaling` and the θ beside it, 5 reads `rope_parameters` but prefers `rope_scaling`. So all places are read,
/// each must describe plain embeddings, and they must agree.
fn rope_theta(json: &Value) -> Result<f64, String> {
    let mut thetas = Vec::new();
    let mut read = |place: &str, value: Option<&Value>| match value.filter(|v| !v.is_null()) {
        Some(v) => v.as_f64().map(|theta| thetas.push(theta)).ok_or(format!("{place} is not a number")),
        None => Ok(()),
    };
    read("rope_theta", json.get("rope_theta"))?;
    for key in ["rope_parameters", "rope_scaling"] {
        let Some(rope) = json.get(key).filter(|v| !v.is_null()) else { continue };
        let rope = rope.as_object().ok_or(format!("{key} is not an object"))?;
        if let Some((layers, _)) = rope.iter().find(|(_, v)| v.is_object()) {
            return Err(format!("{key} has a form of its own for {layers}, which is not supported"));
        }
        let kinds = ["rope_type", "type"].into_iter().filter_map(|name| rope.get(name));
        if let Some(kind) = kinds.filter(|kind| !kind.is_null()).find(|kind| kind.as_str() != Some("default"))
        {
            let kind = kind.as_str().map_or_else(|| kind.to_string(), str::to_owned);
            return Err(format!("the RoPE type {kind} ({key}) is not supported"));
        }
        if rope.get("partial_rotary_factor").is_some_and(|v| v.as_f64() != Some(1.0)) {
            return Err(format!("{key} rotates a part of each head, which is not supported"));
        }
        read(&format!("{key}.rope_theta"), rope.get("rope_theta"))?;
    }
    match thetas.iter().find(|theta| **theta != thetas[0]) {
        Some(other) => Err(format!("rope_theta is {} in one place and {other} in another", thetas[0])),
        None => Ok(thetas.first().copied().unwrap_or(10_000.0)),
    }
}

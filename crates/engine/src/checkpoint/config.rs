//! `config.json` and `generation_config.json`.

use std::fs;
use std::path::Path;

use learner::{LearnerError, ModelConfig};
use serde_json::{Value, json};

use super::error;

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
    let path = dir.join("config.json");
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
    let token = |key: &str| match find(key) {
        Some(Value::Array(list)) => list.first().and_then(Value::as_u64),
        Some(v) => v.as_u64(),
        None => None,
    };
    let wants = |key: &str, wanted: &str| match find(key) {
        Some(v) if v.as_str() != Some(wanted) => Err(format!("{key} is {v}, only \"{wanted}\" is supported")),
        _ => Ok(()),
    };
    wants("model_type", "qwen2")?;
    wants("hidden_act", "silu")?;
    if find("use_sliding_window") == Some(&Value::Bool(true)) {
        return Err("sliding-window attention is not supported".to_owned());
    }
    let rope = find("rope_parameters").or(find("rope_scaling"));
    let kind = rope.and_then(|r| r.get("rope_type").or(r.get("type"))).and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "default") {
        return Err(format!("the RoPE type {} is not supported", kind.unwrap_or_default()));
    }
    let theta = rope.and_then(|r| r.get("rope_theta")).and_then(Value::as_f64);
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
        rope_theta: theta.map_or_else(|| number("rope_theta", 10_000.0), Ok)?,
        tied: find("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
        norm_eps: number("rms_norm_eps", 1e-6)?,
        init_std: number("initializer_range", 0.02)?,
        scale_residual_init: false,
        eos: token("eos_token_id").map(|id| id as u32),
        pad: token("pad_token_id").map(|id| id as u32),
    })
}

//! Checkpoints in and out, and damaged ones.

use std::fs;
use std::path::Path;

use learner::{Learner, LearnerError, LearnerFactory};
use serde_json::json;
use tercet_engine::CpuFactory;

use crate::fixture::{ADAMW, CrossEntropy, batch, dir, odd, odd_config, open, tokens};

const FACTORY: CpuFactory = CpuFactory { threads: Some(1), pin: false, eos: None };

fn reason(result: Result<impl Sized, LearnerError>) -> String {
    match result {
        Err(LearnerError::Checkpoint { reason, .. }) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was accepted"),
    }
}

#[test]
fn what_is_saved_is_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut learner = odd(1);
    let batch = batch(&[tokens(1, 50, 61)]);
    learner.forward_backward(&batch, &CrossEntropy::mean(&batch, |_| true), 1.0).unwrap();
    learner.optim_step(&ADAMW).unwrap();
    learner.save(folder.path(), false).unwrap();
    let again = FACTORY.open_cpu(folder.path()).unwrap();
    let shape = learner::ModelConfig { scale_residual_init: false, ..odd_config() };
    assert_eq!(*again.config(), shape);
    assert!(learner.tensors().eq(again.tensors()));
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "generation_config.json", "model.safetensors"]);
}

#[test]
fn the_configuration_says_theta_twice_and_whole_numbers_whole() {
    let folder = tempfile::tempdir().unwrap();
    odd(1).save(folder.path(), false).unwrap();
    let text = fs::read_to_string(folder.path().join("config.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["rope_theta"], 1000.0);
    assert_eq!(json["rope_parameters"]["rope_theta"], 1000.0);
    assert!(json["hidden_size"].is_u64() && json["eos_token_id"] == 1);
    let generation = fs::read_to_string(folder.path().join("generation_config.json")).unwrap();
    let generation: serde_json::Value = serde_json::from_str(&generation).unwrap();
    assert_eq!(generation, serde_json::json!({"eos_token_id": 1, "pad_token_id": 0}));
    let bytes = fs::read(folder.path().join("model.safetensors")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
}

#[test]
fn what_would_be_computed_differently_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    let path = folder.path().join("config.json");
    let config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let open = |changes: serde_json::Value| {
        let mut config = config.clone();
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        fs::write(&path, config.to_string()).unwrap();
        FACTORY.open(folder.path())
    };
    let check = |changes: serde_json::Value, expected: &str| {
        let found = reason(open(changes));
        assert!(found.contains(expected), "{found}");
    };
    // Beside `rope_parameters`, which describe plain embeddings, and alone.
    let yarn = json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 96});
    check(json!({"rope_scaling": yarn}), "the RoPE type yarn (rope_scaling) is not supported");
    check(json!({"rope_scaling": yarn, "rope_parameters": null}), "the RoPE type yarn (rope_scaling)");
    check(
        json!({"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
        "the RoPE type linear (rope_scaling)",
    );
    check(
        json!({"rope_parameters": {"rope_type": "default", "type": "yarn"}}),
        "the RoPE type yarn (rope_param",
    );
    check(json!({"rope_parameters": {"rope_type": 7}}), "the RoPE type 7 (rope_parameters)");
    check(
        json!({"rope_parameters": {"full_attention": {"rope_type": "yarn", "factor": 4.0}}}),
        "rope_parameters has a form of its own for full_attention",
    );
    check(json!({"rope_parameters": {"partial_rotary_factor": 0.5}}), "rotates a part of each head");
    check(
        json!({"rope_parameters": {"rope_theta": 500.0}}),
        "rope_theta is 1000000 in one place and 500 in another",
    );
    check(json!({"rope_parameters": "yarn"}), "rope_parameters is not an object");
    check(json!({"rope_theta": "big"}), "rope_theta is not a number");
    check(json!({"use_sliding_window": true}), "sliding-window attention");
    check(
        json!({"layer_types": ["full_attention", "sliding_attention"]}),
        "layer_types has \"sliding_attention\"",
    );
    check(json!({"quantization_config": {"bits": 4}}), "quantised weights");
    check(json!({"head_dim": 16}), "a head_dim other than");
    for plain in [json!({}), json!({"rope_scaling": {"type": "default"}}), json!({"rope_parameters": null})] {
        open(plain).unwrap();
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    use safetensors::tensor::{Dtype, SafeTensors, TensorView};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut learner = odd(1);
    learner.save(folder.path(), false).unwrap();
    let whole = fs::read(&path).unwrap();
    // The last of a tensor's numbers, once as it is and once in half precision, which overflowed.
    let name = "model.layers.1.mlp.up_proj.weight";
    let spoil = |value: f32, half: bool| {
        let tensors = SafeTensors::deserialize(&whole).unwrap();
        let mut data: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (n, view) in tensors.tensors() {
            let (mut bytes, mut dtype) = (view.data().to_vec(), view.dtype());
            if n == name && half {
                (bytes, dtype) =
                    (bytes.chunks(4).flat_map(|_| 0x7c00_u16.to_le_bytes()).collect(), Dtype::F16);
            } else if n == name {
                let at = bytes.len() - 4;
                bytes[at..].copy_from_slice(&value.to_le_bytes());
            }
            data.push((n, dtype, view.shape().to_vec(), bytes));
        }
        let views = data.iter().map(|(n, d, s, b)| (n.clone(), TensorView::new(*d, s.clone(), b).unwrap()));
        fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    };
    for (value, half, says) in [
        (f32::NAN, false, "NaN"),
        (f32::INFINITY, false, "inf"),
        (f32::NEG_INFINITY, false, "-inf"),
        (0.0, true, "inf"),
    ] {
        spoil(value, half);
        let expected = format!("tensor {name} holds {says}, which is not a finite number");
        for refused in [FACTORY.open(folder.path()).map(drop), learner.load(folder.path())] {
            match refused {
                Err(LearnerError::Checkpoint { path: file, reason }) => {
                    assert_eq!((file, reason), (path.display().to_string(), expected.clone()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn sizes_are_held_against_the_files_before_memory_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    let path = folder.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap();
    let check = |changes: &[(&str, &str)], expected: &str| {
        let mut text = config.clone();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        fs::write(&path, text).unwrap();
        let found = reason(FACTORY.open(folder.path()));
        assert!(found.contains(expected), "{found}");
    };
    let heads = ("\"num_attention_heads\": 6", "\"num_attention_heads\": 2");
    check(&[("\"hidden_size\": 48", "\"hidden_size\": 8388608"), heads], "parameters is too large");
    check(
        &[("\"num_hidden_layers\": 3", "\"num_hidden_layers\": 10000000")],
        "layers = 10000000 is beyond any use",
    );
    check(&[("\"vocab_size\": 97", "\"vocab_size\": 4294967295")], "vocab = 4294967295 is beyond any use");
    // Possible sizes, of another model than the weights beside them.
    check(&[("\"vocab_size\": 97", "\"vocab_size\": 16777216")], "236744 bytes are too few for the");
    check(&[("\"intermediate_size\": 80", "\"intermediate_size\": 8388608")], "bytes are too few");

    // Headers that lie: their own length, a tensor's place, its size, and 10 GB in a small file.
    fs::write(&path, &config).unwrap();
    let lie = |header: &str, length: Option<u64>| {
        let mut bytes = length.unwrap_or(header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.resize(100_000, 0);
        fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        assert!(reason(FACTORY.open(folder.path())).starts_with("not a whole safetensors file"), "{header}");
    };
    let tensor = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"model.norm.weight":{{"dtype":"F32","shape":{shape},"data_offsets":[{from},{to}]}}}}"#)
    };
    lie(&tensor("[48]", 0, 192), Some(u64::MAX));
    lie(&tensor("[48]", 0, 192), Some(99_999_999));
    lie(&tensor("[48]", 192, 0), None);
    lie(&tensor("[48]", 1 << 40, (1 << 40) + 192), None);
    lie(&tensor("[48]", 0, 96), None);
    lie(&tensor("[2500000000]", 0, 10_000_000_000), None);
    lie(&tensor("[4294967296,4294967296,4294967296]", 0, 192), None);
}

#[test]
fn pickled_weights_are_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), "PK").unwrap();
    let found = FACTORY.open(folder.path()).err().unwrap().to_string();
    assert!(
        found.ends_with("pytorch_model.bin: pickled weights are not read: convert them to safetensors"),
        "{found}"
    );
}

/// Copies a fixture so that it can be damaged.
fn copy(to: &Path) {
    for file in ["config.json", "model.safetensors"] {
        fs::copy(dir("qwen2_tied_gqa").join(file), to.join(file)).unwrap();
    }
}

#[test]
fn damage_is_an_error_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    let weights = folder.path().join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    for cut in [0, 5, 100, 1000, whole.len() / 2, whole.len() - 1] {
        fs::write(&weights, &whole[..cut]).unwrap();
        assert!(reason(FACTORY.open(folder.path())).starts_with("not a whole safetensors file"));
    }
    let mut garbled = whole.clone();
    garbled[..8].fill(0xff);
    fs::write(&weights, garbled).unwrap();
    assert!(reason(FACTORY.open(folder.path())).starts_with("not a whole safetensors file"));
    fs::write(&weights, &whole).unwrap();
    assert!(FACTORY.open(folder.path()).is_ok());

    let config = fs::read_to_string(folder.path().join("config.json")).unwrap();
    let check = |from: &str, to: &str, expected: &str| {
        assert!(config.contains(from), "{from}");
        fs::write(folder.path().join("config.json"), config.replace(from, to)).unwrap();
        let found = match FACTORY.open(folder.path()) {
            Err(e) => e.to_string(),
            Ok(_) => panic!("{to} was accepted"),
        };
        assert!(found.contains(expected), "{found}");
    };
    check(
        "\"vocab_size\": 97",
        "\"vocab_size\": 98",
        "embed_tokens.weight has shape [97, 48] instead of [98, 48]",
    );
    check(
        "\"num_hidden_layers\": 3",
        "\"num_hidden_layers\": 4",
        "model.layers.3.input_layernorm.weight is missing",
    );
    check(
        "\"num_hidden_layers\": 3",
        "\"num_hidden_layers\": 2",
        "unknown or repeated tensor model.layers.2",
    );
    check("\"hidden_size\": 48", "\"hidden_size\": 48.0", "hidden_size is not a whole number");
    check("\"hidden_size\": 48", "\"hidden_size\": 49", "6 heads do not divide a width of 49");
    check("\"model_type\": \"qwen2\"", "\"model_type\": \"llama\"", "only \"qwen2\" is supported");
    check("\"pad_token_id\": null", "\"pad_token_id\": 4294967297", "which is no token");
    check("{", "", "config.json");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert!(reason(FACTORY.open(folder.path())).contains("No such file"));
}

#[test]
fn a_failed_load_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    let mut learner = odd(1);
    let before: Vec<f32> = learner.tensors().flat_map(|t| t.2.to_vec()).collect();
    assert!(reason(learner.load(folder.path())).contains("of another shape"));
    learner.save(folder.path(), true).unwrap();
    let optimizer = folder.path().join("optimizer.safetensors");
    fs::write(&optimizer, &fs::read(&optimizer).unwrap()[..99]).unwrap();
    assert!(learner.load(folder.path()).is_err());
    let after: Vec<f32> = learner.tensors().flat_map(|t| t.2.to_vec()).collect();
    assert_eq!(before, after);
}

#[test]
fn half_precision_and_shards_are_read() {
    use safetensors::tensor::{Dtype, TensorView};
    let folder = tempfile::tempdir().unwrap();
    copy(folder.path());
    let learner = open("qwen2_tied_gqa");
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    // Every tensor in bfloat16, every other one in another file.
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = learner
        .tensors()
        .map(|(n, s, v)| {
            let data = v.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect();
            (n.to_owned(), s.to_vec(), data)
        })
        .collect();
    let mut map = serde_json::Map::new();
    for part in 0..2 {
        let file = format!("model-0000{}-of-00002.safetensors", part + 1);
        let mine = bytes.iter().skip(part).step_by(2);
        let views: Vec<_> =
            mine.map(|(n, s, d)| (n.clone(), TensorView::new(Dtype::BF16, s.clone(), d).unwrap())).collect();
        map.extend(views.iter().map(|(n, _)| (n.clone(), file.clone().into())));
        fs::write(folder.path().join(&file), safetensors::serialize(views, None).unwrap()).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    let halves = FACTORY.open_cpu(folder.path()).unwrap();
    for ((name, _, whole), (_, _, half)) in learner.tensors().zip(halves.tensors()) {
        for (w, h) in whole.iter().zip(half) {
            assert_eq!(f32::from_bits(w.to_bits() & 0xffff_0000), *h, "{name}");
        }
    }
}

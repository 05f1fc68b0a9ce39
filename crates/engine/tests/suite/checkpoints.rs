//! Checkpoints in and out, and damaged ones.

use std::fs;
use std::path::Path;

use learner::{Learner, LearnerError, LearnerFactory};
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
    check("\"rope_type\": \"default\"", "\"rope_type\": \"yarn\"", "the RoPE type yarn is not supported");
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

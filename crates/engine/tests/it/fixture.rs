//! Tiny Qwen2 models with float64 results of the `transformers` library, and helpers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use learner::{AdamW, Batch, ModelConfig, Objective};
use safetensors::tensor::{Dtype, SafeTensors};
use tercet_engine::{CpuFactory, CpuLearner};

/// The two models: tied embeddings with grouped queries, untied with one key head per query head.
pub(crate) const MODELS: [&str; 2] = ["qwen2_tied_gqa", "qwen2_untied_mha"];

pub(crate) fn dir(model: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(model)
}

pub(crate) fn open(model: &str) -> CpuLearner {
    CpuFactory::with_threads(Some(2)).open_cpu(&dir(model)).expect("the fixture opens")
}

/// A tensor of numbers.
#[derive(Clone)]
pub(crate) struct Values {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

impl Values {
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.data.chunks_exact(self.shape[self.shape.len() - 1])
    }

    pub(crate) fn tokens(&self) -> Vec<Vec<u32>> {
        self.rows().map(|row| row.iter().map(|x| *x as u32).collect()).collect()
    }
}

/// All tensors of one fixture file.
pub(crate) fn read(model: &str, file: &str) -> BTreeMap<String, Values> {
    let bytes = std::fs::read(dir(model).join(file)).expect("the fixture is there");
    let tensors = SafeTensors::deserialize(&bytes).expect("the fixture is whole");
    let value = |view: &safetensors::tensor::TensorView<'_>| -> Vec<f64> {
        let data = view.data();
        match view.dtype() {
            Dtype::F64 => data.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
            Dtype::F32 => data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            Dtype::I64 => data.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
            other => panic!("unexpected type {other:?}"),
        }
    };
    let all = tensors.tensors();
    all.iter().map(|(n, v)| (n.clone(), Values { shape: v.shape().to_vec(), data: value(v) })).collect()
}

pub(crate) fn batch(sequences: &[Vec<u32>]) -> Batch {
    let mut batch = Batch::default();
    for sequence in sequences {
        batch.push(sequence);
    }
    batch
}

/// Cross-entropy over the counted tokens of a batch.
pub(crate) struct CrossEntropy {
    pub(crate) gradient_T: Vec<f32>,
    /// Whether the learner may know the gradient beforehand.
    pub(crate) announced: bool,
}

impl CrossEntropy {
    /// Mean over the tokens where `counts`; the first of a sequence never does.
    pub(crate) fn mean(batch: &Batch, counts: impl Fn(usize) -> bool) -> CrossEntropy {
        let mut gradient_T = vec![0.0; batch.len()];
        for sequence in batch.sequences() {
            for t in sequence.skip(1).filter(|t| counts(*t)) {
                gradient_T[t] = -1.0;
            }
        }
        let n = -gradient_T.iter().sum::<f32>();
        for g in &mut gradient_T {
            *g /= n;
        }
        CrossEntropy { gradient_T, announced: true }
    }
}

impl Objective for CrossEntropy {
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64 {
        gradient_T.copy_from_slice(&self.gradient_T);
        logprobs_T.iter().zip(&self.gradient_T).map(|(l, g)| f64::from(*l) * f64::from(*g)).sum()
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        self.announced.then_some(&self.gradient_T)
    }
}

/// Largest |a − b| over the largest |b|.
pub(crate) fn distance(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-12_f64, |m, b| m.max(b.abs()));
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / scale
}

/// Root mean square of a − b over the largest |b|.
pub(crate) fn mean_distance(a: &[f32], b: &[f64]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
    (squares / a.len() as f64).sqrt() / b.iter().fold(1e-12_f64, |m, b| m.max(b.abs()))
}

pub(crate) const ADAMW: AdamW =
    AdamW { lr: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip_norm: 1.0 };

/// A small model with odd sizes: nothing is a multiple of a vector or a panel.
pub(crate) fn odd_config() -> ModelConfig {
    ModelConfig {
        vocab: 61,
        hidden: 36,
        layers: 3,
        heads: 6,
        kv_heads: 3,
        mlp: 50,
        context: 96,
        rope_theta: 1000.0,
        tied: true,
        norm_eps: 1e-6,
        init_std: 0.3,
        scale_residual_init: true,
        eos: Some(1),
        pad: Some(0),
    }
}

/// A learner with [`odd_config`].
pub(crate) fn odd(threads: usize) -> CpuLearner {
    CpuFactory::with_threads(Some(threads)).fresh_cpu(&odd_config(), [7; 32]).expect("the shape is possible")
}

/// Repeatable tokens below `vocab`.
pub(crate) fn tokens(seed: u32, len: usize, vocab: u32) -> Vec<u32> {
    let mut state = seed.wrapping_mul(2654435761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) % vocab
    };
    (0..len).map(|_| next()).collect()
}

//! What is measured: the shapes of `bench/peers/shapes.json`, which both sides read.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tercet_learner::ModelConfig;

/// A model with its training batch and its sampling batch.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) model: Model,
    pub(crate) train: Rows,
    pub(crate) sample: Draws,
}

/// What distinguishes the models; the rest is Qwen2's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Model {
    vocab: usize,
    hidden: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    mlp: usize,
}

/// A training batch: documents of equal length, one a row.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rows {
    pub(crate) rows: usize,
    pub(crate) length: usize,
}

/// A sampling batch: sequences, tokens of a prompt, new tokens of a sequence.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Draws {
    pub(crate) prompts: usize,
    pub(crate) prompt: usize,
    pub(crate) new: usize,
}

impl Shape {
    /// Multiplications and additions in the matrix products of training on one token: forward, and twice as many
    /// backward. What is computed again or masked away does not count.
    pub(crate) fn training_flops(&self) -> f64 {
        let m = &self.model;
        let kv = m.hidden / m.heads * m.kv_heads;
        let matrices = m.layers * m.hidden * (2 * m.hidden + 2 * kv + 3 * m.mlp) + m.vocab * m.hidden;
        let keys = (self.train.length + 1) as f64 / 2.0;
        6.0 * matrices as f64 + 12.0 * keys * (m.layers * m.hidden) as f64
    }
}

impl Model {
    /// The engine's configuration; nothing ends a sample but its length.
    pub(crate) fn config(&self, context: usize) -> ModelConfig {
        ModelConfig {
            vocab: self.vocab,
            hidden: self.hidden,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            mlp: self.mlp,
            context,
            rope_theta: 1e6,
            tied: true,
            norm_eps: 1e-6,
            init_std: 0.02,
            scale_residual_init: false,
            eos: None,
            pad: None,
        }
    }

    /// The size of the vocabulary.
    pub(crate) fn vocab(&self) -> usize {
        self.vocab
    }
}

/// The shape of a name.
pub(crate) fn shape(name: &str) -> Result<Shape> {
    let all: BTreeMap<String, Shape> = serde_json::from_str(include_str!("../../peers/shapes.json"))
        .context("bench/peers/shapes.json is malformed")?;
    let names = all.keys().cloned().collect::<Vec<_>>().join(", ");
    all.get(name).cloned().with_context(|| format!("no shape {name:?}; there are {names}"))
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// Forward, backward, clipping and AdamW
    Train,
    /// One sample of each of many prompts
    Sample,
    /// Eight samples of each of an eighth as many prompts
    Group,
}

impl Work {
    /// Samples a prompt.
    pub(crate) fn group(self) -> usize {
        if self == Work::Group { 8 } else { 1 }
    }
}

/// Tokens without a pattern: the same ones as in `peer.py`.
pub(crate) fn tokens(rows: usize, length: usize, vocab: usize) -> Vec<Vec<u32>> {
    let mut state = 1_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocab as u64) as u32
    };
    (0..rows).map(|_| (0..length).map(|_| draw()).collect()).collect()
}

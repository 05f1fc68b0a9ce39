//! What the first stage of an arm starts from: fresh weights of a shape, or a model that is given.

use std::sync::Arc;

use learner::ModelConfig;
use serde::{Deserialize, Serialize};

use super::given::GivenModel;

/// `[model]` of a recipe's file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ModelSource {
    /// A Qwen2 decoder of this shape with fresh weights.
    Fresh(ModelConfig),
    /// A model in a directory. What it is, its own files say.
    From(ModelDirectory),
}

/// Where a given model lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDirectory {
    /// A Hugging Face directory with its tokenizer, relative to the recipe (on the command line: to where one is).
    pub from: String,
    /// Hash of its files; in a resolved recipe always there. Files with another hash are refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
}

/// The model of an arm.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Model {
    /// A Qwen2 decoder of this shape with fresh weights.
    Fresh(ModelConfig),
    /// A model that is given.
    Given(Arc<GivenModel>),
}

impl Model {
    /// The model that is given, if it is one.
    pub fn given(&self) -> Option<&GivenModel> {
        match self {
            Self::Fresh(_) => None,
            Self::Given(given) => Some(given),
        }
    }

    /// Longest sequence, in tokens.
    pub fn context(&self) -> usize {
        match self {
            Self::Fresh(shape) => shape.context,
            Self::Given(given) => given.context,
        }
    }

    /// Trainable parameters. `vocab` stands in where the shape's is 0.
    pub fn parameters(&self, vocab: usize) -> u64 {
        match self {
            Self::Fresh(shape) => shape.parameters(vocab),
            Self::Given(given) => given.parameters,
        }
    }

    /// Layers, and the widths of the residual stream, of the feed-forward layer, and of a layer's keys.
    pub(crate) fn widths(&self) -> (usize, usize, usize, usize) {
        match self {
            Self::Fresh(c) => (c.layers, c.hidden, c.mlp, c.hidden / c.heads.max(1) * c.kv_heads),
            Self::Given(given) => (given.layers, given.hidden, given.mlp, given.kv),
        }
    }
}

//! The shape of a model.

use serde::{Deserialize, Serialize};

/// The shape of a Qwen2 decoder and how it is initialised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Size of the vocabulary, specials included. 0 in a recipe: the tokenizer's.
    #[serde(default)]
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of the SwiGLU layer.
    pub mlp: usize,
    /// Longest sequence.
    pub context: usize,
    /// RoPE base θ. Short texts want a small one (about 1e3 for under 150 tokens).
    pub rope_theta: f64,
    /// Whether input and output embeddings are one matrix.
    pub tied: bool,
    /// RMSNorm's epsilon.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
    pub init_std: f64,
    /// Whether the initial output projections of attention and MLP are scaled by 1/√(2·layers).
    pub scale_residual_init: bool,
    /// The token that ends a sample; none in a recipe: the tokenizer's. Without one, samples end by length.
    #[serde(default)]
    pub eos: Option<u32>,
    /// The padding token, only written to the checkpoint's configuration.
    #[serde(default)]
    pub pad: Option<u32>,
}

/// Most layers of a model.
const LAYERS_MAX: usize = 1 << 12;

/// Most parameters of a model: 64 GiB of weights, and as much again for each of the optimizer's moments and the
/// gradient.
pub const PARAMETERS_MAX: u64 = 1 << 34;

impl ModelConfig {
    /// Trainable parameters. `vocab` stands in where the shape's is 0.
    pub fn parameters(&self, vocab: usize) -> u64 {
        let vocab = if self.vocab == 0 { vocab } else { self.vocab };
        let [vocab, hidden, mlp] = [vocab, self.hidden, self.mlp].map(|n| n as u128);
        let kv = hidden / self.heads.max(1) as u128 * self.kv_heads as u128;
        let qkv = (hidden + 2 * kv) * (hidden + 1);
        let layer = qkv + hidden * hidden + 3 * hidden * mlp + 2 * hidden;
        let embeddings = if self.tied { 1 } else { 2 };
        let all = self.layers as u128 * layer + embeddings * vocab * hidden + hidden;
        u64::try_from(all).unwrap_or(u64::MAX)
    }

    /// Whether a model can have this shape; its vocabulary and special tokens are not looked at.
    ///
    /// # Errors
    /// The field that is wrong, and a sentence about it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (name, value) in [
            ("hidden", self.hidden),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("mlp", self.mlp),
            ("context", self.context),
        ] {
            if value == 0 {
                return Err((name, format!("the model's {name} must be at least 1")));
            }
            if value > if name == "layers" { LAYERS_MAX } else { 1 << 24 } {
                return Err((name, format!("the model's {name} = {value} is beyond any use")));
            }
        }
        let width = self.hidden / self.heads;
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(("heads", format!("{} heads do not divide a width of {}", self.heads, self.hidden)));
        }
        if !width.is_multiple_of(2) {
            return Err((
                "heads",
                format!("heads of width {width} cannot be rotated: RoPE needs an even width"),
            ));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            let (kv, heads) = (self.kv_heads, self.heads);
            return Err(("kv_heads", format!("{kv} key/value heads do not divide {heads} query heads")));
        }
        for (name, value, least) in [
            ("rope_theta", self.rope_theta, f64::MIN_POSITIVE),
            ("norm_eps", self.norm_eps, f64::MIN_POSITIVE),
            ("init_std", self.init_std, 0.0),
        ] {
            if !(value.is_finite() && value >= least) {
                let must = if least > 0.0 { "positive" } else { "at least 0" };
                return Err((name, format!("the model's {name} is {value}, but must be {must}")));
            }
        }
        Ok(())
    }
}

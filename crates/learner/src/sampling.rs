//! Prompts, samples, and how tokens are drawn.

use serde::{Deserialize, Serialize};

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Logits are divided by it; 0 is greedy: the likeliest token, of equals the one with the lowest id.
    pub temperature: f32,
    /// Nucleus: smallest set of tokens with at least this probability; 1 is off.
    pub top_p: f32,
    /// Only the k most likely tokens; 0 is off.
    pub top_k: u32,
    /// Longest response, in tokens.
    pub max_tokens: u32,
}

impl Sampling {
    /// Whether tokens can be drawn like this.
    ///
    /// # Errors
    /// The field that is wrong, and a sentence about it.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err((
                "temperature",
                format!("`temperature` is {}, but must be at least 0", self.temperature),
            ));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            let message = format!("`top_p` is {}, but must be above 0 and at most 1 (1: off)", self.top_p);
            return Err(("top_p", message));
        }
        Ok(())
    }
}

/// One prompt and how many samples of it are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The tokens the samples continue.
    pub tokens: Vec<u32>,
    /// Names the prompt in the random streams: sample `s` draws token `t` from the stream
    /// (`key`, s, t) and nothing else, so batch composition cannot change a rollout.
    pub key: [u8; 32],
    /// First sample number (resumed sampling goes on where it was).
    pub first: u32,
    /// How many samples.
    pub n: u32,
}

/// Why a sample ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// The model wrote the end token. It is the last token of the sample.
    End,
    /// `max_tokens` were written, or the context was full.
    Length,
}

/// The uniform number in [0, 1) that draws token `position` of sample `sample` of the prompt with this key. Every engine
/// draws with these numbers, by walking along the cumulative probabilities.
pub fn uniform(key: &[u8; 32], sample: u32, position: u32) -> f64 {
    let mut name = [0; 8];
    name[..4].copy_from_slice(&sample.to_le_bytes());
    name[4..].copy_from_slice(&position.to_le_bytes());
    let hash = blake3::keyed_hash(key, &name);
    let mut bits = [0; 8];
    bits.copy_from_slice(&hash.as_bytes()[..8]);
    (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64
}

/// One sampled response.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The response tokens, the end token included.
    pub tokens: Vec<u32>,
    /// Log-probability of each under the model at the sampling temperature, or at temperature 1 where sampling was
    /// greedy, and without top-p or top-k: the number the trainer computes for the same token at that temperature, bit
    /// for bit on the CPU.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub stop: StopReason,
}

#![doc = include_str!("../README.md")]

mod bpe;
mod bytes;
mod error;
mod file;
mod foreign;
mod split;
mod tokenizer;

pub use error::TokenizerError;
pub use tokenizer::{Encoded, Tokenizer};

/// The padding token. Never part of a document.
pub const PAD: &str = "<|endoftext|>";
/// The token that ends a document. transformers, verl and vLLM find it under this name.
pub const EOS: &str = "<|im_end|>";
/// The six tags of the paper's text format. They are ordinary tokens for a decoder that skips specials,
/// so that a reward function downstream still sees them.
pub const TAGS: [&str; 6] =
    ["<question>", "</question>", "<solution>", "</solution>", "<answer>", "</answer>"];

/// Ids of the specials: PAD is 0, EOS is 1, the tags follow.
pub(crate) const PAD_ID: u32 = 0;
pub(crate) const EOS_ID: u32 = 1;

/// All specials in the order of their ids.
pub(crate) fn specials() -> impl Iterator<Item = &'static str> {
    [PAD, EOS].into_iter().chain(TAGS)
}

/// Specials and single bytes: the smallest vocabulary that can write every text.
pub const LEAST_VOCABULARY: usize = 2 + TAGS.len() + 256;

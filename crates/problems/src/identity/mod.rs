//! What makes two problems the same, and which split a problem belongs to.

pub(crate) mod hash;
pub mod split;

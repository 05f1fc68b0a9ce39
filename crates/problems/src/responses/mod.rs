//! Responses that other programs wrote: what they say, and which problems they answer.
//!
//! [`Line::read`] takes a line of JSON in any of the layouts that `docs/verifier.md` lists. [`Matcher`] finds its problem.

mod cut;
mod error;
mod line;
mod matcher;
mod named;

pub use error::ResponseError;
pub use line::{Fields, Given, Line, after_prompt};
pub use matcher::{Matched, Matcher, Pool};

//! Tests of the crate as its users see it. The model is a table of bigrams with exact gradients: it trains in
//! milliseconds and can fail on command.

#![expect(non_snake_case, reason = "axes are part of names (`tokens_T`), as in the library")]

mod budgets;
#[cfg(feature = "tensorboard")]
mod events;
mod held_out;
mod keys;
mod kill;
mod learning;
mod parity;
mod resume;
mod tabular;
mod traps;
mod variants;

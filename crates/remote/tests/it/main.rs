//! Tests of the crate as its users see it: against a worker that the tests play themselves, and, where `TERCET_TORCH_PYTHON`
//! names an interpreter with torch, against the real one.

#![expect(non_snake_case, reason = "axes are part of names (`tokens_T`), as in the library")]

mod fake;
mod misbehaviour;
mod protocol;
mod torch;

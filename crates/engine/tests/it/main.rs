//! Tests of the engine through its public verbs.

#![expect(non_snake_case, reason = "axes are part of names")]

mod fixture;

mod checkpoints;
mod limits;
mod oracle;
mod parity;
mod repeatable;
mod sampling;

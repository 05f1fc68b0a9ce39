#![doc = include_str!("../README.md")]
#![expect(non_snake_case, reason = "axes are part of names (`tokens_T`), as everywhere in the field")]

mod connection;
mod factory;
mod launch;
mod learner;
mod message;
mod transfer;

pub use connection::{Limits, PROTOCOL, Worker};
pub use factory::RemoteFactory;
pub use launch::Launch;

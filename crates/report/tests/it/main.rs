//! Tests of the report on synthetic run folders.

mod fixture;
mod statistics;
mod tables;

//! Tests of the report on synthetic run folders.

mod fixture;
mod pages;
mod statistics;
mod tables;

//! Tests of the report on synthetic run folders.

#[cfg(feature = "serve")]
mod browser;
mod fixture;
#[cfg(feature = "serve")]
mod live;
mod pages;
mod statistics;
mod tables;

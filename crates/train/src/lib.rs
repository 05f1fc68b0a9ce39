//! Training: recipes, the one loop, batch sources, advantages and losses, evaluation, the run folder.

// Axes are part of names (`tokens_T`, `rewards_PG`), as everywhere in the field.
#![allow(non_snake_case)]

pub mod learner;
pub mod records;

//! The generator of a recipe's problems.

use problems::{Generator, SpecError, split::Split, stream::Stream};

use crate::recipe::Recipe;

/// The generator of a recipe's world and contexts on one split. `seed` names the problems.
pub(crate) fn generator(recipe: &Recipe, seed: u64, split: Split) -> Result<Generator, SpecError> {
    let document = &recipe.document;
    Generator::new(&document.world, &recipe.contexts, seed, Some((split, document.split)))
}

/// The seed of a generator whose problems a stream names: the first eight bytes of its key.
pub(crate) fn seed_of(stream: &Stream) -> u64 {
    stream.key().iter().take(8).rev().fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_first_eight_bytes_of_the_key_little_endian() {
        let stream = Stream::root(1).fork("problems");
        let (first, _) = stream.key().split_first_chunk::<8>().map(|(a, b)| (*a, b.len())).expect("32 bytes");
        assert_eq!(seed_of(&stream), u64::from_le_bytes(first));
    }
}

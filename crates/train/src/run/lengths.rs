//! How long problems are, in tokens, measured on a few of every cell.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry},
    rc::Rc,
};

use problems::{Cell, Generator, split::Split};
use tokens::Tokenizer;

use crate::{
    data::{Document, generator},
    error::RunError,
    recipe::Recipe,
};

/// Problems that are measured of each cell.
const PROBLEMS: u64 = 16;

/// Tokens of a problem and of its gold solution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    pub(super) prompt: usize,
    /// With the end token.
    pub(super) response: usize,
}

impl Length {
    pub(super) fn all(self) -> usize {
        self.prompt + self.response
    }
}

/// The lengths of some problems, by cell and name of the split.
type Known = BTreeMap<(Cell, &'static str), Rc<Vec<Length>>>;

/// Lengths of the problems of a recipe. Every cell is measured once, however many arms have it.
///
/// They are measured on validation problems, so that planning looks at no problem that is trained on or reported. A cell
/// that has none is measured on its own split.
pub(super) struct Lengths<'a> {
    recipe: &'a Recipe,
    tokenizer: &'a Tokenizer,
    validation: Generator,
    known: RefCell<Known>,
}

impl<'a> Lengths<'a> {
    pub(super) fn new(recipe: &'a Recipe, tokenizer: &'a Tokenizer) -> Result<Self, RunError> {
        let validation = generator(recipe, 0, Split::Validation)?;
        Ok(Self { recipe, tokenizer, validation, known: RefCell::default() })
    }

    /// The lengths of some problems of a cell.
    pub(super) fn of(&self, cell: &Cell, split: Split) -> Result<Rc<Vec<Length>>, RunError> {
        match self.known.borrow_mut().entry((cell.clone(), split.name())) {
            Entry::Occupied(known) => Ok(Rc::clone(known.get())),
            Entry::Vacant(fresh) => Ok(Rc::clone(fresh.insert(Rc::new(self.measure(cell, split)?)))),
        }
    }

    fn measure(&self, cell: &Cell, split: Split) -> Result<Vec<Length>, RunError> {
        let sequence = match self.validation.sequence(cell) {
            Ok(sequence) => sequence,
            Err(_) => generator(self.recipe, 0, split)?.sequence(cell)?,
        };
        let length = |i| {
            let document = Document::of(&sequence.problem(i), self.tokenizer);
            Length { prompt: document.prompt, response: document.tokens.len() - document.prompt }
        };
        Ok((0..PROBLEMS).map(length).collect())
    }

    /// Mean lengths of prompts and gold responses over cells of a split.
    pub(super) fn mean<'c>(
        &self,
        cells: impl Iterator<Item = (&'c Cell, f64)>,
        split: Split,
    ) -> Result<(f64, f64), RunError> {
        let (mut prompts, mut responses) = (0.0, 0.0);
        for (cell, weight) in cells {
            let share = weight / PROBLEMS as f64;
            for length in self.of(cell, split)?.iter() {
                prompts += share * length.prompt as f64;
                responses += share * length.response as f64;
            }
        }
        Ok((prompts, responses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many arms have a cell.
    #[test]
    fn a_cell_is_measured_once() {
        let text = include_str!("../../../../recipes/quickstart.toml");
        let recipe = Recipe::parse(text, "quickstart.toml", &[]).expect("right");
        let tokenizer = crate::data::tokenizer(&recipe, 20).expect("trained");
        let lengths = Lengths::new(&recipe, &tokenizer).expect("possible");
        let cell = recipe.arms[0].stages[0].cells.keys().next().expect("a cell").clone();
        let [first, second] = [(); 2].map(|()| lengths.of(&cell, Split::Train).expect("measured"));
        assert!(Rc::ptr_eq(&first, &second) && first.len() == PROBLEMS as usize);
    }
}

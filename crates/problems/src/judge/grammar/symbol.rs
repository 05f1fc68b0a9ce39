//! Variables. A single letter is looked up in a table; longer ones in a map.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Span;
use crate::world::name::folded;

/// A variable, numbered in the order of first appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Symbol(pub(crate) u32);

#[derive(Debug)]
pub(crate) struct Symbols<'t> {
    letters: [u32; 128],
    words: HashMap<Cow<'t, str>, u32>,
    count: u32,
}

impl Default for Symbols<'_> {
    fn default() -> Self {
        Self { letters: [u32::MAX; 128], words: HashMap::new(), count: 0 }
    }
}

impl<'t> Symbols<'t> {
    /// Number of different variables.
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// The variable spelled by these bytes; runs of blanks count as one.
    pub(crate) fn intern(&mut self, text: &'t str, span: Span) -> Symbol {
        let word = &text[span.range()];
        if let [letter @ 0..128] = *word.as_bytes() {
            let slot = &mut self.letters[letter as usize];
            if *slot == u32::MAX {
                *slot = self.count;
                self.count += 1;
            }
            return Symbol(*slot);
        }
        let next = self.count;
        let id = *self.words.entry(folded(word)).or_insert(next);
        self.count += u32::from(id == next);
        Symbol(id)
    }
}

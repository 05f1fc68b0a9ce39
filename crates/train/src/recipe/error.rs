//! Errors that point at a line of a recipe.

use std::{cell::RefCell, fmt};

/// What is wrong with a recipe, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RecipeError {
    /// One sentence.
    pub message: String,
    /// The place, if there is one.
    pub place: Option<Box<Place>>,
    /// What else is wrong with it.
    pub others: Vec<RecipeError>,
}

/// A place in a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or the option that an override was given with.
    pub file: String,
    /// Line, from 1; 0 for an override from outside the file.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text, of a long line the part around the place.
    pub text: String,
    /// How many characters of the text stand before the place.
    pub indent: usize,
    /// How many characters the caret underlines.
    pub width: usize,
}

/// Errors that are shown of one recipe.
const SHOWN: usize = 20;

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.one(f)?;
        for other in self.others.iter().take(SHOWN - 1) {
            f.write_str("\n\n")?;
            other.one(f)?;
        }
        match self.others.len().saturating_sub(SHOWN - 1) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more errors"),
        }
    }
}

impl RecipeError {
    /// An error without a place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None, others: Vec::new() }
    }

    /// The error without the others.
    fn one(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = &self.place else { return f.write_str(&self.message) };
        let number = if place.line == 0 { String::new() } else { place.line.to_string() };
        let gutter = " ".repeat(number.len());
        if place.line == 0 {
            writeln!(f, "{}: {}", place.file, self.message)?;
        } else {
            writeln!(f, "{}:{}:{}: {}", place.file, place.line, place.column, self.message)?;
        }
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{number} | {}", place.text)?;
        write!(f, "{gutter} | {}{}", " ".repeat(place.indent), "^".repeat(place.width.max(1)))
    }

    /// Where it stands: overrides first, then by line.
    fn order(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| (place.line, place.column))
    }
}

/// Errors that are gathered, so that all of them are told at once.
#[derive(Debug, Default)]
pub(super) struct Errors(RefCell<Vec<RecipeError>>);

impl Errors {
    /// Adds an error, unless it is there already: arms have most of a recipe in common.
    pub(super) fn add(&self, error: RecipeError) {
        let mut errors = self.0.borrow_mut();
        if !errors.contains(&error) {
            errors.push(error);
        }
    }

    /// The value, or nothing after its error was added.
    pub(super) fn of<T>(&self, result: Result<T, RecipeError>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// All errors as one, in the order of their places.
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let mut errors = self.0.borrow().clone();
        errors.sort_by_key(RecipeError::order);
        let mut errors = errors.into_iter();
        match errors.next() {
            Some(first) => Err(RecipeError { others: errors.collect(), ..first }),
            None => Ok(()),
        }
    }
}

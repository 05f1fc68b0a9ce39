//! Errors that point at a line of a recipe.

use std::fmt;

/// What is wrong with a recipe, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RecipeError {
    /// One sentence.
    pub message: String,
    /// The place, if there is one.
    pub place: Option<Place>,
}

/// A place in a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or the override as it was given.
    pub file: String,
    /// Line, from 1; 0 for an override from outside the file.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line's text.
    pub text: String,
    /// How many characters the caret underlines.
    pub width: usize,
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        write!(f, "{gutter} | {}{}", " ".repeat(place.column - 1), "^".repeat(place.width.max(1)))
    }
}

impl RecipeError {
    /// An error without a place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None }
    }
}

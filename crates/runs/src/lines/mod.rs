//! Files of JSON lines: one value per line, compressed as the name says.
//!
//! Every file of lines is read by [`Lines`], so that what other programs write is read in one way.

mod packing;
mod reader;

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{FileError, damaged, damaged_line, failed},
    files,
};
pub use packing::Packing;
pub use reader::{LINE_MAX, Line, Lines, QUOTED_MAX, brief, decode, parse};

/// The values as JSON, one per line.
///
/// # Errors
/// If a value has no JSON form.
pub fn to_bytes<T: Serialize>(path: &Path, values: &[T]) -> Result<Vec<u8>, FileError> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value).map_err(|e| damaged(path, &e))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Writes values as JSON lines, compressed as the name says. The same values give the same bytes.
///
/// # Errors
/// If the system refuses, or a value has no JSON form.
pub fn write<T: Serialize>(path: &Path, values: &[T]) -> Result<(), FileError> {
    let bytes = Packing::of(path).pack(to_bytes(path, values)?).map_err(failed(path, "compress"))?;
    files::write(path, &bytes)
}

/// Calls `each` with every value of a file of JSON lines, numbered from 0 (blank lines are not counted). Reads line by line,
/// however large the file is.
///
/// # Errors
/// If the file cannot be read, ends in the middle, or a line is not such a value.
pub fn for_each<T: DeserializeOwned>(path: &Path, mut each: impl FnMut(usize, T)) -> Result<(), FileError> {
    for (i, line) in Lines::open(path)?.enumerate() {
        let line = line.map_err(FileError::into_damage)?;
        each(i, parse(&line.text).map_err(|e| damaged_line(path, line.number, &e))?);
    }
    Ok(())
}

/// All values of a file of JSON lines.
///
/// # Errors
/// As [`for_each`].
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let mut values = Vec::new();
    for_each(path, |_, value| values.push(value))?;
    Ok(values)
}

/// The values of a file that is being appended to; none if there is no such file. A last line without its newline is not
/// finished and not read.
///
/// # Errors
/// If the file cannot be read, or a finished line is not such a value.
pub fn read_growing<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(path, "read")(e)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let value = |(i, line): (usize, &str)| parse(line).map_err(|e| damaged_line(path, i + 1, &e));
    whole.lines().enumerate().map(value).collect()
}

/// As [`read_growing`], without the lines that are no such values: for notes that no result rests on, where a line torn by a
/// crash costs no more than itself.
///
/// # Errors
/// If the file cannot be read.
pub fn read_whole_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(path, "read")(e)),
    };
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

//! The crates count bytes, Python counts characters.

use std::borrow::Cow;
use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

/// The text of a Python string. A lone surrogate, which no UTF-8 can hold, becomes U+FFFD: one character for one.
pub(crate) fn text<'a>(given: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, str>> {
    if let Ok(text) = given.to_str() {
        return Ok(Cow::Borrowed(text));
    }
    let points = given.call_method1("encode", ("utf-32-le", "surrogatepass"))?.cast_into::<PyBytes>()?;
    let (points, _) = points.as_bytes().as_chunks::<4>();
    let point =
        |&bytes: &[u8; 4]| char::from_u32(u32::from_le_bytes(bytes)).unwrap_or(char::REPLACEMENT_CHARACTER);
    Ok(Cow::Owned(points.iter().map(point).collect()))
}

/// The same range in characters.
pub(crate) fn characters(text: &str, range: &Range<usize>) -> Range<usize> {
    let count = |end: usize| match text.get(..end) {
        Some(before) if before.is_ascii() => end,
        Some(before) => before.chars().count(),
        None => text.char_indices().take_while(|(at, _)| *at < end).count(),
    };
    count(range.start)..count(range.end)
}

//! Rows of JSON lines.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

/// The lines of a file, compressed or not; `None` if there is no such file.
pub(crate) fn rows(path: &Path) -> Option<Vec<Value>> {
    let bytes = std::fs::read(path).ok()?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip of UTF-8");
    } else {
        text = String::from_utf8(bytes).expect("UTF-8");
    }
    Some(text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect())
}

/// A field that is text.
pub(crate) fn text<'r>(row: &'r Value, key: &str) -> &'r str {
    row[key].as_str().unwrap_or_else(|| panic!("{key} is text in {row}"))
}

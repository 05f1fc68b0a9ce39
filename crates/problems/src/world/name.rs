//! How names are compared.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A name as names are compared: blanks folded to one, ends trimmed, U+FFFD dropped, canonically composed.
pub(crate) fn folded(name: &str) -> Cow<'_, str> {
    // Printable ASCII with single blanks inside is as it should be.
    let mut blank = true;
    let plain = name.bytes().all(|b| {
        let doubled = blank && b == b' ';
        blank = b == b' ';
        (b' '..0x7f).contains(&b) && !doubled
    }) && !blank;
    if plain {
        return Cow::Borrowed(name);
    }
    let mut clean = String::with_capacity(name.len());
    for word in name.split(|c: char| c.is_ascii_whitespace() || c == '\u{0b}' || c == '\u{a0}') {
        let mut letters = word.chars().filter(|&c| c != '\u{fffd}').peekable();
        if letters.peek().is_some() && !clean.is_empty() {
            clean.push(' ');
        }
        clean.extend(letters);
    }
    if is_nfc(&clean) { Cow::Owned(clean) } else { Cow::Owned(clean.nfc().collect()) }
}

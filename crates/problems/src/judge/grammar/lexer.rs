//! Blanks, words and numbers.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::{Parser, Span};

const NO_BREAK_SPACE: &[u8] = "\u{a0}".as_bytes();
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Length of the blank that starts here: ASCII white space or a no-break space.
fn blank(bytes: &[u8]) -> usize {
    match bytes {
        [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => 1,
        [0xc2, 0xa0, ..] => 2,
        _ => 0,
    }
}

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

/// Is this byte part of a word (as its first byte)?
fn starts_word(bytes: &[u8]) -> bool {
    match bytes {
        [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => true,
        [0x80..=0xff, ..] => !bytes.starts_with(NO_BREAK_SPACE) && !bytes.starts_with(REPLACEMENT),
        _ => false,
    }
}

/// A letter of a language: ASCII or beyond.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

/// A number as written: `None` when it is not whole or too large.
pub(super) struct Number(pub(super) Option<i64>);

impl Parser<'_> {
    /// The bytes that are left.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        // Nearly always one blank or none, and then something visible.
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        if self.peek().is_some_and(|b| b > b' ' && b < 0x80) {
            return;
        }
        loop {
            match blank(self.rest()) {
                0 => break,
                n => self.at += n,
            }
        }
    }

    /// Takes this byte if it comes next, after blanks.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// A word: letters, digits, `_`. An apostrophe between letters belongs to it, and so does a hyphen
    /// between two letters and two letters (`sci-fi`; while `a-b` is a difference).
    pub(super) fn word(&mut self) -> Option<Span> {
        let bytes = &self.bytes[..self.end];
        let start = self.at;
        match bytes.get(start..)? {
            // One letter and then a mark or a blank: the usual variable.
            [b'a'..=b'z' | b'A'..=b'Z', b' ' | b'=' | b';' | b'.' | b')', ..] => {
                self.at += 1;
                return Some(Span::new(start, start + 1));
            }
            other if !starts_word(other) => return None,
            _ => {}
        }
        let letters =
            |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(|&b| is_letter(b)));
        while let Some(&byte) = bytes.get(self.at) {
            let at = self.at;
            let inside = match byte {
                b'\'' => letters(at.saturating_sub(1)..at) && letters(at + 1..at + 2),
                b'-' => at >= start + 2 && letters(at - 2..at) && letters(at + 1..at + 3),
                0x80.. => starts_word(&bytes[at..]),
                _ => byte.is_ascii_alphanumeric() || byte == b'_',
            };
            if !inside {
                break;
            }
            self.at += 1;
            // The whole character, so that a word never ends inside one.
            while byte >= 0x80 && bytes.get(self.at).is_some_and(|b| (0x80..0xc0).contains(b)) {
                self.at += 1;
            }
        }
        Some(Span::new(start, self.at))
    }

    /// Words with blanks between them, as far as they go.
    pub(super) fn phrase(&mut self) -> Option<Span> {
        self.skip_blanks();
        let first = self.word()?;
        let mut end = first.end as usize;
        loop {
            self.skip_blanks();
            match self.word() {
                Some(word) => end = word.end as usize,
                None => break,
            }
        }
        self.at = end;
        Some(Span::new(first.start as usize, end))
    }

    /// Digits, with `,` before groups of three and `.` before decimals.
    pub(super) fn number(&mut self) -> Option<Number> {
        let bytes = &self.bytes[..self.end];
        let start = self.at;
        let mut value = Some(0_i64);
        while let Some(digit @ b'0'..=b'9') = bytes.get(self.at) {
            value = push(value, *digit);
            self.at += 1;
        }
        if self.at == start {
            return None;
        }
        if self.at - start <= 3 {
            while let Some([b',', group @ ..]) = bytes.get(self.at..self.at + 4)
                && group.iter().all(u8::is_ascii_digit)
                && !bytes.get(self.at + 4).is_some_and(u8::is_ascii_digit)
            {
                value = group.iter().fold(value, |v, &d| push(v, d));
                self.at += 4;
            }
        }
        if let Some([b'.', b'0'..=b'9']) = bytes.get(self.at..self.at + 2) {
            self.at += 1;
            while let Some(digit @ b'0'..=b'9') = bytes.get(self.at) {
                value = value.filter(|_| *digit == b'0');
                self.at += 1;
            }
        }
        // `3x`, `58e0`: no number that we know.
        (!starts_word(&bytes[self.at..])).then_some(Number(value))
    }

    /// A dot that ends a sentence: not one between two digits.
    pub(super) fn ends_sentence(&self, at: usize) -> bool {
        let digit = |i: usize| self.bytes[..self.end].get(i).is_some_and(u8::is_ascii_digit);
        self.bytes[at] == b'.' && !(at > 0 && digit(at - 1) && digit(at + 1))
    }

    /// Is this the end of a clause: `;`, `:`, the dot of a sentence, or the end of the part?
    pub(super) fn at_clause_end(&self) -> bool {
        match self.peek() {
            None | Some(b';' | b':') => true,
            Some(b'.') => self.ends_sentence(self.at),
            Some(_) => false,
        }
    }

    /// Skips to the next `=` or the end of the clause.
    pub(super) fn skip_remark(&mut self) {
        while !self.at_clause_end() && self.peek() != Some(b'=') {
            self.at += 1;
        }
    }

    /// Skips to the end of the clause.
    pub(super) fn skip_clause(&mut self) {
        while !self.at_clause_end() {
            self.at += 1;
        }
    }
}

fn push(value: Option<i64>, digit: u8) -> Option<i64> {
    value?.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
}

//! Blanks, words and numbers.

use unicode_normalization::char::is_combining_mark;

use super::{Parser, Span};

/// Length of the blank that starts here: ASCII white space or a no-break space.
fn blank(bytes: &[u8]) -> usize {
    match bytes {
        [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, ..] => 1,
        [0xc2, 0xa0, ..] => 2,
        _ => 0,
    }
}

/// The character that these bytes of a text begin with.
fn first_char(bytes: &[u8]) -> Option<char> {
    let length = match bytes.first()? {
        0x00..=0x7f => 1,
        0x80..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    };
    std::str::from_utf8(bytes.get(..length)?).ok()?.chars().next()
}

/// Does a word begin here? Letters are what Unicode calls alphabetic: signs of any script are not.
fn starts_word(bytes: &[u8]) -> bool {
    match bytes {
        [b'a'..=b'z' | b'A'..=b'Z' | b'_', ..] => true,
        [0x80..=0xff, ..] => first_char(bytes).is_some_and(char::is_alphabetic),
        _ => false,
    }
}

/// A letter beyond ASCII, or what is written on one or joins two.
fn is_wide_letter(c: char) -> bool {
    c.is_alphabetic() || is_combining_mark(c) || matches!(c, '\u{200c}' | '\u{200d}')
}

/// Does the word whose bytes are `bytes[start..at]` go on with the character beyond ASCII at `at`? The typographic
/// apostrophe and hyphens belong to it where their ASCII twins would.
fn goes_on(bytes: &[u8], start: usize, at: usize) -> bool {
    let letters =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(|&b| is_letter(b)));
    match first_char(&bytes[at..]) {
        Some('’') => at > start && letters(at + 3..at + 4),
        Some('\u{2010}' | '\u{2011}') => at >= start + 2 && letters(at - 2..at) && letters(at + 3..at + 5),
        Some(c) => is_wide_letter(c),
        None => false,
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
                0x80.. => goes_on(bytes, start, at),
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
        // `3x` and `58e0` are not numbers.
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

    /// Skips to the next `=` or the end of the clause. `true` if what was skipped are words: nothing that could be a
    /// number, an operator or a relation.
    pub(super) fn skip_remark(&mut self) -> bool {
        let mut words = true;
        while !self.at_clause_end() {
            let bytes = self.rest();
            let length = match bytes[0] {
                b'=' => break,
                b'a'..=b'z' | b'A'..=b'Z' | b' ' | b'\t'..=b'\r' | b',' | b'\'' | b'"' | b'!' | b'?' => 1,
                b'-' => {
                    let before = self.at.checked_sub(1).map(|at| self.bytes[at]);
                    words &= before.is_some_and(is_letter) && bytes.get(1).is_some_and(|&b| is_letter(b));
                    1
                }
                0x80.. => match first_char(bytes) {
                    Some(c) => {
                        words &= is_wide_letter(c) || c.is_whitespace() || matches!(c, '’' | '‘' | '“' | '”');
                        c.len_utf8()
                    }
                    None => 1,
                },
                _ => {
                    words = false;
                    1
                }
            };
            self.at += length;
        }
        words
    }

    /// A word of two letters or more comes next: one letter alone would be a variable.
    pub(super) fn at_words(&mut self) -> bool {
        let start = self.at;
        let word = self.word();
        self.at = start;
        word.is_some_and(|word| self.text[word.range()].chars().nth(1).is_some())
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

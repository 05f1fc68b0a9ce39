//! Reading lines as the world writes them.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::packing::Packing;
use crate::error::{FileError, bad_line, failed};

/// The longest line that is read, in bytes: 64 MiB. A longer one is an error, so that no file can fill the memory.
pub const LINE_MAX: usize = 64 << 20;

/// The most that an error message quotes of a line, in characters.
pub const QUOTED_MAX: usize = 240;

/// The byte order mark that some programs put before UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A line with content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Its number in the file, from 1. Blank lines are counted.
    pub number: usize,
    /// Its text, without the line break.
    pub text: String,
}

/// The lines of a file, one at a time, as [`decode`] reads them. Lines end in `\n` or `\r\n`. Blank lines are skipped.
pub struct Lines {
    /// None after an error.
    source: Option<Box<dyn BufRead>>,
    path: PathBuf,
    number: usize,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines")
            .field("path", &self.path)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Lines {
    /// Opens a file, compressed as the name says.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(failed(path, "read"))?;
        Ok(Self::of(Packing::of(path).reader(BufReader::new(file)), path))
    }

    /// Reads lines from anywhere, e.g. from a pipe. A line is given as soon as it has come. Errors name `path`.
    pub fn of(source: impl BufRead + 'static, path: &Path) -> Self {
        Self { source: Some(Box::new(source)), path: path.to_owned(), number: 0 }
    }

    /// The next line with content; `None` at the end.
    fn read(&mut self) -> Result<Option<Line>, FileError> {
        loop {
            let Some(source) = self.source.as_mut() else { return Ok(None) };
            self.number += 1;
            let wrong = |reason: &dyn ToString| bad_line(&self.path, self.number, reason);
            let mut line = Vec::new();
            let read = source.take(LINE_MAX as u64 + 2).read_until(b'\n', &mut line);
            if read.map_err(|e| wrong(&e))? == 0 {
                return Ok(None);
            }
            if line.ends_with(b"\n") {
                line.pop();
            }
            if line.len() > LINE_MAX {
                return Err(wrong(&format!("it is longer than {} MiB", LINE_MAX >> 20)));
            }
            if self.number == 1 && (line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff")) {
                return Err(wrong(&"the file is UTF-16: convert it to UTF-8"));
            }
            let text = decode(&line);
            if !text.trim_ascii().is_empty() {
                return Ok(Some(Line { number: self.number, text: text.into_owned() }));
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<Line, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.read();
        if line.is_err() {
            self.source = None;
        }
        line.transpose()
    }
}

/// A line as text, without its line break and without byte order marks before it. Bytes that are no UTF-8 become U+FFFD.
pub fn decode(line: &[u8]) -> Cow<'_, str> {
    let mut line = line.strip_suffix(b"\n").unwrap_or(line);
    line = line.strip_suffix(b"\r").unwrap_or(line);
    while let Some(rest) = line.strip_prefix(MARK) {
        line = rest;
    }
    String::from_utf8_lossy(line)
}

/// A value from a line of JSON. A surrogate that stands alone (`"\ud83d"`) becomes U+FFFD, since it is half a character.
///
/// # Errors
/// What is wrong, of which at most [`QUOTED_MAX`] characters are told.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let mended = mended(text).and_then(|text| serde_json::from_str(&text).ok());
    mended.ok_or_else(|| brief(&error.to_string()))
}

/// A message without its middle if it has more than [`QUOTED_MAX`] characters: what is wrong stands at its beginning, the place
/// at its end.
pub fn brief(message: &str) -> String {
    let length = message.chars().count();
    if length <= QUOTED_MAX {
        return message.to_owned();
    }
    let end = QUOTED_MAX / 3;
    let begin: String = message.chars().take(QUOTED_MAX - end).collect();
    let rest: String = message.chars().skip(length - end).collect();
    format!("{begin} … {rest}")
}

/// JSON with U+FFFD in place of surrogates that stand alone; `None` if there is none.
fn mended(json: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        let here = at + found;
        at = here + 2;
        let Some(first) = escaped(json, here) else { continue };
        at = here + ESCAPE;
        if !(0xd800..0xe000).contains(&first) {
            continue;
        }
        if first < 0xdc00 && escaped(json, at).is_some_and(|second| (0xdc00..0xe000).contains(&second)) {
            at += ESCAPE;
            continue;
        }
        out.push_str(&json[copied..here]);
        out.push_str("\\ufffd");
        copied = at;
    }
    (copied > 0).then(|| out + &json[copied..])
}

/// Length of `\uXXXX`.
const ESCAPE: usize = 6;

/// The code unit of `\uXXXX` at a place.
fn escaped(json: &str, at: usize) -> Option<u32> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde_json::Value;

    use super::*;

    fn lines(bytes: &[u8]) -> Result<Vec<(usize, String)>, String> {
        let lines = Lines::of(Cursor::new(bytes.to_vec()), Path::new("a.jsonl"));
        lines.map(|line| line.map(|l| (l.number, l.text)).map_err(|e| e.to_string())).collect()
    }

    #[test]
    fn marks_carriage_returns_and_blank_lines_are_no_content() {
        let read = lines(b"\xef\xbb\xbfone\r\n\r\n \t\ntwo\n\xef\xbb\xbf\n\xef\xbb\xbfthree").expect("text");
        assert_eq!(read, [(1, "one".to_owned()), (4, "two".to_owned()), (6, "three".to_owned())]);
        assert_eq!(lines(b"\xef\xbb\xbf\r\n").expect("text"), []);
    }

    #[test]
    fn bytes_that_are_no_utf8_are_read_and_utf16_is_named() {
        let read = lines(b"a\xffb\n\xed\xa0\xbd").expect("text");
        assert_eq!(read[0].1, "a\u{fffd}b");
        assert!(read[1].1.chars().all(|c| c == '\u{fffd}'), "{read:?}");
        let error = lines(b"\xff\xfe{\0}\0\n\0").expect_err("UTF-16");
        assert_eq!(error, "line 1 of `a.jsonl`: the file is UTF-16: convert it to UTF-8");
    }

    #[test]
    fn a_line_without_end_is_an_error_before_it_fills_the_memory() {
        let endless = BufReader::new(std::io::repeat(b'x'));
        let mut lines = Lines::of(endless, Path::new("a.jsonl"));
        let error = lines.next().expect("a line").expect_err("it is too long").to_string();
        assert_eq!(error, "line 1 of `a.jsonl`: it is longer than 64 MiB");
        assert!(lines.next().is_none());
    }

    #[test]
    fn a_surrogate_alone_is_half_a_character() {
        let check = |json: &str, expected: &str| {
            assert_eq!(parse::<Value>(json).as_ref().map(Value::as_str), Ok(Some(expected)), "{json}");
        };
        check(r#""a\ud83db""#, "a\u{fffd}b");
        check(r#""a\udE00""#, "a\u{fffd}");
        check(r#""\ud83d\ud83d\ude00\ud83d""#, "\u{fffd}😀\u{fffd}");
        check(r#""\ud83d\u0041""#, "\u{fffd}A");
        check(r#""\ud83d\\ude00""#, "\u{fffd}\\ude00");
        check(r#""\ud83d\ude00""#, "😀");
        check(r#""\\ud83d""#, "\\ud83d");
        assert!(parse::<Value>(r#""\ud83""#).is_err());
    }

    #[test]
    fn an_error_quotes_little_of_a_long_line() {
        let json = format!("{:?}", "é".repeat(100_000));
        let error = parse::<u64>(&json).expect_err("no number");
        assert!(error.chars().count() < QUOTED_MAX + 5, "{error}");
        assert!(error.starts_with("invalid type: string") && error.contains("at line 1 column"), "{error}");
    }
}

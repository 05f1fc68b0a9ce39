//! `Define NAME as V; clause; so V = ….` and the tail of reverse problems.

use std::iter::Peekable;
use std::sync::LazyLock;

use memchr::memmem::{FindIter, Finder};

use super::lexer::Number;
use crate::world::context::Style;

use super::{Item, Known, KnownBy, Parser, Span, Step, Tail, Variable};

/// A word that starts a part of the solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keyword {
    Define,
    WeKnow,
}

fn is_wordy(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Is `word` here, and is it a whole word? Letter case does not matter.
fn word_at(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    bytes.get(at..at + word.len()).is_some_and(|b| b.eq_ignore_ascii_case(word))
        && (at == 0 || !is_wordy(bytes[at - 1]))
        && !bytes.get(at + word.len()).is_some_and(|&b| is_wordy(b))
}

/// What the two keywords have in common in either case of their first letter.
static FINDERS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("efine"), Finder::new("know")]);

/// Finds the words that start parts of a solution, in the order of the text.
struct Keywords<'b> {
    bytes: &'b [u8],
    defines: Peekable<FindIter<'b, 'static>>,
    knows: Peekable<FindIter<'b, 'static>>,
}

impl<'b> Keywords<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        let [define, know] = &*FINDERS;
        Self { bytes, defines: define.find_iter(bytes).peekable(), knows: know.find_iter(bytes).peekable() }
    }

    /// `Define` or `define` whose second letter is here: where it starts and ends.
    fn define(&self, at: usize) -> Option<(usize, usize)> {
        let start = at.checked_sub(1)?;
        word_at(self.bytes, start, b"define").then_some((start, at + 5))
    }

    /// `We know` or `we know` whose second word is here: where it starts and ends.
    fn we_know(&self, at: usize) -> Option<(usize, usize)> {
        let before = self.bytes[..at].trim_ascii_end();
        let start = before.len().checked_sub(2)?;
        let found =
            before.len() < at && word_at(self.bytes, start, b"we") && word_at(self.bytes, at, b"know");
        found.then_some((start, at + 4))
    }
}

impl Iterator for Keywords<'_> {
    type Item = (usize, usize, Keyword);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let define = self.defines.peek().copied();
            let know = self.knows.peek().copied();
            if define.is_some_and(|d| know.is_none_or(|k| d < k)) {
                self.defines.next();
                if let Some((start, end)) = self.define(define?) {
                    return Some((start, end, Keyword::Define));
                }
            } else {
                self.knows.next();
                if let Some((start, end)) = self.we_know(know?) {
                    return Some((start, end, Keyword::WeKnow));
                }
            }
        }
    }
}

/// Does the text have a prose header?
pub(super) fn has_define(bytes: &[u8], body: Span) -> bool {
    Keywords::new(&bytes[body.range()]).any(|(.., keyword)| keyword == Keyword::Define)
}

impl Parser<'_> {
    /// Reads a solution in prose.
    pub(super) fn prose(&mut self, body: Span) {
        self.solution.style = Style::Prose;
        let bytes = &self.bytes[..body.end as usize];
        let mut keywords = Keywords::new(bytes).peekable();
        while let Some((start, content, keyword)) = keywords.next() {
            self.at = content;
            self.end = keywords.peek().map_or(body.end as usize, |&(at, ..)| at);
            let item = match keyword {
                Keyword::Define => Item::Step(self.prose_step(start)),
                Keyword::WeKnow => Item::Tail(self.prose_tail(start)),
            };
            self.solution.items.push(item);
        }
    }

    fn prose_step(&mut self, start: usize) -> Step {
        let end = self.at + self.rest().trim_ascii_end().len();
        let (name, variable) = self.header();
        let clauses = self.solution.clauses.len() as u32;
        let mut unknown = false;
        if variable.is_some() {
            while self.next_clause() {
                unknown |= self.prose_clause();
            }
        }
        let clauses = clauses..self.solution.clauses.len() as u32;
        Step { span: Span::new(start, end), name, variable, unknown, clauses }
    }

    /// `NAME as V;`. The name runs to the last `as` before the semicolon.
    fn header(&mut self) -> (Span, Option<Variable>) {
        let text = &self.bytes[self.at..self.end];
        let stop = text.iter().position(|b| matches!(b, b';' | b'='));
        let length = stop.unwrap_or(text.len());
        let named = |parser: &Self, length: usize| {
            let raw = &parser.bytes[parser.at..parser.at + length];
            let start = parser.at + length - raw.trim_ascii_start().len();
            Span::new(start, start + raw.trim_ascii().len())
        };
        let head = &text[..length];
        let split = (1..length.saturating_sub(2)).rev().find(|&at| {
            head[at] | 32 == b'a'
                && word_at(head, at, b"as")
                && head[at - 1].is_ascii_whitespace()
                && head[at + 2].is_ascii_whitespace()
        });
        let Some(split) = split.filter(|_| stop.is_some_and(|at| text[at] == b';')) else {
            return (named(self, length), None);
        };
        let name = named(self, split);
        let (start, end) = (self.at, self.at + length);
        self.at = start + split + 2;
        let phrase = self.phrase();
        self.skip_blanks();
        let complete = self.at == end;
        self.at = end + 1;
        let variable = phrase.filter(|_| complete).map(|v| self.variable(v));
        (name, variable)
    }

    /// Moves past `;`, `:`, `.` and blanks; `false` at the end.
    pub(super) fn next_clause(&mut self) -> bool {
        self.skip_blanks();
        while matches!(self.peek(), Some(b';' | b'.' | b':')) {
            self.at += 1;
            self.skip_blanks();
        }
        self.at < self.end
    }

    /// A clause of a step; `true` when it says that the value is unknown. Other wording is a remark.
    fn prose_clause(&mut self) -> bool {
        loop {
            let start = self.at;
            let Some(phrase) = self.phrase() else {
                self.skip_clause();
                return false;
            };
            self.skip_blanks();
            if self.peek() == Some(b':') {
                self.at += 1;
                self.skip_blanks();
                continue;
            }
            if self.peek() == Some(b',') && !self.skip_remark() {
                self.skip_clause();
                return false;
            }
            if self.peek() == Some(b'=') {
                let target = self.without_so(phrase);
                let target = self.variable(target);
                self.chain(start, Some(target));
                return false;
            }
            self.skip_clause();
            return says_unknown(self.text[phrase.range()].as_bytes());
        }
    }

    /// The phrase without a leading "so".
    fn without_so(&self, phrase: Span) -> Span {
        let bytes = &self.bytes[phrase.range()];
        match bytes {
            [b's' | b'S', b'o', rest @ ..] if rest.first().is_some_and(u8::is_ascii_whitespace) => {
                let skipped = bytes.len() - rest.trim_ascii_start().len();
                Span::new(phrase.start as usize + skipped, phrase.end as usize)
            }
            _ => phrase,
        }
    }

    /// `We know V = n, so we have E = n and …: E = n. …`
    fn prose_tail(&mut self, start: usize) -> Tail {
        let span = Span::new(start, self.at + self.rest().trim_ascii_end().len());
        let known = self.known(start);
        let equations = self.solution.clauses.len() as u32;
        while self.next_clause() {
            self.tail_clause();
        }
        Tail { span, known, equations: equations..self.solution.clauses.len() as u32 }
    }

    fn known(&mut self, start: usize) -> Option<Known> {
        let phrase = self.phrase()?;
        if !self.take(b'=') {
            return None;
        }
        self.skip_blanks();
        let Number(value) = self.signed_number()?;
        let by = KnownBy::Variable(self.variable(phrase));
        let span = Span::new(start, self.at);
        if self.peek() == Some(b',') {
            self.at += 1;
        }
        Some(Known { by, span, value })
    }

    /// A number with or without a sign.
    pub(super) fn signed_number(&mut self) -> Option<Number> {
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        self.skip_blanks();
        let Number(value) = self.number()?;
        Some(Number(if negative { value.map(|v| -v) } else { value }))
    }

    /// An equation with words around it: `so we have E = n and we solve …`, `Solution: x = n`.
    pub(super) fn tail_clause(&mut self) {
        const LEAD: [&[u8]; 5] = [b"so", b"we", b"have", b"then", b"thus"];
        loop {
            self.skip_blanks();
            while let Some(lead) = LEAD.iter().find(|w| word_at(&self.bytes[..self.end], self.at, w)) {
                self.at += lead.len();
                self.skip_blanks();
            }
            let start = self.at;
            let first = self.solution.members.len();
            // The left side, unless words follow that end in a colon.
            let colon = self.left_side();
            if colon {
                self.solution.members.truncate(first);
                continue;
            }
            if self.peek() == Some(b'=') {
                self.chain(start, None);
                // The chain began after the left side; widen it.
                if let Some(clause) = self.solution.clauses.last_mut() {
                    clause.members.start = first as u32;
                }
            } else {
                self.solution.members.truncate(first);
                self.skip_clause();
            }
            return;
        }
    }

    /// Reads to the `=` or the end of the clause as one member; `true` after a colon that came before.
    fn left_side(&mut self) -> bool {
        let stop = (self.at..self.end)
            .find(|&i| matches!(self.bytes[i], b':' | b'=' | b';') || self.ends_sentence(i));
        match stop {
            Some(at) if self.bytes[at] == b':' => {
                self.at = at + 1;
                true
            }
            Some(at) if self.bytes[at] == b'=' => {
                let end = std::mem::replace(&mut self.end, at);
                self.member();
                self.end = end;
                false
            }
            _ => {
                self.skip_clause();
                false
            }
        }
    }
}

/// `we don't know …`, with either apostrophe.
fn says_unknown(phrase: &[u8]) -> bool {
    let mut words = phrase.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
    let we = words.next().is_some_and(|w| w.eq_ignore_ascii_case(b"we"));
    let dont = words.next().is_some_and(|w| w == b"don't" || w == "don’t".as_bytes());
    we && dont && words.next() == Some(b"know")
}

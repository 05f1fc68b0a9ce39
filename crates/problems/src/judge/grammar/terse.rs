//! `NAME: m =2 * j =2 *3 =6.` One sentence a step; its variable is the target of its last clause.

use super::lexer::Number;
use crate::world::context::Style;

use super::{Item, Known, KnownBy, Parser, Span, Step, Tail};

impl Parser<'_> {
    /// Reads a solution in the terse style.
    pub(super) fn terse(&mut self, body: Span) {
        self.solution.style = Style::Terse;
        self.at = 0;
        self.end = body.end as usize;
        while self.next_clause() {
            let start = self.at;
            let Some(item) = self.terse_item(start) else {
                // No header: skip the sentence.
                self.skip_sentence();
                continue;
            };
            self.solution.items.push(item);
        }
    }

    fn skip_sentence(&mut self) {
        while self.at < self.end && (!self.at_clause_end() || self.peek() == Some(b';')) {
            self.at += 1;
        }
    }

    fn terse_item(&mut self, start: usize) -> Option<Item> {
        let head = &self.bytes[start..self.end];
        let mut length = None;
        let mut equals = None;
        for (i, &byte) in head.iter().enumerate() {
            match byte {
                b':' => {
                    length = Some(i);
                    break;
                }
                b'=' if equals.is_none() => equals = Some(i),
                b';' | b'=' => break,
                b'.' => {
                    let digit = |j: usize| head.get(j).is_some_and(u8::is_ascii_digit);
                    if !(i > 0 && digit(i - 1) && digit(i + 1)) {
                        break;
                    }
                }
                _ => {}
            }
        }
        let colon = start + length?;
        let name_end = start + equals.unwrap_or(length?);
        let name = Span::new(start, start + self.bytes[start..name_end].trim_ascii_end().len());
        let known = match equals {
            None => None,
            Some(at) => {
                self.at = start + at + 1;
                self.skip_blanks();
                let Number(value) = self.signed_number()?;
                let span = Span::new(start, self.at);
                self.skip_blanks();
                if self.at != colon {
                    return None;
                }
                Some(Known { by: KnownBy::Name(name), span, value })
            }
        };
        self.at = colon + 1;
        let first = self.solution.clauses.len() as u32;
        if known.is_some() {
            while self.sentence_goes_on() {
                self.tail_clause();
            }
            let span = Span::new(start, (self.at + 1).min(self.end));
            return Some(Item::Tail(Tail {
                span,
                known,
                equations: first..self.solution.clauses.len() as u32,
            }));
        }
        let mut unknown = false;
        while self.sentence_goes_on() {
            unknown |= self.terse_clause();
        }
        let clauses = first..self.solution.clauses.len() as u32;
        let variable =
            self.solution.clauses[clauses.start as usize..].last().and_then(|clause| clause.target);
        let span = Span::new(start, (self.at + 1).min(self.end));
        let clauses = if unknown { clauses.start..clauses.start } else { clauses };
        Some(Item::Step(Step { span, name, variable, unknown, clauses }))
    }

    /// Moves to the next clause of this sentence; `false` at the dot or the end.
    fn sentence_goes_on(&mut self) -> bool {
        self.skip_blanks();
        while self.peek() == Some(b';') {
            self.at += 1;
            self.skip_blanks();
        }
        !self.at_clause_end()
    }

    /// `m =2 * j =6` or `x =?`; `true` for the latter.
    fn terse_clause(&mut self) -> bool {
        let start = self.at;
        let target = self.phrase();
        self.skip_blanks();
        let Some(target) = target.filter(|_| self.peek() == Some(b'=')) else {
            self.skip_clause();
            return false;
        };
        let target = self.variable(target);
        self.chain(start, Some(target));
        let question = |span: Span| self.bytes[span.range()] == *b"?";
        self.solution.clauses.last().is_some_and(|clause| {
            clause.members.len() == 1 && question(self.solution.members[clause.members.start as usize].span)
        })
    }
}

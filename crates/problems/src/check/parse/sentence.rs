//! One sentence or question, read with the words of a context.

use std::collections::BTreeMap;

use crate::world::context::{Context, Style, Word};
use crate::world::graph::{Act, Join};

use super::ParseError;

/// A quantity as a context names it: kind and place by word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    Count(Word, Word),
    Average(Word, Word),
    Total(Word),
    Grand(Word),
}

impl Named {
    pub(super) fn place(self) -> Word {
        match self {
            Self::Count(_, place) | Self::Average(_, place) | Self::Total(place) | Self::Grand(place) => {
                place
            }
        }
    }

    pub(super) fn kind(self) -> Option<Word> {
        match self {
            Self::Count(kind, _) | Self::Average(kind, _) => Some(kind),
            Self::Total(_) | Self::Grand(_) => None,
        }
    }
}

/// What a sentence says of its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Number(i64),
    Exists,
    Joined(Option<(Act, i64)>, Join, Vec<Named>),
}

/// The modulus, if the sentence states one.
pub(super) fn modulus(sentence: &str, style: Style) -> Option<i64> {
    let number = match style {
        Style::Prose => sentence.strip_prefix("All numbers are taken modulo "),
        Style::Terse => sentence.strip_prefix("modulo"),
    };
    number?.parse().ok().filter(|&m| m > 0)
}

/// Reads sentences of one context.
pub(super) struct Reader<'c> {
    context: &'c Context,
    names: BTreeMap<&'c str, Named>,
    questions: BTreeMap<String, Named>,
}

impl<'c> Reader<'c> {
    pub(super) fn new(context: &'c Context) -> Self {
        let mut names = BTreeMap::new();
        let mut questions = BTreeMap::new();
        let mut add = |name: &'c str, named: Named, question: String| {
            questions.insert(question, named);
            questions.insert(format!("{name}?"), named);
            names.insert(name, named);
        };
        for (place, place_word) in context.place_words() {
            for (kind, kind_word) in context.kind_words() {
                let count = context.count(place, kind);
                add(count, Named::Count(kind_word, place_word), context.how_many(place, kind));
                let average = context.average(place, kind);
                add(average, Named::Average(kind_word, place_word), context.what_is(average));
            }
            let (total, grand) = (context.total(place), context.grand(place));
            add(total, Named::Total(place_word), context.what_is(total));
            add(grand, Named::Grand(place_word), context.what_is(grand));
        }
        Self { context, names, questions }
    }

    pub(super) fn name(&self, name: &str) -> Result<Named, ParseError> {
        self.names.get(name).copied().ok_or_else(|| ParseError::Name(name.to_owned()))
    }

    pub(super) fn question(&self, question: &str) -> Result<Named, ParseError> {
        let question = question.trim();
        self.questions.get(question).copied().ok_or_else(|| ParseError::Question(question.to_owned()))
    }

    pub(super) fn sentence(&self, sentence: &str, style: Style) -> Result<(Named, Said), ParseError> {
        match style {
            Style::Prose => self.prose(sentence),
            Style::Terse => self.terse(sentence),
        }
        .map_err(|error| match error {
            ParseError::Name(name) => ParseError::Sentence { sentence: sentence.to_owned(), at: name },
            other => other,
        })
    }

    /// `the number of adult wolf in South Zoo`, capital or not.
    fn reference(&self, text: &str) -> Result<Named, ParseError> {
        let strip = |(before, after): (&str, &str)| {
            let head = text.get(..before.len())?;
            let rest = head.eq_ignore_ascii_case(before).then(|| &text[before.len()..])?;
            rest.strip_suffix(after)
        };
        let known = |name: Option<&str>| name.and_then(|name| self.names.get(name).copied());
        known(strip(self.context.count_phrase()))
            .filter(|named| matches!(named, Named::Count(..)))
            .or_else(|| {
                known(strip(self.context.other_phrase())).filter(|named| !matches!(named, Named::Count(..)))
            })
            .ok_or_else(|| ParseError::Name(text.to_owned()))
    }

    fn prose(&self, sentence: &str) -> Result<(Named, Said), ParseError> {
        for ending in [" exists, and its number is greater than 0", " is greater than 0"] {
            if let Some(subject) = sentence.strip_suffix(ending) {
                return Ok((self.reference(subject)?, Said::Exists));
            }
        }
        let unread = || ParseError::Sentence { sentence: sentence.to_owned(), at: sentence.to_owned() };
        let (subject, said) = sentence.split_once(" equals ").ok_or_else(unread)?;
        let subject = self.reference(subject)?;
        if let Ok(number) = said.parse() {
            return Ok((subject, Said::Number(number)));
        }
        let literal = |word: &str, act: Act| {
            let (number, rest) = said.split_once(word)?;
            Some(((act, number.parse::<i64>().ok()?), rest))
        };
        let (literal, body) = match literal(" plus ", Act::Plus).or_else(|| literal(" times ", Act::Times)) {
            Some((literal, body)) => (Some(literal), body),
            None => (None, said),
        };
        let (join, list) = if let Some(list) = body.strip_prefix("the difference between ") {
            (Join::Difference, list)
        } else {
            (Join::Sum, body.strip_prefix("the sum of ").unwrap_or(body))
        };
        // Three and more are set apart by commas, two by `and`.
        let names: Result<Vec<Named>, ParseError> = if list.contains(", ") {
            list.split(", ").map(|part| self.reference(part.strip_prefix("and ").unwrap_or(part))).collect()
        } else {
            list.split(" and ").map(|part| self.reference(part)).collect()
        };
        let names = names?;
        let count = match (join, list.len() < body.len()) {
            (Join::Difference, _) => names.len() == 2,
            (Join::Sum, true) => names.len() >= 2,
            (Join::Sum, false) => names.len() == 1,
        };
        if count { Ok((subject, Said::Joined(literal, join, names))) } else { Err(unread()) }
    }

    fn terse(&self, sentence: &str) -> Result<(Named, Said), ParseError> {
        let unread = || ParseError::Sentence { sentence: sentence.to_owned(), at: sentence.to_owned() };
        let (subject, said) = sentence.split_once(" =").ok_or_else(unread)?;
        let subject = self.name(subject)?;
        if said == "?" {
            return Ok((subject, Said::Exists));
        }
        if let Ok(number) = said.parse() {
            return Ok((subject, Said::Number(number)));
        }
        let digits = said.bytes().take_while(u8::is_ascii_digit).count();
        let (literal, body) = if digits == 0 {
            (None, said)
        } else {
            let number = said[..digits].parse().map_err(|_| unread())?;
            match said[digits..].split_at_checked(2) {
                Some((" +", body)) => (Some((Act::Plus, number)), body),
                Some((" *", body)) => (Some((Act::Times, number)), body),
                _ => return Err(unread()),
            }
        };
        let body = body.trim_start();
        let body = body.strip_prefix('(').and_then(|b| b.strip_suffix(')')).unwrap_or(body);
        let (join, sign) = if body.contains(" - ") { (Join::Difference, " - ") } else { (Join::Sum, " + ") };
        let names: Vec<Named> = body.split(sign).map(|name| self.name(name)).collect::<Result<_, _>>()?;
        if join == Join::Difference && names.len() != 2 {
            return Err(unread());
        }
        Ok((subject, Said::Joined(literal, join, names)))
    }
}

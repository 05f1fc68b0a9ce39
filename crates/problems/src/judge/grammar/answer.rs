//! The tags around a solution, and the answer inside them.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Span;

/// The tags of a response and the answers it gives.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    /// Every answer that was given, in order.
    pub(crate) answers: Vec<Answer>,
    /// Exactly one `</solution>`, one `<answer>`, one `</answer>`, in this order, and nothing after them.
    pub(crate) well_formed: bool,
    /// `</answer>` was written.
    pub(crate) closed: bool,
    /// Where the solution's text ends.
    pub(crate) body_end: u32,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The bytes between the tags, or after `Answer:`.
    pub(crate) span: Span,
    /// The number in its normal form; `None` when it is not a number.
    pub(crate) value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    SolutionEnd,
    Answer,
    AnswerEnd,
    Other,
}

/// Longest answer in bytes, after trimming.
const ANSWER_MAX: usize = 64;

/// What may follow the last tag.
const END_MARKS: [&str; 4] = ["[EOS]", "<|im_end|>", "<|endoftext|>", "</s>"];

/// An answer in its normal form, or `None` when it is not a number.
///
/// Blanks around it and dots after it are dropped, a plus sign and leading zeros too; commas may group
/// thousands; decimals lose trailing zeros (`8.0` is `8`). Words, fractions and formulas are not numbers.
pub fn normalise_answer(text: &str) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace()).trim_end_matches('.').trim_end();
    if text.len() > ANSWER_MAX {
        return None;
    }
    if matches!(text.as_bytes(), [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit)) {
        return Some(text.to_owned());
    }
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    if decimals.is_empty() || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let whole = ungrouped(whole)?;
    let whole = whole.trim_start_matches('0');
    let decimals = decimals.trim_end_matches('0');
    let mut normal = String::with_capacity(text.len() + 1);
    if negative && !(whole.is_empty() && decimals.is_empty()) {
        normal.push('-');
    }
    normal.push_str(if whole.is_empty() { "0" } else { whole });
    if !decimals.is_empty() {
        normal.push('.');
        normal.push_str(decimals);
    }
    Some(normal)
}

/// The digits without the commas between groups of three.
fn ungrouped(digits: &str) -> Option<String> {
    let mut groups = digits.split(',');
    let first = groups.next()?;
    if first.is_empty() || !first.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut out = String::from(first);
    for group in groups {
        if first.len() > 3 || group.len() != 3 || !group.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        out.push_str(group);
    }
    Some(out)
}

/// Separates the solution's text from the tags and answers after it.
pub(super) fn split(text: &str) -> (Span, Tags) {
    let mut tags = Tags::default();
    let mut tag_starts = Vec::new();
    let mut seen = [Tag::Other; 4];
    let mut count = 0;
    let mut lower = true;
    let mut from = 0;
    let mut last_end = 0;
    while let Some((at, length, tag)) = next_tag(text, from) {
        close_answer(text, &mut tags, at);
        lower &= text[at..at + length].bytes().all(|b| !b.is_ascii_uppercase());
        tag_starts.push(at);
        from = at + length;
        last_end = from;
        if tag == Tag::Answer {
            tags.answers.push(Answer { span: Span::new(from, usize::MAX), value: None });
        }
        tags.closed |= tag == Tag::AnswerEnd;
        seen[count.min(3)] = tag;
        count += 1;
    }
    close_answer(text, &mut tags, text.len());
    let body_end = answer_lines(text, &tag_starts, &mut tags);
    tags.body_end = body_end as u32;
    tags.well_formed = lower
        && count == 3
        && seen[..3] == [Tag::SolutionEnd, Tag::Answer, Tag::AnswerEnd]
        && tags.answers.len() == 1
        && tags.answers.iter().all(|a| a.value.is_some())
        && without_end_mark(&text[last_end..]).trim().is_empty();
    (Span::new(0, body_end), tags)
}

/// Where the closing tag of the solution that goes on at `from` ends; `None` where it has none.
pub(crate) fn solution_end(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let (start, length, tag) = next_tag(text, at)?;
        at = start + length;
        if tag == Tag::SolutionEnd {
            return Some(at);
        }
    }
}

fn without_end_mark(text: &str) -> &str {
    let text = text.trim_end();
    END_MARKS.iter().find_map(|mark| text.strip_suffix(mark)).unwrap_or(text)
}

/// Ends the answer that is open, if one is.
fn close_answer(text: &str, tags: &mut Tags, at: usize) {
    if let Some(open) = tags.answers.last_mut().filter(|a| a.span.end == u32::MAX) {
        open.span.end = at as u32;
        let content = &text[open.span.range()];
        open.value = normalise_answer(if at == text.len() { without_end_mark(content) } else { content });
    }
}

/// The next tag at or after `from`: where, how long, which.
fn next_tag(text: &str, from: usize) -> Option<(usize, usize, Tag)> {
    const TAGS: [(&str, Tag); 6] = [
        ("</solution>", Tag::SolutionEnd),
        ("<answer>", Tag::Answer),
        ("</answer>", Tag::AnswerEnd),
        ("<solution>", Tag::Other),
        ("<question>", Tag::Other),
        ("</question>", Tag::Other),
    ];
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += memchr::memchr(b'<', &bytes[at..])?;
        let hit = TAGS.iter().find(|(tag, _)| {
            bytes.get(at..at + tag.len()).is_some_and(|b| b.eq_ignore_ascii_case(tag.as_bytes()))
        });
        if let Some(&(spelling, tag)) = hit {
            return Some((at, spelling.len(), tag));
        }
        at += 1;
    }
}

/// Adds the answers of all lines `Answer: 8.` that stand outside of `<answer>` tags, wherever they are. The first one
/// before all tags ends the solution. Returns where the solution's text ends.
fn answer_lines(text: &str, tag_starts: &[usize], tags: &mut Tags) -> usize {
    static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("Answer:"));
    let end = without_end_mark(text).len();
    let mut body_end = tag_starts.first().copied().unwrap_or(end);
    let mut lines: Vec<Answer> = Vec::new();
    let mut tagged = tags.answers.iter().map(|answer| answer.span.range()).peekable();
    let mut tag_starts = tag_starts.iter().copied().peekable();
    let mut marks = MARK.find_iter(text.as_bytes()).peekable();
    while let Some(at) = marks.next() {
        while tagged.next_if(|range| range.end <= at).is_some() {}
        if tagged.peek().is_some_and(|range| range.contains(&at)) {
            continue;
        }
        if lines.is_empty() {
            body_end = body_end.min(at);
        }
        while tag_starts.next_if(|&start| start < at).is_some() {}
        let start = at + MARK.needle().len();
        let next = marks.peek().copied().into_iter().chain(tag_starts.peek().copied()).min();
        let line = &text[start..next.unwrap_or(end).max(start)];
        let line = &line[..sentence(line)];
        lines.push(Answer { span: Span::new(start, start + line.len()), value: normalise_answer(line) });
    }
    tags.answers.extend(lines);
    tags.answers.sort_by_key(|answer| answer.span.start);
    body_end
}

/// Length of the first sentence of the first line: up to a dot that is not followed by a digit.
fn sentence(text: &str) -> usize {
    let line = &text[..text.find([';', '\n']).unwrap_or(text.len())];
    let mut dots = line.match_indices('.').map(|(i, _)| i);
    dots.find(|&i| !line.as_bytes().get(i + 1).is_some_and(u8::is_ascii_digit)).unwrap_or(line.len())
}

//! Qwen2's pre-tokeniser for ASCII text, by hand.
//!
//! The regular expression is backtracking (it has a look-ahead) and costs more than everything else in
//! encoding. For ASCII its seven alternatives are a few comparisons; other text goes through the crate.

/// The pattern, as `tokenizer.json` must carry it.
pub(crate) const PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The pieces of an ASCII text that holds no special token, in order and without gaps.
pub(crate) fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = piece(rest);
        at += length;
        Some(&rest[..length])
    })
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// Neither blank, letter nor digit.
fn is_sign(byte: u8) -> bool {
    !is_space(byte) && !byte.is_ascii_alphanumeric()
}

fn run(text: &[u8], from: usize, of: impl Fn(u8) -> bool) -> usize {
    from + text[from..].iter().take_while(|&&b| of(b)).count()
}

/// Length of the piece that `text` (not empty) begins with: the pattern's alternatives in their order.
fn piece(text: &[u8]) -> usize {
    let first = text[0];
    let second = text.get(1).copied();
    if let Some(length) = contraction(text) {
        return length;
    }
    if first.is_ascii_alphabetic() {
        return run(text, 1, |b| b.is_ascii_alphabetic());
    }
    if first.is_ascii_digit() {
        return 1;
    }
    if !is_newline(first) && second.is_some_and(|b| b.is_ascii_alphabetic()) {
        return run(text, 1, |b| b.is_ascii_alphabetic());
    }
    if is_sign(first) || (first == b' ' && second.is_some_and(is_sign)) {
        return run(text, run(text, 1, is_sign), is_newline);
    }
    let end = run(text, 1, is_space);
    match text[..end].iter().rposition(|&b| is_newline(b)) {
        Some(newline) => newline + 1,
        // The last blank belongs to what follows it, unless it is the only one.
        None if end < text.len() && end > 1 => end - 1,
        None => end,
    }
}

/// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d` in either case.
fn contraction(text: &[u8]) -> Option<usize> {
    if text[0] != b'\'' {
        return None;
    }
    let lower = |i: usize| text.get(i).map(u8::to_ascii_lowercase);
    match (lower(1)?, lower(2)) {
        (b's' | b't' | b'm' | b'd', _) => Some(2),
        (b'r' | b'v', Some(b'e')) | (b'l', Some(b'l')) => Some(3),
        _ => None,
    }
}

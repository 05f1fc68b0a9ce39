use proptest::prelude::*;

use crate::trained;

#[test]
fn any_text_comes_back() {
    let tokenizer = trained();
    // Composed already, so that NFC leaves it as it is.
    for text in ["", " ", "  a  ", "'s", "naïve Ωμέγα 数学 🦉\u{200d}🌲", "\u{0}\u{7f}\r\n\t", "Ġ Ċ"]
    {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
    }
    proptest!(|(text in "[\\x00-\\x7f]{0,60}")| {
        prop_assume!(!text.contains("<|"));
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text)), text);
    });
    proptest!(|(text in ".{0,40}")| {
        // The pipeline composes (NFC); a text that went through once is composed.
        let once = tokenizer.decode(&tokenizer.encode(&text));
        prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&once)), once);
    });
}

#[test]
fn offsets_cover_an_ascii_text_without_gaps() {
    let tokenizer = trained();
    let text = "<question> owl zoo =12; fox? </question> <solution> owl";
    let mut end = 0;
    for (id, range) in tokenizer.encode_with_offsets(text) {
        assert_eq!(range.start, end);
        assert_eq!(tokenizer.bytes(id), Some(&text.as_bytes()[range.clone()]));
        end = range.end;
    }
    assert_eq!(end, text.len());
}

#[test]
fn decoding_keeps_tags_drops_ends_and_shows_what_is_no_token() {
    let tokenizer = trained();
    let mut ids = tokenizer.encode("<answer> 84 </answer>");
    ids.extend([tokenizer.eos(), tokenizer.pad()]);
    assert_eq!(tokenizer.decode(&ids), "<answer> 84 </answer>");
    assert_eq!(tokenizer.decode(&[tokenizer.vocab_size() as u32]), "\u{fffd}");
    assert_eq!(tokenizer.decode(&tokenizer.encode("é")[..1]), "\u{fffd}");
}

#[test]
fn decoded_ids_know_their_place_in_the_text() {
    let tokenizer = trained();
    let check = |ids: &[u32], pieces: &[&str]| {
        let (text, ranges) = tokenizer.decode_with_offsets(ids);
        let found: Vec<&str> = ranges.into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, pieces);
    };
    let mut ids = tokenizer.encode(" owl =12");
    ids.push(tokenizer.eos());
    check(&ids, &[" owl", " =", "1", "2", ""]);
    // Half a character, then one that is whole: the first byte alone is shown as U+FFFD.
    let half = tokenizer.encode("é")[0];
    check(&[half, ids[0], 1_000_000], &["\u{fffd}", " owl", "\u{fffd}"]);
}

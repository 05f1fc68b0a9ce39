//! The hand-written way for ASCII against the `tokenizers` crate reading the same file.

use proptest::prelude::*;

use crate::{corpus, trained};

fn crates_tokenizer(tokenizer: &tercet_tokens::Tokenizer) -> tokenizers::Tokenizer {
    let dir = tempfile::tempdir().expect("a temporary folder");
    tokenizer.save(dir.path()).expect("writable");
    tokenizers::Tokenizer::from_file(dir.path().join("tokenizer.json")).expect("readable by the crate")
}

/// Text that provokes every alternative of the pattern: blanks, newlines, signs, contractions, tags.
fn awkward() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,6}",
        "[ \t\n\r\u{b}\u{c}]{1,5}",
        "'(s|S|t|re|RE|ve|m|ll|lL|d|x)[a-z]?",
        Just("<question>".to_owned()),
        Just("</answer>".to_owned()),
        Just("<|im_end|>".to_owned()),
        Just(" <solution> owl zoo =12;".to_owned()),
        "[=\\-<]{60,80}",
        "[\\x00-\\x1f]{1,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn the_corpus_has_the_same_ids_as_in_the_crate() {
    let tokenizer = trained();
    let theirs = crates_tokenizer(&tokenizer);
    for text in corpus() {
        assert_eq!(tokenizer.encode(&text), theirs.encode(text.as_str(), false).expect("encodes").get_ids());
    }
}

#[test]
fn ids_offsets_and_text_agree_with_the_crate() {
    let tokenizer = trained();
    let theirs = crates_tokenizer(&tokenizer);
    proptest!(|(text in prop_oneof![awkward(), "\\PC{0,40}", ".{0,40}"])| {
        let encoding = theirs.encode(text.as_str(), false).expect("encodes");
        let ids = tokenizer.encode(&text);
        prop_assert_eq!(&ids, encoding.get_ids());
        let offsets: Vec<_> = encoding.get_offsets().iter().map(|&(a, b)| a..b).collect();
        let (with, ranges): (Vec<u32>, Vec<_>) = tokenizer.encode_with_offsets(&text).into_iter().unzip();
        prop_assert_eq!(&with, &ids);
        prop_assert_eq!(ranges, offsets);
        prop_assert_eq!(tokenizer.decode(&ids), theirs.decode(&ids, true).expect("decodes"));
    });
}

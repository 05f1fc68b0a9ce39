use rayon::prelude::*;
use tercet_tokens::{LEAST_VOCABULARY, Tokenizer};

use crate::{corpus, trained};

fn saved(tokenizer: &Tokenizer) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    tokenizer.save(dir.path()).expect("writable");
    std::fs::read(dir.path().join("tokenizer.json")).expect("just written")
}

#[test]
fn training_twice_gives_the_same_bytes_whatever_the_order_and_the_threads() {
    let once = saved(&trained());
    let mut backwards = corpus();
    backwards.reverse();
    let again = Tokenizer::train(backwards.into_iter(), 340).expect("room");
    assert_eq!(once, saved(&again));
    let in_parallel: Vec<Vec<u8>> = (0..4).into_par_iter().map(|_| saved(&trained())).collect();
    assert!(in_parallel.iter().all(|bytes| bytes == &once));
}

#[test]
fn the_size_asked_for_is_a_maximum() {
    assert_eq!(trained().vocab_size(), 340);
    // Nothing is left to merge long before a million.
    let all = Tokenizer::train(corpus().into_iter(), 1_000_000).expect("room");
    assert!(all.vocab_size() < 800, "{}", all.vocab_size());
    let none = Tokenizer::train(corpus().into_iter(), LEAST_VOCABULARY).expect("room");
    assert_eq!(none.vocab_size(), LEAST_VOCABULARY);
    let error = Tokenizer::train(corpus().into_iter(), 100).expect_err("no room for bytes");
    assert_eq!(
        error.to_string(),
        "a vocabulary of 100 tokens is too small: specials and single bytes alone are 264"
    );
}

#[test]
fn frequent_words_are_one_token_and_every_digit_is_one() {
    let tokenizer = Tokenizer::train(corpus().into_iter(), 1_000_000).expect("room");
    let check = |text: &str, pieces: &[&str]| {
        let ids = tokenizer.encode(text);
        let texts: Vec<String> = ids.iter().map(|&id| tokenizer.decode(&[id])).collect();
        assert_eq!(texts, pieces, "{text:?}");
    };
    check(" crow zoo =23; owl", &[" crow", " zoo", " =", "2", "3", ";", " owl"]);
    check("</question> <solution> crow", &["</question>", " ", "<solution>", " crow"]);
    check(" the number of", &[" the", " number", " of"]);
    check("\n", &["\n"]);
}

/// The crate's trainer on the same words: ours differs only where that one has no fixed answer (ties
/// of a pair pushed twice) and in counts beyond 32 bits.
#[test]
fn merges_agree_with_the_crates_trainer() {
    use tokenizers::models::bpe::{BPE, BpeTrainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{AddedToken, Trainer as _};

    let ours = trained();
    let specials = [tercet_tokens::PAD, tercet_tokens::EOS].into_iter().chain(tercet_tokens::TAGS);
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(340)
        .min_frequency(2)
        .special_tokens(specials.map(|s| AddedToken::from(s, true)).collect())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    // Single bytes give each piece; our own pieces are compared with the crate's elsewhere.
    let bare = Tokenizer::train(std::iter::empty(), LEAST_VOCABULARY).expect("room");
    let printable = printable_pieces(&bare);
    trainer.feed(corpus().into_iter(), |text| Ok(printable(text))).expect("feeds");
    let mut model = BPE::default();
    trainer.train(&mut model).expect("trains");
    let theirs = model.get_vocab();
    let dir = tempfile::tempdir().expect("a temporary folder");
    ours.save(dir.path()).expect("writable");
    let text = std::fs::read_to_string(dir.path().join("tokenizer.json")).expect("just written");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let vocab = file["model"]["vocab"].as_object().expect("an object");
    assert_eq!(vocab.len(), theirs.len());
    for (token, id) in vocab {
        assert_eq!(theirs.get(token).map(|&id| u64::from(id)), id.as_u64(), "{token:?}");
    }
}

/// The crate's own pre-tokeniser, read from a saved file.
fn printable_pieces(tokenizer: &Tokenizer) -> impl Fn(&str) -> Vec<String> + use<> {
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizer as _};
    let dir = tempfile::tempdir().expect("a temporary folder");
    tokenizer.save(dir.path()).expect("writable");
    let crates = tokenizers::Tokenizer::from_file(dir.path().join("tokenizer.json")).expect("readable");
    move |text| {
        let vocabulary = crates.get_added_vocabulary();
        let mut pieces = vocabulary.extract_and_normalize(crates.get_normalizer(), text);
        crates.get_pre_tokenizer().expect("set").pre_tokenize(&mut pieces).expect("splits");
        let splits = pieces.get_splits(OffsetReferential::Normalized, OffsetType::None);
        splits.into_iter().filter(|s| s.2.is_none()).map(|s| s.0.to_owned()).collect()
    }
}

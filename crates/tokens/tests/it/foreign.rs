//! A tokenizer of another maker, made by `bench/peers/foreign_tokenizer.py`.

use std::fs;
use std::path::{Path, PathBuf};

use tercet_tokens::Tokenizer;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/foreign")
}

#[derive(serde::Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn ids_are_those_of_the_python_package() {
    let tokenizer = Tokenizer::open_any(&fixture()).expect("byte-level");
    assert_eq!((tokenizer.vocab_size(), tokenizer.eos(), tokenizer.pad()), (405, 3, 1));
    let cases = fs::read_to_string(fixture().join("expected.jsonl")).expect("there");
    for line in cases.lines() {
        let case: Case = serde_json::from_str(line).expect("JSON");
        assert_eq!(tokenizer.encode(&case.text), case.ids, "{:?}", case.text);
        // Its end token is dropped, its tags are kept.
        assert_eq!(tokenizer.decode(&case.ids), case.text.replace("[EOS]", ""));
    }
    assert!(cases.lines().count() > 15);
}

#[test]
fn our_own_is_opened_as_it_was_made() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    crate::trained().save(dir.path()).expect("writable");
    let any = Tokenizer::open_any(dir.path()).expect("ours");
    assert_eq!(any.encode("owl zoo =23;"), crate::trained().encode("owl zoo =23;"));
    any.save(dir.path()).expect("ours is written again");
}

/// Copies the fixture, changes it, and tells why it is refused.
fn refusal(change: impl Fn(&Path)) -> String {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixture().join(name), dir.path().join(name)).expect("writable");
    }
    change(dir.path());
    let error = Tokenizer::open_any(dir.path()).expect_err("refused").to_string();
    error.replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    let write = |name: &'static str, text: &'static str| {
        move |dir: &Path| fs::write(dir.join(name), text).expect("writable")
    };
    let check = |change: &dyn Fn(&Path), says: &str| {
        let message = refusal(change);
        assert!(
            message.starts_with("DIR/tokenizer.json cannot be used: ") && message.contains(says),
            "{message}"
        );
    };
    check(&write("tokenizer.json", "{}"), "");
    check(&write("tokenizer_config.json", "{}"), "names its end token");
    check(&write("tokenizer_config.json", "{"), "tokenizer_config.json: EOF");
    check(&write("tokenizer_config.json", r#"{"eos_token": "</s>"}"#), "it has no token \"</s>\"");
    let by_id = |dir: &Path| {
        write("tokenizer_config.json", "{}")(dir);
        write("config.json", r#"{"eos_token_id": [151643]}"#)(dir);
    };
    check(&by_id, "its end token 151643 is outside the vocabulary of 405");
    let decoder = |dir: &Path| {
        let path = dir.join("tokenizer.json");
        let text = fs::read_to_string(&path).expect("there");
        let at = text.find("\"decoder\":").expect("a decoder");
        let end = at + text[at..].find('}').expect("its end") + 1;
        fs::write(&path, format!("{}\"decoder\":null{}", &text[..at], &text[end..])).expect("writable");
    };
    check(&decoder, "its decoder is not byte-level");
    let huge = |dir: &Path| {
        let path = dir.join("tokenizer.json");
        let text = fs::read_to_string(&path).expect("there");
        assert!(text.contains("\"[UNK]\":0"), "{text}");
        fs::write(&path, text.replacen("\"[UNK]\":0", "\"[UNK]\":4000000000", 1)).expect("writable");
    };
    check(&huge, "has the id 4000000000");
}

/// A model that was trained further keeps the tokenizer that it came with, to the byte, and its special tokens.
#[test]
fn another_makers_tokenizer_is_written_as_it_is() {
    let theirs = Tokenizer::open_any(&fixture()).expect("byte-level");
    let dir = tempfile::tempdir().expect("a temporary folder");
    theirs.save(dir.path()).expect("writable");
    let read = |dir: &Path| fs::read(dir.join("tokenizer.json")).expect("there");
    assert!(read(&fixture()) == read(dir.path()));
    let again = Tokenizer::open_any(dir.path()).expect("byte-level");
    assert_eq!((again.eos(), again.pad()), (theirs.eos(), theirs.pad()));
    // Where only the model's configuration names the end token, the tokenizer's does so from then on.
    fs::write(dir.path().join("tokenizer_config.json"), "{}").expect("writable");
    let eos = format!("{{\"eos_token_id\": {}}}", theirs.eos());
    fs::write(dir.path().join("config.json"), eos).expect("writable");
    let named = Tokenizer::open_any(dir.path()).expect("the model names it");
    let copy = tempfile::tempdir().expect("a temporary folder");
    named.save(copy.path()).expect("writable");
    assert_eq!(Tokenizer::open_any(copy.path()).expect("named").eos(), theirs.eos());
}

use std::fs;

use crate::{temporary, tercet};

#[test]
fn a_tokenizer_is_trained_from_lines_and_records_and_shows_its_work() {
    let dir = temporary();
    let texts = " owl zoo =12;\n".repeat(20)
        + r#"{"problem": "owl zoo =1;", "question": "owl zoo?", "solution": "owl zoo: a =1."}"#;
    fs::write(dir.path().join("texts"), texts).expect("writable");
    let trained = tercet(dir.path(), &["tokenizer", "train", "texts", "--vocab", "300", "--out", "tok"]);
    assert_eq!((trained.code, trained.stdout.as_str()), (0, ""), "{}", trained.stderr);
    insta::assert_snapshot!(tercet(dir.path(), &["tokenizer", "inspect", "tok"]).stdout, @"271 tokens: 8 specials, 256 bytes, 7 learned");
    insta::assert_snapshot!(tercet(dir.path(), &["tokenizer", "inspect", "tok", " owl zoo =12;"]).all(), @r#"
    exit 0
    --- stdout
    269	0	" owl"
    268	4	" zoo"
    270	8	" ="
    24	10	"1"
    25	11	"2"
    34	12	";"
    --- stderr
    6 tokens, 2.17 characters per token
    "#);
}

#[test]
fn what_cannot_be_read_or_made_is_one_sentence() {
    let dir = temporary();
    insta::assert_snapshot!(tercet(dir.path(), &["tokenizer", "train", "none", "--out", "tok"]).all(), @r"
    exit 1
    --- stdout
    --- stderr
    error: cannot read `none`: No such file or directory (os error 2)
    ");
    fs::write(dir.path().join("texts"), "owl").expect("writable");
    let small = tercet(dir.path(), &["tokenizer", "train", "texts", "--vocab", "9", "--out", "tok"]);
    insta::assert_snapshot!(small.all(), @r"
    exit 2
    --- stdout
    --- stderr
    error: a vocabulary of 9 tokens is too small: specials and single bytes alone are 264
    ");
    assert!(!dir.path().join("tok").exists());
    fs::write(dir.path().join("tokenizer.json"), "{}").expect("writable");
    insta::assert_snapshot!(tercet(dir.path(), &["tokenizer", "inspect", "."]).all(), @r"
    exit 1
    --- stdout
    --- stderr
    error: ./tokenizer.json is not a tokenizer of this program: its added_tokens differs
    ");
}

/// Nobody wants a tokenizer that has learned quotes and names of fields.
#[test]
fn json_without_a_text_that_is_known_is_refused() {
    let dir = temporary();
    let train = |file: &str, text: &str| {
        fs::write(dir.path().join(file), text).expect("writable");
        tercet(dir.path(), &["tokenizer", "train", file, "--vocab", "300", "--out", "tok"])
    };
    for line in [
        r#"{"prompt": "owl", "completion": "zoo"}"#,
        r#"{"messages": [{"role": "user", "content": "owl"}]}"#,
        r#"{"text": "owl zo"#,
        r#"["owl", "zoo"]"#,
    ] {
        for file in ["t.jsonl", "t.txt"] {
            let ended = train(file, &format!("{{\"text\": \"owl\"}}\n{line}\n"));
            assert_eq!(ended.code, 2, "{line}");
            assert!(ended.stderr.starts_with(&format!("error: line 2 of {file}: ")), "{}", ended.stderr);
        }
    }
    assert_eq!(train("t.jsonl", "owl zoo\n").code, 2, "a file of JSON lines");
    assert_eq!(train("t.txt", "[owl zoo]\n\n\"owl\"\n").code, 0, "a text");
}

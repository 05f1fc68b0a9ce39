use std::fs;
use std::path::Path;

use tercet_tokens::Tokenizer;

use crate::trained;

#[test]
fn a_saved_tokenizer_opens_as_the_same() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tokenizer = trained();
    tokenizer.save(dir.path()).expect("writable");
    let opened = Tokenizer::open(dir.path()).expect("readable");
    let text = "The number of adult owl in Bundle Ranch equals 12.";
    assert_eq!(opened.encode(text), tokenizer.encode(text));
    let first = fs::read(dir.path().join("tokenizer.json")).expect("there");
    opened.save(dir.path()).expect("writable");
    assert_eq!(fs::read(dir.path().join("tokenizer.json")).expect("there"), first);
}

#[test]
fn the_configuration_is_the_one_that_transformers_and_verl_need() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    trained().save_for(dir.path(), 512).expect("writable");
    let text = fs::read_to_string(dir.path().join("tokenizer_config.json")).expect("there");
    let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(config["tokenizer_class"], "Qwen2Tokenizer");
    assert_eq!(config["eos_token"], "<|im_end|>");
    assert_eq!(config["pad_token"], "<|endoftext|>");
    assert_eq!(config["model_max_length"], 512);
    let text = fs::read_to_string(dir.path().join("tokenizer.json")).expect("there");
    let file: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let special: Vec<bool> = file["added_tokens"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|t| t["special"] == serde_json::Value::Bool(true))
        .collect();
    assert_eq!(special, [true, true, false, false, false, false, false, false]);
}

/// A chat is the text that models are trained on: prompt, response, end token.
#[test]
fn the_chat_template_gives_the_training_text() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    trained().save(dir.path()).expect("writable");
    let text = fs::read_to_string(dir.path().join("tokenizer_config.json")).expect("there");
    let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let template = config["chat_template"].as_str().expect("text");
    let turn = |role: &str, content: &str| serde_json::json!({"role": role, "content": content});
    let chat = |messages: &[serde_json::Value], prompted: bool| {
        let context = serde_json::json!({"messages": messages, "add_generation_prompt": prompted});
        let context = minijinja::value::Serde(context);
        minijinja::Environment::new().render_str(template, context).expect("rendered")
    };
    let (user, assistant) =
        (turn("user", "2 owls. How many?"), turn("assistant", " a = 2. </solution> <answer> 2 </answer>"));
    let prompt = "<question> 2 owls. How many? </question> <solution>";
    for prompted in [false, true] {
        assert_eq!(chat(std::slice::from_ref(&user), prompted), prompt);
        assert_eq!(chat(&[turn("system", "Count."), user.clone()], prompted), format!("Count. {prompt}"));
        let whole = chat(&[user.clone(), assistant.clone()], prompted);
        assert_eq!(whole, format!("{prompt} a = 2. </solution> <answer> 2 </answer><|im_end|>"));
        let tokenizer = trained();
        let mut trained_on = tokenizer.encode(prompt);
        trained_on.extend(tokenizer.encode(" a = 2. </solution> <answer> 2 </answer>"));
        trained_on.push(tokenizer.eos());
        assert_eq!(tokenizer.encode(&whole), trained_on);
    }
}

/// `tests/fixtures/resaved` is what `AutoTokenizer.from_pretrained(…).save_pretrained(…)` of transformers 5.24.0 makes
/// of this very tokenizer; 4.57.6 changes nothing but the newline at its end.
#[test]
fn what_transformers_saved_again_opens_as_ours() {
    let resaved = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/resaved");
    let dir = tempfile::tempdir().expect("a temporary folder");
    trained().save(dir.path()).expect("writable");
    let ours = fs::read(dir.path().join("tokenizer.json")).expect("just written");
    assert_ne!(fs::read(resaved.join("tokenizer.json")).expect("there"), ours);
    for opened in [Tokenizer::open(&resaved), Tokenizer::open_any(&resaved)] {
        let opened = opened.expect("ours");
        for text in ["<question> owl zoo =23;", "Größe équals  12\n\n x", "don't<|im_end|>"] {
            assert_eq!(opened.encode_with_offsets(text), trained().encode_with_offsets(text), "{text}");
        }
        opened.save(dir.path()).expect("ours is written again");
        assert_eq!(fs::read(dir.path().join("tokenizer.json")).expect("there"), ours);
    }
}

fn refusal(change: impl Fn(&Path)) -> String {
    let dir = tempfile::tempdir().expect("a temporary folder");
    trained().save(dir.path()).expect("writable");
    change(&dir.path().join("tokenizer.json"));
    let error = Tokenizer::open(dir.path()).expect_err("refused").to_string();
    error.replace(&dir.path().display().to_string(), "DIR")
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("there");
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).expect("writable");
}

#[test]
fn a_missing_damaged_or_foreign_file_is_refused_with_its_reason() {
    let check = |change: &dyn Fn(&Path), says: &str| {
        let message = refusal(change);
        assert!(message.contains(says), "{message}");
    };
    check(&|p| fs::remove_file(p).expect("there"), "cannot read DIR/tokenizer.json");
    check(
        &|p| fs::write(p, "{").expect("writable"),
        "DIR/tokenizer.json is not a tokenizer of this program: EOF",
    );
    check(&|p| edit(p, "\"NFC\"", "\"NFD\""), "its normalizer differs");
    check(&|p| edit(p, "Isolated", "Removed"), "its pre_tokenizer differs");
    check(&|p| edit(p, "\"dropout\": null", "\"dropout\": 0.5"), "its model's dropout differs");
    let unknown = "\"end_of_word_suffix\": \"</w>\"";
    check(&|p| edit(p, "\"end_of_word_suffix\": null", unknown), "its model's end_of_word_suffix differs");
    let template = r#""post_processor": {"type": "TemplateProcessing", "special_tokens": {"<s>": {}}}"#;
    check(&|p| edit(p, "\"post_processor\": null", template), "its post_processor differs");
    check(&|p| fs::write(p, "[]").expect("writable"), "it is not an object");
    check(&|p| edit(p, "\"zoo\"", "\"z zoo\""), "is not byte-level");
    check(&|p| edit(p, "\"a\": ", "\"a\": 9"), "its ids have gaps");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("writable");
    let error = trained().save(&file.join("under")).expect_err("a file is no folder").to_string();
    assert!(error.starts_with("cannot write"), "{error}");
}

//! Responses as other programs write them.

use serde_json::{Value, json};
use tercet_problems::gold::Mode;
use tercet_problems::responses::{Fields, Matcher, Pool, after_prompt};
use tercet_problems::{Cell, Contexts, Generator, Problem, World};

/// Three problems.
fn problems() -> Vec<Problem> {
    let generator = Generator::new(&World::default(), &Contexts::builtin(), 5, None).expect("a world");
    let cell = Cell { op: 4, context: "zoo".to_owned(), mode: Mode::Forward };
    let sequence = generator.sequence(&cell).expect("a possible cell");
    (0..3).map(|i| sequence.problem(i)).collect()
}

/// The position of a line's problem, and its responses: the text, with `…` after it if it was cut.
fn read(line: &Value, fields: Fields) -> Result<(usize, Vec<String>), String> {
    let mut matcher = Matcher::new(Some(Pool::new(problems())), fields);
    let matched = matcher.read(line).map_err(|e| e.to_string())?.expect("no repetition");
    let told = |given: tercet_problems::responses::Given| given.text + if given.cut { "…" } else { "" };
    Ok((matched.position.expect("of the pool"), matched.responses.into_iter().map(told).collect()))
}

#[track_caller]
fn check(line: &Value, position: usize, texts: &[&str]) {
    let expected = (position, texts.iter().map(|&text| text.to_owned()).collect());
    assert_eq!(read(line, Fields::default()), Ok(expected), "{line}");
}

#[track_caller]
fn wrong(line: &Value, message: &str) {
    let error = read(line, Fields::default()).expect_err("it is wrong");
    assert!(error.contains(message), "{line}: {error}");
}

#[test]
fn every_layout_is_read() {
    check(&json!({"problem": 1, "text": "a"}), 1, &["a"]);
    check(&json!({"problem": 1, "response": "a", "finish_reason": "length"}), 1, &["a…"]);
    check(&json!({"problem": 1, "text": null}), 1, &[""]);
    check(
        &json!({"problem": 1, "responses": ["a", null, "b"], "finish_reason": ["stop", "stop", "length"]}),
        1,
        &["a", "", "b…"],
    );
    check(&json!({"problem": 2, "completions": [{"text": "a", "stop_reason": "max_tokens"}]}), 2, &["a…"]);
    check(
        &json!([{"generated_text": "a"}])
            .as_array()
            .map_or(Value::Null, |l| json!({"problem": 0, "output": l})),
        0,
        &["a"],
    );
    // vLLM
    let outputs = json!([{"index": 0, "text": "a", "finish_reason": "stop", "stop_reason": null},
                         {"index": 1, "text": "b", "finish_reason": "length", "token_ids": [1, 2, 3]}]);
    let prompt = problems()[2].prompt();
    check(
        &json!({"request_id": "7", "prompt": prompt, "outputs": outputs, "finished": true}),
        2,
        &["a", "b…"],
    );
    let templated = format!("<|im_start|>user\n{}\n", prompt.replace(' ', "  "));
    check(&json!({"prompt": templated, "outputs": outputs}), 2, &["a", "b…"]);
    check(&json!({"request_id": "1", "prompt": null, "outputs": outputs}), 1, &["a", "b…"]);
    // SGLang
    let info = json!({"finish_reason": {"type": "length", "length": 9}, "completion_tokens": 9});
    check(&json!({"id": problems()[1].id, "text": "a", "meta_info": info}), 1, &["a…"]);
    // OpenAI batches, completions and responses
    let choices = json!([{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "length"},
                         {"index": 1, "message": {"role": "assistant", "content": null}, "finish_reason": "stop"}]);
    let body = json!({"status_code": 200, "body": {"id": "chatcmpl-1", "choices": choices}});
    check(
        &json!({"id": "batch_req_1", "custom_id": problems()[1].id, "response": body, "error": null}),
        1,
        &["a…", ""],
    );
    check(&json!({"id": "batch_req_2", "custom_id": "2", "response": body}), 2, &["a…", ""]);
    let failed = json!({"code": "server_error"});
    check(&json!({"id": "batch_req_3", "custom_id": "0", "response": null, "error": failed}), 0, &[]);
    let failed = json!({"status_code": 400, "body": {"error": {"message": "no"}}});
    check(&json!({"id": "batch_req_4", "custom_id": "0", "response": failed, "error": null}), 0, &[]);
    check(
        &json!({"id": "cmpl-1", "problem": 0, "choices": [{"text": "a", "finish_reason": "stop"}]}),
        0,
        &["a"],
    );
    let output = json!([{"type": "reasoning", "summary": []},
                        {"type": "message", "content": [{"type": "output_text", "text": "a"}]}]);
    let body = json!({"status_code": 200, "body": {"status": "incomplete", "output": output}});
    check(&json!({"custom_id": "0", "response": body}), 0, &["a…"]);
    // Anthropic batches
    let message = json!({"content": [{"type": "text", "text": "a"}], "stop_reason": "max_tokens"});
    check(&json!({"custom_id": "0", "result": {"type": "succeeded", "message": message}}), 0, &["a…"]);
    check(&json!({"custom_id": "0", "result": {"type": "errored", "error": {}}}), 0, &[]);
    // lm-eval
    let row = json!({"doc_id": 1, "doc": {"question": "?"}, "resps": [["a", "b"]], "filtered_resps": ["a"]});
    check(&row, 1, &["a", "b"]);
}

#[test]
fn fields_can_be_named() {
    let line = json!({"uid": 2, "answer": {"raw": ["a", "b"]}, "text": "not this"});
    let fields = |text: &str| Fields::new(Some(text.to_owned()), Some("uid".to_owned()));
    assert_eq!(read(&line, fields("answer.raw")), Ok((2, vec!["a".to_owned(), "b".to_owned()])));
    assert_eq!(read(&line, fields("answer.raw.1")), Ok((2, vec!["b".to_owned()])));
    assert_eq!(read(&line, fields("raw")), Err("it has no field `raw`".to_owned()));
}

/// lm-eval writes every response once for each filter.
#[test]
fn what_lm_eval_repeats_is_read_once() {
    let mut matcher = Matcher::new(Some(Pool::new(problems())), Fields::default());
    let mut count = |filter: &str| {
        let row = json!({"doc_id": 1, "resps": [["a"]], "filter": filter});
        matcher.read(&row).expect("a response").is_some()
    };
    assert_eq!(["none", "strict-match", "none", "flexible"].map(&mut count), [true, false, true, false]);
}

#[test]
fn a_position_is_a_whole_number_however_it_is_written() {
    for position in [json!(1), json!(1.0), json!("1"), json!("1.0")] {
        check(&json!({"problem": position, "text": "a"}), 1, &["a"]);
    }
    let of = |position: Value| json!({"problem": position, "text": "a"});
    let should = "it should be the problem's position in its file, a whole number from 0";
    wrong(&of(json!(0.5)), &format!("`problem` is 0.5; {should}"));
    wrong(&of(json!(-1)), &format!("`problem` is -1; {should}"));
    wrong(&of(json!(true)), &format!("`problem` is true; {should}"));
    wrong(&of(json!("The zoo")), &format!("`problem` is `The zoo`; {should}"));
    wrong(&of(json!(3)), "there is no problem 3: there are 3");
    wrong(&of(json!(1e300)), should);
    wrong(&of(json!("18446744073709551616")), should);
}

#[test]
fn names_that_disagree_are_an_error() {
    let id = &problems()[1].id;
    check(&json!({"id": id, "problem": 1.0, "text": "a"}), 1, &["a"]);
    check(&json!({"id": id, "problem": null, "text": "a"}), 1, &["a"]);
    check(&json!({"id": id, "problem": "the problem's text", "text": "a"}), 1, &["a"]);
    wrong(
        &json!({"id": id, "problem": 2, "text": "a"}),
        "`id` names problem 1, and `problem` names problem 2",
    );
    wrong(&json!({"id": "x", "problem": 2, "text": "a"}), "there is no problem `x`");
    wrong(&json!({"text": "a"}), "neither by `id` nor by `problem`");
    wrong(&json!({"text": "a", "prompt": "Who?"}), "no problem has its prompt");
}

#[test]
fn what_is_no_response_is_an_error() {
    wrong(&json!({"problem": 0}), "no response in it");
    wrong(&json!({"problem": 0, "text": 7}), "a response is a text, null or a list of them, not 7");
    wrong(&json!({"problem": 0, "text": ["a", ["b"]]}), "not a list");
    wrong(&json!(["a"]), "a line of responses is a JSON object, not a list");
    let long = "x".repeat(100_000);
    let error = read(&json!({"id": long, "text": "a"}), Fields::default()).expect_err("no such problem");
    assert!(error.len() < 200, "{error}");
}

#[test]
fn a_repeated_prompt_is_no_part_of_a_response() {
    let problem = &problems()[0];
    let answer = problem.response();
    check(&json!({"problem": 0, "text": problem.prompt() + &answer}), 0, &[&answer]);
    check(&json!({"problem": 0, "text": format!("Sure!\n<Solution>{answer}")}), 0, &[&answer]);
    let shots = format!("{}{answer}\n{}{answer}", problem.prompt(), problem.prompt());
    check(&json!({"problem": 0, "responses": [shots, answer]}), 0, &[&answer, &answer]);
    // A run's own files hold what follows the prompt, and are read as the run judged them.
    let twice = " a <solution> b";
    check(&json!({"problem": 0, "text": twice, "verified": false}), 0, &[twice]);
    check(&json!({"problem": 0, "text": twice, "ended": true}), 0, &[twice]);
    assert_eq!(after_prompt("</solution> <a> é <solutio"), "</solution> <a> é <solutio");
}

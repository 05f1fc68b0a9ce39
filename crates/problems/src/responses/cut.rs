//! How programs say that a response was cut off.

use serde_json::{Map, Value};

/// Reasons to finish that mean: the response did not come to its end by itself.
const REASONS: [&str; 9] = [
    "length",
    "max_length",
    "max_tokens",
    "max_new_tokens",
    "max_output_tokens",
    "model_length",
    "model_context_window_exceeded",
    "incomplete",
    "abort",
];

/// Whether an object says that its response was cut off. Where it holds a list of responses, `index` is the response's place
/// in it.
pub(super) fn is_cut(object: &Map<String, Value>, index: usize) -> bool {
    let of = |key: &str| match object.get(key) {
        Some(Value::Array(values)) => values.get(index),
        other => other,
    };
    let is = |key: &str, said: bool| of(key) == Some(&Value::Bool(said));
    let reasons = ["finish_reason", "finish_reasons", "stop_reason", "stop_reasons", "done_reason", "status"];
    let nested = ["meta_info", "details", "incomplete_details"];
    ["cut", "truncated", "is_truncated"].iter().any(|key| is(key, true))
        || ["ended", "finished"].iter().any(|key| is(key, false))
        || reasons.iter().any(|key| of(key).is_some_and(is_reason))
        || nested
            .iter()
            .any(|key| of(key).and_then(Value::as_object).is_some_and(|inner| is_cut(inner, index)))
}

/// SGLang's reason is an object with a `type`.
fn is_reason(value: &Value) -> bool {
    match value {
        Value::String(reason) => REASONS.iter().any(|known| reason.eq_ignore_ascii_case(known)),
        Value::Object(reason) => reason.get("type").is_some_and(is_reason),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expected: bool) {
        let object: Map<String, Value> = serde_json::from_str(json).expect("an object");
        assert_eq!(is_cut(&object, 0), expected, "{json}");
    }

    #[test]
    fn the_usual_ways_to_say_it_are_known() {
        for cut in [
            r#"{"cut": true}"#,
            r#"{"ended": false}"#,
            r#"{"truncated": true}"#,
            r#"{"finished": false}"#,
            r#"{"finish_reason": "length"}"#,
            r#"{"finish_reason": ["length", "stop"]}"#,
            r#"{"finish_reasons": ["MAX_TOKENS"]}"#,
            r#"{"stop_reason": "max_tokens"}"#,
            r#"{"done_reason": "length"}"#,
            r#"{"meta_info": {"finish_reason": {"type": "length", "length": 256}}}"#,
            r#"{"details": {"finish_reason": "length"}}"#,
            r#"{"status": "incomplete"}"#,
        ] {
            check(cut, true);
        }
        for whole in [
            "{}",
            r#"{"cut": false, "ended": true, "finished": true, "truncated": 0}"#,
            r#"{"finish_reason": "stop", "stop_reason": null}"#,
            r#"{"finish_reason": ["stop", "length"], "stop_reason": 151645}"#,
            r#"{"meta_info": {"finish_reason": {"type": "stop", "matched": 2}}}"#,
            r#"{"status": "completed", "done_reason": "stop"}"#,
        ] {
            check(whole, false);
        }
    }
}

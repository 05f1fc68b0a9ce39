//! A line of responses, in any layout that is known.

use serde_json::{Map, Value};

use super::cut::is_cut;
use super::error::{ResponseError, quoted};
use super::named::Named;

/// One response.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Given {
    /// Its text; what it says after its last `<solution>` if it is another program's.
    pub text: String,
    /// Whether it was cut off: then it is a failure, whatever it says.
    pub cut: bool,
    /// Its number among the responses to its problem, if the line says one or holds several.
    pub sample: Option<u32>,
    /// Its length in tokens, if the line says it.
    pub tokens: Option<u32>,
}

/// Names of fields, for layouts that are not known. A name may be a path, `a.b`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fields {
    /// The field with the text, or a list of texts.
    pub text: Option<String>,
    /// The field that names the problem.
    pub id: Option<String>,
}

impl Fields {
    /// Fields with these names; `None` stands for the known layouts.
    pub fn new(text: Option<String>, id: Option<String>) -> Self {
        Self { text, id }
    }
}

/// A line of responses: one response or several to one problem.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Line {
    /// The responses. There is none where a request failed.
    pub responses: Vec<Given>,
    /// What it says of its problem.
    pub(super) named: Named,
    /// The filter of lm-eval. Its files hold every response once for each filter.
    pub(super) filter: Option<String>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// If there is no response in it, or what should be a text is none.
    pub fn read(value: &Value, fields: &Fields) -> Result<Self, ResponseError> {
        let Value::Object(row) = value else { return Err(ResponseError::NoObject(quoted(value))) };
        let mut responses = match &fields.text {
            Some(name) => {
                let value = at(row, name).ok_or_else(|| ResponseError::NoField(name.clone()))?;
                list(value, &[row])?
            }
            None => known(row)?,
        };
        let number = row.get("sample").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let several = responses.len() > 1;
        for (i, given) in responses.iter_mut().enumerate() {
            given.sample = number.or_else(|| several.then(|| u32::try_from(i).unwrap_or(u32::MAX)));
            // The files of a run and of `tercet sample` hold what follows the prompt, to the letter.
            if !is_ours(row) {
                let prompt = given.text.len() - after_prompt(&given.text).len();
                given.text.drain(..prompt);
            }
        }
        let filter = row.get("filter").filter(|_| row.contains_key("resps")).and_then(Value::as_str);
        let named = Named::read(row, fields.id.as_deref())?;
        Ok(Self { responses, named, filter: filter.map(str::to_owned) })
    }
}

/// A response without the prompt that it repeats: what follows its last `<solution>`, or all of it.
pub fn after_prompt(response: &str) -> &str {
    const TAG: &str = "<solution>";
    let bytes = response.as_bytes();
    let last = memchr::memrchr_iter(b'<', bytes).find(|&at| {
        bytes.get(at..at + TAG.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(TAG.as_bytes()))
    });
    last.map_or(response, |at| &response[at + TAG.len()..])
}

/// Whether this program wrote the line.
fn is_ours(row: &Map<String, Value>) -> bool {
    let text = row.get("text").is_some_and(Value::is_string);
    text && ["verified", "ended"].iter().any(|key| row.get(*key).is_some_and(Value::is_boolean))
}

/// A value by its name, or by its path.
pub(super) fn at<'v>(row: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    if let Some(value) = row.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    match row.get(first)? {
        Value::Object(inner) => at(inner, rest),
        Value::Array(values) => values.get(rest.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The responses of a layout that is known.
fn known(row: &Map<String, Value>) -> Result<Vec<Given>, ResponseError> {
    // vLLM's `RequestOutput`.
    if let Some(outputs @ Value::Array(_)) = row.get("outputs") {
        return list(outputs, &[row]);
    }
    // lm-eval: a list of responses for each request.
    if let Some(Value::Array(requests)) = row.get("resps") {
        let lists: Result<Vec<_>, _> = requests.iter().map(|request| list(request, &[row])).collect();
        return Ok(lists?.concat());
    }
    // Batches of OpenAI and of Anthropic.
    let body = at(row, "response.body").or_else(|| at(row, "result.message"));
    if let Some(Value::Object(body)) = body {
        return reply(body);
    }
    let failed = |key: &str| row.get(key).is_some_and(|value| !value.is_null());
    if row.contains_key("custom_id") && (failed("error") || failed("result")) {
        return Ok(Vec::new());
    }
    if row.get("choices").is_some_and(Value::is_array) {
        return reply(row);
    }
    let names =
        ["text", "response", "completion", "generated_text", "output", "texts", "responses", "completions"];
    match names.iter().find_map(|name| row.get(*name)) {
        Some(value) => list(value, &[row]),
        None => Err(ResponseError::NoText),
    }
}

/// The body of a reply over HTTP: OpenAI's completions, chats and responses, and Anthropic's messages. A body that says what
/// went wrong has no response.
fn reply(body: &Map<String, Value>) -> Result<Vec<Given>, ResponseError> {
    if let Some(choices @ Value::Array(one)) = body.get("choices") {
        let mut responses = list(choices, &[body])?;
        if let ([given], 1) = (&mut responses[..], one.len()) {
            given.tokens = given.tokens.or_else(|| number(at(body, "usage.completion_tokens")));
        }
        return Ok(responses);
    }
    let Some(Value::Array(parts)) = body.get("content").or_else(|| body.get("output")) else {
        return Ok(Vec::new());
    };
    let said = parts.iter().filter_map(|part| match part.get("content") {
        Some(Value::Array(parts)) => Some(joined(parts)),
        _ => part.get("text")?.as_str().map(str::to_owned),
    });
    let tokens = number(at(body, "usage.output_tokens"));
    Ok(vec![Given { text: said.collect(), cut: is_cut(body, 0), sample: None, tokens }])
}

/// The texts of the parts of a message.
fn joined(parts: &[Value]) -> String {
    parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
}

/// One response, or a list of them. `around` are the objects that it is in.
fn list(value: &Value, around: &[&Map<String, Value>]) -> Result<Vec<Given>, ResponseError> {
    match value {
        Value::Array(values) => values.iter().enumerate().map(|(i, value)| one(value, i, around)).collect(),
        value => Ok(vec![one(value, 0, around)?]),
    }
}

fn one(value: &Value, i: usize, around: &[&Map<String, Value>]) -> Result<Given, ResponseError> {
    let cut = around.iter().any(|object| is_cut(object, i));
    match value {
        Value::Null => Ok(Given { cut, ..Given::default() }),
        Value::String(text) => {
            let row = around.first();
            let tokens = row
                .and_then(|row| number(row.get("tokens").or_else(|| at(row, "meta_info.completion_tokens"))));
            Ok(Given { text: text.clone(), cut, sample: None, tokens })
        }
        Value::Object(object) => {
            let text = ["text", "generated_text", "content", "message.content", "response", "completion"];
            let text = text.iter().find_map(|name| at(object, name));
            let text = match text.ok_or_else(|| ResponseError::NotText(quoted(value)))? {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Array(parts) => joined(parts),
                other => return Err(ResponseError::NotText(quoted(other))),
            };
            let ids = object.get("token_ids").and_then(Value::as_array).map(Vec::len);
            let tokens = ids.and_then(|n| u32::try_from(n).ok()).or_else(|| number(object.get("tokens")));
            Ok(Given { text, cut: cut || is_cut(object, 0), sample: None, tokens })
        }
        other => Err(ResponseError::NotText(quoted(other))),
    }
}

fn number(value: Option<&Value>) -> Option<u32> {
    value?.as_u64().and_then(|n| u32::try_from(n).ok())
}

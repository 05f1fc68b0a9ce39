//! Problems as rows of columns that trainers of other projects read as they are: text, numbers and messages, nothing nested
//! that Arrow would refuse. The graph is one JSON string.

use problems::Problem;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// A row: names and values, in the order of the columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row(pub(crate) Vec<(&'static str, Value)>);

/// The value of a column.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Text(String),
    Whole(i64),
    /// None where it is not known.
    Real(Option<f64>),
    Flag(bool),
    Messages(Vec<Message>),
    /// Fields within a column.
    Group(Row),
}

/// A turn of a chat.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Message {
    pub(crate) role: &'static str,
    pub(crate) content: String,
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// For pre-training: `text` is prompt and response as models are trained on them, without the end token.
pub(crate) fn text(problem: &Problem) -> anyhow::Result<Row> {
    row(problem, [("text", Value::Text(problem.prompt() + &problem.response()))])
}

/// For supervised training: `prompt` and `completion` as models are trained on them, without the end token.
pub(super) fn sft(problem: &Problem) -> anyhow::Result<Row> {
    let (prompt, completion) = (Value::Text(problem.prompt()), Value::Text(problem.response()));
    row(problem, [("prompt", prompt), ("completion", completion)])
}

/// For reinforcement learning: `prompt` as models are given it; `record` is what a judge needs.
pub(crate) fn prompts(problem: &Problem) -> anyhow::Result<Row> {
    row(problem, [("prompt", Value::Text(problem.prompt()))])
}

/// Messages for the chat template of the tokenizer, which gives prompt and response as models are trained on them.
pub(super) fn chat(problem: &Problem) -> anyhow::Result<Row> {
    let response = Message { role: "assistant", content: problem.response() };
    row(problem, [("messages", Value::Messages(vec![question(problem), response]))])
}

/// What a user says: the chat template makes the prompt of it.
pub(crate) fn question(problem: &Problem) -> Message {
    Message { role: "user", content: format!("{} {}", problem.problem.trim(), problem.question.trim()) }
}

/// The columns that all rows have follow those of the format.
fn row<const N: usize>(problem: &Problem, own: [(&'static str, Value); N]) -> anyhow::Result<Row> {
    let shared = [
        ("answer", Value::Whole(problem.answer)),
        ("op", Value::Whole(i64::from(problem.cell.op))),
        ("context", Value::Text(problem.cell.context.clone())),
        ("mode", Value::Text(problem.cell.mode.name().to_owned())),
        ("id", Value::Text(problem.id.clone())),
        ("record", Value::Text(serde_json::to_string(&problem.record())?)),
    ];
    Ok(Row(own.into_iter().chain(shared).collect()))
}

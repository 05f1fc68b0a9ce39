//! How a line says which problem it answers.

use serde_json::{Map, Value};

use super::error::{ResponseError, quoted};
use super::line::at;

/// What a line says of its problem.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Named {
    /// The names, each with its key. All must name the same problem.
    pub(super) names: Vec<(String, Name)>,
    /// The prompt, where there is no name.
    pub(super) prompt: Option<String>,
    /// The number that a server or engine gave the request: the last resort.
    pub(super) request: Option<u64>,
    /// The number of the problem among the rollouts of a step.
    pub(super) group: Option<Value>,
    /// The problem's record.
    pub(super) record: Option<Value>,
}

/// A name of a problem.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Name {
    /// Its id, or else its position in words.
    Text(String),
    /// Its position in its file, from 0.
    Position(u64),
}

impl Named {
    pub(super) fn read(row: &Map<String, Value>, field: Option<&str>) -> Result<Self, ResponseError> {
        let mut named = Self { group: row.get("problem").cloned(), ..Self::default() };
        let record = [row.get("record"), row.get("doc")].into_iter().flatten().find(|value| is_record(value));
        named.record =
            record.cloned().or_else(|| row.contains_key("graph").then(|| Value::Object(row.clone())));
        if let Some(field) = field {
            let value = at(row, field).ok_or_else(|| ResponseError::NoField(field.to_owned()))?;
            named.names.extend(name(field, value)?);
            return Ok(named);
        }
        // In replies over HTTP `id` is the reply's.
        let reply = row.contains_key("custom_id") || row.contains_key("choices");
        let keys =
            if reply { ["custom_id", "problem_id", "problem"] } else { ["id", "problem_id", "problem"] };
        for key in keys {
            let Some(value) = row.get(key) else { continue };
            // In a problem's own record `problem` is its text.
            let text = key == "problem" && value.as_str().is_some_and(|text| whole(text).is_none());
            if !text {
                named.names.extend(name(key, value)?);
            }
        }
        if named.names.is_empty() {
            let lm_eval = ["doc.id", "doc_id"].into_iter().find_map(|key| Some((key, at(row, key)?)));
            named.names.extend(lm_eval.map(|(key, value)| name(key, value)).transpose()?.flatten());
        }
        named.prompt = row.get("prompt").and_then(Value::as_str).map(str::to_owned);
        named.request = row.get("request_id").and_then(|id| id.as_u64().or_else(|| whole(id.as_str()?)));
        if let (true, None, None, Some(Value::String(text))) =
            (named.names.is_empty(), &named.record, &named.prompt, row.get("problem"))
        {
            let value = quoted(&Value::String(text.clone()));
            return Err(ResponseError::NoPosition { key: "problem".to_owned(), value });
        }
        Ok(named)
    }
}

/// Whether a value is meant to be a problem's record.
fn is_record(value: &Value) -> bool {
    value.get("graph").is_some()
}

/// A name; none where the value is null, as in a table with gaps.
fn name(key: &str, value: &Value) -> Result<Option<(String, Name)>, ResponseError> {
    let wrong = || ResponseError::NoPosition { key: key.to_owned(), value: quoted(value) };
    let name = match value {
        Value::Null => return Ok(None),
        Value::String(text) => Name::Text(text.clone()),
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| number.as_f64().and_then(position));
            Name::Position(whole.ok_or_else(wrong)?)
        }
        _ => return Err(wrong()),
    };
    Ok(Some((key.to_owned(), name)))
}

/// Tables with gaps hold whole numbers as 0.0.
fn position(number: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(number as u64)
}

/// A whole number that is written as a text.
pub(super) fn whole(text: &str) -> Option<u64> {
    let number: f64 = text.parse().ok()?;
    text.parse().ok().or_else(|| position(number))
}

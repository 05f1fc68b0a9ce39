//! What can be wrong with a line of responses.

use serde_json::Value;

use crate::problem::RecordError;

/// The most that a message quotes of a value, in characters.
const QUOTED_MAX: usize = 60;

/// A line of responses cannot be read, or names no problem.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// It is no JSON object.
    #[error("a line of responses is a JSON object, not {0}")]
    NoObject(String),
    /// It has no text in any known layout.
    #[error(
        "no response in it: no `text`, `response`, `completion`, `outputs`, `choices` or `resps` (--text-field names another)"
    )]
    NoText,
    /// The field for the text is not there.
    #[error("it has no field `{0}`")]
    NoField(String),
    /// A response is no text.
    #[error("a response is a text, null or a list of them, not {0}")]
    NotText(String),
    /// It says nothing of its problem.
    #[error(
        "it does not say which problem it answers: neither by `id` nor by `problem` (--id-field names another)"
    )]
    NoName,
    /// A position is no whole number.
    #[error("`{key}` is {value}; it should be the problem's position in its file, a whole number from 0")]
    NoPosition {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// No problem has this id.
    #[error("there is no problem {0}")]
    UnknownId(String),
    /// No problem has this position.
    #[error("there is no problem {position}: there are {problems}")]
    UnknownPosition {
        /// The position.
        position: String,
        /// How many problems there are.
        problems: usize,
    },
    /// No problem has this prompt.
    #[error("no problem has its prompt, and it has neither `id` nor `problem`: {0}")]
    UnknownPrompt(String),
    /// It names two problems.
    #[error("`{first}` names problem {first_position}, and `{second}` names problem {second_position}")]
    Contradiction {
        /// A key.
        first: String,
        /// The position of the problem that it names.
        first_position: usize,
        /// Another key.
        second: String,
        /// The position of the problem that this one names.
        second_position: usize,
    },
    /// There are no problems but those that lines hold, and this one holds none.
    #[error(
        "without --problems every response must be in its problem's record, or follow a line with the same `problem` \
         that holds one"
    )]
    NoRecord,
    /// The record that it holds is none.
    #[error("its record is none: {0}")]
    NotRecord(String),
    /// The record that it holds contradicts itself.
    #[error("its record is no problem: {0}")]
    Record(#[from] RecordError),
}

impl ResponseError {
    /// Whether the line names a problem that is not there, rather than being written wrongly.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::UnknownId(_) | Self::UnknownPosition { .. } | Self::UnknownPrompt(_))
    }
}

/// A value as messages quote it.
pub(super) fn quoted(value: &Value) -> String {
    match value {
        Value::String(text) => quoted_text(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

/// A text as messages quote it.
pub(super) fn quoted_text(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((at, _)) => format!("`{}…`", text[..at].escape_debug()),
        None => format!("`{}`", text.escape_debug()),
    }
}

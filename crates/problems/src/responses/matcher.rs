//! Finds the problems that responses answer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{ResponseError, quoted_text};
use super::line::{Fields, Given, Line};
use super::named::{Name, Named, whole};
use crate::problem::{Problem, Record};

/// Problems by their position, their id and their prompt.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    problems: Vec<Problem>,
    by_id: BTreeMap<String, usize>,
    /// By the text between `<question>` and `</question>`, blanks normalised.
    by_prompt: BTreeMap<String, usize>,
}

impl Pool {
    /// Problems in the order of their file.
    pub fn new(problems: Vec<Problem>) -> Self {
        let mut by_id = BTreeMap::new();
        let mut by_prompt = BTreeMap::new();
        for (i, problem) in problems.iter().enumerate() {
            by_id.entry(problem.id.clone()).or_insert(i);
            by_prompt.entry(question(&problem.prompt())).or_insert(i);
        }
        Self { problems, by_id, by_prompt }
    }

    /// The problems, in the order of their file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The position of the problem that a line answers.
    fn find(&self, named: &Named) -> Result<usize, ResponseError> {
        let mut found: Option<(&str, usize)> = None;
        for (key, name) in &named.names {
            let here = self.position(name)?;
            match found {
                // The same problem may be in a file twice.
                Some((first, there)) if self.problems[there].id != self.problems[here].id => {
                    return Err(ResponseError::Contradiction {
                        first: first.to_owned(),
                        first_position: there,
                        second: key.clone(),
                        second_position: here,
                    });
                }
                _ => found = Some((key, here)),
            }
        }
        if let Some((_, position)) = found {
            return Ok(position);
        }
        if let Some(prompt) = &named.prompt {
            let found = self.by_prompt.get(&question(prompt));
            return found.copied().ok_or_else(|| ResponseError::UnknownPrompt(quoted_text(prompt)));
        }
        named.request.map_or(Err(ResponseError::NoName), |number| self.position(&Name::Position(number)))
    }

    fn position(&self, name: &Name) -> Result<usize, ResponseError> {
        let number = match name {
            Name::Position(number) => *number,
            Name::Text(id) => match self.by_id.get(id) {
                Some(position) => return Ok(*position),
                None => whole(id).ok_or_else(|| ResponseError::UnknownId(quoted_text(id)))?,
            },
        };
        let found = usize::try_from(number).ok().filter(|&at| at < self.problems.len());
        found.ok_or_else(|| ResponseError::UnknownPosition {
            position: number.to_string(),
            problems: self.problems.len(),
        })
    }
}

/// A prompt's question: what stands in its last `<question>`, or all of it, blanks normalised.
fn question(prompt: &str) -> String {
    let question = prompt.rsplit_once("<question>").map_or(prompt, |(_, rest)| rest);
    let question = question.split_once("</question>").map_or(question, |(question, _)| question);
    question.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads lines of responses one after the other and finds their problems. What a line says can rest on the lines before it: of
/// a group of rollouts the first holds the problem.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    pool: Option<Pool>,
    fields: Fields,
    /// The last problem that a line held, with the line's `problem`.
    told: Option<(Value, Problem)>,
    /// The first filter of lm-eval.
    filter: Option<String>,
}

/// Responses with their problem.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Matched<'a> {
    /// The problem.
    pub problem: &'a Problem,
    /// Its position in the pool; `None` where the line holds the problem.
    pub position: Option<usize>,
    /// The responses.
    pub responses: Vec<Given>,
}

impl Matcher {
    /// A matcher to a pool of problems, or to those that the lines hold.
    pub fn new(pool: Option<Pool>, fields: Fields) -> Self {
        Self { pool, fields, told: None, filter: None }
    }

    /// The pool.
    pub fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }

    /// The responses of a line and their problem; `None` for a line that repeats another: lm-eval writes every response once
    /// for each of its filters.
    ///
    /// # Errors
    /// If the line cannot be read or its problem is not known.
    pub fn read(&mut self, value: &Value) -> Result<Option<Matched<'_>>, ResponseError> {
        let Line { responses, named, filter } = Line::read(value, &self.fields)?;
        if let Some(filter) = filter
            && *self.filter.get_or_insert_with(|| filter.clone()) != filter
        {
            return Ok(None);
        }
        let held = value.get("record").is_some_and(Value::is_object);
        if held || self.pool.is_none() && named.record.is_some() {
            let problem = self.hold(&named)?;
            return Ok(Some(Matched { problem, position: None, responses }));
        }
        let bare = !named.names.iter().any(|(key, _)| key != "problem");
        let same = self.told.as_ref().is_some_and(|(number, _)| bare && named.group.as_ref() == Some(number));
        if let Some((_, problem)) = self.told.as_ref().filter(|_| same) {
            return Ok(Some(Matched { problem, position: None, responses }));
        }
        let pool = self.pool.as_ref().ok_or(ResponseError::NoRecord)?;
        let position = pool.find(&named)?;
        Ok(Some(Matched { problem: &pool.problems[position], position: Some(position), responses }))
    }

    /// Keeps the problem that a line holds.
    fn hold(&mut self, named: &Named) -> Result<&Problem, ResponseError> {
        let value = named.record.clone().unwrap_or_default();
        let record: Record = serde_json::from_value(value)
            .map_err(|e| ResponseError::NotRecord(quoted_text(&e.to_string())))?;
        let problem = Problem::from_record(&record)?;
        let ids = named.names.iter().filter_map(|(key, name)| match name {
            Name::Text(id) if key != "problem" => Some(id),
            _ => None,
        });
        for id in ids {
            if *id != problem.id {
                return Err(ResponseError::UnknownId(format!("{} in its record", quoted_text(id))));
            }
        }
        Ok(&self.told.insert((named.group.clone().unwrap_or_default(), problem)).1)
    }
}

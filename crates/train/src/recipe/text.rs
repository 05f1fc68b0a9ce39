//! A recipe's text: where things stand in it, overrides, and errors that point at a line.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::error::{Place, RecipeError};

/// The texts that a recipe is read from: the file, then each override. A position counts through all of them as if they
/// stood one after the other, so every value knows where it was written.
pub(crate) struct RecipeText {
    file: String,
    /// The file and the overrides. Each override is preceded by as many blanks as there is text before it.
    texts: Vec<String>,
}

impl RecipeText {
    pub(crate) fn new(text: &str, file: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        let mut texts = vec![text.to_owned()];
        let mut offset = text.len() + 1;
        for given in overrides {
            let line = override_line(given)?;
            texts.push(format!("{}{line}", " ".repeat(offset)));
            offset += line.len() + 1;
        }
        Ok(Self { file: file.to_owned(), texts })
    }

    /// The file's table.
    pub(crate) fn file_table(&self) -> Result<DeTable<'_>, RecipeError> {
        self.table(0)
    }

    /// The overrides' tables, each `{"a.b" = v}`.
    pub(crate) fn override_tables(&self) -> Result<Vec<DeTable<'_>>, RecipeError> {
        (1..self.texts.len()).map(|i| self.table(i)).collect()
    }

    fn table(&self, i: usize) -> Result<DeTable<'_>, RecipeError> {
        DeTable::parse(&self.texts[i])
            .map(Spanned::into_inner)
            .map_err(|e| self.error(e.message().to_owned(), e.span()))
    }

    /// A typed value out of a table whose values come from these texts.
    pub(crate) fn typed<T: DeserializeOwned>(&self, table: DeTable<'_>) -> Result<T, RecipeError> {
        let whole = Spanned::new(0..0, table);
        T::deserialize(toml::Deserializer::from(whole)).map_err(|e| {
            let span = e.span().filter(|span| span.end > 0);
            let message = e.message().split('\n').next().unwrap_or_default();
            let message =
                if span.is_some() { message.to_owned() } else { format!("{}: {message}", self.file) };
            self.error(message, span)
        })
    }

    /// An error that points at `span`.
    pub(crate) fn error(&self, message: impl Into<String>, span: Option<Range<usize>>) -> RecipeError {
        RecipeError { message: message.into(), place: span.map(|span| self.place(span)) }
    }

    fn place(&self, span: Range<usize>) -> Place {
        let mut i = 0;
        while i + 1 < self.texts.len() && span.start > self.texts[i].len() {
            i += 1;
        }
        let text = &self.texts[i];
        let start = span.start.min(text.len());
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = span.end.clamp(start, line_end);
        let width = text[start..end].chars().count();
        if i == 0 {
            return Place {
                file: self.file.clone(),
                line: text[..start].matches('\n').count() + 1,
                column: text[line_start..start].chars().count() + 1,
                text: text[line_start..line_end].to_owned(),
                width,
            };
        }
        let line = text.trim_start();
        let column = start.saturating_sub(text.len() - line.len()) + 1;
        let option = if line.starts_with("\"scale\"") { "--scale" } else { "--set" };
        Place { file: option.to_owned(), line: 0, column, text: line.to_owned(), width }
    }
}

/// `a.b=v` as a line of TOML with the path as one quoted key.
fn override_line(given: &str) -> Result<String, RecipeError> {
    let line = assignment(given)?;
    let (path, value) = line.split_once(" = ").unwrap_or((&line, ""));
    Ok(format!("\"{path}\" = {value}"))
}

/// `a.b=v` as a line of TOML: the value as it is, or as a string if it is no value by itself.
///
/// # Errors
/// If there is no `=`.
pub fn assignment(given: &str) -> Result<String, RecipeError> {
    let Some((path, value)) = given.split_once('=') else {
        return Err(RecipeError::new(format!("`--set {given}` has no `=`: write `--set path.to.key=value`")));
    };
    let (path, value) = (path.trim(), value.trim());
    let is_value = DeTable::parse(&format!("key = {value}")).is_ok();
    Ok(if is_value {
        format!("{path} = {value}")
    } else {
        format!("{path} = \"{}\"", value.escape_default())
    })
}

/// Length of the path to what an arm sets: `arm.NAME.set`.
const ARM_SET: usize = 3;

/// Puts the values of `patch` into `base`. Keys are paths with dots. An item of a list is addressed by its `name`, or by
/// number if it has none. A table is merged key by key, but a table with a `kind` replaces the old one as a whole. An
/// arm's `set` is a table of paths itself: there the rest of a path is one key, which replaces what the arm had under it.
pub(crate) fn apply<'i>(
    source: &RecipeText,
    base: &mut DeTable<'i>,
    patch: &DeTable<'i>,
    prefix: &[String],
) -> Result<(), RecipeError> {
    for (key, value) in patch {
        let mut path = prefix.to_vec();
        path.extend(key.get_ref().split('.').map(str::to_owned));
        if path.len() > ARM_SET && path[0] == "arm" && path[ARM_SET - 1] == "set" {
            let rest = path.split_off(ARM_SET).join(".");
            path.push(rest);
        }
        let wrong = |message: String| source.error(message, Some(key.span()));
        match value.get_ref() {
            DeValue::Table(inner) if merges(base, &path, inner) => apply(source, base, inner, &path)?,
            _ => set(base, &path, key, value).map_err(wrong)?,
        }
    }
    Ok(())
}

fn merges(base: &DeTable<'_>, path: &[String], patch: &DeTable<'_>) -> bool {
    match lookup(base, path) {
        Some(DeValue::Table(_)) => patch.get("kind").is_none(),
        Some(DeValue::Array(items)) => items.iter().any(|item| name_of(item.get_ref()).is_some()),
        _ => false,
    }
}

fn name_of<'a>(value: &'a DeValue<'_>) -> Option<&'a str> {
    value.as_table()?.get("name")?.get_ref().as_str()
}

fn lookup<'a, 'i>(base: &'a DeTable<'i>, path: &[String]) -> Option<&'a DeValue<'i>> {
    let (first, rest) = path.split_first()?;
    let mut value = base.get(first.as_str())?.get_ref();
    for segment in rest {
        value = match value {
            DeValue::Table(table) => table.get(segment.as_str())?.get_ref(),
            DeValue::Array(items) => items
                .iter()
                .map(Spanned::get_ref)
                .enumerate()
                .find(|(i, item)| names(item, *i, segment))
                .map(|(_, item)| item)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Whether `segment` names the `i`-th item of a list.
fn names(item: &DeValue<'_>, i: usize, segment: &str) -> bool {
    match name_of(item) {
        Some(name) => name == segment,
        None => segment.parse() == Ok(i),
    }
}

fn set<'i>(
    base: &mut DeTable<'i>,
    path: &[String],
    key: &Spanned<DeString<'i>>,
    value: &Spanned<DeValue<'i>>,
) -> Result<(), String> {
    let Some((last, parents)) = path.split_last() else { return Err("a path is empty".to_owned()) };
    let mut table = base;
    let mut at = 0;
    while at < parents.len() {
        let segment = &parents[at];
        if table.get(segment.as_str()).is_none() {
            let fresh = Spanned::new(key.span(), DeValue::Table(DeTable::new()));
            table.insert(Spanned::new(key.span(), DeString::Owned(segment.clone())), fresh);
        }
        let Some(next) = table.get_mut(segment.as_str()) else { return Err("a path is empty".to_owned()) };
        at += 1;
        table = match next.get_mut() {
            DeValue::Table(inner) => inner,
            DeValue::Array(items) => {
                let Some(name) = parents.get(at) else {
                    return Err(format!("`{segment}` is a list: name the item and its key"));
                };
                at += 1;
                let found = items.iter_mut().enumerate().find(|(i, item)| names(item.get_ref(), *i, name));
                match found.map(|(_, item)| item.get_mut()) {
                    Some(DeValue::Table(inner)) => inner,
                    _ => return Err(format!("there is no `{segment}` named `{name}`")),
                }
            }
            _ => return Err(format!("`{}` is a value, not a table", parents[..at].join("."))),
        };
    }
    // Removed first, so that the key's place is the override's, too.
    table.remove(last.as_str());
    table.insert(Spanned::new(key.span(), DeString::Owned(last.clone())), value.clone());
    Ok(())
}

/// Where a path stands in the table: its value, or the nearest part of the path that exists.
pub(crate) fn span_of(base: &DeTable<'_>, path: &str) -> Option<Range<usize>> {
    let segments: Vec<String> = path.split('.').map(str::to_owned).collect();
    let mut span = None;
    for end in 1..=segments.len() {
        match spanned(base, &segments[..end]) {
            Some(found) if found.end > 0 => span = Some(found),
            Some(_) => {}
            None => break,
        }
    }
    span
}

fn spanned(base: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let (last, parents) = path.split_last()?;
    if parents.is_empty() {
        return base.get(last.as_str()).map(Spanned::span);
    }
    match lookup(base, parents)? {
        DeValue::Table(table) => table.get(last.as_str()).map(Spanned::span),
        DeValue::Array(items) => items
            .iter()
            .enumerate()
            .find(|(i, item)| names(item.get_ref(), *i, last))
            .map(|(_, item)| item.span()),
        _ => None,
    }
}

//! A recipe's text: where things stand in it, overrides, and errors that point at a line.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    error::{Place, RecipeError},
    known::{choices, quoted},
};

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
            .map_err(|e| self.error_in(self.text_name(i), e.message(), e.span()))
    }

    /// A typed value out of these texts.
    pub(crate) fn typed<T: DeserializeOwned>(&self, value: Spanned<DeValue<'_>>) -> Result<T, RecipeError> {
        T::deserialize(toml::de::ValueDeserializer::from(value)).map_err(|e| {
            let message = e.message().split('\n').next().unwrap_or_default();
            self.error_in(&self.file, &plain(message), e.span().filter(|span| span.end > 0))
        })
    }

    /// What a text is called: the recipe's file, or the option that gave it.
    fn text_name(&self, i: usize) -> &str {
        match i {
            0 => &self.file,
            _ if self.texts[i].trim_start().starts_with("\"scale\"") => "--scale",
            _ => "--set",
        }
    }

    /// An error about a key that must be there.
    pub(crate) fn missing(&self, key: &str) -> RecipeError {
        self.error_in(&self.file, &format!("missing field `{key}`"), None)
    }

    /// An error that points at `span`, or at least names the text.
    fn error_in(&self, text: &str, message: &str, span: Option<Range<usize>>) -> RecipeError {
        match span {
            Some(span) => self.error(message, Some(span)),
            None => self.error(format!("{text}: {message}"), None),
        }
    }

    /// An error that points at `span`.
    pub(crate) fn error(&self, message: impl Into<String>, span: Option<Range<usize>>) -> RecipeError {
        let place = span.map(|span| Box::new(self.place(span)));
        RecipeError { message: bounded(&message.into()), place, others: Vec::new() }
    }

    /// Whether a value was given on the command line.
    pub(crate) fn is_override(&self, span: &Range<usize>) -> bool {
        span.start > self.texts[0].len()
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
        // An override stands behind as many blanks as there is text before it.
        let line_start = if i == 0 { line_start } else { text.len() - text.trim_start().len() };
        let (from, to) = around(text, line_start..line_end, start);
        let before = if from > line_start { "…" } else { "" };
        let after = if to < line_end { "…" } else { "" };
        let start = start.max(from);
        Place {
            file: self.text_name(i).to_owned(),
            line: if i == 0 { text[..start].matches('\n').count() + 1 } else { 0 },
            column: text[line_start..start].chars().count() + 1,
            text: format!("{before}{}{after}", &text[from..to]).replace(char::is_control, " "),
            indent: text[from..start].chars().count() + before.chars().count(),
            width: text[start..end.clamp(start, to)].chars().count(),
        }
    }
}

/// Most characters of a message: it may quote the recipe.
const MESSAGE_MAX: usize = 2000;

/// Bytes of a line that are shown around a place.
const LINE_MAX: usize = 200;

/// A message without control characters, and without the end of a very long one.
fn bounded(message: &str) -> String {
    let mut text = String::new();
    for c in message.chars().take(MESSAGE_MAX) {
        if c.is_control() && c != '\n' { text.extend(c.escape_default()) } else { text.push(c) }
    }
    if message.chars().nth(MESSAGE_MAX).is_some() {
        text.push('…');
    }
    text
}

/// The part of a line that is shown around a place.
fn around(text: &str, line: Range<usize>, place: usize) -> (usize, usize) {
    if line.len() <= LINE_MAX {
        return (line.start, line.end);
    }
    let from = text.floor_char_boundary(place.saturating_sub(LINE_MAX / 2)).max(line.start);
    (from, text.floor_char_boundary(from + LINE_MAX).min(line.end))
}

/// A message of the deserializer in words of the people who write recipes.
fn plain(message: &str) -> String {
    for beginning in ["unknown field", "unknown variant"] {
        let Some(rest) = message.strip_prefix(beginning) else { continue };
        let Some((name, known)) = rest
            .trim_start_matches(" `")
            .split_once("`, expected")
            .or_else(|| rest.split_once("`, there are"))
        else {
            return message.to_owned();
        };
        let known = known.split('`').skip(1).step_by(2);
        return format!("{beginning} `{}`{}", quoted(name), choices(name, known));
    }
    let Some((found, expected)) = message.rsplit_once(", expected ") else { return message.to_owned() };
    let found = found
        .replace("floating point", "number")
        .replace("type: sequence", "type: a list")
        .replace("type: map", "type: a table");
    let expected = match expected {
        "u64" | "usize" => "a whole number of at least 0",
        "u32" => "a whole number from 0 to 4294967295",
        "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a table",
        _ if expected.starts_with("struct ") => "a table",
        _ => expected,
    };
    format!("{found}, expected {expected}")
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
/// If there is no `=`, or the path is too long.
pub fn assignment(given: &str) -> Result<String, RecipeError> {
    let Some((path, value)) = given.split_once('=') else {
        return Err(RecipeError::new(format!("`--set {given}` has no `=`: write `--set path.to.key=value`")));
    };
    let (path, value) = (path.trim(), value.trim());
    let parts = path.split('.').count();
    if parts > PARTS_MAX {
        return Err(RecipeError::new(format!("--set: {}", too_long(parts))));
    }
    let is_value = DeTable::parse(&format!("key = {value}")).is_ok();
    Ok(if is_value {
        format!("{path} = {value}")
    } else {
        format!("{path} = \"{}\"", value.escape_default())
    })
}

/// Length of the path to what an arm sets: `arm.NAME.set`.
const ARM_SET: usize = 3;

/// Most parts of a path. The longest that a recipe has are of seven or so.
const PARTS_MAX: usize = 16;

fn too_long(parts: usize) -> String {
    format!("a path of {parts} parts leads nowhere, the most are {PARTS_MAX}")
}

/// Puts the values of `patch` into `base`. Keys are paths with dots. An item of a list is addressed by its `name`, or by
/// number if it has none. A table is merged key by key, but a table with a `kind` or a `from` replaces the old one as a
/// whole. An arm's `set` is a table of paths itself: there the rest of a path is one key, which replaces what the arm had
/// under it. A model that is given takes the place of a shape and of the tokenizer.
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
        if path.len() > PARTS_MAX {
            return Err(wrong(too_long(path.len())));
        }
        if gives_model(&path, value.get_ref()) {
            base.remove("tokenizer");
            base.remove("model");
        }
        match value.get_ref() {
            DeValue::Table(inner) if merges(base, &path, inner) => apply(source, base, inner, &path)?,
            _ => set(base, &path, key, value).map_err(wrong)?,
        }
    }
    Ok(())
}

/// Whether setting this means that training starts from a model that is given.
fn gives_model(path: &[String], value: &DeValue<'_>) -> bool {
    match path {
        [model] => model == "model" && value.as_table().is_some_and(|table| table.contains_key("from")),
        [model, from] => model == "model" && from == "from",
        _ => false,
    }
}

fn merges(base: &DeTable<'_>, path: &[String], patch: &DeTable<'_>) -> bool {
    match lookup(base, path) {
        Some(DeValue::Table(_)) => patch.get("kind").is_none() && patch.get("from").is_none(),
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

/// How an item of a list is addressed.
fn item_name(item: &Spanned<DeValue<'_>>, i: usize) -> String {
    name_of(item.get_ref()).map_or_else(|| i.to_string(), str::to_owned)
}

fn unknown_item<'a>(list: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    format!("there is no `{list}` named `{}`{}", quoted(name), choices(name, known))
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
                let known: Vec<String> =
                    items.iter().enumerate().map(|(i, item)| item_name(item, i)).collect();
                let known = known.iter().map(String::as_str);
                let Some(name) = parents.get(at) else {
                    let list = choices(last, known);
                    return Err(format!("`{segment}` is a list: name the item and its key{list}"));
                };
                at += 1;
                if !items.iter().enumerate().any(|(i, item)| names(item.get_ref(), i, name)) {
                    return Err(unknown_item(segment, name, known));
                }
                let found = items.iter_mut().enumerate().find(|(i, item)| names(item.get_ref(), *i, name));
                match found.map(|(_, item)| item.get_mut()) {
                    Some(DeValue::Table(inner)) => inner,
                    _ => return Err(format!("`{segment}.{name}` is a value, not a table")),
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

/// Where an item of a list stands, whatever its name.
pub(crate) fn item_span(base: &DeTable<'_>, list: &str, i: usize) -> Option<Range<usize>> {
    let path: Vec<String> = list.split('.').map(str::to_owned).collect();
    lookup(base, &path)?.as_array()?.get(i).map(Spanned::span)
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

//! Files of problems and of responses, for the commands that read them.

use std::path::Path;

use anyhow::Context as _;
use problems::responses::{Fields, Matched, Matcher, ResponseError};
use problems::{Problem, Record};
use runs::lines::Line;
use serde_json::Value;

use crate::failure::Usage;
use crate::output;

/// Options that say where the lines of a file have what.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct FieldArgs {
    /// Field with the response, or with a list of responses, where the layout is not a known one; `a.b` is b within a
    #[arg(long, value_name = "NAME", requires = "responses")]
    text_field: Option<String>,
    /// Field with the problem's id or its position, where it is neither `id` nor `problem`
    #[arg(long, value_name = "NAME", requires = "responses")]
    id_field: Option<String>,
}

impl FieldArgs {
    pub(super) fn fields(&self) -> Fields {
        Fields::new(self.text_field.clone(), self.id_field.clone())
    }
}

/// The problem whose record is on a line.
pub(super) fn problem_on(line: &Line, path: &Path) -> anyhow::Result<Problem> {
    let place = || format!("{} is no problem", output::place(line, path));
    let record: Record = runs::lines::parse(&line.text).map_err(anyhow::Error::msg).with_context(place)?;
    let problem =
        Problem::from_record(&record).map_err(|e| anyhow::Error::msg(runs::lines::brief(&e.to_string())));
    problem.with_context(place)
}

/// The problems of a file.
pub(super) fn problems_in(path: &Path) -> anyhow::Result<Vec<Problem>> {
    output::lines(path)?.map(|line| problem_on(&line?, path)).collect()
}

/// The responses on a line, with their problem.
pub(super) fn matched<'m>(
    matcher: &'m mut Matcher,
    line: &Line,
    path: &Path,
) -> anyhow::Result<Option<Matched<'m>>> {
    let value: Value = output::json(line, path)?;
    let usage = |e: ResponseError| if e.is_unknown() { Usage::error(e) } else { e.into() };
    matcher.read(&value).map_err(usage).with_context(|| output::place(line, path))
}

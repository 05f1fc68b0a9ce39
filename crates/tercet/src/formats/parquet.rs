//! Rows as a Parquet file, a row group at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use runs::error::failed;
use runs::files;

use super::{Row, Value};

/// A file under its temporary name, NAME.partial; it gets its name when it is whole.
pub(crate) struct ParquetFile {
    path: PathBuf,
    /// Opened with the first rows, whose columns are the file's.
    writer: Option<SerializedFileWriter<File>>,
}

impl ParquetFile {
    /// A file without rows. An unfinished one is begun again.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), writer: None }
    }

    /// Adds rows, all with the same columns, as a group. No rows are no group.
    pub(crate) fn group(&mut self, rows: &[Row]) -> anyhow::Result<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        if self.writer.is_none() {
            let file = File::create(self.partial()).map_err(failed(&self.path, "write"))?;
            let schema = Arc::new(parse_message_type(&schema(first))?);
            let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            self.writer = Some(SerializedFileWriter::new(file, schema, Arc::new(properties))?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let mut group = writer.next_row_group()?;
        for column in 0..first.0.len() {
            let values: Vec<&Value> = rows.iter().map(|row| &row.0[column].1).collect();
            // A list of messages is stored as two columns, of roles and of contents, and a group as those of its fields.
            for leaf in 0..leaves(values[0]) {
                let Some(mut open) = group.next_column()? else {
                    return Err(ParquetError::General("a column is missing".to_owned()).into());
                };
                write(&mut open, &values, leaf)?;
                open.close()?;
            }
        }
        group.close()?;
        Ok(())
    }

    /// Gives the file its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        let partial = self.partial();
        let Some(writer) = self.writer else {
            return Err(ParquetError::General("a Parquet file needs at least one row".to_owned()).into());
        };
        let file = writer.into_inner()?;
        file.sync_all().map_err(failed(&self.path, "write"))?;
        Ok(files::rename(&partial, &self.path)?)
    }

    fn partial(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".partial");
        name.into()
    }
}

/// The columns of a row in Parquet's own language.
fn schema(row: &Row) -> String {
    format!("message rows {{ {} }}", fields(row))
}

fn fields(row: &Row) -> String {
    let field = |(name, value): &(&str, Value)| match value {
        Value::Text(_) => format!("required binary {name} (UTF8);"),
        Value::Whole(_) => format!("required int64 {name};"),
        Value::Real(_) => format!("optional double {name};"),
        Value::Flag(_) => format!("required boolean {name};"),
        Value::Messages(_) => format!(
            "required group {name} (LIST) {{ repeated group list {{ required group element {{ \
             required binary role (UTF8); required binary content (UTF8); }} }} }}"
        ),
        Value::Group(row) => format!("required group {name} {{ {} }}", fields(row)),
    };
    row.0.iter().map(field).collect()
}

/// In how many columns a value is stored.
fn leaves(value: &Value) -> usize {
    match value {
        Value::Text(_) | Value::Whole(_) | Value::Real(_) | Value::Flag(_) => 1,
        Value::Messages(_) => 2,
        Value::Group(row) => row.0.iter().map(|(_, value)| leaves(value)).sum(),
    }
}

/// The value within groups whose column has this number, and the number of the column among its own.
fn inner(value: &Value, mut leaf: usize) -> (&Value, usize) {
    if let Value::Group(row) = value {
        for (_, field) in &row.0 {
            if leaf < leaves(field) {
                return inner(field, leaf);
            }
            leaf -= leaves(field);
        }
    }
    (value, leaf)
}

/// Writes one column: all values of the kind of the first one, of messages the roles or the contents, of groups the field of
/// number `leaf`.
fn write(
    column: &mut SerializedColumnWriter<'_>,
    values: &[&Value],
    leaf: usize,
) -> Result<(), ParquetError> {
    let bytes = |text: &str| ByteArray::from(text.as_bytes().to_vec());
    let (first, own) = inner(values[0], leaf);
    let values: &[&Value] = &values.iter().map(|value| inner(value, leaf).0).collect::<Vec<_>>();
    match first {
        Value::Text(_) => {
            let texts =
                of(values, |value| if let Value::Text(text) = value { Some(bytes(text)) } else { None });
            column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
        }
        Value::Whole(_) => {
            let whole =
                of(values, |value| if let Value::Whole(number) = value { Some(*number) } else { None });
            column.typed::<Int64Type>().write_batch(&whole, None, None)?;
        }
        Value::Flag(_) => {
            let flags = of(values, |value| if let Value::Flag(flag) = value { Some(*flag) } else { None });
            column.typed::<BoolType>().write_batch(&flags, None, None)?;
        }
        Value::Real(_) => {
            let real = of(values, |value| if let Value::Real(number) = value { *number } else { None });
            let present = of(values, |value| Some(i16::from(matches!(value, Value::Real(Some(_))))));
            column.typed::<DoubleType>().write_batch(&real, Some(&present), None)?;
        }
        Value::Messages(_) => {
            let (mut texts, mut repeated) = (Vec::new(), Vec::new());
            for messages in
                of(values, |value| if let Value::Messages(all) = value { Some(all) } else { None })
            {
                for (i, message) in messages.iter().enumerate() {
                    texts.push(bytes(if own == 0 { message.role } else { &message.content }));
                    repeated.push(i16::from(i > 0));
                }
            }
            let present = vec![1; texts.len()];
            column.typed::<ByteArrayType>().write_batch(&texts, Some(&present), Some(&repeated))?;
        }
        // A group is made of the values that `inner` finds.
        Value::Group(_) => {}
    }
    Ok(())
}

/// What is picked of each value, where there is something.
fn of<'a, T>(values: &[&'a Value], pick: impl Fn(&'a Value) -> Option<T>) -> Vec<T> {
    values.iter().filter_map(|value| pick(value)).collect()
}

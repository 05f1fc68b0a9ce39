//! Where data goes, and where it comes from.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use runs::lines::{self, Line, Lines};
use serde::de::DeserializeOwned;

/// Buffered stdout.
pub(crate) struct Output(BufWriter<io::StdoutLock<'static>>);

impl Output {
    /// Opens stdout.
    pub(crate) fn stdout() -> Self {
        Self(BufWriter::new(io::stdout().lock()))
    }

    /// Writes what is left in the buffer.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.0.flush()?)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The lines of a file or of stdin (`-`), decompressed if the name ends in `.gz` or `.zst`.
pub(crate) fn lines(path: &Path) -> anyhow::Result<Lines> {
    if path == Path::new("-") {
        return Ok(Lines::of(io::stdin().lock(), Path::new("stdin")));
    }
    Ok(Lines::open(path)?)
}

/// A line of JSON.
pub(crate) fn json<T: DeserializeOwned>(line: &Line, path: &Path) -> anyhow::Result<T> {
    let value = lines::parse(&line.text).map_err(anyhow::Error::msg);
    value.with_context(|| place(line, path))
}

/// Where a line is.
pub(crate) fn place(line: &Line, path: &Path) -> String {
    let path = if path == Path::new("-") { Path::new("stdin") } else { path };
    format!("line {} of {}", line.number, path.display())
}

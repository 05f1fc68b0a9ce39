//! Where data goes, and where it comes from.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::Context as _;
use runs::lines::Packing;

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
pub(crate) fn lines(path: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<String>> + use<>> {
    let shown = path.display().to_string();
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = BufReader::new(File::open(path).with_context(|| format!("cannot read {shown}"))?);
        Packing::of(path).reader(file)
    };
    let named = (1..).zip(reader.lines());
    Ok(named.map(move |(n, line)| line.with_context(|| format!("cannot read line {n} of {shown}"))))
}

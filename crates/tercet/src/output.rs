//! Where data goes.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Data on its way to stdout or to a file. A file appears under its name only when [`Output::finish`] is
/// called, so an interrupted command leaves nothing that looks whole.
pub(crate) enum Output {
    /// Buffered stdout.
    Stdout(BufWriter<io::StdoutLock<'static>>),
    /// A file under its temporary name, and its final one.
    File { file: Sink, partial: PathBuf, path: PathBuf },
}

/// A file as it is, or compressed because its name ends in `.gz`.
pub(crate) enum Sink {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
}

impl Sink {
    fn new(file: File, path: &Path) -> Self {
        let file = BufWriter::new(file);
        if path.extension().is_some_and(|e| e == "gz") {
            Self::Gzip(GzEncoder::new(file, Compression::default()))
        } else {
            Self::Plain(file)
        }
    }

    fn inner(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => file,
        }
    }

    fn into_file(self) -> io::Result<File> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(file) => file.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

impl Output {
    /// Opens stdout (`None` or `-`) or a file.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|p| *p != Path::new("-")) else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout().lock())));
        };
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self::File { file: Sink::new(file, path), partial, path: path.to_owned() })
    }

    /// Flushes everything and gives a file its name.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut stdout) => Ok(stdout.flush()?),
            Self::File { file, partial, path } => {
                let failed = || format!("cannot write {}", path.display());
                let synced = file.into_file().and_then(|file| file.sync_all());
                synced.and_then(|()| fs::rename(&partial, &path)).with_context(failed)
            }
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File { file, .. } => file.inner().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { file, .. } => file.inner().flush(),
        }
    }
}

/// The lines of a file or of stdin (`-`), decompressed if the name ends in `.gz`.
pub(crate) fn lines(path: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<String>> + use<>> {
    let shown = path.display().to_string();
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        if path.extension().is_some_and(|e| e == "gz") {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::new(file))
        }
    };
    let named = (1..).zip(reader.lines());
    Ok(named.map(move |(n, line)| line.with_context(|| format!("cannot read line {n} of {shown}"))))
}

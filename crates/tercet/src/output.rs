//! Where data goes, and where it comes from.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

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

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    /// As the file's name says: `.gz`, `.zst`, or not at all.
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// A piece of a file. Pieces one after the other are a file: both formats allow that.
    pub(crate) fn pack(self, piece: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(piece),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&piece)?;
                encoder.finish()
            }
            Self::Zstd => Ok(compress_to_vec(piece.as_slice(), CompressionLevel::Fastest)),
        }
    }
}

/// The lines of a file or of stdin (`-`), decompressed if the name ends in `.gz` or `.zst`.
pub(crate) fn lines(path: &Path) -> anyhow::Result<impl Iterator<Item = anyhow::Result<String>> + use<>> {
    let shown = path.display().to_string();
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = BufReader::new(File::open(path).with_context(|| format!("cannot read {shown}"))?);
        match Packing::of(path) {
            Packing::Plain => Box::new(file),
            Packing::Gzip => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
            Packing::Zstd => Box::new(BufReader::new(Frames { source: Some(file), frame: None })),
        }
    };
    let named = (1..).zip(reader.lines());
    Ok(named.map(move |(n, line)| line.with_context(|| format!("cannot read line {n} of {shown}"))))
}

/// Reads zstd frames one after the other; the decoder by itself stops after the first.
struct Frames<R: BufRead> {
    /// The file between two frames.
    source: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(mut frame) = self.frame.take() {
                let read = frame.read(bytes)?;
                if read > 0 || bytes.is_empty() {
                    self.frame = Some(frame);
                    return Ok(read);
                }
                self.source = Some(frame.into_inner());
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.frame = Some(StreamingDecoder::new(source).map_err(io::Error::other)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_back_as_one_text() {
        let text = (0..5000).map(|n| format!("problem {n}")).collect::<Vec<_>>().join("\n");
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let (a, b) = text.as_bytes().split_at(20_000);
            let file = [a, b, b""].map(|piece| packing.pack(piece.to_vec()).expect("packed")).concat();
            let read: Box<dyn Read> = match packing {
                Packing::Plain => Box::new(&file[..]),
                Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(&file[..])),
                Packing::Zstd => Box::new(Frames { source: Some(&file[..]), frame: None }),
            };
            assert!(io::read_to_string(read).expect("whole") == text, "{packing:?}");
            assert_eq!(file.len() < text.len() / 2, packing != Packing::Plain, "{packing:?}: {}", file.len());
        }
    }
}

//! How files are compressed.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use ruzstd::{
    decoding::StreamingDecoder,
    encoding::{CompressionLevel, compress_to_vec},
};

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip, of one or several members.
    Gzip,
    /// zstd, of one or several frames.
    Zstd,
}

impl Packing {
    /// As the file's name says: `.gz`, `.zst`, or not at all.
    pub fn of(path: &Path) -> Self {
        match path.extension().and_then(|e| e.to_str()) {
            Some("gz") => Self::Gzip,
            Some("zst") => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// Compresses a part of a file. Parts one after the other are a file: both formats allow that.
    ///
    /// # Errors
    /// If the compressor fails.
    pub fn pack(self, part: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain => Ok(part),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&part)?;
                encoder.finish()
            }
            Self::Zstd => Ok(compress_to_vec(part.as_slice(), CompressionLevel::Fastest)),
        }
    }

    /// Decompresses a file as it is read.
    pub fn reader(self, file: impl BufRead + 'static) -> Box<dyn BufRead> {
        match self {
            Self::Plain => Box::new(file),
            Self::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(file))),
            Self::Zstd => Box::new(BufReader::new(Frames { source: Some(file), frame: None })),
        }
    }
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
    fn parts_are_read_back_as_one_text() {
        let text = (0..5000).map(|n| format!("problem {n}")).collect::<Vec<_>>().join("\n");
        for packing in [Packing::Plain, Packing::Gzip, Packing::Zstd] {
            let (a, b) = text.as_bytes().split_at(20_000);
            let file = [a, b, b""].map(|piece| packing.pack(piece.to_vec()).expect("packed")).concat();
            let read = packing.reader(io::Cursor::new(file.clone()));
            assert!(io::read_to_string(read).expect("whole") == text, "{packing:?}");
            assert_eq!(file.len() < text.len() / 2, packing != Packing::Plain, "{packing:?}: {}", file.len());
        }
    }
}

//! Files of JSON lines: one value per line, compressed as the name says.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use ruzstd::{
    decoding::StreamingDecoder,
    encoding::{CompressionLevel, compress_to_vec},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{FileError, damaged, damaged_line, failed},
    files,
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

/// The values as JSON, one per line.
///
/// # Errors
/// If a value has no JSON form.
pub fn to_bytes<T: Serialize>(path: &Path, values: &[T]) -> Result<Vec<u8>, FileError> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value).map_err(|e| damaged(path, &e))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Writes values as JSON lines, compressed as the name says. The same values give the same bytes.
///
/// # Errors
/// If the system refuses, or a value has no JSON form.
pub fn write<T: Serialize>(path: &Path, values: &[T]) -> Result<(), FileError> {
    let bytes = Packing::of(path).pack(to_bytes(path, values)?).map_err(failed(path, "compress"))?;
    files::write(path, &bytes)
}

/// Calls `each` with every value of a file of JSON lines, numbered from 0. Reads line by line, however large the file is.
///
/// # Errors
/// If the file cannot be read, ends in the middle, or a line is not such a value.
pub fn for_each<T: DeserializeOwned>(path: &Path, mut each: impl FnMut(usize, T)) -> Result<(), FileError> {
    let file = File::open(path).map_err(failed(path, "read"))?;
    for (i, line) in Packing::of(path).reader(BufReader::new(file)).lines().enumerate() {
        let line = line.map_err(|e| damaged_line(path, i + 1, &e))?;
        each(i, serde_json::from_str(&line).map_err(|e| damaged_line(path, i + 1, &e))?);
    }
    Ok(())
}

/// All values of a file of JSON lines.
///
/// # Errors
/// As [`for_each`].
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let mut values = Vec::new();
    for_each(path, |_, value| values.push(value))?;
    Ok(values)
}

/// The values of a file that is being appended to; none if there is no such file. A last line without its newline is not
/// finished and not read.
///
/// # Errors
/// If the file cannot be read, or a finished line is not such a value.
pub fn read_growing<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(path, "read")(e)),
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let value =
        |(i, line): (usize, &str)| serde_json::from_str(line).map_err(|e| damaged_line(path, i + 1, &e));
    whole.lines().enumerate().map(value).collect()
}

/// As [`read_growing`], without the lines that are no such values: for notes that no result rests on, where a line torn by a
/// crash costs no more than itself.
///
/// # Errors
/// If the file cannot be read.
pub fn read_whole_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(path, "read")(e)),
    };
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
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

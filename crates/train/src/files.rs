//! Files that are whole or absent: written beside their place, synced, then renamed into it.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Serialize, de::DeserializeOwned};

/// A file could not be read, written or understood.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refused.
    #[error("cannot {action} `{path}`: {source}")]
    System {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `write`, …
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The content is not what it should be.
    #[error("`{path}` is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Turns a system error at a path into a [`FileError`].
pub(crate) fn failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::System { path, action, source }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(failed(path, "make the folder"))
}

/// Writes a file as a whole: another process, or a later one after a crash, sees the old content or the
/// new, never a part.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let partial = partial(path);
    let written = (|| {
        let mut file = File::create(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&partial, path)?;
        sync_folder(path.parent())
    })();
    written.map_err(|source| {
        // Best effort: the name of a partial file is never taken for a whole one.
        let _ = fs::remove_file(&partial);
        failed(path, "write")(source)
    })
}

/// Where a file or folder is put together before it gets its name.
pub(crate) fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.partial"))
}

/// Makes a fresh, empty folder beside `path`, to be filled and then [`publish`]ed.
pub(crate) fn begin_folder(path: &Path) -> Result<PathBuf, FileError> {
    let partial = partial(path);
    remove_folder(&partial)?;
    make_folder(&partial)?;
    Ok(partial)
}

/// Syncs everything in the folder and gives it its name.
pub(crate) fn publish(partial: &Path, path: &Path) -> Result<(), FileError> {
    let sync = || -> io::Result<()> {
        for entry in fs::read_dir(partial)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                File::open(entry.path())?.sync_all()?;
            }
        }
        sync_folder(Some(partial))
    };
    sync().map_err(failed(partial, "write"))?;
    remove_folder(path)?;
    fs::rename(partial, path).map_err(failed(path, "write"))?;
    sync_folder(path.parent()).map_err(failed(path, "write"))
}

fn sync_folder(path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) if !path.as_os_str().is_empty() => File::open(path)?.sync_all(),
        _ => Ok(()),
    }
}

/// Removes a folder if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(path, "remove")(e)),
        _ => Ok(()),
    }
}

/// Removes the files and folders that a killed process left under the name of [`partial`].
pub(crate) fn sweep(folder: &Path) -> Result<(), FileError> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(failed(folder, "read"))? {
        let entry = entry.map_err(failed(folder, "read"))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".partial") {
            if path.is_dir() {
                remove_folder(&path)?;
            } else {
                fs::remove_file(&path).map_err(failed(&path, "remove"))?;
            }
        }
    }
    Ok(())
}

/// Writes a value as indented JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| damaged(path, &e))?;
    text.push('\n');
    write(path, text.as_bytes())
}

/// Reads a value from JSON.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let text = fs::read_to_string(path).map_err(failed(path, "read"))?;
    serde_json::from_str(&text).map_err(|e| damaged(path, &e))
}

/// The values as JSON, one a line.
pub(crate) fn lines<T: Serialize>(path: &Path, values: &[T]) -> Result<Vec<u8>, FileError> {
    let mut text = Vec::new();
    for value in values {
        serde_json::to_writer(&mut text, value).map_err(|e| damaged(path, &e))?;
        text.push(b'\n');
    }
    Ok(text)
}

/// Writes values as compressed JSON lines. The same values give the same bytes.
pub(crate) fn write_lines_gz<T: Serialize>(path: &Path, values: &[T]) -> Result<(), FileError> {
    let text = lines(path, values)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let bytes = encoder.write_all(&text).and_then(|()| encoder.finish());
    write(path, &bytes.map_err(failed(path, "compress"))?)
}

/// Reads values from JSON lines, compressed if the name ends in `.gz`.
///
/// # Errors
/// If the file cannot be read or a line is not such a value.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, FileError> {
    let bytes = fs::read(path).map_err(failed(path, "read"))?;
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).map_err(|e| damaged(path, &e))?;
    } else {
        text = String::from_utf8(bytes).map_err(|e| damaged(path, &e))?;
    }
    let parse =
        |(i, line)| serde_json::from_str(line).map_err(|e| damaged(path, &format!("line {}: {e}", i + 1)));
    text.lines().enumerate().map(parse).collect()
}

pub(crate) fn damaged(path: &Path, reason: &dyn ToString) -> FileError {
    FileError::Damaged { path: path.to_owned(), reason: reason.to_string() }
}

/// A file that only grows, one JSON value a line.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Journal {
    /// Opens a journal and cuts it off at a length in bytes, or starts it.
    pub(crate) fn open(path: &Path, bytes: u64) -> Result<Self, FileError> {
        let open = || -> io::Result<File> {
            let file = File::options().create(true).append(true).read(true).open(path)?;
            let length = file.metadata()?.len();
            if length < bytes {
                let reason = format!("it has {length} bytes, and the checkpoint knows of {bytes}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            file.set_len(bytes)?;
            Ok(file)
        };
        Ok(Self { path: path.to_owned(), file: open().map_err(failed(path, "go on with"))?, bytes })
    }

    pub(crate) fn push<T: Serialize>(&mut self, value: &T) -> Result<(), FileError> {
        let line = lines(&self.path, std::slice::from_ref(value))?;
        self.file.write_all(&line).map_err(failed(&self.path, "write"))?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Length so far, after everything has reached the disk.
    pub(crate) fn sync(&mut self) -> Result<u64, FileError> {
        self.file.sync_all().map_err(failed(&self.path, "write"))?;
        Ok(self.bytes)
    }
}

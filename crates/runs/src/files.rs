//! Files that are whole or absent: written beside their place, synced, then renamed into it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::{FileError, damaged, failed};

/// Makes a folder and those above it.
///
/// # Errors
/// If the system refuses.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(failed(path, "make the folder"))
}

/// Writes a file as a whole: another process, or a later one after a crash, sees the old content or the
/// new, never a part.
///
/// # Errors
/// If the system refuses.
pub fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
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
pub fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.partial"))
}

/// Makes a fresh, empty folder beside `path`, to be filled and then [`publish`]ed.
///
/// # Errors
/// If the system refuses.
pub fn begin_folder(path: &Path) -> Result<PathBuf, FileError> {
    let partial = partial(path);
    remove_folder(&partial)?;
    make_folder(&partial)?;
    Ok(partial)
}

/// Syncs everything in the folder and gives it its name.
///
/// # Errors
/// If the system refuses.
pub fn publish(partial: &Path, path: &Path) -> Result<(), FileError> {
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
///
/// # Errors
/// If the system refuses.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(path, "remove")(e)),
        _ => Ok(()),
    }
}

/// Removes the files and folders that a killed process left under the name of [`partial`].
///
/// # Errors
/// If the system refuses.
pub fn sweep(folder: &Path) -> Result<(), FileError> {
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
///
/// # Errors
/// If the system refuses, or the content is not such a value.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| damaged(path, &e))?;
    text.push('\n');
    write(path, text.as_bytes())
}

/// Reads a value from JSON.
///
/// # Errors
/// If the system refuses, or the content is not such a value.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, FileError> {
    let text = fs::read_to_string(path).map_err(failed(path, "read"))?;
    serde_json::from_str(&text).map_err(|e| damaged(path, &e))
}

/// Reads a value from JSON; `None` if there is no such file.
///
/// # Errors
/// If the system refuses, or the content is not such a value.
pub fn read_optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    if path.is_file() { read_json(path).map(Some) } else { Ok(None) }
}

/// The entries of a folder, sorted; none if there is no such folder.
///
/// # Errors
/// If the system refuses.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(path, "read")(e)),
    };
    let paths: Result<Vec<PathBuf>, FileError> =
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed(path, "read"))).collect();
    let mut paths = paths?;
    paths.sort();
    Ok(paths)
}

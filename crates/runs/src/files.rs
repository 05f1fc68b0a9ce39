//! Files that are whole or absent: they are written beside their place, synced, then renamed into it.
//!
//! An unfinished file or folder has a name of its own, `.NAME.PROCESS-COUNTER.partial`, so that processes never touch each
//! other's. What a killed process leaves is removed later. The rule is: the holder of the lock of a stage, or of another part
//! of a run, removes everything unfinished of that part ([`sweep`]); elsewhere only files that no living process writes are
//! removed ([`sweep_dead`]).

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
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

/// Writes a file as a whole. Another process, or a later one after a crash, sees the old content or the new one, never a
/// part. Several processes may write the same file at once: each writes under a name of its own, and the last to finish
/// wins.
///
/// # Errors
/// If the system refuses.
pub fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write_observed(path, content, |_| ()).map_err(failed(path, "write"))
}

/// As [`write`]; `begun` is told each unfinished file before it is filled.
fn write_observed(path: &Path, content: &[u8], mut begun: impl FnMut(&Path)) -> io::Result<()> {
    for _ in 1..ATTEMPTS {
        let unfinished = Unfinished::begin(path)?;
        begun(&unfinished.path);
        match unfinished.finish(content, path) {
            // Swept in the moment between its creation and its lock.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            ended => return ended,
        }
    }
    Unfinished::begin(path)?.finish(content, path)
}

/// How often a file is begun when others remove it.
const ATTEMPTS: usize = 3;

/// A file without its final name. It is locked for as long as its process works on it, which tells [`sweep_dead`]
/// that it is in use.
struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    fn begin(target: &Path) -> io::Result<Self> {
        let (path, file) = fresh(target, |path| File::options().write(true).create_new(true).open(path))?;
        // Where there are no locks, nothing is swept either.
        let _ = file.try_lock();
        Ok(Self { path, file })
    }

    fn finish(mut self, content: &[u8], target: &Path) -> io::Result<()> {
        let mut renamed = || {
            self.file.write_all(content)?;
            self.file.sync_all()?;
            fs::rename(&self.path, target)?;
            sync_folder(target.parent())
        };
        renamed().inspect_err(|_| {
            // Best effort: the name says that the file is not whole.
            let _ = fs::remove_file(&self.path);
        })
    }
}

/// Makes something under an unfinished name that nobody else uses: `.NAME.PROCESS-COUNTER.partial`. A process of the same
/// number, on another machine or before, may have left the name behind; then the next one is taken.
fn fresh<T>(target: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    loop {
        let (process, counter) = (std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let path = target.with_file_name(format!(".{name}.{process}-{counter}.partial"));
        match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|made| (path, made)),
        }
    }
}

/// Whether this is the name of an unfinished file or folder: it starts with a dot and ends in `.partial`.
pub fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with('.') && name.ends_with(".partial")
}

/// Makes a fresh, empty folder beside `path`, to be filled and then [`publish`]ed.
///
/// # Errors
/// If the system refuses.
pub fn begin_folder(path: &Path) -> Result<PathBuf, FileError> {
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    let (partial, ()) = fresh(path, |partial| fs::create_dir(partial)).map_err(failed(path, "write"))?;
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
    for _ in 1..ATTEMPTS {
        remove_folder(path)?;
        match fs::rename(partial, path) {
            // Another process has published one in the meantime.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => {}
            renamed => {
                return renamed.and_then(|()| sync_folder(path.parent())).map_err(failed(path, "write"));
            }
        }
    }
    remove_folder(path)?;
    rename(partial, path)
}

/// Gives a synced file or folder its final name.
///
/// # Errors
/// If the system refuses.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).and_then(|()| sync_folder(to.parent())).map_err(failed(to, "write"))
}

fn sync_folder(path: Option<&Path>) -> io::Result<()> {
    match path {
        Some(path) if !path.as_os_str().is_empty() => File::open(path)?.sync_all(),
        _ => Ok(()),
    }
}

/// Removes a folder if it is there. It gets an unfinished name first: one that is half removed must not look whole.
///
/// # Errors
/// If the system refuses.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    if !path.exists() {
        return Ok(());
    }
    if is_unfinished(path) {
        return gone(fs::remove_dir_all(path), path);
    }
    // The rename replaces the empty folder that reserved the name.
    let (partial, ()) = fresh(path, |partial| fs::create_dir(partial)).map_err(failed(path, "remove"))?;
    fs::rename(path, &partial).map_err(failed(path, "remove"))?;
    gone(fs::remove_dir_all(&partial), path)
}

/// Removes a file if it is there.
///
/// # Errors
/// If the system refuses.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    gone(fs::remove_file(path), path)
}

/// What somebody else has removed meanwhile is removed.
fn gone(removed: io::Result<()>, path: &Path) -> Result<(), FileError> {
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(path, "remove")(e)),
        _ => Ok(()),
    }
}

/// Checks that an open file is the one at a path. Where the system gives files no identity, that there is one.
pub(crate) fn check_same(file: &File, path: &Path) -> Result<(), FileError> {
    let replaced = || FileError::Replaced { path: path.to_owned() };
    let there = fs::metadata(path).map_err(|_| replaced())?;
    let open = file.metadata().map_err(failed(path, "read"))?;
    if is_same(&open, &there) { Ok(()) } else { Err(replaced()) }
}

#[cfg(unix)]
fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    a.len() == b.len()
}

/// Removes everything unfinished of a folder: in it, in those below it, and beside it, where the folder itself was being
/// made. Only for the one process that writes there, the holder of the part's [`Lock`](crate::Lock).
///
/// # Errors
/// If the system refuses.
pub fn sweep(folder: &Path) -> Result<(), FileError> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    for path in list(folder.parent().unwrap_or(Path::new("")))? {
        if is_unfinished(&path) && is_of(&path, &name) {
            remove(&path)?;
        }
    }
    sweep_inside(folder)
}

fn sweep_inside(folder: &Path) -> Result<(), FileError> {
    for path in list(folder)? {
        match (is_unfinished(&path), is_folder(&path)) {
            (true, _) => remove(&path)?,
            (false, true) => sweep_inside(&path)?,
            (false, false) => {}
        }
    }
    Ok(())
}

/// Whether something unfinished was to get this name: `.NAME.PROCESS-COUNTER.partial`.
fn is_of(unfinished: &Path, name: &str) -> bool {
    let full = unfinished.file_name().unwrap_or_default().to_string_lossy();
    let rest = full.strip_prefix('.').and_then(|rest| rest.strip_prefix(name));
    rest.and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| rest.matches('.').count() <= 1)
}

fn is_folder(path: &Path) -> bool {
    path.is_dir() && !path.is_symlink()
}

fn remove(path: &Path) -> Result<(), FileError> {
    if is_folder(path) { remove_folder(path) } else { remove_file(path) }
}

/// Removes the unfinished files of dead processes in one folder. For places where several processes write without a lock:
/// a run folder itself and its `figures`, where reports are written while the run works. A file that a living process
/// works on is locked and stays, and so does everything on a file system without locks.
///
/// # Errors
/// If the system refuses.
pub fn sweep_dead(folder: &Path) -> Result<(), FileError> {
    for path in list(folder)? {
        if is_unfinished(&path)
            && path.is_file()
            && File::open(&path).is_ok_and(|file| file.try_lock().is_ok())
        {
            remove_file(&path)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        list(folder).expect("readable").into_iter().map(name).collect()
    }

    #[test]
    fn two_writers_of_a_file_do_not_meet() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a");
        let [first, second] = [(); 2].map(|()| Unfinished::begin(&path).expect("begun"));
        assert_ne!(first.path, second.path);
        write(&path, b"third").expect("written");
        first.finish(b"first", &path).expect("written");
        second.finish(b"second", &path).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"second");
        assert_eq!(names(dir.path()), ["a"]);
    }

    #[test]
    fn what_a_living_process_writes_is_not_swept_and_what_a_dead_one_left_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a");
        let living = Unfinished::begin(&path).expect("begun");
        fs::write(dir.path().join(".b.1-0.partial"), "left").expect("writable");
        fs::write(dir.path().join(".kept"), "").expect("writable");
        sweep_dead(dir.path()).expect("swept");
        let left = living.path.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!(names(dir.path()), [left, ".kept".to_owned()]);
        living.finish(b"whole", &path).expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"whole");
    }

    #[test]
    fn a_file_that_is_swept_before_it_is_locked_is_begun_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a");
        let mut begun = 0;
        let written = write_observed(&path, b"whole", |partial| {
            begun += 1;
            if begun == 1 {
                fs::remove_file(partial).expect("there");
            }
        });
        written.expect("written");
        assert_eq!((begun, names(dir.path())), (2, vec!["a".to_owned()]));
        assert!(write(&dir.path().join("none/a"), b"").is_err(), "a folder that is missing is an error");
    }

    #[test]
    fn the_holder_of_a_lock_sweeps_everything_unfinished_of_its_part() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let stage = dir.path().join("pre-1a2b");
        let [own, other] =
            ["pre-1a2b", "pre-3c4d"].map(|name| begin_folder(&dir.path().join(name)).expect("begun"));
        make_folder(&stage.join("checkpoints")).expect("writable");
        let checkpoint = begin_folder(&stage.join("checkpoints/step-000001")).expect("begun");
        write(&checkpoint.join("model"), b"half").expect("written");
        fs::write(stage.join(".stage.json.partial"), "").expect("writable");
        write(&stage.join("stage.json"), b"{}").expect("written");
        sweep(&stage).expect("swept");
        assert!(!own.exists() && other.exists());
        assert_eq!(names(&stage), ["checkpoints", "stage.json"]);
        assert!(names(&stage.join("checkpoints")).is_empty());
        sweep(&dir.path().join("none")).expect("a folder that is missing is swept");
    }

    #[test]
    fn a_folder_is_published_over_an_older_one() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("a");
        for content in ["old", "new"] {
            let partial = begin_folder(&path).expect("begun");
            write(&partial.join(content), b"").expect("written");
            publish(&partial, &path).expect("published");
            assert_eq!((names(dir.path()), names(&path)), (vec!["a".to_owned()], vec![content.to_owned()]));
        }
    }
}

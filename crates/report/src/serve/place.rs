//! The folder that is served, and what is inside it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ReportError;
use runs::{error::failed, files::list};

/// A folder of runs; nothing outside it is ever read.
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    pub(super) fn new(root: &Path) -> Result<Self, ReportError> {
        let root = fs::canonicalize(root).map_err(failed(root, "open"))?;
        fs::read_dir(&root).map_err(failed(&root, "read"))?;
        Ok(Self { root })
    }

    /// The runs, sorted by name: every folder with a manifest, with what stands in the way of showing it.
    pub(super) fn runs(&self) -> Vec<(String, Result<PathBuf, String>)> {
        let entries = list(&self.root).unwrap_or_default();
        let run = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            let found = self.look(&name)?;
            Some((name, found))
        };
        entries.into_iter().filter_map(run).collect()
    }

    /// The folder of a run; `None` unless it is a folder of this place with a manifest, and it and all that
    /// the report reads of it are truly inside, whatever links say.
    pub(super) fn run(&self, name: &str) -> Option<PathBuf> {
        self.look(name)?.ok()
    }

    /// The folder of a run, or why it is not shown; `None` if there is no such run.
    fn look(&self, name: &str) -> Option<Result<PathBuf, String>> {
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
        let path = self.inside(&self.root.join(plain.then_some(name)?))?;
        if !path.join("manifest.json").is_file() {
            return None;
        }
        let obstacle = self.obstacle(&path, 0);
        Some(obstacle.map_or_else(
            || Ok(path.clone()),
            |(at, what)| Err(format!("{} {what}", at.strip_prefix(&path).unwrap_or(&at).display())),
        ))
    }

    /// The true path, if it is inside.
    pub(super) fn inside(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(path).ok().filter(|p| p.starts_with(&self.root))
    }

    /// What in a folder must not be read, and why: a link that leads out or nowhere, a pipe or device, which a reader might
    /// wait for for ever. Checkpoints are not read and not looked at.
    fn obstacle(&self, folder: &Path, depth: u32) -> Option<(PathBuf, &'static str)> {
        const DEPTH_MAX: u32 = 5;
        let entries = fs::read_dir(folder).ok()?;
        entries.flatten().find_map(|entry| {
            let path = entry.path();
            let kind = entry.file_type().ok()?;
            if kind.is_symlink() {
                let Some(there) = self.inside(&path) else {
                    return Some((path, "is a link that leads nowhere or out of the folder"));
                };
                let meta = fs::metadata(&there).ok()?;
                return (!meta.is_file() && !meta.is_dir()).then_some((path, "leads to no regular file"));
            }
            if !kind.is_dir() {
                return (!kind.is_file()).then_some((path, "is no regular file"));
            }
            if entry.file_name() == "checkpoints" {
                return None;
            }
            if depth >= DEPTH_MAX {
                return Some((path, "lies too deep"));
            }
            self.obstacle(&path, depth + 1)
        })
    }
}

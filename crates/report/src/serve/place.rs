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

    /// Names of the runs, sorted: every folder with a manifest.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = list(&self.root).unwrap_or_default();
        let name = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.to_owned();
            self.run(&name).map(|_| name)
        };
        entries.into_iter().filter_map(name).collect()
    }

    /// The folder of a run; `None` unless it is a folder of this place with a manifest, and it and all that
    /// the report reads of it are truly inside, whatever links say.
    pub(super) fn run(&self, name: &str) -> Option<PathBuf> {
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
        let path = self.inside(&self.root.join(plain.then_some(name)?))?;
        (path.join("manifest.json").is_file() && self.holds_no_way_out(&path, 0)).then_some(path)
    }

    /// The true path, if it is inside.
    pub(super) fn inside(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(path).ok().filter(|p| p.starts_with(&self.root))
    }

    /// Whether every link in the folder leads to something inside. Checkpoints are not read and not looked at.
    fn holds_no_way_out(&self, folder: &Path, depth: u32) -> bool {
        const DEPTH_MAX: u32 = 5;
        let Ok(entries) = fs::read_dir(folder) else { return true };
        entries.flatten().all(|entry| {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_symlink() => self.inside(&path).is_some(),
                Ok(kind) if kind.is_dir() && entry.file_name() != "checkpoints" => {
                    depth < DEPTH_MAX && self.holds_no_way_out(&path, depth + 1)
                }
                _ => true,
            }
        })
    }
}

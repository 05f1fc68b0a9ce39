//! The rooms of the crate use each other in one direction only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every room with the rooms that its files may use.
const ROOMS: [(&str, &[&str]); 8] = [
    ("world", &[]),
    ("judge", &["world"]),
    ("identity", &["world"]),
    ("tell", &["world", "identity"]),
    ("problem", &["world", "identity", "judge", "tell"]),
    ("responses", &["problem"]),
    ("make", &["world", "identity", "tell", "problem"]),
    ("check", &["world", "identity", "judge", "tell", "problem", "make"]),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The rooms that a text names in its paths, without comments.
fn used(text: &str) -> BTreeSet<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let parts = code.flat_map(|line| line.split("crate::").skip(1));
    parts.filter_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()).collect()
}

#[test]
fn rooms_use_only_what_is_below_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders = fs::read_dir(&src).expect("sources").map(|entry| entry.expect("an entry").path());
    assert_eq!(folders.filter(|path| path.is_dir()).count(), ROOMS.len(), "every folder is a room");
    for (room, below) in ROOMS {
        for file in files(&src.join(room)) {
            let text = fs::read_to_string(&file).expect("UTF-8");
            for name in used(&text) {
                assert!(name == room || below.contains(&name), "{} uses `{name}`", file.display());
            }
        }
    }
}

/// A check that finds nothing in any text proves nothing.
#[test]
fn uses_are_found() {
    let text = "use crate::world::graph;\n// crate::tell\nlet x = crate::make::generate::new();";
    assert_eq!(used(text), BTreeSet::from(["make", "world"]));
}

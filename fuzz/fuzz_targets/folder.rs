//! Any bytes as one file of a run folder, as the report, the live page and the check read it: an error or a page, and the
//! files of the run stay as they are.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/runs/tests/fixtures/quickstart");

/// A copy of a run, and its files.
fn run() -> &'static (tempfile::TempDir, Vec<(std::path::PathBuf, Vec<u8>)>) {
    static RUN: OnceLock<(tempfile::TempDir, Vec<(std::path::PathBuf, Vec<u8>)>)> = OnceLock::new();
    RUN.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let mut files = Vec::new();
        copy(Path::new(FIXTURE), dir.path(), &mut files);
        files.sort();
        (dir, files)
    })
}

fn copy(from: &Path, to: &Path, files: &mut Vec<(std::path::PathBuf, Vec<u8>)>) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to, files);
        } else {
            let content = fs::read(&path).expect("readable");
            fs::write(&to, &content).expect("writable");
            files.push((to, content));
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, content)) = bytes.split_first() else { return };
    let (dir, files) = run();
    let (path, original) = &files[usize::from(*which) % files.len()];
    fs::write(path, content).expect("writable");
    let _ = tercet_train::run::check(dir.path());
    let _ = tercet_report::html::write(dir.path());
    assert_eq!(&fs::read(path).expect("still there"), content, "a reader wrote to {}", path.display());
    fs::write(path, original).expect("writable");
});

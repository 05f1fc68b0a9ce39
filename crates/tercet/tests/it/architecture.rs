//! The listing of files in ARCHITECTURE.md is what lies in the crates. `TERCET_UPDATE=1 cargo test -p tercet` rewrites it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const SECTION: &str = "## Files\n";

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// The first sentence of a module's documentation, up to a colon or semicolon.
fn purpose(path: &Path) -> String {
    let file = if path.is_dir() { path.join("mod.rs") } else { path.to_owned() };
    let beside = path.with_extension("rs");
    let text = fs::read_to_string(file).or_else(|_| fs::read_to_string(beside)).unwrap_or_default();
    // A crate's page may be its README: then it is what stands under the heading.
    let page = path.ancestors().nth(2).map(|folder| folder.join("README.md"));
    let page = page
        .filter(|_| text.starts_with("#![doc = include_str!("))
        .and_then(|page| fs::read_to_string(page).ok());
    let paragraph = |lines: &mut dyn Iterator<Item = &str>| {
        lines.map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ") + " "
    };
    let about = match &page {
        Some(page) => paragraph(&mut page.lines().skip(2)),
        None => paragraph(&mut text.lines().map_while(|line| line.strip_prefix("//!"))),
    };
    let end = [". ", ": ", "; "].iter().filter_map(|end| about.find(end)).min().unwrap_or(about.len());
    about[..end].trim().to_owned()
}

/// One block for each crate, one line for each file and folder of its `src`.
fn listing(root: &Path) -> String {
    let mut text =
        "\nWritten by `TERCET_UPDATE=1 cargo test -p tercet` from the first sentence of each module; a test \
                    compares.\n"
            .to_owned();
    for folder in entries(&root.join("crates")).iter().filter(|folder| folder.join("src").is_dir()) {
        let _ = write!(text, "\n### crates/{}/src\n\n```text\n", name(folder));
        let entries = entries(&folder.join("src"));
        let shown = |path: &PathBuf| name(path) + if path.is_dir() { "/" } else { "" };
        let width = entries.iter().map(|path| shown(path).chars().count()).max().unwrap_or(0);
        for path in &entries {
            let _ = writeln!(text, "{}", format!("{:width$}  {}", shown(path), purpose(path)).trim_end());
        }
        text.push_str("```\n");
    }
    text
}

/// The lines of the listing, each with its crate.
fn by_crate(listing: &str) -> BTreeSet<(&str, &str)> {
    let mut heading = "";
    let mut lines = BTreeSet::new();
    for line in listing.lines() {
        if line.starts_with("### ") {
            heading = line;
        }
        lines.insert((heading, line));
    }
    lines
}

#[test]
fn the_listing_of_files_is_what_lies_in_the_crates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("ARCHITECTURE.md");
    let page = fs::read_to_string(&path).expect("ARCHITECTURE.md exists");
    let (before, after) = page.split_once(SECTION).expect("ARCHITECTURE.md has a section of files");
    let (written, rest) = after.split_at(after.find("\n## ").unwrap_or(after.len()));
    let wanted = listing(&root);
    if std::env::var_os("TERCET_UPDATE").is_some() {
        fs::write(&path, format!("{before}{SECTION}{wanted}{rest}")).expect("docs can be written");
        return;
    }
    let (listed, there) = (by_crate(written), by_crate(&wanted));
    let missing: Vec<_> = there.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&there).collect();
    assert!(
        written == wanted,
        "ARCHITECTURE.md lacks {missing:#?} and should not have {stale:#?}: run TERCET_UPDATE=1 cargo test -p tercet"
    );
    let bare = |line: &str| !line.is_empty() && !line.contains(' ') && Path::new(line).extension().is_some();
    assert!(!there.iter().any(|(_, line)| bare(line)), "a module has no documentation: {there:#?}");
}

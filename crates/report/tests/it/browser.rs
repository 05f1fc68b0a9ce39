//! The report in a real browser, where one is installed (Debian's `chromium`); elsewhere the test says so and passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::Synthetic;

/// Appended to the page: uses it as a reader would and leaves what it found in the document.
const VISITOR: &str = include_str!("visitor.js");

fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let usual =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    named.into_iter().chain(usual).find(|p| p.is_file())
}

/// What the visitor found, and all that the console said.
fn visit(chromium: &Path, page: &Path, profile: &Path, width: u32) -> (String, String) {
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
        .args(["--enable-logging=stderr", "--v=0", "--timeout=60000", "--dump-dom"])
        .arg(format!("--window-size={width},1200"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let found = dom.split("data-found=\"").nth(1).and_then(|d| d.split('"').next()).unwrap_or("no answer");
    let log = String::from_utf8_lossy(&output.stderr);
    let console = log.lines().filter(|l| l.contains("CONSOLE")).collect::<Vec<_>>().join("\n");
    (found.to_owned(), console)
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn a_reader_finds_nothing_wrong() {
    let Some(chromium) = chromium() else {
        println!("skipped: no chromium (set CHROMIUM to its path)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    Synthetic { problems_per_op: 8, ..Synthetic::default() }.write(dir.path());
    let report = std::fs::read_to_string(report::html::write(dir.path()).unwrap()).unwrap();
    let page = dir.path().join("visited.html");
    std::fs::write(&page, report.replace("</body>", &format!("<script>{VISITOR}</script></body>"))).unwrap();
    for width in [1280, 500] {
        let (found, console) = visit(&chromium, &page, &dir.path().join("profile"), width);
        assert_eq!(found, "nothing wrong", "at {width}");
        assert_eq!(console, "", "at {width}");
    }
}

//! How long the report of a large run takes to write, and to open in a browser.
//!
//! ```text
//! cargo run --release -p pages-bench            a synthetic run of ten arms and three seeds, written and opened
//! cargo run --release -p pages-bench -- KEEP    the same, and the run folder is kept as KEEP, e.g. for screenshots
//! ```
//! Run in `bench/`. The browser is Debian's `chromium`, or `CHROMIUM`. Times are medians of five rounds, each with a new
//! profile.

#[path = "../../../crates/report/tests/it/fixture.rs"]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use fixture::Synthetic;

const ROUNDS: usize = 5;

/// Appended to the page: leaves the milliseconds from the start of loading until the page was drawn.
const CLOCK: &str = "<script>addEventListener('load', () => requestAnimationFrame(() => requestAnimationFrame(() => \
                     document.body.dataset.opened = performance.now())))</script></body>";

fn main() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let run = std::env::args_os().nth(1).map_or_else(|| temporary.path().join("run"), PathBuf::from);
    std::fs::create_dir_all(&run)?;
    let arms = vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    Synthetic { arms, seeds: vec![1, 2, 3], ..Synthetic::default() }.write(&run);
    let written = median(|| {
        let begun = Instant::now();
        report::html::write(&run)?;
        Ok(begun.elapsed().as_secs_f64())
    })?;
    let report = std::fs::read_to_string(run.join("report.html"))?;
    println!("ten arms, three seeds: {:.2} MB, written in {written:.2} s", report.len() as f64 / 1e6);
    let page = temporary.path().join("timed.html");
    std::fs::write(&page, report.replace("</body>", CLOCK))?;
    let opened = median(|| opened(&page))?;
    println!("opened in {opened:.2} s, at 1400 pixels");
    Ok(())
}

fn median(mut round: impl FnMut() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let mut times = (0..ROUNDS).map(|_| round()).collect::<anyhow::Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

/// Seconds from the start of loading until the page was drawn.
fn opened(page: &Path) -> anyhow::Result<f64> {
    let browser = std::env::var_os("CHROMIUM").unwrap_or_else(|| "chromium".into());
    let profile = tempfile::tempdir()?;
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1400,1200"])
        .args(["--timeout=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .context("chromium is needed, or CHROMIUM with its path")?;
    let dom = String::from_utf8_lossy(&output.stdout);
    let milliseconds = dom.split("data-opened=\"").nth(1).and_then(|rest| rest.split('"').next());
    Ok(milliseconds.context("the page was not drawn within ten seconds")?.parse::<f64>()? / 1e3)
}

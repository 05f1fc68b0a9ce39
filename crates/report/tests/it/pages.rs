//! The report file: self-contained, small, the same bytes for the same folder.

use crate::fixture::Synthetic;

#[test]
fn the_report_needs_nothing_but_itself() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let path = report::html::write(dir.path()).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    // The only addresses are XML's namespace and data of the page itself.
    let rest = page.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!rest.contains(forbidden), "the page holds {forbidden}");
    }
    for promised in ["within noise", "pass@16", "figures/pass-at-k.csv", "Does reinforcement learning"] {
        assert!(page.contains(promised), "the page lacks {promised}");
    }
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b"], seeds: vec![1, 2], ..Synthetic::default() }.write(dir.path());
    let read = || {
        report::html::write(dir.path()).unwrap();
        let mut files: Vec<_> =
            std::fs::read_dir(dir.path().join("figures")).unwrap().map(|e| e.unwrap().path()).collect();
        files.extend([dir.path().join("report.html"), dir.path().join("results.json")]);
        files.sort();
        files.into_iter().map(|f| (std::fs::read(&f).unwrap(), f)).collect::<Vec<_>>()
    };
    let first = read();
    assert!(first.len() > 15 && first == read());
}

#[test]
fn what_models_write_stays_text() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let manifest = dir.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("Does reinforcement", "<script>alert(1)</script> Does")).unwrap();
    let page = std::fs::read_to_string(report::html::write(dir.path()).unwrap()).unwrap();
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"));
}

#[test]
fn a_run_without_any_stage_still_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    std::fs::remove_dir_all(dir.path().join("stages")).unwrap();
    let page = std::fs::read_to_string(report::html::write(dir.path()).unwrap()).unwrap();
    assert!(page.contains("Not finished: pre-0001, mid-0001, rl-main-0001"));
}

#[test]
fn arms_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["easy", "edge", "hard"], seeds: vec![1, 2], ..Synthetic::default() }
        .write(dir.path());
    let page = std::fs::read_to_string(report::html::write(dir.path()).unwrap()).unwrap();
    assert!(page.contains("The arms side by side") && page.contains("edge · rl"));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    if let Ok(keep) = std::env::var("REPORT_KEEP") {
        std::fs::copy(dir.path().join("report.html"), keep).unwrap();
    }
}

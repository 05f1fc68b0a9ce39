//! The live page over real connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use crate::fixture::Synthetic;

/// A running server; stops when dropped.
pub(crate) struct Live {
    pub(crate) address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Live {
    pub(crate) fn of(runs: &Path) -> Self {
        let (stop, runs) = (Arc::new(AtomicBool::new(false)), runs.to_owned());
        let (send, receive) = mpsc::channel();
        let flag = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            tercet_report::serve::serve(&runs, any, &flag, |address| send.send(address).unwrap()).unwrap();
        });
        Self { address: receive.recv().unwrap(), stop, thread: Some(thread) }
    }

    /// Status and body of a raw request target, sent as it is.
    fn get_as(&self, target: &str, host: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, answer)
    }

    fn get(&self, target: &str) -> (u16, String) {
        self.get_as(target, "localhost")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn runs_are_listed_and_followed() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("first run");
    std::fs::create_dir(&run).unwrap();
    Synthetic::default().write(&run);
    std::fs::remove_file(run.join("stages/rl-main-0001/done.json")).unwrap();
    let metrics = run.join("stages/rl-main-0001/metrics.jsonl");
    let lines = std::fs::read_to_string(&metrics).unwrap();
    std::fs::write(&metrics, lines.split_inclusive('\n').take(30).collect::<String>()).unwrap();
    let live = Live::of(dir.path());
    assert!(live.get("/").1.contains("data-source=\"/live\""));
    let list = live.get("/live").1;
    assert!(list.contains("first%20run") && list.contains("step 30 of 120, about 45 s left"), "{list}");
    let page = live.get("/run/first%20run/live").1;
    for promised in ["Progress", "Reward", "pass@k by band", "within noise", "prompts with a learning signal"]
    {
        assert!(page.contains(promised), "the page lacks {promised}");
    }
    assert!(list.contains("whole run: about 45 s left"), "{list}");
    assert!(page.contains("main · seed 1") && page.contains(">rl</span>") && !page.contains("rl-main-0001"));
    assert!(page.contains("progress of the whole run"));
    // Evaluations are drawn once and served from memory until a file changes.
    assert_eq!(live.get("/run/first%20run/live").1.len(), page.len());
}

#[test]
fn an_evaluation_under_way_says_how_far_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("r");
    std::fs::create_dir(&run).unwrap();
    Synthetic::default().write(&run);
    let stage = run.join("stages/rl-main-0001");
    std::fs::remove_file(stage.join("done.json")).unwrap();
    let parts = stage.join("evals/.heldout-0123456789");
    std::fs::create_dir(&parts).unwrap();
    for i in 0..3 {
        let file = std::fs::File::create(parts.join(format!("{i:05}.responses.jsonl.gz"))).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - std::time::Duration::from_secs(60 * (2 - i))).unwrap();
    }
    // 8 ops × 2 contexts × 2 modes × 20 problems in parts of 50.
    let page = Live::of(dir.path()).get("/run/r/live").1;
    assert!(page.contains("evaluating heldout: part 3 of 13 done, about 10 min left"), "{page}");
}

#[test]
fn a_run_may_vanish_or_break_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("r");
    std::fs::create_dir(&run).unwrap();
    Synthetic::default().write(&run);
    let live = Live::of(dir.path());
    assert_eq!(live.get("/run/r/live").0, 200);
    std::fs::write(run.join("stages/mid-0001/stage.json"), "{").unwrap();
    let broken = live.get("/run/r/live");
    assert!(broken.0 == 200 && broken.1.contains("cannot be read just now"), "{}", broken.1);
    assert!(live.get("/live").1.contains("cannot be read just now"));
    std::fs::remove_dir_all(&run).unwrap();
    assert_eq!(live.get("/run/r/live").0, 404);
    assert!(live.get("/live").1.contains("no run in this folder"));
}

#[test]
fn a_run_that_is_written_anew_is_drawn_anew() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("r");
    std::fs::create_dir(&run).unwrap();
    Synthetic { samples: 16, ..Synthetic::default() }.write(&run);
    let live = Live::of(dir.path());
    assert!(live.get("/run/r/live").1.contains("pass@16"));
    std::fs::remove_dir_all(&run).unwrap();
    assert_eq!(live.get("/run/r/live").0, 404);
    std::fs::create_dir(&run).unwrap();
    Synthetic { samples: 8, ..Synthetic::default() }.write(&run);
    let page = live.get("/run/r/live").1;
    assert!(page.contains("pass@8") && !page.contains("pass@16"));
}

#[test]
fn nothing_outside_the_folder_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, secret) = (dir.path().join("runs"), dir.path().join("secret"));
    for folder in [&runs, &secret, &runs.join("good"), &runs.join("linked")] {
        std::fs::create_dir(folder).unwrap();
    }
    Synthetic::default().write(&secret);
    Synthetic::default().write(&runs.join("good"));
    Synthetic::default().write(&runs.join("linked"));
    std::fs::write(secret.join("report.html"), "secret\n").unwrap();
    for run in [&secret, &runs.join("good")] {
        std::fs::create_dir(run.join("figures")).unwrap();
        std::fs::write(run.join("figures/by-op.csv"), format!("{}\n", run.display())).unwrap();
    }
    std::fs::write(runs.join("good/recipe.csv"), "secret\n").unwrap();
    std::fs::write(runs.join("good/figures/notes.txt"), "secret\n").unwrap();
    let live = Live::of(&runs);
    for target in [
        "/run/../secret/live",
        "/run/..%2Fsecret/live",
        "/run/%2e%2e/live",
        "/run/..%2fsecret/report.html",
        "/run/good%2f..%2f..%2fsecret/report.html",
        "/run/good/manifest.json",
        "/run/good/figures/..%2Fmanifest.json",
        "/run/good/figures/..%2F..%2F..%2Fsecret%2Ffigures%2Fby-op.csv",
        "/run/good/figures/%2e%2e%2frecipe.csv",
        "/run/..%2Fsecret/figures/by-op.csv",
        "/run/good/figures/notes.txt",
        "/run/good/../../secret/report.html",
        "/../secret/report.html",
        "/etc/passwd",
        "/run/%00/live",
        "/run//live",
        "//etc/passwd",
    ] {
        let (status, answer) = live.get(target);
        assert!((400..500).contains(&status) && !answer.contains("secret\n"), "{target}: {answer}");
    }
    assert!(live.get("/run/good/figures/by-op.csv").1.ends_with("runs/good\n"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&secret, runs.join("link")).unwrap();
        std::os::unix::fs::symlink(secret.join("report.html"), runs.join("good/report.html")).unwrap();
        let stage = runs.join("linked/stages/pre-0001");
        std::fs::remove_dir_all(&stage).unwrap();
        std::os::unix::fs::symlink(secret.join("stages/pre-0001"), &stage).unwrap();
        std::fs::remove_file(runs.join("good/figures/by-op.csv")).unwrap();
        std::os::unix::fs::symlink(secret.join("figures/by-op.csv"), runs.join("good/figures/by-op.csv"))
            .unwrap();
        for target in [
            "/run/link/live",
            "/run/link/report.html",
            "/run/good/report.html",
            "/run/good/figures/by-op.csv",
            "/run/linked/live",
        ] {
            assert_eq!(live.get(target).0, 404, "{target}");
        }
    }
    // A page of another site that points its own name at this machine gets nothing.
    assert_eq!(live.get_as("/live", "evil.example").0, 403);
}

/// A run of its own in a folder that is served.
fn served() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("r");
    std::fs::create_dir(&run).unwrap();
    Synthetic::default().write(&run);
    (dir, run)
}

/// A pipe in the place of a file keeps nobody waiting, and a link that leads nowhere is named.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_named_and_not_read() {
    let (dir, run) = served();
    let live = Live::of(dir.path());
    for (place, said) in [
        ("report.html", "is not shown: report.html is no regular file"),
        ("stages/pre-0001/metrics.jsonl", "is not shown: stages/pre-0001/metrics.jsonl is no regular file"),
    ] {
        let path = run.join(place);
        let kept = std::fs::read(&path).ok();
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(live.get(&format!("/run/r/{place}")).0, 404);
        assert_eq!(live.get("/run/r/live").0, 404);
        let list = live.get("/live").1;
        assert!(list.replace("&#x2f;", "/").contains(said), "{list}");
        std::fs::remove_file(&path).unwrap();
        kept.map_or(Ok(()), |kept| std::fs::write(&path, kept)).unwrap();
    }
    let link = run.join("figures-of-before");
    std::os::unix::fs::symlink(dir.path().join("gone"), &link).unwrap();
    let list = live.get("/live").1;
    assert!(list.contains("is not shown: figures-of-before is a link that leads nowhere"), "{list}");
    std::fs::remove_file(link).unwrap();
    assert_eq!(live.get("/run/r/live").0, 200);
}

/// A large report comes as it is, and a small file that unpacks to a large one is not unpacked.
#[test]
fn large_files_do_not_fill_the_memory() {
    let (dir, run) = served();
    let report = "a line of a large report\n".repeat(200_000);
    std::fs::write(run.join("report.html"), &report).unwrap();
    let live = Live::of(dir.path());
    let (status, answer) = live.get("/run/r/report.html");
    assert!(status == 200 && answer.ends_with(&report), "{} bytes", answer.len());
    // 300 MB of blanks in a few hundred kilobytes.
    let piece = runs::lines::Packing::Gzip.pack(vec![b' '; 1 << 20]).unwrap();
    let bomb = piece.repeat(300);
    std::fs::create_dir_all(run.join("stages/rl-main-0001/rollouts")).unwrap();
    std::fs::write(run.join("stages/rl-main-0001/rollouts/step-999999.jsonl.gz"), &bomb).unwrap();
    assert_eq!(live.get("/run/r/live").0, 200);
    let evaluations = run.join("stages/rl-main-0001/evals");
    let milestone = evaluations.join("step-000001");
    std::fs::create_dir(&milestone).unwrap();
    for file in [milestone.join("heldout.jsonl.gz"), evaluations.join("heldout.jsonl.gz")] {
        std::fs::write(&file, &bomb).unwrap();
        let page = live.get("/run/r/live").1;
        assert!(page.contains("it has more than 268435456 bytes"), "{}: {page}", file.display());
        std::fs::remove_file(file).unwrap();
    }
}

/// Who says half of what he wants does not keep the server from ending.
#[test]
fn half_a_request_does_not_keep_the_server() {
    let (dir, _) = served();
    let live = Live::of(dir.path());
    let mut stream = TcpStream::connect(live.address).unwrap();
    write!(stream, "GET /live HTTP/1.1\r\nHost: local").unwrap();
    assert_eq!(live.get("/live").0, 200);
    // Joins the server's thread.
    drop(live);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

/// No script that stands in a page is run, except a report's own.
#[test]
fn pages_run_no_script_that_stands_in_them() {
    let (dir, run) = served();
    std::fs::write(run.join("report.html"), "<p>").unwrap();
    let live = Live::of(dir.path());
    for page in ["/", "/live", "/run/r", "/run/r/live"] {
        let answer = live.get(page).1.to_lowercase();
        assert!(answer.contains("script-src 'self';"), "{page}: {answer}");
        assert!(
            !answer.contains("script-src 'self' 'unsafe-inline'") && !answer.contains("<script>"),
            "{page}"
        );
    }
    assert!(live.get("/run/r/report.html").1.contains("script-src 'unsafe-inline'"));
}

#[test]
fn the_newest_run_is_listed_first_with_its_headline() {
    let dir = tempfile::tempdir().unwrap();
    for (name, seconds) in [("a-old", 1_000), ("b-new", 2_000)] {
        let run = dir.path().join(name);
        std::fs::create_dir(&run).unwrap();
        Synthetic { problems_per_op: 5, ..Synthetic::default() }.write(&run);
        tercet_report::html::write(&run).unwrap();
        for file in walk(&run) {
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            std::fs::File::options().append(true).open(file).unwrap().set_modified(time).unwrap();
        }
    }
    let list = Live::of(dir.path()).get("/live").1;
    let at = |name: &str| list.find(name).unwrap_or_else(|| panic!("no {name} in {list}"));
    assert!(at("b-new") < at("a-old") && list.contains("finished"));
    assert!(list.contains("rl, pass@1 → pass@16 in percent: ID "), "{list}");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

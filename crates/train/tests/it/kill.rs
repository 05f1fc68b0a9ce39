//! `kill -9` of a real process, at random moments.

#![expect(clippy::disallowed_methods, reason = "how long a run takes decides when to kill it")]

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    thread::sleep,
    time::{Duration, Instant},
};

use train::watch::{Event, Watch};

use crate::{
    resume::{contents, undisturbed, work},
    tabular::Fuse,
};

/// Where the child process works; set only in it.
const FOLDER: &str = "TERCET_TEST_KILL_FOLDER";

/// How many kills; more by hand: `TERCET_TEST_KILLS=200 cargo test -p train kill`.
const KILLS: &str = "TERCET_TEST_KILLS";

/// Takes its time, so that there is something to hit between one file and the next.
struct Slowly;

impl Watch for Slowly {
    fn on(&mut self, _: Event<'_>) {
        sleep(Duration::from_micros(300));
    }
}

/// The child: works in the folder it was given. In a usual run of the tests it has none and does nothing.
#[test]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        work(Path::new(&folder), &Fuse::never(), &mut Slowly, &AtomicBool::new(false)).expect("the run ends");
    }
}

/// Works in a process of its own and kills it after a while. Whether it ended before.
fn process(folder: &Path, life: Duration) -> bool {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "kill::child"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    let mut ended = None;
    while ended.is_none() && started.elapsed() < life {
        sleep(Duration::from_millis(1));
        ended = child.try_wait().expect("our child");
    }
    if ended.is_none() {
        child.kill().expect("our child");
    }
    let status = child.wait().expect("our child");
    assert!(ended.is_none() || status.success(), "the child failed: {status}");
    status.success()
}

/// How many stages of a run have begun.
fn stages_begun(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("stages")).map_or(0, Iterator::count)
}

#[test]
fn kills_at_random_moments_change_nothing() {
    let wanted: u64 = std::env::var(KILLS).ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let expected = undisturbed();
    // A whole run in a process of its own, to know how long to let one live.
    let folder = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    assert!(process(folder.path(), Duration::from_mins(10)), "the run takes more than ten minutes");
    let whole = started.elapsed();
    let (mut kills, mut runs, mut by_stage) = (0, 0, [0; 4]);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    while kills < wanted {
        let folder = tempfile::tempdir().expect("a folder");
        runs += 1;
        loop {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Up to half a run; after enough kills it may end.
            let life = if kills < wanted {
                whole.mul_f64((random >> 33) as f64 / 2_f64.powi(32))
            } else {
                9 * whole
            };
            if process(folder.path(), life) {
                break;
            }
            kills += 1;
            by_stage[stages_begun(folder.path()).min(3)] += 1;
        }
        assert_eq!(contents(folder.path()), expected, "after {kills} kills");
    }
    let mut out = std::io::stdout();
    writeln!(out, "{kills} kills in {runs} runs, no difference; by stages begun (0 to 3): {by_stage:?}")
        .expect("someone listens");
}

/// A disk that is full, as a limit on the size of files: an error, not a crash; what was saved stays whole.
#[test]
fn a_full_disk_is_an_error_and_nothing_is_lost() {
    let expected = undisturbed();
    let folder = tempfile::tempdir().expect("a folder");
    // In blocks of 512 or 1,024 bytes; the table of bigrams alone has 672,800 bytes.
    for blocks in [16, 500] {
        let output = Command::new("sh")
            .args(["-c", &format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().expect("this program"))
            .args(["--exact", "kill::child", "--nocapture"])
            .env(FOLDER, folder.path())
            .output()
            .expect("there is a shell");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains("File too large"), "{text}");
    }
    assert!(!contents(folder.path()).keys().any(|name| name.contains("partial")), "something was left over");
    work(folder.path(), &Fuse::never(), &mut (), &AtomicBool::new(false)).expect("the run ends");
    assert_eq!(contents(folder.path()), expected);
}

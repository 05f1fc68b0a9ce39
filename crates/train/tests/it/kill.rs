//! `kill -9` of a real process, at random moments.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    thread::sleep,
    time::Duration,
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
    sleep(life);
    let ended = child.try_wait().expect("our child");
    if ended.is_none() {
        child.kill().expect("our child");
    }
    let status = child.wait().expect("our child");
    assert!(ended.is_none() || status.success(), "the child failed: {status}");
    status.success()
}

#[test]
fn kills_at_random_moments_change_nothing() {
    let wanted: u64 = std::env::var(KILLS).ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let expected = undisturbed();
    let (mut kills, mut runs) = (0, 0);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    while kills < wanted {
        let folder = tempfile::tempdir().expect("a folder");
        runs += 1;
        loop {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Up to the time a whole run takes, roughly; after enough kills it may end.
            let life = if kills < wanted { 20 + (random >> 33) % 180 } else { 20_000 };
            if process(folder.path(), Duration::from_millis(life)) {
                break;
            }
            kills += 1;
        }
        assert_eq!(contents(folder.path()), expected, "after {kills} kills");
    }
    let mut out = std::io::stdout();
    writeln!(out, "{kills} kills in {runs} runs, no difference").expect("someone listens");
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

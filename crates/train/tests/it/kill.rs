//! `kill -9` of a real process, at random moments.

#![expect(clippy::disallowed_methods, reason = "how long a run takes decides when to kill it")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
    thread::sleep,
    time::{Duration, Instant},
};

use tercet_train::observer::{Event, Observer};

use crate::{
    resume::{contents, undisturbed, work},
    tabular::Fuse,
};

/// How long the child waits at every event and every use of the model.
const PAUSE: Duration = Duration::from_micros(300);

/// Where the child process works; set only in it.
const FOLDER: &str = "TERCET_TEST_KILL_FOLDER";

/// How many kills; more by hand: `TERCET_TEST_KILLS=200 cargo test -p train kill`.
const KILLS: &str = "TERCET_TEST_KILLS";

/// Writes down where the child is, so that one can say afterwards where a kill fell.
struct Diary<'a> {
    file: &'a Path,
    stage: String,
}

impl Observer for Diary<'_> {
    fn on(&mut self, event: Event<'_>) {
        let doing = match event {
            Event::Preparing(_) | Event::Arm { .. } | Event::StageKnown { .. } => "preparing",
            Event::Waiting { .. } | Event::TakenOver { .. } | Event::StageFailed { .. } => "beside others",
            Event::StageStarted { info, .. } => {
                self.stage.clone_from(&info.name);
                "beginning"
            }
            Event::Sampling { .. } => "sampling rollouts",
            Event::Step { .. } | Event::Checkpoint { .. } => "training",
            Event::EvaluationStarted { .. } | Event::EvaluationReplaced { .. } | Event::Evaluating { .. } => {
                "evaluating"
            }
            Event::EvaluationDone { .. } | Event::StageDone { .. } => "ending",
        };
        fs::write(self.file, format!("{} {doing}", self.stage)).expect("writable");
        sleep(PAUSE);
    }
}

/// The child: works in the folder it was given. In a usual run of the tests it has none and does nothing.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let file = Path::new(&folder).join("diary");
    let mut diary = Diary { file: &file, stage: String::new() };
    let run = Path::new(&folder).join("run");
    work(&run, &Fuse::slow(PAUSE), &mut diary, &AtomicBool::new(false)).expect("the run ends");
}

/// Where the child was when it died: what it was writing, else what its diary says.
fn place(folder: &Path) -> String {
    let diary = fs::read_to_string(folder.join("diary")).unwrap_or_default();
    let stages = fs::read_dir(folder.join("run/stages")).into_iter().flatten().flatten();
    for stage in stages {
        let stage = stage.path();
        let partial = |inside: &str| {
            let files = fs::read_dir(stage.join(inside)).into_iter().flatten().flatten();
            files.map(|file| file.file_name()).any(|name| name.to_string_lossy().ends_with(".partial"))
        };
        let name = stage.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split('-').next().unwrap_or_default().to_owned();
        if partial("checkpoints") {
            return format!("{name} in the middle of a checkpoint");
        }
        if ["", "rollouts", "evals"].into_iter().any(partial) {
            return format!("{name} in the middle of a file");
        }
    }
    if diary.is_empty() { "starting".to_owned() } else { diary.trim().to_owned() }
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

#[test]
fn kills_at_random_moments_change_nothing() {
    let wanted: u64 = std::env::var(KILLS).ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let expected = undisturbed();
    // A whole run in a process of its own, to know how long to let one live.
    let folder = tempfile::tempdir().expect("a folder");
    let started = Instant::now();
    assert!(process(folder.path(), Duration::from_mins(10)), "the run takes more than ten minutes");
    let whole = started.elapsed();
    let (mut kills, mut runs) = (0, 0);
    let mut places: BTreeMap<String, u64> = BTreeMap::new();
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
            *places.entry(place(folder.path())).or_default() += 1;
        }
        assert_eq!(contents(&folder.path().join("run")), expected, "after {kills} kills");
    }
    let mut out = std::io::stdout();
    writeln!(out, "{kills} kills in {runs} runs, no difference").expect("someone listens");
    for (place, kills) in places {
        writeln!(out, "{kills:6}  {place}").expect("someone listens");
    }
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
    let run = folder.path().join("run");
    assert!(!contents(&run).keys().any(|name| name.contains("partial")), "something was left over");
    work(&run, &Fuse::never(), &mut (), &AtomicBool::new(false)).expect("the run ends");
    assert_eq!(contents(&run), expected);
}

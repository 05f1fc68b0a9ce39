//! Several processes in one run folder: they help each other, and what comes out is what one process makes.
//!
//! More kills by hand: `TERCET_TEST_KILLS=200 cargo test -p tercet --test it together -- --nocapture`

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use runs::locks::Taken;
use runs::records::Maker;
use runs::{Locks, files};

use crate::{command, temporary, tercet};

/// Two arms that share their base, at two seeds: eight stages, of which two can be begun at once, then four.
fn recipe(dir: &Path) {
    let base = include_str!("../../../../recipes/quickstart.toml");
    let arms =
        "[[arm]]\nname = \"one\"\n[[arm]]\nname = \"two\"\nset = { \"stage.rl.optimizer.lr\" = 1e-4 }\n";
    fs::write(dir.join("r.toml"), format!("{base}\n{arms}")).expect("writable");
}

fn args<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small =
        ["--set", "stage.pre.tokens=20000", "--set", "stage.mid.tokens=8000", "--set", "stage.rl.steps=2"];
    let often = ["--set", "stage.pre.checkpoint_every=1", "--set", "seeds=[1,2]", "--set", "claim=[]"];
    let base = ["run", "r.toml", "--scale", "tiny", "--out", out, "--threads", "1"];
    [&base[..], &small, &often, more].concat()
}

/// One process makes it all: what the others are compared with.
fn serial(dir: &Path) {
    recipe(dir);
    let ended = tercet(dir, &args("serial", &[]));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

fn assert_as_serial(dir: &Path, out: &str) {
    let compared = tercet(dir, &["compare", "--assert-equal", "serial", out]);
    assert_eq!(compared.code, 0, "{}{}", compared.stdout, compared.stderr);
}

fn begin(dir: &Path, out: &str, more: &[&str]) -> Child {
    let mut command = command(dir, &args(out, more));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

/// The finished stages, by folder: the file that says so, which is never written again.
fn finished(run: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let stages = fs::read_dir(run.join("stages")).into_iter().flatten().filter_map(Result::ok);
    let done = stages.filter_map(|stage| {
        let meta = fs::metadata(stage.path().join("done.json")).ok()?;
        Some((stage.path(), (meta.ino(), meta.mtime(), meta.mtime_nsec())))
    });
    done.collect()
}

fn makers(run: &Path) -> BTreeMap<PathBuf, u32> {
    let maker =
        |stage: &PathBuf| files::read_json::<Maker>(&stage.join("maker.json")).expect("a maker").process.pid;
    finished(run).into_keys().map(|stage| (stage.clone(), maker(&stage))).collect()
}

/// Numbers that look random and are the same in every run of the test.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }
}

/// Six processes in one folder, one of which is killed and replaced again and again. Says how many kills there were.
fn killed(dir: &Path, more: &[&str], kills: u64, random: &mut Random) -> u64 {
    let _ = fs::remove_dir_all(dir.join("killed"));
    let run = dir.join("killed");
    let mut children: Vec<Child> = (0..6).map(|_| begin(dir, "killed", more)).collect();
    let mut known = BTreeMap::new();
    let mut done = 0;
    while done < kills && !run.join("report.html").exists() {
        std::thread::sleep(Duration::from_millis(20 + random.below(400)));
        let one = random.below(6) as usize;
        // SIGKILL: nothing of the program runs after it.
        let _ = children[one].kill();
        let status = children[one].wait().expect("it ends");
        done += u64::from(!status.success());
        for (stage, mark) in finished(&run) {
            assert_eq!(
                *known.entry(stage.clone()).or_insert(mark),
                mark,
                "{} was made twice",
                stage.display()
            );
        }
        children[one] = begin(dir, "killed", more);
    }
    for mut child in children {
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
    let last = finished(&run);
    assert_eq!(last.len(), 8);
    assert!(known.iter().all(|(stage, mark)| last[stage] == *mark), "a finished stage was made again");
    assert_as_serial(dir, "killed");
    done
}

#[test]
fn six_processes_of_which_some_are_killed_make_what_one_makes() {
    let dir = temporary();
    serial(dir.path());
    let wanted: u64 = std::env::var("TERCET_TEST_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let mut random = Random(1);
    let (mut kills, mut folders) = (0, 0);
    while kills < wanted {
        kills += killed(dir.path(), &[], (wanted - kills).min(40), &mut random);
        folders += 1;
    }
    let mut out = std::io::stdout();
    writeln!(out, "{kills} kills of six processes in {folders} folders, no difference")
        .expect("someone listens");
}

#[test]
fn with_leases_as_well() {
    let dir = temporary();
    serial(dir.path());
    let kills = killed(dir.path(), &["--lease=1"], 2, &mut Random(2));
    assert!(kills > 0);
    let leases = fs::read_dir(dir.path().join("killed/.locks")).expect("there").filter_map(Result::ok);
    assert!(leases.filter(|entry| entry.path().extension().is_some_and(|end| end == "lease")).count() >= 8);
}

/// Waits until something is true, for at most two minutes.
fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if is_true() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} never happened");
}

/// Holds the stages with these beginnings, so that others wait for them.
fn hold(run: &Path, begins: &str) -> Vec<runs::Lock> {
    let manifest: runs::records::Manifest = files::read_json(&run.join("manifest.json")).expect("a manifest");
    let locks = Locks::open(run, None).expect("locks");
    let stages: std::collections::BTreeSet<String> =
        manifest.runs.into_iter().flat_map(|run| run.stages).collect();
    let take = |name: String| match locks.take(&name).expect("a lock") {
        Taken::Lock(lock) => lock,
        other => panic!("{name}: {other:?}"),
    };
    stages.into_iter().filter(|name| name.starts_with(begins)).map(take).collect()
}

#[test]
fn of_two_ready_stages_each_of_two_processes_takes_one() {
    let dir = temporary();
    serial(dir.path());
    // The folder is begun, so that its stages are known and can be held.
    assert_eq!(tercet(dir.path(), &args("shared", &["--stage", "suites"])).code, 0);
    let run = dir.path().join("shared");
    let held = hold(&run, "pre-");
    assert_eq!(held.len(), 2);
    let said = |n: usize| dir.path().join(format!("said-{n}"));
    let children: Vec<Child> = (0..2)
        .map(|n| {
            let file = fs::File::create(said(n)).expect("writable");
            let mut command = command(dir.path(), &args("shared", &[]));
            command.stdout(Stdio::null()).stderr(file).spawn().expect("the program starts")
        })
        .collect();
    for n in 0..2 {
        until("waiting", || fs::read_to_string(said(n)).is_ok_and(|said| said.contains("waiting for pre-")));
    }
    drop(held);
    let ours: Vec<u32> = children.iter().map(Child::id).collect();
    for mut child in children {
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }
    let makers: Vec<u32> = makers(&run).into_values().collect();
    assert!(ours.iter().all(|pid| makers.contains(pid)), "{makers:?}");
    assert_as_serial(dir.path(), "shared");
}

#[test]
fn jobs_share_the_cores_and_make_what_one_makes() {
    let dir = temporary();
    serial(dir.path());
    let ended = tercet(dir.path(), &args("jobs", &["--jobs", "3"]));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("pass@1") && ended.stderr.contains("[2] "), "{}", ended.stderr);
    assert_as_serial(dir.path(), "jobs");
    let refused = tercet(dir.path(), &args("jobs", &["--jobs", "2", "--pin"]));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
}

/// The graph as a program walks it that hands out stages: every part by itself, in any order that the graph allows.
#[test]
fn stage_by_stage_it_is_the_same_run() {
    let dir = temporary();
    serial(dir.path());
    let plan = |out: &str| -> Vec<serde_json::Value> {
        let mut asked = args(out, &["--untimed", "--json"]);
        asked[0] = "plan";
        let planned = tercet(dir.path(), &asked);
        assert_eq!(planned.code, 0, "{}", planned.stderr);
        let plan: serde_json::Value = serde_json::from_str(&planned.stdout).expect("JSON");
        plan["nodes"].as_array().expect("nodes").clone()
    };
    let state = |node: &serde_json::Value| node["state"]["name"].as_str().expect("a state").to_owned();
    let first = plan("parts");
    assert_eq!(first.len(), 11);
    let late = first.iter().rfind(|node| node["kind"] == "stage").expect("a stage");
    let refused = tercet(dir.path(), &args("parts", &["--stage", late["name"].as_str().expect("a name")]));
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("which is not finished"), "{}", refused.stderr);
    loop {
        // The last one that is ready, so that the order is another.
        let nodes = plan("parts");
        let Some(ready) = nodes.iter().rfind(|node| state(node) == "ready") else { break };
        let name = if ready["kind"] == "report" { "report" } else { ready["key"].as_str().expect("a key") };
        let ended = tercet(dir.path(), &args("parts", &["--stage", name]));
        assert_eq!(ended.code, 0, "{name}: {}", ended.stderr);
    }
    assert!(plan("parts").iter().all(|node| state(node) == "finished"));
    assert_as_serial(dir.path(), "parts");
}

/// A process that is stopped for longer than its lease, and wakes up when another has done its work.
#[cfg(target_os = "linux")]
#[test]
fn a_process_that_wakes_up_after_its_lease_was_taken_over_spoils_nothing() {
    let dir = temporary();
    serial(dir.path());
    let lease = ["--lease=1"];
    let mut asleep = begin(dir.path(), "woken", &lease);
    let run = dir.path().join("woken");
    let trains = || {
        let stages = fs::read_dir(run.join("stages")).into_iter().flatten().filter_map(Result::ok);
        stages.map(|stage| stage.path()).find(|stage| {
            !stage.join("done.json").exists()
                && fs::metadata(stage.join("metrics.jsonl")).is_ok_and(|m| m.len() > 0)
        })
    };
    until("training", || trains().is_some());
    let signal = |child: &Child, signal: &str| {
        let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.expect("kill starts").success());
    };
    signal(&asleep, "-STOP");
    let ended = tercet(dir.path(), &args("woken", &lease));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("whose lease stood still"), "{}", ended.stderr);
    let before = finished(&run);
    signal(&asleep, "-CONT");
    assert_eq!(asleep.wait().expect("it ends").code(), Some(0));
    assert_eq!(finished(&run), before);
    assert_as_serial(dir.path(), "woken");
}

/// An arm that diverges does not keep the others from their end, and is named.
#[test]
fn a_stage_that_fails_is_named_and_the_rest_goes_on() {
    let dir = temporary();
    recipe(dir.path());
    assert_eq!(tercet(dir.path(), &args("run", &["--stage", "suites"])).code, 0);
    assert_eq!(tercet(dir.path(), &args("run", &["--seed", "1"])).code, 0);
    let run = dir.path().join("run");
    let stage = |name: &str| {
        let stages = fs::read_dir(run.join("stages")).expect("there").filter_map(Result::ok);
        stages
            .map(|stage| stage.path())
            .find(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(name)))
    };
    // The base of seed 1 lost its weights: what it led to is there, what is made from it is not made again.
    let pre = stage("pre-").expect("trained");
    let checkpoint = crate::run::checkpoint(&run, "pre");
    fs::remove_file(checkpoint.join("model.safetensors")).expect("there");
    let ended = tercet(dir.path(), &args("run", &["--jobs", "2"]));
    assert_eq!(ended.code, 1);
    let name = pre.file_name().unwrap_or_default().to_string_lossy().into_owned();
    assert!(ended.stderr.contains(&format!("{name} failed: the finished stage")), "{}", ended.stderr);
    assert_eq!(finished(&run).len(), 8, "seed 2 was made: {}", ended.stderr);
    assert_eq!(Locks::failures(&run).expect("readable").into_keys().collect::<Vec<_>>(), [name]);
}

//! Small runs as the program wrote them: they must still read, and every record must be written as it was.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use tercet_runs::records::{
    EvalInfo, EvalRow, Exposure, Manifest, MetricsRow, Response, StageDone, StageInfo,
};
use tercet_runs::{Folder, files, lines};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn a_run_is_read_as_a_whole() {
    let folder = Folder::read(&fixture("quickstart")).expect("readable");
    let stages: Vec<&str> = folder.stages.keys().map(String::as_str).collect();
    assert_eq!(stages, ["mid-8da5294ee1", "pre-1c352eb513", "rl-e644384cdc"]);
    let pre = &folder.stages["pre-1c352eb513"];
    let losses = pre.series("loss");
    assert_eq!((losses.len(), losses[0], pre.info.steps), (10, (1.0, 5.934_346_702_175_504), 10));
    assert!(pre.done.as_ref().is_some_and(|done| done.weights_hash.starts_with("f15d0592107d")));
    assert_eq!((pre.evals["main"].len(), pre.evals["main"][0].n), (15, 4));
    assert_eq!(
        (folder.suites(), folder.problems("main").expect("readable").len()),
        (vec!["main".into()], 15)
    );
    assert!(folder.left_out.is_empty() && pre.exposure.is_some());
    assert_eq!(folder.recipe.evaluation.suites[0].name, "main");
}

#[test]
fn arms_share_a_stage() {
    let folder = Folder::read(&fixture("process-rewards")).expect("readable");
    assert_eq!((folder.manifest.runs.len(), folder.stages.len()), (4, 5));
    assert!(folder.manifest.runs.iter().all(|run| run.stages[0] == "pre-576b984678"));
    assert_eq!(folder.recipe.claims.len(), folder.recipe.text.matches("[[claim]]").count());
    let rewards = folder.stages["rl-8452401f08"].series("critic/rewards/mean");
    assert_eq!(rewards.len(), 2);
}

/// Reads a file as records and checks that they are written back as the same bytes.
fn check<T: Serialize + DeserializeOwned>(path: &Path) {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    let copy = scratch.path().join(path.file_name().expect("a name"));
    if path.extension().is_some_and(|extension| extension == "json") {
        files::write_json(&copy, &files::read_json::<T>(path).expect("readable")).expect("written");
    } else {
        lines::write(&copy, &lines::read::<T>(path).expect("readable")).expect("written");
    }
    assert!(fs::read(&copy).expect("there") == fs::read(path).expect("there"), "{}", path.display());
}

#[test]
fn every_record_is_written_as_it_was() {
    for run in ["quickstart", "process-rewards"].map(fixture) {
        check::<Manifest>(&run.join("manifest.json"));
        check::<problems::Record>(&run.join("data/suites/main.jsonl"));
        for stage in files::list(&run.join("stages")).expect("readable") {
            check::<StageInfo>(&stage.join("stage.json"));
            check::<MetricsRow>(&stage.join("metrics.jsonl"));
            check::<Exposure>(&stage.join("exposure.json"));
            check::<StageDone>(&stage.join("done.json"));
            check::<EvalInfo>(&stage.join("evals/main.json"));
            check::<EvalRow>(&stage.join("evals/main.jsonl.gz"));
            let responses = stage.join("evals/main.responses.jsonl.gz");
            for file in [vec![responses], files::list(&stage.join("rollouts")).expect("readable")].concat() {
                if file.exists() {
                    check::<Response>(&file);
                }
            }
        }
    }
}

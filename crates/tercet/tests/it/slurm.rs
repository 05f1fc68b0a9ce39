//! `tercet export slurm`: what is handed in, and that it makes the run.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::{temporary, tercet};

/// Stands in for Slurm: `sbatch` runs what it is given at once, task by task and the last one first, refuses a job whose
/// dependencies were not handed in before, and writes down what it was asked for. It knows of job arrays, of `--parsable` and of dependencies.
const SBATCH: &str = r#"#!/bin/bash
set -eu
for word in "$@"; do script=$word; done
id=$(($(ls "$FAKE" | wc -l) + 100))
for word in "$@"; do
  case $word in
    --dependency=*)
      rest=${word#--dependency=*:}
      for job in ${rest//:/ }; do test -e "$FAKE/$job" || { echo "no job $job" >&2; exit 1; }; done
      ;;
  esac
done
echo "$*" >"$FAKE/$id"
grep '^#SBATCH' "$script" >>"$FAKE/$id"
array=$(sed -n 's/^#SBATCH --array=0-//p' "$script")
failed=0
for task in $(seq "${array:-0}" -1 0); do
  SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$task SLURM_CPUS_PER_TASK=1 bash "$script" >>"$FAKE.log" 2>&1 || failed=1
done
test "$failed" = 0 || { echo "job $id failed" >&2; cat "$FAKE.log" >&2; exit 1; }
echo "$id;cluster"
"#;

fn recipe(dir: &Path) -> Vec<String> {
    let base = include_str!("../../../../recipes/quickstart.toml");
    let arms =
        "[[arm]]\nname = \"one\"\n[[arm]]\nname = \"two\"\nset = { \"stage.rl.optimizer.lr\" = 1e-4 }\n";
    fs::write(dir.join("r.toml"), format!("{base}\n{arms}")).expect("writable");
    let small =
        ["stage.pre.tokens=8000", "stage.mid.tokens=4000", "stage.rl.steps=1", "seeds=[1,2]", "claim=[]"];
    let set = small.into_iter().flat_map(|set| ["--set".to_owned(), set.to_owned()]);
    ["r.toml", "--scale", "tiny"].map(str::to_owned).into_iter().chain(set).collect()
}

fn call(dir: &Path, before: &[&str], recipe: &[String], after: &[&str]) -> crate::Ended {
    let recipe: Vec<&str> = recipe.iter().map(String::as_str).collect();
    tercet(dir, &[before, &recipe, after].concat())
}

#[test]
fn job_arrays_make_the_run_that_one_process_makes() {
    let dir = temporary();
    let recipe = recipe(dir.path());
    let serial = call(dir.path(), &["run"], &recipe, &["--out", "serial"]);
    assert_eq!(serial.code, 0, "{}", serial.stderr);
    let program = env!("CARGO_BIN_EXE_tercet");
    let more =
        ["--out", "a run", "--program", program, "--requeue", "--sbatch", "partition=short", "--untimed"];
    let ended = call(dir.path(), &["export", "slurm"], &recipe, &more);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let scripts = dir.path().join("slurm/quickstart");
    insta::assert_snapshot!(fs::read_to_string(scripts.join("submit.sh")).expect("written"), @r#"
    #!/bin/sh
    # Hands in the jobs of a run. Handed in again, it does what is left to do.
    set -eu
    cd "$(dirname "$0")"
    job() { id=$(sbatch --parsable "$@"); echo "${id%%;*}"; }

    prepare=$(job prepare.sbatch)
    array1=$(job --dependency="afterok:$prepare" --kill-on-invalid-dep=yes 001-pre.sbatch)
    array2=$(job --dependency="aftercorr:$array1" --kill-on-invalid-dep=yes 002-mid.sbatch)
    array3=$(job --dependency="aftercorr:$array2" --kill-on-invalid-dep=yes 003-rl.sbatch)
    array4=$(job --dependency="aftercorr:$array2" --kill-on-invalid-dep=yes 004-rl.sbatch)
    report=$(job --dependency="afterany:$array1:$array2:$array3:$array4" report.sbatch)
    echo "handed in: the report is job $report"
    "#);

    let (bin, jobs) = (dir.path().join("bin"), dir.path().join("jobs"));
    fs::create_dir_all(&bin).and_then(|()| fs::create_dir_all(&jobs)).expect("writable");
    fs::write(bin.join("sbatch"), SBATCH).expect("writable");
    fs::set_permissions(bin.join("sbatch"), fs::Permissions::from_mode(0o755)).expect("ours");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let submitted = Command::new("sh")
        .arg(scripts.join("submit.sh"))
        .envs([("PATH", path.as_str()), ("FAKE", &jobs.to_string_lossy())])
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&submitted.stderr).into_owned();
    assert!(submitted.status.success(), "{said}");
    let compared = tercet(dir.path(), &["compare", "--assert-equal", "serial", "a run"]);
    assert_eq!(compared.code, 0, "{}{}", compared.stdout, compared.stderr);
    assert!(dir.path().join("a run/report.html").is_file());
    // The first array: what Slurm was asked for.
    insta::assert_snapshot!(fs::read_to_string(jobs.join("101")).expect("handed in"), @r"
    --parsable --dependency=afterok:100 --kill-on-invalid-dep=yes 001-pre.sbatch
    #SBATCH --job-name=quickstart-pre
    #SBATCH --output=logs/%x-%A_%a.log
    #SBATCH --open-mode=append
    #SBATCH --ntasks=1
    #SBATCH --array=0-1
    #SBATCH --mem=1024M
    #SBATCH --signal=B:TERM@300
    #SBATCH --requeue
    #SBATCH --partition=short
    ");
}

#[test]
fn an_option_that_slurm_could_not_read_is_refused() {
    let dir = temporary();
    let recipe = recipe(dir.path());
    for option in ["--partition=short", "=x", "comment=a\nb"] {
        let ended = call(dir.path(), &["export", "slurm"], &recipe, &["--untimed", "--sbatch", option]);
        assert_eq!(ended.code, 2, "{option}: {}", ended.stderr);
    }
    assert!(!dir.path().join("slurm").exists());
}

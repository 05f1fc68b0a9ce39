//! Checkpoints by name: `RUN:rl` is the last checkpoint of the stage `rl` of the run in `RUN`.

use std::path::{Path, PathBuf};

use crate::{
    checkpoints, files,
    records::{Manifest, StageDone},
};

/// The checkpoint that a path names, if it is no path that is there. `RUN:STAGE` names the last checkpoint of a finished
/// stage. Where arms or seeds have stages of their own, it is `RUN:ARM/STAGE`, `RUN:SEED/STAGE` or `RUN:ARM/SEED/STAGE`.
/// A part that is the name of an arm and a seed is the arm.
///
/// # Errors
/// What stands in the way, and what there is: a sentence.
pub fn named(path: &Path) -> Result<PathBuf, String> {
    let Some((run, name)) = path.to_str().and_then(|text| text.rsplit_once(':')) else {
        return Ok(path.to_owned());
    };
    let run = Path::new(run);
    if path.exists() || !run.join("manifest.json").is_file() {
        return Ok(path.to_owned());
    }
    let manifest: Manifest = files::read_json(&run.join("manifest.json")).map_err(|e| e.to_string())?;
    let folder = one_stage(&manifest, run, name)?;
    let stage = run.join("stages").join(folder);
    let done: StageDone = files::read_optional(&stage.join("done.json"))
        .map_err(|e| e.to_string())?
        .ok_or_else(|| format!("`{}` is not finished: name the folder of a checkpoint", stage.display()))?;
    Ok(checkpoints::of_step(&stage, done.steps))
}

/// The stage that a name is of, which must be one.
fn one_stage<'m>(manifest: &'m Manifest, run: &Path, name: &str) -> Result<&'m str, String> {
    let parts: Vec<&str> = name.split('/').collect();
    let Some((stage, owner)) = parts.split_last() else { return Err("the name is empty".to_owned()) };
    let is_arm = |part: &str| manifest.runs.iter().any(|run| run.arm == part);
    let (arm, seed) = match owner {
        [] => (None, None),
        [arm, seed] => (Some(*arm), Some(*seed)),
        [part] if is_arm(part) => (Some(*part), None),
        [seed] => (None, Some(*seed)),
        _ => return Err(format!("`{name}` names no checkpoint: write RUN:ARM/SEED/STAGE")),
    };
    let (mut found, mut full): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    let mut known = Vec::new();
    for of in &manifest.runs {
        for folder in &of.stages {
            let own = folder.rsplit_once('-').map_or(folder.as_str(), |(own, _)| own);
            known.push(format!("{}/{}/{own}", of.arm, of.seed));
            let fits = own == *stage
                && arm.is_none_or(|arm| arm == of.arm)
                && seed.is_none_or(|seed| seed == of.seed.to_string());
            // Arms share stages: one folder is one model.
            if fits && !found.contains(&folder.as_str()) {
                found.push(folder);
                full.push(format!("{}/{}/{own}", of.arm, of.seed));
            }
        }
    }
    match found[..] {
        [one] => Ok(one),
        [] => Err(format!("`{}` has no stage `{name}`; there are: {}", run.display(), known.join(", "))),
        _ => Err(format!("`{}` has several stages `{name}`: name one of {}", run.display(), full.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A run of two arms at two seeds that share `pre`; of the first arm and seed all is finished.
    fn run() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let of = |arm: &str, seed: u64, rl: &str| {
            format!("{{\"arm\":\"{arm}\",\"seed\":{seed},\"stages\":[\"pre-a{seed}\",\"{rl}\"]}}")
        };
        let runs = [of("edge", 1, "rl-b1"), of("easy", 1, "rl-c1"), of("edge", 2, "rl-b2")].join(",");
        let manifest = format!(
            "{{\"format\":1,\"name\":\"n\",\"question\":\"\",\"command\":\"\",\"recipe_hash\":\"\",\"revision\":\"\",\
             \"bands\":[],\"runs\":[{runs}]}}"
        );
        fs::write(dir.path().join("manifest.json"), manifest).unwrap();
        for stage in ["pre-a1", "rl-b1"] {
            let done = r#"{"format":1,"steps":7,"weights_hash":"","cost":{"trained_tokens":0,"sampled_tokens":0,
                "prompt_tokens":0,"scored_tokens":0,"flops":0.0,"nominal_tokens":0.0}}"#;
            fs::create_dir_all(dir.path().join("stages").join(stage)).unwrap();
            fs::write(dir.path().join("stages").join(stage).join("done.json"), done).unwrap();
        }
        dir
    }

    #[test]
    fn a_checkpoint_is_found_by_the_name_of_its_stage() {
        let dir = run();
        let find = |name: &str| {
            let path = named(Path::new(&format!("{}:{name}", dir.path().display())))?;
            let path = path.strip_prefix(dir.path()).map_err(|e| e.to_string())?;
            Ok::<String, String>(path.display().to_string())
        };
        assert_eq!(find("edge/1/rl").unwrap(), "stages/rl-b1/checkpoints/step-000007");
        // Both arms have it.
        assert_eq!(find("1/pre").unwrap(), "stages/pre-a1/checkpoints/step-000007");
        let said = |name: &str| find(name).unwrap_err().replace(&dir.path().display().to_string(), "RUN");
        assert_eq!(said("rl"), "`RUN` has several stages `rl`: name one of edge/1/rl, easy/1/rl, edge/2/rl");
        assert_eq!(said("edge/rl"), "`RUN` has several stages `edge/rl`: name one of edge/1/rl, edge/2/rl");
        assert!(said("mid").starts_with("`RUN` has no stage `mid`; there are: edge/1/pre, edge/1/rl, "));
        assert_eq!(said("2/rl"), "`RUN/stages/rl-b2` is not finished: name the folder of a checkpoint");
        assert_eq!(said("a/b/c/rl"), "`a/b/c/rl` names no checkpoint: write RUN:ARM/SEED/STAGE");
        // Other paths are what they are.
        assert_eq!(named(Path::new("some:where")).unwrap(), Path::new("some:where"));
    }
}

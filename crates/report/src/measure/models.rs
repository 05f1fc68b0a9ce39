//! The models of a run.

use runs::Folder;
use runs::records::StageKind;

/// One model of the run: a stage of an arm, over the seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The arms that go through it; several when they share it.
    pub arms: Vec<String>,
    /// The stage's name.
    pub stage: String,
    /// What the stage does.
    pub kind: StageKind,
    /// How it is called in tables: the stage, and the arms where there are several models of that stage.
    pub label: String,
    /// Seed and stage folder, by seed.
    pub folders: Vec<(u64, String)>,
    /// Index of the model it was trained from.
    pub parent: Option<usize>,
}

/// The models of a run, in the order of the manifest; parents come before their children. A stage that
/// several arms share is one model. Stages that have not started are left out.
pub fn models(folder: &Folder) -> Vec<Model> {
    let mut arms: Vec<&str> = Vec::new();
    for run in &folder.manifest.runs {
        if !arms.contains(&run.arm.as_str()) {
            arms.push(&run.arm);
        }
    }
    let mut models: Vec<Model> = Vec::new();
    for arm in &arms {
        let mut runs: Vec<_> = folder.manifest.runs.iter().filter(|r| r.arm == *arm).collect();
        runs.sort_by_key(|r| r.seed);
        let mut parent = None;
        for position in 0..runs.iter().map(|r| r.stages.len()).max().unwrap_or(0) {
            let folders: Vec<(u64, String)> = runs
                .iter()
                .filter_map(|r| Some((r.seed, r.stages.get(position)?.clone())))
                .filter(|(_, name)| folder.stages.contains_key(name))
                .collect();
            let Some(stage) = folders.first().and_then(|(_, name)| folder.stages.get(name)) else {
                break;
            };
            let known = models.iter().position(|m| m.folders == folders);
            if let Some(known) = known {
                models[known].arms.push((*arm).to_owned());
            } else {
                models.push(Model {
                    arms: vec![(*arm).to_owned()],
                    stage: stage.info.name.clone(),
                    kind: stage.info.kind,
                    label: String::new(),
                    folders,
                    parent,
                });
            }
            parent = Some(known.unwrap_or(models.len() - 1));
        }
    }
    let stages: Vec<String> = models.iter().map(|model| model.stage.clone()).collect();
    for model in &mut models {
        let unique = stages.iter().filter(|stage| **stage == model.stage).count() == 1;
        model.label = match &model.arms[..] {
            _ if unique => model.stage.clone(),
            [a, b, _, ..] => format!("{a}, {b} +{} · {}", model.arms.len() - 2, model.stage),
            arms => format!("{} · {}", arms.join(", "), model.stage),
        };
    }
    models
}

//! Ten thousand stages: how long the graph takes to make, to plan, to schedule, and to look through on disk.
//!
//! `cargo run --release --manifest-path bench/Cargo.toml -p graph-bench -- [RUN]`
//!
//! With a folder, it leaves there a run of so many stages, each as small as a finished stage can be: for the times of
//! `tercet plan --json --out RUN`, `tercet report RUN` and `tercet serve`.

use std::{collections::BTreeMap, error::Error, fs, path::Path, time::Instant};

use tercet_runs::{
    Mode, files, lines,
    records::{Cost, EvalInfo, EvalRow, FORMAT, Manifest, MetricsRow, StageDone, StageInfo},
};
use tercet_train::{
    recipe::Recipe,
    run::{
        Graph,
        graph::{Schedule, Work},
        plan::Plan,
    },
};

/// Two base stages and three arms at each seed.
const SEEDS: u64 = 2000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut text = include_str!("../../../recipes/quickstart.toml").to_owned();
    for arm in 1..=3 {
        text += &format!("[[arm]]\nname = \"arm-{arm}\"\nset = {{ \"stage.rl.optimizer.lr\" = {arm}e-4 }}\n");
    }
    let seeds: Vec<String> = (1..=SEEDS).map(|seed| seed.to_string()).collect();
    let recipe = Recipe::parse(&text, "quickstart.toml", &["scale=tiny".into(), "claim=[]".into(), format!("seeds=[{}]", seeds.join(","))])?;

    let start = Instant::now();
    let graph = Graph::of(&recipe, None)?;
    println!("graph of {} parts: {:.3} s", graph.nodes.len(), start.elapsed().as_secs_f64());

    let start = Instant::now();
    let mut schedule = Schedule::of(&graph, &vec![true; graph.nodes.len()]);
    let mut done = 0;
    while let Some(next) = schedule.ready().next() {
        schedule.finish(next);
        done += 1;
    }
    println!("scheduled {done} parts one by one: {:.3} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let plan = Plan::of(&recipe, None)?;
    println!("planned {} parts: {:.3} s", plan.nodes.len(), start.elapsed().as_secs_f64());

    if let Some(run) = std::env::args().nth(1) {
        let run = Path::new(&run);
        write(run, &recipe, &graph)?;
        let start = Instant::now();
        let states = graph.states(run)?;
        println!("looked at {} parts on disk: {:.3} s", states.len(), start.elapsed().as_secs_f64());
    }
    Ok(())
}

/// A run folder in which all stages are finished.
fn write(run: &Path, recipe: &Recipe, graph: &Graph) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(run.join("data/suites"))?;
    fs::write(run.join("recipe.toml"), recipe.resolved())?;
    let document = &recipe.document;
    files::write_json(&run.join("manifest.json"), &Manifest {
        format: FORMAT,
        name: document.name.clone(),
        question: document.question.clone(),
        command: "bench-graph".into(),
        recipe_hash: recipe.hash(),
        revision: "bench".into(),
        bands: document.evaluation.bands.clone(),
        runs: graph.runs.clone(),
        engines: Vec::new(),
    })?;
    for node in &graph.nodes {
        let Work::Stage(stage) = &node.work else { continue };
        let folder = run.join(&node.place);
        fs::create_dir_all(folder.join("evals"))?;
        let parent = node.parents.iter().map(|&parent| &graph.nodes[parent]).find(|p| matches!(p.work, Work::Stage(_)));
        let info = StageInfo {
            format: FORMAT,
            name: stage.planned.stage.stage.name.clone(),
            kind: stage.planned.stage.stage.kind,
            key: node.key.clone(),
            parent: parent.map(|parent| parent.name.clone()),
            seed: stage.seed,
            steps: 5,
            tokens: 1000,
            parameters: 1000,
        };
        fs::write(folder.join("stage.json"), serde(&info)?)?;
        let metrics: Vec<MetricsRow> = (1..=5)
            .map(|step| MetricsRow { step, values: BTreeMap::from([("loss".into(), Some(1.0 / step as f64))]) })
            .collect();
        fs::write(folder.join("metrics.jsonl"), lines::to_bytes(Path::new("metrics.jsonl"), &metrics)?)?;
        let rows: Vec<EvalRow> = [4, 5, 6, 7, 9].into_iter().enumerate().map(|(i, op)| row(i as u64, op, stage.seed)).collect();
        fs::write(folder.join("evals/main.jsonl.gz"), lines::to_bytes(Path::new("main.jsonl.gz"), &rows)?)?;
        let info = EvalInfo { suite: "s".into(), samples: "s".into() };
        fs::write(folder.join("evals/main.json"), serde(&info)?)?;
        let done = StageDone { format: FORMAT, steps: 5, cost: Cost::default(), weights_hash: String::new() };
        fs::write(folder.join("done.json"), serde(&done)?)?;
    }
    Ok(())
}

fn serde<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(value)
}

fn row(problem: u64, op: u32, seed: u64) -> EvalRow {
    let verified = ((problem + seed) % 4) as u32;
    EvalRow {
        problem,
        op,
        context: "terse".into(),
        mode: Mode::Forward,
        n: 4,
        verified,
        correct: verified,
        truncated: 0,
        process_acc: 0.5,
        tokens: 20.0,
        answers: BTreeMap::from([("7".into(), 4)]),
        answer: "7".into(),
        first_faults: BTreeMap::new(),
        gold_nll: Some(0.5),
    }
}

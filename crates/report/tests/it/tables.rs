//! From a run folder to the table, and what a broken folder says.

use report::table::Word;

use crate::fixture::Synthetic;

#[test]
fn the_table_has_a_row_for_each_model_and_band() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let table = report::table(dir.path()).unwrap();
    // 3 stages × 3 bands × (together + 2 contexts)
    assert_eq!(table.rows.len(), 27);
    let row = |model: &str, band: &str| {
        table.rows.iter().find(|r| r.model == model && r.band == band && r.context.is_none()).unwrap()
    };
    assert_eq!(row("pre", "ID").change_1, None);
    assert_eq!(row("rl", "edge").change_1.map(|c| c.word), Some(Word::Up));
    assert_eq!(row("rl", "edge").parent.as_deref(), Some("mid"));
    assert_eq!(report::table(dir.path()).unwrap(), table);
}

#[test]
fn arms_share_rows_for_the_stages_they_share() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["easy", "hard"], seeds: vec![1, 2], ..Synthetic::default() }.write(dir.path());
    let table = report::table(dir.path()).unwrap();
    let models: Vec<&str> = table.rows.iter().take(4).map(|r| r.model.as_str()).collect();
    assert_eq!(models, ["pre", "mid", "easy · rl", "hard · rl"]);
    assert!(table.rows.iter().all(|r| r.pass_1.seeds == 2));
}

#[test]
fn a_broken_folder_is_one_clear_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let says = |dir: &std::path::Path| {
        let text = report::table(dir).unwrap_err().to_string();
        text.replace(&dir.display().to_string(), "RUN")
    };
    assert!(says(dir.path()).starts_with("RUN/manifest.json: No such file"), "{}", says(dir.path()));
    Synthetic::default().write(dir.path());
    let metrics = dir.path().join("stages/pre-0001/metrics.jsonl");
    std::fs::write(&metrics, "{\"step\":1,\"values\":{}}\nnonsense\n").unwrap();
    assert!(
        says(dir.path()).starts_with("RUN/stages/pre-0001/metrics.jsonl, line 2: "),
        "{}",
        says(dir.path())
    );
    // A last line that is still being written is not there yet.
    std::fs::write(&metrics, "{\"step\":1,\"values\":{}}\n{\"step\":2,\"va").unwrap();
    assert!(report::table(dir.path()).is_ok());
    let manifest = dir.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 9")).unwrap();
    assert_eq!(says(dir.path()), "RUN/manifest.json: format 9, this program reads format 1");
    std::fs::write(&manifest, text.replace("pre-0001", "../../etc")).unwrap();
    assert!(says(dir.path()).contains("stage name"), "{}", says(dir.path()));
}

#[test]
fn the_recipes_claims_get_verdicts() {
    use report::claims::Verdict;
    let dir = tempfile::tempdir().unwrap();
    Synthetic { problems_per_op: 30, ..Synthetic::default() }.write(dir.path());
    let table = report::table(dir.path()).unwrap();
    let verdicts: Vec<_> = table.claims.iter().map(|r| (r.claim.name.as_str(), r.verdict)).collect();
    assert_eq!(
        verdicts,
        [("rl-edge", Verdict::Holds), ("rl-id", Verdict::Inconclusive), ("mid-hard", Verdict::Fails)]
    );
    let power = table.claims[0].power.unwrap();
    assert!(power.detectable > 0.0 && power.problems_needed.is_some_and(|n| n < 60), "{power:?}");
    assert!(table.render().contains("holds         pass@1 +"), "{}", table.render());
    let recipe = dir.path().join("recipe.toml");
    let text = std::fs::read_to_string(&recipe).unwrap();
    std::fs::write(&recipe, text.replace("band = \"edge\"", "band = \"egde\"")).unwrap();
    let error = report::table(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("claim `rl-edge`: there is no band `egde`"), "{error}");
}

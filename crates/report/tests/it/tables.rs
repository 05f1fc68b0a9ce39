//! From a run folder to the table, and what a broken folder says.

use tercet_report::table::Word;

use crate::fixture::Synthetic;

#[test]
fn the_table_has_a_row_for_each_model_and_band() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let table = tercet_report::table(dir.path()).unwrap();
    // 3 stages × 3 bands × (together + 2 contexts)
    assert_eq!(table.rows.len(), 27);
    let row = |model: &str, band: &str| {
        table.rows.iter().find(|r| r.model == model && r.band == band && r.context.is_none()).unwrap()
    };
    assert_eq!(row("pre", "ID").change_1, None);
    assert_eq!(row("rl", "edge").change_1.map(|c| c.word), Some(Word::Up));
    assert_eq!(row("rl", "edge").parent.as_deref(), Some("mid"));
    assert_eq!(tercet_report::table(dir.path()).unwrap(), table);
}

#[test]
fn arms_share_rows_for_the_stages_they_share() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["easy", "hard"], seeds: vec![1, 2], ..Synthetic::default() }.write(dir.path());
    let table = tercet_report::table(dir.path()).unwrap();
    let models: Vec<&str> = table.rows.iter().take(4).map(|r| r.model.as_str()).collect();
    assert_eq!(models, ["pre", "mid", "easy · rl", "hard · rl"]);
    assert!(table.rows.iter().all(|r| r.pass_1.seeds == 2));
}

#[test]
fn a_broken_folder_is_one_clear_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let says = |dir: &std::path::Path| {
        let text = tercet_report::table(dir).unwrap_err().to_string();
        text.replace(&dir.display().to_string(), "RUN")
    };
    assert!(
        says(dir.path()).starts_with("cannot read `RUN/manifest.json`: No such file"),
        "{}",
        says(dir.path())
    );
    Synthetic::default().write(dir.path());
    let metrics = dir.path().join("stages/pre-0001/metrics.jsonl");
    std::fs::write(&metrics, "{\"step\":1,\"values\":{}}\nnonsense\n").unwrap();
    assert!(
        says(dir.path()).starts_with("`RUN/stages/pre-0001/metrics.jsonl` is damaged: line 2: "),
        "{}",
        says(dir.path())
    );
    // A last line that is still being written is not there yet.
    std::fs::write(&metrics, "{\"step\":1,\"values\":{}}\n{\"step\":2,\"va").unwrap();
    assert!(tercet_report::table(dir.path()).is_ok());
    let manifest = dir.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 9")).unwrap();
    assert_eq!(says(dir.path()), "`RUN/manifest.json` has format 9; this program reads format 1");
    std::fs::write(&manifest, text.replace("pre-0001", "../../etc")).unwrap();
    assert!(says(dir.path()).contains("stage name"), "{}", says(dir.path()));
}

#[test]
fn an_interval_that_ends_at_the_bound_is_on_neither_side() {
    use runs::Relation::{Equal, Greater, Less};
    use tercet_report::claims::{Verdict, verdict};
    use tercet_report::stats::Estimate;
    let of = |relation, margin, low, high| {
        verdict(relation, margin, &Estimate { value: low, low, high, problems: 32, seeds: 1 })
    };
    // One problem of 32 got worse: the table calls that within noise.
    assert_eq!(of(Greater, 0.0, -0.031, 0.0), Verdict::Inconclusive);
    assert_eq!(of(Less, 0.0, 0.0, 0.031), Verdict::Inconclusive);
    for (relation, low, high) in
        [(Greater, 0.1, 0.3), (Less, -0.3, -0.1), (Equal, -0.1, 0.0), (Equal, 0.1, 0.2)]
    {
        assert_eq!(of(relation, 0.1, low, high), Verdict::Inconclusive, "{relation:?} {low} {high}");
    }
    assert_eq!(of(Greater, 0.1, -0.3, 0.09), Verdict::Fails);
    assert_eq!(of(Equal, 0.1, 0.11, 0.2), Verdict::Fails);
}

/// Says which suite the evaluations are of: that of reinforcement learning in arm `a`, and the others.
fn say_suites(dir: &std::path::Path, of_a: &str, of_others: &str) {
    for stage in std::fs::read_dir(dir.join("stages")).unwrap() {
        let stage = stage.unwrap();
        let hash = if stage.file_name() == "rl-a-0001" { of_a } else { of_others };
        let info = format!("{{\"suite\":\"{hash}\"}}");
        std::fs::write(stage.path().join("evals/heldout.json"), info).unwrap();
    }
}

#[test]
fn evaluations_of_another_suite_are_left_out_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b"], ..Synthetic::default() }.write(dir.path());
    let table = || tercet_report::table(dir.path()).unwrap();
    let stages = |table: &tercet_report::Table| -> Vec<String> {
        table.left_out.iter().map(|evaluation| evaluation.stage.clone()).collect()
    };
    let models = |table: &tercet_report::Table| -> std::collections::BTreeSet<String> {
        table.rows.iter().map(|row| row.model.clone()).collect()
    };
    let before = table();
    assert!(before.left_out.is_empty(), "a folder that says nothing is read as it is");
    // All the same, though it is not the recipe's: an older program hashed otherwise.
    say_suites(dir.path(), "old", "old");
    assert_eq!(table(), before);

    // None is the recipe's: most decide.
    say_suites(dir.path(), "new", "old");
    let most = table();
    assert_eq!(stages(&most), ["rl-a-0001"]);
    assert!(models(&before).contains("a · rl") && !models(&most).contains("a · rl"));
    assert!(
        most.render().contains("Left out because the suite is another: 1 evaluation (heldout of rl-a-0001).")
    );

    // One is the recipe's: it is kept, be it alone.
    let folder = runs::Folder::read(dir.path()).unwrap();
    let evaluation = &folder.recipe.evaluation;
    let records = folder.records("heldout").unwrap();
    let hash = evaluation.suites[0].info(evaluation.seed, &records).unwrap().suite;
    say_suites(dir.path(), &hash, "old");
    let recipes = table();
    assert_eq!(stages(&recipes), ["mid-0001", "pre-0001", "rl-b-0001"]);
    assert_eq!(models(&recipes), std::collections::BTreeSet::from(["a · rl".to_owned()]));
    tercet_report::html::write(dir.path()).unwrap();
    for file in ["report.html", "results.md", "results.json"] {
        let text = std::fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(text.contains("rl-b-0001") && text.contains("left"), "{file}");
    }
}

#[test]
fn the_recipes_claims_get_verdicts() {
    use tercet_report::claims::Verdict;
    let dir = tempfile::tempdir().unwrap();
    Synthetic { problems_per_op: 30, ..Synthetic::default() }.write(dir.path());
    let table = tercet_report::table(dir.path()).unwrap();
    let verdicts: Vec<_> = table.claims.iter().map(|r| (r.claim.name.as_str(), r.verdict)).collect();
    assert_eq!(
        verdicts,
        [("rl-edge", Verdict::Holds), ("rl-id", Verdict::Inconclusive), ("mid-hard", Verdict::Fails)]
    );
    let power = table.claims[0].power.unwrap();
    assert!(power.detectable > 0.0 && power.needed.is_some_and(|n| n.problems < 60), "{power:?}");
    let page = table.render();
    for promised in ["holds         +", "paper: +20.0 points", "against", "FLOPs", "takes about"] {
        assert!(page.contains(promised), "no `{promised}` in\n{page}");
    }
    let recipe = dir.path().join("recipe.toml");
    let text = std::fs::read_to_string(&recipe).unwrap();
    std::fs::write(&recipe, text.replace("band = \"edge\"", "band = \"egde\"")).unwrap();
    let error = tercet_report::table(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("claim `rl-edge`: there is no band `egde`"), "{error}");
}

/// Replaces the fixture's claims by one and rules on it.
fn ruling(dir: &std::path::Path, claim: &str) -> tercet_report::claims::Ruling {
    let recipe = dir.join("recipe.toml");
    let text = std::fs::read_to_string(&recipe).unwrap();
    let head = text.split("[[claim]]").next().unwrap();
    let claim = format!("[[claim]]\nname = \"c\"\nsays = \"\"\nsuite = \"heldout\"\n{claim}");
    std::fs::write(&recipe, format!("{head}{claim}")).unwrap();
    tercet_report::table(dir).unwrap().claims.remove(0)
}

#[test]
fn a_claim_may_name_ops_and_a_context() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let models = "metric = \"pass@1\"\nleft = { stage = \"rl\" }\nright = { stage = \"mid\" }";
    let problems = |filter: &str| {
        ruling(dir.path(), &format!("{filter}\n{models}")).effect.map_or(0, |effect| effect.problems)
    };
    // 20 problems an op: every other one is of each context, every fifth in reverse.
    assert_eq!(problems(""), 160);
    assert_eq!(problems("ops = \"6-7\""), 40);
    assert_eq!(problems("ops = [6]\ncontext = \"zoo\""), 10);
    assert_eq!(problems("band = \"edge\"\nmode = \"reverse\""), 8);
    assert_eq!(problems("context = \"school\""), 0);
}

#[test]
fn a_claim_may_compare_with_a_number_or_compare_changes() {
    use tercet_report::claims::Verdict;
    let dir = tempfile::tempdir().unwrap();
    let arms = vec!["a", "b"];
    Synthetic { arms, seeds: vec![1, 2], ..Synthetic::default() }.write(dir.path());
    let metric = "metric = \"pass@1\"\nband = \"ID\"";
    let left =
        ruling(dir.path(), &format!("{metric}\nleft = {{ arm = \"a\", stage = \"rl\" }}\nright = 0.5"));
    let (alone, effect) = (left.left.unwrap(), left.effect.unwrap());
    assert!((alone.value - 0.5 - effect.value).abs() < 1e-12 && (alone.low - 0.5 - effect.low).abs() < 1e-12);
    assert_eq!((left.right, left.verdict, effect.seeds), (None, Verdict::Holds, 2));
    let side = |arm: &str| format!("{{ arm = \"{arm}\", stage = \"rl\", since = \"mid\" }}");
    let gains = ruling(dir.path(), &format!("{metric}\nleft = {}\nright = {}", side("a"), side("b")));
    // Both arms have the same parent, so the difference of their gains is that of the arms.
    let plain = "left = { arm = \"a\", stage = \"rl\" }\nright = { arm = \"b\", stage = \"rl\" }";
    let arms = ruling(dir.path(), &format!("{metric}\n{plain}"));
    let (gains, arms) = (gains.effect.unwrap(), arms.effect.unwrap());
    assert!((gains.value - arms.value).abs() < 1e-12 && (gains.high - arms.high).abs() < 1e-12);
    // A change is the stage's paired difference from the one before.
    let gain = ruling(dir.path(), &format!("{metric}\nleft = {}\nright = 0", side("a"))).effect.unwrap();
    let models = "left = { arm = \"a\", stage = \"rl\" }\nright = { arm = \"a\", stage = \"mid\" }";
    let stages = ruling(dir.path(), &format!("{metric}\n{models}")).effect.unwrap();
    assert!((gain.value - stages.value).abs() < 1e-12 && (gain.low - stages.low).abs() < 1e-12);
    // Two pre-trainings, two mid-trainings and four times RL are behind it.
    assert!((left.cost.flops - 6.0 * 2.0e12).abs() < 1.0, "{:?}", left.cost);
}

#[test]
fn a_claim_may_be_about_faults() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let models = "left = { stage = \"rl\" }\nright = { stage = \"pre\" }\nrelation = \"less\"";
    let of =
        |kinds: &str| ruling(dir.path(), &format!("metric = \"fault:{kinds}\"\n{models}")).effect.unwrap();
    let (one, other, both) = (of("wrong-value"), of("missing-step"), of("wrong-value+missing-step"));
    assert!((one.value + other.value - both.value).abs() < 1e-12 && both.high < 0.0, "{both:?}");
}

#[test]
fn a_suites_own_k_are_used() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let recipe = dir.path().join("recipe.toml");
    let text = std::fs::read_to_string(&recipe).unwrap();
    std::fs::write(&recipe, text.replace("samples = 16", "samples = 16\nk = [12, 1, 3]")).unwrap();
    assert!(tercet_report::table(dir.path()).unwrap().rows.iter().all(|row| row.k == 12));
    tercet_report::html::write(dir.path()).unwrap();
    let csv = std::fs::read_to_string(dir.path().join("figures/pass-at-k.csv")).unwrap();
    let ks: std::collections::BTreeSet<&str> =
        csv.lines().skip(1).filter_map(|l| l.split(',').nth(2)).collect();
    assert_eq!(ks.into_iter().collect::<Vec<_>>(), ["1", "12", "3"]);
}

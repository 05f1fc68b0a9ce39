//! From a run folder to the table, and what a broken folder says.

use tercet_report::table::Word;

use crate::fixture::Synthetic;

#[test]
fn the_table_has_a_row_for_each_model_and_band() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let table = tercet_report::table(dir.path()).unwrap();
    // 3 stages × 3 bands × (together + 2 contexts + 2 modes)
    assert_eq!(table.rows.len(), 45);
    let row = |model: &str, band: &str| {
        let whole = |r: &&tercet_report::table::Row| r.context.is_none() && r.mode.is_none();
        table.rows.iter().filter(whole).find(|r| r.model == model && r.band == band).unwrap()
    };
    // The problems of the modes are those of the whole.
    let problems = |fits: &dyn Fn(&tercet_report::table::Row) -> bool| -> u32 {
        let of_pre = table.rows.iter().filter(|r| r.model == "pre" && r.band == "ID");
        of_pre.filter(|r| fits(r)).map(|r| r.pass_1.problems).sum()
    };
    assert_eq!(problems(&|r| r.mode.is_some()), row("pre", "ID").pass_1.problems);
    assert!(problems(&|r| r.mode == Some(runs::Mode::Reverse)) > 0);
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
    assert!((gains.value - arms.value).abs() < 1e-12);
    // A problem that was not seen could move gains twice as far: each of them may be 1 in the one arm and −1 in the other.
    let unseen = 1.0 - 0.025_f64.powf(1.0 / f64::from(gains.problems));
    let high = arms.high.max(gains.value + (2.0 - gains.value) * unseen);
    assert!((gains.high - high).abs() < 1e-12, "{gains:?} {arms:?}");
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

#[test]
fn arms_are_compared_in_pairs_on_the_same_problems() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b", "c"], seeds: vec![1, 2], ..Synthetic::default() }.write(dir.path());
    let table = tercet_report::table(dir.path()).unwrap();
    // 3 pairs × 3 bands × pass@1 and pass@16
    assert_eq!(table.comparisons.len(), 18);
    let value = |model: &str| {
        let whole = table.rows.iter().filter(|r| r.context.is_none() && r.mode.is_none());
        whole.filter(|r| r.band == "edge").find(|r| r.model == model).unwrap().pass_1.value
    };
    let first = table.comparisons.iter().find(|c| c.band == "edge").unwrap();
    assert_eq!([first.left.as_str(), first.right.as_str()], ["b · rl", "a · rl"]);
    assert!((first.difference.value - (value("b · rl") - value("a · rl"))).abs() < 1e-12);
    assert!(table.comparisons.iter().all(|c| c.q >= c.p));
    // What programs have read so far is read as before, and written again as it was.
    let mut old = serde_json::to_value(&table).unwrap();
    old.as_object_mut().unwrap().remove("comparisons");
    let read: tercet_report::Table = serde_json::from_value(old.clone()).unwrap();
    assert!(read.comparisons.is_empty());
    assert_eq!(serde_json::to_value(&read).unwrap(), old);
}

#[test]
fn arms_can_be_compared_with_a_chosen_one() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b", "c"], ..Synthetic::default() }.write(dir.path());
    tercet_report::html::write_against(dir.path(), Some("b")).unwrap();
    let csv = std::fs::read_to_string(dir.path().join("figures/differences.csv")).unwrap();
    assert!(csv.contains("points against b · rl") && csv.contains(",a · rl,"), "{csv}");
    let markdown = std::fs::read_to_string(dir.path().join("results.md")).unwrap();
    assert!(markdown.contains("## The arms against b · rl") && markdown.contains("18 comparisons were made"));
    let error = tercet_report::html::write_against(dir.path(), Some("d")).unwrap_err().to_string();
    assert_eq!(error, "there is no arm `d` among `a`, `b`, `c`");
}

#[test]
fn runs_of_one_recipe_are_pooled_and_others_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: u64, other: bool| {
        let path = dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        Synthetic { seeds: vec![seed], ..Synthetic::default() }.write(&path);
        let recipe = std::fs::read_to_string(path.join("recipe.toml")).unwrap();
        let recipe =
            recipe.replace("name = \"synthetic\"", &format!("seeds = [{seed}]\nname = \"synthetic\""));
        let recipe = if other { format!("scale = \"other\"\n{recipe}") } else { recipe };
        std::fs::write(path.join("recipe.toml"), recipe).unwrap();
        path
    };
    let (one, two, other) = (run("one", 1, false), run("two", 2, false), run("other", 3, true));
    let out = dir.path().join("out");
    let (page, pooled) = tercet_report::together::write(&[one.clone(), two.clone()], &out, None).unwrap();
    assert!(pooled.rows.iter().all(|row| row.pass_1.seeds == 2) && pooled.claims.len() == 3);
    assert!(pooled.comparisons.is_empty() && page.ends_with("out/report.html"));
    let (_, apart) = tercet_report::together::write(&[one, two, other], &out, None).unwrap();
    let seeds = |model: &str| apart.rows.iter().find(|row| row.model == model).unwrap().pass_1.seeds;
    assert_eq!((seeds("synthetic · rl"), seeds("other · rl")), (2, 1));
    // No seed is in both, so nothing is paired.
    assert!(apart.comparisons.is_empty() && apart.claims.is_empty());
}

#[test]
fn all_rows_can_be_read_as_a_data_frame() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    Synthetic { arms: vec!["a", "b"], problems_per_op: 5, ..Synthetic::default() }.write(&run);
    let text = tercet_report::rows::csv(&tercet_report::rows::read(std::slice::from_ref(&run)).unwrap());
    let lines: Vec<&str> = text.lines().collect();
    // 4 stages, of which the arms share two, × 8 ops × 5 problems
    assert_eq!(lines.len(), 1 + 4 * 8 * 5);
    assert!(
        lines[0].starts_with("run,arms,stage,kind,seed,step,last,suite,problem,op,context,mode,n,verified")
    );
    assert!(
        lines.iter().any(|line| line.starts_with("run,a;b,pre,pre-training,1,120,true,heldout,0,2,terse,"))
    );
    let folder = runs::Folder::read(&run).unwrap();
    let verified: u32 =
        folder.stages.values().flat_map(|s| &s.evals["heldout"]).map(|row| row.verified).sum();
    let column = lines[1..].iter().filter_map(|line| line.split(',').nth(13)?.parse::<u32>().ok());
    assert_eq!(column.sum::<u32>(), verified);
}

use super::*;

/// The quick recipe: every recipe test starts from a file that people use.
const QUICKSTART: &str = include_str!("../../../../recipes/quickstart.toml");

fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, RecipeError> {
    let overrides: Vec<String> = overrides.iter().map(|&o| o.to_owned()).collect();
    Recipe::parse(text, "recipe.toml", &overrides)
}

/// The error of the quick recipe with one line replaced, as a user sees it.
fn error(from: &str, to: &str) -> String {
    assert!(QUICKSTART.contains(from), "the recipe has no `{from}`");
    parse(&QUICKSTART.replacen(from, to, 1), &[]).expect_err("the recipe is wrong").to_string()
}

fn error_of_set(given: &str) -> String {
    parse(QUICKSTART, &[given]).expect_err("the override is wrong").to_string()
}

/// Every recipe that comes with the program, at each of its scales.
#[test]
fn all_recipes_are_right() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("there are recipes") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("readable");
        let raw: toml::Table = toml::from_str(&text).expect("TOML");
        let mut scales = vec![Vec::new()];
        if let Some(toml::Value::Table(table)) = raw.get("scale") {
            scales.extend(table.keys().map(|name| vec![format!("scale={name}")]));
        }
        for overrides in scales {
            Recipe::open(&path, &overrides).unwrap_or_else(|e| panic!("{overrides:?}\n{e}"));
            count += 1;
        }
    }
    assert!(count >= 2);
}

#[test]
fn the_quick_recipe() {
    let recipe = parse(QUICKSTART, &[]).expect("the recipe is right");
    assert!(recipe.document.question.starts_with("Do mid-training and reinforcement learning"));
    let [arm] = &recipe.arms[..] else { panic!("one arm") };
    assert_eq!(arm.name, "main");
    let names: Vec<&str> = arm.stages.iter().map(|stage| stage.stage.name.as_str()).collect();
    assert_eq!(names, ["pre", "mid", "rl"]);
    let sum: f64 = arm.stages[1].cells.values().sum();
    assert!((sum - 1.0).abs() < 1e-9);
}

#[test]
fn a_resolved_recipe_is_the_same_recipe() {
    for overrides in [&[][..], &["scale=tiny", "stage.pre.optimizer.lr=0.01"]] {
        let recipe = parse(QUICKSTART, overrides).expect("the recipe is right");
        let again = parse(&recipe.resolved(), &[]).expect("a resolved recipe is a recipe");
        assert_eq!(recipe.document, again.document);
        assert_eq!(recipe.arms, again.arms);
        assert_eq!(recipe.hash(), again.hash());
    }
}

#[test]
fn overrides_and_scales() {
    let recipe = parse(QUICKSTART, &["stage.rl.rollout.reward.kind=outcome", "seeds=[3,4]", "scale=tiny"]);
    let recipe = recipe.expect("the overrides are right");
    assert_eq!(recipe.document.seeds, [3, 4]);
    assert_eq!(recipe.document.scale, "tiny");
    let ModelSource::Fresh(shape) = &recipe.document.model else { panic!("a shape") };
    assert_eq!(shape.hidden, 32);
    let rollout = recipe.arms[0].stages[2].stage.rollout.as_ref().expect("a stage of rollouts");
    assert_eq!(rollout.reward, problems::reward::Reward::Outcome {});
    assert_eq!(rollout.prompts, 4);
    assert_ne!(recipe.hash(), parse(QUICKSTART, &["scale=tiny"]).expect("right").hash());
}

#[test]
fn arms_change_what_they_name_and_no_more() {
    let arms = r#"
[[arm]]
name = "strict"

[[arm]]
name = "blend"
stages = ["pre", "rl"]
set = { "stage.rl.rollout.reward" = { kind = "blend", alpha = 0.2 } }

[[arm]]
name = "easy"
[arm.set.stage.rl]
mix = "pre"
"#;
    let text = QUICKSTART.replacen("[[claim]]", &format!("{arms}\n[[claim]]"), 1);
    let text = text
        .replace("left = {", "left = { arm = \"strict\",")
        .replace("right = {", "right = { arm = \"strict\",");
    let recipe = parse(&text, &["stage.rl.steps=7"]).expect("the arms are right");
    let rl = |i: usize| &recipe.arms[i].stages.last().expect("stages").stage;
    assert_eq!(recipe.arms[1].stages.len(), 2);
    assert_eq!(
        rl(1).rollout.as_ref().map(|r| r.reward),
        Some(problems::reward::Reward::Blend { alpha: 0.2 })
    );
    assert_eq!((rl(0).mix.as_str(), rl(2).mix.as_str()), ("edge", "pre"));
    assert!((0..3).all(|i| rl(i).steps == Some(7)), "the command line goes before the arms");
    assert_eq!(recipe.arms[0].stages[0], recipe.arms[1].stages[0]);

    let scale =
        "[scale.other]\n\"arm.blend.set\" = { \"stage.rl.rollout.reward\" = { kind = \"outcome\" } }\n";
    let overrides = ["scale=other", "arm.easy.set.stage.rl.mix=pre-2"];
    let text = format!("{text}\n[[mix.pre-2]]\nops = \"3\"\ncontexts = \"terse\"\n{scale}");
    let other = parse(&text, &overrides).expect("a scale can change what an arm sets");
    let rl = |i: usize| &other.arms[i].stages.last().expect("stages").stage;
    assert_eq!(rl(1).rollout.as_ref().map(|r| r.reward), Some(problems::reward::Reward::Outcome {}));
    assert_eq!(rl(2).mix, "pre-2");

    let again = parse(&recipe.resolved(), &[]).expect("a resolved recipe is a recipe");
    assert_eq!(recipe.arms, again.arms);
}

#[test]
fn unknown_keys_have_a_place() {
    let message = error("max_value = 20", "max_valeu = 20");
    assert!(message.starts_with("recipe.toml:13:1: unknown field `max_valeu`"), "{message}");
    assert!(message.ends_with("13 | max_valeu = 20\n   | ^^^^^^^^^"), "{message}");
}

#[test]
fn weights_must_sum_to_one() {
    let message = error("0.1391", "0.9391");
    assert!(message.contains("mix `pre`: the weights of ops sum to 1.8, not to 1"), "{message}");
    let line = 1 + QUICKSTART.lines().position(|line| line.contains("0.1391")).expect("a line of weights");
    assert!(message.contains(&format!("\n{line} | ops = {{")) && message.contains("^^^"), "{message}");
    let message = error("share = 0.8", "share = 0.7");
    assert!(message.contains("mix `mid`: the shares of the parts sum to 0.9, not to 1"), "{message}");
}

#[test]
fn impossible_problems_are_found_before_anything_runs() {
    let message = error("ops = \"6-7\"", "ops = \"6-70\"");
    assert!(message.contains("mix `edge`"), "{message}");
    let message = error("ops = \"4-7,9\"", "ops = \"0-3\"");
    assert!(message.contains("suite `main`"), "{message}");
    let message = error("contexts = \"terse\"", "contexts = \"tense\"");
    assert!(message.contains("tense"), "{message}");
    let message = error("ops = \"6-7\"", "ops = \"7-6\"");
    assert!(message.contains("`7-6` is no op or range of ops"), "{message}");
    // Refused before it is listed.
    for ops in ["ops = \"2-4000000000\"", "ops = { \"2-4000000000\" = 1.0 }"] {
        let message = error("ops = \"6-7\"", ops);
        assert!(message.contains("`2-4000000000` is no op or range of ops"), "{message}");
        assert!(message.contains("up to 50"), "{message}");
    }
}

#[test]
fn wrong_overrides_show_what_was_given() {
    let message = error_of_set("stage.rl.stpes=5");
    assert!(message.starts_with("--set: unknown field `stpes`"), "{message}");
    assert!(message.ends_with(" | \"stage.rl.stpes\" = 5\n | ^^^^^^^^^^^^^^^^"), "{message}");
    let message = error_of_set("stage.lr.steps=5");
    assert!(message.contains("there is no `stage` named `lr`"), "{message}");
    let message = error_of_set("scale=huge");
    assert!(message.contains("there is no scale `huge`; there are: tiny"), "{message}");
    let message = error_of_set("seeds");
    assert!(message.contains("has no `=`"), "{message}");
    let message = error_of_set("seeds=[1,1]");
    assert!(message.contains("none twice"), "{message}");
}

#[test]
fn numbers_have_limits_and_the_field_is_pointed_at() {
    for (given, why) in [
        ("name=../evil", "`../evil` is no name"),
        ("model.heads=5", "5 heads do not divide a width of"),
        ("model.kv_heads=3", "3 key/value heads do not divide"),
        ("model.layers=0", "the model's layers must be at least 1"),
        ("model.init_std=-1", "the model's init_std is -1, but must be at least 0"),
        ("model.rope_theta=0", "the model's rope_theta is 0, but must be positive"),
        ("stage.mid.tokens=1", "1 tokens are less than half a batch of"),
        ("stage.rl.steps=0", "`steps` must be at least 1"),
        ("stage.pre.optimizer.weight_decay=-1", "`weight_decay` is -1"),
        ("stage.rl.rollout.samples=1", "judged against the others of its group"),
        ("stage.rl.rollout.temperature=0", "`temperature` is 0, but must be above 0"),
        ("stage.rl.rollout.top_p=1.1", "`top_p` is 1.1, but"),
        ("stage.rl.rollout.top_p=0.9", "`top_p` is 0.9, but must be 1 (off): another policy"),
        ("stage.rl.rollout.top_k=1", "`top_k` is 1, but must be 0 (off): another policy"),
        ("stage.rl.policy.dual_clip=0.2", "`dual_clip` is 0.2, but must be above 1, or 0 (off)"),
        ("stage.pre.optimizer.beta2=0.9999999999", "`beta2` is 0.9999999999"),
        ("stage.pre.optimizer.eps=0", "`eps` is 0"),
        ("stage.rl.rollout.reward={kind=\"blend\",alpha=3}", "`reward.alpha` is 3"),
        ("stage.rl.policy.kl.coefficient=-1", "`kl.coefficient` is -1"),
        ("stage.rl.policy.step_credit=-2", "`step_credit` is -2"),
        ("stage.rl.policy.ending_credit=true", "weighed by `step_credit`, which is 0"),
        ("evaluation.suite.main.temperature=-1", "`temperature` is -1, but must be at least 0"),
        ("evaluation.suite.main.top_p=0", "`top_p` is 0"),
    ] {
        let message = error_of_set(given);
        let (path, _) = given.split_once('=').expect("a value");
        assert!(message.contains(why), "{given}: {message}");
        assert!(message.contains(&format!("\"{path}\" =")), "{given} is not pointed at: {message}");
    }
    // Greedy evaluation is a way of asking.
    parse(QUICKSTART, &["evaluation.suite.main.temperature=0"]).expect("right");
}

#[test]
fn a_wrong_context_is_pointed_at_and_not_its_ops() {
    let message = error("contexts = \"terse\"", "contexts = \"tersed\"");
    assert!(
        message.contains("there is no context `tersed`") && message.contains("| contexts = "),
        "{message}"
    );
    let message = error("contexts = [\"terse\"]", "contexts = [\"tersed\"]");
    assert!(
        message.contains("there is no context `tersed`") && message.contains("| contexts = "),
        "{message}"
    );
}

#[test]
fn stages_must_make_sense() {
    let message = error("tokens = 4e6", "tokens = 4e6\nsteps = 5");
    assert!(message.contains("stage `pre` has both `tokens` and `steps`: leave one out"), "{message}");
    let message = error("tokens = 4e6", "");
    assert!(message.contains("stage `pre` needs either `tokens` or `steps`"), "{message}");
    let message = error("mix = \"edge\"", "mix = \"egde\"");
    assert!(
        message.contains("there is no mix `egde`: did you mean `edge`? There are: edge, mid, pre"),
        "{message}"
    );
    assert!(message.ends_with("| mix = \"egde\"\n   |       ^^^^^^"), "{message}");
    let message = error("advantage = \"grpo\"", "advantage = \"gpro\"");
    assert!(message.contains("gpro") && message.contains("grpo-no-std"), "{message}");
    let message = error("kind = \"k3\",", "kind = \"exact\", place = \"reward\",");
    assert!(message.contains("the exact divergence belongs in the loss"), "{message}");
    let message = error("tokens = 0.8e6", "tokens = 1.5");
    assert!(message.contains("1.5 is not a whole number"), "{message}");
    let message = error("decay_share = 0.2", "decay_share = 2.0");
    assert!(message.contains("`decay_share` is 2, but must be between 0 and 1"), "{message}");
}

#[test]
fn bands_must_make_sense() {
    for (band, message) in [
        ("{ name = \"edge\", from = 7, to = 6 }", "band `edge` goes from op 7 down to 6"),
        ("{ name = \"ID\", from = 6, to = 7 }", "two bands are named `ID`"),
        (
            "{ name = \"edge\", from = 6, to = 4000000000 }",
            "band `edge` goes up to op 4000000000, and there is none above 50",
        ),
    ] {
        let found = error("{ name = \"edge\", from = 6, to = 7 }", band);
        assert!(found.contains(message), "{found}");
    }
}

/// A problem that is asked twice would count as two.
#[test]
fn a_suite_names_nothing_twice() {
    for (set, message) in [
        ("evaluation.suite.main.ops=[4,6,4]", "suite `main` names `4` twice"),
        ("evaluation.suite.main.contexts=['terse','terse']", "suite `main` names `terse` twice"),
        ("evaluation.suite.main.modes=['forward','forward']", "suite `main` names `forward` twice"),
    ] {
        let found = error_of_set(set);
        assert!(found.contains(message), "{found}");
    }
}

/// The second line of an error, and its caret.
fn shown(message: &str) -> (String, String) {
    let lines: Vec<&str> = message.lines().collect();
    (lines[2].trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned(), lines[3].to_owned())
}

#[test]
fn what_is_unknown_is_pointed_at_and_what_there_is_is_listed() {
    for (given, why, line) in [
        (
            "stage.lr.steps=5",
            "there is no `stage` named `lr`: did you mean `rl`? There are: pre, mid, rl",
            "",
        ),
        ("stage.steps=5", "`stage` is a list: name the item and its key; there are: pre, mid, rl", ""),
        ("modle.hidden=5", "unknown field `modle`: did you mean `model`? There are: name, question,", ""),
        ("model.hiden=5", "unknown field `hiden`: did you mean `hidden`? There are: vocab, hidden,", ""),
        ("mix.pre.7.ops='2'", "there is no `pre` named `7`; there are: 0", ""),
        ("scale=tinny", "there is no scale `tinny`: did you mean `tiny`? There are: tiny, tutorial", ""),
        ("tokenizer.mix='per'", "there is no mix `per`: did you mean `pre`? There are: edge, mid, pre", ""),
        ("evaluation.suite.main.after=['rl','prae']", "there is no stage `prae`: did you mean `pre`?", ""),
        (
            "claim.rl-edge.band='egde'",
            "there is no band `egde`: did you mean `edge`? There are: ID, edge,",
            "",
        ),
        ("matched=[{arms=['mian']}]", "there is no arm `mian`: did you mean `main`? There are: main", ""),
        ("stage.rl.kind='lr'", "unknown variant `lr`: did you mean `rl`? There are: pre-training, mid", ""),
        ("model.layers='two'", "expected a whole number of at least 0", ""),
        ("model.layers=-1", "expected a whole number of at least 0", ""),
        ("seeds=7", "expected a list", ""),
        ("model.tied=1", "expected `true` or `false`", ""),
        ("world=3", "expected a table", line_of("world=3")),
    ] {
        let message = error_of_set(given);
        assert!(message.starts_with("--s"), "{given}: {message}");
        assert!(message.contains(why), "{given}: {message}");
        let (found, caret) = shown(&message);
        assert!(found.starts_with("| \"") && caret.ends_with('^'), "{given}: {message}");
        assert!(line.is_empty() || found.contains(line), "{given}: {message}");
    }
}

/// The path of an override as it is shown.
fn line_of(given: &'static str) -> &'static str {
    given.split_once('=').expect("a value").0
}

#[test]
fn a_claim_about_arms_needs_one() {
    let arms = "[[arm]]\nname = \"a\"\n[[arm]]\nname = \"b\"\n[[claim]]";
    let text = QUICKSTART.replacen("[[claim]]", arms, 1);
    let message = parse(&text, &[]).expect_err("an arm is missing").to_string();
    assert!(message.contains("claim `rl-edge`: `left` needs an `arm`; there are: a, b"), "{message}");
    assert!(message.contains("left = {"), "{message}");
}

#[test]
fn all_errors_are_told_at_once() {
    let text = QUICKSTART
        .replacen("max_value = 20", "max_valeu = 20", 1)
        .replacen("tokens = 4e6", "tokens = \"many\"", 1)
        .replacen("[scale.tiny", "[scale.tinier]\nmodle = 3\n\n[scale.tiny", 1);
    let message = parse(&text, &[]).expect_err("wrong").to_string();
    for part in ["unknown field `max_valeu`", "expected a whole number", "unknown field `modle`"] {
        assert_eq!(message.matches(part).count(), 1, "{part}: {message}");
    }
    // What is wrong with the values as well, each once though arms repeat it.
    let sets =
        ["stage.pre.optimizer.lr=-1", "stage.rl.rollout.samples=1", "claim.rl-edge.band='x'", "name='a b'"];
    let message = parse(QUICKSTART, &sets).expect_err("wrong").to_string();
    for part in ["a learning rate of -1", "`samples` must be at least 2", "no band `x`", "`a b` is no name"] {
        assert_eq!(message.matches(part).count(), 1, "{part}: {message}");
    }
}

/// Sizes that no machine has are refused before anything is made.
#[test]
fn sizes_have_a_stated_limit() {
    for (given, why) in [
        ("model.layers=10_000_000", "the model's layers = 10000000 is beyond any use"),
        (
            "stage.rl.rollout.prompts=4294967295",
            "responses of a step are beyond any use: the most are 1048576",
        ),
        ("evaluation.suite.main.problems=4294967295", "problems of a suite are beyond any use"),
        ("evaluation.suite.main.samples=4294967295", "samples of a problem are beyond any use"),
        ("evaluation.validation_problems=9e15", "expected"),
        ("evaluation.validation_problems=4294967295", "problems of a cell are beyond any use"),
        ("stage.pre.batch_tokens=8e15", "tokens of a batch are beyond any use"),
        ("stage.rl.steps=8e15", "steps are beyond any use"),
        ("tokenizer.vocab=4294967295", "tokens of a vocabulary are beyond any use"),
    ] {
        let message = error_of_set(given);
        assert!(message.contains(why), "{given}: {message}");
    }
    let wide = ["model.hidden=8388608", "model.mlp=8388608"];
    let message = parse(QUICKSTART, &wide).expect_err("too large").to_string();
    assert!(message.contains("parameters is too large: the most are 17179869184"), "{message}");
}

/// Nothing that a recipe holds makes an error longer than a screen or sends control characters to the terminal.
#[test]
fn errors_are_short_whatever_a_recipe_holds() {
    let long = "x".repeat(70_000);
    let deep = format!("{}=1", vec!["a"; 20_000].join("."));
    let band = format!("evaluation.bands=[{{name=\"{long}\",from=2,to=4}}]");
    for (given, why) in [
        (deep.as_str(), "a path of 20000 parts leads nowhere, the most are 16"),
        (band.as_str(), "a name of 70000 letters is too long for a band: the most are 64"),
        (&format!("{long}=1"), "unknown field `xxx"),
        (&format!("name={long}"), "a name of 70000 letters is too long"),
        ("evaluation.bands=[{name=\"a\\u001b[31m\",from=2,to=4}]", "all in one line"),
        ("stage.rl.mix=\"a\\u001b[31m\"", "there is no mix `a\\u{1b}[31m`"),
    ] {
        let message = error_of_set(given);
        assert!(message.contains(why), "{given:.60}: {message:.2000}");
        assert!(message.len() < 6000 && !message.contains('\u{1b}'), "{given:.60}: {}", message.len());
    }
    // A long line is shown around its place, once.
    let text = format!("{QUICKSTART}\n[[arm]]\nname = \"a\"\nset = {{ \"stage.rl.x\" = \"{long}\" }}\n");
    let message = parse(&text, &[]).expect_err("unknown").to_string();
    assert!(
        message.contains("stage.rl.x") && message.contains('…') && message.len() < 2000,
        "{message:.3000}"
    );
    // The parser's own limit names the file.
    let message = parse(&format!("a = {}", "[".repeat(20_000)), &[]).expect_err("deep").to_string();
    assert!(message.starts_with("recipe.toml:"), "{message:.300}");
    assert!(message.len() < 2000, "{}", message.len());
}

/// Every key of a recipe, the optional ones included.
fn keys(value: &toml::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                found.insert(key.clone());
                // What is below these is named by the user or by another crate.
                if !["world", "mix", "set", "ops", "contexts", "modes", "reward"].contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        toml::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

#[test]
fn claims_are_checked_before_anything_runs() {
    let says = |set: &str| {
        let error = parse(QUICKSTART, &[set]).expect_err(set).to_string();
        error
            .lines()
            .next()
            .and_then(|line| line.split("claim `rl-edge`: ").nth(1))
            .unwrap_or(&error)
            .to_owned()
    };
    for (set, message) in [
        ("claim.rl-edge.suite='other'", "there is no suite `other`; there are: main"),
        ("claim.rl-edge.suite='mian'", "there is no suite `mian`: did you mean `main`? There are: main"),
        ("claim.rl-edge.band='far'", "there is no band `far`; there are: ID, edge, hard"),
        ("claim.rl-edge.ops='6-7'", "name a `band` or `ops`, not both"),
        ("claim.rl-edge.context='school'", "suite `main` has no problem of `school`"),
        ("claim.rl-edge.metric='pass@129'", "pass@129 needs 129 samples, and there are 128"),
        (
            "claim.rl-edge.left={stage='post'}",
            "arm `main`: there is no stage `post`; there are: pre, mid, rl",
        ),
        (
            "claim.rl-edge.left={stage='rl',since='prae'}",
            "arm `main`: there is no stage `prae`: did you mean `pre`? There are: pre, mid, rl",
        ),
        ("claim.rl-edge.left={stage='mid',since='rl'}", "`rl` is no earlier stage than `mid`"),
        ("claim.rl-edge.left={stage='rl',since='rl'}", "`rl` is no earlier stage than `rl`"),
        ("claim.rl-edge.right={arm='x',stage='mid'}", "there is no arm `x`; there are: main"),
        ("claim.rl-edge.margin=-0.1", "a margin of -0.1 is impossible"),
        ("evaluation.suite.main.after=['pre','mid']", "suite `main` is not run after stage `rl`"),
    ] {
        assert_eq!(says(set), message);
    }
    for (set, part) in [
        ("claim.rl-edge.metric='pass@'", "`pass@` is no metric; there are pass@K"),
        ("claim.rl-edge.metric='fault:odd'", "there is no fault `odd`; there are: malformed-step, "),
        ("claim.rl-edge.right={stage='mid',sinec='pre'}", "unknown field `sinec`"),
    ] {
        assert!(says(set).contains(part), "{set}: {}", says(set));
    }
    // Enough samples, and more ways to draw a half of them than a number can say.
    let many = |k: u32| {
        let metric = format!("claim.rl-edge.metric='maj@{k}'");
        parse(QUICKSTART, &["evaluation.suite.main.samples=2000", &metric])
    };
    let message = many(1000).expect_err("too many draws").to_string();
    assert!(message.contains("claim `rl-edge`: maj@1000 of 2000 samples cannot be computed"), "{message}");
    assert!(many(8).is_ok());
    let number = parse(QUICKSTART, &["claim.rl-edge.right=0.5"]).expect("a number is a right side");
    assert_eq!(parse(&number.resolved(), &[]).expect("resolved").document, number.document);
}

#[test]
fn the_reference_names_every_key() {
    let reference = include_str!("../../../../docs/recipes.md");
    let everything = [
        "stage.rl.rollout.curriculum={k=4}",
        "stage.rl.rollout.format_bonus=0.1",
        "stage.rl.policy.step_credit=1",
        "stage.rl.policy.ending_credit=true",
        "context_files=[]",
        "matched=[{arms=['main']}]",
        "claim.rl-edge.paper=0.1",
        "claim.rl-edge.paper_says='more'",
        "claim.rl-edge.context='terse'",
        "claim.rl-edge.mode='forward'",
        "claim.rl-edge.left.since='pre'",
    ];
    // A stage's `files` would have to be there: the reference names them in its own row.
    assert!(reference.contains("| `files` |"));
    let text = format!("{QUICKSTART}\n[[arm]]\nname = \"main\"\nset = {{}}\n");
    let recipe = parse(&text, &everything).expect("the recipe is right");
    let resolved: toml::Value = toml::from_str(&recipe.resolved()).expect("TOML");
    let mut found = std::collections::BTreeSet::new();
    keys(&resolved, &mut found);
    let mix: toml::Value = toml::Value::try_from(&recipe.document.mix["mid"][0]).expect("plain data");
    keys(&mix, &mut found);
    assert!(found.len() > 90, "only {} keys", found.len());
    let missing: Vec<&String> = found.iter().filter(|key| !reference.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/recipes.md does not name {missing:?}");
}

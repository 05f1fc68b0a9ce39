//! The report file: self-contained, small, the same bytes for the same folder.

use crate::fixture::Synthetic;

#[test]
fn the_report_needs_nothing_but_itself() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let path = tercet_report::html::write(dir.path()).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    // The only addresses are XML's namespace and data of the page itself.
    let rest = page.replace("http://www.w3.org/2000/svg", "");
    for forbidden in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!rest.contains(forbidden), "the page holds {forbidden}");
    }
    for promised in ["within noise", "pass@16", "figures/pass-at-k.csv", "Does reinforcement learning"] {
        assert!(page.contains(promised), "the page lacks {promised}");
    }
}

#[test]
fn ten_arms_of_three_seeds_stay_under_five_megabytes() {
    let dir = tempfile::tempdir().unwrap();
    let arms = vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    Synthetic { arms, seeds: vec![1, 2, 3], ..Synthetic::default() }.write(dir.path());
    let path = tercet_report::html::write(dir.path()).unwrap();
    let size = std::fs::metadata(path).unwrap().len();
    assert!(size < 5_000_000, "{size} bytes");
}

#[test]
fn the_same_folder_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b"], seeds: vec![1, 2], ..Synthetic::default() }.write(dir.path());
    let read = || {
        tercet_report::html::write(dir.path()).unwrap();
        let mut files: Vec<_> =
            std::fs::read_dir(dir.path().join("figures")).unwrap().map(|e| e.unwrap().path()).collect();
        files.extend(["report.html", "results.json", "results.md"].map(|name| dir.path().join(name)));
        files.sort();
        files.into_iter().map(|f| (std::fs::read(&f).unwrap(), f)).collect::<Vec<_>>()
    };
    let first = read();
    assert!(first.len() > 15 && first == read());
}

/// A panel of an earlier report goes. What others have put there stays, drawings too.
#[test]
fn only_figures_of_an_earlier_report_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b"], ..Synthetic::default() }.write(dir.path());
    tercet_report::html::write(dir.path()).unwrap();
    let figures = dir.path().join("figures");
    for own in ["mine.svg", "mine.csv", "notes.txt"] {
        std::fs::write(figures.join(own), "mine").unwrap();
    }
    assert!(figures.join("arms.svg").exists() || figures.join("arms-1.svg").exists());
    std::fs::remove_dir_all(dir.path().join("stages")).unwrap();
    Synthetic::default().write(dir.path());
    tercet_report::html::write(dir.path()).unwrap();
    assert!(!figures.join("arms.csv").exists() && figures.join("pass-at-k.csv").exists());
    for own in ["mine.svg", "mine.csv", "notes.txt"] {
        assert_eq!(std::fs::read_to_string(figures.join(own)).unwrap(), "mine");
    }
}

#[test]
fn a_run_that_is_gone_keeps_its_report() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    tercet_report::html::write(dir.path()).unwrap();
    let read = || {
        ["report.html", "results.json", "results.md"]
            .map(|name| std::fs::read(dir.path().join(name)).unwrap())
    };
    let before = read();
    std::fs::rename(dir.path().join("stages"), dir.path().join("elsewhere")).unwrap();
    let error = tercet_report::html::write(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("has no evaluations any more: its earlier report stays as it is"), "{error}");
    assert!(before == read());
    std::fs::rename(dir.path().join("elsewhere"), dir.path().join("stages")).unwrap();
    tercet_report::html::write(dir.path()).unwrap();
    assert!(before == read());
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_that_leads_out_of_the_run() {
    let [dir, outside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    Synthetic::default().write(dir.path());
    let link = dir.path().join("figures");
    std::os::unix::fs::symlink(outside.path(), &link).unwrap();
    let page = outside.path().join("page.html");
    std::fs::write(&page, "theirs").unwrap();
    std::os::unix::fs::symlink(&page, dir.path().join("report.html")).unwrap();
    let error = tercet_report::html::write(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("leads out of the run folder: nothing is written there"), "{error}");
    std::fs::remove_file(link).unwrap();
    tercet_report::html::write(dir.path()).unwrap();
    assert_eq!(std::fs::read_to_string(page).unwrap(), "theirs");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_torn_line_of_timings_costs_nothing_and_missing_metrics_are_said() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let path = tercet_report::html::write(dir.path()).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("metrics.jsonl is missing"));
    let stage = std::fs::read_dir(dir.path().join("stages")).unwrap().next().unwrap().unwrap().path();
    let timings = std::fs::read_to_string(stage.join("timings.jsonl")).unwrap();
    std::fs::write(stage.join("timings.jsonl"), timings.replacen("}}\n", "\n", 1)).unwrap();
    let metrics = std::fs::read_to_string(stage.join("metrics.jsonl")).unwrap();
    let half: Vec<&str> = metrics.split_inclusive('\n').take(60).collect();
    std::fs::write(stage.join("metrics.jsonl"), half.concat()).unwrap();
    tercet_report::html::write(dir.path()).unwrap();
    let name = stage.file_name().unwrap().to_string_lossy();
    let said = format!("Finished, but metrics.jsonl is missing or ends early: {name}.");
    for file in ["report.html", "results.md"] {
        assert!(std::fs::read_to_string(dir.path().join(file)).unwrap().contains(&said), "{file}");
    }
}

#[test]
fn updates_that_were_left_out_are_said() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let stage = std::fs::read_dir(dir.path().join("stages")).unwrap().next().unwrap().unwrap().path();
    let name = stage.file_name().unwrap().to_string_lossy();
    let said =
        format!("Updates were left out because the gradient was not finite: {name} (9 of 10 updates).");
    let files = ["report.html", "results.md"].map(|file| dir.path().join(file));
    let all_say = || files.iter().all(|file| std::fs::read_to_string(file).unwrap().contains(&said));
    tercet_report::html::write(dir.path()).unwrap();
    assert!(!all_say());
    let row = |step: u64| {
        let skipped = step.saturating_sub(1);
        format!("{{\"step\":{step},\"values\":{{\"skipped_updates\":{skipped},\"updates\":1}}}}\n")
    };
    std::fs::write(stage.join("metrics.jsonl"), (1..=10).map(row).collect::<String>()).unwrap();
    tercet_report::html::write(dir.path()).unwrap();
    assert!(all_say());
}

#[test]
fn the_results_can_be_read_without_the_page() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b"], ..Synthetic::default() }.write(dir.path());
    tercet_report::html::write(dir.path()).unwrap();
    let text = std::fs::read_to_string(dir.path().join("results.md")).unwrap();
    for promised in [
        "Does reinforcement learning",
        "| band | model | pass@1 |",
        "recipe hash",
        "[numbers](figures/pass-at-k.csv)",
    ] {
        assert!(text.contains(promised), "the summary lacks {promised}");
    }
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let missing: Vec<_> = links.filter(|link| !dir.path().join(link).is_file()).collect();
    assert_eq!(missing, Vec::<&str>::new(), "every link leads somewhere");
}

/// The figures of the paper, and ours, where a run has the data for them.
#[test]
fn every_figure_is_drawn_and_linked() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["half", "all"], seeds: vec![1, 2], ..Synthetic::default() }.write(dir.path());
    let path = |name: &str| dir.path().join(name);
    let change = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(path(name)).unwrap();
        assert!(text.contains(from), "{name} lacks {from}");
        std::fs::write(path(name), text.replace(from, to)).unwrap();
    };
    // One arm goes without mid-training and spends all of the budget on reinforcement learning.
    for seed in ["0001", "0002"] {
        change(
            &format!("stages/rl-all-{seed}/done.json"),
            "\"nominal_tokens\": 400000.0",
            "\"nominal_tokens\": 800000.0",
        );
        change("manifest.json", &format!("\"mid-{seed}\",\n        \"rl-all"), "\"rl-all");
        let milestone = path(&format!("stages/pre-{seed}/evals/step-000060"));
        std::fs::create_dir(&milestone).unwrap();
        std::fs::copy(
            path(&format!("stages/pre-{seed}/evals/heldout.jsonl.gz")),
            milestone.join("heldout.jsonl.gz"),
        )
        .unwrap();
    }
    let page = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
    for (id, what) in [
        ("pass-at-k", "Fig. 3, 7, 12, 13"),
        ("by-op-by-context", "Fig. 4, 15"),
        ("by-op-by-mode", "reverse problems"),
        ("pass-at-k-by-mode", "reverse problems"),
        ("differences", "arms against each other"),
        ("shapes", "Fig. 5"),
        ("split", "Fig. 6, 18"),
        ("faults", "Fig. 8"),
        ("ladder", "Fig. 9"),
        ("nll", "Fig. 10"),
        ("reward", "Fig. 11, 14, 16, 17"),
        ("exposure", "exposure ledger"),
        ("budget", "budget split"),
        ("curriculum", "curriculum trace"),
        ("arms", "arms side by side"),
        ("sharpened", "new or sharpened"),
        ("outcomes", "right answers by wrong processes"),
    ] {
        let csv = format!("figures/{id}.csv");
        let text = std::fs::read_to_string(path(&csv)).unwrap_or_else(|e| panic!("{what}: {csv}: {e}"));
        assert!(text.lines().count() > 2, "{what}: {csv} is empty");
        assert!(page.contains(&format!("href=\"{csv}\"")), "{what}: the page does not link {csv}");
        let drawing =
            page.split(&format!("href=\"figures/{id}")).nth(2).and_then(|rest| rest.split('"').next());
        let drawing = std::fs::read_to_string(path(&format!("figures/{id}{}", drawing.unwrap()))).unwrap();
        assert!(drawing.starts_with("<svg") && drawing.contains("<title>"), "{what}");
    }
    let split = std::fs::read_to_string(path("figures/split.csv")).unwrap();
    let shares: Vec<&str> = split.lines().skip(1).take(2).filter_map(|l| l.rsplit(',').nth(3)).collect();
    assert_eq!(shares, ["0.5", "1"], "{split}");
}

#[test]
fn what_models_write_stays_text() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let manifest = dir.path().join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("Does reinforcement", "<script>alert(1)</script> Does")).unwrap();
    let page = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert"));
}

#[test]
fn a_run_without_any_stage_still_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    std::fs::remove_dir_all(dir.path().join("stages")).unwrap();
    let page = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
    assert!(page.contains("Not finished: pre-0001, mid-0001, rl-main-0001"));
}

#[test]
fn ten_arms_share_a_panel_and_more_are_spread() {
    let write = |arms: Vec<&'static str>| {
        let dir = tempfile::tempdir().unwrap();
        Synthetic { arms, problems_per_op: 5, ..Synthetic::default() }.write(dir.path());
        let page = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
        (dir, page)
    };
    let arms = vec!["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let (dir, page) = write(arms.clone());
    assert!(!page.contains("edge (op 6–7) (1 of"));
    let csv = std::fs::read_to_string(dir.path().join("figures/pass-at-k.csv")).unwrap();
    for arm in ["a", "j"] {
        assert!(csv.contains(&format!(",{arm} · rl,")), "{arm} is not drawn");
    }
    let (dir, page) = write([arms, vec!["k", "l", "m", "n"]].concat());
    assert!(page.contains("edge (op 6–7) (2 of 2)") && page.contains("rl (2 of 2)"));
    for name in ["pass-at-k-1.svg", "pass-at-k-6.svg", "reward-1.svg", "reward-2.svg"] {
        let drawing = std::fs::read_to_string(dir.path().join("figures").join(name)).unwrap();
        let lines = drawing.matches("class=\"tc-legend\"").count();
        assert!((1..=12).contains(&lines), "{name} has {lines} lines");
    }
    let csv = std::fs::read_to_string(dir.path().join("figures/pass-at-k.csv")).unwrap();
    assert!(csv.contains(",n · rl,") && !csv.contains(",mid,") && csv.contains(",pre,"));
}

/// A figure has one legend, in which an arm has its colour and a stage its dash.
#[test]
fn a_figure_has_one_legend() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["a", "b"], ..Synthetic::default() }.write(dir.path());
    let page = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
    let figure =
        page.split("<figure id=\"pass-at-k\"").nth(1).and_then(|f| f.split("</figure>").next()).unwrap();
    assert_eq!(figure.matches("<ul class=\"keys\"").count(), 1);
    assert_eq!(figure.matches("tc-legend").count(), 0);
    let style = |name: &str| {
        let entry = figure.split("<li>").find(|entry| entry.contains(&format!("{name}</li>"))).unwrap();
        let class = entry.split("tc-line ").nth(1).and_then(|c| c.split('"').next()).unwrap();
        class.split_once(' ').map(|(hue, dash)| [hue.to_owned(), dash.to_owned()]).unwrap()
    };
    let [pre, mid, a, b] = ["> pre", "> mid", "a · rl", "b · rl"].map(style);
    assert_eq!(pre[0], mid[0], "both arms share these stages");
    assert!(a[0] != b[0] && a[0] != pre[0], "an arm has its colour");
    assert!(a[1] == b[1] && pre[1] != mid[1] && mid[1] != a[1], "a stage has its dash");
}

#[test]
fn the_first_paragraph_is_made_from_the_numbers() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic::default().write(dir.path());
    let page = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
    let found = page.split("<p class=\"found\">").nth(1).and_then(|p| p.split("</p>").next()).unwrap();
    let table = tercet_report::table(dir.path()).unwrap();
    let rows = table.rows.iter().filter(|r| r.context.is_none() && r.mode.is_none());
    let gain = rows.filter(|r| r.model == "rl" && r.band == "edge").find_map(|r| r.change_1).unwrap();
    let gain = format!("+{:.1} in edge", gain.difference.value * 100.0);
    assert!(found.contains("RL solved more at the first try") && found.contains(&gain), "{found}");
    assert!(
        found.contains("There is one seed") && found.contains("Of the recipe's 3 claims")
            || found.contains("Of the recipe&#x27;s 3 claims"),
        "{found}"
    );
}

#[test]
fn arms_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    Synthetic { arms: vec!["easy", "edge", "hard"], seeds: vec![1, 2], ..Synthetic::default() }
        .write(dir.path());
    let page = std::fs::read_to_string(tercet_report::html::write(dir.path()).unwrap()).unwrap();
    assert!(page.contains("The arms side by side") && page.contains("edge · rl"));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    // The arms keep their order where a seed has not all of them.
    std::fs::remove_dir_all(dir.path().join("stages/rl-easy-0001")).unwrap();
    tercet_report::html::write(dir.path()).unwrap();
    let numbers = std::fs::read_to_string(dir.path().join("figures/arms.csv")).unwrap();
    let at = |row: &str| numbers.find(row).unwrap_or_else(|| panic!("no {row} in {numbers}"));
    assert!(at("easy · rl") < at("edge · rl") && at("edge · rl") < at("hard · rl"), "{numbers}");
    if let Ok(keep) = std::env::var("REPORT_KEEP") {
        std::fs::copy(dir.path().join("report.html"), keep).unwrap();
    }
}

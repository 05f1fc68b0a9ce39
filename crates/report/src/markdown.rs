//! The results as Markdown, for a repository or a message.

use std::collections::BTreeSet;
use std::fmt::Write;

use runs::Folder;

use crate::comparisons::note;
use crate::figures::Figure;
use crate::table::{Row, Table};
use crate::words::{self, lacking_sentence, left_out_sentence, skipped_sentence};

/// `results.md`: question, provenance, verdicts, the table of every suite, and the figures beside it.
pub(crate) fn render(folder: &Folder, table: &Table, figures: &[Figure]) -> String {
    let manifest = &folder.manifest;
    let mut out = format!("# {}\n\n{}\n\n", text(&table.name), paragraphs(manifest.question.trim()));
    let seeds: BTreeSet<u64> = manifest.runs.iter().map(|run| run.seed).collect();
    let seeds = seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    // Not the command: how a run was started (folder, threads) does not belong to its results.
    let _ = writeln!(
        out,
        "Tercet {}; seeds {seeds}; recipe hash `{}` (resolved: [recipe.toml](recipe.toml)). Numbers for programs: \
         [results.json](results.json).\n",
        text(&table.revision),
        text(&table.recipe_hash)
    );
    for engine in &manifest.engines {
        let _ = writeln!(out, "Engine: {}.\n", engine.describe());
    }
    if !table.left_out.is_empty() {
        let _ = writeln!(out, "{}\n", left_out_sentence(&table.left_out));
    }
    for warning in [lacking_sentence(folder), skipped_sentence(folder)] {
        if !warning.is_empty() {
            let _ = writeln!(out, "{warning}\n");
        }
    }
    verdicts(&mut out, table);
    results(&mut out, table);
    arms(&mut out, table);
    drawings(&mut out, figures);
    out
}

fn verdicts(out: &mut String, table: &Table) {
    if table.claims.is_empty() {
        return;
    }
    out.push_str("## Verdicts\n\n");
    line(out, ["claim", "verdict", "difference", "claimed", "paper", "rests on", "cost"]);
    line(out, ["---"; 7]);
    for ruling in &table.claims {
        let [effect, claimed, paper, basis, cost] = [
            ruling.effect_text(),
            ruling.claimed_text(),
            ruling.paper_text(),
            ruling.basis_text(),
            ruling.cost_text(),
        ];
        let verdict = format!("**{}**", ruling.verdict.name());
        line(out, [&ruling.claim.says, &verdict, &effect, &claimed, &paper, &basis, &cost]);
    }
    out.push('\n');
    for ruling in &table.claims {
        let power = ruling.power_text();
        if !power.is_empty() {
            let _ = writeln!(out, "- *{}*: {power}", text(&ruling.claim.name));
        }
    }
    out.push('\n');
}

fn results(out: &mut String, table: &Table) {
    for rows in table.rows.chunk_by(|a, b| a.suite == b.suite) {
        let Some(first) = rows.first() else { continue };
        let _ = writeln!(out, "## Suite {}\n", text(&first.suite));
        line(out, Row::head(first.k).each_ref().map(String::as_str));
        line(out, ["---"; 6]);
        for row in rows {
            line(out, row.cells().each_ref().map(String::as_str));
        }
        let _ = writeln!(out, "\n{}\n", Row::note(rows));
    }
}

/// Every arm against the base arm; the other pairs are in the file for programs.
fn arms(out: &mut String, table: &Table) {
    for of_suite in table.comparisons.chunk_by(|a, b| a.suite == b.suite) {
        let Some(base) = of_suite.first().map(|first| &first.right) else { continue };
        let _ = writeln!(out, "## The arms against {base}, suite {}\n", of_suite[0].suite);
        line(out, ["band", "model", "metric", "difference in points", "q"]);
        line(out, ["---"; 5]);
        for c in of_suite.iter().filter(|c| c.right == *base) {
            let (band, metric) = (words::band_name(&c.band, c.ops), c.metric.name());
            let (difference, q) = (words::difference(c.metric, &c.difference), format!("{:.3}", c.q));
            line(out, [&band, &c.left, &metric, &difference, &q]);
        }
        let _ = writeln!(
            out,
            "\n{} q is the smallest such rate at which a difference remains. All pairs are in \
             [results.json](results.json).\n",
            note(&of_suite.iter().collect::<Vec<_>>())
        );
    }
}

fn drawings(out: &mut String, figures: &[Figure]) {
    if figures.is_empty() {
        return;
    }
    out.push_str("## Figures\n\n");
    for figure in figures {
        let _ = writeln!(
            out,
            "**{}** ([numbers](figures/{}.csv)). {}\n",
            figure.title, figure.id, figure.caption
        );
        for name in figure.drawings() {
            let _ = writeln!(out, "![{}](figures/{name})", figure.title);
        }
        out.push('\n');
    }
}

/// A line of a table; a bar within a cell would end it.
fn line<const N: usize>(out: &mut String, cells: [&str; N]) {
    let cells = cells.map(|cell| text(cell).replace('|', "\\|"));
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// Words of a recipe within a line: they end no line, and are no HTML.
fn text(words: &str) -> String {
    paragraphs(words).replace('\n', " ")
}

/// Words of a recipe that may have several lines.
fn paragraphs(words: &str) -> String {
    words.replace("\r\n", "\n").replace(|c: char| c.is_control() && c != '\n', " ").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_recipe_stay_in_their_cell() {
        let mut out = String::new();
        line(&mut out, ["a\nb", "<b>|\u{1b}[31m</b>"]);
        assert_eq!(out, "| a b | &lt;b>\\| [31m&lt;/b> |\n");
    }
}

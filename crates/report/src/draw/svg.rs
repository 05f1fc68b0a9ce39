//! A graph as SVG.

use std::fmt::Write;

use super::layout::layout;
use super::{Dag, Mark, Node, Role};
use crate::chart::{escape, standalone};

const NODE: (f64, f64) = (112.0, 50.0);
const CELL: (f64, f64) = (124.0, 82.0);
const PAD: f64 = 6.0;
/// Characters that fit a node's width.
const LINE: usize = 17;

/// How a solution fared at a node, and the value that it wrote where that is wrong.
pub(crate) struct Judged {
    pub(crate) mark: Mark,
    pub(crate) wrote: Option<String>,
}

/// The graph as SVG, for a page that holds the drawings' style sheet; `judged` holds what became of each node, by index.
pub(crate) fn inline(dag: &Dag, judged: &[Judged]) -> String {
    let l = layout(dag);
    let at = |i: usize| (PAD + l.at_N[i].0 * CELL.0, PAD + l.at_N[i].1 * CELL.1);
    let (width, height) = (2.0 * PAD + l.size.0 * CELL.0, 2.0 * PAD + l.size.1 * CELL.1);
    let mut body = String::new();
    for (parent, child, way) in &l.edges {
        let grey = dag.nodes[*child].role == Role::Distractor;
        let implied = dag.nodes[*child].implied;
        let class = format!(
            "tg-edge{}{}",
            if grey { " tg-off" } else { "" },
            if implied { " tg-implied" } else { "" }
        );
        let points: Vec<(f64, f64)> = way.iter().map(|&i| at(i)).collect();
        let _ = write!(body, r#"<path class="{class}" d="{}"/>"#, curve(&points));
        let (x, y) = (points[points.len() - 1].0, points[points.len() - 1].1 - NODE.1 / 2.0);
        let _ = write!(
            body,
            r#"<path class="tg-tip{}" d="M{:.0} {:.0}l-4 -7h8Z"/>"#,
            if grey { " tg-off" } else { "" },
            x,
            y
        );
        debug_assert!(parent < child, "parents come first");
    }
    for (i, node) in dag.nodes.iter().enumerate() {
        body.push_str(&drawn(node, at(i), judged.get(i)));
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="tc tg" viewBox="0 0 {width:.0} {height:.0}" style="max-width:{width:.0}px;min-width:{:.0}px" role="img" aria-label="{}">{body}</svg>"#,
        0.7 * width,
        escape(&describe(dag))
    )
}

/// The graph as an SVG file of its own.
pub fn svg(dag: &Dag) -> String {
    standalone(&inline(dag, &[]))
}

fn drawn(node: &Node, (x, y): (f64, f64), judged: Option<&Judged>) -> String {
    let role = match node.role {
        Role::Needed => "",
        Role::Asked => " tg-asked",
        Role::Told => " tg-told",
        Role::Distractor => " tg-off",
    };
    let wrote = judged.and_then(|j| j.wrote.as_deref());
    let (class, sign) = match judged.map(|j| j.mark) {
        None => ("", ""),
        Some(Mark::Correct) => (" tg-right", "✓"),
        Some(Mark::Wrong) => (" tg-wrong", "✗"),
        Some(Mark::Missing) => (" tg-missing", "?"),
    };
    let mut says = node.name.clone();
    if !node.formula.is_empty() {
        let _ = write!(says, " = {}", node.formula);
    }
    let _ = write!(says, " = {}", node.value);
    if let Some(wrote) = wrote {
        let _ = write!(says, "; the model wrote {wrote}");
    }
    let note = node.role.note();
    if !note.is_empty() {
        let _ = write!(says, " ({note})");
    }
    let lines = wrap(&node.name);
    let first = y - 5.0 - 6.5 * (lines.len() as f64 - 1.0);
    let mut out = format!(
        r#"<g class="tg-node{role}{class}"><title>{}</title><rect x="{:.1}" y="{:.1}" width="{}" height="{}" rx="7"/>"#,
        escape(&says),
        x - NODE.0 / 2.0,
        y - NODE.1 / 2.0,
        NODE.0,
        NODE.1
    );
    for (i, line) in lines.iter().enumerate() {
        let _ = write!(
            out,
            r#"<text class="tg-name" text-anchor="middle" x="{x:.1}" y="{:.1}">{}</text>"#,
            first + 12.5 * i as f64,
            escape(line)
        );
    }
    let value = match wrote {
        Some(wrote) => format!("{}, wrote {}", node.value, short(wrote)),
        None if node.role == Role::Asked => format!("{} ?", node.value),
        None => node.value.clone(),
    };
    let _ = write!(
        out,
        r#"<text class="tg-value" text-anchor="middle" x="{x:.1}" y="{:.1}">{}</text>"#,
        y + NODE.1 / 2.0 - 7.0,
        escape(&value)
    );
    if !sign.is_empty() {
        let _ = write!(
            out,
            r#"<text class="tg-sign" text-anchor="end" x="{:.1}" y="{:.1}">{sign}</text>"#,
            x + NODE.0 / 2.0 - 5.0,
            y + NODE.1 / 2.0 - 6.0
        );
    }
    out + "</g>"
}

/// What fits beside the true value.
fn short(wrote: &str) -> String {
    const ROOM: usize = 7;
    if wrote.chars().count() <= ROOM {
        return wrote.to_owned();
    }
    wrote.chars().take(ROOM - 1).chain(['…']).collect()
}

/// A name in at most two lines.
fn wrap(name: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in name.split_whitespace() {
        let last = lines.last().map_or(0, |l| l.chars().count());
        if last > 0 && last + 1 + word.chars().count() > LINE && lines.len() < 2 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    for line in &mut lines {
        if line.chars().count() > LINE + 1 {
            *line = line.chars().take(LINE).chain(std::iter::once('…')).collect();
        }
    }
    lines
}

/// A smooth line through the points, leaving and arriving vertically.
fn curve(points: &[(f64, f64)]) -> String {
    let mut points = points.to_vec();
    let last = points.len() - 1;
    points[0].1 += NODE.1 / 2.0;
    points[last].1 -= NODE.1 / 2.0 + 6.0;
    let mut d = format!("M{:.0} {:.0}", points[0].0, points[0].1);
    for pair in points.windows(2) {
        let middle = f64::midpoint(pair[0].1, pair[1].1);
        let _ = write!(
            d,
            "C{:.0} {middle:.0} {:.0} {middle:.0} {:.0} {:.0}",
            pair[0].0, pair[1].0, pair[1].0, pair[1].1
        );
    }
    d
}

fn describe(dag: &Dag) -> String {
    let mut text = String::from("Dependency graph.");
    for node in dag.nodes.iter().filter(|n| n.role != Role::Distractor) {
        let _ = write!(text, " {}", node.name);
        if !node.formula.is_empty() {
            let _ = write!(text, " = {}", node.formula);
        }
        let _ = write!(text, " = {}.", node.value);
    }
    let spare = dag.nodes.iter().filter(|n| n.role == Role::Distractor).count();
    if spare > 0 {
        let _ = write!(text, " {spare} not needed.");
    }
    text
}

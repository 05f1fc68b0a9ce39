//! Lines with interval bands.

use std::fmt::Write;

use super::frame::{Canvas, Placed, SLOTS, WIDTH, escape, marker, n};
use super::{Format, Plot, Series, Value};

const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 14.0;
const PLOT_HEIGHT: f64 = 186.0;
/// At most about this many points of a line have a hover text.
const HITS_MAX: usize = 40;

pub(super) fn svg(plot: &Plot) -> String {
    let mut c = Canvas::new();
    let mut top = c.title(&plot.title);
    let entries: Vec<(usize, &str)> = plot.series.iter().map(|s| (s.slot % SLOTS, s.name.as_str())).collect();
    if entries.len() > 1 || plot.series.iter().any(|s| !plot.title.starts_with(&s.name)) {
        let markers = plot.series.iter().any(|s| s.markers);
        top = c.legend(&entries, top, |c, slot, x, y| {
            c.line(&format!("tc-line tc-s{slot}"), (x, y), (x + 26.0, y));
            if markers {
                c.raw(&marker(slot, x + 13.0, y));
            }
        });
    }
    c.text("tc-label", "start", 4.0, top + 12.0, &plot.y.label);
    let (top, bottom) = (top + 22.0, top + 22.0 + PLOT_HEIGHT);
    let xs = extent(plot.series.iter().flat_map(|s| &s.points).map(|p| (p.x, p.x)));
    let ys = extent(plot.series.iter().flat_map(|s| &s.points).map(|p| p.interval.unwrap_or((p.y, p.y))));
    let pad = if plot.y.range.is_none() { (ys.1 - ys.0) * 0.04 } else { 0.0 };
    let x = Placed::new(&plot.x, xs, LEFT, RIGHT);
    let y = Placed::new(&plot.y, (ys.0 - pad, ys.1 + pad), bottom, top);
    axes(&mut c, plot, &x, &y, bottom);
    for s in &plot.series {
        interval_area(&mut c, s, &x, &y);
    }
    for s in &plot.series {
        line(&mut c, s, &x, &y);
    }
    for s in &plot.series {
        points(&mut c, plot, s, &x, &y);
    }
    c.height = bottom + 38.0;
    c.finish(&describe(plot))
}

fn extent(values: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (l, h)| (low.min(l), high.max(h)))
}

fn axes(c: &mut Canvas, plot: &Plot, x: &Placed, y: &Placed, bottom: f64) {
    for tick in y.ticks(5) {
        let at = y.at(tick);
        c.line("tc-grid", (LEFT, at), (RIGHT, at));
        c.text("tc-tick", "end", LEFT - 6.0, at + 4.0, &plot.y.format.text(tick));
    }
    c.line("tc-axis", (LEFT, bottom), (RIGHT, bottom));
    for tick in x.ticks(8) {
        let at = x.at(tick);
        c.line("tc-axis", (at, bottom), (at, bottom + 4.0));
        c.text("tc-tick", "middle", at, bottom + 17.0, &plot.x.format.text(tick));
    }
    c.text("tc-label", "middle", f64::midpoint(LEFT, RIGHT), bottom + 33.0, &plot.x.label);
}

fn interval_area(c: &mut Canvas, s: &Series, x: &Placed, y: &Placed) {
    let with: Vec<(f64, (f64, f64))> = s.points.iter().filter_map(|p| Some((p.x, p.interval?))).collect();
    if let [(at, (low, high))] = with[..] {
        c.line(&format!("tc-line tc-s{}", s.slot % SLOTS), (x.at(at), y.at(low)), (x.at(at), y.at(high)));
    } else if with.len() > 1 {
        let upper = with.iter().map(|(at, i)| (x.at(*at), y.at(i.1)));
        let lower = with.iter().rev().map(|(at, i)| (x.at(*at), y.at(i.0)));
        let d = path(upper.chain(lower));
        c.raw(&format!(r#"<path class="tc-band tc-s{}" d="{d}Z"/>"#, s.slot % SLOTS));
    }
}

fn line(c: &mut Canvas, s: &Series, x: &Placed, y: &Placed) {
    let d = path(s.points.iter().map(|p| (x.at(p.x), y.at(p.y))));
    c.raw(&format!(r#"<path class="tc-line tc-s{}" d="{d}"/>"#, s.slot % SLOTS));
}

fn points(c: &mut Canvas, plot: &Plot, s: &Series, x: &Placed, y: &Placed) {
    // Lines of many points answer the pointer at some of them: the numbers are all in the CSV.
    let every = s.points.len().div_ceil(HITS_MAX).max(1);
    for p in s.points.iter().step_by(every) {
        let (px, py) = (x.at(p.x), y.at(p.y));
        let value = Value { value: p.y, interval: p.interval };
        let (at, value) = (plot.x.format.text(p.x), plot.y.format.with_interval(value));
        let says = format!("{}\n{} {at}: {value}", s.name, plot.x.label);
        let shape = if s.markers { marker(s.slot % SLOTS, px, py) } else { String::new() };
        c.raw(&format!(
            r#"<g class="tc-point">{shape}<circle class="tc-hit" cx="{}" cy="{}" r="8"/><title>{}</title></g>"#,
            n(px),
            n(py),
            escape(&says)
        ));
    }
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut d = String::new();
    for (i, (x, y)) in points.enumerate() {
        let _ = write!(d, "{}{} {}", if i == 0 { 'M' } else { 'L' }, n(x), n(y));
    }
    d
}

/// For those who hear the page: the ends of every line.
fn describe(plot: &Plot) -> String {
    let mut text = format!("{}. {} by {}.", plot.title, plot.y.label, plot.x.label);
    let f = |format: Format, v| format.text(v);
    for s in &plot.series {
        if let (Some(a), Some(b)) = (s.points.first(), s.points.last()) {
            let _ = write!(
                text,
                " {}: {} at {}, {} at {}.",
                s.name,
                f(plot.y.format, a.y),
                f(plot.x.format, a.x),
                f(plot.y.format, b.y),
                f(plot.x.format, b.x)
            );
        }
    }
    text
}

//! Lines with interval bands.

use std::fmt::Write;

use super::frame::{Canvas, Placed, WIDTH, escape, n};
use super::ink::marker;
use super::{Around, Chart, Format, Ink, Plot, Series, Value};

const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 14.0;
const PLOT_HEIGHT: f64 = 186.0;
/// At most about this many points of a line have a hover text.
const HITS_MAX: usize = 40;
/// Lines without a marker at each point have about this many.
const MARKERS: usize = 6;

pub(super) fn svg(plot: &Plot, around: Around) -> String {
    let mut c = Canvas::new();
    let top = c.head(&plot.title, &Chart::Plot(plot.clone()).keys(), around);
    c.text("tc-label", "start", 4.0, top + 12.0, &plot.y.label);
    let (top, bottom) = (top + 22.0, top + 22.0 + PLOT_HEIGHT);
    let xs = extent(plot.series.iter().flat_map(|s| &s.points).map(|p| (p.x, p.x)));
    let ys = extent(plot.series.iter().flat_map(spread));
    let ys = padded(plot, ys);
    let x = Placed::new(&plot.x, xs, LEFT, RIGHT);
    let y = Placed::new(&plot.y, ys, bottom, top);
    axes(&mut c, plot, &x, &y, bottom);
    for s in &plot.series {
        if s.observed.is_empty() {
            interval_area(&mut c, s, &x, &y);
        } else {
            observed(&mut c, s, &x, &y);
        }
    }
    for s in &plot.series {
        line(&mut c, s, &x, &y);
    }
    for (order, s) in plot.series.iter().enumerate() {
        points(&mut c, plot, s, order, &x, &y);
    }
    c.height = bottom + 38.0;
    c.finish(&describe(plot))
}

/// How far a line's points and what they are means of reach.
fn spread(s: &Series) -> Vec<(f64, f64)> {
    if s.observed.is_empty() {
        s.points.iter().map(|p| p.interval.unwrap_or((p.y, p.y))).collect()
    } else {
        s.observed.iter().map(|(_, y)| *y).chain(s.points.iter().map(|p| p.y)).map(|y| (y, y)).collect()
    }
}

/// A little more than the data, where the axis has no ends of its own.
fn padded(plot: &Plot, (low, high): (f64, f64)) -> (f64, f64) {
    if plot.y.range.is_some() {
        (low, high)
    } else if plot.y.scale.is_logarithmic() {
        let more = (high / low).powf(0.04);
        (low / more, high * more)
    } else {
        let more = (high - low) * 0.04;
        (low - more, high + more)
    }
}

/// What was observed, as light points.
fn observed(c: &mut Canvas, s: &Series, x: &Placed, y: &Placed) {
    let mut d = String::new();
    for (at, value) in &s.observed {
        let _ = write!(d, "M{} {}h0", n(x.at(*at)), n(y.at(*value)));
    }
    c.raw(&format!(r#"<path class="tc-seen {}" d="{d}"/>"#, Ink::solid(s.ink.hue).classes()));
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
        c.line(&format!("tc-line {}", s.ink.classes()), (x.at(at), y.at(low)), (x.at(at), y.at(high)));
    } else if with.len() > 1 {
        let upper = with.iter().map(|(at, i)| (x.at(*at), y.at(i.1)));
        let lower = with.iter().rev().map(|(at, i)| (x.at(*at), y.at(i.0)));
        let d = path(upper.chain(lower));
        c.raw(&format!(r#"<path class="tc-band {}" d="{d}Z"/>"#, s.ink.classes()));
    }
}

fn line(c: &mut Canvas, s: &Series, x: &Placed, y: &Placed) {
    let d = path(s.points.iter().map(|p| (x.at(p.x), y.at(p.y))));
    c.raw(&format!(r#"<path class="tc-line {}" d="{d}"/>"#, s.ink.classes()));
}

fn points(c: &mut Canvas, plot: &Plot, s: &Series, order: usize, x: &Placed, y: &Placed) {
    // Lines of many points answer the pointer at some of them, the last among them: the numbers are all in the CSV.
    let every = s.points.len().div_ceil(HITS_MAX).max(1);
    let last = s.points.len().saturating_sub(1);
    // Markers on the way tell lines apart in grey; each line has its own places for them.
    let spaced = s.points.len().div_ceil(MARKERS).max(1);
    let shift = order * spaced / plot.series.len().max(1);
    for (i, p) in s.points.iter().enumerate() {
        let marked = s.markers || i % spaced == shift % spaced || i == last;
        if i % every != 0 && !marked {
            continue;
        }
        let (px, py) = (x.at(p.x), y.at(p.y));
        let value = Value { value: p.y, interval: p.interval };
        let (at, value) = (plot.x.format.text(p.x), plot.y.format.with_interval(value));
        let says = format!("{}\n{} {at}: {value}", s.name, plot.x.label);
        let shape = if marked { marker(s.ink, px, py) } else { String::new() };
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

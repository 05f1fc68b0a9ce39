//! How lines of models are told apart.

use std::fmt::Write;

use super::frame::n;

/// Colour and marker of a line mean its arm; dash and filling of the marker mean its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Ink {
    /// Colour and shape of the marker; 0 is grey, for what all arms share.
    pub hue: usize,
    /// Dash and filling: 0 is a solid line with filled markers.
    pub dash: usize,
}

/// How many colours, each with a marker of its own, there are.
pub(super) const COLOURS: usize = 12;
/// How many dashes there are.
pub(super) const DASHES: usize = 6;

/// The colours of arms in their order: neighbours differ in lightness as well.
pub(crate) const HUES: [usize; COLOURS - 1] = [2, 1, 4, 3, 5, 8, 10, 7, 9, 6, 11];

impl Ink {
    /// A solid line with filled markers.
    pub fn solid(hue: usize) -> Self {
        Self { hue, dash: 0 }
    }

    /// The classes of its colour and dash.
    pub(super) fn classes(self) -> String {
        format!("tc-s{} tc-d{}", self.hue % COLOURS, self.dash % DASHES)
    }
}

const SQUARE: &[(f64, f64)] = &[(-3.3, -3.3), (3.3, -3.3), (3.3, 3.3), (-3.3, 3.3)];
const UP: &[(f64, f64)] = &[(0.0, -4.4), (4.2, 3.2), (-4.2, 3.2)];
const DOWN: &[(f64, f64)] = &[(0.0, 4.4), (4.2, -3.2), (-4.2, -3.2)];
const LEFT: &[(f64, f64)] = &[(-4.4, 0.0), (3.2, -4.2), (3.2, 4.2)];
const RIGHT: &[(f64, f64)] = &[(4.4, 0.0), (-3.2, -4.2), (-3.2, 4.2)];
const DIAMOND: &[(f64, f64)] = &[(0.0, -4.7), (4.7, 0.0), (0.0, 4.7), (-4.7, 0.0)];
const HOURGLASS: &[(f64, f64)] =
    &[(-3.8, -4.0), (3.8, -4.0), (0.0, 0.0), (3.8, 4.0), (-3.8, 4.0), (0.0, 0.0)];
const BOW: &[(f64, f64)] = &[(-4.2, -3.6), (0.0, 0.0), (4.2, -3.6), (4.2, 3.6), (0.0, 0.0), (-4.2, 3.6)];
const FLAT: &[(f64, f64)] = &[(-4.6, -1.8), (4.6, -1.8), (4.6, 1.8), (-4.6, 1.8)];
const PLUS: &[(f64, f64)] = &[
    (-4.2, -1.4),
    (-1.4, -1.4),
    (-1.4, -4.2),
    (1.4, -4.2),
    (1.4, -1.4),
    (4.2, -1.4),
    (4.2, 1.4),
    (1.4, 1.4),
    (1.4, 4.2),
    (-1.4, 4.2),
    (-1.4, 1.4),
    (-4.2, 1.4),
];
const STAR: &[(f64, f64)] = &[
    (0.0, -5.0),
    (1.3, -1.7),
    (4.8, -1.5),
    (2.1, 0.8),
    (3.0, 4.2),
    (0.0, 2.3),
    (-3.0, 4.2),
    (-2.1, 0.8),
    (-4.8, -1.5),
    (-1.3, -1.7),
];

/// The shape of each colour's marker; an empty one is a circle.
const SHAPES: [&[(f64, f64)]; COLOURS] =
    [FLAT, SQUARE, &[], DIAMOND, UP, DOWN, RIGHT, LEFT, PLUS, STAR, BOW, HOURGLASS];

/// The marker of an ink, centred at a point: filled where the line is solid, open where it is dashed.
pub(super) fn marker(ink: Ink, x: f64, y: f64) -> String {
    let hue = ink.hue % COLOURS;
    let class = if ink.dash.is_multiple_of(DASHES) { "tc-mark" } else { "tc-mark tc-open" };
    let points = SHAPES[hue];
    if points.is_empty() {
        return format!(r#"<circle class="{class} tc-s{hue}" cx="{}" cy="{}" r="3.5"/>"#, n(x), n(y));
    }
    let mut d = String::new();
    for (i, (dx, dy)) in points.iter().enumerate() {
        let _ = write!(d, "{}{} {}", if i == 0 { 'M' } else { 'L' }, n(x + dx), n(y + dy));
    }
    format!(r#"<path class="{class} tc-s{hue}" d="{d}Z"/>"#)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chart::STYLE_SHEET;

    /// The part of the style sheet from a name to the next brace.
    fn style(name: &str) -> &'static str {
        let at = STYLE_SHEET.find(name).unwrap_or_else(|| panic!("no {name}")) + name.len();
        STYLE_SHEET[at..].split('}').next().unwrap_or_default()
    }

    #[test]
    fn every_arm_has_a_colour_and_a_marker_of_its_own_and_every_stage_a_dash() {
        let drawn = |hue| marker(Ink::solid(hue), 0.0, 0.0).replace(&format!("tc-s{hue}"), "");
        let markers: BTreeSet<String> = (0..COLOURS).map(drawn).collect();
        assert_eq!(markers.len(), COLOURS);
        for hue in 0..COLOURS {
            assert_eq!(style(&format!(".tc-s{hue}{{")), format!("--c:var(--s{hue})"));
            let colours = STYLE_SHEET.matches(&format!("--s{hue}:#")).count();
            assert_eq!(colours, 2, "a colour for day and one for night");
        }
        let dashes: BTreeSet<&str> = (0..DASHES).map(|dash| style(&format!(".tc-d{dash}{{"))).collect();
        assert_eq!(dashes.len(), DASHES);
        assert_eq!(BTreeSet::from(HUES), (1..COLOURS).collect());
    }
}

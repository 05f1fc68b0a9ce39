//! The in-degree budget: which shapes a problem of a given op may have, and how likely each is.
//!
//! `op` is the sum of the path's in-degrees. A total over k counts takes k, and each stated quantity takes at least
//! one (a number, or one operand). A [`Shape`] fixes how many of each there are, such that the rest of the budget
//! fits into further operands and literals; so exact op is planned, and never a matter of luck.

use crate::gold::Mode;
use crate::graph::SIDE_MAX;
use crate::spec::{Preset, World};
use crate::stream::Draws;

/// The building blocks of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Places whose total is on the path, and how many counts those totals add up together.
    pub(crate) totals: u8,
    pub(crate) total_kinds: u8,
    /// The same for grand totals; each kind brings a count and an average.
    pub(crate) grands: u8,
    pub(crate) grand_kinds: u8,
    /// Stated quantities of other places.
    pub(crate) free: u8,
    /// Whether the path ends in a total or grand total.
    pub(crate) ends_in_total: bool,
}

impl Shape {
    /// Stated quantities.
    pub(crate) fn stated(self) -> u32 {
        u32::from(self.total_kinds) + 2 * u32::from(self.grand_kinds) + u32::from(self.free)
    }

    /// In-degrees of the totals.
    fn implied_edges(self) -> u32 {
        u32::from(self.total_kinds) + 2 * u32::from(self.grand_kinds)
    }

    /// What is left of the budget when every stated quantity has one edge; `None` if it does not fit.
    pub(crate) fn spare(self, op: u32) -> Option<u32> {
        op.checked_sub(self.implied_edges() + self.stated())
    }

    /// Places that the shape needs at least, with that many kinds in each.
    pub(crate) fn places(self, kinds: u8) -> u8 {
        self.totals + self.grands + self.free.div_ceil(kinds.max(1))
    }

    /// Whether a graph of this shape and op exists in the world.
    fn fits(self, op: u32, world: &World) -> bool {
        let (places, kinds) = (world.places.1, world.kinds.1);
        let spread = |blocks: u8, members: u8| blocks <= members && members <= blocks * kinds;
        if self.ends_in_total && self.totals + self.grands == 0 {
            return false;
        }
        // At best, every stated quantity but the first comes after as many totals as there are before it.
        let inner = u32::from(self.totals + self.grands) - u32::from(self.ends_in_total);
        let before = |stated: u32| stated + stated.min(inner);
        let most: u32 = (0..self.stated()).map(|k| 1 + before(k).min(u32::from(world.max_operands))).sum();
        spread(self.totals, self.total_kinds)
            && spread(self.grands, self.grand_kinds)
            && (self.ends_in_total || self.free > 0)
            && self.places(kinds) <= places
            && self.spare(op).is_some_and(|spare| spare + self.stated() <= most)
    }
}

/// All shapes of one op, with weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plans {
    /// Each with its number of distractors, where the plan decides that.
    shapes: Vec<(Shape, Option<u8>)>,
    /// Running sums of the weights.
    cumulated: Vec<u64>,
}

impl Plans {
    /// The shapes that a world offers for an op.
    pub(crate) fn new(op: u32, mode: Mode, world: &World) -> Self {
        let mut plans = Self::default();
        if world.preset == Some(Preset::Reference) {
            for (shape, distractors, weight) in reference_shapes(op, mode) {
                if shape.fits(op, world) {
                    plans.push(shape, Some(distractors), weight);
                }
            }
            return plans;
        }
        let side = SIDE_MAX as u8;
        let most_kinds = |blocks: u8| blocks * side;
        let grands_max = if world.d == 3 { side } else { 0 };
        let enough = |shape: &Shape| shape.spare(op).is_some();
        for grands in 0..=grands_max {
            for totals in 0..=side - grands {
                for grand_kinds in grands..=most_kinds(grands) {
                    for total_kinds in totals..=most_kinds(totals) {
                        for free in 0..=(side * side) {
                            for ends_in_total in [true, false] {
                                let shape =
                                    Shape { totals, total_kinds, grands, grand_kinds, free, ends_in_total };
                                if !enough(&shape) {
                                    break;
                                }
                                if shape.fits(op, world) {
                                    plans.push(shape, None, weight(shape, op, mode, world));
                                }
                            }
                        }
                    }
                }
            }
        }
        plans
    }

    fn push(&mut self, shape: Shape, distractors: Option<u8>, weight: u64) {
        if weight > 0 {
            let before = self.cumulated.last().copied().unwrap_or(0);
            self.shapes.push((shape, distractors));
            self.cumulated.push(before + weight);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// One of the shapes, with a number of distractors if the plan decides that.
    pub(crate) fn draw(&self, draws: &mut Draws) -> Option<(Shape, Option<u8>)> {
        let all = self.cumulated.last().copied()?;
        let at = draws.below(all as usize) as u64;
        self.shapes.get(self.cumulated.partition_point(|&sum| sum <= at)).copied()
    }
}

/// The reference generator's shapes of an op, with distractors and frequencies.
fn reference_shapes(op: u32, mode: Mode) -> impl Iterator<Item = (Shape, u8, u64)> {
    let mode = if mode == Mode::Forward { "f" } else { "r" };
    let of_cell = move |line: &'static str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[op_field, mode_field, totals, members, free, ends, distractors, weight] = fields.as_slice()
        else {
            return None;
        };
        let number = |field: &str| field.parse::<u8>().ok();
        let shape = Shape {
            totals: number(totals)?,
            total_kinds: number(members)?,
            grands: 0,
            grand_kinds: 0,
            free: number(free)?,
            ends_in_total: ends == "t",
        };
        let wanted = op_field.parse() == Ok(op) && mode_field == mode;
        if wanted { Some((shape, number(distractors)?, weight.parse().ok()?)) } else { None }
    };
    include_str!("../presets/reference.txt").lines().filter_map(of_cell)
}

/// How likely a shape is: highest near the sizes that the reference generator has on average.
fn weight(shape: Shape, op: u32, mode: Mode, world: &World) -> u64 {
    let op = f64::from(op);
    let stated = f64::from(shape.stated());
    let blocks = f64::from(shape.totals + shape.grands);
    let bell = |x: f64, mean: f64, width: f64| {
        let z = (x - mean) / width;
        // A bell without `exp`, whose last bits differ between platforms.
        let w = 1.0 / (1.0 + z * z);
        w * w * w
    };
    let members = stated - f64::from(shape.free);
    let mut weight = bell(stated, 0.5 + 0.33 * op, 0.5 + 0.05 * op)
        * bell(blocks, 0.55 + 0.135 * op, 0.6 + 0.03 * op)
        * bell(members, blocks + 0.55 * (stated - blocks).max(0.0), 0.5 + 0.3 * (stated - blocks).max(0.0));
    let ends = if mode == Mode::Reverse { world.query_total.max(0.95) } else { world.query_total };
    weight *= if shape.ends_in_total { ends } else { 1.0 - ends };
    if world.d == 3 && shape.grands == 0 && op >= 4.0 {
        // Hard problems have a grand total wherever the budget allows one.
        weight = 0.0;
    }
    let positive = if shape.ends_in_total { ends > 0.0 } else { ends < 1.0 }
        && (world.d == 2 || shape.grands > 0 || op < 4.0);
    (weight * 1e9) as u64 + u64::from(positive)
}

//! The in-degree budget: which shapes a problem of a given op may have, and how likely each is.
//!
//! `op` is the sum of the path's in-degrees. A total over k counts takes k, and each stated quantity takes at least
//! one (a number, or one operand). A [`Shape`] fixes how many of each there are, so that the rest of the budget
//! fits into further operands and literals; so exact op is planned, and never a matter of luck.

use crate::world::graph::SIDE_MAX;
use crate::world::mode::Mode;
use crate::world::spec::{Preset, World};
use crate::world::stream::Draws;

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

/// What a stated quantity is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) operands: u8,
    pub(crate) literal: bool,
}

/// The forms of stated quantities that the reference generator writes, in the order of its table's columns.
const REFERENCE_FORMS: [Form; 8] = [
    Form { operands: 0, literal: true },
    Form { operands: 1, literal: false },
    Form { operands: 1, literal: true },
    Form { operands: 2, literal: false },
    Form { operands: 2, literal: true },
    Form { operands: 3, literal: false },
    Form { operands: 3, literal: true },
    Form { operands: 4, literal: false },
];

/// How many stated quantities have each of [`REFERENCE_FORMS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormCounts([u8; REFERENCE_FORMS.len()]);

impl FormCounts {
    /// One form for each stated quantity.
    pub(crate) fn forms(self) -> impl Iterator<Item = Form> {
        let times = |(form, count): (Form, u8)| std::iter::repeat_n(form, usize::from(count));
        REFERENCE_FORMS.into_iter().zip(self.0).flat_map(times)
    }

    /// Read from one digit a form.
    fn parse(digits: &str) -> Option<Self> {
        let counts: Option<Vec<u8>> = digits.chars().map(|c| Some(c.to_digit(10)? as u8)).collect();
        Some(Self(counts?.try_into().ok()?))
    }
}

/// What a problem is built to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    /// The number of distractors, where the plan decides that.
    pub(crate) distractors: Option<u8>,
    /// The forms of the stated quantities, where the plan decides those.
    pub(crate) forms: Option<FormCounts>,
}

/// All plans of one op, with weights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plans {
    plans: Vec<Plan>,
    /// Running sums of the weights.
    cumulated: Vec<u64>,
}

impl Plans {
    /// The plans that a world offers for an op.
    pub(crate) fn new(op: u32, mode: Mode, world: &World) -> Self {
        let mut plans = Self::default();
        if world.preset == Some(Preset::Reference) {
            for (plan, weight) in reference_plans(op, mode) {
                let operands = plan.forms.into_iter().flat_map(FormCounts::forms).map(|form| form.operands);
                if plan.shape.fits(op, world) && operands.max() <= Some(world.max_operands) {
                    plans.push(plan, weight);
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
                                    let plan = Plan { shape, distractors: None, forms: None };
                                    plans.push(plan, weight(shape, op, mode, world));
                                }
                            }
                        }
                    }
                }
            }
        }
        plans
    }

    fn push(&mut self, plan: Plan, weight: u64) {
        if weight > 0 {
            let before = self.cumulated.last().copied().unwrap_or(0);
            self.plans.push(plan);
            self.cumulated.push(before + weight);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// One of the plans.
    pub(crate) fn draw(&self, draws: &mut Draws) -> Option<Plan> {
        let all = self.cumulated.last().copied()?;
        let at = draws.below(all as usize) as u64;
        self.plans.get(self.cumulated.partition_point(|&sum| sum <= at)).copied()
    }
}

/// The reference generator's shapes of an op, with distractors, forms and frequencies.
fn reference_plans(op: u32, mode: Mode) -> impl Iterator<Item = (Plan, u64)> {
    let mode = if mode == Mode::Forward { "f" } else { "r" };
    let of_cell = move |line: &'static str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let &[op_field, mode_field, totals, members, free, ends, distractors, forms, weight] =
            fields.as_slice()
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
        let forms = Some(FormCounts::parse(forms)?);
        let plan = Plan { shape, distractors: Some(number(distractors)?), forms };
        if wanted { Some((plan, weight.parse().ok()?)) } else { None }
    };
    include_str!("../../presets/reference.txt").lines().filter_map(of_cell)
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

//! Running means of curves of many steps.

use crate::chart::PlotPoint;

/// Curves of more steps than this are smoothed.
const STEPS_MAX: usize = 40;
/// The running mean reaches over this part of the steps, …
const WINDOW: usize = 40;
/// … and is drawn at this many of them.
const POINTS: usize = 120;
/// At most about this many single steps are drawn.
const OBSERVED: usize = 200;

/// The points of a line, and the single steps that they are means of; there are none of the latter where each step is a
/// point of its own. `all` is sorted by step and may hold several seeds. The first and the last step are always points.
/// The interval of a point reaches from the smallest to the largest number that was averaged.
pub(super) fn smoothed(all: &[(f64, f64)]) -> (Vec<PlotPoint>, Vec<(f64, f64)>) {
    let steps: Vec<&[(f64, f64)]> = all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()).collect();
    let last = steps.len().saturating_sub(1);
    let half = if steps.len() > STEPS_MAX { steps.len().div_ceil(2 * WINDOW) } else { 0 };
    let point = |i: usize| {
        let near = &steps[i.saturating_sub(half)..=(i + half).min(last)];
        let values = || near.iter().flat_map(|step| step.iter().map(|(_, y)| *y));
        let ends = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| (l.min(y), h.max(y)));
        let count = values().count();
        PlotPoint {
            x: steps[i][0].0,
            y: values().sum::<f64>() / count as f64,
            interval: (count > 1).then_some(ends),
        }
    };
    let points = spread(steps.len(), POINTS).into_iter().map(point).collect();
    let mean = |i: usize| (steps[i][0].0, steps[i].iter().map(|s| s.1).sum::<f64>() / steps[i].len() as f64);
    let observed = if half > 0 { spread(steps.len(), OBSERVED) } else { Vec::new() };
    (points, observed.into_iter().map(mean).collect())
}

/// At most `most` positions below `count`, evenly spread, the first and the last among them.
fn spread(count: usize, most: usize) -> Vec<usize> {
    if count <= most {
        return (0..count).collect();
    }
    (0..most).map(|i| i * (count - 1) / (most - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_is_drawn_and_the_mean_is_of_near_steps() {
        let line: Vec<(f64, f64)> = (1..=997).map(|step| (f64::from(step), f64::from(step))).collect();
        let (points, observed) = smoothed(&line);
        assert_eq!((points.len(), observed.len()), (POINTS, OBSERVED));
        for (first, last) in [(points[0].x, points[POINTS - 1].x), (observed[0].0, observed[OBSERVED - 1].0)]
        {
            assert_eq!((first, last), (1.0, 997.0));
        }
        // 13 steps to each side of 997 steps, and of the last one only those before it.
        assert_eq!(points[60].interval, Some((points[60].x - 13.0, points[60].x + 13.0)));
        assert_eq!(points[POINTS - 1].interval, Some((984.0, 997.0)));
    }

    #[test]
    fn few_steps_stay_as_they_are_and_seeds_are_averaged() {
        let (points, observed) = smoothed(&[(1.0, 3.0), (1.0, 5.0), (2.0, 4.0)]);
        assert_eq!(points.iter().map(|p| (p.x, p.y)).collect::<Vec<_>>(), [(1.0, 4.0), (2.0, 4.0)]);
        assert_eq!((points[0].interval, observed), (Some((3.0, 5.0)), Vec::new()));
    }
}

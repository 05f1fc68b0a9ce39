//! Choosing the next token from a row of logits. A draw depends on the logits, the sampling settings and one
//! number named by (prompt key, sample, position), and on nothing else.

use learner::{Sampling, uniform};

use crate::kernels::{Isa, rows};

/// The token chosen, and its log-probability at the sampling temperature without truncation. A greedy choice
/// (temperature 0) has that of temperature 1. `weights` is scratch, as long as the row.
pub(crate) fn next_token(
    isa: Isa,
    logits: &[f32],
    sampling: &Sampling,
    (key, sample, position): (&[u8; 32], u32, u32),
    weights: &mut [f32],
) -> (u32, f32) {
    let temperature = sampling.temperature;
    if temperature <= 0.0 {
        let token = greedy(logits);
        return (token as u32, rows::log_softmax(isa, logits).logprob(logits[token]));
    }
    // The trainer's steps on the same row, hence its bits.
    weights.copy_from_slice(logits);
    let shift = rows::at_temperature(isa, weights, temperature);
    let row = rows::log_softmax(isa, weights);
    rows::exponentials(isa, weights, row.max);
    truncate(weights, sampling);
    let token = walk(weights, uniform(key, sample, position));
    (token as u32, row.logprob((logits[token] - shift) / temperature))
}

/// The first of the largest.
fn greedy(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, z) in logits.iter().enumerate() {
        if *z > logits[best] {
            best = i;
        }
    }
    best
}

/// Sets to 0 what top-k and top-p leave out; ties go to the lower token.
fn truncate(weights: &mut [f32], sampling: &Sampling) {
    let top_k = sampling.top_k as usize;
    let by_k = top_k > 0 && top_k < weights.len();
    if !by_k && sampling.top_p >= 1.0 {
        return;
    }
    let mut order: Vec<u32> = (0..weights.len() as u32).collect();
    if by_k {
        heaviest_first(&mut order, weights, top_k, false);
        for out in order.split_off(top_k) {
            weights[out as usize] = 0.0;
        }
    }
    if sampling.top_p < 1.0 {
        let kept = nucleus(&mut order, weights, f64::from(sampling.top_p));
        for out in &order[kept..] {
            weights[*out as usize] = 0.0;
        }
    }
}

/// Brings the `n` heaviest tokens to the front, in order if asked.
fn heaviest_first(order: &mut [u32], weights: &[f32], n: usize, sorted: bool) {
    let heavier =
        |a: &u32, b: &u32| weights[*b as usize].total_cmp(&weights[*a as usize]).then_with(|| a.cmp(b));
    if n < order.len() {
        order.select_nth_unstable_by(n - 1, heavier);
    }
    if sorted {
        order[..n].sort_unstable_by(heavier);
    }
}

/// Brings to the front the fewest tokens, heaviest first, that have `share` of the weight, at least one; says how
/// many. Only as many are sorted as it takes, or four times as many.
fn nucleus(order: &mut [u32], weights: &[f32], share: f64) -> usize {
    let weight = |token: u32| f64::from(weights[token as usize]);
    let total: f64 = weights.iter().copied().map(f64::from).sum();
    let (mut sum, mut kept, mut sorted, mut more) = (0.0, 0, 0, 16);
    while kept < order.len() && (kept == 0 || sum < share * total) {
        if kept == sorted {
            let n = more.min(order.len() - sorted);
            heaviest_first(&mut order[sorted..], weights, n, true);
            (sorted, more) = (sorted + n, 4 * more);
        }
        sum += weight(order[kept]);
        kept += 1;
    }
    kept
}

/// The token at fraction `u` of the total weight. Weights that are not numbers count as none.
fn walk(weights: &[f32], u: f64) -> usize {
    let mut sum = 0.0;
    let sums = weights.iter().map(|w| {
        sum += if *w > 0.0 { f64::from(*w) } else { 0.0 };
        sum
    });
    let sums: Vec<f64> = sums.collect();
    // The first token with a share beyond the mark; where rounding leaves none, the last one with a share.
    let at = sums.partition_point(|s| *s <= u * sum);
    if at < sums.len() { at } else { sums.partition_point(|s| *s < sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`truncate`], by sorting everything.
    fn by_sorting(weights: &[f32], sampling: &Sampling) -> Vec<f32> {
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by(|a, b| weights[*b].total_cmp(&weights[*a]));
        let k = if sampling.top_k == 0 { usize::MAX } else { sampling.top_k as usize };
        order.truncate(k);
        let total: f64 = order.iter().map(|i| f64::from(weights[*i])).sum();
        let (mut out, mut sum) = (vec![0.0; weights.len()], 0.0);
        for (rank, i) in order.into_iter().enumerate() {
            if rank > 0 && sum >= f64::from(sampling.top_p) * total {
                break;
            }
            out[i] = weights[i];
            sum += f64::from(weights[i]);
        }
        out
    }

    #[test]
    fn truncation_without_sorting_everything_keeps_the_same_tokens() {
        for (n, top_k, top_p) in
            [(1, 1, 0.5), (50, 0, 0.9), (300, 7, 1.0), (500, 100, 0.99), (500, 0, 0.5), (90, 0, 1e-9)]
        {
            // Whole numbers, with many ties.
            let weights: Vec<f32> = (0..n).map(|i| ((i * 7919 + 13) % 101 % 37) as f32).collect();
            let sampling = Sampling { temperature: 1.0, top_p, top_k, max_tokens: 1 };
            let mut fast = weights.clone();
            truncate(&mut fast, &sampling);
            assert_eq!(fast, by_sorting(&weights, &sampling), "{n} tokens, top-k {top_k}, top-p {top_p}");
        }
    }
}

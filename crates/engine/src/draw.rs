//! Choosing the next token from a row of logits. A draw depends on the logits, the sampling settings and one
//! number named by (prompt key, sample, position), and on nothing else.

use train::learner::Sampling;

use crate::kernels::{Isa, rows};

/// The uniform number in [0, 1) for token `position` of sample `sample`.
fn uniform(key: &[u8; 32], sample: u32, position: u32) -> f64 {
    let mut name = [0; 8];
    name[..4].copy_from_slice(&sample.to_le_bytes());
    name[4..].copy_from_slice(&position.to_le_bytes());
    let hash = blake3::keyed_hash(key, &name);
    let mut bits = [0; 8];
    bits.copy_from_slice(&hash.as_bytes()[..8]);
    (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The token chosen, and its log-probability at temperature 1 without truncation.
pub(crate) fn next_token(
    isa: Isa,
    logits: &[f32],
    sampling: &Sampling,
    (key, sample, position): (&[u8; 32], u32, u32),
    weights: &mut [f32],
) -> (u32, f32) {
    let row = rows::log_softmax(isa, logits);
    let token = if sampling.temperature > 0.0 {
        rows::tempered(isa, logits, row.max, sampling.temperature, weights);
        truncate(weights, sampling);
        walk(weights, uniform(key, sample, position))
    } else {
        greedy(logits)
    };
    (token as u32, row.logprob(logits[token]))
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
    let heavier =
        |a: &u32, b: &u32| weights[*b as usize].total_cmp(&weights[*a as usize]).then_with(|| a.cmp(b));
    if by_k {
        order.select_nth_unstable_by(top_k - 1, heavier);
        for out in order.split_off(top_k) {
            weights[out as usize] = 0.0;
        }
    }
    if sampling.top_p < 1.0 {
        let heavier =
            |a: &u32, b: &u32| weights[*b as usize].total_cmp(&weights[*a as usize]).then_with(|| a.cmp(b));
        order.sort_unstable_by(heavier);
        let total: f64 = order.iter().map(|i| f64::from(weights[*i as usize])).sum();
        let (mut sum, mut kept) = (0.0, 0);
        while kept < order.len() && (kept == 0 || sum < f64::from(sampling.top_p) * total) {
            sum += f64::from(weights[order[kept] as usize]);
            kept += 1;
        }
        for out in &order[kept..] {
            weights[*out as usize] = 0.0;
        }
    }
}

/// The token at fraction `u` of the total weight. Weights that are not numbers count as none.
fn walk(weights: &[f32], u: f64) -> usize {
    let weight = |w: &f32| if *w > 0.0 { f64::from(*w) } else { 0.0 };
    let mark = u * weights.iter().map(weight).sum::<f64>();
    let (mut sum, mut last) = (0.0, 0);
    for (i, w) in weights.iter().enumerate() {
        if *w > 0.0 {
            sum += weight(w);
            last = i;
            if sum > mark {
                break;
            }
        }
    }
    last
}

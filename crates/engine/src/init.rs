//! Fresh weights: normal numbers named by tensor and element, so that a tensor's values do not depend on the
//! others.

use std::f64::consts::TAU;

use rayon::prelude::*;

use crate::layout::{Kind, Layout};

/// Gains 1, biases 0, matrices normal with the recipe's deviation.
pub(crate) fn fresh(layout: &Layout, seed: [u8; 32]) -> Vec<f32> {
    let c = &layout.config;
    let residual = if c.scale_residual_init { 1.0 / (2.0 * c.layers as f64).sqrt() } else { 1.0 };
    let mut flat = vec![0.0; layout.parameters];
    for tensor in &layout.tensors {
        let values = &mut flat[tensor.span.clone()];
        match tensor.kind {
            Kind::Gain => values.fill(1.0),
            Kind::Bias => {}
            Kind::Matrix => normal(&seed, &tensor.name, c.init_std, values),
            Kind::Residual => normal(&seed, &tensor.name, c.init_std * residual, values),
        }
    }
    flat
}

/// Pairs of numbers made at once.
const PAIRS: usize = 1 << 10;

/// Fills with normal numbers of deviation `std` (Box–Muller over the hash's output stream), with the threads of the
/// pool that it runs in: every part of the stream can be had by itself.
fn normal(seed: &[u8; 32], name: &str, std: f64, values: &mut [f32]) {
    let stream = blake3::Hasher::new_keyed(seed).update(name.as_bytes()).finalize_xof();
    values.par_chunks_mut(2 * PAIRS).enumerate().for_each(|(i, values)| {
        let mut bytes = [0; 16 * PAIRS];
        let bytes = &mut bytes[..16 * values.len().div_ceil(2)];
        let mut stream = stream.clone();
        stream.set_position((i * 16 * PAIRS) as u64);
        stream.fill(bytes);
        let unit = |half: &[u8]| {
            let bits = half.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        for (pair, bytes) in values.chunks_mut(2).zip(bytes.chunks_exact(16)) {
            let radius = std * (-2.0 * unit(&bytes[..8]).ln()).sqrt();
            let angle = TAU * unit(&bytes[8..]);
            for (value, part) in pair.iter_mut().zip([angle.cos(), angle.sin()]) {
                *value = (radius * part) as f32;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_made_apart_are_the_stream() {
        let (seed, std) = ([7; 32], 0.02);
        let mut values = vec![0.0; 4 * PAIRS + 3];
        normal(&seed, "w", std, &mut values);
        let mut stream = blake3::Hasher::new_keyed(&seed).update(b"w").finalize_xof();
        for pair in values.chunks(2) {
            let mut bytes = [[0; 8]; 2];
            for half in &mut bytes {
                stream.fill(half);
            }
            let [u, v] =
                bytes.map(|half| ((u64::from_be_bytes(half) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64);
            let radius = std * (-2.0 * u.ln()).sqrt();
            assert_eq!(pair[0], (radius * (TAU * v).cos()) as f32);
            assert!(pair.get(1).is_none_or(|second| *second == (radius * (TAU * v).sin()) as f32));
        }
        let mean_square = values.iter().map(|v| f64::from(v * v)).sum::<f64>() / values.len() as f64;
        assert!((mean_square.sqrt() / std - 1.0).abs() < 0.05, "deviation {}", mean_square.sqrt());
    }
}

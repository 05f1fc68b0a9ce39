//! Fresh weights: normal numbers named by tensor and element, so that a tensor's values do not depend on the
//! others.

use std::f64::consts::TAU;

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

/// Fills with normal numbers of deviation `std` (Box–Muller over the hash's output stream).
fn normal(seed: &[u8; 32], name: &str, std: f64, values: &mut [f32]) {
    let mut stream = blake3::Hasher::new_keyed(seed).update(name.as_bytes()).finalize_xof();
    let mut bytes = [0; 16];
    for pair in values.chunks_mut(2) {
        stream.fill(&mut bytes);
        let unit = |half: &[u8]| {
            let bits = half.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let radius = std * (-2.0 * unit(&bytes[..8]).ln()).sqrt();
        let angle = TAU * unit(&bytes[8..]);
        for (value, part) in pair.iter_mut().zip([angle.cos(), angle.sin()]) {
            *value = (radius * part) as f32;
        }
    }
}

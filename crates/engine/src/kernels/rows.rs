//! Row-wise kernels: norms, softmax, activation, optimizer. Written once in plain Rust over lanes of 16
//! and compiled for each instruction set. Sums run in 16 fixed lanes that are added in a fixed tree, so
//! every instruction set gives the same bits.

#![expect(clippy::inline_always, reason = "bodies must be compiled with their caller's instruction set")]
#![expect(
    clippy::too_many_arguments,
    reason = "a kernel's arguments are its arrays and constants, and each is compiled three times behind one entry"
)]

use super::Isa;

/// Lanes of a sum.
const LANES: usize = 16;

/// Compiles one body for each instruction set behind a common entry.
macro_rules! for_each_isa {
    ($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$doc])*
        pub(crate) fn $name(isa: Isa, $($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                fn wide($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn narrow($($arg: $ty),*) $(-> $ret)? { body($($arg),*) }
                match isa {
                    // SAFETY: the variant exists only where the processor has these features.
                    Isa::Avx512 => return unsafe { wide($($arg),*) },
                    // SAFETY: as above.
                    Isa::Avx2 => return unsafe { narrow($($arg),*) },
                    Isa::Scalar => {}
                }
            }
            let _ = isa;
            body($($arg),*)
        }
    };
}

/// e^x within 2 units in the last place; 0 below −87, finite up to 88, NaN for NaN.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer in the low bits
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    let c = if x < -87.0 { -87.0 } else { x };
    let c = if c > 88.0 { 88.0 } else { c };
    let t = c.mul_add(std::f32::consts::LOG2_E, SHIFT);
    let n = t - SHIFT;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, c));
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = r.mul_add(p, coefficient);
    }
    let scale = f32::from_bits((t.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { p * scale }
}

/// The fixed tree over the lanes of a sum.
#[inline(always)]
fn tree(lanes: [f32; LANES]) -> f32 {
    let mut a = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            a[i] += a[i + width];
        }
        width /= 2;
    }
    a[0]
}

/// Σ f(x, y) over two rows of one length, in lanes.
#[inline(always)]
fn sum2(x: &[f32], y: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let (x_tail, y_tail) = (xs.remainder(), ys.remainder());
    for (x, y) in xs.zip(ys) {
        for i in 0..LANES {
            lanes[i] = f(x[i], y[i], lanes[i]);
        }
    }
    for (i, (x, y)) in x_tail.iter().zip(y_tail).enumerate() {
        lanes[i] = f(*x, *y, lanes[i]);
    }
    tree(lanes)
}

/// The largest element; NaNs are passed over.
#[inline(always)]
fn largest(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let tail = chunks.remainder();
    for x in chunks {
        for i in 0..LANES {
            lanes[i] = if x[i] > lanes[i] { x[i] } else { lanes[i] };
        }
    }
    for (i, x) in tail.iter().enumerate() {
        lanes[i] = if *x > lanes[i] { *x } else { lanes[i] };
    }
    let mut m = lanes[0];
    for v in lanes {
        m = if v > m { v } else { m };
    }
    m
}

/// 1 / √(mean of squares + ε).
#[inline(always)]
fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    let squares = sum2(x, x, |x, _, sum| x.mul_add(x, sum));
    1.0 / (squares / x.len() as f32 + eps).sqrt()
}

for_each_isa! {
    /// RMS norm of each row, as wide as `gain`: h = x · r · gain with r = 1/√(mean x² + ε). The rows of `h` lie
    /// `stride` apart.
    fn rms_norm(x: &[f32], gain: &[f32], eps: f32, h: &mut [f32], stride: usize) {
        let width = gain.len();
        for (x, h) in x.chunks_exact(width).zip(h.chunks_mut(stride)) {
            let r = inverse_rms(x, eps);
            for ((h, x), gain) in h.iter_mut().zip(x).zip(gain) {
                *h = x * r * gain;
            }
        }
    }
}

for_each_isa! {
    /// Backward of [`rms_norm`]: adds the input gradient of each row to `dx` and the gain's gradient of all
    /// rows to `dgain`.
    fn rms_norm_backward(x: &[f32], gain: &[f32], eps: f32, dh: &[f32], dx: &mut [f32], dgain: &mut [f32]) {
        let width = gain.len();
        let rows = x.chunks_exact(width).zip(dh.chunks_exact(width)).zip(dx.chunks_exact_mut(width));
        for ((x, dh), dx) in rows {
            let r = inverse_rms(x, eps);
            let mut lanes = [0.0_f32; LANES];
            let whole = width / LANES * LANES;
            for at in (0..whole).step_by(LANES) {
                let (x, dh, gain) = (&x[at..at + LANES], &dh[at..at + LANES], &gain[at..at + LANES]);
                for i in 0..LANES {
                    lanes[i] = (dh[i] * gain[i]).mul_add(x[i], lanes[i]);
                }
            }
            for i in whole..width {
                lanes[i - whole] = (dh[i] * gain[i]).mul_add(x[i], lanes[i - whole]);
            }
            let along = tree(lanes) * r * r * r / width as f32;
            for i in 0..width {
                dx[i] += (dh[i] * gain[i]).mul_add(r, -(x[i] * along));
                dgain[i] = (dh[i] * x[i]).mul_add(r, dgain[i]);
            }
        }
    }
}

for_each_isa! {
    /// Attention weights of one query: replaces the first `n` scores by e^(scale·s − max) and the rest of
    /// the row, whose length is a multiple of 16, by 0; returns the scaled maximum and the sum.
    fn softmax(scores: &mut [f32], n: usize, scale: f32) -> (f32, f32) {
        let padded = n.next_multiple_of(LANES);
        scores[n..padded].fill(f32::NEG_INFINITY);
        let max = largest(&scores[..padded]) * scale;
        let mut lanes = [0.0_f32; LANES];
        for s in scores[..padded].chunks_exact_mut(LANES) {
            for i in 0..LANES {
                let p = exp(s[i].mul_add(scale, -max));
                s[i] = p;
                lanes[i] += p;
            }
        }
        scores[padded..].fill(0.0);
        (max, tree(lanes))
    }
}

for_each_isa! {
    /// Attention weights and score gradients of one query: the first `n` scores become p = e^(scale·s − lse), and
    /// their weights' gradients dp become p · (dp − along) · scale; the rest of both rows, whose length is a multiple
    /// of 16, becomes 0.
    fn softmax_backward(scores: &mut [f32], dp: &mut [f32], n: usize, scale: f32, lse: f32, along: f32) {
        let padded = n.next_multiple_of(LANES);
        let rows = scores[..padded].as_chunks_mut::<LANES>().0.iter_mut();
        for (s, dp) in rows.zip(dp[..padded].as_chunks_mut::<LANES>().0) {
            for i in 0..LANES {
                let p = exp(s[i].mul_add(scale, -lse));
                s[i] = p;
                dp[i] = p * (dp[i] - along) * scale;
            }
        }
        scores[n..].fill(0.0);
        dp[n..].fill(0.0);
    }
}

for_each_isa! {
    /// x · y.
    fn dot(x: &[f32], y: &[f32]) -> f32 {
        sum2(x, y, f32::mul_add)
    }
}

for_each_isa! {
    /// x ← x · factor.
    fn scale(x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }
}

for_each_isa! {
    /// x ← x + y.
    fn add(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += y;
        }
    }
}

for_each_isa! {
    /// SwiGLU: each row of `gate_up` is [gate | up]; act = gate · σ(gate) · up.
    fn swiglu(gate_up: &[f32], width: usize, act: &mut [f32]) {
        for (gate_up, act) in gate_up.chunks_exact(2 * width).zip(act.chunks_exact_mut(width)) {
            let (gate, up) = gate_up.split_at(width);
            for ((act, g), u) in act.iter_mut().zip(gate).zip(up) {
                *act = g * (1.0 / (1.0 + exp(-g))) * u;
            }
        }
    }
}

for_each_isa! {
    /// Backward of [`swiglu`]: the gradient of `gate_up` goes to `dgate_up`, and the activation takes the place
    /// of its gradient in `act`; the rows of both lie so far apart.
    fn swiglu_backward(
        gate_up: &[f32],
        width: usize,
        dgate_up: &mut [f32],
        dgate_up_stride: usize,
        act: &mut [f32],
        act_stride: usize,
    ) {
        let rows = gate_up.chunks_exact(2 * width).zip(dgate_up.chunks_mut(dgate_up_stride)).zip(act.chunks_mut(act_stride));
        for ((gate_up, dgate_up), act) in rows {
            let (gate, up) = gate_up.split_at(width);
            let (dgate, dup) = dgate_up[..2 * width].split_at_mut(width);
            let (up, act) = (&up[..width], &mut act[..width]);
            for i in 0..width {
                let (g, u, d) = (gate[i], up[i], act[i]);
                let sigmoid = 1.0 / (1.0 + exp(-g));
                let silu = g * sigmoid;
                dgate[i] = d * u * sigmoid * (1.0 + g * (1.0 - sigmoid));
                dup[i] = d * silu;
                act[i] = silu * u;
            }
        }
    }
}

/// Turns every (a, b) by its angle.
#[inline(always)]
fn rotate(a: &mut [f32], b: &mut [f32], cos: &[f32], sin: &[f32], direction: f32) {
    for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
        let (x, y, s) = (*a, *b, sin * direction);
        *a = x.mul_add(*cos, -(y * s));
        *b = y.mul_add(*cos, x * s);
    }
}

for_each_isa! {
    /// Rotates the heads in the first `width` elements of each token's row, rows `stride` apart:
    /// (a, b) → (a·cos − b·sin, b·cos + a·sin) with a the first and b the second half of a head. `table` has cos
    /// and sin, `half` of each, for every position. `direction` −1 rotates back (the backward pass).
    fn rope(
        rows: &mut [f32],
        stride: usize,
        width: usize,
        positions: &[u32],
        table: &[f32],
        half: usize,
        direction: f32,
    ) {
        for (row, position) in rows.chunks_mut(stride).zip(positions) {
            let (cos, sin) = table[*position as usize * 2 * half..][..2 * half].split_at(half);
            for head in row[..width].chunks_exact_mut(2 * half) {
                let (a, b) = head.split_at_mut(half);
                // Heads are short: lanes first, so that no loop over single elements is left of most of them.
                let ((a, a_tail), (b, b_tail)) = (a.as_chunks_mut::<LANES>(), b.as_chunks_mut::<LANES>());
                let ((c, c_tail), (s, s_tail)) = (cos.as_chunks::<LANES>(), sin.as_chunks::<LANES>());
                for (((a, b), c), s) in a.iter_mut().zip(b).zip(c).zip(s) {
                    rotate(a, b, c, s, direction);
                }
                rotate(a_tail, b_tail, c_tail, s_tail, direction);
            }
        }
    }
}

/// Log-softmax of a row of logits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogSoftmax {
    /// The largest logit.
    pub(crate) max: f32,
    /// ln Σ e^(z − max).
    pub(crate) log_sum: f32,
    /// Entropy in nats.
    pub(crate) entropy: f32,
}

impl LogSoftmax {
    /// Log-probability of one entry with logit `z`.
    pub(crate) fn logprob(self, z: f32) -> f32 {
        (z - self.max) - self.log_sum
    }
}

for_each_isa! {
    /// Normaliser and entropy of one row of logits.
    fn log_softmax(logits: &[f32]) -> LogSoftmax {
        let max = largest(logits);
        let (mut sums, mut weighted) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let mut step = |i: usize, z: f32| {
            let shifted = z - max;
            let p = exp(shifted);
            sums[i] += p;
            // A logit of −∞ has no share in the entropy.
            weighted[i] += if p == 0.0 { 0.0 } else { p * shifted };
        };
        let chunks = logits.chunks_exact(LANES);
        let tail = chunks.remainder();
        for z in chunks {
            for i in 0..LANES {
                step(i, z[i]);
            }
        }
        for (i, z) in tail.iter().enumerate() {
            step(i, *z);
        }
        let sum = tree(sums);
        let log_sum = f64::from(sum).ln() as f32;
        LogSoftmax { max, log_sum, entropy: log_sum - tree(weighted) / sum }
    }
}

for_each_isa! {
    /// Turns a row of logits into the gradient of `weight` · log-probability of `target`:
    /// weight · (1[j = target] − p_j).
    fn logits_backward(logits: &mut [f32], row: LogSoftmax, target: usize, weight: f32) {
        let normaliser = row.max + row.log_sum;
        for z in logits.iter_mut() {
            *z = -(weight * exp(*z - normaliser));
        }
        logits[target] += weight;
    }
}

for_each_isa! {
    /// KL(p ‖ q) of a row of logits from a row of log-probabilities.
    fn divergence(logits: &[f32], row: LogSoftmax, reference: &[f32]) -> f32 {
        let normaliser = row.max + row.log_sum;
        sum2(logits, reference, |z, q, sum| {
            let p = exp(z - normaliser);
            // What has no probability has no share.
            if p == 0.0 { sum } else { p.mul_add(z - normaliser - q, sum) }
        })
    }
}

for_each_isa! {
    /// [`logits_backward`] with the gradient of `kl_weight` · KL(p ‖ q) added:
    /// `kl_weight` · p_j · (log p_j − log q_j − KL).
    fn logits_backward_with_kl(
        logits: &mut [f32],
        row: LogSoftmax,
        target: usize,
        weight: f32,
        reference: &[f32],
        divergence: f32,
        kl_weight: f32,
    ) {
        let normaliser = row.max + row.log_sum;
        for (z, q) in logits.iter_mut().zip(reference) {
            let logprob = *z - normaliser;
            let p = exp(logprob);
            *z = if p == 0.0 { 0.0 } else { p * (kl_weight * (logprob - q - divergence) - weight) };
        }
        logits[target] += weight;
    }
}

for_each_isa! {
    /// Turns a row of logits into log-probabilities.
    fn to_logprobs(logits: &mut [f32], row: LogSoftmax) {
        for z in logits.iter_mut() {
            *z = (*z - row.max) - row.log_sum;
        }
    }
}

/// One AdamW step's constants, folded (see [`adamw`]).
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdamwStep {
    /// Factor on the gradient (clipping).
    pub(crate) scale: f32,
    /// First-moment decay.
    pub(crate) beta1: f32,
    /// Second-moment decay.
    pub(crate) beta2: f32,
    /// lr / (1 − β₁ᵗ).
    pub(crate) rate: f32,
    /// 1 / √(1 − β₂ᵗ).
    pub(crate) second: f32,
    /// Added to the denominator.
    pub(crate) eps: f32,
    /// 1 − lr · weight decay, or 1.
    pub(crate) keep: f32,
}

for_each_isa! {
    /// AdamW on a run of parameters; the gradient is cleared.
    fn adamw(step: AdamwStep, w: &mut [f32], g: &mut [f32], m: &mut [f32], v: &mut [f32]) {
        for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let x = *g * step.scale;
            *g = 0.0;
            *m = step.beta1.mul_add(*m - x, x);
            *v = step.beta2.mul_add(*v - x * x, x * x);
            let denominator = v.sqrt().mul_add(step.second, step.eps);
            *w = (*w * step.keep) - step.rate * *m / denominator;
        }
    }
}

for_each_isa! {
    /// Σ x² in double precision.
    fn sum_of_squares(x: &[f32]) -> f64 {
        let mut lanes = [0.0_f64; LANES];
        let chunks = x.chunks_exact(LANES);
        let tail = chunks.remainder();
        for x in chunks {
            for i in 0..LANES {
                lanes[i] = f64::from(x[i]).mul_add(f64::from(x[i]), lanes[i]);
            }
        }
        for (i, x) in tail.iter().enumerate() {
            lanes[i] = f64::from(*x).mul_add(f64::from(*x), lanes[i]);
        }
        lanes.iter().sum()
    }
}

for_each_isa! {
    /// Divides a row of logits by a temperature other than 1: z ← (z − max) / temperature. The largest is taken off
    /// first, so that no temperature makes a logit overflow. Returns the largest.
    fn divide(logits: &mut [f32], temperature: f32) -> f32 {
        let max = largest(logits);
        for z in logits.iter_mut() {
            *z = (*z - max) / temperature;
        }
        max
    }
}

/// A row of logits at a temperature, in place. At temperature 1 the row stays as it is, to the bit. Returns what was
/// taken off every logit before the division: a logit z has become (z − shift) / temperature.
pub(crate) fn at_temperature(isa: Isa, logits: &mut [f32], temperature: f32) -> f32 {
    if temperature == 1.0 { 0.0 } else { divide(isa, logits, temperature) }
}

for_each_isa! {
    /// Sampling weights: z ← e^(z − max).
    fn exponentials(logits: &mut [f32], max: f32) {
        for z in logits.iter_mut() {
            *z = exp(*z - max);
        }
    }
}

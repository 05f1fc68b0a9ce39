//! What the processor's arithmetic units do at best, without any memory in the way.

use crate::profile::Clock;

/// Floating-point operations per second of one core, a multiplication and an addition counted as two.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Units {
    /// f32 multiply-adds on vectors of 512 bits; nothing without AVX-512.
    pub f32: Option<f64>,
    /// bf16 multiply-adds in pairs into f32 (`vdpbf16ps`); nothing without AVX512-BF16.
    pub bf16: Option<f64>,
}

/// Times chains of multiply-adds that do not wait for each other, for some hundredths of a second each.
pub fn units(now: Clock<'_>) -> Units {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let timed = |flops: f64, work: &dyn Fn()| {
            work();
            let start = now();
            work();
            flops / (now() - start)
        };
        let steps = f64::from(x86::ROUNDS) * x86::CHAINS as f64;
        let f32 = is_x86_feature_detected!("avx512f").then(|| {
            // SAFETY: the processor has the feature.
            timed(steps * 16.0 * 2.0, &|| unsafe { x86::f32() })
        });
        let bf16 =
            (is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")).then(|| {
                // SAFETY: the processor has both features.
                timed(steps * 32.0 * 2.0, &|| unsafe { x86::bf16() })
            });
        Units { f32, bf16 }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    {
        let _ = now;
        Units { f32: None, bf16: None }
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod x86 {
    use std::arch::x86_64::{
        __m512bh, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
    };
    use std::hint::black_box;

    /// Independent chains: more than the latency of a multiply-add times the units that work on them.
    pub(super) const CHAINS: usize = 12;
    /// Steps of each chain.
    pub(super) const ROUNDS: u32 = 8_000_000;

    #[target_feature(enable = "avx512f")]
    pub(super) fn f32() {
        let (x, y) = (black_box(_mm512_set1_ps(0.5)), black_box(_mm512_set1_ps(0.25)));
        let mut sums = [_mm512_setzero_ps(); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(x, y, *sum);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) fn bf16() {
        // SAFETY: both types are 512 bits, and every pattern of bits is a value of either.
        let zeros: __m512bh = unsafe { std::mem::transmute(_mm512_setzero_si512()) };
        let (x, y) = (black_box(zeros), black_box(zeros));
        let mut sums = [_mm512_setzero_ps(); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, x, y);
            }
        }
        black_box(sums);
    }
}

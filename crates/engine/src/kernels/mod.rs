//! The arithmetic: everything that is `unsafe` in this crate, and the vector code around it.
//!
//! Every kernel exists for AVX-512, for AVX2 and in plain Rust, and the three give the same bits: each
//! output element is one chain of fused multiply-adds in a fixed order, whatever the tile it falls into.
//! From that follow the promises the rest of the crate makes without further care: a row does not depend
//! on its neighbours, on the batch, or on the number of threads.

#![expect(
    unsafe_code,
    reason = "vector intrinsics and disjoint views of one matrix; each block says why it is sound"
)]

pub(crate) mod affinity;
pub(crate) mod floats;
pub(crate) mod gemm;
pub(crate) mod matrix;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod units;

/// The instruction set the kernels run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Plain Rust.
    Scalar,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 (F, VL, DQ, BW).
    Avx512,
}

impl Isa {
    /// The best this processor offers.
    pub(crate) fn detect() -> Isa {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let fma = is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2");
            if fma
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
            {
                return Isa::Avx512;
            }
            if fma {
                return Isa::Avx2;
            }
        }
        Isa::Scalar
    }

    /// Every instruction set this processor can run, plain Rust first.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Isa> {
        let best = Isa::detect();
        [Isa::Scalar, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| (*isa as u8) <= (best as u8)).collect()
    }
}

//! Weight gradients dYᵀ·X, and the layout X takes for them.
//!
//! X is cut into chunks of [`CHUNK`] rows and stored as panels of 32 columns within each, which is how the
//! product reads it. Chunks are added in order by whichever thread owns the rows of dW, so the number of
//! threads does not matter.

use rayon::prelude::*;

use crate::kernels::gemm::{Left, MR, NR, Right, Write, gemm};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};

/// Rows in a chunk: the unit of work of every pass over the batch.
pub(crate) const CHUNK: usize = 8 * MR;

/// Length of a panelled array for `count` rows of `width`.
pub(crate) fn panelled_len(count: usize, width: usize) -> usize {
    count.div_ceil(CHUNK) * chunk_len(width)
}

/// Length of one chunk of a panelled array.
pub(crate) fn chunk_len(width: usize) -> usize {
    CHUNK * width.next_multiple_of(NR)
}

/// Stores up to [`CHUNK`] rows as panels.
pub(crate) fn to_panels(x: &[f32], width: usize, panels: &mut [f32]) {
    for (p, panel) in panels.chunks_exact_mut(CHUNK * NR).enumerate() {
        let cols = p * NR..width.min((p + 1) * NR);
        for (row, slot) in x.chunks_exact(width).zip(panel.chunks_exact_mut(NR)) {
            slot[..cols.len()].copy_from_slice(&row[cols.clone()]);
            slot[cols.len()..].fill(0.0);
        }
    }
}

/// dW += dYᵀ·X with `dy` row-major `[count, out]` and `x` panelled `[count, input]`; dW is `[out, input]`.
pub(crate) fn add_product(
    isa: Isa,
    dy: &[f32],
    x: &[f32],
    count: usize,
    out: usize,
    input: usize,
    dw: &mut [f32],
) {
    let rows_each = out.div_ceil(2 * rayon::current_num_threads()).next_multiple_of(MR);
    dw.par_chunks_mut(rows_each * input).enumerate().for_each(|(i, dw)| {
        let mine = dw.len() / input;
        let mut dw = MatMut::new(dw, mine, input, input);
        for (c, first) in (0..count).step_by(CHUNK).enumerate() {
            let left = Left { data: &dy[first * out + i * rows_each..], rs: 1, cs: out };
            let right = Right { data: &x[c * chunk_len(input)..], stride: CHUNK * NR };
            gemm(isa, left, right, CHUNK.min(count - first), &mut dw, None, Write::Add);
        }
    });
}

/// Adds the rows of `parts` (each as wide as `sum`) to `sum`, in order.
pub(crate) fn add_parts(isa: Isa, parts: &[f32], sum: &mut [f32]) {
    for part in parts.chunks_exact(sum.len()) {
        rows::add(isa, sum, part);
    }
}

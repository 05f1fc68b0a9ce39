//! Weight gradients dYᵀ·X, and the layout X takes for them.
//!
//! X is cut into chunks of [`CHUNK`] rows and stored as panels of 32 columns within each, which is how the
//! product reads it. Chunks are added in order by whichever thread owns the rows of dW, so the number of
//! threads does not matter.

use rayon::prelude::*;

use crate::cpu::scratch;
use crate::kernels::gemm::{Left, MR, NR, Right, Write, gemm, tile_rows};
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
        for (row, slot) in x.chunks_exact(width).zip(panel.as_chunks_mut::<NR>().0) {
            if let Some(whole) = row[cols.start..].first_chunk::<NR>() {
                *slot = *whole;
            } else {
                slot[..cols.len()].copy_from_slice(&row[cols.clone()]);
                slot[cols.len()..].fill(0.0);
            }
        }
    }
}

/// Stores columns `from..from + count` of up to [`CHUNK`] rows of `dy` as tiles `[CHUNK][tile rows]`: what
/// the product reads lies together, and `dy` is read in the order it is stored.
fn to_tiles(dy: &[f32], width: usize, from: usize, count: usize, rows: usize, tiles: &mut [f32]) {
    for (r, row) in dy.chunks_exact(width).enumerate() {
        let row = &row[from..from + count];
        for (t, part) in row.chunks(rows).enumerate() {
            let slot = &mut tiles[t * CHUNK * rows + r * rows..][..rows];
            match (part.as_array::<MR>(), slot.as_mut_array::<MR>()) {
                (Some(part), Some(slot)) => *slot = *part,
                _ => slot[..part.len()].copy_from_slice(part),
            }
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
        let (mine, tile) = (dw.len() / input, tile_rows(isa));
        let mut dw = MatMut::new(dw, mine, input, input);
        scratch::with([mine.div_ceil(tile) * CHUNK * tile], |[tiles]| {
            for (c, dy) in dy[..count * out].chunks(CHUNK * out).enumerate() {
                to_tiles(dy, out, i * rows_each, mine, tile, tiles);
                let left = Left { data: tiles, rs: 1, cs: tile, tile: Some(CHUNK * tile) };
                let right = Right { data: &x[c * chunk_len(input)..], stride: CHUNK * NR };
                gemm(isa, left, right, dy.len() / out, &mut dw, None, Write::Add);
            }
        });
    });
}

/// Adds the rows of `parts` (each as wide as `sum`) to `sum`, in order.
pub(crate) fn add_parts(isa: Isa, parts: &[f32], sum: &mut [f32]) {
    for part in parts.chunks_exact(sum.len()) {
        rows::add(isa, sum, part);
    }
}

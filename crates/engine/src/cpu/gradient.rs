//! Weight gradients dYᵀ·X, formed chunk by chunk while both factors are in cache.
//!
//! The chunks of a batch are shared out among at most [`SEGMENTS`] segments, whatever the number of threads. A
//! segment adds the products of its chunks, in order, to sums of its own; at the end the segments' sums are added
//! in order.

use std::ops::Range;

use rayon::prelude::*;

use crate::kernels::gemm::{Left, MR, NR, Right, Write, gemm};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};

/// Rows in a chunk: the unit of work of every pass over the batch.
pub(crate) const CHUNK: usize = 8 * MR;

/// Most segments of a batch.
const SEGMENTS: usize = 16;

/// Most elements of all segments' sums together (128 MiB): fewer segments for a larger model.
const SUMS_MAX: usize = 1 << 25;

/// Elements of the gradient in a unit of the final addition.
const RUN: usize = 1 << 13;

/// Distance between the rows of a factor of [`Sums::add`]: whole panels, and an odd number of cache lines, so that
/// the elements of a column do not compete for the same places in the cache.
pub(crate) fn stride(width: usize) -> usize {
    width.next_multiple_of(NR) + 16
}

/// Copies rows without gaps to rows [`stride`] apart.
pub(crate) fn spread(x: &[f32], width: usize, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(width).zip(out.chunks_mut(stride(width))) {
        out[..width].copy_from_slice(x);
    }
}

/// A run of rows, and its share of the gradient of the parameters in `span`.
pub(crate) struct Segment<'a> {
    pub(crate) rows: Range<usize>,
    pub(crate) sums: Sums<'a>,
}

impl<'a> Segment<'a> {
    /// Cuts `count` rows into segments; `storage` is sized for the sums.
    pub(crate) fn all(count: usize, span: &Range<usize>, storage: &'a mut Vec<f32>) -> Vec<Segment<'a>> {
        let chunks = count.div_ceil(CHUNK);
        let segments = chunks.min(SEGMENTS).min(SUMS_MAX / span.len().max(1)).max(1);
        let edge = |i: usize| (i * chunks / segments * CHUNK).min(count);
        storage.clear();
        storage.resize(segments * span.len(), 0.0);
        storage
            .chunks_exact_mut(span.len())
            .enumerate()
            .map(|(i, data)| Segment { rows: edge(i)..edge(i + 1), sums: Sums { start: span.start, data } })
            .collect()
    }

    /// The rows of each chunk.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let end = self.rows.end;
        self.rows.clone().step_by(CHUNK).map(move |first| first..end.min(first + CHUNK))
    }
}

/// A segment's sums, laid out as the gradient is from `start` on.
pub(crate) struct Sums<'a> {
    start: usize,
    data: &'a mut [f32],
}

impl Sums<'_> {
    /// The sums of one tensor.
    pub(crate) fn of(&mut self, span: &Range<usize>) -> &mut [f32] {
        &mut self.data[span.start - self.start..span.end - self.start]
    }

    /// Adds dyᵀ·x to the sums of the matrix at `span`, for `rows` rows `[out]` and `[input]` wide, [`stride`] apart.
    pub(crate) fn add(
        &mut self,
        isa: Isa,
        span: &Range<usize>,
        rows: usize,
        (dy, out): (&[f32], usize),
        (x, input): (&[f32], usize),
    ) {
        let mut dw = MatMut::new(self.of(span), out, input, input);
        let (left, right) = (Left::columns(dy, stride(out)), Right::rows(x, stride(input)));
        gemm(isa, left, right, rows, &mut dw, None, Write::Add);
    }
}

/// Adds the sums of all segments, one after the other, to a part of the gradient. A segment has `len` sums, and
/// the part begins at `first` of them.
pub(crate) fn add_sums(isa: Isa, sums: &[f32], len: usize, first: usize, gradient: &mut [f32]) {
    gradient.par_chunks_mut(RUN).enumerate().for_each(|(i, gradient)| {
        for sums in sums.chunks_exact(len) {
            rows::add(isa, gradient, &sums[first + i * RUN..][..gradient.len()]);
        }
    });
}

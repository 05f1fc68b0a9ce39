//! Weight gradients dYᵀ·X, formed chunk by chunk while both factors are in cache.
//!
//! The chunks of a batch are shared out among at most [`SEGMENTS`] segments, whatever the number of threads. A
//! segment adds the products of its chunks, in order, to sums of its own; at the end the segments' sums are added
//! in order.

use std::ops::Range;

use rayon::prelude::*;

use crate::kernels::floats::Floats;
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

/// A run of rows, and its share of the gradient of the parameters in a span.
pub(crate) struct Segment<'a> {
    pub(crate) rows: Range<usize>,
    pub(crate) sums: Sums<'a>,
}

impl<'a> Segment<'a> {
    /// Cuts `count` > 0 rows into segments, with sums of `span` in `storage`.
    pub(crate) fn all(count: usize, span: &Range<usize>, storage: &'a mut Floats) -> Vec<Segment<'a>> {
        let chunks = count.div_ceil(CHUNK);
        let segments = chunks.min(SEGMENTS).min(SUMS_MAX / span.len()).max(1);
        let edge = |i: usize| (i * chunks / segments * CHUNK).min(count);
        let sums = storage.sized(segments * span.len()).chunks_exact_mut(span.len());
        let sums = sums.map(|data| Sums { start: span.start, data, fresh: true });
        sums.enumerate().map(|(i, sums)| Segment { rows: edge(i)..edge(i + 1), sums }).collect()
    }
}

/// A segment's sums, laid out as the gradient is from `start` on.
pub(crate) struct Sums<'a> {
    start: usize,
    data: &'a mut [f32],
    /// Still in its first chunk, which finds arbitrary numbers and overwrites them.
    pub(crate) fresh: bool,
}

impl Sums<'_> {
    fn at(&self, span: &Range<usize>) -> Range<usize> {
        span.start - self.start..span.end - self.start
    }

    /// The sums of a vector of parameters, to be added to once a chunk.
    pub(crate) fn vector(&mut self, span: &Range<usize>) -> &mut [f32] {
        let at = self.at(span);
        let vector = &mut self.data[at];
        if self.fresh {
            vector.fill(0.0);
        }
        vector
    }

    /// Adds dyᵀ·x to the sums of the matrix at `span`, once a chunk, for `rows` rows `[out]` and `[input]` wide,
    /// [`stride`] apart.
    pub(crate) fn product(
        &mut self,
        isa: Isa,
        span: &Range<usize>,
        rows: usize,
        (dy, out): (&[f32], usize),
        (x, input): (&[f32], usize),
    ) {
        let at = self.at(span);
        let mut dw = MatMut::new(&mut self.data[at], out, input, input);
        let (left, right) = (Left::columns(dy, stride(out)), Right::rows(x, stride(input)));
        gemm(isa, left, right, rows, &mut dw, None, if self.fresh { Write::Store } else { Write::Add });
    }
}

/// Works through a batch by chunks. `work` gets a chunk's rows, its part of `out`, an array `width` wide, and the sums
/// of the parameters in `span`, to all of which it adds; the sums' sum is added to the gradient.
pub(crate) fn by_chunks(
    isa: Isa,
    (out, width): (&mut [f32], usize),
    span: Range<usize>,
    storage: &mut Floats,
    gradient: &mut [f32],
    work: impl Fn(Range<usize>, &mut [f32], &mut Sums<'_>) + Sync,
) {
    let segments = Segment::all(out.len() / width, &span, storage);
    let used = segments.len() * span.len();
    let mut rest = out;
    let outs: Vec<_> = segments
        .iter()
        .map(|segment| rest.split_off_mut(..segment.rows.len() * width).unwrap_or_default())
        .collect();
    segments.into_par_iter().zip(outs).with_max_len(1).for_each(|(mut segment, out)| {
        let chunks = segment.rows.clone().step_by(CHUNK);
        for (first, out) in chunks.zip(out.chunks_mut(CHUNK * width)) {
            work(first..first + out.len() / width, out, &mut segment.sums);
            segment.sums.fresh = false;
        }
    });
    add_sums(isa, &storage[..used], span.len(), 0, &mut gradient[span]);
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

//! Causal attention of one sequence and one key/value head, forward and backward.
//!
//! A block of queries is scored against the keys up to its last query; the strip of scores lives in cache and
//! is gone after the block. The order of additions of a query's row depends on the query's position only,
//! which is why the sampler, with its one query at a time, gets the same bits.

use crate::cpu::scratch;
use crate::kernels::floats::Floats;
use crate::kernels::gemm::{Left, MR, NR, Right, Write, gemm, pack_rows, pack_transposed};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};

/// Queries in a block of the forward pass: a tile of the product, so that hardly a masked score is computed.
const QUERIES: usize = MR;
/// Queries in a block of the backward pass: enough to add up in registers before the keys' gradients are touched.
const QUERIES_BACKWARD: usize = 4 * MR;

/// Widths of one token's row of queries, keys and values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// Query heads.
    pub(crate) query: usize,
    /// Key/value heads.
    pub(crate) kv: usize,
    /// Width of a head.
    pub(crate) dim: usize,
}

impl Heads {
    /// Query heads that share a key/value head.
    pub(crate) fn group(self) -> usize {
        self.query / self.kv
    }

    /// Width of a row.
    pub(crate) fn width(self) -> usize {
        (self.query + 2 * self.kv) * self.dim
    }

    /// First column of the `kv`-th key head.
    pub(crate) fn key(self, kv: usize) -> usize {
        (self.query + kv) * self.dim
    }

    /// First column of the `kv`-th value head.
    pub(crate) fn value(self, kv: usize) -> usize {
        (self.query + self.kv + kv) * self.dim
    }

    /// Factor on the scores.
    pub(crate) fn scale(self) -> f32 {
        (1.0 / (self.dim as f64).sqrt()) as f32
    }
}

/// Attention of one sequence (`qkv`: its rows) and the query heads of one key/value head.
/// `out` is `[len, group·dim]`, `lse` `[len, group]`.
pub(crate) fn forward(
    isa: Isa,
    heads: Heads,
    kv: usize,
    qkv: &[f32],
    out: &mut MatMut<'_>,
    lse: &mut MatMut<'_>,
) {
    let (width, d, len) = (heads.width(), heads.dim, out.rows());
    if len == 0 {
        return;
    }
    let padded = len.next_multiple_of(NR);
    let (mut keys, mut values) = (Floats::new(), Floats::new());
    pack_transposed(&qkv[heads.key(kv)..], len, d, width, &mut keys);
    pack_rows(&qkv[heads.value(kv)..], len, d, width, &mut values);
    scratch::with([QUERIES * padded], |[strip]| {
        for first in (0..len).step_by(QUERIES) {
            let count = QUERIES.min(len - first);
            let reach = first + count;
            let columns = reach.next_multiple_of(NR);
            for g in 0..heads.group() {
                let q = &qkv[first * width + (kv * heads.group() + g) * d..];
                let mut scores = MatMut::new(strip, count, columns, padded);
                let right = Right::packed(&keys, d);
                gemm(isa, Left::rows(q, width), right, d, &mut scores, None, Write::Store);
                let mut sums = [0.0_f32; QUERIES];
                for i in 0..count {
                    let (max, sum) = rows::softmax(isa, scores.row(i), first + i + 1, heads.scale());
                    lse.row(first + i)[g] = max + f64::from(sum).ln() as f32;
                    sums[i] = sum;
                }
                let mut out = out.block(first..reach, g * d..(g + 1) * d);
                let right = Right::packed(&values, len);
                let left = Left::rows(strip, padded);
                gemm(isa, left, right, reach, &mut out, None, Write::Store);
                for i in 0..count {
                    rows::scale(isa, out.row(i), 1.0 / sums[i]);
                }
            }
        }
    });
}

/// What the backward pass of one sequence and key/value head reads; all are the sequence's rows.
#[derive(Clone, Copy)]
pub(crate) struct Backward<'a> {
    pub(crate) isa: Isa,
    pub(crate) heads: Heads,
    pub(crate) kv: usize,
    pub(crate) qkv: &'a [f32],
    /// `[len, query·dim]`
    pub(crate) attended: &'a [f32],
    /// `[len, query]`
    pub(crate) lse: &'a [f32],
    /// `[len, query·dim]`
    pub(crate) dout: &'a [f32],
}

/// Writes the gradients of this head's queries `[len, group·dim]`, keys and values `[len, dim]`.
pub(crate) fn backward(b: Backward<'_>, dq: &mut MatMut<'_>, dk: &mut MatMut<'_>, dv: &mut MatMut<'_>) {
    let (d, width, len) = (b.heads.dim, b.heads.width(), dq.rows());
    for r in 0..len {
        dk.row(r).fill(0.0);
        dv.row(r).fill(0.0);
    }
    let padded = len.next_multiple_of(NR);
    let mut packs: [Floats; 5] = Default::default();
    let [keys_t, keys, values_t, q_pack, do_pack] = &mut packs;
    pack_transposed(&b.qkv[b.heads.key(b.kv)..], len, d, width, keys_t);
    pack_rows(&b.qkv[b.heads.key(b.kv)..], len, d, width, keys);
    pack_transposed(&b.qkv[b.heads.value(b.kv)..], len, d, width, values_t);
    let q_width = b.heads.query * d;
    scratch::with([QUERIES_BACKWARD * padded; 2], |[p, ds]| {
        for first in (0..len).step_by(QUERIES_BACKWARD) {
            let count = QUERIES_BACKWARD.min(len - first);
            for g in 0..b.heads.group() {
                let head = b.kv * b.heads.group() + g;
                let (q, dout) = (&b.qkv[first * width + head * d..], &b.dout[first * q_width + head * d..]);
                // A tile of queries at a time, each against the keys it sees.
                for at in (0..count).step_by(MR) {
                    let rows = at..count.min(at + MR);
                    let reach = first + rows.end;
                    let columns = reach.next_multiple_of(NR);
                    let mut weights = MatMut::new(&mut p[at * padded..], rows.len(), columns, padded);
                    let (left, right) = (Left::rows(&q[at * width..], width), Right::packed(keys_t, d));
                    gemm(b.isa, left, right, d, &mut weights, None, Write::Store);
                    let mut dscores = MatMut::new(&mut ds[at * padded..], rows.len(), columns, padded);
                    let (left, right) =
                        (Left::rows(&dout[at * q_width..], q_width), Right::packed(values_t, d));
                    gemm(b.isa, left, right, d, &mut dscores, None, Write::Store);
                    for i in rows.clone() {
                        let span = (first + i) * q_width + head * d..(first + i) * q_width + (head + 1) * d;
                        let along = rows::dot(b.isa, &b.attended[span.clone()], &b.dout[span]);
                        let lse = b.lse[(first + i) * b.heads.query + head];
                        let row = i * padded..i * padded + (first + count).next_multiple_of(NR);
                        let (p, ds) = (&mut p[row.clone()], &mut ds[row]);
                        rows::softmax_backward(b.isa, p, ds, first + i + 1, b.heads.scale(), lse, along);
                    }
                    let mut dq = dq.block(first + at..reach, g * d..(g + 1) * d);
                    let (left, right) = (Left::rows(&ds[at * padded..], padded), Right::packed(keys, len));
                    gemm(b.isa, left, right, reach, &mut dq, None, Write::Store);
                }
                pack_rows(q, count, d, width, q_pack);
                pack_rows(dout, count, d, q_width, do_pack);
                let block = Block { isa: b.isa, first, count, ld: padded, dim: d };
                block.add(ds, q_pack, dk);
                block.add(p, do_pack, dv);
            }
        }
    });
}

/// A block of queries, seen from its keys.
struct Block {
    isa: Isa,
    /// Its first query.
    first: usize,
    /// Its queries.
    count: usize,
    /// From query to query in a strip.
    ld: usize,
    /// Width of a head.
    dim: usize,
}

impl Block {
    /// Adds stripᵀ · right, for a packed `right`, to the rows of the keys the block sees.
    fn add(&self, strip: &[f32], right: &[f32], out: &mut MatMut<'_>) {
        let end = self.first + self.count;
        let right = Right::packed(right, self.count);
        // The keys that all queries of the block see; then a tile of keys at a time, without the queries before it.
        let tiles = (self.first..end).step_by(MR).map(|key| key..end.min(key + MR));
        for keys in std::iter::once(0..self.first).chain(tiles) {
            let unseen = keys.start.saturating_sub(self.first);
            let left = Left::columns(&strip[unseen * self.ld + keys.start..], self.ld);
            let right = Right { data: &right.data[unseen * NR..], ..right };
            let mut out = out.block(keys, 0..self.dim);
            gemm(self.isa, left, right, self.count - unseen, &mut out, None, Write::Add);
        }
    }
}

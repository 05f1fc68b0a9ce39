//! Causal attention of one sequence and one key/value head, forward and backward.
//!
//! A block of queries is scored against the keys up to its last query; the strip of scores lives in cache and
//! is gone after the block. The order of additions of a query's row depends on the query's position only,
//! which is why the sampler, with its one query at a time, gets the same bits.

use crate::cpu::scratch;
use crate::kernels::gemm::{Left, NR, Right, Write, gemm, pack_rows, pack_transposed};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};

/// Queries in a block of the forward pass.
const QUERIES: usize = 28;
/// Queries in a block of the backward pass.
const QUERIES_BACKWARD: usize = 56;

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
    let (mut keys, mut values) = (Vec::new(), Vec::new());
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
                let right = Right { data: &keys, stride: NR * d };
                gemm(isa, Left::rows(q, width), right, d, &mut scores, None, Write::Store);
                let mut sums = [0.0_f32; QUERIES];
                for i in 0..count {
                    let (max, sum) = rows::softmax(isa, scores.row(i), first + i + 1, heads.scale());
                    lse.row(first + i)[g] = max + f64::from(sum).ln() as f32;
                    sums[i] = sum;
                }
                let mut out = out.block(first..reach, g * d..(g + 1) * d);
                let right = Right { data: &values, stride: NR * len };
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
    let mut packs: [Vec<f32>; 5] = Default::default();
    let [keys_t, keys, values_t, q_pack, do_pack] = &mut packs;
    pack_transposed(&b.qkv[b.heads.key(b.kv)..], len, d, width, keys_t);
    pack_rows(&b.qkv[b.heads.key(b.kv)..], len, d, width, keys);
    pack_transposed(&b.qkv[b.heads.value(b.kv)..], len, d, width, values_t);
    scratch::with([QUERIES_BACKWARD * padded; 2], |[p, ds]| {
        for first in (0..len).step_by(QUERIES_BACKWARD) {
            for g in 0..b.heads.group() {
                let count = QUERIES_BACKWARD.min(len - first);
                let reach = first + count;
                let columns = reach.next_multiple_of(NR);
                let head = b.kv * b.heads.group() + g;
                let (q, q_width) = (&b.qkv[first * width + head * d..], b.heads.query * d);
                let dout = &b.dout[first * q_width + head * d..];

                let product = |left: &[f32], rs, right: &[f32], c: &mut MatMut<'_>| {
                    let right = Right { data: right, stride: NR * d };
                    gemm(b.isa, Left::rows(left, rs), right, d, c, None, Write::Store);
                };
                let mut weights = MatMut::new(p, count, columns, padded);
                product(q, width, keys_t, &mut weights);
                let mut dscores = MatMut::new(ds, count, columns, padded);
                product(dout, q_width, values_t, &mut dscores);
                for i in 0..count {
                    let row = first + i;
                    let at = row * q_width + head * d..row * q_width + (head + 1) * d;
                    let along = rows::dot(b.isa, &b.attended[at.clone()], &b.dout[at]);
                    let lse = b.lse[row * b.heads.query + head];
                    rows::softmax_again(b.isa, weights.row(i), row + 1, b.heads.scale(), lse);
                    rows::softmax_backward(b.isa, weights.row(i), dscores.row(i), along, b.heads.scale());
                }

                let left = Left::rows(ds, padded);
                let right = Right { data: keys, stride: NR * len };
                let mut dq = dq.block(first..reach, g * d..(g + 1) * d);
                gemm(b.isa, left, right, reach, &mut dq, None, Write::Store);

                pack_rows(q, count, d, width, q_pack);
                pack_rows(dout, count, d, q_width, do_pack);
                let (dk, dv) = (dk.block(0..reach, 0..d), dv.block(0..reach, 0..d));
                for (left, right, mut out) in [(&*ds, &*q_pack, dk), (&*p, &*do_pack, dv)] {
                    let left = Left::columns(left, padded);
                    let right = Right { data: right, stride: NR * count };
                    gemm(b.isa, left, right, count, &mut out, None, Write::Add);
                }
            }
        }
    });
}

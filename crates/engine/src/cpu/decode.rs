//! Attention of the newest token of running sequences over the cache: the arithmetic of
//! [`attention::forward`](super::attention::forward) for a sequence's last row, element by element in the
//! same order.

use learner::Sample;

use crate::cpu::attention::Heads;
use crate::cpu::pages::Pages;
use crate::cpu::scratch;
use crate::kernels::gemm::{Left, NR, Right, Write, gemm};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};

/// Which sample is meant: index of the prompt, and number within the prompt.
pub(crate) type Job = (usize, u32);

/// A running sequence.
pub(crate) struct Slot {
    pub(crate) job: Job,
    pub(crate) pages: Vec<u32>,
    /// Positions in the cache, before the newest token's.
    pub(crate) cached: usize,
    /// Token to feed next.
    pub(crate) token: u32,
    pub(crate) sample: Sample,
}

/// One layer's attention for samples of one prompt.
pub(crate) struct Decode<'a> {
    pub(crate) isa: Isa,
    pub(crate) heads: Heads,
    pub(crate) pages: &'a Pages<'a>,
    pub(crate) layer: usize,
    /// Length of the prompt: its whole pages are the same for all samples.
    pub(crate) prompt: usize,
    /// The sequences whose turn is next.
    pub(crate) following: &'a [Slot],
}

impl Decode<'_> {
    /// `qkv` and `attended` hold one row for each sample.
    pub(crate) fn attend(&self, slots: &[Slot], qkv: &[f32], attended: &mut [f32]) {
        let (d, group) = (self.heads.dim, self.heads.group());
        let (width, q_width) = (self.heads.width(), self.heads.query * d);
        let count = slots.len() * group;
        let reach = slots.iter().map(|s| s.cached + 1).max().unwrap_or(0).next_multiple_of(NR);
        scratch::with([count * d, count * reach, count * d], |[queries, strip, out]| {
            for kv in 0..self.heads.kv {
                let columns = kv * group * d..(kv + 1) * group * d;
                for (q, row) in queries.chunks_exact_mut(group * d).zip(qkv.chunks_exact(width)) {
                    q.copy_from_slice(&row[columns.clone()]);
                }
                self.head(slots, kv, queries, &mut MatMut::new(strip, count, reach, reach), out);
                for (out, row) in out.chunks_exact(group * d).zip(attended.chunks_exact_mut(q_width)) {
                    row[columns.clone()].copy_from_slice(out);
                }
            }
        });
    }

    /// All samples and the query heads of one key/value head: `queries` and `out` are
    /// `[samples · group, d]`, `strip` has a row of scores for each.
    fn head(&self, slots: &[Slot], kv: usize, queries: &[f32], strip: &mut MatMut<'_>, out: &mut [f32]) {
        let (d, group) = (self.heads.dim, self.heads.group());
        let (count, reach) = (strip.rows(), strip.cols());
        let shared = self.prompt / NR;
        for (p, page) in slots[0].pages[..shared].iter().enumerate() {
            self.score(*page, kv, queries, &mut strip.block(0..count, p * NR..(p + 1) * NR));
        }
        let mut sums = vec![0.0; count];
        for (s, slot) in slots.iter().enumerate() {
            let rows = s * group..(s + 1) * group;
            for (p, page) in slot.pages.iter().enumerate().skip(shared) {
                let queries = &queries[rows.start * d..rows.end * d];
                self.score(*page, kv, queries, &mut strip.block(rows.clone(), p * NR..(p + 1) * NR));
            }
            let padded = slot.pages.len() * NR;
            for r in rows {
                let scores = &mut strip.row(r)[..padded];
                sums[r] = rows::softmax(self.isa, scores, slot.cached + 1, self.heads.scale()).1;
            }
        }
        let mut out = MatMut::new(out, count, d, d);
        for (p, page) in slots[0].pages[..shared].iter().enumerate() {
            let weights = Left::rows(&strip.as_slice()[p * NR..], reach);
            let values = self.values(*page, kv).before(self.later(slots, kv, p));
            self.gather(values, weights, NR, p == 0, &mut out.block(0..count, 0..d));
        }
        for (s, slot) in slots.iter().enumerate() {
            let rows = s * group..(s + 1) * group;
            for (p, page) in slot.pages.iter().enumerate().skip(shared) {
                let weights = Left::rows(&strip.as_slice()[rows.start * reach + p * NR..], reach);
                let keys = NR.min(slot.cached + 1 - p * NR);
                let values = self.values(*page, kv).before(self.later(&slots[s..], kv, p));
                self.gather(values, weights, keys, p == 0, &mut out.block(rows.clone(), 0..d));
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            rows::scale(self.isa, out.row(r), 1.0 / sum);
        }
    }

    /// Keys read some time after the values of page `p` of the first of `slots`: those of the next head, or of a sequence
    /// whose turn is next.
    fn later(&self, slots: &[Slot], kv: usize, p: usize) -> &[f32] {
        let (slots, kv) = if kv + 1 < self.heads.kv { (slots, kv + 1) } else { (self.following, 0) };
        let page = slots.first().and_then(|slot| slot.pages.get(p));
        page.map_or(&[], |page| self.pages.panels(*page, self.layer, kv).0)
    }

    /// The values of one page.
    fn values(&self, page: u32, kv: usize) -> Right<'_> {
        Right::packed(self.pages.panels(page, self.layer, kv).1, NR)
    }

    /// Scores of queries against the keys of one page.
    fn score(&self, page: u32, kv: usize, queries: &[f32], scores: &mut MatMut<'_>) {
        let d = self.heads.dim;
        let (keys, values) = self.pages.panels(page, self.layer, kv);
        let keys = Right::packed(keys, d).before(values);
        gemm(self.isa, Left::rows(queries, d), keys, d, scores, None, Write::Store);
    }

    /// Adds the first `keys` of some values, weighted.
    fn gather(&self, values: Right<'_>, weights: Left<'_>, keys: usize, first: bool, out: &mut MatMut<'_>) {
        let write = if first { Write::Store } else { Write::Chain };
        gemm(self.isa, weights, values, keys, out, None, write);
    }
}

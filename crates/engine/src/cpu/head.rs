//! The output layer fused with the loss, by chunks of rows: logits exist for one chunk (forward) or one
//! block of chunks (backward) at a time, never for the batch.

use rayon::prelude::*;

use crate::cpu::gradient::{self, CHUNK};
use crate::cpu::layer;
use crate::cpu::weights::Packed;
use crate::cpu::{Scratch, scratch, sized};
use crate::device::{Prediction, Scores};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};
use crate::layout::Layout;

/// What both passes read.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) isa: Isa,
    pub(crate) layout: &'a Layout,
    pub(crate) flat: &'a [f32],
    pub(crate) packed: &'a Packed,
    /// Output of the last layer.
    pub(crate) x: &'a [f32],
}

impl Head<'_> {
    fn gather(&self, list: &[Prediction], rows: &mut [f32]) {
        let hidden = self.layout.config.hidden;
        for (row, p) in rows.chunks_exact_mut(hidden).zip(list) {
            row.copy_from_slice(&self.x[p.row as usize * hidden..][..hidden]);
        }
    }

    /// Log-probability and entropy of each prediction.
    pub(crate) fn scores(&self, list: &[Prediction]) -> Scores {
        let (hidden, vocab) = (self.layout.config.hidden, self.layout.config.vocab);
        let mut scores = Scores { logprobs_N: vec![0.0; list.len()], entropy_N: vec![0.0; list.len()] };
        let outputs = scores.logprobs_N.par_chunks_mut(CHUNK).zip(scores.entropy_N.par_chunks_mut(CHUNK));
        list.par_chunks(CHUNK).zip(outputs).for_each(|(list, (logprobs, entropies))| {
            let n = list.len();
            scratch::with([n * hidden, n * hidden, n * vocab], |[x, h, logits]| {
                self.gather(list, x);
                layer::logits(self.isa, self.layout, self.flat, self.packed, x, h, logits);
                for (i, z) in logits.chunks_exact(vocab).enumerate() {
                    let row = rows::log_softmax(self.isa, z);
                    logprobs[i] = row.logprob(z[list[i].target as usize]);
                    entropies[i] = row.entropy;
                }
            });
        });
        scores
    }

    /// Predictions whose logits are alive at once in the backward pass: about 4 MB of them per 1,000 tokens
    /// of vocabulary, fixed by the shape.
    fn block(&self) -> usize {
        ((1 << 21) / self.layout.config.vocab / CHUNK).clamp(1, 9) * CHUNK
    }

    /// Scores and gradients; `dx` (zeroed by the caller) gets the gradient of each predicting row.
    pub(crate) fn backward(
        &self,
        list: &[Prediction],
        dx: &mut [f32],
        gradient: &mut [f32],
        scratch: &mut Scratch,
    ) -> Scores {
        let (hidden, vocab) = (self.layout.config.hidden, self.layout.config.vocab);
        // Without any prediction (a step whose gradient is zero everywhere) the block is empty, too.
        let block = self.block().min(list.len().next_multiple_of(CHUNK)).max(CHUNK);
        let mut scores = Scores { logprobs_N: vec![0.0; list.len()], entropy_N: vec![0.0; list.len()] };
        let dlogits = sized(&mut scratch.wide, block * vocab);
        let [panels, dx_rows] = &mut scratch.panels;
        let panels = sized(panels, gradient::panelled_len(block, hidden));
        let dx_rows = sized(dx_rows, block * hidden);
        let gains = sized(&mut scratch.parts[0], block / CHUNK * hidden);
        for (b, list) in list.chunks(block).enumerate() {
            let span = b * block..b * block + list.len();
            let outputs = scores.logprobs_N[span.clone()]
                .par_chunks_mut(CHUNK)
                .zip(scores.entropy_N[span].par_chunks_mut(CHUNK));
            gains.fill(0.0);
            list.par_chunks(CHUNK)
                .zip(outputs)
                .zip(dlogits.par_chunks_mut(CHUNK * vocab))
                .zip(panels.par_chunks_mut(gradient::chunk_len(hidden)))
                .zip(dx_rows.par_chunks_mut(CHUNK * hidden))
                .zip(gains.par_chunks_mut(hidden))
                .for_each(|(((((list, outputs), dlogits), panels), dx), gain)| {
                    let n = list.len();
                    let (dlogits, dx) = (&mut dlogits[..n * vocab], &mut dx[..n * hidden]);
                    self.chunk(list, outputs, dlogits, panels, dx, gain);
                });
            for (dx_row, p) in dx_rows.chunks_exact(hidden).zip(list) {
                dx[p.row as usize * hidden..][..hidden].copy_from_slice(dx_row);
            }
            let dw = &mut gradient[self.layout.head.clone()];
            gradient::add_product(self.isa, dlogits, panels, list.len(), vocab, hidden, dw);
            let used = list.len().div_ceil(CHUNK) * hidden;
            gradient::add_parts(self.isa, &gains[..used], &mut gradient[self.layout.final_norm.clone()]);
        }
        scores
    }

    fn chunk(
        &self,
        list: &[Prediction],
        (logprobs, entropies): (&mut [f32], &mut [f32]),
        dlogits: &mut [f32],
        panels: &mut [f32],
        dx: &mut [f32],
        gain: &mut [f32],
    ) {
        let c = &self.layout.config;
        let n = list.len() * c.hidden;
        scratch::with([n, n, n], |[x, h, dh]| {
            self.gather(list, x);
            layer::logits(self.isa, self.layout, self.flat, self.packed, x, h, dlogits);
            for (i, z) in dlogits.chunks_exact_mut(c.vocab).enumerate() {
                let target = list[i].target as usize;
                let row = rows::log_softmax(self.isa, z);
                logprobs[i] = row.logprob(z[target]);
                entropies[i] = row.entropy;
                rows::logits_backward(self.isa, z, row, target, list[i].weight);
            }
            gradient::to_panels(h, c.hidden, panels);
            let mut dh_rows = MatMut::new(dh, list.len(), c.hidden, c.hidden);
            self.packed.head.apply_backward(self.isa, dlogits, &mut dh_rows);
            dx.fill(0.0);
            let gains = &self.flat[self.layout.final_norm.clone()];
            rows::rms_norm_backward(self.isa, x, gains, c.norm_eps as f32, dh, dx, gain);
        });
    }
}

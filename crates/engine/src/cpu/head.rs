//! The output layer fused with the loss, by chunks of rows: each thread has the logits of one chunk at a time,
//! nobody those of the batch.

use rayon::prelude::*;

use crate::cpu::gradient::{self, CHUNK, Segment, Sums};
use crate::cpu::layer;
use crate::cpu::weights::BackwardMatrix;
use crate::cpu::{Cpu, Scratch, scratch};
use crate::device::{Flow, Prediction, Scores, Targets, Weights};
use crate::kernels::floats::Floats;
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};

/// What both passes read.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) isa: Isa,
    pub(crate) w: &'a Weights<'a, Cpu>,
    /// Output of the last layer.
    pub(crate) x: &'a [f32],
}

impl Head<'_> {
    fn gather(&self, list: &[Prediction], rows: &mut [f32]) {
        let hidden = self.w.layout.config.hidden;
        for (row, p) in rows.chunks_exact_mut(hidden).zip(list) {
            row.copy_from_slice(&self.x[p.row as usize * hidden..][..hidden]);
        }
    }

    /// Log-probability and entropy of each prediction.
    pub(crate) fn scores(&self, targets: Targets<'_>) -> Scores {
        let list = targets.predictions_N;
        let (hidden, vocab) = (self.w.layout.config.hidden, self.w.layout.config.vocab);
        let zeros = || vec![0.0; list.len()];
        let mut scores = Scores { logprobs_N: zeros(), entropy_N: zeros(), divergence_N: Vec::new() };
        let outputs = scores.logprobs_N.par_chunks_mut(CHUNK).zip(scores.entropy_N.par_chunks_mut(CHUNK));
        list.par_chunks(CHUNK).zip(outputs).for_each(|(list, (logprobs, entropies))| {
            let n = list.len();
            scratch::with([n * hidden, n * hidden, n * vocab], |[x, h, logits]| {
                self.gather(list, x);
                let mut rows = MatMut::new(logits, n, vocab, vocab);
                layer::logits(self.isa, self.w, x, (h, hidden), &mut rows);
                for (i, z) in logits.chunks_exact_mut(vocab).enumerate() {
                    rows::at_temperature(self.isa, z, targets.temperature);
                    let row = rows::log_softmax(self.isa, z);
                    logprobs[i] = row.logprob(z[list[i].target as usize]);
                    entropies[i] = row.entropy;
                }
            });
        });
        scores
    }

    /// Scores and gradients; `flow.dx` (zeroed by the caller) gets the gradient of each predicting row.
    pub(crate) fn backward(&self, targets: Targets<'_>, flow: &mut Flow<'_, Floats, Scratch>) -> Scores {
        let (list, scratch, mut dx) = (targets.predictions_N, &mut *flow.scratch, &mut **flow.dx);
        let hidden = self.w.layout.config.hidden;
        let zeros = || vec![0.0; list.len()];
        let mut scores = Scores { logprobs_N: zeros(), entropy_N: zeros(), divergence_N: zeros() };
        if list.is_empty() {
            return scores;
        }
        let Scores { logprobs_N, entropy_N, divergence_N } = &mut scores;
        let mut outputs = [logprobs_N, entropy_N, divergence_N].map(Vec::as_mut_slice);
        // The norm's gain lies apart from the output matrix in the gradient; here it follows it.
        let (matrix, gain) = (self.w.layout.head.len(), hidden);
        let [head, _] = &mut scratch.matrices;
        let head = head.pack(&self.w.flat[self.w.layout.head.clone()], self.w.layout.config.vocab, hidden);
        let segments = Segment::all(list.len(), &(0..matrix + gain), &mut scratch.sums);
        let used = segments.len() * (matrix + gain);
        let mut first = 0;
        let work: Vec<_> = segments
            .into_iter()
            .map(|segment| {
                let n = segment.rows.len();
                let list = &list[segment.rows.clone()];
                let end = list.last().map_or(first, |p| p.row as usize + 1);
                let rows = dx.split_off_mut(..(end - first) * hidden).unwrap_or_default();
                let outputs = outputs.each_mut().map(|all| all.split_off_mut(..n).unwrap_or_default());
                (segment, list, (rows, std::mem::replace(&mut first, end)), outputs)
            })
            .collect();
        work.into_par_iter().with_max_len(1).for_each(|(mut segment, list, (dx, first), mut outputs)| {
            for list in list.chunks(CHUNK) {
                let outputs =
                    outputs.each_mut().map(|all| all.split_off_mut(..list.len()).unwrap_or_default());
                let targets = Targets { predictions_N: list, ..targets };
                self.chunk(head, targets, outputs, &mut segment.sums, |row, gradient| {
                    dx[(row - first) * hidden..][..hidden].copy_from_slice(gradient);
                });
                segment.sums.fresh = false;
            }
        });
        let sums = &scratch.sums[..used];
        gradient::add_sums(self.isa, sums, matrix + gain, 0, &mut flow.gradient[self.w.layout.head.clone()]);
        let of_gain = &mut flow.gradient[self.w.layout.final_norm.clone()];
        gradient::add_sums(self.isa, sums, matrix + gain, matrix, of_gain);
        scores
    }

    /// Scores and gradients of some predictions; `put` takes the gradient of each row.
    fn chunk(
        &self,
        head: &BackwardMatrix,
        targets: Targets<'_>,
        [logprobs, entropies, divergences]: [&mut [f32]; 3],
        sums: &mut Sums<'_>,
        mut put: impl FnMut(usize, &[f32]),
    ) {
        let Targets { predictions_N: list, temperature, reference_TV } = targets;
        let (c, isa, count) = (&self.w.layout.config, self.isa, list.len());
        let n = count * c.hidden;
        let [s, s_wide] = [c.hidden, c.vocab].map(gradient::stride);
        scratch::with([n, n, n, count * s, count * s_wide], |[x, dh, dx, h, dlogits]| {
            self.gather(list, x);
            let mut rows = MatMut::new(dlogits, count, c.vocab, s_wide);
            layer::logits(isa, self.w, x, (h, s), &mut rows);
            for (i, z) in dlogits.chunks_mut(s_wide).enumerate() {
                let (z, target) = (&mut z[..c.vocab], list[i].target as usize);
                rows::at_temperature(isa, z, temperature);
                let row = rows::log_softmax(isa, z);
                logprobs[i] = row.logprob(z[target]);
                entropies[i] = row.entropy;
                // A logit counts for 1/temperature of itself, and so does its gradient.
                let (weight, kl_weight) = (list[i].weight / temperature, list[i].kl_weight / temperature);
                if kl_weight == 0.0 {
                    rows::logits_backward(isa, z, row, target, weight);
                } else {
                    let reference = &reference_TV[list[i].row as usize * c.vocab..][..c.vocab];
                    let kl = rows::divergence(isa, z, row, reference);
                    divergences[i] = kl;
                    rows::logits_backward_with_kl(isa, z, row, target, weight, reference, kl, kl_weight);
                }
            }
            let matrix = self.w.layout.head.len();
            sums.product(isa, &(0..matrix), count, (dlogits, c.vocab), (h, c.hidden));
            let mut dh_rows = MatMut::new(dh, count, c.hidden, c.hidden);
            head.apply(isa, dlogits, s_wide, &mut dh_rows);
            dx.fill(0.0);
            let gains = &self.w.flat[self.w.layout.final_norm.clone()];
            let dgain = sums.vector(&(matrix..matrix + c.hidden));
            rows::rms_norm_backward(isa, x, gains, c.norm_eps as f32, dh, dx, dgain);
            for (p, dx) in list.iter().zip(dx.chunks_exact(c.hidden)) {
                put(p.row as usize, dx);
            }
        });
    }
}

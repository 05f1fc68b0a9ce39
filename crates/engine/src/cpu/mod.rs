//! The CPU device: rows in chunks over a thread pool.
//!
//! Work is cut the same way whatever the number of threads, and partial sums are added in order, so one
//! thread and many give the same bytes.

mod attention;
mod decode;
mod gradient;
mod head;
mod layer;
mod pages;
mod sampler;
mod scratch;
mod weights;

use std::ops::Range;
use std::sync::Arc;

use rayon::ThreadPool;
use rayon::prelude::*;
use train::learner::AdamW;

use self::attention::Heads;
use self::gradient::{CHUNK, Segment};
use self::head::Head;
use self::layer::LayerView;
pub(crate) use self::weights::Packed;
use crate::device::{Device, Flat, Optimizer, Prediction, Saved, Scores, Weights};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};
use crate::layout::Layout;

/// Parameters in a unit of the optimizer's work.
const RUN: usize = 1 << 14;

/// The processor: its instruction set and a pool of threads.
#[derive(Debug, Clone)]
pub(crate) struct Cpu {
    pub(crate) isa: Isa,
    pub(crate) pool: Arc<ThreadPool>,
}

fn heads(layout: &Layout) -> Heads {
    Heads { query: layout.config.heads, kv: layout.config.kv_heads, dim: layout.head_dim() }
}

impl Cpu {
    fn view<'a>(&self, w: &Weights<'a, Cpu>, layer: usize) -> LayerView<'a> {
        LayerView {
            isa: self.isa,
            layout: w.layout,
            flat: w.flat,
            spans: &w.layout.layers[layer],
            packed: &w.packed.layers[layer],
            all: w.packed,
        }
    }

    fn head_view<'a>(&self, w: &Weights<'a, Cpu>, x: &'a [f32]) -> Head<'a> {
        Head { isa: self.isa, layout: w.layout, flat: w.flat, packed: w.packed, x }
    }
}

/// Chunks of `width`-wide rows.
fn chunks(buf: &[f32], width: usize) -> rayon::slice::Chunks<'_, f32> {
    buf.par_chunks(CHUNK * width)
}

/// Sizes a buffer and gives its chunks of `width`-wide rows.
fn chunks_mut(buf: &mut Vec<f32>, count: usize, width: usize) -> rayon::slice::ChunksMut<'_, f32> {
    buf.resize(count * width, 0.0);
    buf.par_chunks_mut(CHUNK * width)
}

/// Rows `rows` of an array `width` wide.
fn of<'a>(data: &'a [f32], rows: &Range<usize>, width: usize) -> &'a [f32] {
    &data[rows.start * width..rows.end * width]
}

/// The rows of each segment of an array `width` wide.
fn cut<'a>(mut data: &'a mut [f32], width: usize, segments: &[Segment<'_>]) -> Vec<&'a mut [f32]> {
    let part = |segment: &Segment<'_>| data.split_off_mut(..segment.rows.len() * width).unwrap_or_default();
    segments.iter().map(part).collect()
}

/// Temporary arrays of the backward pass.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// What the segments' gradients add up to.
    sums: Vec<f32>,
    dattended: Vec<f32>,
    dqkv: Vec<f32>,
}

/// Sizes a buffer whose content will be overwritten.
fn sized(buf: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buf.len() < len {
        buf.resize(len, 0.0);
    }
    &mut buf[..len]
}

impl Device for Cpu {
    type Buf = Vec<f32>;
    type Packed = Packed;
    type Scratch = Scratch;

    fn empty(&self) -> Vec<f32> {
        Vec::new()
    }

    fn upload(&self, values: &[f32]) -> Vec<f32> {
        values.to_vec()
    }

    fn download(&self, buf: &Vec<f32>) -> Vec<f32> {
        buf.clone()
    }

    fn pack(&self, layout: &Layout, flat: &Vec<f32>, backward: bool, packed: Option<Packed>) -> Packed {
        let mut packed = packed.unwrap_or_default();
        self.pool.install(|| packed.update(layout, flat, backward));
        packed
    }

    fn embed(&self, w: &Weights<'_, Cpu>, batch: &Flat, x: &mut Vec<f32>) {
        let hidden = w.layout.config.hidden;
        let table = &w.flat[w.layout.embed.clone()];
        x.resize(batch.tokens_T.len() * hidden, 0.0);
        for (x, token) in x.chunks_exact_mut(hidden).zip(&batch.tokens_T) {
            x.copy_from_slice(&table[*token as usize * hidden..][..hidden]);
        }
    }

    fn qkv(&self, w: &Weights<'_, Cpu>, layer: usize, batch: &Flat, x: &Vec<f32>, qkv: &mut Vec<f32>) {
        let view = self.view(w, layer);
        let (hidden, width) = (w.layout.config.hidden, w.layout.qkv_width());
        self.pool.install(|| {
            chunks(x, hidden)
                .zip(batch.positions_T.par_chunks(CHUNK))
                .zip(chunks_mut(qkv, batch.tokens_T.len(), width))
                .for_each(|((x, positions), qkv)| view.qkv(x, positions, qkv));
        });
    }

    fn attention(
        &self,
        w: &Weights<'_, Cpu>,
        batch: &Flat,
        qkv: &Vec<f32>,
        attended: &mut Vec<f32>,
        lse: &mut Vec<f32>,
    ) {
        let heads = heads(w.layout);
        let (count, q_width) = (batch.tokens_T.len(), heads.query * heads.dim);
        attended.resize(count * q_width, 0.0);
        lse.resize(count * heads.query, 0.0);
        let lengths = || batch.starts_S.windows(2).map(|s| s[1] - s[0]);
        let outs = MatMut::new(attended, count, q_width, q_width).grid(lengths(), heads.group() * heads.dim);
        let lses = MatMut::new(lse, count, heads.query, heads.query).grid(lengths(), heads.group());
        self.pool.install(|| {
            outs.into_par_iter().zip(lses).enumerate().with_max_len(1).for_each(|(i, (mut out, mut lse))| {
                let (sequence, kv) = (i / heads.kv, i % heads.kv);
                let rows = &qkv[batch.starts_S[sequence] * heads.width()..];
                attention::forward(self.isa, heads, kv, rows, &mut out, &mut lse);
            });
        });
    }

    fn project(
        &self,
        w: &Weights<'_, Cpu>,
        layer: usize,
        attended: &Vec<f32>,
        x: &Vec<f32>,
        middle: &mut Vec<f32>,
    ) {
        let view = self.view(w, layer);
        let hidden = w.layout.config.hidden;
        self.pool.install(|| {
            chunks(attended, w.layout.q_width())
                .zip(chunks(x, hidden))
                .zip(chunks_mut(middle, x.len() / hidden, hidden))
                .for_each(|((attended, x), middle)| view.project(attended, x, middle));
        });
    }

    fn mlp(
        &self,
        w: &Weights<'_, Cpu>,
        layer: usize,
        middle: &Vec<f32>,
        gate_up: &mut Vec<f32>,
        out: &mut Vec<f32>,
    ) {
        let view = self.view(w, layer);
        let (hidden, count) = (w.layout.config.hidden, middle.len() / w.layout.config.hidden);
        self.pool.install(|| {
            chunks(middle, hidden)
                .zip(chunks_mut(gate_up, count, 2 * w.layout.config.mlp))
                .zip(chunks_mut(out, count, hidden))
                .for_each(|((middle, gate_up), out)| view.mlp(middle, gate_up, out));
        });
    }

    fn head(&self, w: &Weights<'_, Cpu>, x: &Vec<f32>, predictions_N: &[Prediction]) -> Scores {
        self.pool.install(|| self.head_view(w, x).scores(predictions_N))
    }

    fn logits(&self, w: &Weights<'_, Cpu>, x: &Vec<f32>) -> Vec<f32> {
        let c = &w.layout.config;
        let (count, mut logits) = (x.len() / c.hidden, Vec::new());
        self.pool.install(|| {
            chunks(x, c.hidden).zip(chunks_mut(&mut logits, count, c.vocab)).for_each(|(x, logits)| {
                let mut rows = MatMut::new(logits, x.len() / c.hidden, c.vocab, c.vocab);
                scratch::with([x.len()], |[h]| {
                    layer::logits(self.isa, w.layout, w.flat, w.packed, x, (h, c.hidden), &mut rows);
                });
            });
        });
        logits
    }

    fn head_backward(
        &self,
        w: &Weights<'_, Cpu>,
        tokens: usize,
        x: &Vec<f32>,
        predictions_N: &[Prediction],
        reference_TV: &[f32],
        dx: &mut Vec<f32>,
        gradient: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) -> Scores {
        dx.clear();
        dx.resize(tokens * w.layout.config.hidden, 0.0);
        self.pool
            .install(|| self.head_view(w, x).backward(predictions_N, reference_TV, dx, gradient, scratch))
    }

    fn mlp_backward(
        &self,
        w: &Weights<'_, Cpu>,
        layer: usize,
        saved: &mut Saved<Vec<f32>>,
        dx: &mut Vec<f32>,
        gradient: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        let view = self.view(w, layer);
        let (hidden, wide) = (w.layout.config.hidden, 2 * w.layout.config.mlp);
        let span = view.spans.post_norm.start..view.spans.down.end;
        self.pool.install(|| {
            let segments = Segment::all(dx.len() / hidden, &span, &mut scratch.sums);
            let rows = cut(dx, hidden, &segments);
            segments.into_par_iter().zip(rows).with_max_len(1).for_each(|(mut segment, dx)| {
                for (chunk, dx) in segment.chunks().zip(dx.chunks_mut(CHUNK * hidden)) {
                    let (middle, gate_up) =
                        (of(&saved.middle, &chunk, hidden), of(&saved.gate_up, &chunk, wide));
                    view.mlp_backward(dx, middle, gate_up, &mut segment.sums);
                }
            });
            gradient::add_sums(self.isa, &scratch.sums, span.len(), 0, &mut gradient[span]);
        });
    }

    fn attention_backward(
        &self,
        w: &Weights<'_, Cpu>,
        layer: usize,
        batch: &Flat,
        x: &Vec<f32>,
        saved: &mut Saved<Vec<f32>>,
        dx: &mut Vec<f32>,
        gradient: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) {
        let view = self.view(w, layer);
        let (hidden, heads) = (w.layout.config.hidden, heads(w.layout));
        let (count, q_width, width) = (dx.len() / hidden, heads.query * heads.dim, heads.width());
        let dattended = sized(&mut scratch.dattended, count * q_width);
        let dqkv = sized(&mut scratch.dqkv, count * width);
        self.pool.install(|| {
            let span = view.spans.out.clone();
            let segments = Segment::all(count, &span, &mut scratch.sums);
            let rows = cut(dattended, q_width, &segments);
            segments.into_par_iter().zip(rows).with_max_len(1).for_each(|(mut segment, dattended)| {
                for (chunk, dattended) in segment.chunks().zip(dattended.chunks_mut(CHUNK * q_width)) {
                    let (dx, attended) = (of(dx, &chunk, hidden), of(&saved.attended, &chunk, q_width));
                    view.project_backward(dx, attended, dattended, &mut segment.sums);
                }
            });
            gradient::add_sums(self.isa, &scratch.sums, span.len(), 0, &mut gradient[span]);

            self.attention_core_backward(heads, batch, saved, dattended, dqkv);

            let span = view.spans.input_norm.start..view.spans.qkv_bias.end;
            let segments = Segment::all(count, &span, &mut scratch.sums);
            let rows = cut(dx, hidden, &segments);
            segments.into_par_iter().zip(rows).with_max_len(1).for_each(|(mut segment, dx)| {
                for (chunk, dx) in segment.chunks().zip(dx.chunks_mut(CHUNK * hidden)) {
                    let (x, dqkv) = (of(x, &chunk, hidden), of(dqkv, &chunk, width));
                    view.qkv_backward(x, &batch.positions_T[chunk], dqkv, dx, &mut segment.sums);
                }
            });
            gradient::add_sums(self.isa, &scratch.sums, span.len(), 0, &mut gradient[span]);
        });
    }

    fn embed_backward(&self, layout: &Layout, batch: &Flat, dx: &Vec<f32>, gradient: &mut Vec<f32>) {
        let hidden = layout.config.hidden;
        let table = &mut gradient[layout.embed.clone()];
        for (dx, token) in dx.chunks_exact(hidden).zip(&batch.tokens_T) {
            rows::add(self.isa, &mut table[*token as usize * hidden..][..hidden], dx);
        }
    }

    fn norm(&self, gradient: &Vec<f32>) -> f64 {
        let squares: Vec<f64> = self
            .pool
            .install(|| gradient.par_chunks(RUN).map(|g| rows::sum_of_squares(self.isa, g)).collect());
        squares.iter().sum::<f64>().sqrt()
    }

    fn adamw(&self, layout: &Layout, adamw: &AdamW, step: u64, scale: f32, state: Optimizer<'_, Vec<f32>>) {
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(step as f64);
        let constants = rows::AdamwStep {
            scale,
            beta1: adamw.beta1,
            beta2: adamw.beta2,
            rate: (f64::from(adamw.lr) / correction(adamw.beta1)) as f32,
            second: (1.0 / correction(adamw.beta2).sqrt()) as f32,
            eps: adamw.eps,
            keep: 1.0,
        };
        let mut runs = Vec::new();
        let (mut w, mut g) = (state.weights.as_mut_slice(), state.gradient.as_mut_slice());
        let (mut m, mut v) = (state.first.as_mut_slice(), state.second.as_mut_slice());
        for tensor in &layout.tensors {
            let decay = if tensor.shape.len() >= 2 { adamw.lr * adamw.weight_decay } else { 0.0 };
            let mut left = tensor.span.len();
            while left > 0 {
                let n = left.min(RUN);
                left -= n;
                runs.push((
                    rows::AdamwStep { keep: 1.0 - decay, ..constants },
                    w.split_off_mut(..n),
                    g.split_off_mut(..n),
                    m.split_off_mut(..n),
                    v.split_off_mut(..n),
                ));
            }
        }
        self.pool.install(|| {
            runs.into_par_iter().for_each(|(step, w, g, m, v)| {
                if let (Some(w), Some(g), Some(m), Some(v)) = (w, g, m, v) {
                    rows::adamw(self.isa, step, w, g, m, v);
                }
            });
        });
    }
}

impl Cpu {
    /// Attention's own backward: `dqkv` gets the gradients of rotated queries and keys, and of values.
    fn attention_core_backward(
        &self,
        heads: Heads,
        batch: &Flat,
        saved: &Saved<Vec<f32>>,
        dattended: &[f32],
        dqkv: &mut [f32],
    ) {
        let (count, q_width, width) = (batch.tokens_T.len(), heads.query * heads.dim, heads.width());
        let lengths = || batch.starts_S.windows(2).map(|s| s[1] - s[0]);
        let (dq, dkv) = MatMut::new(dqkv, count, width, width).split_cols(q_width);
        let (dk, dv) = dkv.split_cols(heads.kv * heads.dim);
        let dq = dq.grid(lengths(), heads.group() * heads.dim);
        let dk = dk.grid(lengths(), heads.dim);
        let dv = dv.grid(lengths(), heads.dim);
        dq.into_par_iter().zip(dk).zip(dv).enumerate().with_max_len(1).for_each(
            |(i, ((mut dq, mut dk), mut dv))| {
                let (first, kv) = (batch.starts_S[i / heads.kv], i % heads.kv);
                let inputs = attention::Backward {
                    isa: self.isa,
                    heads,
                    kv,
                    qkv: &saved.qkv[first * width..],
                    attended: &saved.attended[first * q_width..],
                    lse: &saved.lse[first * heads.query..],
                    dout: &dattended[first * q_width..],
                };
                attention::backward(inputs, &mut dq, &mut dk, &mut dv);
            },
        );
    }
}

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

use learner::AdamW;
use rayon::ThreadPool;
use rayon::prelude::*;

use self::attention::Heads;
use self::gradient::CHUNK;
use self::head::Head;
use self::layer::LayerView;
use self::weights::BackwardMatrix;
pub(crate) use self::weights::Packed;
use crate::device::{Device, Flat, Flow, Kept, Optimizer, Saved, Scores, Targets, Weights};
use crate::kernels::floats::Floats;
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

    fn head_view<'a>(&self, w: &'a Weights<'a, Cpu>, x: &'a [f32]) -> Head<'a> {
        Head { isa: self.isa, w, x }
    }
}

/// Chunks of `width`-wide rows.
fn chunks(buf: &[f32], width: usize) -> rayon::slice::Chunks<'_, f32> {
    buf.par_chunks(CHUNK * width)
}

/// Sizes a buffer and gives its chunks of `width`-wide rows.
fn chunks_mut(buf: &mut Floats, count: usize, width: usize) -> rayon::slice::ChunksMut<'_, f32> {
    buf.resize(count * width);
    buf.par_chunks_mut(CHUNK * width)
}

/// Rows `rows` of an array `width` wide.
fn of<'a>(data: &'a [f32], rows: &Range<usize>, width: usize) -> &'a [f32] {
    &data[rows.start * width..rows.end * width]
}

/// Temporary arrays of the backward pass.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// What the segments' gradients add up to.
    sums: Floats,
    dattended: Floats,
    dqkv: Floats,
    /// The matrices that the operation at work multiplies with.
    matrices: [BackwardMatrix; 2],
}

impl Device for Cpu {
    type Buf = Floats;
    type Packed = Packed;
    type Scratch = Scratch;

    fn empty(&self) -> Floats {
        Floats::new()
    }

    fn upload(&self, values: &[f32]) -> Floats {
        Floats::from(values)
    }

    fn download(&self, buf: &Floats) -> Vec<f32> {
        buf.to_vec()
    }

    fn pack(&self, layout: &Layout, flat: &Floats, packed: Option<Packed>) -> Packed {
        let mut packed = packed.unwrap_or_default();
        self.pool.install(|| packed.update(layout, flat));
        packed
    }

    fn embed(&self, w: &Weights<'_, Cpu>, batch: &Flat, x: &mut Floats) {
        let hidden = w.layout.config.hidden;
        let table = &w.flat[w.layout.embed.clone()];
        x.resize(batch.tokens_T.len() * hidden);
        for (x, token) in x.chunks_exact_mut(hidden).zip(&batch.tokens_T) {
            x.copy_from_slice(&table[*token as usize * hidden..][..hidden]);
        }
    }

    fn qkv(&self, w: &Weights<'_, Cpu>, layer: usize, batch: &Flat, x: &Floats, qkv: &mut Floats) {
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
        qkv: &Floats,
        attended: &mut Floats,
        lse: &mut Floats,
    ) {
        let heads = heads(w.layout);
        let (count, q_width) = (batch.tokens_T.len(), heads.query * heads.dim);
        attended.resize(count * q_width);
        lse.resize(count * heads.query);
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
        attended: &Floats,
        x: &Floats,
        middle: &mut Floats,
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
        middle: &Floats,
        gate_up: &mut Floats,
        out: &mut Floats,
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

    fn head(&self, w: &Weights<'_, Cpu>, x: &Floats, targets: Targets<'_>) -> Scores {
        self.pool.install(|| self.head_view(w, x).scores(targets))
    }

    fn logits(&self, w: &Weights<'_, Cpu>, x: &Floats) -> Vec<f32> {
        let c = &w.layout.config;
        let mut logits = vec![0.0; x.len() / c.hidden * c.vocab];
        self.pool.install(|| {
            chunks(x, c.hidden).zip(logits.par_chunks_mut(CHUNK * c.vocab)).for_each(|(x, logits)| {
                let mut rows = MatMut::new(logits, x.len() / c.hidden, c.vocab, c.vocab);
                scratch::with([x.len()], |[h]| {
                    layer::logits(self.isa, w, x, (h, c.hidden), &mut rows);
                });
            });
        });
        logits
    }

    fn head_backward(
        &self,
        w: &Weights<'_, Cpu>,
        x: &Floats,
        targets: Targets<'_>,
        flow: &mut Flow<'_, Floats, Scratch>,
    ) -> Scores {
        flow.dx.resize(0);
        flow.dx.resize(x.len());
        self.pool.install(|| self.head_view(w, x).backward(targets, flow))
    }

    fn mlp_backward(
        &self,
        w: &Weights<'_, Cpu>,
        layer: usize,
        kept: &Kept<'_, Floats>,
        flow: &mut Flow<'_, Floats, Scratch>,
    ) {
        let Flow { dx, gradient, scratch } = flow;
        let saved = kept.saved;
        let view = self.view(w, layer);
        let (hidden, mlp) = (w.layout.config.hidden, w.layout.config.mlp);
        let wide = 2 * mlp;
        let span = view.spans.post_norm.start..view.spans.down.end;
        let [gate_up, down] = &mut scratch.matrices;
        self.pool.install(|| {
            let matrices = [
                gate_up.pack(&w.flat[view.spans.gate_up.clone()], wide, hidden),
                down.pack(&w.flat[view.spans.down.clone()], hidden, mlp),
            ];
            gradient::by_chunks(
                self.isa,
                (dx, hidden),
                span,
                &mut scratch.sums,
                gradient,
                |rows, dx, sums| {
                    let (middle, gate_up) =
                        (of(&saved.middle, &rows, hidden), of(&saved.gate_up, &rows, wide));
                    view.mlp_backward(matrices, dx, middle, gate_up, sums);
                },
            );
        });
    }

    fn attention_backward(
        &self,
        w: &Weights<'_, Cpu>,
        layer: usize,
        batch: &Flat,
        kept: &Kept<'_, Floats>,
        flow: &mut Flow<'_, Floats, Scratch>,
    ) {
        let Flow { dx, gradient, scratch } = flow;
        let (x, saved) = (kept.x, kept.saved);
        let view = self.view(w, layer);
        let (hidden, heads) = (w.layout.config.hidden, heads(w.layout));
        let (count, q_width, width) = (dx.len() / hidden, heads.query * heads.dim, heads.width());
        let dattended = scratch.dattended.sized(count * q_width);
        let dqkv = scratch.dqkv.sized(count * width);
        let [qkv, out] = &mut scratch.matrices;
        self.pool.install(|| {
            let out = out.pack(&w.flat[view.spans.out.clone()], hidden, q_width);
            let qkv = qkv.pack(&w.flat[view.spans.qkv.clone()], width, hidden);
            let (span, sums) = (view.spans.out.clone(), &mut scratch.sums);
            gradient::by_chunks(
                self.isa,
                (dattended, q_width),
                span,
                sums,
                gradient,
                |rows, dattended, sums| {
                    let (dx, attended) = (of(dx, &rows, hidden), of(&saved.attended, &rows, q_width));
                    view.project_backward(out, dx, attended, dattended, sums);
                },
            );
            self.attention_core_backward(heads, batch, saved, dattended, dqkv);
            let span = view.spans.input_norm.start..view.spans.qkv_bias.end;
            gradient::by_chunks(
                self.isa,
                (dx, hidden),
                span,
                &mut scratch.sums,
                gradient,
                |rows, dx, sums| {
                    let (x, dqkv) = (of(x, &rows, hidden), of(dqkv, &rows, width));
                    view.qkv_backward(qkv, (x, &batch.positions_T[rows]), dqkv, dx, sums);
                },
            );
        });
    }

    fn embed_backward(&self, layout: &Layout, batch: &Flat, dx: &Floats, gradient: &mut Floats) {
        let hidden = layout.config.hidden;
        let table = &mut gradient[layout.embed.clone()];
        for (dx, token) in dx.chunks_exact(hidden).zip(&batch.tokens_T) {
            rows::add(self.isa, &mut table[*token as usize * hidden..][..hidden], dx);
        }
    }

    fn norm(&self, gradient: &Floats) -> f64 {
        let squares: Vec<f64> = self
            .pool
            .install(|| gradient.par_chunks(RUN).map(|g| rows::sum_of_squares(self.isa, g)).collect());
        squares.iter().sum::<f64>().sqrt()
    }

    fn adamw(&self, layout: &Layout, adamw: &AdamW, step: u64, scale: f32, state: Optimizer<'_, Floats>) {
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
        let (mut w, mut g) = (&mut **state.weights, &mut **state.gradient);
        let (mut m, mut v) = (&mut **state.first, &mut **state.second);
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
        saved: &Saved<Floats>,
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

//! A layer's work on some rows, on one thread. Trainer and sampler both go through these functions; each row's
//! result depends on that row alone.

use crate::cpu::gradient::{self, Sums};
use crate::cpu::weights::{BackwardMatrix, Packed, PackedLayer};
use crate::cpu::{Cpu, scratch};
use crate::device::Weights;
use crate::kernels::gemm::Write;
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};
use crate::layout::{Layer, Layout};

/// One layer as the row functions want it.
#[derive(Clone, Copy)]
pub(crate) struct LayerView<'a> {
    pub(crate) isa: Isa,
    pub(crate) layout: &'a Layout,
    pub(crate) flat: &'a [f32],
    pub(crate) spans: &'a Layer,
    pub(crate) packed: &'a PackedLayer,
    pub(crate) all: &'a Packed,
}

impl LayerView<'_> {
    pub(crate) fn eps(&self) -> f32 {
        self.layout.config.norm_eps as f32
    }

    pub(crate) fn input_gain(&self) -> &[f32] {
        &self.flat[self.spans.input_norm.clone()]
    }

    pub(crate) fn post_gain(&self) -> &[f32] {
        &self.flat[self.spans.post_norm.clone()]
    }

    /// Norm, projection, rotation.
    pub(crate) fn qkv(&self, x: &[f32], positions: &[u32], qkv: &mut [f32]) {
        let (hidden, width) = (self.layout.config.hidden, self.layout.qkv_width());
        let bias = &self.flat[self.spans.qkv_bias.clone()];
        scratch::with([x.len()], |[h]| {
            rows::rms_norm(self.isa, x, self.input_gain(), self.eps(), h, hidden);
            let mut out = MatMut::new(qkv, positions.len(), width, width);
            self.packed.qkv.apply(self.isa, h, hidden, &mut out, Some(bias), Write::Store);
        });
        let rotated = self.layout.q_width() + self.layout.kv_width();
        self.all.rope.rotate(self.isa, (qkv, width), rotated, positions, 1.0);
    }

    /// middle = x + attended · Wₒᵀ.
    pub(crate) fn project(&self, attended: &[f32], x: &[f32], middle: &mut [f32]) {
        let hidden = self.layout.config.hidden;
        middle.copy_from_slice(x);
        let mut middle = MatMut::new(middle, x.len() / hidden, hidden, hidden);
        self.packed.out.apply(self.isa, attended, self.layout.q_width(), &mut middle, None, Write::Add);
    }

    /// out = middle + SwiGLU(norm(middle)); leaves gate and up in `gate_up`.
    pub(crate) fn mlp(&self, middle: &[f32], gate_up: &mut [f32], out: &mut [f32]) {
        let (hidden, mlp) = (self.layout.config.hidden, self.layout.config.mlp);
        let count = middle.len() / hidden;
        scratch::with([middle.len(), count * mlp], |[h, act]| {
            rows::rms_norm(self.isa, middle, self.post_gain(), self.eps(), h, hidden);
            let mut wide = MatMut::new(gate_up, count, 2 * mlp, 2 * mlp);
            self.packed.gate_up.apply(self.isa, h, hidden, &mut wide, None, Write::Store);
            rows::swiglu(self.isa, gate_up, mlp, act);
            out.copy_from_slice(middle);
            let mut out = MatMut::new(out, count, hidden, hidden);
            self.packed.down.apply(self.isa, act, mlp, &mut out, None, Write::Add);
        });
    }

    /// Backward of [`LayerView::mlp`] for a chunk: `dx` of the output becomes that of `middle`; the gradients of
    /// the weights are added to `sums`.
    pub(crate) fn mlp_backward(
        &self,
        [gate_up_matrix, down_matrix]: [&BackwardMatrix; 2],
        dx: &mut [f32],
        middle: &[f32],
        gate_up: &[f32],
        sums: &mut Sums<'_>,
    ) {
        let (isa, hidden, mlp) = (self.isa, self.layout.config.hidden, self.layout.config.mlp);
        let count = dx.len() / hidden;
        let [s, s_act, s_wide] = [hidden, mlp, 2 * mlp].map(gradient::stride);
        let lengths = [dx.len(), count * s, count * s, count * s_act, count * s_wide];
        scratch::with(lengths, |[dh, dy, h, act, dgate_up]| {
            gradient::spread(dx, hidden, dy);
            down_matrix.apply(isa, dy, s, &mut MatMut::new(act, count, mlp, s_act));
            rows::swiglu_backward(isa, gate_up, mlp, dgate_up, s_wide, act, s_act);
            sums.product(isa, &self.spans.down, count, (dy, hidden), (act, mlp));
            let mut dh_rows = MatMut::new(dh, count, hidden, hidden);
            gate_up_matrix.apply(isa, dgate_up, s_wide, &mut dh_rows);
            rows::rms_norm(isa, middle, self.post_gain(), self.eps(), h, s);
            sums.product(isa, &self.spans.gate_up, count, (dgate_up, 2 * mlp), (h, hidden));
            let dgain = sums.vector(&self.spans.post_norm);
            rows::rms_norm_backward(isa, middle, self.post_gain(), self.eps(), dh, dx, dgain);
        });
    }

    /// Backward of [`LayerView::project`] for a chunk, towards attention's output.
    pub(crate) fn project_backward(
        &self,
        matrix: &BackwardMatrix,
        dx: &[f32],
        attended: &[f32],
        dattended: &mut [f32],
        sums: &mut Sums<'_>,
    ) {
        let (hidden, width) = (self.layout.config.hidden, self.layout.q_width());
        let count = dx.len() / hidden;
        let [s, s_wide] = [hidden, width].map(gradient::stride);
        scratch::with([count * s, count * s_wide], |[dy, x]| {
            gradient::spread(dx, hidden, dy);
            gradient::spread(attended, width, x);
            sums.product(self.isa, &self.spans.out, count, (dy, hidden), (x, width));
            let mut out = MatMut::new(dattended, count, width, width);
            matrix.apply(self.isa, dy, s, &mut out);
        });
    }

    /// Backward of [`LayerView::qkv`] for a chunk: adds the input's gradient to `dx`. `dqkv` is that of rotated
    /// queries and keys.
    pub(crate) fn qkv_backward(
        &self,
        matrix: &BackwardMatrix,
        (x, positions): (&[f32], &[u32]),
        dqkv: &[f32],
        dx: &mut [f32],
        sums: &mut Sums<'_>,
    ) {
        let (isa, hidden, width) = (self.isa, self.layout.config.hidden, self.layout.qkv_width());
        let rotated = self.layout.q_width() + self.layout.kv_width();
        let count = positions.len();
        let [s, s_wide] = [hidden, width].map(gradient::stride);
        scratch::with([x.len(), count * s, count * s_wide], |[dh, h, dy]| {
            gradient::spread(dqkv, width, dy);
            let dbias = sums.vector(&self.spans.qkv_bias);
            self.all.rope.rotate(isa, (&mut *dy, s_wide), rotated, positions, -1.0);
            for row in dy.chunks(s_wide) {
                rows::add(isa, dbias, &row[..width]);
            }
            rows::rms_norm(isa, x, self.input_gain(), self.eps(), h, s);
            sums.product(isa, &self.spans.qkv, count, (dy, width), (h, hidden));
            matrix.apply(isa, dy, s_wide, &mut MatMut::new(dh, count, hidden, hidden));
            let dgain = sums.vector(&self.spans.input_norm);
            rows::rms_norm_backward(isa, x, self.input_gain(), self.eps(), dh, dx, dgain);
        });
    }
}

/// Final norm and output matrix on some rows: `logits` is `[rows, vocab]`; the normed rows are left in `h`, `stride`
/// apart.
pub(crate) fn logits(
    isa: Isa,
    w: &Weights<'_, Cpu>,
    x: &[f32],
    (h, stride): (&mut [f32], usize),
    logits: &mut MatMut<'_>,
) {
    let gain = &w.flat[w.layout.final_norm.clone()];
    rows::rms_norm(isa, x, gain, w.layout.config.norm_eps as f32, h, stride);
    w.packed.head.apply(isa, h, stride, logits, None, Write::Store);
}

//! A layer's work on some rows, on one thread. Trainer and sampler both go through these functions; each row's
//! result depends on that row alone.

use crate::cpu::weights::{Packed, PackedLayer};
use crate::cpu::{gradient, scratch};
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
        let width = self.layout.qkv_width();
        let bias = &self.flat[self.spans.qkv_bias.clone()];
        scratch::with([x.len()], |[h]| {
            rows::rms_norm(self.isa, x, self.input_gain(), self.eps(), h);
            let mut out = MatMut::new(qkv, positions.len(), width, width);
            self.packed.qkv.apply(self.isa, h, &mut out, Some(bias), Write::Store);
        });
        let rotated = self.layout.q_width() + self.layout.kv_width();
        for (row, position) in qkv.chunks_exact_mut(width).zip(positions) {
            self.all.rope.rotate(self.isa, &mut row[..rotated], *position, 1.0);
        }
    }

    /// middle = x + attended · Wₒᵀ.
    pub(crate) fn project(&self, attended: &[f32], x: &[f32], middle: &mut [f32]) {
        let hidden = self.layout.config.hidden;
        middle.copy_from_slice(x);
        let mut middle = MatMut::new(middle, x.len() / hidden, hidden, hidden);
        self.packed.out.apply(self.isa, attended, &mut middle, None, Write::Add);
    }

    /// out = middle + SwiGLU(norm(middle)); leaves gate and up in `gate_up`.
    pub(crate) fn mlp(&self, middle: &[f32], gate_up: &mut [f32], out: &mut [f32]) {
        let (hidden, mlp) = (self.layout.config.hidden, self.layout.config.mlp);
        let count = middle.len() / hidden;
        scratch::with([middle.len(), count * mlp], |[h, act]| {
            rows::rms_norm(self.isa, middle, self.post_gain(), self.eps(), h);
            let mut wide = MatMut::new(gate_up, count, 2 * mlp, 2 * mlp);
            self.packed.gate_up.apply(self.isa, h, &mut wide, None, Write::Store);
            rows::swiglu(self.isa, gate_up, mlp, act);
            out.copy_from_slice(middle);
            let mut out = MatMut::new(out, count, hidden, hidden);
            self.packed.down.apply(self.isa, act, &mut out, None, Write::Add);
        });
    }

    /// Backward of [`LayerView::mlp`]: `dmiddle` = gradient of `middle`, `gate_up` becomes its own gradient;
    /// the activations go to panels for the weight gradients, the norm's gain gradient is added to `gain`.
    pub(crate) fn mlp_backward(
        &self,
        dx: &[f32],
        middle: &[f32],
        gate_up: &mut [f32],
        dmiddle: &mut [f32],
        (act_panels, h_panels): (&mut [f32], &mut [f32]),
        gain: &mut [f32],
    ) {
        let (hidden, mlp) = (self.layout.config.hidden, self.layout.config.mlp);
        let count = dx.len() / hidden;
        scratch::with([dx.len(), dx.len(), count * mlp], |[h, dh, act]| {
            self.packed.down.apply_backward(self.isa, dx, &mut MatMut::new(act, count, mlp, mlp));
            rows::swiglu_backward(self.isa, gate_up, mlp, act);
            gradient::to_panels(act, mlp, act_panels);
            self.packed.gate_up.apply_backward(
                self.isa,
                gate_up,
                &mut MatMut::new(dh, count, hidden, hidden),
            );
            rows::rms_norm(self.isa, middle, self.post_gain(), self.eps(), h);
            gradient::to_panels(h, hidden, h_panels);
            dmiddle.copy_from_slice(dx);
            rows::rms_norm_backward(self.isa, middle, self.post_gain(), self.eps(), dh, dmiddle, gain);
        });
    }

    /// Backward of [`LayerView::project`] towards attention's output.
    pub(crate) fn project_backward(
        &self,
        dx: &[f32],
        attended: &[f32],
        dattended: &mut [f32],
        panels: &mut [f32],
    ) {
        let width = self.layout.q_width();
        gradient::to_panels(attended, width, panels);
        let mut out = MatMut::new(dattended, dx.len() / self.layout.config.hidden, width, width);
        self.packed.out.apply_backward(self.isa, dx, &mut out);
    }

    /// Backward of [`LayerView::qkv`]: adds the input's gradient to `dx`; `dqkv` is rotated back in place.
    pub(crate) fn qkv_backward(
        &self,
        x: &[f32],
        positions: &[u32],
        dqkv: &mut [f32],
        dx: &mut [f32],
        panels: &mut [f32],
        (gain, bias): (&mut [f32], &mut [f32]),
    ) {
        let (hidden, width) = (self.layout.config.hidden, self.layout.qkv_width());
        let rotated = self.layout.q_width() + self.layout.kv_width();
        for (row, position) in dqkv.chunks_exact_mut(width).zip(positions) {
            self.all.rope.rotate(self.isa, &mut row[..rotated], *position, -1.0);
            rows::add(self.isa, bias, row);
        }
        scratch::with([x.len(), x.len()], |[h, dh]| {
            rows::rms_norm(self.isa, x, self.input_gain(), self.eps(), h);
            gradient::to_panels(h, hidden, panels);
            let mut out = MatMut::new(dh, positions.len(), hidden, hidden);
            self.packed.qkv.apply_backward(self.isa, dqkv, &mut out);
            rows::rms_norm_backward(self.isa, x, self.input_gain(), self.eps(), dh, dx, gain);
        });
    }
}

/// Final norm and output matrix on some rows: `logits` is `[rows, vocab]`, `h` the normed rows.
pub(crate) fn logits(
    isa: Isa,
    layout: &Layout,
    flat: &[f32],
    packed: &Packed,
    x: &[f32],
    h: &mut [f32],
    logits: &mut [f32],
) {
    let c = &layout.config;
    rows::rms_norm(isa, x, &flat[layout.final_norm.clone()], c.norm_eps as f32, h);
    let mut logits = MatMut::new(logits, x.len() / c.hidden, c.vocab, c.vocab);
    packed.head.apply(isa, h, &mut logits, None, Write::Store);
}

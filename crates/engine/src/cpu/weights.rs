//! Weights packed for the matrix products.

use rayon::prelude::*;

use crate::kernels::floats::Floats;
use crate::kernels::gemm::{Left, NR, Right, Write, gemm, pack_panel, pack_transposed};
use crate::kernels::matrix::MatMut;
use crate::kernels::{Isa, rows};
use crate::layout::Layout;

/// One matrix W [out, in], packed for x · Wᵀ.
#[derive(Debug, Default)]
pub(crate) struct Matrix {
    /// Rows of W.
    pub(crate) out: usize,
    /// Columns of W.
    pub(crate) input: usize,
    panels: Floats,
}

impl Matrix {
    fn pack(&mut self, w: &[f32], out: usize, input: usize) {
        (self.out, self.input) = (out, input);
        pack_transposed(w, out, input, input, &mut self.panels);
    }

    /// y = x · Wᵀ (+ bias) for row-major `x`, `stride` from row to row.
    #[expect(clippy::too_many_arguments, reason = "the kernel's own arguments, with the matrix filled in")]
    pub(crate) fn apply(
        &self,
        isa: Isa,
        x: &[f32],
        stride: usize,
        y: &mut MatMut<'_>,
        bias: Option<&[f32]>,
        write: Write,
    ) {
        let left = Left::rows(x, stride);
        gemm(isa, left, Right::packed(&self.panels, self.input), self.input, y, bias, write);
    }
}

/// One matrix W [out, in], packed for dy · W: only while the backward pass is at it, in storage that all share.
#[derive(Debug, Default)]
pub(crate) struct BackwardMatrix {
    out: usize,
    panels: Floats,
}

impl BackwardMatrix {
    /// Packs with all threads.
    pub(crate) fn pack(&mut self, w: &[f32], out: usize, input: usize) -> &BackwardMatrix {
        self.out = out;
        self.panels.resize(input.div_ceil(NR) * NR * out);
        let panels = self.panels.par_chunks_exact_mut(NR * out).enumerate();
        panels.for_each(|(p, panel)| pack_panel(w, input, input, p, panel));
        self
    }

    /// dx = dy · W for row-major `dy`, `stride` from row to row.
    pub(crate) fn apply(&self, isa: Isa, dy: &[f32], stride: usize, dx: &mut MatMut<'_>) {
        let right = Right::packed(&self.panels, self.out);
        gemm(isa, Left::rows(dy, stride), right, self.out, dx, None, Write::Store);
    }
}

/// One layer's matrices.
#[derive(Debug, Default)]
pub(crate) struct PackedLayer {
    pub(crate) qkv: Matrix,
    pub(crate) out: Matrix,
    pub(crate) gate_up: Matrix,
    pub(crate) down: Matrix,
}

/// All matrices of a model, and the rotation table.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    pub(crate) layers: Vec<PackedLayer>,
    pub(crate) head: Matrix,
    pub(crate) rope: Rope,
}

impl Packed {
    /// Packs what changed since the last step: everything but the rotation table.
    pub(crate) fn update(&mut self, layout: &Layout, flat: &[f32]) {
        let c = &layout.config;
        if self.layers.is_empty() {
            self.layers.resize_with(c.layers, PackedLayer::default);
            self.rope = Rope::new(c.context, layout.head_dim(), c.rope_theta);
        }
        let head = &mut self.head;
        self.layers.par_iter_mut().zip(&layout.layers).for_each(|(packed, spans)| {
            packed.qkv.pack(&flat[spans.qkv.clone()], layout.qkv_width(), c.hidden);
            packed.out.pack(&flat[spans.out.clone()], c.hidden, layout.q_width());
            packed.gate_up.pack(&flat[spans.gate_up.clone()], 2 * c.mlp, c.hidden);
            packed.down.pack(&flat[spans.down.clone()], c.hidden, c.mlp);
        });
        head.pack(&flat[layout.head.clone()], c.vocab, c.hidden);
    }
}

/// cos and sin of every position and frequency: `[context, 2, d/2]`.
#[derive(Debug, Default)]
pub(crate) struct Rope {
    half: usize,
    table: Vec<f32>,
}

impl Rope {
    fn new(context: usize, head_dim: usize, theta: f64) -> Rope {
        let half = head_dim / 2;
        let angle = |i: usize| {
            let (position, frequency) = (i / half, i % half);
            position as f64 * theta.powf(-2.0 * frequency as f64 / head_dim as f64)
        };
        let rows = (0..context).map(|position| position * half..(position + 1) * half);
        let table = rows.flat_map(|row| {
            row.clone().map(|i| angle(i).cos() as f32).chain(row.map(|i| angle(i).sin() as f32))
        });
        Rope { half, table: table.collect() }
    }

    /// Rotates the heads in the first `width` elements of rows `stride` apart; `direction` −1 rotates back.
    pub(crate) fn rotate(
        &self,
        isa: Isa,
        (rows, stride): (&mut [f32], usize),
        width: usize,
        positions: &[u32],
        direction: f32,
    ) {
        rows::rope(isa, rows, stride, width, positions, &self.table, self.half, direction);
    }
}

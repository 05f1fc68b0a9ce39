//! The operations a device must offer. The model (`model.rs`) is written once over them, forward and
//! backward; each operation is fused as far as its data stay close.
//!
//! Axes in names: `_T` token of the flat batch, `_N` row that needs logits. Buffers are row-major `[T, width]`.

use learner::AdamW;

use crate::layout::Layout;

/// A batch as the model sees it: checked, with positions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat {
    /// Tokens, laid end to end.
    pub(crate) tokens_T: Vec<u32>,
    /// Where each sequence starts, and the total as the last entry.
    pub(crate) starts_S: Vec<usize>,
    /// Position of each token in its sequence.
    pub(crate) positions_T: Vec<u32>,
}

/// A prediction: the hidden state of token `row` foretells token `row + 1`, which is `target`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prediction {
    /// Row of the hidden state.
    pub(crate) row: u32,
    /// The token that came.
    pub(crate) target: u32,
    /// Loss gradient in its log-probability (backward only).
    pub(crate) weight: f32,
    /// Weight of its distribution's divergence from the reference's (backward only).
    pub(crate) kl_weight: f32,
}

/// What the output layer is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Targets<'a> {
    pub(crate) predictions_N: &'a [Prediction],
    /// What the logits are divided by before any log-probability is taken.
    pub(crate) temperature: f32,
    /// Log-probabilities `[T, vocab]` that predictions with a `kl_weight` diverge from (backward only).
    pub(crate) reference_TV: &'a [f32],
}

impl<'a> Targets<'a> {
    /// Predictions without a reference.
    pub(crate) fn of(predictions_N: &'a [Prediction], temperature: f32) -> Targets<'a> {
        Targets { predictions_N, temperature, reference_TV: &[] }
    }
}

/// What the output layer says of the predictions.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_field_names, reason = "axes are part of names")]
pub(crate) struct Scores {
    /// Log-probability of each target.
    pub(crate) logprobs_N: Vec<f32>,
    /// Entropy of each distribution, in nats.
    pub(crate) entropy_N: Vec<f32>,
    /// Divergence of each distribution from the reference's, where it has a weight (backward only).
    pub(crate) divergence_N: Vec<f32>,
}

/// Parameters in both forms: flat, and packed for the matrix products.
pub(crate) struct Weights<'a, D: Device + ?Sized> {
    pub(crate) layout: &'a Layout,
    pub(crate) flat: &'a D::Buf,
    pub(crate) packed: &'a D::Packed,
}

/// Activations one layer keeps for its backward pass.
pub(crate) struct Saved<B> {
    /// `[T, q + 2·kv]`: queries, keys (both rotated) and values.
    pub(crate) qkv: B,
    /// `[T, q]`: output of attention.
    pub(crate) attended: B,
    /// `[T, heads]`: log of the attention weights' sum.
    pub(crate) lse: B,
    /// `[T, hidden]`: after attention's residual.
    pub(crate) middle: B,
    /// `[T, 2·mlp]`: gate and up.
    pub(crate) gate_up: B,
}

/// What the backward pass carries from operation to operation: a buffer `B` and a device's scratch `S`.
pub(crate) struct Flow<'a, B, S> {
    /// `[T, hidden]`: gradient of the residual stream.
    pub(crate) dx: &'a mut B,
    /// The accumulated gradient of the weights.
    pub(crate) gradient: &'a mut B,
    pub(crate) scratch: &'a mut S,
}

/// What a layer was given, and what it kept.
pub(crate) struct Kept<'a, B> {
    /// `[T, hidden]`: its input.
    pub(crate) x: &'a B,
    pub(crate) saved: &'a Saved<B>,
}

/// A place where tensors live and operations run.
pub(crate) trait Device {
    /// An array of f32.
    type Buf;
    /// Weights as this device's matrix products want them.
    type Packed;
    /// Temporary storage of the backward pass, kept from one to the next.
    type Scratch: Default;

    /// An empty buffer; operations size their outputs themselves.
    fn empty(&self) -> Self::Buf;
    /// Copies in.
    fn upload(&self, values: &[f32]) -> Self::Buf;
    /// Copies out.
    fn download(&self, buf: &Self::Buf) -> Vec<f32>;
    /// Packs the weights, into old storage where there is some.
    fn pack(&self, layout: &Layout, flat: &Self::Buf, packed: Option<Self::Packed>) -> Self::Packed;

    /// x = embedding of each token.
    fn embed(&self, w: &Weights<'_, Self>, batch: &Flat, x: &mut Self::Buf);
    /// RMS norm, query/key/value projection with bias, rotation of queries and keys.
    fn qkv(&self, w: &Weights<'_, Self>, layer: usize, batch: &Flat, x: &Self::Buf, qkv: &mut Self::Buf);
    /// Causal attention within each sequence.
    fn attention(
        &self,
        w: &Weights<'_, Self>,
        batch: &Flat,
        qkv: &Self::Buf,
        attended: &mut Self::Buf,
        lse: &mut Self::Buf,
    );
    /// middle = x + attended · Wₒᵀ.
    fn project(
        &self,
        w: &Weights<'_, Self>,
        layer: usize,
        attended: &Self::Buf,
        x: &Self::Buf,
        middle: &mut Self::Buf,
    );
    /// out = middle + SwiGLU(norm(middle)).
    fn mlp(
        &self,
        w: &Weights<'_, Self>,
        layer: usize,
        middle: &Self::Buf,
        gate_up: &mut Self::Buf,
        out: &mut Self::Buf,
    );
    /// Final norm and output layer by chunks of rows: log-probability and entropy of each prediction.
    fn head(&self, w: &Weights<'_, Self>, x: &Self::Buf, targets: Targets<'_>) -> Scores;

    /// The output layer's logits of every row, for inspection.
    fn logits(&self, w: &Weights<'_, Self>, x: &Self::Buf) -> Vec<f32>;

    /// [`Device::head`] and its backward in one pass: `flow.dx` becomes the gradient of every row (0 where nothing
    /// is predicted).
    fn head_backward(
        &self,
        w: &Weights<'_, Self>,
        x: &Self::Buf,
        targets: Targets<'_>,
        flow: &mut Flow<'_, Self::Buf, Self::Scratch>,
    ) -> Scores;
    /// Backward of [`Device::mlp`]: `flow.dx` of the output becomes that of `middle`.
    fn mlp_backward(
        &self,
        w: &Weights<'_, Self>,
        layer: usize,
        kept: &Kept<'_, Self::Buf>,
        flow: &mut Flow<'_, Self::Buf, Self::Scratch>,
    );
    /// Backward of [`Device::project`], [`Device::attention`] and [`Device::qkv`]: `flow.dx` of `middle` becomes
    /// that of the layer's input.
    fn attention_backward(
        &self,
        w: &Weights<'_, Self>,
        layer: usize,
        batch: &Flat,
        kept: &Kept<'_, Self::Buf>,
        flow: &mut Flow<'_, Self::Buf, Self::Scratch>,
    );
    /// Backward of [`Device::embed`].
    fn embed_backward(&self, layout: &Layout, batch: &Flat, dx: &Self::Buf, gradient: &mut Self::Buf);

    /// Euclidean norm of the gradient.
    fn norm(&self, gradient: &Self::Buf) -> f64;
    /// One AdamW step with the gradient scaled by `scale`; clears the gradient. `step` counts from 1.
    fn adamw(&self, layout: &Layout, adamw: &AdamW, step: u64, scale: f32, state: Optimizer<'_, Self::Buf>);
}

/// What the optimizer changes.
pub(crate) struct Optimizer<'a, B> {
    pub(crate) weights: &'a mut B,
    pub(crate) gradient: &'a mut B,
    pub(crate) first: &'a mut B,
    pub(crate) second: &'a mut B,
}

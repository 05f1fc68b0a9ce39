//! The forward and backward pass, written once over [`Device`].

use learner::{Batch, ForwardBackward, LearnerError, Objective};

use crate::device::{Device, Flat, Flow, Kept, Prediction, Saved, Scores, Targets, Weights};
use crate::layout::Layout;

/// Buffers of a pass, kept from one to the next.
pub(crate) struct Workspace<D: Device> {
    /// Input of each layer, and the output of the last.
    streams: Vec<D::Buf>,
    saved: Vec<Saved<D::Buf>>,
    /// Gradient of the residual stream.
    dx: D::Buf,
    scratch: D::Scratch,
}

impl<D: Device> Workspace<D> {
    /// Empty buffers for a model.
    pub(crate) fn new(device: &D, layout: &Layout) -> Workspace<D> {
        let layers = layout.config.layers;
        let saved = || Saved {
            qkv: device.empty(),
            attended: device.empty(),
            lse: device.empty(),
            middle: device.empty(),
            gate_up: device.empty(),
        };
        Workspace {
            streams: (0..=layers).map(|_| device.empty()).collect(),
            saved: (0..layers).map(|_| saved()).collect(),
            dx: device.empty(),
            scratch: D::Scratch::default(),
        }
    }
}

/// Checks a batch against the model and adds positions.
pub(crate) fn flatten(layout: &Layout, batch: &Batch) -> Result<Flat, LearnerError> {
    let ends_right = match (batch.starts_S.first(), batch.starts_S.last()) {
        (Some(first), Some(last)) => *first == 0 && *last as usize == batch.tokens_T.len(),
        _ => batch.tokens_T.is_empty(),
    };
    if !ends_right || batch.starts_S.windows(2).any(|w| w[0] > w[1]) {
        return Err(LearnerError::Request("the sequence starts of a batch do not fit its tokens".to_owned()));
    }
    check_tokens(layout, &batch.tokens_T)?;
    let mut positions_T = Vec::with_capacity(batch.len());
    for range in batch.sequences() {
        if range.len() > layout.config.context {
            return Err(LearnerError::Request(format!(
                "a sequence of {} tokens is longer than the context of {}",
                range.len(),
                layout.config.context
            )));
        }
        positions_T.extend(0..range.len() as u32);
    }
    Ok(Flat {
        tokens_T: batch.tokens_T.clone(),
        starts_S: batch.starts_S.iter().map(|s| *s as usize).collect(),
        positions_T,
    })
}

/// Refuses tokens outside the vocabulary.
pub(crate) fn check_tokens(layout: &Layout, tokens: &[u32]) -> Result<(), LearnerError> {
    match tokens.iter().find(|t| **t as usize >= layout.config.vocab) {
        Some(token) => Err(LearnerError::Request(format!(
            "token {token} is outside the vocabulary of {}",
            layout.config.vocab
        ))),
        None => Ok(()),
    }
}

/// Runs all layers and returns which stream holds the output. With `save` every layer keeps what its
/// backward pass needs; without, all work in the buffers of the first.
fn layers_forward<D: Device>(
    device: &D,
    w: &Weights<'_, D>,
    batch: &Flat,
    ws: &mut Workspace<D>,
    save: bool,
) -> usize {
    device.embed(w, batch, &mut ws.streams[0]);
    for layer in 0..w.layout.config.layers {
        let here = if save { layer } else { 0 };
        let (x, out) = ws.streams.split_at_mut(here + 1);
        let (x, out) = (&x[here], &mut out[0]);
        let s = &mut ws.saved[here];
        device.qkv(w, layer, batch, x, &mut s.qkv);
        device.attention(w, batch, &s.qkv, &mut s.attended, &mut s.lse);
        device.project(w, layer, &s.attended, x, &mut s.middle);
        device.mlp(w, layer, &s.middle, &mut s.gate_up, out);
        if !save {
            ws.streams.swap(0, 1);
        }
    }
    if save { w.layout.config.layers } else { 0 }
}

/// Log-probability of every token at a temperature, without gradients.
pub(crate) fn logprobs<D: Device>(
    device: &D,
    w: &Weights<'_, D>,
    batch: &Flat,
    ws: &mut Workspace<D>,
    temperature: f32,
) -> Vec<f32> {
    let mut pass = empty_pass(batch.tokens_T.len());
    if !batch.tokens_T.is_empty() {
        let output = layers_forward(device, w, batch, ws, false);
        let list = predictions(batch);
        let scores = device.head(w, &ws.streams[output], Targets::of(&list, temperature));
        scatter(&list, &scores, &mut pass);
    }
    pass.logprobs_T
}

/// A loss, and the temperature of the distributions that it is about.
#[derive(Clone, Copy)]
pub(crate) struct Loss<'a> {
    pub(crate) objective: &'a dyn Objective,
    pub(crate) temperature: f32,
}

/// One forward and backward pass; adds to `gradient`.
pub(crate) fn forward_backward<D: Device>(
    device: &D,
    w: &Weights<'_, D>,
    batch: &Flat,
    loss: Loss<'_>,
    ws: &mut Workspace<D>,
    gradient: &mut D::Buf,
) -> Result<ForwardBackward, LearnerError> {
    if batch.tokens_T.is_empty() {
        let mut pass = empty_pass(0);
        pass.loss = loss.objective.gradient(&[], &mut []);
        return Ok(pass);
    }
    let output = layers_forward(device, w, batch, ws, true);
    let mut flow = Flow { dx: &mut ws.dx, gradient, scratch: &mut ws.scratch };
    let (pass, any) = head_forward_backward(device, w, batch, loss, &ws.streams[output], &mut flow)?;
    if any {
        for layer in (0..w.layout.config.layers).rev() {
            let kept = Kept { x: &ws.streams[layer], saved: &ws.saved[layer] };
            device.mlp_backward(w, layer, &kept, &mut flow);
            device.attention_backward(w, layer, batch, &kept, &mut flow);
        }
        device.embed_backward(w.layout, batch, flow.dx, flow.gradient);
    }
    Ok(pass)
}

/// The output layer's part of a pass: `x` is the output of the last layer. Also says whether any prediction has a
/// gradient.
fn head_forward_backward<D: Device>(
    device: &D,
    w: &Weights<'_, D>,
    batch: &Flat,
    Loss { objective, temperature }: Loss<'_>,
    x: &D::Buf,
    flow: &mut Flow<'_, D::Buf, D::Scratch>,
) -> Result<(ForwardBackward, bool), LearnerError> {
    let count = batch.tokens_T.len();
    let mut pass = empty_pass(count);
    let mut gradient_T = vec![0.0; count];

    // Rows whose gradient is known to be 0 need no backward pass through the output layer. A gradient that
    // depends on the log-probabilities needs all of them first, and the logits a second time.
    let mut list = predictions(batch);
    let constant = objective.constant_gradient();
    if constant.is_some_and(|g| g.len() != count) {
        return Err(LearnerError::Request("the objective's gradient does not fit the batch".to_owned()));
    }
    if let Some(constant) = constant {
        gradient_T.copy_from_slice(constant);
    } else {
        scatter(&list, &device.head(w, x, Targets::of(&list, temperature)), &mut pass);
        pass.loss = objective.gradient(&pass.logprobs_T, &mut gradient_T);
    }
    for p in &mut list {
        p.weight = gradient_T[p.row as usize + 1];
    }
    let reference_TV = reference(w.layout, objective, &mut list, count)?;
    let (active, idle): (Vec<_>, Vec<_>) =
        list.into_iter().partition(|p| p.weight != 0.0 || p.kl_weight != 0.0);
    if constant.is_some() {
        scatter(&idle, &device.head(w, x, Targets::of(&idle, temperature)), &mut pass);
    }
    let targets = Targets { reference_TV, ..Targets::of(&active, temperature) };
    let scores = device.head_backward(w, x, targets, flow);
    scatter(&active, &scores, &mut pass);
    if constant.is_some() {
        pass.loss = objective.gradient(&pass.logprobs_T, &mut gradient_T);
    }
    for (p, divergence) in active.iter().zip(&scores.divergence_N) {
        pass.divergence_T[p.row as usize + 1] = *divergence;
        pass.loss += f64::from(p.kl_weight) * f64::from(*divergence);
    }
    Ok((pass, !active.is_empty()))
}

/// Gives the predictions the weights of the objective's KL term; returns the reference's log-probabilities.
fn reference<'o>(
    layout: &Layout,
    objective: &'o dyn Objective,
    list: &mut [Prediction],
    count: usize,
) -> Result<&'o [f32], LearnerError> {
    let Some(kl) = objective.reference_kl() else { return Ok(&[]) };
    let Some(reference_TV) = kl.reference.values_TV() else {
        return Err(LearnerError::Request("the objective's reference is held by another learner".to_owned()));
    };
    if kl.weights_T.len() != count || reference_TV.len() != count * layout.config.vocab {
        return Err(LearnerError::Request("the objective's reference does not fit the batch".to_owned()));
    }
    for p in list {
        p.kl_weight = kl.weights_T[p.row as usize + 1];
    }
    Ok(reference_TV)
}

/// What a pass over `count` tokens reports before anything is known.
fn empty_pass(count: usize) -> ForwardBackward {
    let zeros = || vec![0.0; count];
    ForwardBackward { loss: 0.0, logprobs_T: zeros(), entropy_T: zeros(), divergence_T: zeros() }
}

/// Puts the scores of predictions where their tokens stand.
fn scatter(list: &[Prediction], scores: &Scores, pass: &mut ForwardBackward) {
    for ((p, logprob), entropy) in list.iter().zip(&scores.logprobs_N).zip(&scores.entropy_N) {
        pass.logprobs_T[p.row as usize + 1] = *logprob;
        pass.entropy_T[p.row as usize + 1] = *entropy;
    }
}

/// Every position that has a successor in its sequence.
fn predictions(batch: &Flat) -> Vec<Prediction> {
    let mut list = Vec::with_capacity(batch.tokens_T.len());
    for range in batch.starts_S.windows(2) {
        for t in range[0] + 1..range[1].max(range[0] + 1) {
            list.push(Prediction {
                row: t as u32 - 1,
                target: batch.tokens_T[t],
                weight: 0.0,
                kl_weight: 0.0,
            });
        }
    }
    list
}

/// Logits of every token's successor.
pub(crate) fn logits<D: Device>(
    device: &D,
    w: &Weights<'_, D>,
    batch: &Flat,
    ws: &mut Workspace<D>,
) -> Vec<f32> {
    if batch.tokens_T.is_empty() {
        return Vec::new();
    }
    let output = layers_forward(device, w, batch, ws, false);
    device.logits(w, &ws.streams[output])
}

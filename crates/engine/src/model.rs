//! The forward and backward pass, written once over [`Device`].

use learner::{Batch, ForwardBackward, LearnerError, Objective};

use crate::device::{Device, Flat, Prediction, Saved, Scores, Weights};
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

/// Log-probability and entropy of every token, without gradients.
pub(crate) fn forward<D: Device>(
    device: &D,
    w: &Weights<'_, D>,
    batch: &Flat,
    ws: &mut Workspace<D>,
) -> (Vec<f32>, Vec<f32>) {
    let mut logprobs_T = vec![0.0; batch.tokens_T.len()];
    let mut entropy_T = logprobs_T.clone();
    if !batch.tokens_T.is_empty() {
        let output = layers_forward(device, w, batch, ws, false);
        let list = predictions(batch);
        let scores = device.head(w, &ws.streams[output], &list);
        scatter(&list, &scores, &mut logprobs_T, &mut entropy_T);
    }
    (logprobs_T, entropy_T)
}

/// One forward and backward pass; adds to `gradient`.
pub(crate) fn forward_backward<D: Device>(
    device: &D,
    w: &Weights<'_, D>,
    batch: &Flat,
    objective: &dyn Objective,
    ws: &mut Workspace<D>,
    gradient: &mut D::Buf,
) -> Result<ForwardBackward, LearnerError> {
    let count = batch.tokens_T.len();
    let mut logprobs_T = vec![0.0; count];
    let mut entropy_T = vec![0.0; count];
    let mut divergence_T = vec![0.0; count];
    let mut gradient_T = vec![0.0; count];
    if count == 0 {
        let loss = objective.gradient(&[], &mut []);
        return Ok(ForwardBackward { loss, logprobs_T, entropy_T, divergence_T });
    }
    let output = layers_forward(device, w, batch, ws, true);
    let (x, dx, scratch) = (&ws.streams[output], &mut ws.dx, &mut ws.scratch);

    // Rows whose gradient is known to be 0 need no backward pass through the output layer. A gradient that
    // depends on the log-probabilities needs all of them first, and the logits a second time.
    let mut list = predictions(batch);
    let constant = objective.constant_gradient();
    if constant.is_some_and(|g| g.len() != count) {
        return Err(LearnerError::Request("the objective's gradient does not fit the batch".to_owned()));
    }
    if constant.is_none() {
        let scores = device.head(w, x, &list);
        scatter(&list, &scores, &mut logprobs_T, &mut entropy_T);
    }
    let mut loss = 0.0;
    match constant {
        Some(constant) => gradient_T.copy_from_slice(constant),
        None => loss = objective.gradient(&logprobs_T, &mut gradient_T),
    }
    for p in &mut list {
        p.weight = gradient_T[p.row as usize + 1];
    }
    let reference_TV = pull(w.layout, objective, &mut list, count)?;
    let (active, idle): (Vec<_>, Vec<_>) = list.into_iter().partition(|p| p.weight != 0.0 || p.pull != 0.0);
    if constant.is_some() {
        let scores = device.head(w, x, &idle);
        scatter(&idle, &scores, &mut logprobs_T, &mut entropy_T);
    }
    let scores = device.head_backward(w, count, x, &active, reference_TV, dx, gradient, scratch);
    scatter(&active, &scores, &mut logprobs_T, &mut entropy_T);
    if constant.is_some() {
        loss = objective.gradient(&logprobs_T, &mut gradient_T);
    }
    for (p, divergence) in active.iter().zip(&scores.divergence_N) {
        divergence_T[p.row as usize + 1] = *divergence;
        loss += f64::from(p.pull) * f64::from(*divergence);
    }

    if !active.is_empty() {
        for layer in (0..w.layout.config.layers).rev() {
            let saved = &mut ws.saved[layer];
            device.mlp_backward(w, layer, saved, dx, gradient, scratch);
            device.attention_backward(w, layer, batch, &ws.streams[layer], saved, dx, gradient, scratch);
        }
        device.embed_backward(w.layout, batch, dx, gradient);
    }
    Ok(ForwardBackward { loss, logprobs_T, entropy_T, divergence_T })
}

/// Gives the predictions the weights of the objective's pull; returns what it pulls towards.
fn pull<'o>(
    layout: &Layout,
    objective: &'o dyn Objective,
    list: &mut [Prediction],
    count: usize,
) -> Result<&'o [f32], LearnerError> {
    let Some(pull) = objective.reference_kl() else { return Ok(&[]) };
    if pull.weights_T.len() != count || pull.reference_TV.len() != count * layout.config.vocab {
        return Err(LearnerError::Request("the objective's reference does not fit the batch".to_owned()));
    }
    for p in list {
        p.pull = pull.weights_T[p.row as usize + 1];
    }
    Ok(pull.reference_TV)
}

/// Puts the scores of predictions where their tokens stand.
fn scatter(list: &[Prediction], scores: &Scores, logprobs_T: &mut [f32], entropy_T: &mut [f32]) {
    for ((p, logprob), entropy) in list.iter().zip(&scores.logprobs_N).zip(&scores.entropy_N) {
        logprobs_T[p.row as usize + 1] = *logprob;
        entropy_T[p.row as usize + 1] = *entropy;
    }
}

/// Every position that has a successor in its sequence.
fn predictions(batch: &Flat) -> Vec<Prediction> {
    let mut list = Vec::with_capacity(batch.tokens_T.len());
    for range in batch.starts_S.windows(2) {
        for t in range[0] + 1..range[1].max(range[0] + 1) {
            list.push(Prediction { row: t as u32 - 1, target: batch.tokens_T[t], weight: 0.0, pull: 0.0 });
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

//! Where a training step's time goes: each operation's seconds and arithmetic, beside what the matrix
//! kernel reaches at best. The caller brings the clock.

use std::cell::RefCell;
use std::collections::BTreeMap;

use learner::{AdamW, Batch, LearnerError, ModelConfig, Objective};

use crate::cpu::{Cpu, Packed, Scratch};
use crate::device::{Device, Flat, Flow, Kept, Optimizer, Scores, Targets, Weights};
use crate::init;
use crate::kernels::floats::Floats;
use crate::kernels::gemm::{Left, MR, NR, Right, Write, gemm};
use crate::kernels::matrix::MatMut;
use crate::layout::Layout;
use crate::model::{self, Loss, Workspace};
use crate::verbs::CpuFactory;

/// Seconds since some moment.
pub type Clock<'a> = &'a (dyn Fn() -> f64 + Sync);

/// One operation's share of the steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// For example "mlp_backward".
    pub name: &'static str,
    /// Time it took.
    pub seconds: f64,
    /// Multiplications and additions it must do in matrix products; 0 if it has none.
    pub flops: f64,
}

/// What [`profile`] measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// Floating-point operations per second of the matrix kernel on data in cache, all threads at once.
    pub ceiling: f64,
    /// All operations, the longest first.
    pub operations: Vec<Operation>,
    /// Time of the steps as a whole.
    pub seconds: f64,
}

/// Runs `steps` training steps (forward, backward, AdamW, packing) after one to warm up.
///
/// # Errors
/// If the shape is impossible or the batch does not fit it.
pub fn profile(
    factory: CpuFactory,
    config: &ModelConfig,
    batch: &Batch,
    steps: usize,
    now: Clock<'_>,
) -> Result<Profile, LearnerError> {
    let layout = Layout::new(config)?;
    let batch = model::flatten(&layout, batch)?;
    let cpu = factory.device()?;
    let device = Timed { cpu, now, log: RefCell::default() };
    let objective = Uniform(vec![-1.0 / batch.tokens_T.len().max(1) as f32; batch.tokens_T.len()]);
    let adamw = AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip_norm: 1.0 };
    let mut weights = Floats::from(&*device.cpu.pool.install(|| init::fresh(&layout, [0; 32])));
    let [mut gradient, mut first, mut second] = [0; 3].map(|_| Floats::zeros(layout.parameters));
    let mut workspace = Workspace::new(&device, &layout);
    let (mut packed, mut seconds, mut ceilings) = (None, 0.0, 0.0);
    for step in 0..=steps {
        if step == 1 {
            device.log.borrow_mut().clear();
            (seconds, ceilings) = (0.0, 0.0);
        }
        // Before every step: what disturbs the machine disturbs both.
        ceilings += best(&device.cpu, now);
        let start = now();
        let fresh = device.pack(&layout, &weights, packed.take());
        let w = Weights { layout: &layout, flat: &weights, packed: &fresh };
        let loss = Loss { objective: &objective, temperature: 1.0 };
        model::forward_backward(&device, &w, &batch, loss, &mut workspace, &mut gradient)?;
        packed = Some(fresh);
        let norm = device.norm(&gradient);
        let scale = if norm > 1.0 { 1.0 / norm } else { 1.0 };
        let (weights, gradient) = (&mut weights, &mut gradient);
        let state = Optimizer { weights, gradient, first: &mut first, second: &mut second };
        device.adamw(&layout, &adamw, step as u64 + 1, scale as f32, state);
        seconds += now() - start;
    }
    let log = device.log.into_inner();
    let mut operations: Vec<Operation> =
        log.into_iter().map(|(name, (seconds, flops))| Operation { name, seconds, flops }).collect();
    operations.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    Ok(Profile { ceiling: ceilings / steps.max(1) as f64, operations, seconds })
}

/// Cross-entropy of every token.
struct Uniform(Vec<f32>);

impl Objective for Uniform {
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64 {
        gradient_T.copy_from_slice(&self.0);
        logprobs_T.iter().zip(&self.0).map(|(l, g)| f64::from(l * g)).sum()
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        Some(&self.0)
    }
}

/// Floating-point operations per second of the matrix kernel at its best: every thread multiplies matrices that
/// stay in its cache, for some hundredths of a second.
///
/// # Errors
/// If the threads cannot be started.
pub fn ceiling(factory: CpuFactory, now: Clock<'_>) -> Result<f64, LearnerError> {
    Ok(best(&factory.device()?, now))
}

fn best(cpu: &Cpu, now: Clock<'_>) -> f64 {
    let (m, n, k, repeats) = (8 * MR, 8 * NR, 128, 400);
    let of_each = cpu.pool.broadcast(|_| {
        let (a, b, mut c) = (vec![0.5; m * k], vec![0.25; n * k], vec![0.0; m * n]);
        let start = now();
        for _ in 0..repeats {
            let mut c = MatMut::new(&mut c, m, n, n);
            gemm(cpu.isa, Left::rows(&a, k), Right::packed(&b, k), k, &mut c, None, Write::Store);
        }
        (repeats * 2 * m * n * k) as f64 / (now() - start)
    });
    of_each.iter().sum()
}

/// The CPU with a stop-watch on every operation.
struct Timed<'a> {
    cpu: Cpu,
    now: Clock<'a>,
    log: RefCell<BTreeMap<&'static str, (f64, f64)>>,
}

impl Timed<'_> {
    fn time<R>(&self, name: &'static str, flops: f64, work: impl FnOnce(&Cpu) -> R) -> R {
        let start = (self.now)();
        let result = work(&self.cpu);
        let mut log = self.log.borrow_mut();
        let entry = log.entry(name).or_default();
        entry.0 += (self.now)() - start;
        entry.1 += flops;
        result
    }
}

fn plain<'a>(w: &Weights<'a, Timed<'_>>) -> Weights<'a, Cpu> {
    Weights { layout: w.layout, flat: w.flat, packed: w.packed }
}

/// Operations of products with a `[out, input]` matrix for `rows` rows.
fn product(rows: usize, out: usize, input: usize) -> f64 {
    2.0 * rows as f64 * out as f64 * input as f64
}

/// Operations of causal attention's two products.
fn attention_flops(layout: &Layout, batch: &Flat) -> f64 {
    let pairs = batch.starts_S.windows(2).map(|s| ((s[1] - s[0]) * (s[1] - s[0] + 1) / 2) as f64);
    4.0 * pairs.sum::<f64>() * layout.q_width() as f64
}

type Buf = Floats;

impl Device for Timed<'_> {
    type Buf = Buf;
    type Packed = Packed;
    type Scratch = Scratch;

    fn empty(&self) -> Buf {
        self.cpu.empty()
    }

    fn upload(&self, values: &[f32]) -> Buf {
        self.cpu.upload(values)
    }

    fn download(&self, buf: &Buf) -> Vec<f32> {
        self.cpu.download(buf)
    }

    fn pack(&self, layout: &Layout, flat: &Buf, packed: Option<Packed>) -> Packed {
        self.time("pack", 0.0, |cpu| cpu.pack(layout, flat, packed))
    }

    fn embed(&self, w: &Weights<'_, Self>, batch: &Flat, x: &mut Buf) {
        self.time("embed", 0.0, |cpu| cpu.embed(&plain(w), batch, x));
    }

    fn qkv(&self, w: &Weights<'_, Self>, layer: usize, batch: &Flat, x: &Buf, qkv: &mut Buf) {
        let flops = product(batch.tokens_T.len(), w.layout.qkv_width(), w.layout.config.hidden);
        self.time("qkv", flops, |cpu| cpu.qkv(&plain(w), layer, batch, x, qkv));
    }

    fn attention(&self, w: &Weights<'_, Self>, batch: &Flat, qkv: &Buf, attended: &mut Buf, lse: &mut Buf) {
        let flops = attention_flops(w.layout, batch);
        self.time("attention", flops, |cpu| cpu.attention(&plain(w), batch, qkv, attended, lse));
    }

    fn project(&self, w: &Weights<'_, Self>, layer: usize, attended: &Buf, x: &Buf, middle: &mut Buf) {
        let hidden = w.layout.config.hidden;
        let flops = product(x.len() / hidden, hidden, w.layout.q_width());
        self.time("project", flops, |cpu| cpu.project(&plain(w), layer, attended, x, middle));
    }

    fn mlp(&self, w: &Weights<'_, Self>, layer: usize, middle: &Buf, gate_up: &mut Buf, out: &mut Buf) {
        let flops = 3.0 * product(middle.len(), w.layout.config.mlp, 1);
        self.time("mlp", flops, |cpu| cpu.mlp(&plain(w), layer, middle, gate_up, out));
    }

    fn head(&self, w: &Weights<'_, Self>, x: &Buf, targets: Targets<'_>) -> Scores {
        let flops = product(targets.predictions_N.len(), w.layout.config.vocab, w.layout.config.hidden);
        self.time("head", flops, |cpu| cpu.head(&plain(w), x, targets))
    }

    fn logits(&self, w: &Weights<'_, Self>, x: &Buf) -> Vec<f32> {
        self.cpu.logits(&plain(w), x)
    }

    fn head_backward(
        &self,
        w: &Weights<'_, Self>,
        x: &Buf,
        targets: Targets<'_>,
        flow: &mut Flow<'_, Buf, Scratch>,
    ) -> Scores {
        let flops = 3.0 * product(targets.predictions_N.len(), w.layout.config.vocab, w.layout.config.hidden);
        self.time("head_backward", flops, |cpu| cpu.head_backward(&plain(w), x, targets, flow))
    }

    fn mlp_backward(
        &self,
        w: &Weights<'_, Self>,
        layer: usize,
        kept: &Kept<'_, Buf>,
        flow: &mut Flow<'_, Buf, Scratch>,
    ) {
        let flops = 6.0 * product(flow.dx.len(), w.layout.config.mlp, 1);
        self.time("mlp_backward", flops, |cpu| cpu.mlp_backward(&plain(w), layer, kept, flow));
    }

    fn attention_backward(
        &self,
        w: &Weights<'_, Self>,
        layer: usize,
        batch: &Flat,
        kept: &Kept<'_, Buf>,
        flow: &mut Flow<'_, Buf, Scratch>,
    ) {
        let matrices = w.layout.qkv_width() + w.layout.q_width();
        let flops = 2.0 * (product(flow.dx.len(), matrices, 1) + attention_flops(w.layout, batch));
        self.time("attention_backward", flops, |cpu| {
            cpu.attention_backward(&plain(w), layer, batch, kept, flow);
        });
    }

    fn embed_backward(&self, layout: &Layout, batch: &Flat, dx: &Buf, gradient: &mut Buf) {
        self.time("embed_backward", 0.0, |cpu| cpu.embed_backward(layout, batch, dx, gradient));
    }

    fn norm(&self, gradient: &Buf) -> f64 {
        self.time("norm", 0.0, |cpu| cpu.norm(gradient))
    }

    fn adamw(&self, layout: &Layout, adamw: &AdamW, step: u64, scale: f32, state: Optimizer<'_, Buf>) {
        self.time("adamw", 0.0, |cpu| cpu.adamw(layout, adamw, step, scale, state));
    }
}

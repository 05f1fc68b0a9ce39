//! The learner's verbs over the CPU device.

use std::path::Path;
use std::sync::Arc;

use learner::{
    AdamW, Batch, Distributions, ForwardBackward, Learner, LearnerError, LearnerFactory, ModelConfig,
    Objective, OptimStep, Prompt, Sample, Sampling, Transfer,
};
use rayon::ThreadPoolBuilder;
use rayon::prelude::*;

use crate::checkpoint::{self, OptimizerState};
use crate::cpu::{Cpu, Packed};
use crate::device::{Device, Optimizer, Weights};
use crate::kernels::floats::Floats;
use crate::kernels::{Isa, rows};
use crate::layout::Layout;
use crate::model::{self, Loss, Workspace};
use crate::{init, kernels};

/// Makes learners that run on the processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuFactory {
    /// Number of threads; all cores if not given. Results do not depend on it.
    pub threads: Option<usize>,
    /// Whether each thread keeps to a processor of its own. Two programs that do so on one machine may choose the
    /// same ones. Results do not depend on it.
    pub pin: bool,
    /// The token that ends a response of an opened model, instead of the one that its `config.json` names: published
    /// models name one there that their tokenizer does not have.
    pub eos: Option<u32>,
}

impl CpuFactory {
    /// A factory of so many threads, all cores if not given.
    pub fn with_threads(threads: Option<usize>) -> CpuFactory {
        CpuFactory { threads, pin: false, eos: None }
    }

    pub(crate) fn device(self) -> Result<Cpu, LearnerError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.threads.unwrap_or(0))
            .thread_name(|i| format!("engine {i}"))
            .start_handler(move |i| {
                if self.pin {
                    kernels::affinity::pin(i);
                }
            })
            .build()
            .map_err(|e| LearnerError::Request(format!("the threads cannot be started: {e}")))?;
        Ok(Cpu { isa: Isa::detect(), pool: Arc::new(pool) })
    }

    /// [`LearnerFactory::fresh`] with the type known.
    ///
    /// # Errors
    /// As there.
    pub fn fresh_cpu(&self, model: &ModelConfig, seed: [u8; 32]) -> Result<CpuLearner, LearnerError> {
        let layout = Layout::new(model)?;
        let device = self.device()?;
        let weights = device.pool.install(|| init::fresh(&layout, seed));
        Ok(CpuLearner::new(device, layout, &weights))
    }

    /// [`LearnerFactory::open`] with the type known. Optimizer state, where present, is read too.
    ///
    /// # Errors
    /// As there.
    pub fn open_cpu(&self, dir: &Path) -> Result<CpuLearner, LearnerError> {
        let config = self.config(dir)?;
        let layout = checkpoint::layout(dir, &config)?;
        let weights = checkpoint::load(dir, &layout)?;
        let mut learner = CpuLearner::new(self.device()?, layout, &weights);
        learner.restore(checkpoint::load_optimizer(dir, &learner.layout)?);
        Ok(learner)
    }
}

impl CpuFactory {
    /// The shape of the model in a directory, with the end token that was asked for.
    fn config(&self, dir: &Path) -> Result<ModelConfig, LearnerError> {
        let mut config = checkpoint::read_config(dir)?;
        if self.eos.is_some() && self.eos != config.eos {
            (config.eos, config.pad) = (self.eos, None);
        }
        Ok(config)
    }
}

impl LearnerFactory for CpuFactory {
    fn fresh(&self, model: &ModelConfig, seed: [u8; 32]) -> Result<Box<dyn Learner>, LearnerError> {
        Ok(Box::new(self.fresh_cpu(model, seed)?))
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Learner>, LearnerError> {
        Ok(Box::new(self.open_cpu(dir)?))
    }

    fn check(&self, dir: &Path) -> Result<(), LearnerError> {
        let config = self.config(dir)?;
        checkpoint::layout(dir, &config).map(drop)
    }
}

/// A Qwen2 model on the processor, with its optimizer.
pub struct CpuLearner {
    device: Cpu,
    layout: Layout,
    weights: Floats,
    packed: Option<Packed>,
    /// Whether `packed` is of these weights.
    fresh: bool,
    /// Empty until the first backward pass: a model that is only sampled needs none.
    gradient: Floats,
    first: Floats,
    second: Floats,
    step: u64,
    workspace: Workspace<Cpu>,
}

impl CpuLearner {
    fn new(device: Cpu, layout: Layout, weights: &[f32]) -> CpuLearner {
        let workspace = Workspace::new(&device, &layout);
        let weights = device.upload(weights);
        CpuLearner {
            device,
            layout,
            weights,
            packed: None,
            fresh: false,
            gradient: Floats::new(),
            first: Floats::new(),
            second: Floats::new(),
            step: 0,
            workspace,
        }
    }

    /// The model's shape.
    pub fn config(&self) -> &ModelConfig {
        &self.layout.config
    }

    /// Name, shape and values of every tensor, in the layout's order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        self.layout.tensors.iter().map(|t| (t.name.as_str(), &*t.shape, &self.weights[t.span.clone()]))
    }

    /// The accumulated gradient of every tensor, like [`CpuLearner::tensors`]; nothing before the first
    /// backward pass.
    pub fn gradients(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        let tensors = self.layout.tensors.iter().filter(|_| !self.gradient.is_empty());
        tensors.map(|t| (t.name.as_str(), &*t.shape, &self.gradient[t.span.clone()]))
    }

    /// Logits of every token's successor: `[T, vocab]`. For inspection; training never holds them.
    ///
    /// # Errors
    /// As [`Learner::logprobs`].
    pub fn logits(&mut self, batch: &Batch) -> Result<Vec<f32>, LearnerError> {
        let flat = model::flatten(&self.layout, batch)?;
        self.pack();
        let Some(packed) = &self.packed else { return Ok(Vec::new()) };
        let w = Weights { layout: &self.layout, flat: &self.weights, packed };
        Ok(model::logits(&self.device, &w, &flat, &mut self.workspace))
    }

    fn pack(&mut self) {
        if !self.fresh {
            let packed = self.packed.take();
            self.packed = Some(self.device.pack(&self.layout, &self.weights, packed));
            self.fresh = true;
        }
    }

    fn restore(&mut self, state: Option<OptimizerState>) {
        (self.step, self.first, self.second) = match state {
            Some(state) => (state.step, self.device.upload(&state.first), self.device.upload(&state.second)),
            None => (0, Floats::new(), Floats::new()),
        };
        self.gradient.resize(0);
    }

    fn check_prompt(&self, prompt: &Prompt) -> Result<(), LearnerError> {
        if prompt.tokens.is_empty() {
            return Err(LearnerError::Request("a prompt is empty".to_owned()));
        }
        let (len, context) = (prompt.tokens.len(), self.layout.config.context);
        if len > context {
            return Err(LearnerError::Request(format!(
                "a prompt of {len} tokens is longer than the context of {context}"
            )));
        }
        model::check_tokens(&self.layout, &prompt.tokens)
    }
}

impl Learner for CpuLearner {
    fn forward_backward(
        &mut self,
        batch: &Batch,
        objective: &dyn Objective,
        temperature: f32,
    ) -> Result<ForwardBackward, LearnerError> {
        check_temperature(temperature)?;
        let flat = model::flatten(&self.layout, batch)?;
        self.pack();
        self.gradient.resize(self.layout.parameters);
        let Some(packed) = &self.packed else {
            return Err(LearnerError::Request("the weights are not packed".to_owned()));
        };
        let w = Weights { layout: &self.layout, flat: &self.weights, packed };
        let loss = Loss { objective, temperature };
        model::forward_backward(&self.device, &w, &flat, loss, &mut self.workspace, &mut self.gradient)
    }

    fn optim_step(&mut self, adamw: &AdamW) -> Result<OptimStep, LearnerError> {
        for state in [&mut self.gradient, &mut self.first, &mut self.second] {
            state.resize(self.layout.parameters);
        }
        let grad_norm = self.device.norm(&self.gradient);
        if !grad_norm.is_finite() {
            self.gradient.fill(0.0);
            return Ok(OptimStep { grad_norm, applied: false });
        }
        let clip = f64::from(adamw.clip_norm);
        let scale = if clip > 0.0 && grad_norm > clip { clip / grad_norm } else { 1.0 };
        self.step += 1;
        let state = Optimizer {
            weights: &mut self.weights,
            gradient: &mut self.gradient,
            first: &mut self.first,
            second: &mut self.second,
        };
        self.device.adamw(&self.layout, adamw, self.step, scale as f32, state);
        self.fresh = false;
        Ok(OptimStep { grad_norm, applied: true })
    }

    fn logprobs(&mut self, batch: &Batch, temperature: f32) -> Result<Vec<f32>, LearnerError> {
        check_temperature(temperature)?;
        let flat = model::flatten(&self.layout, batch)?;
        self.pack();
        let Some(packed) = &self.packed else { return Ok(Vec::new()) };
        let w = Weights { layout: &self.layout, flat: &self.weights, packed };
        Ok(model::logprobs(&self.device, &w, &flat, &mut self.workspace, temperature))
    }

    fn distributions(&mut self, batch: &Batch, temperature: f32) -> Result<Distributions, LearnerError> {
        check_temperature(temperature)?;
        let mut logits_TV = self.logits(batch)?;
        let (isa, vocab) = (self.device.isa, self.layout.config.vocab);
        self.device.pool.install(|| {
            logits_TV.par_chunks_exact_mut(vocab).for_each(|row| {
                rows::at_temperature(isa, row, temperature);
                rows::to_logprobs(isa, row, rows::log_softmax(isa, row));
            });
        });
        Ok(Distributions::Values(logits_TV))
    }

    fn sample(
        &mut self,
        prompts_P: &[Prompt],
        sampling: &Sampling,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Sample>>, LearnerError> {
        sampling.check().map_err(|(_, reason)| LearnerError::Request(reason))?;
        prompts_P.iter().try_for_each(|prompt| self.check_prompt(prompt))?;
        self.pack();
        let Some(packed) = &self.packed else { return Ok(Vec::new()) };
        let w = Weights { layout: &self.layout, flat: &self.weights, packed };
        Ok(self.device.sample(&w, prompts_P, sampling, progress))
    }

    fn save(&self, dir: &Path, with_optimizer: bool) -> Result<Transfer, LearnerError> {
        checkpoint::save(dir, &self.layout, &self.device.download(&self.weights))?;
        let zeros = |state: &Floats| {
            if state.is_empty() { vec![0.0; self.layout.parameters] } else { self.device.download(state) }
        };
        let state = with_optimizer.then(|| OptimizerState {
            step: self.step,
            first: zeros(&self.first),
            second: zeros(&self.second),
        });
        checkpoint::save_optimizer(dir, &self.layout, state.as_ref())?;
        Ok(Transfer::SharedDisk)
    }

    fn load(&mut self, dir: &Path) -> Result<(), LearnerError> {
        let found = checkpoint::read_config(dir)?;
        let mine = &self.layout.config;
        let fitting = ModelConfig {
            context: mine.context,
            init_std: mine.init_std,
            scale_residual_init: mine.scale_residual_init,
            eos: mine.eos,
            pad: mine.pad,
            ..found.clone()
        };
        if fitting != *mine {
            return Err(LearnerError::Checkpoint {
                path: dir.display().to_string(),
                reason: format!("the checkpoint is of another shape ({found:?}) than this model ({mine:?})"),
            });
        }
        let weights = checkpoint::load(dir, &self.layout)?;
        let state = checkpoint::load_optimizer(dir, &self.layout)?;
        self.weights = self.device.upload(&weights);
        self.restore(state);
        self.fresh = false;
        Ok(())
    }

    fn parameters(&self) -> Result<usize, LearnerError> {
        Ok(self.layout.parameters)
    }
}

fn check_temperature(temperature: f32) -> Result<(), LearnerError> {
    if temperature.is_finite() && temperature > 0.0 {
        return Ok(());
    }
    Err(LearnerError::Request(format!("the temperature is {temperature}, but must be above 0")))
}

/// The instruction set in use, for reports: "avx512", "avx2" or "scalar".
pub fn instruction_set() -> &'static str {
    match kernels::Isa::detect() {
        Isa::Avx512 => "avx512",
        Isa::Avx2 => "avx2",
        Isa::Scalar => "scalar",
    }
}

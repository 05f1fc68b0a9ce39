//! A model one can reason about: the next token depends on the one before it, through a table of logits.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    rc::Rc,
    time::Duration,
};

use learner::{
    AdamW, Batch, Distributions, ForwardBackward, Learner, LearnerError, LearnerFactory, ModelConfig,
    Objective, OptimStep, Prompt, Sample, Sampling, StopReason, Transfer,
};

/// Fails at the n-th use of any verb, like a machine that dies there.
#[derive(Debug, Clone)]
pub(crate) struct Fuse {
    left: Rc<Cell<u64>>,
    /// How long each use takes at least.
    pause: Duration,
}

impl Fuse {
    pub(crate) fn after(uses: u64) -> Self {
        Self { left: Rc::new(Cell::new(uses)), pause: Duration::ZERO }
    }

    /// Never fails, but takes its time: there is something to hit in the middle of everything.
    pub(crate) fn slow(pause: Duration) -> Self {
        Self { pause, ..Self::never() }
    }

    pub(crate) fn never() -> Self {
        Self::after(u64::MAX)
    }

    fn burn(&self) -> Result<(), LearnerError> {
        std::thread::sleep(self.pause);
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        if left == 0 { Err(LearnerError::Request("the fuse is burnt".to_owned())) } else { Ok(()) }
    }
}

pub(crate) struct Factory {
    pub(crate) fuse: Fuse,
    /// The end token: samples stop at it.
    pub(crate) eos: u32,
    /// Added to the end token's logits in fresh models.
    pub(crate) lean: f64,
    /// How far off its sampler is at most, in log-probability.
    pub(crate) gap: f32,
}

impl Factory {
    pub(crate) fn new(fuse: Fuse) -> Self {
        Self { fuse, eos: 1, lean: 0.0, gap: 0.0 }
    }
}

impl LearnerFactory for Factory {
    fn fresh(&self, model: &ModelConfig, seed: [u8; 32]) -> Result<Box<dyn Learner>, LearnerError> {
        self.fuse.burn()?;
        let mut table = Table::new(model.vocab, self.eos, self.fuse.clone());
        table.gap = self.gap;
        for (i, weight) in table.weights.iter_mut().enumerate() {
            *weight = 0.1 * (uniform(&seed, 0, i as u64) - 0.5);
            *weight += if i % model.vocab == self.eos as usize { self.lean } else { 0.0 };
        }
        Ok(Box::new(table))
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Learner>, LearnerError> {
        self.fuse.burn()?;
        let mut table = Table::new(0, self.eos, self.fuse.clone());
        table.gap = self.gap;
        table.read(dir)?;
        (table.m, table.v, table.steps) = (vec![0.0; table.weights.len()], vec![0.0; table.weights.len()], 0);
        Ok(Box::new(table))
    }
}

/// Logits of the next token given the last, `vocab × vocab`, with AdamW.
pub(crate) struct Table {
    vocab: usize,
    eos: u32,
    pub(crate) weights: Vec<f64>,
    gradient: Vec<f64>,
    m: Vec<f64>,
    v: Vec<f64>,
    steps: u64,
    fuse: Fuse,
    gap: f32,
}

impl Table {
    pub(crate) fn new(vocab: usize, eos: u32, fuse: Fuse) -> Self {
        let zeros = || vec![0.0; vocab * vocab];
        let (weights, gradient, m, v) = (zeros(), zeros(), zeros(), zeros());
        Self { vocab, eos, weights, gradient, m, v, steps: 0, fuse, gap: 0.0 }
    }

    /// Probabilities of the token after `last` at a temperature.
    pub(crate) fn probabilities(&self, last: u32, temperature: f32) -> Vec<f64> {
        let row = &self.weights[last as usize * self.vocab..][..self.vocab];
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut p: Vec<f64> =
            row.iter().map(|logit| ((logit - max) / f64::from(temperature)).exp()).collect();
        let sum: f64 = p.iter().sum();
        for p in &mut p {
            *p /= sum;
        }
        p
    }

    /// Probabilities and entropy after each token that the batch holds.
    fn rows(&self, batch: &Batch, temperature: f32) -> BTreeMap<u32, (Vec<f64>, f32)> {
        let row = |last: u32| {
            let p = self.probabilities(last, temperature);
            let entropy = -p.iter().map(|p| p * p.ln()).sum::<f64>() as f32;
            (last, (p, entropy))
        };
        let tokens: BTreeSet<u32> = batch.tokens_T.iter().copied().collect();
        tokens.into_iter().map(row).collect()
    }

    fn passes(&self, batch: &Batch, temperature: f32) -> Vec<f32> {
        let rows = self.rows(batch, temperature);
        let mut logprobs_T = vec![0.0; batch.len()];
        for range in batch.sequences() {
            for t in range.start + 1..range.end {
                let (p, _) = &rows[&batch.tokens_T[t - 1]];
                logprobs_T[t] = p[batch.tokens_T[t] as usize].ln() as f32;
            }
        }
        logprobs_T
    }

    fn sample_one(&self, prompt: &Prompt, number: u32, sampling: &Sampling) -> Sample {
        let mut last = *prompt.tokens.last().expect("prompts are not empty");
        let (mut tokens, mut logprobs) = (Vec::new(), Vec::new());
        for t in 0..sampling.max_tokens {
            // A greedy token has the log-probability of temperature 1.
            let greedy = sampling.temperature <= 0.0;
            let p = self.probabilities(last, if greedy { 1.0 } else { sampling.temperature });
            let mut rest = uniform(&prompt.key, u64::from(number) + 1, u64::from(t));
            let mut token = 0;
            while token + 1 < p.len() && rest >= p[token] {
                rest -= p[token];
                token += 1;
            }
            if greedy {
                token = (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0);
            }
            tokens.push(token as u32);
            let off = self.gap * uniform(&prompt.key, u64::from(number) + 1, u64::from(t)) as f32;
            logprobs.push(p[token].ln() as f32 + off);
            last = token as u32;
            if last == self.eos {
                return Sample { tokens, logprobs, stop: StopReason::End };
            }
        }
        Sample { tokens, logprobs, stop: StopReason::Length }
    }

    fn read(&mut self, dir: &Path) -> Result<(), LearnerError> {
        self.weights = numbers(&dir.join("model.safetensors"))?;
        self.vocab = (self.weights.len() as f64).sqrt() as usize;
        self.gradient = vec![0.0; self.weights.len()];
        Ok(())
    }
}

impl Learner for Table {
    fn forward_backward(
        &mut self,
        batch: &Batch,
        objective: &dyn Objective,
        temperature: f32,
    ) -> Result<ForwardBackward, LearnerError> {
        self.fuse.burn()?;
        let logprobs_T = self.passes(batch, temperature);
        let mut gradient_T = vec![0.0; batch.len()];
        let mut loss = objective.gradient(&logprobs_T, &mut gradient_T);
        let mut divergence_T = vec![0.0; batch.len()];
        if let Some(constant) = objective.constant_gradient() {
            assert_eq!(constant, gradient_T);
        }
        let rows = self.rows(batch, temperature);
        // A logit counts for 1/temperature of itself.
        let slope = 1.0 / f64::from(temperature);
        let mut entropy_T = vec![0.0; batch.len()];
        for range in batch.sequences() {
            for t in range.start + 1..range.end {
                let last = batch.tokens_T[t - 1];
                let (p, entropy) = &rows[&last];
                entropy_T[t] = *entropy;
                let row = &mut self.gradient[last as usize * self.vocab..][..self.vocab];
                for (token, (gradient, p)) in row.iter_mut().zip(p).enumerate() {
                    let target = f64::from(u8::from(token == batch.tokens_T[t] as usize));
                    *gradient += slope * f64::from(gradient_T[t]) * (target - p);
                }
                let Some(kl_term) = objective.reference_kl() else { continue };
                let weight = f64::from(kl_term.weights_T[t]);
                let reference_TV = kl_term.reference.values_TV().expect("they are here");
                let reference = &reference_TV[(t - 1) * self.vocab..][..self.vocab];
                let log_ratio = |(p, q): (&f64, &f32)| p.ln() - f64::from(*q);
                let kl: f64 = p.iter().zip(reference).map(|pair| pair.0 * log_ratio(pair)).sum();
                for (gradient, pair) in row.iter_mut().zip(p.iter().zip(reference)) {
                    *gradient += slope * weight * pair.0 * (log_ratio(pair) - kl);
                }
                divergence_T[t] = kl as f32;
                loss += weight * kl;
            }
        }
        Ok(ForwardBackward { loss, logprobs_T, entropy_T, divergence_T })
    }

    fn optim_step(&mut self, adamw: &AdamW) -> Result<OptimStep, LearnerError> {
        let grad_norm = self.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let clip = f64::from(adamw.clip_norm);
        let scale = if clip > 0.0 && grad_norm > clip { clip / grad_norm } else { 1.0 };
        if !grad_norm.is_finite() {
            self.gradient.fill(0.0);
            return Ok(OptimStep { grad_norm, applied: false });
        }
        self.steps += 1;
        let (b1, b2) = (f64::from(adamw.beta1), f64::from(adamw.beta2));
        let correct = |b: f64| 1.0 - b.powi(self.steps as i32);
        for i in 0..self.weights.len() {
            let g = self.gradient[i] * scale;
            self.m[i] = b1 * self.m[i] + (1.0 - b1) * g;
            self.v[i] = b2 * self.v[i] + (1.0 - b2) * g * g;
            let direction =
                self.m[i] / correct(b1) / ((self.v[i] / correct(b2)).sqrt() + f64::from(adamw.eps));
            self.weights[i] -=
                f64::from(adamw.lr) * (direction + f64::from(adamw.weight_decay) * self.weights[i]);
            self.gradient[i] = 0.0;
        }
        Ok(OptimStep { grad_norm, applied: true })
    }

    fn logprobs(&mut self, batch: &Batch, temperature: f32) -> Result<Vec<f32>, LearnerError> {
        self.fuse.burn()?;
        Ok(self.passes(batch, temperature))
    }

    fn samples_exactly(&self) -> bool {
        self.gap == 0.0
    }

    fn distributions(&mut self, batch: &Batch, temperature: f32) -> Result<Distributions, LearnerError> {
        self.fuse.burn()?;
        let rows = self.rows(batch, temperature);
        let values = batch.tokens_T.iter().flat_map(|last| rows[last].0.iter().map(|p| p.ln() as f32));
        Ok(Distributions::Values(values.collect()))
    }

    fn sample(
        &mut self,
        prompts_P: &[Prompt],
        sampling: &Sampling,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Sample>>, LearnerError> {
        self.fuse.burn()?;
        let mut one = |prompt: &Prompt, number| {
            let sample = self.sample_one(prompt, number, sampling);
            progress(sample.tokens.len());
            sample
        };
        let group =
            |prompt: &Prompt| (prompt.first..prompt.first + prompt.n).map(|s| one(prompt, s)).collect();
        Ok(prompts_P.iter().map(group).collect())
    }

    fn save(&self, dir: &Path, with_optimizer: bool) -> Result<Transfer, LearnerError> {
        write(&dir.join("model.safetensors"), &self.weights)?;
        // A machine that dies here leaves half a checkpoint.
        self.fuse.burn()?;
        if with_optimizer {
            let state = [&self.m[..], &self.v[..], &[self.steps as f64]].concat();
            write(&dir.join("optimizer.bin"), &state)?;
        }
        self.fuse.burn()?;
        Ok(Transfer::SharedDisk)
    }

    fn load(&mut self, dir: &Path) -> Result<(), LearnerError> {
        self.fuse.burn()?;
        self.read(dir)?;
        let n = self.weights.len();
        let path = dir.join("optimizer.bin");
        let state = if path.exists() { numbers(&path)? } else { vec![0.0; 2 * n + 1] };
        self.m = state[..n].to_vec();
        self.v = state[n..2 * n].to_vec();
        self.steps = state[2 * n] as u64;
        Ok(())
    }

    fn parameters(&self) -> Result<usize, LearnerError> {
        Ok(self.weights.len())
    }
}

/// A number in [0, 1) that depends on the arguments alone.
fn uniform(key: &[u8; 32], a: u64, b: u64) -> f64 {
    let hash = blake3::keyed_hash(key, &[a.to_le_bytes(), b.to_le_bytes()].concat());
    let bits = u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn write(path: &Path, numbers: &[f64]) -> Result<(), LearnerError> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    fs::write(path, bytes).map_err(|e| checkpoint(path, &e))
}

fn numbers(path: &Path) -> Result<Vec<f64>, LearnerError> {
    let bytes = fs::read(path).map_err(|e| checkpoint(path, &e))?;
    if bytes.len() % 8 != 0 || bytes.is_empty() {
        return Err(checkpoint(path, &"it is cut off"));
    }
    Ok(bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes"))).collect())
}

fn checkpoint(path: &Path, reason: &dyn ToString) -> LearnerError {
    LearnerError::Checkpoint { path: path.display().to_string(), reason: reason.to_string() }
}

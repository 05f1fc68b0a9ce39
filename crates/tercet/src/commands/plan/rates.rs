//! How fast this machine trains and samples a recipe's model.

use anyhow::Context as _;
use learner::{AdamW, Batch, Learner, LearnerFactory, ModelConfig, Objective, Prompt, Sampling};
use train::recipe::{Model, Recipe};
use train::run::plan::Rates;

use crate::progress::now;

/// Operations that the first, untimed try of each of the two measurements spends.
const OPERATIONS: f64 = 2e9;
/// Seconds that a measurement takes at least, so that a fast device is not measured by what a request costs.
const SECONDS: f64 = 0.7;
/// Sequences of a step of training at most, and of one pass of it.
const SEQUENCES: [usize; 2] = [1 << 16, 512];
/// Samples drawn side by side, at first and at most.
const SAMPLES: [usize; 2] = [64, 4096];

/// Cross-entropy with all tokens counting.
struct AllTokens(Vec<f32>);

impl Objective for AllTokens {
    fn gradient(&self, logprobs: &[f32], gradient: &mut [f32]) -> f64 {
        gradient.copy_from_slice(&self.0[..gradient.len()]);
        logprobs.iter().map(|l| -f64::from(*l)).sum()
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        Some(&self.0)
    }
}

/// Trains and samples the largest model of the recipe for a moment, with arbitrary tokens.
pub(crate) fn measure(recipe: &Recipe, factory: &dyn LearnerFactory) -> anyhow::Result<Rates> {
    let vocabulary = recipe.document.tokenizer.as_ref().map_or(0, |tokenizer| tokenizer.vocab);
    let largest = recipe.arms.iter().map(|arm| &arm.model).max_by_key(|model| model.parameters(vocabulary));
    let model = largest.context("the recipe has no arm")?;
    let per_token = model.parameters(vocabulary) as f64;
    let (mut learner, vocab) = match model {
        Model::Fresh(shape) => {
            let vocab = if shape.vocab == 0 { vocabulary } else { shape.vocab };
            (factory.fresh(&ModelConfig { vocab, ..shape.clone() }, [0; 32])?, vocab)
        }
        Model::Given(given) => (factory.open(&given.dir)?, given.vocab),
        _ => anyhow::bail!("this model cannot be measured"),
    };

    let length = model.context().min(128);
    let first = ((OPERATIONS / (6.0 * per_token)) as usize / length).clamp(1, SEQUENCES[1]);
    let train_tokens_per_second = rate(first, |sequences| train(&mut *learner, sequences, length, vocab))?;
    let first = ((OPERATIONS / (2.0 * per_token)) as usize / SAMPLES[0]).clamp(1, length / 2) * SAMPLES[0];
    let sample_tokens_per_second = rate(first, |tokens| sample(&mut *learner, tokens, length))?;
    Ok(Rates { train_tokens_per_second, sample_tokens_per_second })
}

/// Tokens a second. `work` does an amount of work and returns its tokens, or `None` if it can do no more than before. The
/// first try is untimed: libraries load and memory is found. Then the amount grows until it takes a while.
fn rate(
    mut amount: usize,
    mut work: impl FnMut(usize) -> anyhow::Result<Option<usize>>,
) -> anyhow::Result<f64> {
    let mut found = 0.0;
    work(amount)?;
    loop {
        let start = now();
        let Some(tokens) = work(amount)? else { return Ok(found) };
        let seconds = start.elapsed().as_secs_f64().max(1e-9);
        found = tokens as f64 / seconds;
        if seconds >= SECONDS {
            return Ok(found);
        }
        // A little more than it should take, but not far beyond what was tried.
        amount *= ((1.3 * SECONDS / seconds).ceil() as usize).clamp(2, 16);
    }
}

/// A step of training with this many sequences.
fn train(
    learner: &mut dyn Learner,
    sequences: usize,
    length: usize,
    vocab: usize,
) -> anyhow::Result<Option<usize>> {
    if sequences > SEQUENCES[0] {
        return Ok(None);
    }
    let adamw = AdamW { lr: 1e-4, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.0, clip_norm: 1.0 };
    let mut left = sequences;
    let mut tokens = 0;
    while left > 0 {
        let mut batch = Batch::default();
        for s in 0..left.min(SEQUENCES[1]) {
            let tokens: Vec<u32> = (0..length).map(|t| ((s * 31 + t * 7) % vocab) as u32).collect();
            batch.push(&tokens);
        }
        let objective = AllTokens(vec![-1.0 / batch.len() as f32; batch.len()]);
        learner.forward_backward(&batch, &objective, 1.0)?;
        left -= left.min(SEQUENCES[1]);
        tokens += batch.len();
    }
    learner.optim_step(&adamw)?;
    Ok(Some(tokens))
}

/// Samples of this many tokens together: longer ones first, then more of them.
fn sample(learner: &mut dyn Learner, tokens: usize, length: usize) -> anyhow::Result<Option<usize>> {
    let max_tokens = (tokens / SAMPLES[0]).clamp(1, length / 2);
    let n = (tokens / max_tokens).max(SAMPLES[0]);
    if n > SAMPLES[1] {
        return Ok(None);
    }
    let sampling = Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, max_tokens: max_tokens as u32 };
    let prompt = Prompt { tokens: vec![1; (length / 4).max(1)], key: [0; 32], first: 0, n: n as u32 };
    let mut sampled = 0;
    learner.sample(&[prompt], &sampling, &mut |tokens| sampled += tokens)?;
    Ok(Some(sampled))
}

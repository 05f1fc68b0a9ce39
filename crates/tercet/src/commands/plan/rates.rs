//! How fast this machine trains and samples a recipe's model.

use anyhow::Context as _;
use learner::{AdamW, Batch, LearnerFactory, ModelConfig, Objective, Prompt, Sampling};
use train::recipe::{Model, Recipe};
use train::run::plan::Rates;

use crate::progress::now;

/// Operations spent on each of the two measurements: about a second on one core.
const OPERATIONS: f64 = 2e10;
/// Sequences sampled side by side.
const SAMPLES: usize = 64;

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
    let sequences = ((OPERATIONS / (6.0 * per_token)) as usize / length).clamp(1, 512);
    let mut batch = Batch::default();
    for s in 0..sequences {
        let tokens: Vec<u32> = (0..length).map(|t| ((s * 31 + t * 7) % vocab) as u32).collect();
        batch.push(&tokens);
    }
    let objective = AllTokens(vec![-1.0 / batch.len() as f32; batch.len()]);
    let adamw = AdamW { lr: 1e-4, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.0, clip_norm: 1.0 };
    let start = now();
    learner.forward_backward(&batch, &objective, 1.0)?;
    learner.optim_step(&adamw)?;
    let train_tokens_per_second = batch.len() as f64 / start.elapsed().as_secs_f64();

    let per_sample = (OPERATIONS / (2.0 * per_token)) as usize / SAMPLES;
    let sampling = Sampling {
        temperature: 1.0,
        top_p: 1.0,
        top_k: 0,
        max_tokens: per_sample.clamp(1, length / 2) as u32,
    };
    let prompt = Prompt { tokens: vec![1; (length / 4).max(1)], key: [0; 32], first: 0, n: SAMPLES as u32 };
    let mut sampled = 0;
    let start = now();
    learner.sample(&[prompt], &sampling, &mut |tokens| sampled += tokens)?;
    let sample_tokens_per_second = sampled as f64 / start.elapsed().as_secs_f64();
    Ok(Rates { train_tokens_per_second, sample_tokens_per_second })
}

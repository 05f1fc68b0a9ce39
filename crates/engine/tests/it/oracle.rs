//! The whole model again in plain f64: an oracle that shares no code with the engine. Logits and
//! log-probabilities are compared directly; each tensor's gradient along a random direction with the
//! difference quotient of the oracle's loss.

use std::collections::BTreeMap;

use learner::{Batch, Distributions, Learner, ModelConfig, Objective, ReferenceKl};
use tercet_engine::{CpuFactory, CpuLearner};

use crate::fixture::{CrossEntropy, batch, distance, tokens};

type Weights = BTreeMap<String, Vec<f64>>;

fn weights(learner: &CpuLearner) -> Weights {
    learner.tensors().map(|(n, _, v)| (n.to_owned(), v.iter().map(|v| f64::from(*v)).collect())).collect()
}

/// y = W x (+ b).
fn linear(w: &[f64], b: Option<&Vec<f64>>, x: &[f64]) -> Vec<f64> {
    let row =
        |(i, w): (usize, &[f64])| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b.map_or(0.0, |b| b[i]);
    w.chunks(x.len()).enumerate().map(row).collect()
}

fn norm(x: &[f64], gain: &[f64], eps: f64) -> Vec<f64> {
    let rms = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + eps).sqrt();
    x.iter().zip(gain).map(|(x, g)| x / rms * g).collect()
}

fn rotate(head: &mut [f64], position: usize, theta: f64) {
    let half = head.len() / 2;
    for i in 0..half {
        let angle = position as f64 * theta.powf(-(i as f64) / half as f64);
        let (a, b) = (head[i], head[i + half]);
        head[i] = a * angle.cos() - b * angle.sin();
        head[i + half] = b * angle.cos() + a * angle.sin();
    }
}

/// Logits of every token's successor in one sequence.
fn logits(c: &ModelConfig, w: &Weights, sequence: &[u32]) -> Vec<Vec<f64>> {
    let embed = &w["model.embed_tokens.weight"];
    let d = c.hidden / c.heads;
    let mut stream: Vec<Vec<f64>> =
        sequence.iter().map(|t| embed[*t as usize * c.hidden..][..c.hidden].to_vec()).collect();
    for layer in 0..c.layers {
        let get = |name: &str| &w[&format!("model.layers.{layer}.{name}")];
        let mut qkv: Vec<[Vec<f64>; 3]> = Vec::new();
        for (t, x) in stream.iter().enumerate() {
            let h = norm(x, get("input_layernorm.weight"), c.norm_eps);
            let mut three = ["q", "k", "v"].map(|p| {
                let (w, b) = (format!("self_attn.{p}_proj.weight"), format!("self_attn.{p}_proj.bias"));
                linear(get(&w), Some(get(&b)), &h)
            });
            for heads in &mut three[..2] {
                heads.chunks_mut(d).for_each(|head| rotate(head, t, c.rope_theta));
            }
            qkv.push(three);
        }
        for t in 0..stream.len() {
            let mut attended = Vec::new();
            for head in 0..c.heads {
                let kv = head / (c.heads / c.kv_heads);
                let part = |x: &[f64], h: usize| x[h * d..(h + 1) * d].to_vec();
                let q = part(&qkv[t][0], head);
                let score = |row: &[Vec<f64>; 3]| -> f64 {
                    let dot: f64 = part(&row[1], kv).iter().zip(&q).map(|(k, q)| k * q).sum();
                    (dot / (d as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = qkv[..=t].iter().map(score).collect();
                let sum: f64 = scores.iter().sum();
                for i in 0..d {
                    let values = qkv.iter().map(|row| row[2][kv * d + i]);
                    attended.push(scores.iter().zip(values).map(|(s, v)| s / sum * v).sum());
                }
            }
            let out = linear(get("self_attn.o_proj.weight"), None, &attended);
            let x = &mut stream[t];
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
            let h = norm(x, get("post_attention_layernorm.weight"), c.norm_eps);
            let gate = linear(get("mlp.gate_proj.weight"), None, &h);
            let up = linear(get("mlp.up_proj.weight"), None, &h);
            let act: Vec<f64> = gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            let out = linear(get("mlp.down_proj.weight"), None, &act);
            x.iter_mut().zip(out).for_each(|(x, o)| *x += o);
        }
    }
    let head = if c.tied { embed } else { &w["lm_head.weight"] };
    stream.iter().map(|x| linear(head, None, &norm(x, &w["model.norm.weight"], c.norm_eps))).collect()
}

/// Log-probabilities of the distribution that each token was drawn from at a temperature; the first of a sequence has
/// none.
fn distributions(c: &ModelConfig, w: &Weights, batch: &Batch, temperature: f64) -> Vec<Option<Vec<f64>>> {
    let mut all = Vec::new();
    for range in batch.sequences() {
        all.push(None);
        for z in &logits(c, w, &batch.tokens_T[range.clone()])[..range.len() - 1] {
            let z: Vec<f64> = z.iter().map(|z| z / temperature).collect();
            let log_sum = z.iter().map(|z| z.exp()).sum::<f64>().ln();
            all.push(Some(z.iter().map(|z| z - log_sum).collect()));
        }
    }
    all
}

/// Log-probability of every token at a temperature; the first of a sequence has none.
fn logprobs(c: &ModelConfig, w: &Weights, batch: &Batch, temperature: f64) -> Vec<f64> {
    let rows = distributions(c, w, batch, temperature);
    let pairs = rows.iter().zip(&batch.tokens_T);
    pairs.map(|(row, token)| row.as_ref().map_or(0.0, |row| row[*token as usize])).collect()
}

/// Shapes on purpose beside every vector width, panel and tile.
fn shapes() -> Vec<ModelConfig> {
    let model = |vocab, hidden, layers, heads, kv_heads, mlp, tied| ModelConfig {
        vocab,
        hidden,
        layers,
        heads,
        kv_heads,
        mlp,
        context: 80,
        rope_theta: 500.0,
        tied,
        norm_eps: 1e-5,
        init_std: 0.25,
        scale_residual_init: true,
        eos: None,
        pad: None,
    };
    vec![
        model(5, 2, 1, 1, 1, 1, true),
        model(33, 18, 2, 3, 1, 17, false),
        model(47, 40, 2, 4, 2, 33, true),
        model(70, 72, 1, 2, 2, 35, false),
    ]
}

#[test]
fn forward_and_gradients_agree_with_the_oracle() {
    for (seed, c) in shapes().iter().enumerate() {
        let mut learner = CpuFactory::with_threads(Some(2)).fresh_cpu(c, [seed as u8; 32]).unwrap();
        let batch = batch(&[37, 1, 5, 70].map(|len| tokens(len, len as usize, c.vocab as u32)));
        let w = weights(&learner);
        let exact: Vec<f64> =
            batch.sequences().flat_map(|r| logits(c, &w, &batch.tokens_T[r]).concat()).collect();
        assert!(distance(&learner.logits(&batch).unwrap(), &exact) < 1e-5, "logits of shape {seed}");
        assert!(distance(&learner.logprobs(&batch, 1.0).unwrap(), &logprobs(c, &w, &batch, 1.0)) < 1e-5);

        let objective = CrossEntropy::mean(&batch, |t| t % 4 != 0);
        let loss = |w: &Weights| -> f64 {
            let logprobs = logprobs(c, w, &batch, 1.0);
            logprobs.iter().zip(&objective.gradient_T).map(|(l, g)| l * f64::from(*g)).sum()
        };
        let reported = learner.forward_backward(&batch, &objective, 1.0).unwrap().loss;
        assert!((reported / loss(&w) - 1.0).abs() < 1e-5);
        check_gradients(&learner, &w, loss);
    }
}

#[test]
fn at_other_temperatures_all_is_of_the_divided_logits() {
    for (c, temperature) in [(&shapes()[1], 0.7), (&shapes()[1], 1.3), (&shapes()[3], 0.7)] {
        let mut learner = CpuFactory::with_threads(Some(2)).fresh_cpu(c, [5; 32]).unwrap();
        let batch = batch(&[37, 1, 5].map(|len| tokens(len, len as usize, c.vocab as u32)));
        let w = weights(&learner);
        let exact = f64::from(temperature);
        let found = learner.logprobs(&batch, temperature).unwrap();
        assert!(distance(&found, &logprobs(c, &w, &batch, exact)) < 1e-5, "log-probabilities");

        let mut objective = CrossEntropy::mean(&batch, |t| t % 4 != 0);
        objective.announced = false;
        let pass = learner.forward_backward(&batch, &objective, temperature).unwrap();
        assert_eq!(pass.logprobs_T, found);
        let entropies = distributions(c, &w, &batch, exact).into_iter().map(|row| match row {
            None => 0.0,
            Some(row) => -row.iter().map(|l| l.exp() * l).sum::<f64>(),
        });
        assert!(distance(&pass.entropy_T, &entropies.collect::<Vec<_>>()) < 1e-5, "entropies");
        check_gradients(&learner, &w, |w| {
            let logprobs = logprobs(c, w, &batch, exact);
            logprobs.iter().zip(&objective.gradient_T).map(|(l, g)| l * f64::from(*g)).sum()
        });
    }
}

/// Every tensor's gradient against the difference quotient of the oracle's loss.
fn check_gradients(learner: &CpuLearner, w: &Weights, loss: impl Fn(&Weights) -> f64) {
    for (name, _, gradient) in learner.gradients() {
        // Signs of the gradient itself as direction: nothing cancels.
        let direction: Vec<f64> = gradient.iter().map(|g| f64::from(g.signum())).collect();
        let h = 1e-6;
        let moved = |by: f64| {
            let mut moved = w.clone();
            let values = moved.get_mut(name).unwrap();
            values.iter_mut().zip(&direction).for_each(|(w, d)| *w += by * d);
            loss(&moved)
        };
        let quotient = (moved(h) - moved(-h)) / (2.0 * h);
        let slope: f64 = gradient.iter().map(|g| f64::from(g.abs())).sum();
        assert!((slope - quotient).abs() < 1e-4 * quotient.abs().max(1e-3), "{name}: {slope} {quotient}");
    }
}

/// Cross-entropy with a KL term towards another model.
struct WithReference {
    loss: CrossEntropy,
    reference: Distributions,
    weights_T: Vec<f32>,
}

impl Objective for WithReference {
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64 {
        self.loss.gradient(logprobs_T, gradient_T)
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        self.loss.constant_gradient()
    }

    fn reference_kl(&self) -> Option<ReferenceKl<'_>> {
        Some(ReferenceKl { reference: &self.reference, weights_T: &self.weights_T })
    }
}

#[test]
fn the_exact_divergence_and_its_gradient_agree_with_the_oracle() {
    let c = &shapes()[2];
    let factory = CpuFactory::with_threads(Some(2));
    let batch = batch(&[70, 1, 21].map(|len| tokens(len, len as usize, c.vocab as u32)));
    for (announced, temperature) in [(true, 1.0), (false, 1.0), (true, 0.7), (false, 1.3)] {
        let exact = f64::from(temperature);
        let mut other = factory.fresh_cpu(c, [9; 32]).unwrap();
        let reference = other.distributions(&batch, temperature).unwrap();
        let reference_TV = reference.values_TV().unwrap().to_vec();
        let expected = distributions(c, &weights(&other), &batch, exact);
        for (row, expected) in reference_TV.chunks(c.vocab).zip(&expected[1..]) {
            let sum: f64 = row.iter().map(|l| f64::from(*l).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-5, "probabilities sum to {sum}");
            assert!(expected.as_ref().is_none_or(|expected| distance(row, expected) < 1e-5));
        }
        let mut learner = factory.fresh_cpu(c, [3; 32]).unwrap();
        let w = weights(&learner);
        let cross_entropy = CrossEntropy::mean(&batch, |t| t % 4 != 0);
        // Some tokens have both terms, some one of them.
        let weights_T = (0..batch.len()).map(|t| if t % 3 == 1 { 0.01 * t as f32 } else { 0.0 }).collect();
        let loss = CrossEntropy { announced, ..cross_entropy };
        let objective = WithReference { loss, reference, weights_T };
        let divergences = |w: &Weights| -> Vec<f64> {
            let term = |(p, q): (&f64, &f32)| p.exp() * (p - f64::from(*q));
            let rows = distributions(c, w, &batch, exact).into_iter().enumerate();
            let divergence = |(t, row): (usize, Option<Vec<f64>>)| {
                // The distribution of a token is in the row before it.
                let reference = |row| (row, &reference_TV[(t - 1) * c.vocab..][..c.vocab]);
                row.map(reference).map_or(0.0, |(row, q)| row.iter().zip(q).map(term).sum())
            };
            rows.map(divergence).collect()
        };
        let loss = |w: &Weights| -> f64 {
            let logprobs = logprobs(c, w, &batch, exact);
            let terms = logprobs.iter().zip(&objective.loss.gradient_T).map(|(l, g)| l * f64::from(*g));
            let kl_terms = divergences(w).into_iter().zip(&objective.weights_T);
            terms.sum::<f64>() + kl_terms.map(|(kl, weight)| kl * f64::from(*weight)).sum::<f64>()
        };
        let pass = learner.forward_backward(&batch, &objective, temperature).unwrap();
        assert!((pass.loss / loss(&w) - 1.0).abs() < 1e-5);
        let mut exact = divergences(&w);
        exact.iter_mut().zip(&objective.weights_T).filter(|(_, w)| **w == 0.0).for_each(|(kl, _)| *kl = 0.0);
        assert!(distance(&pass.divergence_T, &exact) < 1e-5);
        check_gradients(&learner, &w, loss);
    }
}

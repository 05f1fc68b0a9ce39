//! The same numbers as `transformers` in float64.

use learner::{Learner, Prompt, Sampling};

use crate::fixture::{ADAMW, CrossEntropy, MODELS, batch, dir, distance, mean_distance, open, read};

const TOLERANCE: f64 = 1e-4;

#[test]
fn logits_logprobs_and_loss_agree() {
    for model in MODELS {
        let mut learner = open(model);
        let expected = read(model, "forward.safetensors");
        let sequences = expected["input_ids"].tokens();
        let batch = batch(&sequences);
        let logits = learner.logits(&batch).unwrap();
        assert!(distance(&logits, &expected["logits"].data) < TOLERANCE, "{model}: logits");

        let logprobs = learner.logprobs(&batch, 1.0).unwrap();
        for (range, expected) in batch.sequences().zip(expected["next_token_logprobs"].rows()) {
            assert_eq!(logprobs[range.start], 0.0, "a first token has no prediction");
            let found = &logprobs[range.start + 1..range.end];
            assert!(distance(found, expected) < TOLERANCE, "{model}: log-probabilities");
        }
    }
}

#[test]
fn every_gradient_agrees() {
    for model in MODELS {
        for announced in [true, false] {
            let mut learner = open(model);
            let expected = read(model, "forward.safetensors");
            let batch = batch(&expected["input_ids"].tokens());
            let labels = &expected["labels"].data;
            let mut objective = CrossEntropy::mean(&batch, |t| labels[t] >= 0.0);
            objective.announced = announced;
            let out = learner.forward_backward(&batch, &objective, 1.0).unwrap();
            assert!(
                (out.loss - expected["loss"].data[0]).abs() < 1e-4 * out.loss,
                "{model}: loss {}",
                out.loss
            );
            assert!(out.entropy_T.iter().all(|e| (0.0..97_f32.ln() + 1e-3).contains(e)));

            let gradients = read(model, "grads.safetensors");
            let mut count = 0;
            for (name, shape, values) in learner.gradients() {
                let expected = &gradients[name];
                assert_eq!(shape, expected.shape, "{name}");
                let off = distance(values, &expected.data);
                assert!(off < TOLERANCE, "{model}: gradient of {name} is off by {off:e}");
                count += 1;
            }
            assert_eq!(count, gradients.len());
        }
    }
}

#[test]
fn packed_documents_equal_separate_ones() {
    for model in MODELS {
        let mut learner = open(model);
        let row = read(model, "forward.safetensors")["input_ids"].tokens().swap_remove(0);
        let expected = read(model, "packed.safetensors");
        let mut sequences = Vec::new();
        let mut start = 0;
        for end in &expected["doc_ends"].data {
            sequences.push(row[start..*end as usize].to_vec());
            start = *end as usize;
        }
        let packed = learner.logits(&batch(&sequences)).unwrap();
        assert!(distance(&packed, &expected["packed_logits"].data) < TOLERANCE, "{model}");
        let separate: Vec<f32> =
            sequences.iter().flat_map(|s| learner.logits(&batch(std::slice::from_ref(s))).unwrap()).collect();
        assert_eq!(packed, separate, "bit for bit");
    }
}

/// The reference run took token 0 for padding and masked it in prompts.
const MASKED_THERE: u32 = 0;

#[test]
fn greedy_tokens_are_the_same() {
    for model in MODELS {
        let mut learner = open(model);
        let expected = read(model, "greedy.safetensors");
        let prompts: Vec<Prompt> = expected["prompt"]
            .tokens()
            .into_iter()
            .map(|tokens| Prompt { tokens, key: [0; 32], first: 0, n: 1 })
            .collect();
        let greedy = Sampling { temperature: 0.0, top_p: 1.0, top_k: 0, max_tokens: 16 };
        let samples = learner.sample(&prompts, &greedy, &mut |_| {}).unwrap();
        let mut compared = 0;
        for ((prompt, samples), expected) in prompts.iter().zip(&samples).zip(expected["greedy"].tokens()) {
            if !prompt.tokens.contains(&MASKED_THERE) {
                assert_eq!(samples[0].tokens, expected, "{model}");
                compared += 1;
            }
        }
        assert_eq!(compared, 2);
    }
}

#[test]
fn three_adamw_steps_agree() {
    for model in MODELS {
        let mut learner = open(model);
        let forward = read(model, "forward.safetensors");
        let batch = batch(&forward["input_ids"].tokens());
        let labels = &forward["labels"].data;
        let objective = CrossEntropy::mean(&batch, |t| labels[t] >= 0.0);
        let steps: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(dir(model).join("steps.json")).unwrap()).unwrap();
        for i in 0..3 {
            let loss = learner.forward_backward(&batch, &objective, 1.0).unwrap().loss;
            let step = learner.optim_step(&ADAMW).unwrap();
            assert!(step.applied);
            let (expected_loss, expected_norm) = (&steps["losses"][i], &steps["grad_norms"][i]);
            assert!((loss / expected_loss.as_f64().unwrap() - 1.0).abs() < TOLERANCE, "{model}: loss {i}");
            let norm = step.grad_norm / expected_norm.as_f64().unwrap();
            assert!((norm - 1.0).abs() < TOLERANCE, "{model}: norm {i}");
        }
        let expected = read(model, "after_steps.safetensors");
        for (name, _, values) in learner.tensors() {
            // The mean error, not the largest: an element whose gradient is all rounding is divided by
            // itself in Adam, and an f32 run may differ there from a float64 run by up to a step.
            let off = mean_distance(values, &expected[name].data);
            // Softmax hardly feels a key's bias (without rotation not at all): its gradient is a sum that
            // cancels to almost nothing, and what Adam enlarges is mostly rounding.
            let tolerance = if name.ends_with("k_proj.bias") { 5.0 * TOLERANCE } else { TOLERANCE };
            assert!(off < tolerance, "{model}: {name} is off by {off:e} after three steps");
        }
    }
}

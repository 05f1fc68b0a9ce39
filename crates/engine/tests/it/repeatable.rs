//! The same bytes, whatever the threads, the batch, the cache or an interruption.

use learner::{Learner, Prompt, Sampling};
use tercet_engine::{CpuFactory, CpuLearner};

use crate::fixture::{ADAMW, CrossEntropy, batch, odd, odd_config, tokens};

fn bits(learner: &CpuLearner) -> Vec<u32> {
    learner.tensors().flat_map(|(_, _, values)| values.iter().map(|v| v.to_bits())).collect()
}

/// A batch of uneven documents, one of a single token, long enough for several chunks.
fn documents(seed: u32) -> Vec<Vec<u32>> {
    [90, 1, 33, 64, 2, 96, 31].iter().zip(seed..).map(|(len, seed)| tokens(seed, *len, 61)).collect()
}

fn train(learner: &mut CpuLearner, steps: std::ops::Range<u32>) {
    for step in steps {
        let batch = batch(&documents(step));
        let mut objective = CrossEntropy::mean(&batch, |t| t % 3 != 0);
        objective.announced = step % 2 == 0;
        learner.forward_backward(&batch, &objective, 1.0).unwrap();
        assert!(learner.optim_step(&ADAMW).unwrap().applied);
    }
}

#[test]
fn one_two_and_five_threads_give_the_same_bytes() {
    let [one, two, five] = [1, 2, 5].map(|threads| {
        let mut learner = odd(threads);
        train(&mut learner, 0..200);
        bits(&learner)
    });
    assert!(one == two && two == five);
}

#[test]
fn pinned_threads_give_the_same_bytes() {
    let [free, pinned] = [false, true].map(|pin| {
        let factory = CpuFactory { pin, ..CpuFactory::with_threads(Some(2)) };
        let mut learner = factory.fresh_cpu(&odd_config(), [7; 32]).unwrap();
        train(&mut learner, 0..3);
        bits(&learner)
    });
    assert!(free == pinned);
}

#[test]
fn stopped_and_resumed_training_ends_with_the_same_bytes() {
    let mut straight = odd(2);
    train(&mut straight, 0..200);

    let folder = tempfile::tempdir().unwrap();
    let mut first = odd(1);
    train(&mut first, 0..90);
    first.save(folder.path(), true).unwrap();
    drop(first);
    let mut second = odd(2);
    train(&mut second, 300..301);
    second.load(folder.path()).unwrap();
    train(&mut second, 90..200);
    assert_eq!(bits(&straight), bits(&second));
}

#[test]
fn a_long_batch_has_the_gradient_of_its_parts() {
    // More chunks of rows than segments that add them up, so that some segments have two and some one.
    let sequences: Vec<Vec<u32>> = (0..40).map(|i| tokens(i, 60, 61)).collect();
    let gradient = |threads, parts: usize| -> Vec<f32> {
        let mut learner = odd(threads);
        for part in sequences.chunks(sequences.len() / parts) {
            let batch = batch(part);
            let objective = CrossEntropy::mean(&batch, |_| true);
            learner.forward_backward(&batch, &objective, 1.0).unwrap();
        }
        learner.gradients().flat_map(|(_, _, values)| values.to_vec()).collect()
    };
    let (whole, parts) = (gradient(1, 1), gradient(2, 40));
    assert!(whole == gradient(2, 1) && whole == gradient(5, 1), "the same bytes at any number of threads");
    let largest = parts.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
    assert!(whole.iter().zip(&parts).all(|(w, p)| (w - p / 40.0).abs() < 1e-6 * largest));
}

#[test]
fn a_row_does_not_depend_on_its_company() {
    let mut learner = odd(2);
    let all = documents(3);
    let together = learner.logits(&batch(&all)).unwrap();
    let alone: Vec<f32> =
        all.iter().flat_map(|s| learner.logits(&batch(std::slice::from_ref(s))).unwrap()).collect();
    assert_eq!(together, alone);
}

#[test]
fn the_samplers_logprobs_are_the_trainers_at_its_temperature() {
    let mut learner = odd(2);
    train(&mut learner, 0..3);
    let check = |learner: &mut CpuLearner, sampled: f32, trained: f32| {
        let sampling = Sampling { temperature: sampled, top_p: 0.9, top_k: 30, max_tokens: 70 };
        // Prompts of every length around the cache's page size, each in a group of samples.
        let prompt =
            |len: u32| Prompt { tokens: tokens(len, len as usize, 61), key: [len as u8; 32], first: 0, n: 7 };
        let prompts = [1, 2, 31, 32, 33, 63, 64, 65, 95, 96].map(prompt);
        let samples = learner.sample(&prompts, &sampling, &mut |_| {}).unwrap();
        let mut sequences = Vec::new();
        let mut expected = Vec::new();
        for (prompt, samples) in prompts.iter().zip(&samples) {
            assert_eq!(samples.len(), 7);
            for sample in samples {
                sequences.push([&*prompt.tokens, &*sample.tokens].concat());
                assert!(sequences.last().unwrap().len() <= odd_config().context);
                expected.push((prompt.tokens.len(), sample.logprobs.clone()));
            }
        }
        let batch = batch(&sequences);
        let logprobs = learner.logprobs(&batch, trained).unwrap();
        let mut compared = 0;
        for (range, (prompt, expected)) in batch.sequences().zip(expected) {
            assert_eq!(logprobs[range.start + prompt..range.end], expected, "bit for bit at {sampled}");
            compared += expected.len();
        }
        assert!(compared > 500, "only {compared} tokens compared");

        // The pass with gradients computes the same numbers, and so do whole distributions.
        let objective = CrossEntropy::mean(&batch, |t| t % 2 == 0);
        assert_eq!(learner.forward_backward(&batch, &objective, trained).unwrap().logprobs_T, logprobs);
        let distributions = learner.distributions(&batch, trained).unwrap();
        let distributions_TV = distributions.values_TV().unwrap();
        for range in batch.sequences() {
            for t in range.skip(1) {
                let row = &distributions_TV[(t - 1) * 61..][..61];
                assert_eq!(row[batch.tokens_T[t] as usize], logprobs[t]);
            }
        }
    };
    for temperature in [1.0, 0.8, 1.2] {
        check(&mut learner, temperature, temperature);
    }
    // A greedy sample has the log-probabilities of temperature 1.
    check(&mut learner, 0.0, 1.0);
}

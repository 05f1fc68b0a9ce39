//! What a sample is a function of, and where it ends.

use learner::{Learner, LearnerError, Prompt, Sample, Sampling, StopReason};

use crate::fixture::{odd, odd_config, tokens};

const PLAIN: Sampling = Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, max_tokens: 40 };

fn prompt(seed: u8, len: usize, n: u32) -> Prompt {
    Prompt { tokens: tokens(seed.into(), len, 61), key: [seed; 32], first: 0, n }
}

fn draw(threads: usize, prompts: &[Prompt], sampling: &Sampling) -> Vec<Vec<Sample>> {
    odd(threads).sample(prompts, sampling, &mut |_| {}).unwrap()
}

#[test]
fn a_sample_does_not_depend_on_the_others() {
    let prompts: Vec<Prompt> = (1..40).map(|i| prompt(i, 1 + usize::from(i), 9)).collect();
    let all = draw(2, &prompts, &PLAIN);
    assert_eq!(all, draw(1, &prompts, &PLAIN), "threads");
    assert_eq!(all[17..18], draw(1, &prompts[17..18], &PLAIN), "other prompts");
    let later = Prompt { first: 4, n: 2, ..prompts[17].clone() };
    assert_eq!(all[17][4..6], draw(2, &[later], &PLAIN)[0], "other samples of the group");
    assert_ne!(all[17][0], all[17][1]);
}

#[test]
fn a_sample_ends_with_the_end_token_or_by_length() {
    let prompts: Vec<Prompt> = (1..30).map(|i| prompt(i, 60, 4)).collect();
    let mut seen = Vec::new();
    let samples = odd(2).sample(&prompts, &PLAIN, &mut |len| seen.push(len)).unwrap();
    let samples: Vec<Sample> = samples.into_iter().flatten().collect();
    let mut lengths: Vec<usize> = samples.iter().map(|s| s.tokens.len()).collect();
    seen.sort_unstable();
    lengths.sort_unstable();
    assert_eq!(seen, lengths, "progress reports each sample once");
    for sample in &samples {
        let (last, before) = sample.tokens.split_last().unwrap();
        assert!(!before.contains(&1), "nothing follows the end token");
        match sample.stop {
            StopReason::End => assert_eq!(*last, 1),
            // 60 prompt tokens leave 36 of the context's 96.
            StopReason::Length => assert_eq!((sample.tokens.len(), *last == 1), (36, false)),
        }
        assert_eq!(sample.tokens.len(), sample.logprobs.len());
    }
    assert!(samples.iter().any(|s| s.stop == StopReason::End));
    assert!(samples.iter().any(|s| s.stop == StopReason::Length));
}

#[test]
fn a_full_context_leaves_no_room() {
    let full = draw(1, &[prompt(1, 96, 2)], &PLAIN);
    assert!(full[0].iter().all(|s| s.tokens.is_empty() && s.stop == StopReason::Length));
    assert_eq!(draw(1, &[prompt(1, 95, 1)], &PLAIN)[0][0].tokens.len(), 1);
    let none = Sampling { max_tokens: 0, ..PLAIN };
    assert!(draw(1, &[prompt(1, 5, 1)], &none)[0][0].tokens.is_empty());
    assert_eq!(draw(1, &[prompt(1, 5, 0)], &PLAIN), vec![vec![]]);
    assert!(draw(1, &[], &PLAIN).is_empty());
}

#[test]
fn impossible_prompts_are_refused() {
    let mut learner = odd(1);
    let mut refused = |tokens: Vec<u32>| {
        let prompts = [Prompt { tokens, key: [0; 32], first: 0, n: 1 }];
        match learner.sample(&prompts, &PLAIN, &mut |_| {}) {
            Err(LearnerError::Request(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(vec![]), "a prompt is empty");
    assert_eq!(refused(vec![3; 97]), "a prompt of 97 tokens is longer than the context of 96");
    assert_eq!(refused(vec![3, 61]), "token 61 is outside the vocabulary of 61");
    let prompts = [prompt(1, 5, 1)];
    let cold = Sampling { temperature: f32::NAN, ..PLAIN };
    let refused = learner.sample(&prompts, &cold, &mut |_| {}).unwrap_err().to_string();
    assert_eq!(refused, "`temperature` is NaN, but must be at least 0");
}

#[test]
fn truncation_keeps_the_likely_tokens() {
    let prompts = [prompt(5, 12, 300)];
    let first = |sampling: &Sampling| -> Vec<u32> {
        let one = Sampling { max_tokens: 1, ..*sampling };
        let mut seen: Vec<u32> = draw(2, &prompts, &one)[0].iter().map(|s| s.tokens[0]).collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    let greedy = first(&Sampling { temperature: 0.0, ..PLAIN });
    assert_eq!(greedy.len(), 1);
    assert_eq!(first(&Sampling { top_k: 1, ..PLAIN }), greedy);
    assert_eq!(first(&Sampling { top_p: 1e-6, ..PLAIN }), greedy);
    assert_eq!(first(&Sampling { temperature: 1e-3, ..PLAIN }), greedy);
    let (three, all) = (first(&Sampling { top_k: 3, ..PLAIN }), first(&PLAIN));
    assert_eq!(three.len(), 3);
    assert!(three.contains(&greedy[0]) && all.len() > 3);
}

#[test]
fn draws_follow_the_distribution() {
    // 20,000 first tokens against the model's own probabilities: χ² over tokens expected at least 20 times.
    let n = 20_000;
    let samples = draw(2, &[prompt(9, 6, n)], &Sampling { max_tokens: 1, ..PLAIN });
    let mut counts = vec![0.0; odd_config().vocab];
    let mut probability = vec![0.0; odd_config().vocab];
    for sample in &samples[0] {
        counts[sample.tokens[0] as usize] += 1.0;
        probability[sample.tokens[0] as usize] = f64::from(sample.logprobs[0]).exp();
    }
    let cells = counts.iter().zip(&probability).filter(|(_, p)| **p * f64::from(n) >= 20.0);
    let (mut chi2, mut cells_count) = (0.0, 0.0_f64);
    for (count, p) in cells {
        let expected = p * f64::from(n);
        chi2 += (count - expected).powi(2) / expected;
        cells_count += 1.0;
    }
    assert!(cells_count > 5.0);
    assert!(chi2 < cells_count + 5.0 * (2.0 * cells_count).sqrt(), "χ² {chi2:.1} over {cells_count} cells");
}

//! What happens where numbers or shapes run out.

use learner::{Batch, Learner, LearnerError, ModelConfig, Objective};
use tercet_engine::{CpuFactory, CpuLearner};

use crate::fixture::{ADAMW, CrossEntropy, batch, odd, odd_config, tokens};

/// The same weight on every token.
struct Flat(f32);

impl Objective for Flat {
    fn gradient(&self, _: &[f32], gradient_T: &mut [f32]) -> f64 {
        gradient_T.fill(self.0);
        f64::from(self.0)
    }
}

fn values(learner: &CpuLearner) -> Vec<u32> {
    learner.tensors().flat_map(|t| t.2.iter().map(|v| v.to_bits())).collect()
}

fn good_step(learner: &mut CpuLearner) {
    let batch = batch(&[tokens(8, 50, 61)]);
    learner.forward_backward(&batch, &CrossEntropy::mean(&batch, |_| true), 1.0).unwrap();
    assert!(learner.optim_step(&ADAMW).unwrap().applied);
}

#[test]
fn a_gradient_that_is_no_number_is_skipped_and_leaves_no_trace() {
    let (mut disturbed, mut calm) = (odd(2), odd(2));
    let batch = batch(&[tokens(3, 40, 61), tokens(4, 90, 61)]);
    for bad in [f32::NAN, f32::INFINITY] {
        disturbed.forward_backward(&batch, &Flat(bad), 1.0).unwrap();
        let before = values(&disturbed);
        let step = disturbed.optim_step(&ADAMW).unwrap();
        assert!(!step.applied && !step.grad_norm.is_finite(), "{bad}");
        assert_eq!(values(&disturbed), before);
        assert!(disturbed.gradients().all(|g| g.2.iter().all(|g| *g == 0.0)), "the gradient is cleared");
    }
    good_step(&mut disturbed);
    good_step(&mut calm);
    assert!(values(&disturbed) == values(&calm));
}

#[test]
fn a_huge_gradient_is_clipped() {
    let mut learner = odd(2);
    let batch = batch(&[tokens(3, 40, 61)]);
    learner.forward_backward(&batch, &Flat(1e25), 1.0).unwrap();
    let step = learner.optim_step(&ADAMW).unwrap();
    assert!(step.applied && step.grad_norm > 1e24);
    assert!(learner.tensors().all(|t| t.2.iter().all(|v| v.abs() < 10.0)));
}

#[test]
fn tokens_that_do_not_count_have_no_gradient() {
    let mut learner = odd(1);
    for (sequences, objective) in [
        (vec![tokens(3, 40, 61)], Flat(0.0)),
        // Nothing to predict: sequences of one token, and no sequence at all.
        (vec![vec![3], vec![4]], Flat(1.0)),
        (vec![], Flat(1.0)),
    ] {
        let batch = batch(&sequences);
        let out = learner.forward_backward(&batch, &objective, 1.0).unwrap();
        assert_eq!(out.logprobs_T.len(), batch.len());
        assert!(learner.gradients().all(|g| g.2.iter().all(|g| *g == 0.0)));
    }
    assert_eq!(learner.optim_step(&ADAMW).unwrap().grad_norm, 0.0);
}

#[test]
fn gradients_of_two_batches_add_up() {
    let (a, b) = (tokens(1, 30, 61), tokens(2, 45, 61));
    let gradient = |batches: &[Batch]| -> Vec<f32> {
        let mut learner = odd(2);
        for batch in batches {
            learner.forward_backward(batch, &Flat(-1.0), 1.0).unwrap();
        }
        learner.gradients().flat_map(|g| g.2.to_vec()).collect()
    };
    let alone = |sequence| batch(std::slice::from_ref(sequence));
    let apart = gradient(&[alone(&a), alone(&b)]);
    let together = gradient(&[batch(&[a, b])]);
    let largest = together.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
    assert!(apart.iter().zip(&together).all(|(x, y)| (x - y).abs() < 1e-5 * largest));
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let mut learner = odd(1);
    let mut refused = |batch: &Batch| match learner.logprobs(batch, 1.0) {
        Err(LearnerError::Request(reason)) => reason,
        other => panic!("{other:?}"),
    };
    let context = odd_config().context;
    assert!(refused(&batch(&[tokens(1, context + 1, 61)])).contains("longer than the context of 96"));
    assert!(refused(&batch(&[vec![61]])).contains("outside the vocabulary of 61"));
    let torn = Batch { tokens_T: vec![1, 2, 3], starts_S: vec![0, 2] };
    assert!(refused(&torn).contains("do not fit its tokens"));
    assert_eq!(learner.logprobs(&batch(&[tokens(1, context, 61)]), 1.0).unwrap().len(), context);
    for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let refused = learner.logprobs(&batch(&[vec![3, 4]]), temperature).unwrap_err().to_string();
        assert!(refused.contains("but must be above 0"), "{refused}");
    }
}

#[test]
fn a_profile_accounts_for_the_whole_step() {
    // A clock that ticks once a reading: every operation is timed, none twice.
    let ticks = std::sync::atomic::AtomicU32::new(0);
    let now = || f64::from(ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let batch = batch(&[tokens(1, 40, 61), tokens(2, 7, 61)]);
    let factory = CpuFactory::with_threads(Some(1));
    let profile = tercet_engine::profile(factory, &odd_config(), &batch, 2, &now).unwrap();
    let calls = |name: &str| {
        let operation = profile.operations.iter().find(|o| o.name == name);
        operation.map_or(0.0, |o| o.seconds)
    };
    // Three layers, two steps.
    assert_eq!([calls("mlp"), calls("attention_backward"), calls("head_backward")], [6.0, 6.0, 2.0]);
    assert_eq!([calls("adamw"), calls("pack"), calls("norm"), calls("embed")], [2.0; 4]);
    let flops: f64 = profile.operations.iter().map(|o| o.flops).sum();
    let matrices = 3 * (36 * (36 + 36 + 36) + 3 * 36 * 50) + 61 * 36;
    assert!(flops > 2.0 * 6.0 * 45.0 * f64::from(matrices), "{flops}");
}

#[test]
fn impossible_shapes_are_refused() {
    let refused = |change: &dyn Fn(&mut ModelConfig)| {
        let mut config = odd_config();
        change(&mut config);
        match CpuFactory::with_threads(Some(1)).fresh_cpu(&config, [0; 32]) {
            Err(e) => e.to_string(),
            Ok(_) => panic!("{config:?} was accepted"),
        }
    };
    assert_eq!(refused(&|c| c.heads = 5), "5 heads do not divide a width of 36");
    assert_eq!(refused(&|c| c.kv_heads = 4), "4 key/value heads do not divide 6 query heads");
    assert_eq!(refused(&|c| c.heads = 12), "heads of width 3 cannot be rotated: RoPE needs an even width");
    assert_eq!(refused(&|c| c.vocab = 0), "the model's vocab must be at least 1");
    assert_eq!(refused(&|c| c.rope_theta = f64::NAN), "the model's rope_theta is NaN, but must be positive");
    assert!(refused(&|c| c.eos = Some(61)).contains("outside the vocabulary"));
    // No memory is asked for before the size is known to be possible.
    assert_eq!(refused(&|c| c.layers = 10_000_000), "the model's layers = 10000000 is beyond any use");
    assert!(refused(&|c| c.vocab = 1 << 32).contains("is beyond any use"));
    assert!(
        refused(&|c| (c.hidden, c.heads, c.kv_heads) = (1 << 23, 2, 2)).contains("parameters is too large")
    );
    assert!(
        refused(&|c| {
            (c.context, c.hidden) = (1 << 24, 60 * 36);
        })
        .contains("is too long for heads of width 360")
    );
}

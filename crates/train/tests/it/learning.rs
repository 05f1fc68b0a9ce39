//! Every variant of the policy gradient learns: a toy task with a known optimum is solved by each.
//!
//! The task: write token 3, then end. Reward 1 for exactly that, 0 otherwise. Responses have at most two
//! tokens, so that a mask one token too early never sees the last one.

use learner::{AdamW, Batch, Learner, Prompt, Sampling};
use tercet_train::rl::{
    Advantage, Aggregation, Clip, Kl, KlKind, KlPlace, PolicyObjective, ResponseTokens, Surrogate, advantages,
};

use crate::tabular::{Fuse, Table};

const VOCAB: usize = 6;
const EOS: u32 = 1;
const START: u32 = 0;
const SAMPLING: Sampling = Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, max_tokens: 2 };

#[derive(Clone, Copy)]
struct Variant {
    advantage: Advantage,
    surrogate: Surrogate,
    aggregation: Aggregation,
    high: f64,
    kl: Kl,
}

const GRPO: Variant = Variant {
    advantage: Advantage::Grpo,
    surrogate: Surrogate::PpoClip,
    aggregation: Aggregation::TokenMean,
    high: 0.2,
    kl: Kl { kind: KlKind::None, coefficient: 0.0, place: KlPlace::Loss },
};

/// How a mutation spoils the batch before it is learned from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mutation {
    None,
    /// The advantages change their sign.
    Sign,
    /// The response mask is one token too early.
    Shift,
}

/// Probability of the right response after training.
fn train(variant: Variant, mutation: Mutation) -> f64 {
    let mut table = Table::new(VOCAB, EOS, Fuse::never());
    let mut reference = Table::new(VOCAB, EOS, Fuse::never());
    let adamw = AdamW { lr: 0.05, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.0, clip_norm: 1.0 };
    for step in 0..150_u64 {
        let key = *blake3::hash(&step.to_le_bytes()).as_bytes();
        let prompts: Vec<Prompt> = (0..8)
            .map(|p| {
                let mut key = key;
                key[31] ^= p;
                Prompt { tokens: vec![START], key, first: 0, n: 8 }
            })
            .collect();
        let samples_PG = table.sample(&prompts, &SAMPLING, &mut |_| {}).expect("prompts are fine");
        let reward = |tokens: &[u32]| f64::from(u8::from(tokens == [3, EOS]));
        let rewards_PG: Vec<Vec<f64>> =
            samples_PG.iter().map(|group| group.iter().map(|s| reward(&s.tokens)).collect()).collect();
        let advantages_PG = advantages(variant.advantage, &rewards_PG);
        let samples: Vec<_> = samples_PG.iter().flatten().collect();
        let tokens: usize = samples.iter().map(|s| s.tokens.len()).sum();
        let mut batch = Batch::default();
        let Variant { surrogate, high, kl, .. } = variant;
        let mut objective = PolicyObjective::new(Clip { surrogate, low: 0.2, high, dual: 3.0, kl });
        for (sample, advantage) in samples.iter().zip(advantages_PG.iter().flatten()) {
            batch.push(&[&[START], &sample.tokens[..]].concat());
            let sign = if mutation == Mutation::Sign { -1.0 } else { 1.0 };
            objective.push(&ResponseTokens {
                prompt: 1,
                old_T: &sample.logprobs,
                reference_T: &[],
                advantages_T: &vec![sign * advantage; sample.tokens.len()],
                weight: variant.aggregation.weight(sample.tokens.len(), samples.len(), tokens, 2),
            });
        }
        if mutation == Mutation::Shift {
            for response in &mut objective.responses {
                *response = response.start - 1..response.end - 1;
            }
        }
        objective.reference_T = reference.logprobs(&batch, 1.0).expect("tokens are fine");
        for _ in 0..2 {
            table.forward_backward(&batch, &objective, 1.0).expect("tokens are fine");
            table.optim_step(&adamw).unwrap();
        }
    }
    table.probabilities(START, 1.0)[3] * table.probabilities(3, 1.0)[EOS as usize]
}

#[test]
fn every_variant_reaches_the_optimum() {
    let variants = [
        ("GRPO", GRPO),
        (
            "Dr. GRPO",
            Variant {
                advantage: Advantage::GrpoNoStd,
                aggregation: Aggregation::SeqMeanTokenSumNorm,
                ..GRPO
            },
        ),
        ("DAPO", Variant { high: 0.28, ..GRPO }),
        ("GSPO", Variant { surrogate: Surrogate::Gspo, aggregation: Aggregation::SeqMeanTokenMean, ..GRPO }),
        ("CISPO", Variant { surrogate: Surrogate::Cispo, high: 0.28, ..GRPO }),
        ("RLOO", Variant { advantage: Advantage::Rloo, aggregation: Aggregation::SeqMeanTokenSum, ..GRPO }),
        ("REINFORCE++", Variant { advantage: Advantage::ReinforcePlusPlus, ..GRPO }),
    ];
    for (name, variant) in variants {
        let right = train(variant, Mutation::None);
        assert!(right > 0.95, "{name} reached {right}");
    }
}

#[test]
fn the_reference_holds_the_policy_back() {
    let pulled = |kind| {
        let kl = Kl { kind, coefficient: 1.0, ..Kl::default() };
        train(Variant { kl, ..GRPO }, Mutation::None)
    };
    let free = train(GRPO, Mutation::None);
    for kind in [KlKind::K2, KlKind::K3] {
        let held = pulled(kind);
        assert!(held < 0.9 * free && held > 1.5 / 36.0, "{kind:?}: {held} against {free}");
    }
}

/// The checks above can fail: a wrong sign or a mask that is off by one does not learn.
#[test]
fn mutations_do_not_learn() {
    for mutation in [Mutation::Sign, Mutation::Shift] {
        let right = train(GRPO, mutation);
        assert!(right < 0.5, "the mutation {mutation:?} reached {right}");
    }
}

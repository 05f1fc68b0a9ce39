//! The arithmetic of the policy gradient against verl's and TRL's, to 1e-6.

use learner::Objective;
use serde_json::Value;
use tercet_train::rl::{
    Advantage, Aggregation, Clip, Kl, KlKind, PolicyObjective, ResponseTokens, Surrogate, advantages,
};

/// Results of verl 0.9.1 on 24 ragged responses in four groups.
const REFERENCE: &str = include_str!("../grpo_reference.json");

/// Results of TRL 1.16's trainer on the same responses, made by `bench/peers/trl_losses.py`.
const TRL: &str = include_str!("../trl_reference.json");

const TOLERANCE: f64 = 1e-6;

fn reference() -> Value {
    serde_json::from_str(REFERENCE).expect("the fixture is JSON")
}

fn row(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().expect("a list").iter().map(row).collect()
}

/// The fixture's responses laid end to end, each after a prompt token that counts for nothing.
fn objective(reference: &Value, clip: Clip, aggregation: Aggregation) -> (PolicyObjective, Vec<f32>) {
    let (old, new) = (rows(&reference["old_logprobs"]), rows(&reference["new_logprobs"]));
    let ref_logprobs = rows(&reference["ref_logprobs"]);
    let advantages = row(&reference["advantages"]["grpo_std"]);
    let tokens: usize = new.iter().map(Vec::len).sum();
    let mut objective = PolicyObjective::new(clip);
    let mut logprobs_T = Vec::new();
    let single = |values: &[f64]| values.iter().map(|x| *x as f32).collect::<Vec<f32>>();
    for i in 0..new.len() {
        logprobs_T.push(0.0);
        logprobs_T.extend(single(&new[i]));
        objective.push(&ResponseTokens {
            prompt: 1,
            old_T: &single(&old[i]),
            reference_T: &single(&ref_logprobs[i]),
            advantages_T: &vec![advantages[i]; new[i].len()],
            weight: aggregation.weight(new[i].len(), new.len(), tokens, 1024),
        });
    }
    (objective, logprobs_T)
}

fn close(what: &str, got: f64, expected: f64) {
    assert!((got - expected).abs() < TOLERANCE, "{what}: {got}, not {expected}");
}

fn gradients(objective: &PolicyObjective, logprobs_T: &[f32]) -> (f64, Vec<Vec<f64>>) {
    let mut gradient_T = vec![f32::NAN; logprobs_T.len()];
    let loss = objective.gradient(logprobs_T, &mut gradient_T);
    let responses = objective.responses.iter();
    let rows = responses.map(|r| gradient_T[r.clone()].iter().map(|g| f64::from(*g)).collect());
    (loss, rows.collect())
}

fn named<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_value(Value::String(name.to_owned())).expect("a known name")
}

#[test]
fn advantages_are_verls() {
    let reference = reference();
    let rewards = row(&reference["rewards"]);
    let size = reference["group_size"].as_u64().expect("a number") as usize;
    let groups: Vec<Vec<f64>> = rewards.chunks(size).map(<[f64]>::to_vec).collect();
    let kinds =
        [("grpo_std", Advantage::Grpo), ("grpo_no_std", Advantage::GrpoNoStd), ("rloo", Advantage::Rloo)];
    for (name, kind) in kinds {
        let got = advantages(kind, &groups).concat();
        for (got, expected) in got.iter().zip(row(&reference["advantages"][name])) {
            close(name, *got, expected);
        }
    }
}

#[test]
fn losses_and_gradients_are_verls() {
    let reference = reference();
    let losses = reference["losses"].as_array().expect("a list");
    assert_eq!(losses.len(), 6);
    for case in losses {
        let number = |key: &str| case[key].as_f64().expect("a number");
        let text = |key: &str| case[key].as_str().expect("a text");
        let name = format!("{} {} {}", text("objective"), text("aggregation"), number("clip_high"));
        let clip = Clip {
            surrogate: named::<Surrogate>(&text("objective").replace('_', "-")),
            low: number("clip_low"),
            high: number("clip_high"),
            dual: number("dual_clip"),
            kl: Kl::default(),
        };
        let (objective, logprobs_T) = objective(&reference, clip, named(text("aggregation")));
        let (loss, got) = gradients(&objective, &logprobs_T);
        close(&name, loss, number("loss"));
        for (got, expected) in got.iter().flatten().zip(rows(&case["grad"]).iter().flatten()) {
            close(&format!("gradient of {name}"), *got, *expected);
        }
        let s = objective.statistics(&logprobs_T);
        let metric = |key: &str| case["metrics"][key].as_f64().expect("a number");
        close(&format!("clip fraction of {name}"), s.clipped / s.tokens, metric("actor/pg_clipfrac"));
        close(&format!("ppo_kl of {name}"), s.ppo_kl / s.tokens, metric("actor/ppo_kl"));
        let dual = metric("actor/pg_clipfrac_lower");
        close(&format!("dual clip fraction of {name}"), s.dual_clipped / s.tokens, dual);
    }
}

#[test]
fn losses_and_gradients_are_trls() {
    let reference = reference();
    let trl: Value = serde_json::from_str(TRL).expect("the fixture is JSON");
    let cases = trl["cases"].as_array().expect("a list");
    assert_eq!(cases.len(), 7);
    for case in cases {
        let number = |key: &str| case[key].as_f64().expect("a number");
        let text = |key: &str| case[key].as_str().expect("a text");
        let (loss_type, level) = (text("loss_type"), text("level"));
        let (surrogate, low, high) = match (loss_type, level) {
            // TRL bounds the ratio itself, and only above.
            ("cispo", _) => (Surrogate::Cispo, 1.0, number("epsilon_high") - 1.0),
            (_, "sequence") => (Surrogate::Gspo, number("epsilon_low"), number("epsilon_high")),
            _ => (Surrogate::PpoClip, number("epsilon_low"), number("epsilon_high")),
        };
        let aggregation = match loss_type {
            "grpo" => Aggregation::SeqMeanTokenMean,
            "dr_grpo" => Aggregation::SeqMeanTokenSumNorm,
            _ => Aggregation::TokenMean,
        };
        let kl = Kl { kind: KlKind::K3, coefficient: number("beta"), ..Kl::default() };
        // TRL has no dual clip.
        let clip = Clip { surrogate, low, high, dual: f64::MAX, kl };
        let (objective, logprobs_T) = objective(&reference, clip, aggregation);
        let (loss, got) = gradients(&objective, &logprobs_T);
        let name = format!("{loss_type}, {level}, beta {}", number("beta"));
        close(&name, loss, number("loss"));
        for (got, expected) in got.iter().flatten().zip(rows(&case["grad"]).iter().flatten()) {
            close(&format!("gradient of {name}"), *got, *expected);
        }
        if let Some(clipped) = case["metrics"]["clip_ratio/region_mean"].as_f64().filter(|_| level == "token")
        {
            let s = objective.statistics(&logprobs_T);
            close(&format!("clip ratio of {name}"), s.clipped / s.tokens, clipped);
        }
    }
}

#[test]
fn divergences_and_their_gradients_are_verls() {
    let reference = reference();
    for (name, kind) in [("k1", KlKind::K1), ("k2", KlKind::K2), ("k3", KlKind::K3)] {
        // The term alone: the difference that its coefficient makes.
        let with = |coefficient| {
            let kl = Kl { kind, coefficient, ..Kl::default() };
            let clip = Clip { surrogate: Surrogate::PpoClip, low: 0.2, high: 0.2, dual: 3.0, kl };
            let (objective, logprobs_T) = objective(&reference, clip, Aggregation::TokenMean);
            gradients(&objective, &logprobs_T)
        };
        let (on, off) = (with(1.0), with(0.0));
        close(name, on.0 - off.0, reference["kl"][name]["token_mean"].as_f64().expect("a number"));
        let expected = rows(&reference["kl"][name]["grad"]);
        let pairs = on.1.iter().flatten().zip(off.1.iter().flatten()).zip(expected.iter().flatten());
        for ((on, off), expected) in pairs {
            close(&format!("gradient of {name}"), on - off, *expected);
        }
    }
}

/// Every loss is what its gradient says: against central differences in double precision steps.
#[test]
fn gradients_are_the_slopes_of_the_losses() {
    let reference = reference();
    for surrogate in [Surrogate::PpoClip, Surrogate::Gspo] {
        let kl = Kl { kind: KlKind::K3, coefficient: 0.3, ..Kl::default() };
        let clip = Clip { surrogate, low: 0.2, high: 0.28, dual: 3.0, kl };
        let (objective, logprobs_T) = objective(&reference, clip, Aggregation::SeqMeanTokenSumNorm);
        let mut gradient_T = vec![0.0; logprobs_T.len()];
        objective.gradient(&logprobs_T, &mut gradient_T);
        for response in objective.responses.iter().take(20) {
            // All tokens of a response together: GSPO's stop-gradient spreads the slope over them.
            let moved = |by: f32| {
                let mut moved = logprobs_T.clone();
                moved[response.clone()].iter_mut().for_each(|l| *l += by);
                objective.gradient(&moved, &mut vec![0.0; moved.len()])
            };
            let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            let sum: f64 = gradient_T[response.clone()].iter().map(|g| f64::from(*g)).sum();
            assert!((slope - sum).abs() < 2e-5, "{surrogate:?}: {sum}, not {slope}");
        }
    }
}

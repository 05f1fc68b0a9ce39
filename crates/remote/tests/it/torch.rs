//! The real worker against this project's own engine, on the same weights, batches and random numbers. `TERCET_TORCH_PYTHON`
//! names the interpreter, and `PYTHONPATH` has `python/`; `.ci/torch` sets both. Elsewhere these tests say that they
//! were skipped.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use engine::{CpuFactory, CpuLearner};
use learner::{
    AdamW, Batch, Distributions, Learner, LearnerError, LearnerFactory as _, ModelConfig, Objective, Prompt,
    ReferenceKl, Sampling, Transfer,
};
use tercet_remote::{Launch, Limits, RemoteFactory};

const VOCAB: u32 = 61;

/// The interpreter, or a word that there is none.
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn python() -> Option<String> {
    let python = std::env::var("TERCET_TORCH_PYTHON").ok();
    if python.is_none() {
        eprintln!("skipped: TERCET_TORCH_PYTHON names no interpreter with torch (.ci/torch makes one)");
    }
    python
}

fn cpu() -> CpuFactory {
    CpuFactory::with_threads(Some(2))
}

fn launch(python: String, launcher: &str) -> RemoteFactory {
    let launcher = launcher.split_whitespace().map(str::to_owned).collect();
    let options = ["--threads", "1"].map(str::to_owned).to_vec();
    RemoteFactory::launch(&Launch { python, launcher, options }, Limits::default(), Box::new(cpu()))
        .expect("the worker starts")
}

fn config() -> ModelConfig {
    ModelConfig {
        vocab: VOCAB as usize,
        hidden: 36,
        layers: 3,
        heads: 6,
        kv_heads: 3,
        mlp: 50,
        context: 96,
        rope_theta: 1000.0,
        tied: true,
        norm_eps: 1e-6,
        init_std: 0.3,
        scale_residual_init: true,
        eos: Some(1),
        pad: Some(0),
    }
}

/// Repeatable tokens.
fn tokens(seed: u32, len: usize) -> Vec<u32> {
    let mut state = seed.wrapping_mul(2654435761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 8) % VOCAB
    };
    (0..len).map(|_| next()).collect()
}

/// Sequences of many lengths, one of them of a single token.
fn batch(seed: u32) -> Batch {
    let mut batch = Batch::default();
    for (i, len) in [40, 1, 17, 96, 2, 55].into_iter().enumerate() {
        batch.push(&tokens(seed + i as u32, len));
    }
    batch
}

/// A policy's loss: advantages of both signs, ratios clipped, a KL term to another model if there is one.
struct Policy {
    old_T: Vec<f32>,
    announced: Option<Vec<f32>>,
    reference: Option<Distributions>,
    weights_T: Vec<f32>,
}

impl Policy {
    fn new(old_T: Vec<f32>, reference: Option<Distributions>) -> Policy {
        let weights_T =
            (0..old_T.len()).map(|t| if t % 3 == 0 { 0.0 } else { 0.001 * (t % 7) as f32 }).collect();
        Policy { old_T, announced: None, reference, weights_T }
    }
}

impl Objective for Policy {
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64 {
        let mut loss = 0.0;
        for (t, gradient) in gradient_T.iter_mut().enumerate() {
            let advantage = [1.0, -0.5, 0.0, 0.25][t % 4] / 100.0;
            let ratio = f64::from(logprobs_T[t] - self.old_T[t]).exp();
            let clipped = (advantage > 0.0 && ratio > 1.2) || (advantage < 0.0 && ratio < 0.8);
            loss -= advantage * if clipped { ratio.clamp(0.8, 1.2) } else { ratio };
            *gradient = if clipped { 0.0 } else { (-advantage * ratio) as f32 };
        }
        loss
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        self.announced.as_deref()
    }

    fn reference_kl(&self) -> Option<ReferenceKl<'_>> {
        let reference = self.reference.as_ref()?;
        Some(ReferenceKl { reference, weights_T: &self.weights_T })
    }
}

/// Cross-entropy, known beforehand.
fn cross_entropy(count: usize) -> Policy {
    let announced = (0..count).map(|t| -1.0 / (count + t % 5) as f32).collect();
    Policy { announced: Some(announced), ..Policy::new(vec![0.0; count], None) }
}

/// Largest difference over the largest value.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-12_f32, |most, v| most.max(v.abs()));
    let off = found.iter().zip(expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    f64::from(off / scale)
}

const ADAMW: AdamW =
    AdamW { lr: 0.003, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip_norm: 0.5 };

/// The weights of a learner, by way of a checkpoint.
fn weights(learner: &dyn Learner, dir: &Path) -> CpuLearner {
    learner.save(dir, true).expect("it saves");
    cpu().open_cpu(dir).expect("the engine reads it")
}

/// Both learners have about the same weights after some steps: matrices and norms within a share of their largest value,
/// in the root of the mean square.
///
/// Biases begin at 0, so they are measured by how far Adam can take them: `lr` a step, and `2 · lr` apart where rounding
/// decides a gradient's sign. The bound for most is so low that this happens to none of them. A bias of keys adds almost
/// the same to all scores of a query, which softmax does not feel; only its rotation keeps the gradient from being 0, and
/// where that is slow the gradient is rounding (2e-8 in float64, where others reach 0.2). One component in 400 may go
/// either way: 2 · √(1/400) = 0.1.
fn assert_same_weights(found: &CpuLearner, expected: &CpuLearner, tolerance: f64, steps: u32) {
    let reach = f64::from(ADAMW.lr) * f64::from(steps);
    for ((name, _, found), (_, _, expected)) in found.tensors().zip(expected.tensors()) {
        let squares: f64 = found.iter().zip(expected).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let off = (squares / found.len() as f64).sqrt();
        let largest = expected.iter().fold(1e-12_f32, |most, v| most.max(v.abs()));
        let bound = match name {
            _ if name.ends_with("k_proj.bias") => 0.1 * reach,
            _ if name.rsplit('.').next() == Some("bias") => 5e-3 * reach,
            _ => tolerance * f64::from(largest),
        };
        assert!(off <= bound, "{name} is off by {off:e}, and {bound:e} is allowed");
    }
}

/// One pass of each kind on both, then a step.
fn step(ours: &mut dyn Learner, theirs: &mut dyn Learner, reference: &mut [Box<dyn Learner>; 2], seed: u32) {
    let batch = batch(seed);
    for temperature in [1.0, 0.7] {
        let old_T: Vec<f32> = ours
            .logprobs(&batch, temperature)
            .unwrap()
            .iter()
            .enumerate()
            .map(|(t, l)| l + 0.3 * (t % 3) as f32 - 0.3)
            .collect();
        let [first, second] = reference.each_mut().map(|r| r.distributions(&batch, temperature).unwrap());
        let passes = [
            (cross_entropy(batch.len()), cross_entropy(batch.len())),
            (Policy::new(old_T.clone(), None), Policy::new(old_T.clone(), None)),
            (Policy::new(old_T.clone(), Some(first)), Policy::new(old_T, Some(second))),
        ];
        for (mine, other) in passes {
            let a = ours.forward_backward(&batch, &mine, temperature).unwrap();
            let b = theirs.forward_backward(&batch, &other, temperature).unwrap();
            assert!((a.loss - b.loss).abs() < 1e-5 * a.loss.abs().max(0.01), "losses {} {}", a.loss, b.loss);
            assert!(distance(&b.logprobs_T, &a.logprobs_T) < 1e-5);
            assert!(distance(&b.entropy_T, &a.entropy_T) < 1e-5);
            assert!(distance(&b.divergence_T, &a.divergence_T) < 1e-4);
        }
    }
    let [a, b] = [ours.optim_step(&ADAMW).unwrap(), theirs.optim_step(&ADAMW).unwrap()];
    assert!((a.grad_norm - b.grad_norm).abs() < 1e-5 * a.grad_norm, "{a:?} {b:?}");
    assert!(a.grad_norm > f64::from(ADAMW.clip_norm), "clipping is at work");
}

#[test]
fn passes_steps_and_checkpoints_agree_with_the_engine() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let factory = launch(python, "");
    let mut ours = cpu().fresh_cpu(&config(), [7; 32]).unwrap();
    let mut theirs = factory.fresh(&config(), [7; 32]).unwrap();
    assert_eq!(theirs.parameters().unwrap(), ours.parameters().unwrap());
    assert_same_weights(&weights(&*theirs, &path("fresh")), &ours, 0.0, 0);
    let mut reference =
        [cpu().fresh(&config(), [8; 32]).unwrap(), factory.fresh(&config(), [8; 32]).unwrap()];
    for seed in [1, 11] {
        step(&mut ours, &mut *theirs, &mut reference, seed);
    }
    assert_same_weights(&weights(&*theirs, &path("theirs")), &ours, 1e-4, 2);
    // The stage moves to the other engine, optimizer and all, and both go on alike.
    ours.save(&path("ours"), true).unwrap();
    let mut moved = [factory.open(&path("ours")).unwrap(), cpu().open(&path("theirs")).unwrap()];
    let [to_torch, to_cpu] = &mut moved;
    let mut swapped = [cpu().fresh(&config(), [8; 32]).unwrap(), factory.fresh(&config(), [8; 32]).unwrap()];
    step(&mut **to_cpu, &mut **to_torch, &mut swapped, 21);
    let both = [weights(&**to_torch, &path("a")), weights(&**to_cpu, &path("b"))];
    assert_same_weights(&both[0], &both[1], 1e-4, 3);
    // What was saved is read back to the bit.
    theirs.load(&path("a")).unwrap();
    theirs.save(&path("again"), true).unwrap();
    for file in ["model.safetensors", "optimizer.safetensors", "config.json", "generation_config.json"] {
        let [a, again] = ["a", "again"].map(|name| std::fs::read(path(name).join(file)).unwrap());
        assert!(a == again, "{file}");
    }
    // A gradient that is not finite is no step.
    let before = weights(&*theirs, &path("before"));
    let count = batch(1).len();
    let broken = Policy { announced: Some(vec![f32::NAN; count]), ..Policy::new(vec![0.0; count], None) };
    theirs.forward_backward(&batch(1), &broken, 1.0).unwrap();
    let step = theirs.optim_step(&ADAMW).unwrap();
    assert!(!step.applied && !step.grad_norm.is_finite(), "{step:?}");
    assert_same_weights(&weights(&*theirs, &path("after")), &before, 0.0, 0);
}

/// Samples of 64 prompts of many lengths, eight each.
fn prompts() -> Vec<Prompt> {
    let prompt =
        |p: u32| Prompt { tokens: tokens(p, 1 + p as usize % 23), key: [p as u8; 32], first: p % 3, n: 8 };
    (0..64).map(prompt).collect()
}

#[test]
fn samples_are_the_engines() {
    let Some(python) = python() else { return };
    let factory = launch(python, "");
    let mut ours = cpu().fresh_cpu(&config(), [7; 32]).unwrap();
    let mut theirs = factory.fresh(&config(), [7; 32]).unwrap();
    let settings = |temperature, top_p, top_k, max_tokens| Sampling { temperature, top_p, top_k, max_tokens };
    for sampling in [settings(0.8, 1.0, 0, 40), settings(1.1, 0.9, 20, 20), settings(0.0, 1.0, 0, 90)] {
        let mut finished = 0;
        let expected = ours.sample(&prompts(), &sampling, &mut |_| {}).unwrap().concat();
        let found = theirs.sample(&prompts(), &sampling, &mut |_| finished += 1).unwrap().concat();
        assert_eq!((finished, found.len()), (512, 512));
        let same =
            found.iter().zip(&expected).filter(|(a, b)| a.tokens == b.tokens && a.stop == b.stop).count();
        assert!(same >= 508, "{same} of 512 texts are the same ({sampling:?})");
        for (a, b) in found.iter().zip(&expected).filter(|(a, b)| a.tokens == b.tokens) {
            assert!(distance(&a.logprobs, &b.logprobs) < 1e-4 || a.logprobs.is_empty());
        }
        // A sample does not depend on its company.
        let alone = Prompt { n: 3, ..prompts()[5].clone() };
        let alone = theirs.sample(&[alone], &sampling, &mut |_| {}).unwrap().concat();
        assert!((0..3).filter(|i| alone[*i].tokens == found[5 * 8 + i].tokens).count() >= 2);
    }
    let long = Prompt { tokens: vec![2; 97], key: [0; 32], first: 0, n: 1 };
    let error = theirs.sample(&[long], &settings(1.0, 1.0, 0, 1), &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "a prompt of 97 tokens is longer than the context of 96");
    let mut outside = Batch::default();
    outside.push(&[1, VOCAB]);
    let error = theirs.logprobs(&outside, 1.0).unwrap_err();
    assert_eq!(error.to_string(), "token 61 is outside the vocabulary of 61");
}

#[test]
fn two_processes_are_one_worker() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let one = launch(python.clone(), "");
    let two = launch(
        python,
        "torchrun --nproc-per-node 2 --master-port 0 --rdzv-backend c10d --rdzv-endpoint localhost:0",
    );
    assert_eq!(two.worker().workers, 2);
    let mut first = one.fresh(&config(), [7; 32]).unwrap();
    let mut second = two.fresh(&config(), [7; 32]).unwrap();
    let mut reference = [one.fresh(&config(), [8; 32]).unwrap(), two.fresh(&config(), [8; 32]).unwrap()];
    for seed in [1, 11, 21] {
        step(&mut *first, &mut *second, &mut reference, seed);
    }
    // One sequence for two processes: one of them has none.
    let mut single = Batch::default();
    single.push(&tokens(5, 30));
    for learner in [&mut first, &mut second] {
        learner.forward_backward(&single, &cross_entropy(30), 1.0).unwrap();
    }
    let norms = [&mut first, &mut second].map(|learner| learner.optim_step(&ADAMW).unwrap().grad_norm);
    assert!((norms[0] / norms[1] - 1.0).abs() < 1e-6, "{norms:?}");
    let [a, b] = [(&first, "a"), (&second, "b")].map(|(l, name)| weights(&**l, &dir.path().join(name)));
    assert_same_weights(&b, &a, 1e-4, 4);
    let sampling = Sampling { temperature: 0.8, top_p: 1.0, top_k: 0, max_tokens: 40 };
    let [a, b] =
        [&mut first, &mut second].map(|l| l.sample(&prompts(), &sampling, &mut |_| {}).unwrap().concat());
    let same = a.iter().zip(&b).filter(|(a, b)| a.tokens == b.tokens).count();
    assert!(same >= 508, "{same} of 512");
    // An error is everyone's, and nobody waits for the others afterwards.
    let mut outside = Batch::default();
    outside.push(&[1, VOCAB]);
    assert!(matches!(second.logprobs(&outside, 1.0), Err(LearnerError::Request(_))));
    assert!(second.logprobs(&single, 1.0).is_ok());
}

/// A worker of its own that ends with the test.
struct Running(Child, String);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn running(python: &str, host: &str) -> Running {
    use std::io::{BufRead as _, BufReader};
    let mut child = Command::new(python)
        .args(["-m", "tercet.torch", "--threads", "1", "--host", host])
        .env("TERCET_TOKEN", "secret")
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let url = lines.find_map(|line| Some(line.strip_prefix("tercet.torch listens at ")?.to_owned()));
    Running(child, url.expect("it listens"))
}

#[test]
fn a_running_worker_serves_one_driver_after_the_other_and_files_travel() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    // An address that does not count as this machine's own, though it is.
    let worker = running(&python, "127.0.0.2");
    let connect = |token: &str| RemoteFactory::connect(&worker.1, token, Limits::default(), Box::new(cpu()));
    let error = connect("wrong").err().expect("refused").to_string();
    assert!(error.contains("the token is not this worker's"), "{error}");
    let factory = connect("secret").unwrap();
    let error = connect("secret").err().expect("refused").to_string();
    assert!(error.contains("another driver uses this worker"), "{error}");
    let mut learner = factory.fresh(&config(), [7; 32]).unwrap();
    let mut ours = cpu().fresh_cpu(&config(), [7; 32]).unwrap();
    let saved = dir.path().join("saved");
    assert_eq!(learner.save(&saved, true).unwrap(), Transfer::Bytes);
    learner.load(&saved).unwrap();
    assert_same_weights(&cpu().open_cpu(&saved).unwrap(), &ours, 0.0, 0);
    drop(learner);
    drop(factory);
    // The first driver has gone.
    let again = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        connect("secret").ok()
    });
    let mut learner = again.expect("the worker is free again").open(&saved).unwrap();
    let [found, expected] =
        [learner.logprobs(&batch(1), 1.0), ours.logprobs(&batch(1), 1.0)].map(Result::unwrap);
    assert!(distance(&found, &expected) < 1e-5);
}

#[test]
fn a_worker_that_is_killed_is_lost_with_its_last_words() {
    let Some(python) = python() else { return };
    let mut worker = running(&python, "127.0.0.1");
    let factory = RemoteFactory::connect(&worker.1, "secret", Limits::default(), Box::new(cpu())).unwrap();
    let mut learner = factory.fresh(&config(), [7; 32]).unwrap();
    worker.0.kill().unwrap();
    worker.0.wait().unwrap();
    let error = learner.logprobs(&batch(1), 1.0).unwrap_err();
    assert!(matches!(error, LearnerError::Lost(_)), "{error}");
    // An interpreter without the package says what is missing.
    let options = vec!["--no-such-option".to_owned()];
    let launch = Launch { python, launcher: Vec::new(), options };
    let error = RemoteFactory::launch(&launch, Limits::default(), Box::new(cpu()))
        .err()
        .expect("it ends")
        .to_string();
    assert!(error.contains("ended before it listened") && error.contains("--no-such-option"), "{error}");
}

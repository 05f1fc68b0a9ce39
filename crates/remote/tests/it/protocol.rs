//! What is sent and what is made of the answers.

use std::sync::{Arc, Mutex};

use learner::{
    AdamW, Batch, Distributions, LearnerError, LearnerFactory as _, Objective, Prompt, ReferenceKl, Sampling,
    StopReason, Transfer,
};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use tercet_remote::Limits;

use crate::fake::{self, Reply, Request, connect, honest, limits, worker};

pub(crate) const ADAMW: AdamW =
    AdamW { lr: 0.01, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip_norm: 1.0 };

pub(crate) const SAMPLING: Sampling = Sampling { temperature: 0.8, top_p: 1.0, top_k: 0, max_tokens: 4 };

pub(crate) fn batch() -> Batch {
    let mut batch = Batch::default();
    batch.push(&[1, 2, 3]);
    batch.push(&[4, 5]);
    batch
}

pub(crate) fn prompt(n: u32) -> Prompt {
    Prompt { tokens: vec![1, 2], key: [3; 32], first: 0, n }
}

/// −1 for every token; `announced` if the learner may know beforehand; perhaps with a KL term.
pub(crate) struct Loss {
    pub(crate) announced: Option<Vec<f32>>,
    pub(crate) reference: Option<Distributions>,
    pub(crate) weights_T: Vec<f32>,
}

impl Loss {
    pub(crate) fn new(announced: bool) -> Loss {
        Loss { announced: announced.then(|| vec![-1.0; 5]), reference: None, weights_T: vec![0.5; 5] }
    }
}

impl Objective for Loss {
    fn gradient(&self, logprobs_T: &[f32], gradient_T: &mut [f32]) -> f64 {
        gradient_T.fill(-1.0);
        1.5 - logprobs_T.iter().map(|l| f64::from(*l)).sum::<f64>()
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        self.announced.as_deref()
    }

    fn reference_kl(&self) -> Option<ReferenceKl<'_>> {
        let reference = self.reference.as_ref()?;
        Some(ReferenceKl { reference, weights_T: &self.weights_T })
    }
}

/// Heads and shapes of what an honest worker was asked.
type Asked = Arc<Mutex<Vec<(Value, Vec<(String, Vec<usize>)>)>>>;

fn recording() -> (String, Asked) {
    let asked = Asked::default();
    let kept = Arc::clone(&asked);
    let (url, _) = worker(move |request: &Request| {
        assert_eq!(request.headers["authorization"], "Bearer secret");
        if request.path != "/hello" {
            assert_eq!(request.headers["tercet-session"], "s1");
        }
        let mut shapes: Vec<_> = request.shapes.clone().into_iter().collect();
        shapes.sort();
        kept.lock().unwrap().push((request.head.clone(), shapes));
        honest(request)
    });
    (url, asked)
}

#[test]
fn every_verb_is_one_request_and_a_gradient_that_depends_on_log_probabilities_two() {
    let (url, asked) = recording();
    let dir = tempfile::tempdir().unwrap();
    let factory = connect(&url, limits()).unwrap();
    assert_eq!((factory.worker().workers, factory.worker().device.as_str()), (2, "cpu"));
    let mut learner = factory.open(dir.path()).unwrap();
    assert_eq!(learner.parameters().unwrap(), 100);
    assert_eq!(learner.logprobs(&batch(), 0.5).unwrap(), [0.0; 5]);
    let one = learner.forward_backward(&batch(), &Loss::new(true), 1.0).unwrap();
    let two = learner.forward_backward(&batch(), &Loss::new(false), 1.0).unwrap();
    assert_eq!(one, two);
    assert_eq!(one.loss, 1.5);
    assert!(learner.optim_step(&ADAMW).unwrap().applied);
    assert_eq!(learner.save(&dir.path().join("saved"), true).unwrap(), Transfer::SharedDisk);
    learner.load(dir.path()).unwrap();
    drop(learner);
    let asked = asked.lock().unwrap();
    let verbs: Vec<&str> = asked.iter().map(|(head, _)| head["verb"].as_str().unwrap_or("hello")).collect();
    let expected =
        ["hello", "open", "logprobs", "forward_backward", "forward", "backward", "optim_step", "save"];
    assert_eq!(verbs, [&expected[..], &["load", "close"]].concat());
    let folder = dir.path().to_str().unwrap();
    assert_eq!(asked[1].0, json!({"verb": "open", "eos": null, "folder": folder}));
    assert_eq!(asked[2].0, json!({"verb": "logprobs", "model": 1, "temperature": 0.5}));
    let tokens = [("starts".to_owned(), vec![3]), ("tokens".to_owned(), vec![5])];
    assert_eq!(asked[2].1, tokens);
    assert_eq!(asked[5].1, [("gradient".to_owned(), vec![5])]);
    assert!((asked[6].0["adamw"]["beta2"].as_f64().unwrap() - 0.95).abs() < 1e-6);
}

#[test]
fn distributions_stay_with_the_worker_and_only_its_own_can_be_used() {
    let (url, asked) = recording();
    let (other_url, _) = recording();
    let dir = tempfile::tempdir().unwrap();
    let mut learner = connect(&url, limits()).unwrap().open(dir.path()).unwrap();
    let mut other = connect(&other_url, limits()).unwrap().open(dir.path()).unwrap();
    for announced in [true, false] {
        let reference = learner.distributions(&batch(), 1.0).unwrap();
        assert!(reference.values_TV().is_none());
        let loss = Loss { reference: Some(reference), ..Loss::new(announced) };
        learner.forward_backward(&batch(), &loss, 1.0).unwrap();
        let (head, shapes) = asked.lock().unwrap().last().unwrap().clone();
        assert_eq!(head["held"], 7);
        assert!(shapes.contains(&("kl_weights".to_owned(), vec![5])), "{shapes:?}");
        assert!(!shapes.iter().any(|(name, _)| name == "reference"));
        let error = other.forward_backward(&batch(), &loss, 1.0).unwrap_err();
        assert!(matches!(error, LearnerError::Request(_)), "{error}");
    }
    // Numbers that are here travel.
    let loss = Loss { reference: Some(Distributions::Values(vec![-1.0; 50])), ..Loss::new(true) };
    other.forward_backward(&batch(), &loss, 1.0).unwrap();
    let loss = Loss { reference: Some(Distributions::Values(vec![-1.0; 49])), ..Loss::new(true) };
    assert!(matches!(other.forward_backward(&batch(), &loss, 1.0), Err(LearnerError::Request(_))));
}

#[test]
fn samples_come_with_their_ends_and_their_progress() {
    let mut turn = 0;
    let (url, seen) = worker(move |request| {
        turn += 1;
        match (request.verb(), request.path.as_str(), turn) {
            ("sample", ..) => Reply::Say(202, fake::message(&json!({"progress": [2]}), &[])),
            (_, "/wait", 4) => Reply::Say(202, fake::message(&json!({"progress": []}), &[])),
            (_, "/wait", _) => {
                let tokens = [("tokens", Dtype::I32, &[3, 4][..]), ("logprobs", Dtype::F32, &[3, 4])];
                let mut body =
                    fake::message(&json!({}), &[tokens[0], tokens[1], ("lengths", Dtype::I32, &[3])]);
                // Lengths stand before tokens: 2, 4, 0. Tokens of the first: 5, then the end token.
                let tensors = 4 * (12 + 12 + 3);
                let start = body.len() - tensors;
                let views = safetensors::SafeTensors::read_metadata(&body).unwrap().1;
                let at = |name: &str| start + views.info(name).unwrap().data_offsets.0;
                for (place, value) in [(at("lengths"), 2), (at("lengths") + 4, 4), (at("tokens"), 5)] {
                    body[place] = value;
                }
                body[at("tokens") + 4] = 9;
                Reply::Say(200, body)
            }
            _ => honest(request),
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let mut learner = connect(&url, limits()).unwrap().open(dir.path()).unwrap();
    let mut finished = Vec::new();
    let samples = learner
        .sample(&[prompt(2), prompt(0), prompt(1)], &SAMPLING, &mut |length| finished.push(length))
        .unwrap();
    assert_eq!(samples.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(samples[0][0].tokens, [5, 9]);
    assert_eq!((samples[0][0].stop, samples[0][1].stop), (StopReason::End, StopReason::Length));
    assert_eq!((samples[0][1].tokens.len(), samples[2][0].tokens.len()), (4, 0));
    assert_eq!(finished, [2, 4, 0], "each sample once");
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["/hello", "open", "sample", "/wait", "/wait"]);
}

#[test]
fn what_the_worker_refuses_is_told_apart_and_the_worker_lives_on() {
    let (url, _) = worker(|request| {
        let error = |kind: &str| {
            let head = json!({"error": kind, "message": "why", "path": "/there"});
            Reply::Say(200, fake::message(&head, &[]))
        };
        match request.verb() {
            "logprobs" => error("request"),
            "optim_step" => error("memory"),
            "load" => error("checkpoint"),
            _ => honest(request),
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let mut learner = connect(&url, limits()).unwrap().open(dir.path()).unwrap();
    assert_eq!(learner.logprobs(&batch(), 1.0).unwrap_err().to_string(), "why");
    let error = learner.optim_step(&ADAMW).unwrap_err();
    assert!(matches!(error, LearnerError::Memory(_)), "{error}");
    assert_eq!(learner.load(dir.path()).unwrap_err().to_string(), "/there: why");
    assert!(learner.forward_backward(&batch(), &Loss::new(true), 1.0).is_ok());
    // Refused without asking.
    assert!(matches!(learner.logprobs(&batch(), 0.0), Err(LearnerError::Request(_))));
    let empty = prompt(1);
    let empty = learner::Prompt { tokens: Vec::new(), ..empty };
    assert!(matches!(learner.sample(&[empty], &SAMPLING, &mut |_| {}), Err(LearnerError::Request(_))));
}

#[test]
fn requests_have_a_largest_size() {
    let (url, seen) = worker(honest);
    let dir = tempfile::tempdir().unwrap();
    let mut learner = connect(&url, Limits { bytes: 2000, ..limits() }).unwrap().open(dir.path()).unwrap();
    let mut batch = Batch::default();
    batch.push(&[1; 1000]);
    let error = learner.logprobs(&batch, 1.0).unwrap_err();
    assert!(matches!(error, LearnerError::Request(_)), "{error}");
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["/hello", "open"]);
}

#[test]
fn a_worker_of_another_version_or_of_another_driver_is_refused() {
    let check = |reply: fn() -> Reply, expected: &str| {
        let (url, _) = worker(move |_| reply());
        let error = connect(&url, limits()).err().expect("an error").to_string();
        assert!(error.contains(expected) && error.contains(&url), "{error}");
    };
    check(
        || {
            let mut head = fake::hello();
            head["protocol"] = json!(2);
            Reply::ok(&head, &[])
        },
        "it speaks protocol 2, and this program 1",
    );
    check(
        || {
            let head = json!({"error": "busy", "message": "another driver uses this worker"});
            Reply::Say(409, fake::message(&head, &[]))
        },
        "another driver uses this worker",
    );
    check(
        || {
            let head = json!({"error": "token", "message": "the token is not this worker's"});
            Reply::Say(401, fake::message(&head, &[]))
        },
        "the token is not this worker's",
    );
    check(|| Reply::Say(200, fake::message(&json!({"session": "s"}), &[])), "makes no sense");
    check(|| Reply::Say(404, b"<html>not found</html>".to_vec()), "no message");
    let error = connect("http://127.0.0.1:1", limits()).err().expect("nobody there");
    assert!(matches!(error, LearnerError::Lost(_)), "{error}");
}

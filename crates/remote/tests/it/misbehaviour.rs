//! A worker that dies, hangs or answers nonsense, at each verb: lost, in time, for good.

use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use learner::{Learner, LearnerError, LearnerFactory as _};
use serde_json::json;

use crate::fake::{Reply, Request, connect, honest, limits, message, worker};
use crate::protocol::{ADAMW, Loss, SAMPLING, batch, prompt};

const VERBS: [&str; 10] = [
    "open",
    "forward",
    "backward",
    "forward_backward",
    "optim_step",
    "logprobs",
    "distributions",
    "sample",
    "save",
    "load",
];

/// Ways to go wrong, each with a word of the error that it gives.
const WAYS: [(&str, &str); 8] = [
    ("dies", "the connection broke"),
    ("hangs", "no answer in time"),
    ("answers by half", "the connection broke"),
    ("answers garbage", "no message"),
    ("answers too much", "more than"),
    ("answers an error of its own", "it failed"),
    ("answers without what was asked for", "the answer"),
    ("is never done", "within"),
];

fn wrong(way: &str) -> Reply {
    match way {
        "dies" => Reply::Die,
        "hangs" => Reply::Hang,
        "answers by half" => Reply::Half(100_000, vec![b'x'; 50]),
        "answers garbage" => Reply::Say(200, b"nonsense".to_vec()),
        "answers too much" => Reply::Half(1 << 40, vec![b'x'; 1 << 17]),
        "answers an error of its own" => {
            Reply::Say(200, message(&json!({"error": "failed", "message": "IndexError"}), &[]))
        }
        "is never done" => Reply::Say(202, message(&json!({}), &[])),
        _ => Reply::Say(200, message(&json!({}), &[])),
    }
}

/// Does one thing with a learner, as training would.
fn act(learner: &mut dyn Learner, verb: &str, dir: &Path) -> Result<(), LearnerError> {
    match verb {
        "forward" | "backward" => learner.forward_backward(&batch(), &Loss::new(false), 1.0).map(|_| ()),
        "forward_backward" => learner.forward_backward(&batch(), &Loss::new(true), 1.0).map(|_| ()),
        "optim_step" => learner.optim_step(&ADAMW).map(|_| ()),
        "logprobs" => learner.logprobs(&batch(), 1.0).map(|_| ()),
        "distributions" => learner.distributions(&batch(), 1.0).map(|_| ()),
        "sample" => learner.sample(&[prompt(2)], &SAMPLING, &mut |_| {}).map(|_| ()),
        "save" => learner.save(dir, true).map(|_| ()),
        _ => learner.load(dir),
    }
}

/// The worker is honest until `verb`, and goes wrong there.
fn check(verb: &'static str, way: &'static str, expected: &str) {
    let mut gone_wrong = false;
    let (url, seen) = worker(move |request: &Request| {
        gone_wrong |= request.verb() == verb;
        if gone_wrong { wrong(way) } else { honest(request) }
    });
    let dir = tempfile::tempdir().unwrap();
    let limits = tercet_remote::Limits { request: Duration::from_secs(10), ..limits() };
    let factory = connect(&url, limits).unwrap();
    let mut opened = factory.open(dir.path());
    let result = match &mut opened {
        Ok(learner) => act(&mut **learner, verb, &dir.path().join("saved")),
        Err(_) => opened.as_ref().map(|_| ()).map_err(|e| LearnerError::Lost(e.to_string())),
    };
    // An empty answer is enough where nothing is asked for but that it be done.
    if way == "answers without what was asked for" && ["load", "save"].contains(&verb) {
        let wrote_nothing = matches!(result, Err(LearnerError::Checkpoint { .. }));
        assert!(if verb == "save" { wrote_nothing } else { result.is_ok() }, "{verb} {way}: {result:?}");
        return;
    }
    let Err(LearnerError::Lost(why)) = result else { panic!("{verb} {way}: {result:?}") };
    assert!(why.contains(expected), "{verb} {way}: {why}");
    // From now on nothing is asked any more.
    let asked = seen.try_iter().count();
    if let Ok(learner) = &mut opened {
        let again = act(&mut **learner, "logprobs", dir.path()).unwrap_err();
        assert!(matches!(again, LearnerError::Lost(_)), "{verb} {way}: {again}");
        drop(opened);
    }
    assert!(asked > 0 && seen.try_iter().count() == 0, "{verb} {way}");
}

#[test]
fn at_each_verb_each_way_to_go_wrong_is_a_lost_worker() {
    let (sender, done) = channel();
    for verb in VERBS {
        for (way, expected) in WAYS {
            let sender = sender.clone();
            thread::spawn(move || {
                check(verb, way, expected);
                let _ = sender.send(());
            });
        }
    }
    drop(sender);
    let within = Duration::from_mins(1);
    for _ in 0..VERBS.len() * WAYS.len() {
        // A thread that panics sends nothing, and the channel ends early.
        done.recv_timeout(within).expect("a check failed, or took longer than the limits allow");
    }
}

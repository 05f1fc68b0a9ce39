//! Any bytes give a verdict, quickly, and the verdict is consistent.

#![expect(clippy::disallowed_methods, reason = "time is what a test here bounds")]

use std::time::{Duration, Instant};

use tercet_problems::gold::{Gold, GoldNode, Mode};
use tercet_problems::linear::Linear;
use tercet_problems::reward::{Reward, ending_credit, step_credit};
use tercet_problems::stream::{Draws, Stream};
use tercet_problems::topology::Topology;
use tercet_problems::verify::{Policy, explain, normalise_answer, verify, verify_bytes};

/// crow, owl = 2 * crow, total = crow + owl; forward crow = 3, reverse crow = x.
fn gold(mode: Mode) -> Gold {
    let value = |n: i64| if mode == Mode::Reverse { Linear { a: n, b: 0 } } else { Linear::number(3 * n) };
    let node = |name: &str, parents: &[u32], n: i64| GoldNode {
        name: name.to_owned(),
        parents: parents.to_vec(),
        value: value(n),
    };
    let nodes =
        vec![node("crow in Zoo", &[], 1), node("owl in Zoo", &[0], 2), node("total in Zoo", &[0, 1], 3)];
    Gold { nodes, answer: if mode == Mode::Reverse { 4 } else { 9 }, mode, modulus: None }
}

#[track_caller]
fn check(text: &str) {
    for mode in [Mode::Forward, Mode::Reverse] {
        let gold = gold(mode);
        let [paper, reference, strict] = Policy::ALL.map(|policy| verify(&gold, text, policy));
        assert!(!strict.verified || paper.verified, "{text:?}");
        assert!(!paper.verified || reference.verified, "{text:?}");
        for verdict in [&paper, &reference, &strict] {
            assert!((0.0..=1.0).contains(&verdict.process_acc), "{text:?}");
            assert!(verdict.verified || verdict.first_fault.is_some(), "{text:?}");
            for step in &verdict.steps {
                assert!(text.get(step.range.clone()).is_some(), "{text:?}");
                assert!(step.fault_range.clone().is_none_or(|range| text.get(range).is_some()), "{text:?}");
            }
            assert!(step_credit(verdict).is_sorted_by_key(|(range, _)| range.start), "{text:?}");
            assert!(text.get(ending_credit(verdict, text, mode).0).is_some(), "{text:?}");
            let reward = Reward::Reference { answer_weight: 0.2 }.score(verdict).reward;
            assert!((0.0..=1.0).contains(&reward), "{text:?}");
        }
        assert!(explain(text, &strict).ends_with('\n'), "{text:?}");
    }
    Topology::of_response(text).canonical();
    if let Some(answer) = normalise_answer(text) {
        assert_eq!(normalise_answer(&answer).as_ref(), Some(&answer), "{text:?}");
    }
}

const RIGHT: [&str; 2] = [
    " Define crow in Zoo as a; so a = 3. Define owl in Zoo as b; u = a = 3; so b = 2 * u = 2 * 3 = 6. \
        Define total in Zoo as T; so T = a + b = 3 + 6 = 9. </solution> <answer> 9 </answer>",
    " crow in Zoo: x =?. owl in Zoo: u = x = x; b =2 * u =2 * x. total in Zoo: T = x + b = x +2 * x =3 * x. \
        total in Zoo =12: 3 * x =12; x =4. </solution> <answer> 4 </answer>",
];

const PIECES: [&str; 44] = [
    "Define",
    "define ",
    " as ",
    "as",
    ";",
    ":",
    ".",
    ",",
    "=",
    " = ",
    "so ",
    "a",
    "b",
    "T",
    "x",
    "crow in Zoo",
    "owl in Zoo",
    "total in Zoo",
    "3",
    "6",
    "9",
    "12",
    "1,000",
    "2.0",
    "4.5",
    "+",
    " - ",
    "*",
    "/",
    "(",
    ")",
    "We know ",
    "so we have ",
    "we don't know its value yet",
    "Solution: ",
    "Answer: ",
    "<answer>",
    "</answer>",
    "</solution>",
    "<",
    "\u{a0}",
    "\u{fffd}",
    "é",
    "=?",
];

fn soup(draws: &mut Draws) -> String {
    let pieces = (0..draws.below(60)).filter_map(|_| draws.choose(&PIECES).copied());
    pieces.collect()
}

fn edited(draws: &mut Draws) -> Vec<u8> {
    let mut bytes = RIGHT[draws.below(RIGHT.len())].as_bytes().to_vec();
    for _ in 0..=draws.below(4) {
        let at = draws.below(bytes.len());
        match draws.below(4) {
            0 => bytes[at] = draws.below(256) as u8,
            1 => bytes.insert(at, draws.below(128) as u8),
            2 => drop(bytes.drain(at..(at + 1 + draws.below(9)).min(bytes.len()))),
            _ => bytes.splice(at..at, PIECES[draws.below(PIECES.len())].bytes()).for_each(drop),
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn any_bytes_give_a_consistent_verdict() {
    let stream = Stream::root(4).fork("any text");
    for i in 0..20_000 {
        let mut draws = stream.index(i).draws();
        let bytes = match i % 3 {
            0 => (0..draws.below(200)).map(|_| draws.below(256) as u8).collect(),
            1 => soup(&mut draws).into_bytes(),
            _ => edited(&mut draws),
        };
        check(&String::from_utf8_lossy(&bytes));
        let text = String::from_utf8_lossy(&bytes);
        let gold = gold(Mode::Forward);
        assert_eq!(verify_bytes(&gold, &bytes, Policy::Strict), verify(&gold, &text, Policy::Strict));
    }
}

#[test]
fn repetition_takes_time_in_proportion() {
    // Quadratic work on a megabyte would take hours, cubic work years.
    let pieces = [
        "Define x as y ",
        "Define a as b; so b = 1. ",
        "We know x = 3, so we have ",
        "a: b =1. ",
        "a: ",
        "= ",
        "(",
        "-",
        "Define x as y; so y = ((((1",
        "a as ",
        "<",
        "<answer> ",
        "Answer: ",
        "1,000",
        "'",
        "a-",
        "\u{a0}",
        ". ",
        "we ",
        "Define x as y; so y = ",
        "Define x as y; so y = a + ",
        "Define x as y; y = x; ",
    ];
    for piece in pieces {
        let text = piece.repeat((1 << 20) / piece.len());
        let start = Instant::now();
        for mode in [Mode::Forward, Mode::Reverse] {
            assert!(!verify(&gold(mode), &text, Policy::Strict).verified);
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{piece:?} took {:?}", start.elapsed());
    }
}

#[test]
fn text_beyond_the_limit_is_not_read() {
    let text = format!("{}{}", " ".repeat(tercet_problems::verify::TEXT_MAX), RIGHT[0]);
    let verdict = verify(&gold(Mode::Forward), &text, Policy::Paper);
    assert!(verdict.truncated && !verdict.verified);
}

//! Any bytes through the grammar, the judge under every policy, its explanation, the rewards, the topology
//! and the mutations. What must hold of any verdict is asserted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tercet_problems::gold::{Gold, GoldNode, Mode};
use tercet_problems::linear::Linear;
use tercet_problems::mutate::{Harmless, Material, Wrong};
use tercet_problems::reward::{Reward, step_credit};
use tercet_problems::stream::Stream;
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
    let nodes = vec![
        node("crow in Zoo", &[], 1),
        node("owl in Zoo", &[0], 2),
        node("total in Rêves Zoo", &[0, 1], 3),
    ];
    Gold { nodes, answer: if mode == Mode::Reverse { 4 } else { 9 }, mode, modulus: None }
}

fn check(gold: &Gold, text: &str) {
    let [paper, reference, strict] = Policy::ALL.map(|policy| verify(gold, text, policy));
    assert!(!strict.verified || paper.verified, "strict accepts only what paper accepts");
    assert!(!paper.verified || reference.verified, "reference is the most lenient");
    for verdict in [&paper, &reference, &strict] {
        assert!((0.0..=1.0).contains(&verdict.process_acc));
        // The published code counts what nobody asked for against the process, and accepts it.
        let charged = verdict.policy == Policy::Reference && verdict.extra > 0;
        assert!(!verdict.verified || verdict.answer_correct && (verdict.process_acc == 1.0 || charged));
        assert!(verdict.verified || verdict.first_fault.is_some());
        for step in &verdict.steps {
            assert!(text.get(step.range.clone()).is_some());
            assert!(step.fault_range.clone().is_none_or(|range| text.get(range).is_some()));
        }
        assert!(step_credit(verdict).is_sorted_by_key(|(range, _)| range.start));
        let reward = Reward::Reference { answer_weight: 0.2 }.score(verdict).reward;
        assert!((0.0..=1.0).contains(&reward));
    }
    explain(text, &strict);
    Topology::of_response(text).canonical();
    if let Some(answer) = normalise_answer(text) {
        assert_eq!(normalise_answer(&answer), Some(answer));
    }
    let material = Material::new(text);
    let mut draws = Stream::root(text.len() as u64).draws();
    for kind in Harmless::ALL {
        kind.apply(&material, &mut draws);
    }
    for kind in Wrong::ALL {
        kind.apply(&material, &mut draws);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let modulo = Gold { modulus: Some(10), ..gold(Mode::Forward) };
    for gold in [gold(Mode::Forward), gold(Mode::Reverse), modulo] {
        verify_bytes(&gold, bytes, Policy::Strict);
        if let Ok(text) = std::str::from_utf8(bytes) {
            check(&gold, text);
        }
    }
});

//! Any text as a context: an error or a context whose gold solutions the judge verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tercet_problems::context::Context;
use tercet_problems::gold::Mode;
use tercet_problems::verify::{Policy, verify};
use tercet_problems::{Cell, Contexts, Generator, World};

fuzz_target!(|text: &str| {
    let Ok(context) = Context::from_toml(text) else { return };
    let name = context.name.clone();
    let mut contexts = Contexts::builtin();
    if contexts.add(context).is_err() {
        return;
    }
    let generator = Generator::new(&World::default(), &contexts, 1, None).expect("a world");
    for mode in Mode::ALL {
        let cell = Cell { op: 4, context: name.clone(), mode };
        let Ok(sequence) = generator.sequence(&cell) else { continue };
        let problem = sequence.problem(0);
        assert!(
            verify(&problem.gold(), &problem.response(), Policy::Strict).verified,
            "{}",
            problem.response()
        );
    }
});

//! Any bytes as a file of JSON lines with records and responses, in every layout that `tercet verify` reads.
#![no_main]

use std::io::Cursor;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tercet_problems::responses::{Fields, Matcher};
use tercet_problems::verify::{Policy, verify};
use tercet_runs::lines;

fuzz_target!(|bytes: &[u8]| {
    let lines = lines::Lines::of(Cursor::new(bytes.to_vec()), Path::new("responses.jsonl"));
    let mut matcher = Matcher::new(None, Fields::default());
    for line in lines {
        let Ok(line) = line else { return };
        let Ok(value) = lines::parse(&line.text) else { continue };
        if let Ok(Some(matched)) = matcher.read(&value) {
            for given in &matched.responses {
                verify(&matched.problem.gold(), &given.text, Policy::Strict);
            }
        }
    }
});

//! Any bytes as `config.json` and, after a line of dashes, as `model.safetensors`: an error that comes before memory is
//! asked for, or a model.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use tercet_engine::CpuFactory;
use tercet_engine::learner::LearnerFactory as _;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.windows(4).position(|window| window == b"\n--\n");
    let (config, weights) = split.map_or((bytes, &b""[..]), |at| (&bytes[..at], &bytes[at + 4..]));
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("config.json"), config).expect("writable");
    fs::write(dir.path().join("model.safetensors"), weights).expect("writable");
    let _ = CpuFactory::with_threads(Some(1)).open(dir.path());
});

//! Any bytes as `tokenizer.json` and, after a line of dashes, as `tokenizer_config.json`: an error, or a tokenizer that
//! encodes and decodes without a panic.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use tercet_tokens::Tokenizer;

fuzz_target!(|bytes: &[u8]| {
    let split = bytes.windows(4).position(|window| window == b"\n--\n");
    let (tokenizer, config) = split.map_or((bytes, &b"{}"[..]), |at| (&bytes[..at], &bytes[at + 4..]));
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("tokenizer.json"), tokenizer).expect("writable");
    fs::write(dir.path().join("tokenizer_config.json"), config).expect("writable");
    for opened in [Tokenizer::open(dir.path()), Tokenizer::open_any(dir.path())].into_iter().flatten() {
        let ids = opened.encode("Define crow in Zoo as a; so a = 3. Rêves \u{1F426}");
        opened.decode(&ids);
    }
});

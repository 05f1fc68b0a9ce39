//! How fast texts become tokens: `cargo run --release -p tokens --example rate`.

use std::time::Instant;

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "an example that measures and prints")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = |n: usize| {
        format!(
            "<question> total farm? crow zoo ={n}; owl zoo =2 * crow zoo; fox farm ={} + owl zoo; </question> \
             <solution> crow zoo: j ={n}. owl zoo: m =2 * j =2 *{n} ={}. fox farm: x ={} + m ={}. </solution> \
             <answer> {} </answer>",
            n % 7,
            2 * n,
            n % 7,
            2 * n + n % 7,
            3 * n
        )
    };
    let texts: Vec<String> = (0..20_000).map(text).collect();
    let start = Instant::now();
    let tokenizer = tercet_tokens::Tokenizer::train(texts.iter().cloned(), 2200)?;
    println!(
        "trained on {} texts in {:.2?}: {} tokens",
        texts.len(),
        start.elapsed(),
        tokenizer.vocab_size()
    );

    let start = Instant::now();
    let ids: usize = texts.iter().map(|text| tokenizer.encode(text).len()).sum();
    let seconds = start.elapsed().as_secs_f64();
    println!("encoded {ids} tokens, {:.1} M tokens/s on one thread", ids as f64 / seconds / 1e6);

    let dir = std::env::temp_dir().join("tercet-rate");
    tokenizer.save(&dir)?;
    let crates = tokenizers::Tokenizer::from_file(dir.join("tokenizer.json")).map_err(|e| e.to_string())?;
    let start = Instant::now();
    let mut theirs = 0;
    for text in &texts {
        theirs += crates.encode_fast(text.as_str(), false).map_err(|e| e.to_string())?.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("the crate alone: {theirs} tokens, {:.1} M tokens/s", theirs as f64 / seconds / 1e6);
    Ok(())
}

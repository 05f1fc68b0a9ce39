//! Files in common: a checkpoint folder with what Tercet computes for it, which `bench/peers/check_tokenizer.py`
//! and `check_checkpoint.py` compare with what transformers computes from the same folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tercet_engine::CpuFactory;
use serde::Serialize;
use tercet_tokens::Tokenizer;
use tercet_learner::{Batch, Learner as _, ModelConfig, Prompt, Sampling};

/// New tokens of the greedy continuations.
const NEW: u32 = 24;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A checkpoint with its tokenizer; made, with fresh weights, if there is none
    dir: PathBuf,
    /// Texts to compare, one JSON string a line; built-in ones if not given
    #[arg(long)]
    texts: Option<PathBuf>,
}

/// What Tercet says of one text.
#[derive(Serialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    /// What the ids decode to.
    decoded: String,
    /// Of the last position, over the whole vocabulary.
    last_logits: Vec<f32>,
    /// Of each token given those before it; 0 for the first.
    logprobs: Vec<f32>,
    /// The likeliest continuation.
    greedy: Vec<u32>,
}

/// Writes `expected.jsonl` into the folder.
pub(crate) fn run(args: &Args) -> Result<()> {
    let texts = match &args.texts {
        Some(path) => read_texts(path)?,
        None => built_in(),
    };
    let dir = &args.dir;
    if !dir.join("config.json").exists() {
        make(dir, &texts)?;
    }
    let tokenizer = Tokenizer::open(dir)?;
    let mut learner = CpuFactory::with_threads(Some(2)).open_cpu(dir)?;
    let room = learner.config().context;
    let mut lines = String::new();
    for text in texts {
        let mut ids = tokenizer.encode(&text);
        let decoded = tokenizer.decode(&ids);
        ensure!(!ids.is_empty(), "a text has no token");
        let all = ids.clone();
        ids.truncate(room.saturating_sub(NEW as usize).max(1));
        let mut batch = Batch::default();
        batch.push(&ids);
        let logprobs = learner.logprobs(&batch, 1.0)?;
        let logits = learner.logits(&batch)?;
        let last_logits = logits[logits.len() / ids.len() * (ids.len() - 1)..].to_vec();
        let prompt = Prompt { tokens: ids, key: [0; 32], first: 0, n: 1 };
        let sampling = Sampling { temperature: 0.0, top_p: 1.0, top_k: 0, max_tokens: NEW };
        let mut samples = learner.sample(&[prompt], &sampling, &mut |_| {})?;
        let greedy = samples.pop().and_then(|mut s| s.pop()).context("no sample came back")?.tokens;
        let case = Case { text, ids: all, decoded, last_logits, logprobs, greedy };
        lines.push_str(&serde_json::to_string(&case)?);
        lines.push('\n');
    }
    let path = dir.join("expected.jsonl");
    fs::write(&path, &lines).with_context(|| format!("{} cannot be written", path.display()))?;
    println!("{} texts: {}", lines.lines().count(), path.display());
    Ok(())
}

/// A small tokenizer and model with large weights, so that a slip anywhere shows in the logits.
fn make(dir: &Path, texts: &[String]) -> Result<()> {
    let tokenizer = Tokenizer::train(texts.iter().cloned(), 400)?;
    let config = ModelConfig {
        vocab: tokenizer.vocab_size(),
        hidden: 96,
        layers: 3,
        heads: 6,
        kv_heads: 2,
        mlp: 160,
        context: 512,
        rope_theta: 1e4,
        tied: true,
        norm_eps: 1e-6,
        init_std: 0.15,
        scale_residual_init: true,
        eos: Some(tokenizer.eos()),
        pad: Some(tokenizer.pad()),
    };
    let learner = CpuFactory::with_threads(Some(2)).fresh_cpu(&config, [3; 32])?;
    fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    learner.save(dir, false)?;
    tokenizer.save_for(dir, config.context)?;
    Ok(())
}

fn read_texts(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let parse = |line| serde_json::from_str(line).with_context(|| format!("{line:?} is not a JSON string"));
    text.lines().map(parse).collect()
}

/// Both styles of a problem, and text that tokenizers stumble over.
fn built_in() -> Vec<String> {
    let mut texts: Vec<String> = [
        "<question> fox farm? crow zoo =3; owl zoo =2 * crow zoo; fox farm =2 + owl zoo; fox farm? </question> \
         <solution> crow zoo: j =3. owl zoo: m =2 * j =2 *3 =6. fox farm: t =2 + m =2 +6 =8. </solution> \
         <answer> 8 </answer><|im_end|>",
        "<question> The number of adult owl in Bundle Ranch equals 4 times the number of adult wolf in Ranch. \
         How many adult owl does Bundle Ranch have? </question> <solution> Define adult wolf in Ranch as x; so \
         x = 2. Define adult owl in Bundle Ranch as b; so b = 4 * x = 4 * 2 = 8. </solution>",
        "deer cave =?; total cave =99: 39 * x +21 =99; 39 * x =78; x =2.",
        "<|endoftext|><|im_end|></answer><answer> <solution></solution>",
        "glued<answer>8</answer>text <question>?<question>",
        "  two blanks,\ttabs\t\t and\n\nnew\r\nlines   ",
        "don't we'll I'M they'RE 1234567890 3.14159 -7 10^6",
        "Ünïcode: é (composed) e\u{301} (two characters), Ωmega, 数字 123, 🦉🐺, \u{a0}no-break, \u{200b}zero",
        "<|im_start|> is no token here; neither is <pad>, nor </ answer>",
        "a",
    ]
    .map(str::to_owned)
    .to_vec();
    for n in 2..40_u32 {
        let (a, b) = (n * 7 % 23, n * n % 19);
        texts.push(format!(
            "bear cave ={a}; crow farm =2 * bear cave; total farm? v =2 * {a} ={}; +{b}.",
            2 * a
        ));
    }
    texts
}

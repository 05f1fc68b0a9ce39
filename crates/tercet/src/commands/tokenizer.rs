//! `tercet tokenizer train` and `tercet tokenizer inspect`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;
use tokens::Tokenizer;

use crate::failure::Usage;
use crate::output::{self, Output};
use crate::progress::say;

/// Train or inspect a tokenizer
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Train(TrainArgs),
    Inspect(InspectArgs),
}

/// Train a byte-level BPE on texts, one per line
///
/// Of a line that is a JSON object, the `problem`, `question` and `solution` are used (as `tercet problems` writes
/// them), or the `text`. Other JSON is refused. Any other line is used as it is. Transformers reads the result as a Qwen2 tokenizer with the
/// same ids.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet problems --op 2-8 --context zoo -n 2000 | tercet tokenizer train - --vocab 2200 --out tok
  tercet tokenizer train corpus.jsonl.gz --vocab 2200 --out tok")]
pub(crate) struct TrainArgs {
    /// Texts as lines or JSONL, also .gz and .zst; `-` is stdin
    #[arg(required = true)]
    texts: Vec<PathBuf>,
    /// Maximum size of the vocabulary, special tokens and single bytes included
    #[arg(long, value_name = "N", default_value_t = 2200)]
    vocab: usize,
    /// Folder for tokenizer.json and tokenizer_config.json
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Show how a tokenizer splits a text
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet tokenizer inspect runs/quickstart/data/tokenizer ' crow zoo =23; owl zoo =2 * crow zoo;'
  tercet tokenizer inspect tok --vocabulary")]
pub(crate) struct InspectArgs {
    /// Folder with a tokenizer.json, e.g. a checkpoint
    dir: PathBuf,
    /// Text to split; without it only sizes are shown
    text: Option<String>,
    /// List every token with its id
    #[arg(long)]
    vocabulary: bool,
}

pub(crate) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Train(args) => train(args),
        Command::Inspect(args) => inspect(args),
    }
}

fn train(args: &TrainArgs) -> anyhow::Result<()> {
    let mut failed = None;
    let lines = args.texts.iter().flat_map(|path| text_lines(path));
    let texts = lines.map_while(|line| match line {
        Ok(text) => Some(text),
        Err(error) => {
            failed = Some(error);
            None
        }
    });
    let tokenizer = Tokenizer::train(texts, args.vocab).map_err(|error| match error {
        tokens::TokenizerError::TooSmall { .. } => Usage::error(error),
        other => other.into(),
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    tokenizer.save(&args.out)?;
    say(&format!("{} tokens in {}", tokenizer.vocab_size(), args.out.display()));
    Ok(())
}

type Lines = Box<dyn Iterator<Item = anyhow::Result<String>>>;

fn text_lines(path: &Path) -> Lines {
    let path = path.to_owned();
    let name = path.to_string_lossy();
    let jsonl = [".jsonl", ".jsonl.gz", ".jsonl.zst"].iter().any(|end| name.ends_with(end));
    match output::lines(&path) {
        Ok(lines) => Box::new(lines.map(move |line| {
            let line = line?;
            text_of(&line.text, jsonl).map_err(Usage::error).with_context(|| output::place(&line, &path))
        })),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}

/// The text of a line as training would lay it out. JSON without such a text is refused: nobody wants a tokenizer that has
/// learned the names of its fields. In a file of JSON lines every line is JSON.
fn text_of(line: &str, jsonl: bool) -> Result<String, String> {
    let start = line.trim_start();
    let object = start.starts_with('{');
    if !jsonl && !object && !start.starts_with('[') {
        return Ok(line.to_owned());
    }
    let row = match runs::lines::parse(line) {
        Ok(Value::Object(row)) => row,
        Ok(_) => return Err("JSON that is no object: its texts are not known".to_owned()),
        Err(_) if !jsonl && !object => return Ok(line.to_owned()),
        Err(error) => return Err(format!("a line of JSON that cannot be read: {error}")),
    };
    let field = |name: &str| row.get(name).and_then(Value::as_str);
    match (field("text"), field("problem"), field("question"), field("solution")) {
        (Some(text), ..) => Ok(text.to_owned()),
        (None, Some(problem), Some(question), Some(solution)) => {
            Ok(format!("<question> {problem} {question} </question> <solution> {solution} </solution>"))
        }
        _ => Err("JSON without a `text`, and without `problem`, `question` and `solution`".to_owned()),
    }
}

fn inspect(args: &InspectArgs) -> anyhow::Result<()> {
    let tokenizer = Tokenizer::open(&args.dir)?;
    let mut output = Output::stdout();
    if args.vocabulary {
        for id in 0..tokenizer.vocab_size() as u32 {
            let bytes = tokenizer.bytes(id).unwrap_or_default();
            writeln!(output, "{id}\t{}", shown(&String::from_utf8_lossy(bytes)))?;
        }
    }
    if let Some(text) = &args.text {
        let encoded = tokenizer.encode_with_offsets(text);
        for (id, range) in &encoded {
            let piece = text.get(range.clone()).context("a token's range is no text")?;
            writeln!(output, "{id}\t{}\t{}", range.start, shown(piece))?;
        }
        let per_token = text.chars().count() as f64 / encoded.len().max(1) as f64;
        say(&format!("{} tokens, {per_token:.2} characters per token", encoded.len()));
    } else if !args.vocabulary {
        let words = tokenizer.vocab_size() - tokens::LEAST_VOCABULARY;
        writeln!(
            output,
            "{} tokens: {} specials, 256 bytes, {words} learned",
            tokenizer.vocab_size(),
            tokens::LEAST_VOCABULARY - 256
        )?;
    }
    output.finish()
}

/// A piece with its blanks visible.
fn shown(piece: &str) -> String {
    format!("{piece:?}")
}

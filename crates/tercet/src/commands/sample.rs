//! `tercet sample`

use std::io::Write as _;
use std::path::PathBuf;

use learner::{Learner, Prompt, Sample, Sampling, StopReason};
use problems::Problem;
use problems::stream::Stream;
use problems::verify::{Policy, explain};
use runs::Judgement;
use tokens::Tokenizer;

use super::responses::problems_in;
use super::world::{Asked, WorldArgs};
use super::{choice, model};
use crate::engine::EngineArgs;
use crate::failure::Usage;
use crate::output::Output;
use crate::progress::Progress;
use crate::threads::Threads;

/// Sample responses from a model
///
/// By default a problem is generated, and every step of every response is marked correct or wrong. With --from, the
/// model answers all problems of a file, and the responses are written as JSONL for `tercet verify`. With --prompt, the
/// model continues any text.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tercet sample runs/quickstart:rl --op 4 --context terse --recipe recipes/quickstart.toml
  tercet sample MODEL --from test.jsonl -n 8 > responses.jsonl
  tercet sample MODEL --prompt '<question> owl zoo =3; owl zoo? </question> <solution>' --temperature 0")]
pub(crate) struct Args {
    /// Hugging Face directory of a Qwen2 model: a checkpoint of a run, or a published model. RUN:STAGE names the last
    /// checkpoint of a stage (RUN:ARM/SEED/STAGE where there are several)
    model: PathBuf,
    #[command(flatten)]
    world: WorldArgs,
    /// Index of the problem in its cell
    #[arg(short = 'i', long, value_name = "I", default_value_t = 0)]
    index: u64,
    /// Answer the problems of this JSONL file instead
    #[arg(long, value_name = "FILE", conflicts_with = "prompt")]
    from: Option<PathBuf>,
    /// Continue this text instead
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Number of samples per prompt
    #[arg(short = 'n', long = "number", value_name = "N", default_value_t = 1)]
    number: u32,
    /// Sampling temperature; 0 is greedy
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f32,
    /// Sample from the most likely tokens that together have this probability
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// Sample from the K most likely tokens; 0 means all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: u32,
    /// Maximum length of a response in tokens
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_tokens: u32,
    /// Rules that decide whether a step is correct; by default those of the recipe's first suite, or `paper`
    #[arg(long, value_parser = choice::policy())]
    policy: Option<Policy>,
    #[command(flatten)]
    engine: EngineArgs,
    #[command(flatten)]
    threads: Threads,
}

/// Problems asked at once from a file.
const AT_ONCE: usize = 64;

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let threads = args.threads.apply()?;
    args.sampling().check().map_err(|(_, message)| Usage::error(message))?;
    let folder = model::folder(&args.model)?;
    let (mut learner, tokenizer, _) = model::open(&folder, &args.engine, threads)?;
    let mut asker = Asker { learner: &mut *learner, tokenizer: &tokenizer, args };
    let mut output = Output::stdout();
    if let Some(prompt) = &args.prompt {
        for sample in asker.ask(std::slice::from_ref(prompt), 0)?.concat() {
            writeln!(output, "{}", tokenizer.decode(&sample.tokens))?;
        }
    } else if let Some(path) = &args.from {
        asker.file(path, &mut output)?;
    } else {
        let Asked { sequences, policy, .. } = args.world.open()?;
        let policy = args.policy.unwrap_or(policy);
        for sequence in &sequences {
            asker.show(&sequence.problem(args.index), policy, &mut output)?;
        }
    }
    output.finish()
}

impl Args {
    fn sampling(&self) -> Sampling {
        let Self { temperature, top_p, top_k, max_tokens, .. } = *self;
        Sampling { temperature, top_p, top_k, max_tokens }
    }
}

struct Asker<'a> {
    learner: &'a mut dyn Learner,
    tokenizer: &'a Tokenizer,
    args: &'a Args,
}

impl Asker<'_> {
    /// Number of samples per prompt; prompt `first + i` draws from its own stream.
    fn ask(&mut self, prompts: &[String], first: u64) -> anyhow::Result<Vec<Vec<Sample>>> {
        let args = self.args;
        let stream = Stream::root(args.world.seed()).fork("sample");
        let prompt = |(i, text): (u64, &String)| Prompt {
            tokens: self.tokenizer.encode(text),
            key: stream.index(i).key(),
            first: 0,
            n: args.number,
        };
        let prompts: Vec<Prompt> = (first..).zip(prompts).map(prompt).collect();
        let total = prompts.len() as u64 * u64::from(args.number);
        let mut progress = Progress::new("sample", total, "samples");
        let samples = self.learner.sample(&prompts, &args.sampling(), &mut |_| progress.add(1))?;
        Ok(samples)
    }

    fn show(&mut self, problem: &Problem, policy: Policy, output: &mut Output) -> anyhow::Result<()> {
        writeln!(output, "{} · {}\n{} {}\n", problem.id, problem.cell, problem.problem, problem.question)?;
        for (s, sample) in self.ask(&[problem.prompt()], 0)?.concat().iter().enumerate() {
            let text = self.tokenizer.decode(&sample.tokens);
            let truncated = sample.stop == StopReason::Length;
            let judgement = Judgement::of(&problem.gold(), &text, policy, truncated);
            let cut = if truncated { ", cut at the length limit" } else { "" };
            writeln!(output, "sample {s}{cut}\n{}", explain(&text, judgement.verdict()))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &std::path::Path, output: &mut Output) -> anyhow::Result<()> {
        let problems = problems_in(path)?;
        for (chunk, first) in problems.chunks(AT_ONCE).zip((0..).step_by(AT_ONCE)) {
            let prompts: Vec<String> = chunk.iter().map(Problem::prompt).collect();
            let answered = self.ask(&prompts, first)?;
            for ((n, problem), samples) in (first..).zip(chunk).zip(answered) {
                for (s, sample) in samples.iter().enumerate() {
                    let text = self.tokenizer.decode(&sample.tokens);
                    let ended = sample.stop == StopReason::End;
                    let line = serde_json::json!({
                        "id": problem.id, "problem": n, "sample": s, "ended": ended, "text": text,
                    });
                    writeln!(output, "{line}")?;
                }
            }
            output.flush()?;
        }
        Ok(())
    }
}

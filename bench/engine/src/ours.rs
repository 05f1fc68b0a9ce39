//! Our side of the comparison, speaking the same lines as `bench/peers/peer.py`.

use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::time::Instant;

use anyhow::{Result, ensure};
use tercet_engine::{CpuFactory, CpuLearner};
use serde::Serialize;
use tercet_learner::{AdamW, Batch, Learner as _, Objective, Prompt, Sampling};

use crate::child::{Built, Round, Warm};
use crate::memory;
use crate::shapes::{Work, shape, tokens};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    shape: String,
    #[arg(long)]
    work: Work,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[arg(long, default_value_t = 2)]
    warm_up: usize,
}

/// Builds, warms up, and works a round for every line of input.
pub(crate) fn run(args: &Args) -> Result<()> {
    let base = memory::now();
    let factory = CpuFactory::with_threads(Some(args.threads));
    let mut job = Job::new(args, factory)?;
    let versions = format!("Tercet engine, {}", tercet_engine::instruction_set());
    say(&Built { parameters: job.learner().parameters()?, base, versions })?;
    let start = Instant::now();
    let mut loss = None;
    for _ in 0..args.warm_up {
        loss = job.step()?.1;
    }
    say(&Warm { warm_up_seconds: start.elapsed().as_secs_f64(), loss })?;
    memory::forget_peak();
    for line in stdin().lock().lines() {
        let wanted: f64 = line?.trim().parse()?;
        let (start, busy) = (Instant::now(), memory::core_seconds());
        let mut tokens = 0;
        while tokens == 0 || start.elapsed().as_secs_f64() < wanted {
            tokens += job.step()?.0;
        }
        let seconds = start.elapsed().as_secs_f64();
        let core_seconds = memory::core_seconds().zip(busy).map(|(now, then)| now - then);
        let peak = memory::peak();
        let ceiling = tercet_engine::ceiling(factory, &|| start.elapsed().as_secs_f64())?;
        say(&Round { seconds, core_seconds, tokens, ceiling: Some(ceiling), peak })?;
    }
    Ok(())
}

fn say(line: &impl Serialize) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(line)?)?;
    Ok(out.flush()?)
}

enum Job {
    Train { learner: CpuLearner, batch: Batch, objective: NextToken },
    Sample { learner: CpuLearner, prompts: Vec<Prompt>, sampling: Sampling },
}

impl Job {
    fn new(args: &Args, factory: CpuFactory) -> Result<Job> {
        let shape = shape(&args.shape)?;
        let vocab = shape.model.vocab();
        if args.work == Work::Train {
            let learner = factory.fresh_cpu(&shape.model.config(shape.train.length), [1; 32])?;
            let mut batch = Batch::default();
            for row in tokens(shape.train.rows, shape.train.length, vocab) {
                batch.push(&row);
            }
            let objective = NextToken::new(&batch);
            return Ok(Job::Train { learner, batch, objective });
        }
        let draws = &shape.sample;
        let learner = factory.fresh_cpu(&shape.model.config(draws.prompt + draws.new), [1; 32])?;
        let n = args.work.group();
        let prompts = tokens(draws.prompts / n, draws.prompt, vocab).into_iter().zip(0_u8..);
        let prompts =
            prompts.map(|(tokens, i)| Prompt { tokens, key: [i; 32], first: 0, n: n as u32 }).collect();
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, max_tokens: draws.new as u32 };
        Ok(Job::Sample { learner, prompts, sampling })
    }

    fn learner(&self) -> &CpuLearner {
        match self {
            Job::Train { learner, .. } | Job::Sample { learner, .. } => learner,
        }
    }

    /// Works a step; returns its tokens and its loss.
    fn step(&mut self) -> Result<(usize, Option<f64>)> {
        match self {
            Job::Train { learner, batch, objective } => {
                let loss = learner.forward_backward(batch, objective, 1.0)?.loss;
                let done = learner.optim_step(&ADAMW)?;
                ensure!(done.applied, "the gradient is not finite");
                Ok((batch.len(), Some(loss)))
            }
            Job::Sample { learner, prompts, sampling } => {
                let samples = learner.sample(prompts, sampling, &mut |_| {})?;
                let whole = samples.iter().flatten().all(|s| s.tokens.len() == sampling.max_tokens as usize);
                ensure!(whole, "a sample ended early");
                Ok((samples.iter().flatten().map(|s| s.tokens.len()).sum(), None))
            }
        }
    }
}

/// As in `peer.py`.
const ADAMW: AdamW =
    AdamW { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip_norm: 1.0 };

/// Mean cross-entropy of every token but the first of its row.
struct NextToken {
    gradient_t: Vec<f32>,
}

impl NextToken {
    fn new(batch: &Batch) -> NextToken {
        let mut gradient_t = vec![1.0; batch.len()];
        for row in batch.sequences() {
            gradient_t[row.start] = 0.0;
        }
        let count: f32 = gradient_t.iter().sum();
        for g in &mut gradient_t {
            *g /= -count;
        }
        NextToken { gradient_t }
    }
}

impl Objective for NextToken {
    fn gradient(&self, logprobs: &[f32], gradient: &mut [f32]) -> f64 {
        gradient.copy_from_slice(&self.gradient_t);
        logprobs.iter().zip(&self.gradient_t).map(|(l, g)| f64::from(*l) * f64::from(*g)).sum()
    }

    fn constant_gradient(&self) -> Option<&[f32]> {
        Some(&self.gradient_t)
    }
}

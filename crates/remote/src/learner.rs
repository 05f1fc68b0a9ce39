//! The learner's verbs as requests.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use learner::{
    AdamW, Batch, Distributions, ForwardBackward, Learner, LearnerError, Objective, OptimStep, Prompt,
    Sample, Sampling, StopReason, Transfer,
};
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::factory::place;
use crate::message::{Answer, Message};

/// Random numbers of one request: 64 MiB. More samples are asked for in several.
const NUMBERS_MAX: usize = 1 << 23;

/// A model on a worker.
pub(crate) struct RemoteLearner {
    connection: Arc<Connection>,
    model: u64,
    vocab: usize,
    parameters: usize,
    eos: Option<u32>,
}

impl RemoteLearner {
    /// The model that the worker has opened.
    pub(crate) fn new(connection: Arc<Connection>, opened: &Answer) -> Result<RemoteLearner, LearnerError> {
        let number = |key| opened.number(key).map_err(|e| connection.lose(&e));
        let (model, vocab, parameters) = (number("model")?, number("vocab")?, number("parameters")?);
        let eos = opened.head.get("eos").and_then(Value::as_u64).map(|eos| eos as u32);
        let (vocab, parameters) = (vocab as usize, parameters as usize);
        Ok(RemoteLearner { connection, model, vocab, parameters, eos })
    }

    fn message(&self, verb: &str, more: Value) -> Message {
        let mut head = json!({"verb": verb, "model": self.model});
        if let (Value::Object(head), Value::Object(more)) = (&mut head, more) {
            head.extend(more);
        }
        Message::new(head)
    }

    fn ask(&self, message: &Message) -> Result<Answer, LearnerError> {
        self.connection.ask(message)
    }

    /// A part of an answer that must be there.
    fn sense<T>(&self, part: Result<T, String>) -> Result<T, LearnerError> {
        part.map_err(|e| self.connection.lose(&e))
    }

    /// A backward pass with the gradient of the log-probabilities, and the objective's KL term if it has one.
    fn with_gradient(
        &self,
        message: Message,
        gradient_T: &[f32],
        objective: &dyn Objective,
    ) -> Result<Message, LearnerError> {
        let (count, vocab) = (gradient_T.len(), self.vocab);
        let message = message.floats("gradient", vec![count], gradient_T);
        let Some(kl) = objective.reference_kl() else { return Ok(message) };
        if kl.weights_T.len() != count {
            return Err(misfit("reference"));
        }
        let message = message.floats("kl_weights", vec![count], kl.weights_T);
        match kl.reference {
            Distributions::Held { worker, id } if *worker == self.connection.number() => {
                Ok(message.say("held", json!(id)))
            }
            other => match other.values_TV() {
                Some(values_TV) if values_TV.len() == count * vocab => {
                    Ok(message.floats("reference", vec![count, vocab], values_TV))
                }
                _ => Err(misfit("reference")),
            },
        }
    }

    /// The gradient is known beforehand: one request.
    fn in_one_phase(
        &self,
        batch: &Batch,
        objective: &dyn Objective,
        temperature: f32,
        gradient_T: &[f32],
    ) -> Result<ForwardBackward, LearnerError> {
        let count = batch.len();
        if gradient_T.len() != count {
            return Err(misfit("gradient"));
        }
        let message = self.message("forward_backward", json!({"temperature": temperature})).batch(batch);
        let answer = self.ask(&self.with_gradient(message, gradient_T, objective)?)?;
        let mut pass = self.pass(&answer, count)?;
        pass.loss = objective.gradient(&pass.logprobs_T, &mut vec![0.0; count]);
        self.add_divergence(&mut pass, objective, &answer)?;
        Ok(pass)
    }

    /// Log-probabilities come back, the gradient goes out.
    fn in_two_phases(
        &self,
        batch: &Batch,
        objective: &dyn Objective,
        temperature: f32,
    ) -> Result<ForwardBackward, LearnerError> {
        let count = batch.len();
        let message = self.message("forward", json!({"temperature": temperature}));
        let mut pass = self.pass(&self.ask(&message.batch(batch))?, count)?;
        let mut gradient_T = vec![0.0; count];
        pass.loss = objective.gradient(&pass.logprobs_T, &mut gradient_T);
        let message = self.message("backward", json!({}));
        let answer = self.ask(&self.with_gradient(message, &gradient_T, objective)?)?;
        self.add_divergence(&mut pass, objective, &answer)?;
        Ok(pass)
    }

    fn pass(&self, answer: &Answer, count: usize) -> Result<ForwardBackward, LearnerError> {
        let floats = |name| self.sense(answer.floats(name, &[count]));
        Ok(ForwardBackward {
            loss: 0.0,
            logprobs_T: floats("logprobs")?,
            entropy_T: floats("entropy")?,
            divergence_T: vec![0.0; count],
        })
    }

    fn add_divergence(
        &self,
        pass: &mut ForwardBackward,
        objective: &dyn Objective,
        answer: &Answer,
    ) -> Result<(), LearnerError> {
        let divergence_T = self.sense(answer.floats("divergence", &[pass.logprobs_T.len()]))?;
        if let Some(kl) = objective.reference_kl() {
            let terms = kl.weights_T.iter().zip(&divergence_T);
            pass.loss += terms.map(|(weight, kl)| f64::from(*weight) * f64::from(*kl)).sum::<f64>();
            pass.divergence_T = divergence_T;
        }
        Ok(())
    }

    /// Samples of a run of parts of prompts, in one request.
    fn sample_parts(
        &self,
        parts: &[(&Prompt, Range<u32>)],
        sampling: &Sampling,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Sample>, LearnerError> {
        let (mut prompts, mut counts) = (Batch::default(), Vec::new());
        let (mut numbers, mut total) = (Vec::new(), 0);
        let most = sampling.max_tokens as usize;
        for (prompt, range) in parts {
            prompts.push(&prompt.tokens);
            counts.push(range.end - range.start);
            total += range.len();
            for sample in range.clone() {
                let name = |position| learner::uniform(&prompt.key, prompt.first + sample, position);
                numbers.extend((0..sampling.max_tokens).map(name));
            }
        }
        let message = self.message("sample", json!({"sampling": sampling})).batch(&prompts);
        let message = message.whole("counts", &counts).doubles("uniforms", vec![total, most], &numbers);
        let mut told = 0;
        let answer = self.connection.sample(&message, &mut |length| {
            told += 1;
            progress(length);
        })?;
        let most_token = (self.vocab as u32).saturating_sub(1);
        let tokens = self.sense(answer.whole("tokens", &[total, most], most_token))?;
        let lengths = self.sense(answer.whole("lengths", &[total], sampling.max_tokens))?;
        let logprobs = self.sense(answer.floats("logprobs", &[total, most]))?;
        let samples: Vec<Sample> = (0..total)
            .map(|s| {
                let row = s * most..s * most + lengths[s] as usize;
                let tokens = tokens[row.clone()].to_vec();
                let ended = self.eos.is_some() && tokens.last().copied() == self.eos;
                let stop = if ended { StopReason::End } else { StopReason::Length };
                Sample { tokens, logprobs: logprobs[row].to_vec(), stop }
            })
            .collect();
        // Those that were finished since the last word of progress.
        samples.iter().skip(told).for_each(|sample| progress(sample.tokens.len()));
        Ok(samples)
    }
}

fn misfit(what: &str) -> LearnerError {
    LearnerError::Request(format!("the objective's {what} does not fit the batch"))
}

/// Prompts cut into requests of at most [`NUMBERS_MAX`] random numbers, in order; prompts of no samples are left out.
fn requests<'a>(prompts_P: &'a [Prompt], sampling: &Sampling) -> Vec<Vec<(&'a Prompt, Range<u32>)>> {
    let fitting = (NUMBERS_MAX / (sampling.max_tokens as usize).max(1)).max(1) as u32;
    let (mut requests, mut request, mut free) = (Vec::new(), Vec::new(), fitting);
    for prompt in prompts_P {
        let mut first = 0;
        while first < prompt.n {
            let end = prompt.n.min(first.saturating_add(free));
            request.push((prompt, first..end));
            free -= end - first;
            first = end;
            if free == 0 {
                requests.push(std::mem::take(&mut request));
                free = fitting;
            }
        }
    }
    if !request.is_empty() {
        requests.push(request);
    }
    requests
}

impl Learner for RemoteLearner {
    fn forward_backward(
        &mut self,
        batch: &Batch,
        objective: &dyn Objective,
        temperature: f32,
    ) -> Result<ForwardBackward, LearnerError> {
        check_temperature(temperature)?;
        if batch.is_empty() {
            let loss = objective.gradient(&[], &mut []);
            let none = Vec::new;
            return Ok(ForwardBackward { loss, logprobs_T: none(), entropy_T: none(), divergence_T: none() });
        }
        match objective.constant_gradient() {
            Some(gradient_T) => self.in_one_phase(batch, objective, temperature, gradient_T),
            None => self.in_two_phases(batch, objective, temperature),
        }
    }

    fn optim_step(&mut self, adamw: &AdamW) -> Result<OptimStep, LearnerError> {
        let answer = self.ask(&self.message("optim_step", json!({"adamw": adamw})))?;
        let grad_norm = self.sense(answer.doubles("grad_norm", &[1]))?[0];
        let applied = answer.head.get("applied").and_then(Value::as_bool);
        let applied = self.sense(applied.ok_or_else(|| "the answer lacks `applied`".to_owned()))?;
        Ok(OptimStep { grad_norm, applied })
    }

    fn logprobs(&mut self, batch: &Batch, temperature: f32) -> Result<Vec<f32>, LearnerError> {
        check_temperature(temperature)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let message = self.message("logprobs", json!({"temperature": temperature}));
        let answer = self.ask(&message.batch(batch))?;
        self.sense(answer.floats("logprobs", &[batch.len()]))
    }

    fn distributions(&mut self, batch: &Batch, temperature: f32) -> Result<Distributions, LearnerError> {
        check_temperature(temperature)?;
        if batch.is_empty() {
            return Ok(Distributions::default());
        }
        let message = self.message("distributions", json!({"temperature": temperature, "hold": true}));
        let answer = self.ask(&message.batch(batch))?;
        let id = self.sense(answer.number("held"))?;
        Ok(Distributions::Held { worker: self.connection.number(), id })
    }

    fn sample(
        &mut self,
        prompts_P: &[Prompt],
        sampling: &Sampling,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<Sample>>, LearnerError> {
        sampling.check().map_err(|(_, reason)| LearnerError::Request(reason))?;
        if prompts_P.iter().any(|prompt| prompt.tokens.is_empty()) {
            return Err(LearnerError::Request("a prompt is empty".to_owned()));
        }
        let mut samples = Vec::new();
        for parts in requests(prompts_P, sampling) {
            samples.extend(self.sample_parts(&parts, sampling, progress)?);
        }
        let mut samples = samples.into_iter();
        Ok(prompts_P.iter().map(|prompt| samples.by_ref().take(prompt.n as usize).collect()).collect())
    }

    /// The sampler reads its cache token by token, the trainer whole sequences.
    fn samples_exactly(&self) -> bool {
        false
    }

    fn save(&self, dir: &Path, with_optimizer: bool) -> Result<Transfer, LearnerError> {
        let mut head = json!({"with_optimizer": with_optimizer});
        let transfer = place(&self.connection, dir, &mut head)?;
        let answer = self.ask(&self.message("save", head))?;
        if let Some(transfer) = transfer {
            transfer.receive(answer.head.get("files").unwrap_or(&Value::Null), dir)?;
            return Ok(Transfer::Bytes);
        }
        if !dir.join("model.safetensors").is_file() {
            let reason = "the worker has saved the model, but it is not here: do the two share this disk?";
            return Err(LearnerError::Checkpoint {
                path: dir.display().to_string(),
                reason: reason.to_owned(),
            });
        }
        Ok(Transfer::SharedDisk)
    }

    fn load(&mut self, dir: &Path) -> Result<(), LearnerError> {
        let mut head = json!({});
        let transfer = place(&self.connection, dir, &mut head)?;
        if let Some(transfer) = &transfer {
            transfer.send(dir)?;
        }
        self.ask(&self.message("load", head)).map(|_| ())
    }

    fn parameters(&self) -> Result<usize, LearnerError> {
        Ok(self.parameters)
    }
}

impl Drop for RemoteLearner {
    fn drop(&mut self) {
        // A worker that is lost holds nothing any more.
        let _ = self.ask(&self.message("close", json!({})));
    }
}

fn check_temperature(temperature: f32) -> Result<(), LearnerError> {
    if temperature.is_finite() && temperature > 0.0 {
        return Ok(());
    }
    Err(LearnerError::Request(format!("the temperature is {temperature}, but must be above 0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_asked_for_in_requests_of_bounded_size() {
        let prompt = |n| Prompt { tokens: vec![1], key: [0; 32], first: 0, n };
        let sampling =
            Sampling { temperature: 1.0, top_p: 1.0, top_k: 0, max_tokens: (NUMBERS_MAX / 10) as u32 };
        let prompts = [prompt(4), prompt(0), prompt(13), prompt(3)];
        let ranges = |request: &Vec<(&Prompt, Range<u32>)>| -> Vec<Range<u32>> {
            request.iter().map(|(_, range)| range.clone()).collect()
        };
        let all: Vec<_> = requests(&prompts, &sampling).iter().map(ranges).collect();
        assert_eq!(all, [vec![0..4, 0..6], vec![6..13, 0..3]]);
        assert!(requests(&prompts[1..2], &sampling).is_empty());
    }
}

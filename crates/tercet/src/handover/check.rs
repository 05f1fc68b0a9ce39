//! The conformance check: what a trainer will make of the problems is what this program makes of them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use problems::verify::verify;
use problems::{Problem, Record};
use serde_json::{Value, json};
use tokens::Tokenizer;

use super::{Facts, Handover, Trainer};
use crate::failure::Usage;

/// Problems that the trainer's environment checks again.
const EXAMPLES: usize = 64;

/// Checks every problem of the data, and keeps the first as examples.
pub(super) struct Check<'a> {
    handover: &'a Handover<'a>,
    /// The chat template, where the trainer gets messages.
    template: Option<String>,
    longest_prompt: usize,
    examples: Vec<Value>,
}

impl<'a> Check<'a> {
    pub(super) fn new(handover: &'a Handover<'a>) -> anyhow::Result<Self> {
        let template = match (handover.trainer, handover.tokenizer.chat_template()) {
            (Trainer::Verl, None) => return Err(Usage::error("the model's tokenizer has no chat template")),
            (Trainer::Verl, Some(template)) => Some(template.to_owned()),
            _ => None,
        };
        Ok(Self { handover, template, longest_prompt: 0, examples: Vec::new() })
    }

    /// Checks a problem; returns its length in tokens.
    pub(super) fn problem(&mut self, problem: &Problem) -> anyhow::Result<u64> {
        let tokenizer = self.handover.tokenizer;
        let prompt = tokenizer.encode(&problem.prompt());
        let mut response = tokenizer.encode(&problem.response());
        response.push(tokenizer.eos());
        let length = prompt.len() + response.len();
        self.fits(problem, prompt.len(), length)?;
        if self.examples.len() < EXAMPLES {
            self.chat(problem, &prompt, &response)?;
            self.rewards(problem, &prompt, &response)?;
        }
        self.longest_prompt = self.longest_prompt.max(prompt.len());
        Ok(length as u64)
    }

    fn fits(&self, problem: &Problem, prompt: usize, length: usize) -> anyhow::Result<()> {
        let rollout = self.handover.stage.stage.rollout.as_ref();
        let needed = rollout.map_or(length, |rollout| prompt + rollout.max_tokens as usize);
        if needed <= self.handover.context {
            return Ok(());
        }
        let (context, id) = (self.handover.context, &problem.id);
        Err(Usage::error(format!(
            "problem {id} needs {needed} tokens, and the model's context has {context}"
        )))
    }

    /// A trainer that knows messages only gets the ids of the training text from the chat template.
    fn chat(&self, problem: &Problem, prompt: &[u32], response: &[u32]) -> anyhow::Result<()> {
        let Some(template) = &self.template else { return Ok(()) };
        let question = crate::formats::rows::question(problem);
        let answer = crate::formats::Message { role: "assistant", content: problem.response() };
        let messages = [question, answer];
        let templates = minijinja::Environment::new();
        let whole = [prompt, response].concat();
        for (messages, wanted) in [(&messages[..1], prompt), (&messages[..], &whole[..])] {
            let given = json!({ "messages": messages, "add_generation_prompt": messages.len() == 1 });
            let text = templates
                .render_str(template, minijinja::value::Serde(given))
                .context("the chat template of the model's tokenizer")?;
            differ(
                "the chat template gives",
                self.handover.tokenizer,
                &self.handover.tokenizer.encode(&text),
                wanted,
            )?;
        }
        Ok(())
    }

    /// The record that crosses is judged as the problem is.
    fn rewards(&mut self, problem: &Problem, prompt: &[u32], response: &[u32]) -> anyhow::Result<()> {
        let record = serde_json::to_string(&problem.record())?;
        let crossed: Record = serde_json::from_str(&record)?;
        let crossed = Problem::from_record(&crossed).map_err(|e| anyhow!("problem {}: {e}", problem.id))?;
        let mut responses = Vec::new();
        if let Some(rollout) = &self.handover.stage.stage.rollout {
            let gold = problem.response();
            let half = gold[..gold.len() / 2].rsplit_once(' ').map_or("", |(half, _)| half).to_owned();
            let wrong = gold.replace(
                &format!("<answer> {} <", problem.answer),
                &format!("<answer> {} <", problem.answer + 1),
            );
            for text in [gold, wrong, half] {
                let reward =
                    |p: &Problem| rollout.reward.score(&verify(&p.gold(), &text, rollout.policy)).reward;
                let (here, there) = (reward(problem), reward(&crossed));
                if here.to_bits() != there.to_bits() {
                    let id = &problem.id;
                    return Err(anyhow!(
                        "the reward of a response to problem {id} is {here}, and by its record {there}"
                    ));
                }
                responses.push(json!({ "text": text, "reward": here }));
            }
        }
        let (prompt_text, text) = (problem.prompt(), problem.response());
        self.examples.push(json!({
            "prompt": prompt_text, "response": text, "prompt_ids": prompt, "response_ids": response,
            "messages": [crate::formats::rows::question(problem)], "record": record, "responses": responses,
        }));
        Ok(())
    }

    /// Writes the examples.
    pub(super) fn finish(self, folder: &Path, facts: &mut Facts) -> anyhow::Result<()> {
        facts.insert("longest_prompt", self.longest_prompt.to_string());
        let lines: String = self.examples.iter().map(|example| example.to_string() + "\n").collect();
        let path = folder.join("conformance.jsonl");
        fs::write(&path, lines).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// An error that shows the first difference of two lists of ids.
fn differ(what: &str, tokenizer: &Tokenizer, found: &[u32], wanted: &[u32]) -> anyhow::Result<()> {
    if found == wanted {
        return Ok(());
    }
    let at = found.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    let shown = |ids: &[u32]| {
        let ids = &ids[at.min(ids.len())..ids.len().min(at + 8)];
        let bytes: Vec<u8> = ids.iter().filter_map(|&id| tokenizer.bytes(id)).flatten().copied().collect();
        format!("{ids:?} ({:?})", String::from_utf8_lossy(&bytes))
    };
    Err(Usage::error(format!(
        "{what} {} at token {at}, where training has {}: the model's tokenizer is not for this text",
        shown(found),
        shown(wanted)
    )))
}

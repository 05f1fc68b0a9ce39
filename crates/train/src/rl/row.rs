//! A response on its way from the rollouts into a batch.

use super::{kl::KlKind, sampler::Group, scored::ScoredResponse};

/// A response with its prompt, and what the loss needs to know of each of its tokens.
pub(super) struct Row<'g> {
    pub(super) prompt: &'g [u32],
    pub(super) response: &'g ScoredResponse,
    pub(super) advantages_T: Vec<f64>,
    /// Log-probabilities under the reference model; empty where the KL term is not an estimate.
    pub(super) reference_T: Vec<f32>,
    /// The estimated KL divergence from the reference, summed over the response.
    pub(super) divergence: f64,
}

impl<'g> Row<'g> {
    /// The responses of a group, in order.
    pub(super) fn of_group(group: &'g Group) -> impl Iterator<Item = Self> {
        group.responses_G.iter().map(|response| Self {
            prompt: &group.prompt,
            response,
            advantages_T: Vec::new(),
            reference_T: Vec::new(),
            divergence: 0.0,
        })
    }

    /// Prompt and response.
    pub(super) fn sequence(&self) -> Vec<u32> {
        [self.prompt, &self.response.sample.tokens[..]].concat()
    }

    /// How many tokens prompt and response have.
    pub(super) fn tokens(&self) -> usize {
        self.prompt.len() + self.response.tokens()
    }

    /// Takes over what the reference model said of the response's tokens.
    pub(super) fn set_reference(&mut self, kind: KlKind, reference_T: Vec<f32>) {
        self.divergence = kind.sum(&self.response.sample.logprobs, &reference_T);
        self.reference_T = reference_T;
    }

    /// Whether any token has an advantage.
    pub(super) fn has_advantage(&self) -> bool {
        self.advantages_T.iter().any(|advantage| *advantage != 0.0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use learner::{Sample, StopReason};
    use problems::{Cell, Contexts, Generator, Problem, World, gold::Mode};
    use serde_json::json;
    use tokens::Tokenizer;

    use super::*;

    /// A response scored by the strict reward.
    pub(in crate::rl) fn scored(sample: Sample, text: String, problem: &Problem) -> ScoredResponse {
        let config = json!({ "prompts": 1, "samples": 1, "reward": { "kind": "strict" }, "max_tokens": 100 });
        let config = serde_json::from_value(config).expect("a rollout");
        ScoredResponse::new(sample, text, &problem.gold(), &config)
    }

    /// One problem with its correct response and with one whose last step has a wrong value.
    pub(in crate::rl) fn pair() -> (Group, Tokenizer) {
        let world = World { distractors: 0.0, max_value: 20, ..World::default() };
        let generator = Generator::new(&world, &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 4, context: "terse".to_owned(), mode: Mode::Forward };
        let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
        let correct = problem.response();
        let tokenizer = Tokenizer::train([correct.clone()].into_iter(), 300).expect("a vocabulary");
        let end = correct.find(". </solution>").expect("the end of the last step");
        let value = correct[..end].rfind('=').expect("a value") + 1;
        let wrong = format!("{}{}{}", &correct[..value], 19 - problem.answer, &correct[end..]);
        let responses_G = [correct, wrong].map(|text| {
            let tokens = [&tokenizer.encode(&text)[..], &[tokenizer.eos()]].concat();
            let sample = Sample { logprobs: vec![0.0; tokens.len()], tokens, stop: StopReason::End };
            scored(sample, text, &problem)
        });
        let prompt = tokenizer.encode(&problem.prompt());
        (Group { cell: 0, prompt, problem, responses_G: responses_G.into() }, tokenizer)
    }
}

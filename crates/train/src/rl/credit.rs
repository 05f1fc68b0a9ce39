//! Step-level credit: every token of a step gets the verifier's judgement of that step, on top of its response's
//! advantage.

use std::ops::Range;

use problems::{
    gold::Mode,
    reward::{ending_credit, step_credit},
};
use tokens::Tokenizer;

use super::{
    moments::{Moments, STD_EPSILON},
    sampler::Group,
    scored::ScoredResponse,
};
use crate::recipe::PolicyConfig;

/// A part of a response that was judged by itself: a step, or the ending.
struct JudgedSpan {
    /// Its bytes in the text.
    bytes: Range<usize>,
    /// Whether it is correct. No span of a truncated response is.
    correct: bool,
}

impl JudgedSpan {
    fn score(&self) -> f64 {
        f64::from(u8::from(self.correct))
    }
}

/// The judged spans of one response, in the order of the text.
struct JudgedText {
    spans: Vec<JudgedSpan>,
    /// The length of the text in bytes.
    length: usize,
    /// Whether the last span is the ending.
    ending_is_judged: bool,
}

impl JudgedText {
    /// The steps of a response and, if the mode of its problem is given, its ending.
    fn of(response: &ScoredResponse, ending_in: Option<Mode>) -> Self {
        let (judgement, text) = (&response.judgement, &response.text);
        let mut spans = step_credit(judgement.verdict());
        spans.extend(ending_in.map(|mode| ending_credit(judgement.verdict(), text, mode)));
        let judged = |(bytes, correct)| JudgedSpan { bytes, correct: correct && !judgement.truncated() };
        Self {
            spans: spans.into_iter().map(judged).collect(),
            length: text.len(),
            ending_is_judged: ending_in.is_some(),
        }
    }

    /// The span that a token chose: the last one that it has a byte of. The blank before a name is a part of the name's
    /// token, and that token chooses the step.
    fn chosen_by(&self, token: &Range<usize>) -> Option<&JudgedSpan> {
        if token.is_empty() && token.end == self.length {
            return self.ended_without_tag();
        }
        self.spans.iter().rev().find(|span| token.start < span.bytes.end && span.bytes.start < token.end)
    }

    /// The ending, if no tag closes the solution. Then the end token, which has no byte, has ended it.
    fn ended_without_tag(&self) -> Option<&JudgedSpan> {
        let ending = self.spans.last().filter(|_| self.ending_is_judged);
        ending.filter(|span| span.bytes.end == self.length && !span.correct)
    }
}

/// Gives the tokens of a step their credit: the judgement of the step against those of all steps of the group, in
/// standard deviations, times the policy's weight. Tokens outside steps get none.
pub(super) struct StepCredit<'a> {
    weight: f64,
    /// Whether endings are judged like steps.
    judges_endings: bool,
    tokenizer: &'a Tokenizer,
}

impl<'a> StepCredit<'a> {
    /// The credit that a policy gives; `None` if it gives none.
    pub(super) fn of(policy: &PolicyConfig, tokenizer: &'a Tokenizer) -> Option<Self> {
        let (weight, judges_endings) = (policy.step_credit, policy.ending_credit);
        (weight != 0.0).then_some(Self { weight, judges_endings, tokenizer })
    }

    /// The credit of every token of every response of a group: `[G][T]`.
    pub(super) fn of_group(&self, group: &Group) -> Vec<Vec<f64>> {
        let ending_in = self.judges_endings.then_some(group.problem.cell.mode);
        let texts_G: Vec<JudgedText> =
            group.responses_G.iter().map(|response| JudgedText::of(response, ending_in)).collect();
        let scores: Vec<f64> = texts_G.iter().flat_map(|text| &text.spans).map(JudgedSpan::score).collect();
        let all = Moments::of(&scores);
        let responses = group.responses_G.iter().zip(&texts_G);
        responses.map(|(response, text)| self.of_response(response, text, all)).collect()
    }

    fn of_response(&self, response: &ScoredResponse, text: &JudgedText, all: Moments) -> Vec<f64> {
        let (_, bytes_T) = self.tokenizer.decode_with_offsets(&response.sample.tokens);
        let credit = |bytes| text.chosen_by(bytes).map_or(0.0, |span| self.of_span(span, all));
        bytes_T.iter().map(credit).collect()
    }

    /// 0 where all steps of the group were judged alike.
    fn of_span(&self, span: &JudgedSpan, all: Moments) -> f64 {
        if all.std > 0.0 { self.weight * (span.score() - all.mean) / (all.std + STD_EPSILON) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use learner::{Sample, StopReason};

    use super::*;
    use crate::rl::row::tests::{pair, scored};

    fn credits(group: &Group, tokenizer: &Tokenizer, ending_credit: bool) -> Vec<Vec<f64>> {
        let defaults: PolicyConfig = toml::from_str("").expect("defaults");
        let policy = PolicyConfig { step_credit: 0.5, ending_credit, ..defaults };
        StepCredit::of(&policy, tokenizer).expect("it is on").of_group(group)
    }

    #[test]
    fn credit_goes_to_every_word_of_the_steps_that_earned_it() {
        let (mut group, tokenizer) = pair();
        assert!(StepCredit::of(&toml::from_str("").expect("defaults"), &tokenizer).is_none());
        let credits_G = credits(&group, &tokenizer, false);
        for (is_wrong, (response, credit_T)) in
            [false, true].into_iter().zip(group.responses_G.iter().zip(&credits_G))
        {
            let solution = response.text.find("</solution>").expect("a tag");
            let last_step =
                response.text[..solution].trim_end_matches([' ', '.']).rfind('.').expect("steps") + 1;
            let (_, bytes_T) = tokenizer.decode_with_offsets(&response.sample.tokens);
            for (bytes, credit) in bytes_T.into_iter().zip(credit_T) {
                let (start, word) = (bytes.start, &response.text[bytes]);
                match word.trim() {
                    "" => {}
                    _ if start >= solution => assert_eq!(*credit, 0.0, "{word:?}"),
                    _ if is_wrong && start >= last_step => assert!(*credit < -0.5, "{word:?}"),
                    _ => assert!(*credit > 0.0 && *credit < 0.5, "{word:?}: {credit}"),
                }
            }
        }
        // Truncated, the correct response is as wrong as the other: nothing is left to tell steps apart by.
        for response in &mut group.responses_G {
            let sample = Sample { stop: StopReason::Length, ..response.sample.clone() };
            *response = scored(sample, response.text.clone(), &group.problem);
        }
        assert!(credits(&group, &tokenizer, false).iter().flatten().all(|credit| *credit == 0.0));
    }

    #[test]
    fn ending_too_early_is_charged_where_it_is_chosen() {
        let (mut group, tokenizer) = pair();
        let correct = group.responses_G[0].text.clone();
        let ending = correct.find(" </solution>").expect("a tag");
        let last_step = correct[..ending - 1].rfind(". ").expect("steps") + 1;
        let early = format!("{}{}", &correct[..last_step], &correct[ending..]);
        let bare = correct[..last_step].trim_end().to_owned();
        let sample = |text: &str| {
            let tokens = [&tokenizer.encode(text)[..], &[tokenizer.eos()]].concat();
            Sample { logprobs: vec![0.0; tokens.len()], tokens, stop: StopReason::End }
        };
        group.responses_G =
            [correct, early, bare].map(|text| scored(sample(&text), text, &group.problem)).into();
        let credits_G = credits(&group, &tokenizer, true);
        let (bare, bare_T) = (&group.responses_G[2], &credits_G[2]);
        assert!(
            !bare.text.contains("</solution>") && *bare_T.last().expect("the end token") < -0.5,
            "{bare_T:?}"
        );
        assert!(bare_T[..bare_T.len() - 1].iter().all(|credit| *credit >= 0.0), "{bare_T:?}");
        for (is_early, (response, credit_T)) in
            [false, true].into_iter().zip(group.responses_G.iter().zip(credits_G))
        {
            let ending = response.text.find(" </solution>").expect("a tag");
            let (_, bytes_T) = tokenizer.decode_with_offsets(&response.sample.tokens);
            for (bytes, credit) in bytes_T.into_iter().zip(credit_T) {
                let (start, word) = (bytes.start, &response.text[bytes]);
                let chosen = start >= ending && start < ending + " </solution>".len();
                let as_it_should = match (chosen, is_early) {
                    (true, true) => credit < -0.5,
                    (true, false) => credit > 0.0,
                    (false, _) => credit == 0.0 || start < ending && credit > 0.0,
                };
                assert!(as_it_should, "{word:?}: {credit}");
            }
        }
        let without = credits(&group, &tokenizer, false);
        assert!(without.iter().flatten().all(|credit| *credit == 0.0), "every step written is correct");
    }
}

//! The one rule by which responses count.

use problems::{
    gold::Gold,
    verify::{Policy, Verdict, verify},
};

/// What a response is worth: the verdict on its text, and whether it reached the length limit. A response that did is a
/// failure, whatever it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    verdict: Verdict,
    truncated: bool,
}

impl Judgement {
    /// Judges the text of a response under a policy. `truncated` says that the response reached the length limit.
    pub fn of(gold: &Gold, text: &str, policy: Policy, truncated: bool) -> Self {
        Self { verdict: verify(gold, text, policy), truncated }
    }

    /// Whether the response reached the length limit.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Whether process and answer are correct under the policy.
    pub fn verified(&self) -> bool {
        self.verdict.verified && !self.truncated
    }

    /// Whether the answer is correct, whatever the process.
    pub fn correct(&self) -> bool {
        self.verdict.answer_correct && !self.truncated
    }

    /// The answer in its normal form.
    pub fn answer(&self) -> Option<&str> {
        self.verdict.answer.as_deref().filter(|_| !self.truncated)
    }

    /// The verdict on the text alone: its steps, faults and process score.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The verdict as it counts: nothing is verified, correct or answered in a truncated response.
    pub fn into_verdict(self) -> Verdict {
        let mut verdict = self.verdict;
        if self.truncated {
            verdict.verified = false;
            verdict.answer_correct = false;
            verdict.answer = None;
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use problems::{Cell, Contexts, Generator, World, gold::Mode};

    use super::*;

    #[test]
    fn a_truncated_response_is_a_failure_whatever_it_says() {
        let generator = Generator::new(&World::default(), &Contexts::builtin(), 3, None).expect("a world");
        let cell = Cell { op: 4, context: "terse".to_owned(), mode: Mode::Forward };
        let problem = generator.sequence(&cell).expect("a possible cell").problem(0);
        let judged =
            |truncated| Judgement::of(&problem.gold(), &problem.response(), Policy::Paper, truncated);
        let (whole, cut) = (judged(false), judged(true));
        assert!(whole.verified() && whole.correct() && whole.answer().is_some());
        assert!(!cut.verified() && !cut.correct() && cut.answer().is_none());
        assert!(cut.verdict().verified, "the text alone is correct");
        assert_eq!(whole.clone().into_verdict(), *whole.verdict());
        assert!(!cut.into_verdict().verified);
    }
}

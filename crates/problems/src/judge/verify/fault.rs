//! What can be wrong with a solution.

use serde::{Deserialize, Serialize};
use strum::{EnumCount as _, VariantArray as _};

/// A kind of fault. The order is that of a solution: its steps, its equation, its answer.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The header of a step does not follow the grammar.
    MalformedStep,
    /// A quantity that the solution needs is never defined.
    MissingStep,
    /// The step defines a quantity that the solution does not need.
    ExtraStep,
    /// The step repeats an earlier one.
    DuplicateStep,
    /// The step gives a quantity that has a value another one.
    RedefinedStep,
    /// The step uses the quantity that it defines.
    SelfReference,
    /// A variable is used before the step that defines it.
    UsedBeforeDefined,
    /// A variable is used that no step defines.
    UndefinedVariable,
    /// The step computes from other quantities than it should.
    WrongParents,
    /// The step gives its quantity no value.
    MissingValue,
    /// An expression does not follow the grammar.
    MalformedExpression,
    /// The members of a chain have different values.
    WrongArithmetic,
    /// Numbers are put in for variables that have other values.
    Misquoted,
    /// The value is wrong.
    WrongValue,
    /// The value follows from the step, which starts from wrong values.
    CarriedValue,
    /// The equation of a reverse problem is not set up or not solved.
    MissingEquation,
    /// The equation starts from another known quantity or value than the problem states.
    WrongKnown,
    /// A line of the equation does not follow from its first.
    WrongEquation,
    /// The equation's solution is wrong.
    WrongSolution,
    /// There is no answer.
    MissingAnswer,
    /// The answer is not a number.
    MalformedAnswer,
    /// Several answers that differ.
    ConflictingAnswers,
    /// The answer is wrong.
    WrongAnswer,
}

impl FaultKind {
    /// Every kind, in order.
    pub const ALL: [Self; Self::COUNT] = *Self::VARIANTS.first_chunk().expect("there are COUNT variants");

    /// The name in files and tables.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// One line for a reader.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::MalformedStep => "the step's header does not follow the grammar",
            Self::MissingStep => "a quantity that the solution needs is never defined",
            Self::ExtraStep => "the quantity is not needed",
            Self::DuplicateStep => "the step repeats an earlier one",
            Self::RedefinedStep => "the quantity was defined before, differently",
            Self::SelfReference => "the step uses the quantity that it defines",
            Self::UsedBeforeDefined => "a variable is used before it is defined",
            Self::UndefinedVariable => "a variable is used that is never defined",
            Self::WrongParents => "the quantity is computed from the wrong quantities",
            Self::MissingValue => "the step gives its quantity no value",
            Self::MalformedExpression => "the expression does not follow the grammar",
            Self::WrongArithmetic => "the two sides are not equal",
            Self::Misquoted => "a number differs from the value of its variable",
            Self::WrongValue => "the value is wrong",
            Self::CarriedValue => "the value follows from an earlier wrong value",
            Self::MissingEquation => "the equation is not set up or not solved",
            Self::WrongKnown => "this is not what the problem states",
            Self::WrongEquation => "this does not follow from the equation",
            Self::WrongSolution => "the equation has another solution",
            Self::MissingAnswer => "there is no answer",
            Self::MalformedAnswer => "the answer is not a number",
            Self::ConflictingAnswers => "the answers differ",
            Self::WrongAnswer => "the answer is wrong",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_under_the_name_that_files_use() {
        for (i, kind) in FaultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
            assert_eq!(FaultKind::ALL.iter().filter(|k| k.name() == kind.name()).count(), 1);
        }
    }
}

//! Solutions that differ from a correct one: harmlessly, or by exactly one fault.
//!
//! They test the judge and measure how often it is fooled. A change works on the text of a correct response through the
//! grammar. It knows neither the problem's graph nor the renderer.
//!
//! ```
//! use tercet_problems::mutate::{Material, Wrong};
//! use tercet_problems::stream::Stream;
//! let response = " Define crow in Zoo as a; so a = 3. </solution> <answer> 3 </answer>";
//! let mutant = Wrong::WrongAnswer.apply(&Material::new(response), &mut Stream::root(1).draws());
//! assert_ne!(mutant.as_deref(), Some(response));
//! ```

mod harmless;
mod material;
mod wrong_answer;
mod wrong_chain;
mod wrong_step;

use strum::{EnumCount as _, VariantArray as _};

use crate::judge::verify::Policy;
use crate::world::stream::Draws;
pub use material::Material;

/// A change that leaves a solution correct.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Harmless {
    /// Other letters for all variables.
    Letters,
    /// Variables of several letters or with an index.
    LongVariables,
    /// Blanks added, doubled, removed, or turned into line breaks.
    Blanks,
    /// Steps in another order that has every quantity after those it is computed from.
    Order,
    /// The operands of a sum or product exchanged.
    Commuted,
    /// No "so" before a step's last clause.
    WithoutSo,
    /// No `</solution>`.
    WithoutClosingTag,
    /// Cut before `</answer>`, as sampling with a stop string leaves it.
    WithoutAnswerEnd,
    /// `Answer: n.` instead of tags.
    AnswerLine,
    /// A dot after the answer.
    AnswerDot,
    /// A value in parentheses.
    Parentheses,
    /// `6.0` for `6`.
    DecimalZero,
    /// `, which is` in a chain.
    Remark,
    /// `6 animals` for `6`.
    Unit,
    /// `+6` for `6`.
    PlusSign,
    /// A sentence before the first step.
    Chatter,
    /// `define` for `Define`.
    LowerCase,
    /// A further step for a quantity of no interest.
    ExtraStep,
}

impl Harmless {
    /// Every kind, in order.
    pub const ALL: [Self; Self::COUNT] = *Self::VARIANTS.first_chunk().expect("there are COUNT variants");

    /// The name in tables.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The changed response; `None` where there is nothing to change.
    pub fn apply(self, material: &Material, draws: &mut Draws) -> Option<String> {
        match self {
            Self::Letters => harmless::letters(material, draws),
            Self::LongVariables => harmless::long_variables(material, draws),
            Self::Blanks => harmless::blanks(material, draws),
            Self::Order => harmless::order(material, draws),
            Self::Commuted => harmless::commuted(material, draws),
            Self::WithoutSo => harmless::without_so(material),
            Self::WithoutClosingTag => harmless::replaced(material, "</solution>", ""),
            Self::WithoutAnswerEnd => harmless::replaced(material, "</answer>", ""),
            Self::AnswerLine => harmless::answer_line(material),
            Self::AnswerDot => harmless::replaced(material, " </answer>", ". </answer>"),
            Self::Parentheses => harmless::last_number(material, draws, |n| format!("({n})")),
            Self::DecimalZero => harmless::last_number(material, draws, |n| format!("{n}.0")),
            Self::Remark => harmless::remark(material, draws),
            Self::Unit => harmless::last_number(material, draws, |n| format!("{n} animals")),
            Self::PlusSign => harmless::last_number(material, draws, |n| format!("+{n}")),
            Self::Chatter => harmless::chatter(material),
            Self::LowerCase => harmless::replaced(material, "Define ", "define "),
            Self::ExtraStep => harmless::extra_step(material, draws),
        }
    }
}

/// A change that makes a solution wrong.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    strum::EnumCount,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
#[non_exhaustive]
pub enum Wrong {
    /// A step's value is another number.
    WrongValue,
    /// The value of an intermediate result is another number.
    WrongIntermediate,
    /// A step's value is not whole.
    DecimalValue,
    /// A step's value is larger by thousands, with a comma.
    ThousandsValue,
    /// A step's value has the other sign.
    NegatedValue,
    /// A step's value does not fit any machine number.
    HugeValue,
    /// A sign that is not an operator of the grammar follows a step's value, and a number follows the sign.
    OtherSign,
    /// `6 or 7` for `6`.
    AlternativeValue,
    /// A step gives its quantity another value before the correct one.
    SecondValue,
    /// One number that stands for a variable differs from its value.
    Misquoted,
    /// Two numbers that stand for variables differ, and their sum is correct.
    SwappedQuote,
    /// Another operator, all numbers kept.
    WrongOperator,
    /// Another number in the first step, and everything computed from that.
    WrongStart,
    /// A step uses another quantity than it should; its numbers are kept.
    WrongParent,
    /// An operand is left out; the result is kept.
    DroppedOperand,
    /// Zero times an unrelated quantity is added.
    AddedParent,
    /// A variable that nothing defines.
    UndefinedVariable,
    /// A step's own variable on its right side.
    SelfReference,
    /// A step comes before one that it uses.
    IllegalOrder,
    /// All steps in the opposite order.
    Reversed,
    /// A step is left out.
    MissingStep,
    /// A step is written twice.
    DuplicateStep,
    /// A step comes first with a wrong value, then with the correct one.
    RedefinedStep,
    /// A step says that it skips its value.
    NoAssignment,
    /// A step's name is another one.
    WrongName,
    /// A header that does not follow the grammar.
    MalformedHeader,
    /// A step's variable is one that is still needed for another quantity.
    VariableClash,
    /// The text ends before the answer.
    Truncated,
    /// Only the answer.
    AnswerOnly,
    /// No text.
    Empty,
    /// One step again and again, no answer.
    Loop,
    /// Another answer.
    WrongAnswer,
    /// No answer.
    NoAnswer,
    /// A word after the answer's number.
    WordyAnswer,
    /// Two answers, one of them correct.
    TwoAnswers,
    /// Two lines `Answer: n.`, one of them correct.
    TwoAnswerLines,
    /// Reverse: the known value is another number.
    WrongKnown,
    /// Reverse: a line of the equation has another number.
    WrongLine,
    /// Reverse: the last line has another number.
    WrongSolution,
    /// Reverse: the equation is left out.
    NoEquation,
}

impl Wrong {
    /// Every kind, in order.
    pub const ALL: [Self; Self::COUNT] = *Self::VARIANTS.first_chunk().expect("there are COUNT variants");

    /// The name in tables.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether every mutant of this kind is wrong under the policy's own definition. Only `Strict` looks at
    /// arithmetic inside steps, at repetitions and at the lines of an equation.
    pub const fn is_wrong_under(self, policy: Policy) -> bool {
        let arithmetic = matches!(
            self,
            Self::WrongIntermediate
                | Self::Misquoted
                | Self::SwappedQuote
                | Self::WrongOperator
                | Self::DroppedOperand
                | Self::DuplicateStep
                | Self::RedefinedStep
                | Self::SecondValue
                | Self::WrongKnown
                | Self::WrongLine
        );
        match policy {
            Policy::Strict => true,
            Policy::Paper => !arithmetic,
            // The published code ignores variables without a meaning and a step's own one, which gets its meaning
            // only after the step.
            Policy::Reference => {
                !arithmetic
                    && !matches!(self, Self::SelfReference | Self::VariableClash | Self::UndefinedVariable)
            }
        }
    }

    /// The changed response; `None` where there is nothing to change, or the change would be correct by chance.
    pub fn apply(self, material: &Material, draws: &mut Draws) -> Option<String> {
        match self {
            Self::WrongValue => wrong_chain::value(material, draws, true, |n, d| (n + d).to_string()),
            Self::WrongIntermediate => wrong_chain::value(material, draws, false, |n, d| (n + d).to_string()),
            Self::DecimalValue => wrong_chain::value(material, draws, true, |n, _| format!("{n}.5")),
            Self::ThousandsValue => wrong_chain::value(material, draws, true, |n, _| format!("1,{n:03}")),
            Self::OtherSign => wrong_chain::other_sign(material, draws),
            Self::AlternativeValue => {
                wrong_chain::value(material, draws, true, |n, d| format!("{n} or {}", n + d))
            }
            Self::SecondValue => wrong_chain::second_value(material, draws),
            Self::NegatedValue => wrong_chain::negated(material, draws),
            Self::HugeValue => wrong_chain::value(material, draws, true, |n, _| format!("{n}{:0300}", 0)),
            Self::Misquoted => wrong_chain::misquoted(material, draws),
            Self::SwappedQuote => wrong_chain::swapped_quote(material, draws),
            Self::WrongOperator => wrong_chain::operator(material, draws),
            Self::WrongStart => wrong_chain::start(material, draws),
            Self::WrongParent => wrong_chain::parent(material, draws),
            Self::DroppedOperand => wrong_chain::dropped_operand(material, draws),
            Self::AddedParent => wrong_chain::added_parent(material, draws),
            Self::UndefinedVariable => wrong_chain::undefined(material, draws),
            Self::SelfReference => wrong_chain::self_reference(material, draws),
            Self::IllegalOrder => wrong_step::illegal_order(material, draws),
            Self::Reversed => wrong_step::reversed(material),
            Self::MissingStep => wrong_step::missing(material, draws),
            Self::DuplicateStep => wrong_step::duplicate(material, draws),
            Self::RedefinedStep => wrong_step::redefined(material, draws),
            Self::NoAssignment => wrong_step::no_assignment(material, draws),
            Self::WrongName => wrong_step::name(material, draws),
            Self::MalformedHeader => wrong_step::header(material, draws),
            Self::VariableClash => wrong_step::clash(material, draws),
            Self::Truncated => wrong_answer::truncated(material, draws),
            Self::AnswerOnly => wrong_answer::answer_only(material),
            Self::Empty => Some(String::new()),
            Self::Loop => wrong_answer::repeated(material, draws),
            Self::WrongAnswer => wrong_answer::answer(material, draws),
            Self::NoAnswer => wrong_answer::none(material),
            Self::WordyAnswer => wrong_answer::wordy(material),
            Self::TwoAnswers => wrong_answer::two(material, draws),
            Self::TwoAnswerLines => wrong_answer::two_lines(material, draws),
            Self::WrongKnown => wrong_answer::known(material, draws),
            Self::WrongLine => wrong_answer::line(material, draws),
            Self::WrongSolution => wrong_answer::solution(material, draws),
            Self::NoEquation => wrong_answer::no_equation(material),
        }
    }
}

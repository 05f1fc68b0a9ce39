//! Options that take one of a few values of another crate, by the names that the values have in files.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use problems::Split;
use problems::gold::Mode;
use problems::verify::Policy;

/// The rules that decide.
pub(crate) fn policy() -> impl TypedValueParser<Value = Policy> {
    parser(Policy::ALL, Policy::name, |policy| {
        Some(match policy {
            Policy::Paper => {
                "Every quantity present, with the correct parents and value, and the correct answer"
            }
            Policy::Reference => "As paper; the process score counts penalties as the published code does",
            Policy::Strict => "As paper, and every piece of arithmetic must hold",
            _ => return None,
        })
    })
}

/// Which problems are kept apart for which use.
pub(crate) fn split() -> impl TypedValueParser<Value = Split> {
    parser(Split::ALL, Split::name, |_| None)
}

/// What is asked for.
pub(crate) fn mode() -> impl TypedValueParser<Value = Mode> {
    parser(Mode::ALL, Mode::name, |_| None)
}

fn parser<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [T; N],
    name: fn(T) -> &'static str,
    help: impl Fn(T) -> Option<&'static str>,
) -> impl TypedValueParser<Value = T> {
    let shown = values.map(|value| {
        let shown = PossibleValue::new(name(value));
        help(value).map_or(shown.clone(), |help| shown.help(help))
    });
    PossibleValuesParser::new(shown).try_map(move |given| {
        values.into_iter().find(|value| name(*value) == given).ok_or("there is no such value")
    })
}

//! The one place that prints errors and chooses exit codes: 0 done, 1 failed, 2 bad usage or recipe.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use train::error::RunError;
use train::recipe::RecipeError;

/// What the user asked for is impossible or contradictory: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(String);

impl Usage {
    /// An error in the request, as a sentence fragment.
    pub(crate) fn error(message: impl fmt::Display) -> anyhow::Error {
        anyhow::Error::new(Usage(message.to_string()))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Prints an error as one sentence and says how the program ends.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if reader_is_gone(error) {
        return ExitCode::SUCCESS;
    }
    // Nothing is left to do if stderr is gone as well.
    let _ = writeln!(io::stderr(), "error: {}", printable(&sentence(error.as_ref())));
    ExitCode::from(if is_usage(error) { 2 } else { 1 })
}

/// Most characters of a line of an error: it may quote a file.
const LINE_MAX: usize = 2000;

/// The text without control characters, which the terminal would obey, and without the ends of very long lines.
pub(crate) fn printable(text: &str) -> String {
    let line = |line: &str| -> String {
        let shown =
            line.chars().take(LINE_MAX).map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c });
        shown.chain(line.chars().nth(LINE_MAX).map(|_| '…')).collect()
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// An error as the program prints it: the chain of causes, outermost first, without a cause that its context already
/// quotes.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let chain = std::iter::successors(Some(error), |&error| error.source());
    for cause in chain.map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let asked = matches!(cause.downcast_ref(), Some(RunError::Recipe(_) | RunError::Unknown(_)));
        asked || cause.is::<Usage>() || cause.is::<RecipeError>()
    })
}

/// Whoever read our output has closed it (`tercet problems … | head`): that is no failure of ours.
fn reader_is_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let plain = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let kind = plain.or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind());
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_chain_is_one_sentence_and_repeats_nothing() {
        let error = Err::<(), _>(io::Error::other("disk full")).context("cannot write a.jsonl");
        assert_eq!(sentence(error.expect_err("an error").as_ref()), "cannot write a.jsonl: disk full");
        let quoted = Err::<(), _>(io::Error::other("disk full")).context("cannot write: disk full");
        assert_eq!(sentence(quoted.expect_err("an error").as_ref()), "cannot write: disk full");
    }

    #[test]
    fn a_reader_that_has_gone_is_recognised_through_json_as_well() {
        struct Gone;
        impl io::Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = serde_json::to_writer(Gone, "text").expect_err("nobody reads");
        assert!(reader_is_gone(&anyhow::Error::new(error)));
        assert!(!reader_is_gone(&anyhow::anyhow!("Broken pipe")));
    }

    #[test]
    fn what_is_printed_is_short_and_plain() {
        let text = format!("a\u{1b}[31m\n{}\nb", "x".repeat(50_000));
        let printed = printable(&text);
        assert!(printed.starts_with("a\u{fffd}[31m\nxxx") && printed.ends_with("x…\nb"));
        assert!(printed.len() < 2100, "{}", printed.len());
    }

    #[test]
    fn usage_is_recognised_under_its_context() {
        let error = Err::<(), _>(Usage::error("no such op")).context("the mix");
        assert!(is_usage(&error.expect_err("an error")));
        assert!(!is_usage(&anyhow::anyhow!("no such op")));
    }
}

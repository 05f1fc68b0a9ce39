//! What is said on stderr.

use std::io::Write as _;

/// A line for the user, on stderr.
pub(crate) fn say(line: &str) {
    // A closed stderr is no reason to stop working.
    let _ = writeln!(std::io::stderr(), "{line}");
}

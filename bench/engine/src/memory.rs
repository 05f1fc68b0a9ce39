//! Resident memory of this process in bytes, as Linux reports it; nothing elsewhere.

use std::fs;

fn status(field: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Resident now.
pub(crate) fn now() -> Option<u64> {
    status("VmRSS")
}

/// Highest since the start or the last [`forget_peak`].
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM")
}

/// Restarts the record of the peak. Where the system refuses, the peak of warm-up counts too.
pub(crate) fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

//! Memory and processor time of this process, as Linux reports them; nothing elsewhere.

use std::fs;

fn status(field: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Resident bytes now.
pub(crate) fn now() -> Option<u64> {
    status("VmRSS")
}

/// Highest resident bytes since the start or the last [`forget_peak`].
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM")
}

/// Restarts the record of the peak. Where the system refuses, the peak of warm-up counts too.
pub(crate) fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Seconds that all threads together have run so far, to a hundredth.
pub(crate) fn core_seconds() -> Option<f64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold blanks; user and system time are
    // the 14th and the 15th, in hundredths.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(f64::from(ticks()? + ticks()?) / 100.0)
}

//! Ctrl-C and other requests to stop. The first lets the step end and saves, the second stops at once (what is saved stays
//! whole).

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is said at the first Ctrl-C by work that saves.
pub(crate) const SAVING: &str = "stopping after this step and saving; press Ctrl-C again to stop at once";

/// Set after the first Ctrl-C, when `notice` is said. Long-running work looks at it between steps.
pub(crate) fn listen(notice: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    on_request(move |code| {
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(code);
        }
        let _ = writeln!(io::stderr(), "\n{notice}");
    })?;
    Ok(stop)
}

/// Calls `act` at every Ctrl-C (SIGINT), SIGTERM and SIGHUP, with the exit code of a program that the signal ends. A signal
/// that the program was told to ignore when it was started, as by `nohup`, stays ignored.
#[cfg(unix)]
fn on_request(act: impl Fn(i32) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let ignored = ignored();
    let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = signal_hook::iterator::Signals::new(heard)?;
    std::thread::spawn(move || signals.forever().for_each(|signal| act(128 + signal)));
    Ok(())
}

/// The signals that are ignored, as a mask; none where the system does not tell.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(not(unix))]
fn on_request(act: impl Fn(i32) + Send + 'static) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(move || act(130))
}

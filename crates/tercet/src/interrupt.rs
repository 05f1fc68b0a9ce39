//! Ctrl-C: the first lets the step end and saves, the second stops at once (what is saved stays whole).

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is said at the first Ctrl-C by work that saves.
pub(crate) const SAVING: &str = "stopping after this step and saving; press Ctrl-C again to stop at once";

/// Set after the first Ctrl-C, when `notice` is said; long-running work looks at it between steps.
pub(crate) fn listen(notice: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let pressed = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if pressed.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        let _ = writeln!(std::io::stderr(), "\n{notice}");
    })?;
    Ok(stop)
}

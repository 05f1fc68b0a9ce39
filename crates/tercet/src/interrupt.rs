//! Ctrl-C: the first lets the step end and saves, the second stops at once (what is saved stays whole).

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

/// Set after the first Ctrl-C; long-running work looks at it between steps.
pub(crate) fn listen() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        let _ = writeln!(
            std::io::stderr(),
            "\nstopping after this step and saving; press Ctrl-C again to stop at once"
        );
    })?;
    Ok(&STOP)
}

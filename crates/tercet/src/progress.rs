//! Progress on stderr: a bar with rate and time left on a terminal, an occasional line elsewhere.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::printable;

/// Nothing is shown of work that takes less.
const SILENT: Duration = Duration::from_secs(1);
/// Time between two lines when stderr is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// Progress of one piece of work.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: String,
    terminal: bool,
    started: Instant,
    before: u64,
    last_line: Instant,
}

impl Progress {
    /// Starts counting to `total`. `unit` names what is counted, e.g. `problems`.
    pub(crate) fn new(what: impl Into<String>, total: u64, unit: &str) -> Self {
        Self::of(what.into(), Some(total), unit)
    }

    /// Starts counting work of which nobody knows how much there is.
    pub(crate) fn without_end(what: impl Into<String>, unit: &str) -> Self {
        Self::of(what.into(), None, unit)
    }

    fn of(what: String, total: Option<u64>, unit: &str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        // The target is turned on after the first second, so that short work leaves no trace.
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => format!(
                "{{prefix:<14}} {{bar:28}} {{human_pos}}/{{human_len}} {unit} {{per_sec:.dim}} {{eta}} left {{msg}}"
            ),
            None => format!("{{prefix:<14}} {{human_pos}} {unit} {{per_sec:.dim}} {{msg}}"),
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(what.clone());
        let started = now();
        Progress { bar, what, terminal, started, before: 0, last_line: started }
    }

    /// Sets how much is done.
    pub(crate) fn set(&mut self, done: u64) {
        self.bar.set_position(done);
        self.show();
    }

    /// Adds to what is done.
    pub(crate) fn add(&mut self, more: u64) {
        self.bar.inc(more);
        self.show();
    }

    /// Says that so much was done before: it does not count for the rate.
    pub(crate) fn start_at(&mut self, done: u64) {
        self.before = done;
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// Shows what has changed.
    pub(crate) fn tick(&mut self) {
        self.bar.tick();
        self.show();
    }

    /// A short remark after the bar, such as the current loss.
    pub(crate) fn remark(&mut self, remark: impl Into<Cow<'static, str>>) {
        self.bar.set_message(remark);
    }

    fn show(&mut self) {
        if self.started.elapsed() < SILENT {
            return;
        }
        if self.terminal {
            if self.bar.is_hidden() {
                self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            }
        } else if self.last_line.elapsed() >= BETWEEN_LINES {
            self.last_line = now();
            self.line();
        }
    }

    fn line(&self) {
        let done = self.bar.position();
        let per_second = (done - self.before.min(done)) as f64 / self.started.elapsed().as_secs_f64();
        let Some(total) = self.bar.length() else {
            return say(&format!("{}: {done}, {per_second:.1}/s {}", self.what, self.bar.message()));
        };
        let left = (total.saturating_sub(done)) as f64 / per_second.max(1e-9);
        say(&format!(
            "{}: {done}/{total}, {per_second:.1}/s, about {} left {}",
            self.what,
            duration(left),
            self.bar.message()
        ));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line for the user, on stderr.
pub(crate) fn say(line: &str) {
    // A closed stderr is no reason to stop working.
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

/// The clock, for progress and for the rates of a plan; no result depends on it.
#[expect(clippy::disallowed_methods, reason = "progress is the edge where the clock is wanted")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Seconds as people say them: `42 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(seconds: f64) -> String {
    let s = seconds.round().clamp(0.0, 9e9) as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_as_people_say_them() {
        let said = [0.4, 42.0, 200.0, 7500.0].map(duration);
        assert_eq!(said, ["0 s", "42 s", "3 min 20 s", "2 h 5 min"]);
    }
}

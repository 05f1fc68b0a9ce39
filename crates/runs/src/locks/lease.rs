//! Leases, for file systems whose locks do not reach other machines.
//!
//! A lease is a folder with one file, `NUMBER`: who holds it and a counter that its holder counts up. To take a lease is to
//! make the file of the next number, which only one can do. It is allowed where the holder gave the last one back, or where
//! its counter stood still for the stated time on the clock of the one who takes it. Numbers only grow: a holder that was
//! stopped and wakes up finds a higher one, and ends.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::Process;
use crate::{
    error::{FileError, failed},
    files,
};

/// How often a holder counts in the time that its lease may stand still.
const BEATS: u32 = 6;

/// The content of a lease's file.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    process: Process,
    /// Counts up while the holder lives.
    beat: u64,
    /// The holder gave it back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    free: bool,
}

/// What was seen of somebody else's lease: which number and bytes, and since when.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<(u64, Vec<u8>, Instant)>);

impl Seen {
    /// Whether the lease has looked like this for long.
    fn stood_still(&mut self, number: u64, content: &[u8], patience: Duration) -> bool {
        match &self.0 {
            Some((known, bytes, since)) if *known == number && bytes == content => since.elapsed() > patience,
            _ => {
                self.0 = Some((number, content.to_owned(), now()));
                false
            }
        }
    }
}

/// The clock of this machine, which is compared with itself only.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a lease stood still decides who works, never what comes out"
)]
fn now() -> Instant {
    Instant::now()
}

/// A lease that is held. A thread counts.
#[derive(Debug)]
pub(super) struct Lease {
    folder: PathBuf,
    number: u64,
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Pulse {
    path: PathBuf,
    patience: Duration,
    /// The counter, and when it was last written.
    last: Mutex<(u64, Instant)>,
    ended: AtomicBool,
    lost: AtomicBool,
}

impl Lease {
    /// Takes the lease in this folder, and says from whom if its holder had stood still; or says who holds it.
    #[expect(clippy::type_complexity, reason = "the lease and where it is from, or who has it")]
    pub(super) fn take(
        folder: &Path,
        patience: Duration,
        seen: &mut Seen,
    ) -> Result<Result<(Self, Option<Process>), Option<Process>>, FileError> {
        files::make_folder(folder)?;
        let mut from = None;
        let last = numbers(folder)?.pop();
        if let Some(last) = last {
            let path = at(folder, last);
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Err(None)),
                Err(e) => return Err(failed(&path, "read")(e)),
            };
            let content: Option<Content> = serde_json::from_slice(&bytes).ok();
            if !content.as_ref().is_some_and(|content| content.free) {
                let process = content.map(|content| content.process);
                if !seen.stood_still(last, &bytes, patience) {
                    return Ok(Err(process));
                }
                from = process;
            }
        }
        let number = last.unwrap_or(0) + 1;
        let path = at(folder, number);
        match File::options().write(true).create_new(true).open(&path) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(Err(None)),
            Err(e) => return Err(failed(&path, "write")(e)),
        }
        // What was read may have been old: somebody else may have had this number and gone on.
        if numbers(folder)?.pop() != Some(number) {
            files::remove_file(&path)?;
            return Ok(Err(None));
        }
        let pulse = Arc::new(Pulse {
            path,
            patience,
            last: Mutex::new((0, now())),
            ended: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        });
        pulse.count(false).map_err(failed(&pulse.path, "write"))?;
        for old in numbers(folder)?.into_iter().filter(|old| *old < number) {
            files::remove_file(&at(folder, old))?;
        }
        let counting = Arc::clone(&pulse);
        let thread = Some(thread::spawn(move || counting.run()));
        Ok(Ok((Self { folder: folder.to_owned(), number, pulse, thread }, from)))
    }

    /// Checks that nobody has taken it over.
    pub(super) fn check(&self) -> Result<(), FileError> {
        let path = &self.pulse.path;
        match numbers(&self.folder)?.pop() {
            Some(number) if number == self.number => Ok(()),
            Some(number) if number > self.number => Err(FileError::Lost { path: path.clone() }),
            _ => Err(FileError::Replaced { path: path.clone() }),
        }
    }

    /// Checks it if the counter was not written for half the time.
    pub(super) fn check_silence(&self) -> Result<(), FileError> {
        let since = self.pulse.last.lock().unwrap_or_else(PoisonError::into_inner).1;
        if self.pulse.lost.load(Ordering::Relaxed) || since.elapsed() > self.pulse.patience / 2 {
            self.check()?;
            let counted = self.pulse.count(false);
            return counted.map_err(failed(&self.pulse.path, "write"));
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pulse.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A counter that has panicked has nothing left to do.
            let _ = thread.join();
        }
        if self.check().is_ok() {
            // If this fails, the lease is free when it has stood still for long enough.
            let _ = self.pulse.count(true);
        }
    }
}

impl Pulse {
    fn run(&self) {
        while !self.ended.load(Ordering::SeqCst) {
            thread::park_timeout(self.patience / BEATS);
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            if let Err(error) = self.count(false)
                && error.kind() == io::ErrorKind::NotFound
            {
                self.lost.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Counts up, and perhaps gives the lease back. A file that is gone is not made again: it is somebody else's.
    fn count(&self, free: bool) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let content = Content { process: Process::this(), beat: last.0 + 1, free };
        let mut file = File::options().write(true).truncate(true).open(&self.path)?;
        file.write_all(&serde_json::to_vec(&content)?)?;
        file.sync_all()?;
        *last = (last.0 + 1, now());
        Ok(())
    }
}

fn at(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}"))
}

/// The numbers in a folder, the highest last.
fn numbers(folder: &Path) -> Result<Vec<u64>, FileError> {
    let names = files::list(folder)?.into_iter();
    let mut numbers: Vec<u64> = names.filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Who holds the lease: nobody, or somebody who says who they are or does not.
#[expect(clippy::option_option, reason = "held or not, and by whom if that is known")]
pub(super) fn holder(folder: &Path) -> Result<Option<Option<Process>>, FileError> {
    let Some(last) = numbers(folder)?.pop() else { return Ok(None) };
    let content = fs::read(at(folder, last)).unwrap_or_default();
    Ok(match serde_json::from_slice::<Content>(&content) {
        Ok(content) if content.free => None,
        Ok(content) => Some(Some(content.process)),
        Err(_) => Some(None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    fn take(folder: &Path, seen: &mut Seen) -> Option<(Lease, Option<Process>)> {
        Lease::take(folder, SHORT, seen).expect("readable").ok()
    }

    /// Makes a lease look as one whose process was killed.
    fn kill(lease: &mut Lease) {
        lease.pulse.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = lease.thread.take() {
            thread.thread().unpark();
            thread.join().expect("no panic");
        }
    }

    /// Whoever looks waits by its own clock, from its own first look.
    #[test]
    fn a_lease_is_taken_over_when_its_counter_stood_still() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut ours, mut theirs) = (Seen::default(), Seen::default());
        let (mut lease, from) = take(dir.path(), &mut ours).expect("free");
        assert_eq!(from, None);
        // It counts, however long one looks.
        for _ in 0..10 {
            assert!(take(dir.path(), &mut theirs).is_none());
            thread::sleep(SHORT / 2);
        }
        lease.check().expect("ours");
        lease.check_silence().expect("ours");
        kill(&mut lease);
        thread::sleep(SHORT * 2);
        // The first look at the last count only begins the wait.
        assert!(take(dir.path(), &mut theirs).is_none());
        thread::sleep(SHORT * 2);
        let (second, from) = take(dir.path(), &mut theirs).expect("stood still");
        assert_eq!(from, Some(Process::this()));
        // The first wakes up and finds out, wherever it looks, and does not give back what is not its own.
        assert!(matches!(lease.check(), Err(FileError::Lost { .. })));
        assert!(matches!(lease.check_silence(), Err(FileError::Lost { .. })));
        drop(lease);
        second.check().expect("still theirs");
        assert!(take(dir.path(), &mut ours).is_none());
        drop(second);
        assert_eq!(take(dir.path(), &mut ours).expect("given back").1, None);
    }

    #[test]
    fn of_many_who_find_a_lease_that_stood_still_one_takes_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut lease, _) = take(dir.path(), &mut Seen::default()).expect("free");
        kill(&mut lease);
        let taken: Vec<_> = thread::scope(|scope| {
            let one = || {
                let mut seen = Seen::default();
                assert!(take(dir.path(), &mut seen).is_none());
                thread::sleep(SHORT * 3);
                take(dir.path(), &mut seen)
            };
            let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        assert_eq!(taken.iter().flatten().count(), 1);
    }
}

//! Who works on what in a run folder that several processes work in at the same time.
//!
//! Every piece of work, such as a stage, has a lock of its own in `RUN/.locks`. Where the file system has locks that reach
//! all machines, the lock is one of these (`file.rs`): the system gives it back when its process ends, however it ends.
//! Elsewhere it is a lease (`lease.rs`): a file whose holder counts in it. A lease is taken over when its counter has stood
//! still for a stated time on the clock of the one who looks. No two clocks are compared.
//!
//! All processes in a folder do it the same way: the first that uses leases leaves `RUN/.locks/lease.json`, and the others
//! follow.

mod file;
mod lease;
mod mounts;
mod process;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub use process::Process;

use crate::{
    error::FileError,
    files,
    records::{FORMAT, Failure},
};
use file::{FileLock, Shared};
use lease::{Lease, Seen};

/// The folder of locks in a run folder.
const FOLDER: &str = ".locks";

/// `.locks/lease.json`: the folder is worked in with leases.
#[derive(Debug, Serialize, Deserialize)]
struct LeaseInfo {
    format: u32,
    /// How long a counter must have stood still.
    seconds: f64,
}

/// The locks of a run folder, for one process (or one thread of it).
#[derive(Debug)]
pub struct Locks {
    run: PathBuf,
    folder: PathBuf,
    /// How long a lease must have stood still; none where the file system's own locks are used.
    lease: Option<Duration>,
    seen: RefCell<BTreeMap<String, Seen>>,
}

/// What came of asking for a lock.
#[derive(Debug)]
#[non_exhaustive]
pub enum Taken {
    /// It is ours.
    Lock(Lock),
    /// Another process has it; which one, if it says.
    Busy(Option<Process>),
}

/// What a process holds while it works in a run folder.
#[derive(Debug)]
pub struct Presence {
    _shared: Option<Shared>,
    /// Whether nobody else worked in the folder when this process began to.
    pub is_alone: bool,
}

/// The name of the lock of those who begin to work in a folder.
pub const OPENING: &str = "opening";

/// Work that no other process does while this lives.
#[derive(Debug)]
pub struct Lock {
    kind: Kind,
    taken_over: Option<Process>,
}

#[derive(Debug)]
enum Kind {
    File(FileLock),
    Lease(Lease),
}

/// How long a lease's counter must have stood still if nobody says otherwise.
pub const LEASE: Duration = Duration::from_mins(1);

impl Locks {
    /// Opens the locks of a run folder. `lease` asks for leases; without it they are used where the file system has no locks
    /// that reach other machines.
    ///
    /// # Errors
    /// If the system refuses, or leases are asked for where others work with locks.
    pub fn open(run: &Path, lease: Option<Duration>) -> Result<Self, FileError> {
        let folder = run.join(FOLDER);
        files::make_folder(&folder)?;
        let path = folder.join("lease.json");
        let lease = match (files::read_optional::<LeaseInfo>(&path)?, lease) {
            (Some(known), _) => Some(Duration::from_secs_f64(known.seconds.clamp(0.1, 1e6))),
            (None, Some(asked)) => Some(asked),
            (None, None) if mounts::has_locks(&folder) && file::works(&folder)? => None,
            (None, None) => Some(LEASE),
        };
        let locks = Self { run: run.to_owned(), folder, lease, seen: RefCell::default() };
        if let Some(lease) = lease
            && !path.exists()
        {
            if file::is_worked_in(run) {
                return Err(FileError::Locked { folder: run.to_owned() });
            }
            files::write_json(&path, &LeaseInfo { format: FORMAT, seconds: lease.as_secs_f64() })?;
        }
        Ok(locks)
    }

    /// The time that a lease must have stood still, where leases are used.
    pub fn lease(&self) -> Option<Duration> {
        self.lease
    }

    /// Asks for the lock of a piece of work, without waiting.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn take(&self, name: &str) -> Result<Taken, FileError> {
        let Some(patience) = self.lease else {
            return Ok(match FileLock::take(&self.folder.join(format!("{name}.lock")))? {
                Ok(lock) => Taken::Lock(Lock { kind: Kind::File(lock), taken_over: None }),
                Err(holder) => Taken::Busy(holder),
            });
        };
        let mut seen = self.seen.borrow_mut();
        let seen = seen.entry(name.to_owned()).or_default();
        Ok(match Lease::take(&self.folder.join(format!("{name}.lease")), patience, seen)? {
            Ok((lease, taken_over)) => Taken::Lock(Lock { kind: Kind::Lease(lease), taken_over }),
            Err(holder) => Taken::Busy(holder),
        })
    }

    /// How long to wait before asking again.
    pub fn pause(&self) -> Duration {
        const BETWEEN: Duration = Duration::from_millis(100);
        self.lease
            .map_or(BETWEEN, |lease| (lease / 20).clamp(Duration::from_millis(20), Duration::from_secs(1)))
    }

    /// Says that a piece of work failed, and whether it would at every process. Whoever does it in the end takes this back by [`Locks::forget_failure`].
    ///
    /// # Errors
    /// If the system refuses.
    pub fn note_failure(&self, name: &str, reason: &str, is_final: bool) -> Result<(), FileError> {
        let (format, process, reason) = (FORMAT, Process::this(), reason.to_owned());
        let failure = Failure { format, process, reason, is_final };
        files::write_json(&self.folder.join(format!("{name}.failed.json")), &failure)
    }

    /// Takes back what [`Locks::note_failure`] said.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn forget_failure(&self, name: &str) -> Result<(), FileError> {
        files::remove_file(&self.folder.join(format!("{name}.failed.json")))
    }

    /// Who works on what, by the name of the work. A lease counts as held until its holder gives it back or another takes it
    /// over.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn holders(run: &Path) -> Result<BTreeMap<String, Option<Process>>, FileError> {
        let folder = run.join(FOLDER);
        let mut holders = BTreeMap::new();
        for path in files::list(&folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let holder = match name.rsplit_once('.') {
                Some((name, "lock")) => file::holder(&path).map(|holder| (name, holder)),
                Some((name, "lease")) => lease::holder(&path)?.map(|holder| (name, holder)),
                _ => None,
            };
            holders.extend(holder.map(|(name, holder)| (name.to_owned(), holder)));
        }
        Ok(holders)
    }

    /// Why a piece of work failed, if it did and was not done since.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn failure(run: &Path, name: &str) -> Result<Option<Failure>, FileError> {
        files::read_optional(&run.join(FOLDER).join(format!("{name}.failed.json")))
    }

    /// What failed and was not done since, by the name of the work.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn failures(run: &Path) -> Result<BTreeMap<String, Failure>, FileError> {
        let mut failures = BTreeMap::new();
        for path in files::list(&run.join(FOLDER))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".failed.json")
                && let Some(failure) = Self::failure(run, name)?
            {
                failures.insert(name.to_owned(), failure);
            }
        }
        Ok(failures)
    }

    /// Joins those who work in the folder. Only for the holder of the lock [`OPENING`]: so two who begin at once do not both
    /// think that they are alone.
    ///
    /// # Errors
    /// If a program that wants the folder for itself works there, or the system refuses.
    pub fn join(&self) -> Result<Presence, FileError> {
        if self.lease.is_some() {
            let is_alone = Self::holders(&self.run)?.keys().all(|name| name == OPENING);
            return Ok(Presence { _shared: None, is_alone });
        }
        let (shared, is_alone) = Shared::join(&self.run)?;
        Ok(Presence { _shared: Some(shared), is_alone })
    }
}

impl Lock {
    /// Checks that the lock is still ours: if the folder was moved, removed or replaced, or the lease was taken over, another
    /// process may do the work.
    ///
    /// # Errors
    /// If it is not.
    pub fn check(&self) -> Result<(), FileError> {
        match &self.kind {
            Kind::File(lock) => lock.check(),
            Kind::Lease(lease) => lease.check(),
        }
    }

    /// As [`Lock::check`], but looks only if this process was not heard of for long. For places that are passed often.
    ///
    /// # Errors
    /// As there.
    pub fn check_silence(&self) -> Result<(), FileError> {
        match &self.kind {
            Kind::File(_) => Ok(()),
            Kind::Lease(lease) => lease.check_silence(),
        }
    }

    /// The process whose lease had stood still, if this lock was taken over.
    pub fn taken_over(&self) -> Option<&Process> {
        self.taken_over.as_ref()
    }
}

/// What a lock's file says of its holder.
fn read_process(path: &Path) -> Option<Process> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(taken: Taken) -> Lock {
        match taken {
            Taken::Lock(lock) => lock,
            Taken::Busy(holder) => panic!("held by {holder:?}"),
        }
    }

    fn is_busy(locks: &Locks, name: &str) -> bool {
        matches!(locks.take(name).unwrap(), Taken::Busy(Some(process)) if process == Process::this())
    }

    #[test]
    fn a_lock_is_of_one_and_free_when_it_is_dropped() {
        for lease in [None, Some(Duration::from_mins(10))] {
            let dir = tempfile::tempdir().unwrap();
            let [ours, theirs] = [(); 2].map(|()| Locks::open(dir.path(), lease).unwrap());
            let lock = taken(ours.take("pre-1").unwrap());
            assert!(is_busy(&theirs, "pre-1") && is_busy(&ours, "pre-1"));
            lock.check().unwrap();
            let _other = taken(theirs.take("mid-2").unwrap());
            let held: Vec<String> = Locks::holders(dir.path()).unwrap().into_keys().collect();
            assert_eq!(held, ["mid-2", "pre-1"]);
            drop(lock);
            assert!(taken(theirs.take("pre-1").unwrap()).taken_over().is_none());
        }
    }

    #[test]
    fn the_first_to_use_leases_decides_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), None).unwrap();
        assert_eq!(locks.lease(), None);
        let held = locks.join().unwrap();
        let refused = Locks::open(dir.path(), Some(LEASE)).unwrap_err();
        assert!(matches!(refused, FileError::Locked { .. }), "{refused}");
        drop(held);
        Locks::open(dir.path(), Some(LEASE)).unwrap();
        assert_eq!(Locks::open(dir.path(), None).unwrap().lease(), Some(LEASE));
    }

    #[test]
    fn who_begins_knows_whether_others_are_there() {
        for lease in [None, Some(LEASE)] {
            let dir = tempfile::tempdir().unwrap();
            let locks = Locks::open(dir.path(), lease).unwrap();
            let opening = taken(locks.take(OPENING).unwrap());
            let first = locks.join().unwrap();
            drop(opening);
            assert!(first.is_alone);
            let working = taken(locks.take("pre").unwrap());
            assert!(!locks.join().unwrap().is_alone);
            drop((working, first));
            assert!(locks.join().unwrap().is_alone);
        }
        // A program that shares the folder with nobody.
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), None).unwrap();
        let alone = fs::File::create(dir.path().join(".lock")).unwrap();
        alone.lock().unwrap();
        assert!(matches!(locks.join(), Err(FileError::Locked { .. })));
    }

    #[test]
    fn a_failure_is_known_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), None).unwrap();
        locks.note_failure("rl-1", "it diverged", true).unwrap();
        let failures = Locks::failures(dir.path()).unwrap();
        assert_eq!(failures["rl-1"].reason, "it diverged");
        locks.forget_failure("rl-1").unwrap();
        assert!(Locks::failures(dir.path()).unwrap().is_empty());
    }

    /// In both ways of locking: who works at the old place must not end there.
    #[test]
    fn the_lock_of_a_folder_that_was_moved_is_no_lock() {
        for lease in [None, Some(Duration::from_mins(10))] {
            let dir = tempfile::tempdir().unwrap();
            let [run, moved] = ["run", "moved"].map(|name| dir.path().join(name));
            let lock = taken(Locks::open(&run, lease).unwrap().take("pre").unwrap());
            lock.check().unwrap();
            fs::rename(&run, &moved).unwrap();
            assert!(matches!(lock.check(), Err(FileError::Replaced { .. })));
            // Another process begins at the same path.
            let _other = taken(Locks::open(&run, None).unwrap().take("pre").unwrap());
            assert!(cfg!(not(unix)) || matches!(lock.check(), Err(FileError::Replaced { .. })));
        }
    }
}

//! The name of a process among those of several machines.

use std::{fmt, fs};

use serde::{Deserialize, Serialize};

/// A process on a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The machine's name.
    pub host: String,
    /// The process's number there.
    pub pid: u32,
}

impl Process {
    /// This process.
    pub fn this() -> Self {
        Self { host: host(), pid: std::process::id() }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// The name of this machine, for people: nothing is decided by it.
fn host() -> String {
    let file = ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter();
    let named = file.filter_map(|path| fs::read_to_string(path).ok());
    let told = ["HOSTNAME", "COMPUTERNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let mut names = named.chain(told).map(|name| name.trim().to_owned());
    names.find(|name| !name.is_empty()).unwrap_or_else(|| "this machine".to_owned())
}

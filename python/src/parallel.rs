//! Work on all cores. Results never depend on it.

use std::process;
use std::sync::OnceLock;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The threads, and the process that started them. A forked child, such as a worker of a `DataLoader`, inherits the
/// memory and not the threads: work that it handed to them would wait for ever.
static POOL: OnceLock<Option<(u32, ThreadPool)>> = OnceLock::new();

/// `f` of each number below `n`, in order.
pub(crate) fn map<R: Send>(n: usize, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let started = POOL.get_or_init(|| {
        let pool = ThreadPoolBuilder::new().thread_name(|i| format!("tercet {i}")).build();
        Some((process::id(), pool.ok()?))
    });
    match started {
        Some((owner, pool)) if *owner == process::id() => {
            pool.install(|| (0..n).into_par_iter().with_min_len(8).map(&f).collect())
        }
        _ => (0..n).map(f).collect(),
    }
}

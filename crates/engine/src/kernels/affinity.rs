//! Binding threads to processors.

/// Binds the calling thread to the `index`-th of the processors it may run on, counted round. Where the system has no
/// such thing, or refuses, nothing happens.
#[cfg(all(target_os = "linux", not(miri)))]
pub(crate) fn pin(index: usize) {
    use std::ffi::c_int;

    /// As many processors as the system's own type has room for.
    type Set = [u64; 16];
    unsafe extern "C" {
        fn sched_getaffinity(pid: c_int, size: usize, set: *mut Set) -> c_int;
        fn sched_setaffinity(pid: c_int, size: usize, set: *const Set) -> c_int;
    }
    let mut allowed: Set = [0; 16];
    // SAFETY: the call writes at most the size it is given; 0 is the calling thread.
    if unsafe { sched_getaffinity(0, size_of::<Set>(), &raw mut allowed) } != 0 {
        return;
    }
    let processors: Vec<usize> =
        (0..64 * allowed.len()).filter(|i| allowed[i / 64] >> (i % 64) & 1 == 1).collect();
    let Some(processor) = processors.get(index % processors.len().max(1)) else { return };
    let mut one: Set = [0; 16];
    one[processor / 64] = 1 << (processor % 64);
    // SAFETY: the call reads the size it is given. It may fail, which leaves the thread as it was.
    let _ = unsafe { sched_setaffinity(0, size_of::<Set>(), &raw const one) };
}

#[cfg(not(all(target_os = "linux", not(miri))))]
pub(crate) fn pin(_: usize) {}

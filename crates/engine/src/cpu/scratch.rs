//! Temporary arrays, kept per thread: a kernel that asks for the same sizes again gets the same memory.

use std::cell::RefCell;

use crate::kernels::floats::Floats;

/// Elements of a cache line.
const LINE: usize = 16;

thread_local! {
    static SHELF: RefCell<Vec<Floats>> = const { RefCell::new(Vec::new()) };
}

/// Lends arrays of the given lengths. Their content is arbitrary (but always finite or stale): the borrower
/// writes before it reads.
pub(crate) fn with<const N: usize, R>(lengths: [usize; N], work: impl FnOnce([&mut [f32]; N]) -> R) -> R {
    let mut storage = SHELF.with_borrow_mut(Vec::pop).unwrap_or_default();
    // Each array starts on its own cache line.
    let padded = lengths.map(|len| len.next_multiple_of(LINE));
    let total: usize = padded.iter().sum();
    let mut rest = storage.sized(total);
    let arrays = std::array::from_fn(|i| {
        let (array, tail) = std::mem::take(&mut rest).split_at_mut(padded[i]);
        rest = tail;
        &mut array[..lengths[i]]
    });
    let result = work(arrays);
    SHELF.with_borrow_mut(|shelf| shelf.push(storage));
    result
}

//! Arrays of f32 that begin on a cache line, and ask for large pages where they are large.
//!
//! A vector that crosses from one cache line to the next costs two accesses. Activations and weights are read
//! from end to end again and again, and with pages of 4 KiB every one of them must be looked up anew.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a large page; arrays of one or more begin on one.
const PAGE: usize = 2 << 20;
/// Bytes of a cache line.
const LINE: usize = 64;

/// A growing array of f32.
pub(crate) struct Floats {
    ptr: NonNull<f32>,
    len: usize,
    capacity: usize,
}

// SAFETY: a `Floats` owns its elements, like a `Vec<f32>`.
unsafe impl Send for Floats {}
// SAFETY: as above: shared access only reads.
unsafe impl Sync for Floats {}

impl Floats {
    pub(crate) const fn new() -> Floats {
        Floats { ptr: NonNull::dangling(), len: 0, capacity: 0 }
    }

    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Floats {
        let mut floats = Floats::new();
        floats.resize(len);
        floats
    }

    /// Cuts off what is beyond `len` or adds zeros up to there.
    pub(crate) fn resize(&mut self, len: usize) {
        if len > self.capacity {
            let (ptr, capacity) = allocate(len);
            // SAFETY: both arrays hold at least `self.len` elements and are different allocations.
            unsafe { ptr.copy_from_nonoverlapping(self.ptr, self.len) };
            let old = std::mem::replace(self, Floats { ptr, len: self.len, capacity });
            drop(old);
        }
        if len > self.len {
            // SAFETY: elements up to `len` lie within the capacity, and all bits 0 is the number 0.
            unsafe { self.ptr.add(self.len).write_bytes(0, len - self.len) };
        }
        self.len = len;
    }

    /// Makes room for `len` elements and lends them; they hold whatever was there before, or zeros.
    pub(crate) fn sized(&mut self, len: usize) -> &mut [f32] {
        if self.len < len {
            self.resize(len);
        }
        &mut self[..len]
    }
}

fn layout(capacity: usize) -> Layout {
    let bytes = capacity * size_of::<f32>();
    let align = if bytes >= PAGE { PAGE } else { LINE };
    Layout::from_size_align(bytes, align).expect("a model's arrays are far below the largest possible size")
}

/// Memory for at least `len` > 0 elements, and for how many.
#[expect(clippy::cast_ptr_alignment, reason = "the layout begins on a cache line at least")]
fn allocate(len: usize) -> (NonNull<f32>, usize) {
    let capacity = len.next_multiple_of(LINE / size_of::<f32>());
    let layout = layout(capacity);
    // SAFETY: the layout is not empty.
    let ptr = unsafe { alloc(layout) };
    let Some(ptr) = NonNull::new(ptr.cast::<f32>()) else { handle_alloc_error(layout) };
    large_pages(ptr, layout.size());
    (ptr, capacity)
}

/// Asks the system for large pages as far as they are filled; whether it has any does not matter.
#[cfg(all(target_os = "linux", not(miri)))]
fn large_pages(ptr: NonNull<f32>, bytes: usize) {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        fn madvise(addr: *mut c_void, length: usize, advice: c_int) -> c_int;
    }
    const HUGEPAGE: c_int = 14;
    if bytes >= PAGE {
        // SAFETY: advice on pages that are wholly ours; it changes nothing that can be read.
        let _ = unsafe { madvise(ptr.as_ptr().cast(), bytes / PAGE * PAGE, HUGEPAGE) };
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
fn large_pages(_: NonNull<f32>, _: usize) {}

impl Drop for Floats {
    fn drop(&mut self) {
        if self.capacity > 0 {
            // SAFETY: allocated with this very layout.
            unsafe { dealloc(self.ptr.as_ptr().cast(), layout(self.capacity)) };
        }
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `len` elements are initialised and ours; without any, the pointer is not read.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; the only handle is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl Default for Floats {
    fn default() -> Floats {
        Floats::new()
    }
}

impl From<&[f32]> for Floats {
    fn from(values: &[f32]) -> Floats {
        let mut floats = Floats::zeros(values.len());
        floats.copy_from_slice(values);
        floats
    }
}

impl std::fmt::Debug for Floats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Floats({})", self.len)
    }
}

//! Views of row-major matrices that can be cut into disjoint blocks and sent to threads.

use std::marker::PhantomData;
use std::ops::Range;

/// A writable block of a row-major matrix: `rows` × `cols` with `ld` elements from row to row.
/// Blocks cut from one matrix never overlap, so they may be written from different threads.
pub(crate) struct MatMut<'a> {
    ptr: *mut f32,
    rows: usize,
    cols: usize,
    ld: usize,
    life: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `MatMut` is the only handle to its elements for `'a`, like the `&mut [f32]` it came from.
unsafe impl Send for MatMut<'_> {}

impl<'a> MatMut<'a> {
    /// The first `rows` × `cols` elements of `data` with `ld` elements from row to row.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, cols: usize, ld: usize) -> MatMut<'a> {
        assert!(cols <= ld, "a row is longer than the distance between rows");
        assert!(rows == 0 || (rows - 1) * ld + cols <= data.len(), "the matrix is larger than its storage");
        MatMut { ptr: data.as_mut_ptr(), rows, cols, ld, life: PhantomData }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn ld(&self) -> usize {
        self.ld
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.ptr
    }

    /// Part of this block.
    pub(crate) fn block(&mut self, rows: Range<usize>, cols: Range<usize>) -> MatMut<'_> {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows out of range");
        assert!(cols.start <= cols.end && cols.end <= self.cols, "columns out of range");
        // SAFETY: the offset stays within the block, or is where an empty one would begin.
        let ptr =
            unsafe { self.ptr.add(if rows.is_empty() { 0 } else { rows.start * self.ld + cols.start }) };
        MatMut { ptr, rows: rows.len(), cols: cols.len(), ld: self.ld, life: PhantomData }
    }

    /// All elements of a block without gaps between its rows.
    pub(crate) fn as_slice(&self) -> &[f32] {
        assert!(self.cols == self.ld, "the rows have gaps");
        // SAFETY: without gaps the rows are one run of elements, all of this view.
        unsafe { std::slice::from_raw_parts(self.ptr, self.rows * self.cols) }
    }

    /// One row.
    pub(crate) fn row(&mut self, r: usize) -> &mut [f32] {
        assert!(r < self.rows, "row out of range");
        // SAFETY: row `r` lies within the storage this view was made from and belongs to it alone.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(r * self.ld), self.cols) }
    }

    /// Cuts into the rows before `at` and the rest.
    pub(crate) fn split_rows(self, at: usize) -> (MatMut<'a>, MatMut<'a>) {
        assert!(at <= self.rows, "rows out of range");
        // SAFETY: an empty second part gets the start pointer, which is never read; else row `at` exists.
        let ptr = unsafe { self.ptr.add(if at == self.rows { 0 } else { at * self.ld }) };
        (MatMut { rows: at, ..self }, MatMut { ptr, rows: self.rows - at, ..self })
    }

    /// Cuts into the columns before `at` and the rest.
    pub(crate) fn split_cols(self, at: usize) -> (MatMut<'a>, MatMut<'a>) {
        assert!(at <= self.cols, "columns out of range");
        // SAFETY: as in `split_rows`, along the other axis.
        let ptr = unsafe { self.ptr.add(if at == self.cols || self.rows == 0 { 0 } else { at }) };
        (MatMut { cols: at, ..self }, MatMut { ptr, cols: self.cols - at, ..self })
    }

    /// Cuts into blocks of the given row ranges' lengths and equal column counts: row-major list.
    pub(crate) fn grid(
        self,
        row_counts: impl IntoIterator<Item = usize>,
        cols_each: usize,
    ) -> Vec<MatMut<'a>> {
        let mut blocks = Vec::new();
        let mut rest = self;
        for count in row_counts {
            let (mut band, below) = rest.split_rows(count);
            while band.cols > cols_each {
                let (left, right) = band.split_cols(cols_each);
                blocks.push(left);
                band = right;
            }
            blocks.push(band);
            rest = below;
        }
        blocks
    }
}

//! Matrix product C = A·B, the one kernel behind every linear layer and attention.
//!
//! B is packed in panels of [`NR`] columns (`panel[k][NR]`, zero-padded). A may have any strides, so the
//! forms X·Wᵀ, dY·W and dYᵀ·X are the same kernel on different views. Each element of C is one chain of
//! fused multiply-adds over k from 0 up: its bits do not depend on the tile or on the instruction set.

use super::Isa;
use super::floats::Floats;
use super::matrix::MatMut;

/// Columns in a panel of B.
pub(crate) const NR: usize = 32;
/// Rows of C in a register tile (AVX-512).
pub(crate) const MR: usize = 14;
/// Elements of a cache line.
const LINE: usize = 16;

/// The left factor: element (i, k) is `data[i * rs + k * cs]`.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rs: usize,
    pub(crate) cs: usize,
}

impl<'a> Left<'a> {
    /// A row-major matrix with `rs` elements from row to row.
    pub(crate) fn rows(data: &'a [f32], rs: usize) -> Left<'a> {
        Left { data, rs, cs: 1 }
    }

    /// The transpose of a row-major matrix with `cs` elements from row to row.
    pub(crate) fn columns(data: &'a [f32], cs: usize) -> Left<'a> {
        Left { data, rs: 1, cs }
    }
}

/// Rows of C in a register tile.
fn tile_rows(isa: Isa) -> usize {
    if isa == Isa::Avx2 { 6 } else { MR }
}

/// The right factor, in panels of [`NR`] columns: element (k, n) is `data[(n / NR) * stride + k * rs + n % NR]`.
/// Whole panels are read; what lies beyond the last column does not matter.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) data: &'a [f32],
    /// From panel to panel.
    pub(crate) stride: usize,
    /// From row to row: [`NR`] if packed.
    pub(crate) rs: usize,
    /// What will be read after this product: brought into cache meanwhile.
    pub(crate) next: &'a [f32],
}

impl<'a> Right<'a> {
    /// Packed panels of `rows` rows each, of which a product may use fewer.
    pub(crate) fn packed(data: &'a [f32], rows: usize) -> Right<'a> {
        Right { data, stride: NR * rows, rs: NR, next: &[] }
    }

    /// As it is, and `next` is what will be read afterwards.
    pub(crate) fn before(self, next: &'a [f32]) -> Right<'a> {
        Right { next, ..self }
    }

    /// A row-major matrix with `rs` elements from row to row; rows are padded to whole panels.
    pub(crate) fn rows(data: &'a [f32], rs: usize) -> Right<'a> {
        Right { data, stride: NR, rs, next: &[] }
    }
}

/// What becomes of the old content of C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// C = A·B.
    Store,
    /// C = C + A·B: the product is summed first.
    Add,
    /// The chain of additions goes on from C: two calls over two halves of k equal one over both.
    Chain,
}

/// Elements of A that a product over panels keeps in cache: half of the second level.
const CACHED: usize = 1 << 18;
/// Longest part of the inner axis where A does not fit there.
const K_BLOCK: usize = 1024;
/// Register tiles down a block of C where A is read by columns: their part of A stays in the first level of cache.
const BLOCK_TILES: usize = 3;

/// C = A·B (+ bias on every row) for the `k`-long inner axis; the shape is C's.
#[expect(
    clippy::too_many_arguments,
    reason = "one entry for every product: two factors, their inner length, and what is done with the result"
)]
pub(crate) fn gemm(
    isa: Isa,
    a: Left<'_>,
    b: Right<'_>,
    k: usize,
    c: &mut MatMut<'_>,
    bias: Option<&[f32]>,
    write: Write,
) {
    let (m, n) = (c.rows(), c.cols());
    if m == 0 || n == 0 {
        return;
    }
    if k > 0 {
        assert!((m - 1) * a.rs + (k - 1) * a.cs < a.data.len(), "A is too short");
        assert!((n - 1) / NR * b.stride + (k - 1) * b.rs + NR <= b.data.len(), "B is too short");
    }
    assert!(bias.is_none_or(|bias| bias.len() >= n), "the bias is too short");
    let high = if a.cs == 1 { m } else { BLOCK_TILES * tile_rows(isa) };
    // Where the sum is added to C at its end, a chain cannot be broken.
    let deep = if m * k <= CACHED || write == Write::Add { k.max(1) } else { K_BLOCK };
    for first in (0..k.max(1)).step_by(deep) {
        let end = (first + deep).min(k);
        let part = Product {
            isa,
            k: end - first,
            b: Right {
                data: b.data.get(first * b.rs..).unwrap_or_default(),
                next: if end == k { b.next } else { &[] },
                ..b
            },
            bias: bias.filter(|_| end == k),
            write: if first == 0 { write } else { Write::Chain },
        };
        for row in (0..m).step_by(high) {
            let a = Left { data: &a.data[(row * a.rs + first * a.cs).min(a.data.len())..], ..a };
            part.panels(a, &mut c.block(row..(row + high).min(m), 0..n));
        }
    }
}

/// A part of a product along the inner axis.
struct Product<'a> {
    isa: Isa,
    k: usize,
    b: Right<'a>,
    bias: Option<&'a [f32]>,
    write: Write,
}

impl Product<'_> {
    /// Some rows of C, panel after panel of B.
    fn panels(&self, a: Left<'_>, c: &mut MatMut<'_>) {
        let (m, n, k, b) = (c.rows(), c.cols(), self.k, &self.b);
        let tile_rows = tile_rows(self.isa);
        let panels = n.div_ceil(NR);
        for panel in 0..panels {
            let width = NR.min(n - panel * NR);
            let next = if panel + 1 == panels {
                b.next
            } else if b.rs == NR {
                b.data.get((panel + 1) * b.stride..).and_then(|data| data.get(..k * NR)).unwrap_or_default()
            } else {
                &[]
            };
            // Every step of every tile brings in so many cache lines of it, until all are there: what the processor
            // fetches by itself comes late where a panel is used by a few rows only.
            let lines = next.len().div_ceil(LINE * k.max(1) * m.div_ceil(tile_rows));
            for (t, row) in (0..m).step_by(tile_rows).enumerate() {
                let rows = tile_rows.min(m - row);
                let next = next.get(t * lines * k * LINE..).unwrap_or_default();
                let tile = Tile {
                    rows,
                    k,
                    next,
                    lines: if next.is_empty() { 0 } else { lines },
                    a: Left { data: &a.data[(row * a.rs).min(a.data.len())..], ..a },
                    b: &b.data[(panel * b.stride).min(b.data.len())..],
                    b_rs: b.rs,
                    bias: self.bias.map(|bias| &bias[panel * NR..][..width]),
                    write: self.write,
                };
                tile.run(self.isa, &mut c.block(row..row + rows, panel * NR..panel * NR + width));
            }
        }
    }
}

/// One register tile: up to `MR` rows, up to `NR` columns.
struct Tile<'a> {
    rows: usize,
    k: usize,
    /// To be brought into cache, so many lines with each step over k.
    next: &'a [f32],
    lines: usize,
    a: Left<'a>,
    b: &'a [f32],
    b_rs: usize,
    bias: Option<&'a [f32]>,
    write: Write,
}

impl Tile<'_> {
    fn run(&self, isa: Isa, c: &mut MatMut<'_>) {
        match isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Isa::Avx512` exists only where the processor has it; `gemm` checked the bounds.
            Isa::Avx512 => unsafe { self.avx512(c) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Isa::Avx2` exists only where the processor has it; `gemm` checked the bounds.
            Isa::Avx2 => unsafe { self.avx2(c) },
            _ => self.scalar(c),
        }
    }

    /// The definition: what the vector kernels must equal bit for bit.
    fn scalar(&self, c: &mut MatMut<'_>) {
        for i in 0..self.rows {
            for (j, c) in c.row(i).iter_mut().enumerate() {
                let mut sum = if self.write == Write::Chain { *c } else { 0.0 };
                for k in 0..self.k {
                    sum = self.a.data[i * self.a.rs + k * self.a.cs].mul_add(self.b[k * self.b_rs + j], sum);
                }
                if let Some(bias) = self.bias {
                    sum += bias[j];
                }
                *c = if self.write == Write::Add { *c + sum } else { sum };
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn avx512(&self, c: &mut MatMut<'_>) {
        macro_rules! by_rows {
            ($($m:literal)*) => {
                match self.rows {
                    // SAFETY: same processor features; the bounds were checked in `gemm`.
                    $($m => unsafe { x86::tile_512::<$m>(self, c) },)*
                    _ => unreachable!("a tile has 1 to {MR} rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(&self, c: &mut MatMut<'_>) {
        macro_rules! by_rows {
            ($($m:literal)*) => {
                match self.rows {
                    // SAFETY: same processor features; the bounds were checked in `gemm`.
                    $($m => unsafe { x86::tile_256::<$m>(self, c) },)*
                    _ => unreachable!("a tile has 1 to 6 rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, __mmask16, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    };

    use super::{LINE, MatMut, NR, Tile, Write};

    /// # Safety
    /// A holds `M` × `t.k` elements at its strides, B `t.k` rows of `NR` elements, `t.b_rs` apart.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn tile_512<const M: usize>(t: &Tile<'_>, c: &mut MatMut<'_>) {
        let (width, ld) = (c.cols(), c.ld());
        let c = c.as_mut_ptr();
        let low: __mmask16 = if width >= 16 { 0xffff } else { (1 << width) - 1 };
        let high: __mmask16 = if width >= NR {
            0xffff
        } else if width > 16 {
            (1 << (width - 16)) - 1
        } else {
            0
        };
        // SAFETY: masked lanes are never touched, so each access stays in row i < M of C, `width` wide;
        // A and B reach as far as the caller promised.
        unsafe {
            let mut acc: [[__m512; 2]; M] = [[_mm512_setzero_ps(); 2]; M];
            if t.write == Write::Chain {
                for i in 0..M {
                    acc[i][0] = _mm512_maskz_loadu_ps(low, c.add(i * ld));
                    acc[i][1] = _mm512_maskz_loadu_ps(high, c.wrapping_add(i * ld + 16));
                }
            }
            if t.write == Write::Add {
                // Read only at the end: until then it can come from afar.
                for i in 0..M {
                    _mm_prefetch::<_MM_HINT_T0>(c.add(i * ld).cast());
                    _mm_prefetch::<_MM_HINT_T0>(c.wrapping_add(i * ld + 16).cast());
                }
            }
            let mut b = t.b.as_ptr();
            let mut a = t.a.data.as_ptr();
            let mut next = t.next.as_ptr();
            let (rs, cs) = (t.a.rs, t.a.cs);
            for _ in 0..t.k {
                for _ in 0..t.lines {
                    _mm_prefetch::<_MM_HINT_T1>(next.cast());
                    next = next.wrapping_add(LINE);
                }
                let b0 = _mm512_loadu_ps(b);
                let b1 = _mm512_loadu_ps(b.add(16));
                for i in 0..M {
                    let x = _mm512_set1_ps(*a.add(i * rs));
                    acc[i][0] = _mm512_fmadd_ps(x, b0, acc[i][0]);
                    acc[i][1] = _mm512_fmadd_ps(x, b1, acc[i][1]);
                }
                b = b.wrapping_add(t.b_rs);
                a = a.wrapping_add(cs);
            }
            if let Some(bias) = t.bias {
                let b0 = _mm512_maskz_loadu_ps(low, bias.as_ptr());
                let b1 = _mm512_maskz_loadu_ps(high, bias.as_ptr().wrapping_add(16));
                for i in 0..M {
                    acc[i][0] = _mm512_add_ps(acc[i][0], b0);
                    acc[i][1] = _mm512_add_ps(acc[i][1], b1);
                }
            }
            for i in 0..M {
                let (p0, p1) = (c.add(i * ld), c.wrapping_add(i * ld + 16));
                if t.write == Write::Add {
                    acc[i][0] = _mm512_add_ps(_mm512_maskz_loadu_ps(low, p0), acc[i][0]);
                    acc[i][1] = _mm512_add_ps(_mm512_maskz_loadu_ps(high, p1), acc[i][1]);
                }
                _mm512_mask_storeu_ps(p0, low, acc[i][0]);
                _mm512_mask_storeu_ps(p1, high, acc[i][1]);
            }
        }
    }

    /// Strips of 16 columns, or of all 32 for few rows, which have too few chains of additions to fill the units
    /// otherwise. A narrower rest goes through a full strip on the stack.
    ///
    /// # Safety
    /// As [`tile_512`].
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn tile_256<const M: usize>(t: &Tile<'_>, c: &mut MatMut<'_>) {
        let width = c.cols();
        let strip = if M <= 3 && width > 16 { 32 } else { 16 };
        for first in (0..width).step_by(strip) {
            let n = strip.min(width - first);
            let bias = t.bias.map(|bias| &bias[first..]);
            if n == strip {
                let ld = c.ld();
                // SAFETY: the strip is within C, and the bias as long as C is wide.
                unsafe { strip_256::<M>(t, first, strip, c.as_mut_ptr().add(first), ld, bias) };
                continue;
            }
            let mut block = [[0.0_f32; 32]; M];
            if t.write != Write::Store {
                for i in 0..M {
                    block[i][..n].copy_from_slice(&c.row(i)[first..][..n]);
                }
            }
            let mut wide = [0.0_f32; 32];
            if let Some(bias) = bias {
                wide[..n].copy_from_slice(&bias[..n]);
            }
            let bias = bias.map(|_| &wide[..]);
            // SAFETY: both are local arrays as wide as the widest strip.
            unsafe { strip_256::<M>(t, first, strip, block.as_mut_ptr().cast(), 32, bias) };
            for i in 0..M {
                c.row(i)[first..][..n].copy_from_slice(&block[i][..n]);
            }
        }
    }

    /// # Safety
    /// As [`chains_256`], for `strip` columns, 16 or (up to three rows) 32.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn strip_256<const M: usize>(
        t: &Tile<'_>,
        first: usize,
        strip: usize,
        c: *mut f32,
        ld: usize,
        bias: Option<&[f32]>,
    ) {
        // SAFETY: as promised by the caller.
        unsafe {
            if M <= 3 && strip == 32 {
                chains_256::<M, 4>(t, first, c, ld, bias);
            } else {
                chains_256::<M, 2>(t, first, c, ld, bias);
            }
        }
    }

    /// `M` rows of `V` vectors of columns of the panel, from column `first` on.
    ///
    /// # Safety
    /// A and B as in [`tile_512`]; `c` has `M` rows of 8·`V` elements, `ld` apart, `bias` as many.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn chains_256<const M: usize, const V: usize>(
        t: &Tile<'_>,
        first: usize,
        c: *mut f32,
        ld: usize,
        bias: Option<&[f32]>,
    ) {
        // SAFETY: every access is to one of the arrays that the caller promised; prefetching touches nothing.
        unsafe {
            let mut acc: [[__m256; V]; M] = [[_mm256_setzero_ps(); V]; M];
            if t.write == Write::Chain {
                for i in 0..M {
                    for v in 0..V {
                        acc[i][v] = _mm256_loadu_ps(c.add(i * ld + 8 * v));
                    }
                }
            }
            let mut b = t.b.as_ptr().add(first);
            let mut a = t.a.data.as_ptr();
            let mut next = t.next.as_ptr();
            let lines = if first == 0 { t.lines } else { 0 };
            let (rs, cs) = (t.a.rs, t.a.cs);
            for _ in 0..t.k {
                for _ in 0..lines {
                    _mm_prefetch::<_MM_HINT_T1>(next.cast());
                    next = next.wrapping_add(LINE);
                }
                let mut columns = [_mm256_setzero_ps(); V];
                for v in 0..V {
                    columns[v] = _mm256_loadu_ps(b.add(8 * v));
                }
                for i in 0..M {
                    let x = _mm256_set1_ps(*a.add(i * rs));
                    for v in 0..V {
                        acc[i][v] = _mm256_fmadd_ps(x, columns[v], acc[i][v]);
                    }
                }
                b = b.wrapping_add(t.b_rs);
                a = a.wrapping_add(cs);
            }
            for i in 0..M {
                for v in 0..V {
                    let to = c.add(i * ld + 8 * v);
                    let mut sum = acc[i][v];
                    if let Some(bias) = bias {
                        sum = _mm256_add_ps(sum, _mm256_loadu_ps(bias.as_ptr().add(8 * v)));
                    }
                    if t.write == Write::Add {
                        sum = _mm256_add_ps(_mm256_loadu_ps(to), sum);
                    }
                    _mm256_storeu_ps(to, sum);
                }
            }
        }
    }
}

/// Packs B = Wᵀ for a row-major W [n, k]: panels for X·Wᵀ.
pub(crate) fn pack_transposed(w: &[f32], n: usize, k: usize, ld: usize, panels: &mut Floats) {
    panels.resize(n.div_ceil(NR) * NR * k);
    for (p, panel) in panels.chunks_exact_mut(NR * k).enumerate() {
        let width = NR.min(n - p * NR);
        let mut rows: [&[f32]; NR] = [&[]; NR];
        for (j, row) in rows[..width].iter_mut().enumerate() {
            *row = &w[(p * NR + j) * ld..][..k];
        }
        for (i, slot) in panel.as_chunks_mut::<NR>().0.iter_mut().enumerate() {
            for (slot, row) in slot.iter_mut().zip(rows) {
                *slot = row.get(i).copied().unwrap_or(0.0);
            }
        }
    }
}

/// Packs B = W for a row-major W [k, n]: panels for dY·W.
pub(crate) fn pack_rows(w: &[f32], k: usize, n: usize, ld: usize, panels: &mut Floats) {
    panels.resize(n.div_ceil(NR) * NR * k);
    for (p, panel) in panels.chunks_exact_mut(NR * k).enumerate() {
        pack_panel(w, n, ld, p, panel);
    }
}

/// One panel of [`pack_rows`], the `p`-th.
pub(crate) fn pack_panel(w: &[f32], n: usize, ld: usize, p: usize, panel: &mut [f32]) {
    let width = NR.min(n - p * NR);
    for (r, slot) in panel.as_chunks_mut::<NR>().0.iter_mut().enumerate() {
        let row = &w[r * ld + p * NR..];
        if let Some(whole) = row.first_chunk::<NR>().filter(|_| width == NR) {
            *slot = *whole;
        } else {
            slot[..width].copy_from_slice(&row[..width]);
            slot[width..].fill(0.0);
        }
    }
}

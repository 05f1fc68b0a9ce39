//! The key/value cache: pages of [`NR`] positions for all layers, allocated once. Keys lie transposed and
//! values by position, each as the panels attention multiplies with.

use crate::cpu::attention::Heads;
use crate::kernels::floats::Floats;
use crate::kernels::gemm::NR;

/// The pages of one worker.
pub(crate) struct Pages {
    heads: Heads,
    layers: usize,
    data: Floats,
    /// Users of each page: the prompt's pages are shared by the samples of a group.
    users: Vec<u32>,
    free: Vec<u32>,
}

impl Pages {
    /// A cache of `count` pages.
    pub(crate) fn new(heads: Heads, layers: usize, count: usize) -> Pages {
        let mut pages = Pages { heads, layers, data: Floats::new(), users: vec![0; count], free: Vec::new() };
        pages.data = Floats::zeros(count * pages.page_len());
        pages.free = (0..count as u32).rev().collect();
        pages
    }

    /// Width of a value row, padded to whole panels.
    pub(crate) fn value_width(&self) -> usize {
        self.heads.dim.next_multiple_of(NR)
    }

    fn block_len(&self) -> usize {
        NR * (self.heads.dim + self.value_width())
    }

    /// Elements of a page.
    pub(crate) fn page_len(&self) -> usize {
        self.layers * self.heads.kv * self.block_len()
    }

    fn at(&self, page: u32, layer: usize, kv: usize) -> usize {
        page as usize * self.page_len() + (layer * self.heads.kv + kv) * self.block_len()
    }

    /// Takes a free page. The caller sized the cache for all its sequences.
    pub(crate) fn take(&mut self) -> u32 {
        let page = self.free.pop().expect("the cache is sized for every slot at full length");
        self.users[page as usize] = 1;
        page
    }

    /// One more user of a page.
    pub(crate) fn share(&mut self, page: u32) {
        self.users[page as usize] += 1;
    }

    /// One user fewer; the last one frees the page.
    pub(crate) fn release(&mut self, page: u32) {
        self.users[page as usize] -= 1;
        if self.users[page as usize] == 0 {
            self.free.push(page);
        }
    }

    /// Copies all of `from` to `to`.
    pub(crate) fn copy(&mut self, from: u32, to: u32) {
        let len = self.page_len();
        let from = from as usize * len;
        self.data.copy_within(from..from + len, to as usize * len);
    }

    /// Stores one token's key and value heads (from its row of queries, keys and values).
    pub(crate) fn store(&mut self, page: u32, layer: usize, slot: usize, qkv: &[f32]) {
        let d = self.heads.dim;
        let (heads, value_width) = (self.heads, self.value_width());
        for kv in 0..heads.kv {
            let at = self.at(page, layer, kv);
            let block = &mut self.data[at..][..NR * (d + value_width)];
            let (keys, values) = block.split_at_mut(NR * d);
            for (i, k) in qkv[heads.key(kv)..][..d].iter().enumerate() {
                keys[i * NR + slot] = *k;
            }
            for (i, v) in qkv[heads.value(kv)..][..d].iter().enumerate() {
                values[i / NR * NR * NR + slot * NR + i % NR] = *v;
            }
        }
    }

    /// Keys and values of one page as panels: keys `[d][NR]`, values `[panel][NR positions][NR]`.
    pub(crate) fn panels(&self, page: u32, layer: usize, kv: usize) -> (&[f32], &[f32]) {
        let at = self.at(page, layer, kv);
        self.data[at..][..self.block_len()].split_at(NR * self.heads.dim)
    }
}

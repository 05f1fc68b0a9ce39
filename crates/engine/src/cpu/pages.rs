//! The key/value cache: pages of [`NR`] positions for all layers, in memory that a thread keeps. Keys lie transposed
//! and values by position, each as the panels attention multiplies with. What lies behind a sequence's last position
//! is arbitrary and never counts.

use crate::cpu::attention::Heads;
use crate::kernels::gemm::NR;

/// Elements of one layer's keys and values for one head: values are padded to whole panels.
fn block_len(heads: Heads) -> usize {
    NR * (heads.dim + heads.dim.next_multiple_of(NR))
}

/// Elements of a page.
pub(crate) fn page_len(heads: Heads, layers: usize) -> usize {
    layers * heads.kv * block_len(heads)
}

/// The pages of one worker.
pub(crate) struct Pages<'a> {
    heads: Heads,
    layers: usize,
    data: &'a mut [f32],
    /// Users of each page: the prompt's pages are shared by the samples of a group.
    users: Vec<u32>,
    free: Vec<u32>,
}

impl<'a> Pages<'a> {
    /// A cache of as many pages as fit into `data`.
    pub(crate) fn new(heads: Heads, layers: usize, data: &'a mut [f32]) -> Pages<'a> {
        let count = data.len() / page_len(heads, layers);
        Pages { heads, layers, data, users: vec![0; count], free: (0..count as u32).rev().collect() }
    }

    fn at(&self, page: u32, layer: usize, kv: usize) -> usize {
        let block = layer * self.heads.kv + kv;
        page as usize * page_len(self.heads, self.layers) + block * block_len(self.heads)
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
        let len = page_len(self.heads, self.layers);
        let from = from as usize * len;
        self.data.copy_within(from..from + len, to as usize * len);
    }

    /// Stores one token's key and value heads (from its row of queries, keys and values).
    pub(crate) fn store(&mut self, page: u32, layer: usize, slot: usize, qkv: &[f32]) {
        let d = self.heads.dim;
        let heads = self.heads;
        for kv in 0..heads.kv {
            let at = self.at(page, layer, kv);
            let block = &mut self.data[at..][..block_len(heads)];
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
        self.data[at..][..block_len(self.heads)].split_at(NR * self.heads.dim)
    }
}

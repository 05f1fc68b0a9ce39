//! Sampling: each worker thread runs its own sequences through the whole model, a token of each at a time,
//! and takes the next waiting one when a sequence ends. Rows do not depend on each other, so which worker
//! got a sequence, and in which company, shows nowhere.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use learner::{Prompt, Sample, Sampling, StopReason};

use crate::cpu::attention::{self, Heads};
use crate::cpu::decode::{Decode, Job, Slot};
use crate::cpu::layer::{self, LayerView};
use crate::cpu::pages::{Pages, page_len};
use crate::cpu::{Cpu, heads, scratch};
use crate::device::Weights;
use crate::draw;
use crate::kernels::gemm::{MR, NR};
use crate::kernels::matrix::MatMut;

/// Most sequences a worker runs at once: enough rows to keep the matrix products at full speed.
const SLOTS: usize = 16 * MR;

/// Most elements of all workers' caches together (1 GiB).
const CACHE_MAX: usize = 1 << 28;
/// Most samples of one prompt whose attention over the prompt is done together.
const GROUP: usize = 4 * MR;

/// Samples not yet begun, in order.
struct Queue<'a> {
    prompts: &'a [Prompt],
    next: Job,
}

impl Iterator for Queue<'_> {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        while let Some(prompt) = self.prompts.get(self.next.0) {
            if self.next.1 < prompt.n {
                self.next.1 += 1;
                return Some((self.next.0, self.next.1 - 1));
            }
            self.next = (self.next.0 + 1, 0);
        }
        None
    }
}

/// Longest sequence these prompts can grow to.
fn reach(w: &Weights<'_, Cpu>, prompts: &[Prompt], sampling: &Sampling) -> usize {
    let longest = prompts.iter().map(|p| p.tokens.len()).max().unwrap_or(0);
    w.layout.config.context.min(longest.saturating_add(sampling.max_tokens as usize))
}

/// How many sequences of full length fit the memory set aside for the caches.
fn fitting(w: &Weights<'_, Cpu>, prompts: &[Prompt], sampling: &Sampling) -> usize {
    let page = page_len(heads(w.layout), w.layout.config.layers);
    CACHE_MAX / (page * reach(w, prompts, sampling).div_ceil(NR)).max(1)
}

/// Elements of a worker's cache: every slot at full length, and besides a prompt's pages as long as samples of it may
/// follow, or its last one, which a sample copies.
fn cache_len(w: &Weights<'_, Cpu>, prompts: &[Prompt], sampling: &Sampling, slots: usize) -> usize {
    let besides = |p: &Prompt| {
        let len = p.tokens.len();
        if p.n > 1 { len.div_ceil(NR) } else { usize::from(!len.is_multiple_of(NR)) }
    };
    let besides = prompts.iter().map(besides).max().unwrap_or(0);
    let count = slots * reach(w, prompts, sampling).div_ceil(NR) + besides;
    count * page_len(heads(w.layout), w.layout.config.layers)
}

impl Cpu {
    /// Draws all samples of all prompts; the prompts are checked.
    pub(crate) fn sample(
        &self,
        w: &Weights<'_, Cpu>,
        prompts: &[Prompt],
        sampling: &Sampling,
        progress: &mut dyn FnMut(usize),
    ) -> Vec<Vec<Sample>> {
        let total: usize = prompts.iter().map(|p| p.n as usize).sum();
        let workers = self.pool.current_num_threads().min(total).max(1);
        let slots =
            total.div_ceil(workers).clamp(1, SLOTS).min(fitting(w, prompts, sampling) / workers).max(1);
        let queue = Mutex::new(Queue { prompts, next: (0, 0) });
        let mut results: Vec<Vec<Option<Sample>>> =
            prompts.iter().map(|p| vec![None; p.n as usize]).collect();
        let (sender, receiver) = channel();
        self.pool.in_place_scope(|scope| {
            for _ in 0..workers {
                let (sender, queue) = (sender.clone(), &queue);
                scope.spawn(move |_| {
                    let len = cache_len(w, prompts, sampling, slots);
                    scratch::with([len], |[cache]| {
                        Worker::new(self, w, prompts, sampling, slots, cache).run(queue, &sender);
                    });
                });
            }
            drop(sender);
            for ((prompt, sample), done) in receiver {
                progress(done.tokens.len());
                results[prompt][sample as usize] = Some(done);
            }
        });
        let finished = results.into_iter().map(|samples| samples.into_iter().flatten().collect());
        finished.collect()
    }
}

/// A prompt whose pages are in the cache.
struct Shared {
    pages: Vec<u32>,
    /// Final-layer output of the last prompt token.
    logits: Vec<f32>,
}

struct Worker<'a> {
    cpu: &'a Cpu,
    w: &'a Weights<'a, Cpu>,
    prompts: &'a [Prompt],
    sampling: &'a Sampling,
    heads: Heads,
    slots_max: usize,
    pages: Pages<'a>,
    shared: BTreeMap<usize, Shared>,
    slots: Vec<Slot>,
    weights: Vec<f32>,
}

impl<'a> Worker<'a> {
    fn new(
        cpu: &'a Cpu,
        w: &'a Weights<'a, Cpu>,
        prompts: &'a [Prompt],
        sampling: &'a Sampling,
        slots_max: usize,
        cache: &'a mut [f32],
    ) -> Worker<'a> {
        let heads = heads(w.layout);
        Worker {
            cpu,
            w,
            prompts,
            sampling,
            heads,
            slots_max,
            pages: Pages::new(heads, w.layout.config.layers, cache),
            shared: BTreeMap::new(),
            slots: Vec::new(),
            weights: vec![0.0; w.layout.config.vocab],
        }
    }

    fn run(mut self, queue: &Mutex<Queue<'_>>, done: &Sender<(Job, Sample)>) {
        loop {
            // As many as there is room for: workers that took turns would each read every prompt.
            // A poisoned lock means another worker panicked; this one stops and the panic goes on.
            let free = self.slots_max - self.slots.len();
            let Ok(jobs) = queue.lock().map(|mut queue| queue.by_ref().take(free).collect::<Vec<_>>()) else {
                return;
            };
            if jobs.is_empty() && self.slots.is_empty() {
                return;
            }
            for job in jobs {
                self.begin(job, done);
            }
            if !self.slots.is_empty() {
                self.step(done);
            }
        }
    }

    /// Starts a sample: reads its prompt unless a sample of the same prompt did, and draws the first token.
    fn begin(&mut self, job: Job, done: &Sender<(Job, Sample)>) {
        let prompt = &self.prompts[job.0];
        if !self.shared.contains_key(&job.0) {
            for (_, shared) in std::mem::take(&mut self.shared) {
                shared.pages.into_iter().for_each(|page| self.pages.release(page));
            }
            let shared = self.read(&prompt.tokens);
            self.shared.insert(job.0, shared);
        }
        let len = prompt.tokens.len();
        let (whole, mut pages) = {
            let shared = &self.shared[&job.0];
            (shared.pages.clone(), Vec::with_capacity(shared.pages.len() + 1))
        };
        for (i, page) in whole.into_iter().enumerate() {
            if (i + 1) * NR <= len {
                self.pages.share(page);
                pages.push(page);
            } else {
                // The last page will be written to: a copy of it.
                let own = self.pages.take();
                self.pages.copy(page, own);
                pages.push(own);
            }
        }
        let sample = Sample { tokens: Vec::new(), logprobs: Vec::new(), stop: StopReason::Length };
        let mut slot = Slot { job, pages, cached: len, token: 0, sample };
        let room = self.w.layout.config.context > len && self.sampling.max_tokens > 0;
        let logits = std::mem::take(&mut self.weights);
        let mut weights = logits;
        let running = room && {
            let logits = &self.shared[&job.0].logits;
            self.draw(&mut slot, logits, &mut weights)
        };
        self.weights = weights;
        if running { self.slots.push(slot) } else { self.finish(slot, done) }
    }

    /// Draws one token; false if the sample ends with it.
    fn draw(&self, slot: &mut Slot, logits: &[f32], weights: &mut [f32]) -> bool {
        let prompt = &self.prompts[slot.job.0];
        let at = slot.sample.tokens.len() as u32;
        let name = (&prompt.key, prompt.first + slot.job.1, at);
        let (token, logprob) = draw::next_token(self.cpu.isa, logits, self.sampling, name, weights);
        slot.sample.tokens.push(token);
        slot.sample.logprobs.push(logprob);
        slot.token = token;
        if Some(token) == self.w.layout.config.eos {
            slot.sample.stop = StopReason::End;
            return false;
        }
        at + 1 < self.sampling.max_tokens && slot.cached + 1 < self.w.layout.config.context
    }

    fn finish(&mut self, slot: Slot, done: &Sender<(Job, Sample)>) {
        slot.pages.into_iter().for_each(|page| self.pages.release(page));
        // Nobody listens any more only if the caller is unwinding.
        let _ = done.send((slot.job, slot.sample));
    }

    fn view(&self, layer: usize) -> LayerView<'a> {
        self.cpu.view(self.w, layer)
    }

    fn embed(&self, tokens: impl Iterator<Item = u32>) -> Vec<f32> {
        let hidden = self.w.layout.config.hidden;
        let table = &self.w.flat[self.w.layout.embed.clone()];
        tokens.flat_map(|t| &table[t as usize * hidden..][..hidden]).copied().collect()
    }

    /// Runs a prompt through the model, exactly as the trainer does, and caches its keys and values.
    fn read(&mut self, tokens: &[u32]) -> Shared {
        let c = &self.w.layout.config;
        let (count, width, q_width) = (tokens.len(), self.heads.width(), self.w.layout.q_width());
        let pages: Vec<u32> = (0..count.div_ceil(NR)).map(|_| self.pages.take()).collect();
        let positions: Vec<u32> = (0..count as u32).collect();
        let embedded = self.embed(tokens.iter().copied());
        let mut logits = vec![0.0; c.vocab];
        let (n, lse_len) = (embedded.len(), count * self.heads.query);
        let lengths = [n, n, count * width, count * q_width, lse_len, count * 2 * c.mlp];
        scratch::with(lengths, |[x, middle, qkv, attended, lse, gate_up]| {
            x.copy_from_slice(&embedded);
            for layer in 0..c.layers {
                let view = self.view(layer);
                view.qkv(x, &positions, qkv);
                for (t, row) in qkv.chunks_exact(width).enumerate() {
                    self.pages.store(pages[t / NR], layer, t % NR, row);
                }
                let outs = MatMut::new(attended, count, q_width, q_width);
                let outs = outs.grid([count], self.heads.group() * self.heads.dim);
                let lses = MatMut::new(lse, count, self.heads.query, self.heads.query);
                let lses = lses.grid([count], self.heads.group());
                for (kv, (mut out, mut lse)) in outs.into_iter().zip(lses).enumerate() {
                    attention::forward(self.cpu.isa, self.heads, kv, qkv, &mut out, &mut lse);
                }
                view.project(attended, x, middle);
                view.mlp(middle, gate_up, x);
            }
            self.logits(&x[(count - 1) * c.hidden..], &mut logits);
        });
        Shared { pages, logits }
    }

    fn logits(&self, x: &[f32], logits: &mut [f32]) {
        scratch::with([x.len()], |[h]| {
            let (hidden, vocab) = (self.w.layout.config.hidden, self.w.layout.config.vocab);
            let mut rows = MatMut::new(logits, x.len() / hidden, vocab, vocab);
            layer::logits(self.cpu.isa, self.w, x, (h, hidden), &mut rows);
        });
    }

    /// One token of every running sequence.
    fn step(&mut self, done: &Sender<(Job, Sample)>) {
        let c = &self.w.layout.config;
        let (count, width, q_width) = (self.slots.len(), self.heads.width(), self.w.layout.q_width());
        for slot in &mut self.slots {
            if slot.cached.is_multiple_of(NR) {
                slot.pages.push(self.pages.take());
            }
        }
        let positions: Vec<u32> = self.slots.iter().map(|s| s.cached as u32).collect();
        let x = self.embed(self.slots.iter().map(|s| s.token));
        let mut slots = std::mem::take(&mut self.slots);
        let mut weights = std::mem::take(&mut self.weights);
        let lengths = [x.len(), x.len(), count * width, count * q_width, count * 2 * c.mlp, count * c.vocab];
        let running: Vec<bool> =
            scratch::with(lengths, |[stream, middle, qkv, attended, gate_up, logits]| {
                stream.copy_from_slice(&x);
                for layer in 0..c.layers {
                    let view = self.view(layer);
                    view.qkv(stream, &positions, qkv);
                    for (slot, row) in slots.iter().zip(qkv.chunks_exact(width)) {
                        self.pages.store(slot.pages[slot.cached / NR], layer, slot.cached % NR, row);
                    }
                    let mut first = 0;
                    let groups = slots.chunk_by(|a, b| a.job.0 == b.job.0).flat_map(|g| g.chunks(GROUP));
                    for group in groups {
                        let rows = first..first + group.len();
                        first = rows.end;
                        let decode = Decode {
                            isa: self.cpu.isa,
                            heads: self.heads,
                            pages: &self.pages,
                            layer,
                            prompt: self.prompts[group[0].job.0].tokens.len(),
                            following: &slots[first..],
                        };
                        let qkv = &qkv[rows.start * width..rows.end * width];
                        decode.attend(group, qkv, &mut attended[rows.start * q_width..rows.end * q_width]);
                    }
                    view.project(attended, stream, middle);
                    view.mlp(middle, gate_up, stream);
                }
                self.logits(stream, logits);
                let rows = slots.iter_mut().zip(logits.chunks_exact(c.vocab));
                rows.map(|(slot, logits)| {
                    slot.cached += 1;
                    self.draw(slot, logits, &mut weights)
                })
                .collect()
            });
        self.weights = weights;
        for (slot, running) in slots.into_iter().zip(running) {
            if running { self.slots.push(slot) } else { self.finish(slot, done) }
        }
    }
}

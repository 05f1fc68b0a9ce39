//! Each kernel against its plain twin: the same bits on every instruction set, for odd sizes, unaligned
//! starts and extreme values.

use super::floats::Floats;
use super::gemm::{Left, NR, Right, Write, gemm, pack_rows, pack_transposed};
use super::matrix::MatMut;
use super::{Isa, affinity, rows};

/// Repeatable numbers between −1 and 1, sometimes huge, tiny or zero.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    fn value(&mut self) -> f32 {
        let x = self.next() as f32 / (1_u64 << 30) as f32 - 1.0;
        match self.next() % 50 {
            0 => x * 1e30,
            1 => x * 1e-30,
            2 => 0.0,
            _ => x,
        }
    }

    fn many(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.value()).collect()
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Runs `work` on every instruction set and demands the same bits.
fn same_everywhere(name: &str, work: impl Fn(Isa) -> Vec<f32>) {
    let plain = bits(&work(Isa::Scalar));
    for isa in Isa::available() {
        assert_eq!(bits(&work(isa)), plain, "{name} on {isa:?}");
    }
}

const ROUNDS: usize = if cfg!(miri) { 3 } else { 150 };
const LARGEST: usize = if cfg!(miri) { 9 } else { 70 };

#[test]
fn products_are_the_same_on_every_instruction_set() {
    let mut numbers = Numbers(1);
    for round in 0..ROUNDS {
        let [m, n, k] = [0; 3].map(|_| 1 + numbers.below(LARGEST));
        let offset = numbers.below(3);
        let a = numbers.many(m * k + offset);
        let b = numbers.many(n * k);
        let (bias, old) = (numbers.many(n), numbers.many(m * (n + 3)));
        let mut panels = Floats::new();
        pack_transposed(&b, n, k, k, &mut panels);
        // The same factor row by row, with gaps whose content must not matter.
        let ld = n.next_multiple_of(NR) + numbers.below(20);
        let mut rows = vec![f32::NAN; k * ld];
        for (i, b) in b.iter().enumerate() {
            rows[i % k * ld + i / k] = *b;
        }
        let (rs, cs) = if round % 2 == 0 { (k, 1) } else { (1, m) };
        for write in [Write::Store, Write::Add, Write::Chain] {
            let bias = (round % 3 == 0).then_some(bias.as_slice());
            let run = |isa| {
                let mut c = old.clone();
                let left = Left { data: &a[offset..], rs, cs };
                let right = if round % 4 < 2 { Right::packed(&panels, k) } else { Right::rows(&rows, ld) };
                gemm(isa, left, right, k, &mut MatMut::new(&mut c, m, n, n + 3), bias, write);
                c
            };
            same_everywhere("gemm", run);
        }
    }
}

#[test]
fn a_product_is_the_sum_it_should_be() {
    let mut numbers = Numbers(2);
    let (m, n, k) = (19, 45, 33);
    let small =
        |numbers: &mut Numbers, n| -> Vec<f32> { (0..n).map(|_| numbers.below(9) as f32 - 4.0).collect() };
    let (a, w) = (small(&mut numbers, m * k), small(&mut numbers, n * k));
    let mut panels = [Floats::new(), Floats::new()];
    pack_transposed(&w, n, k, k, &mut panels[0]);
    let transposed: Vec<f32> = (0..k * n).map(|i| w[i % n * k + i / n]).collect();
    pack_rows(&transposed, k, n, n, &mut panels[1]);
    assert_eq!(*panels[0], *panels[1], "both packings of one matrix");
    let mut c = vec![0.0; m * n];
    let (left, right) = (Left::rows(&a, k), Right::packed(&panels[0], k));
    gemm(Isa::detect(), left, right, k, &mut MatMut::new(&mut c, m, n, n), None, Write::Store);
    for (i, c) in c.iter().enumerate() {
        let sum: f32 = (0..k).map(|k_at| a[i / n * k + k_at] * w[i % n * k + k_at]).sum();
        assert_eq!(*c, sum, "small whole numbers are exact");
    }
}

#[test]
#[cfg_attr(miri, ignore = "a large product")]
fn a_long_product_is_one_chain_although_it_is_cut() {
    let mut numbers = Numbers(4);
    let (m, n, k) = (112, 3, 2500);
    let (a, w, bias) = (numbers.many(m * k), numbers.many(n * k), numbers.many(n));
    let mut panels = Floats::new();
    pack_transposed(&w, n, k, k, &mut panels);
    let (mut c, mut more) = (vec![0.0; m * n], vec![1.0; m * n]);
    let right = Right::packed(&panels, k);
    let c_rows = &mut MatMut::new(&mut c, m, n, n);
    gemm(Isa::detect(), Left::rows(&a, k), right, k, c_rows, Some(&bias), Write::Store);
    gemm(Isa::detect(), Left::rows(&a, k), right, k, &mut MatMut::new(&mut more, m, n, n), None, Write::Add);
    for i in 0..m * n {
        let chain = (0..k).fold(0.0_f32, |sum, at| a[i / n * k + at].mul_add(w[i % n * k + at], sum));
        assert_eq!(c[i].to_bits(), (chain + bias[i % n]).to_bits());
        assert_eq!(more[i].to_bits(), (1.0 + chain).to_bits());
    }
}

#[test]
fn two_halves_of_a_chain_are_the_whole() {
    let mut numbers = Numbers(3);
    let (m, n, k) = (5, 40, 64);
    let (a, b) = (numbers.many(m * k), numbers.many(k * n));
    let mut panels = Floats::new();
    pack_rows(&b, k, n, n, &mut panels);
    for isa in Isa::available() {
        let run = |c: &mut Vec<f32>, from: usize, len: usize, write| {
            let left = Left::rows(&a[from..], k);
            let right = Right::packed(&panels[from * NR..], k);
            gemm(isa, left, right, len, &mut MatMut::new(c, m, n, n), None, write);
        };
        let (mut whole, mut halves) = (vec![0.0; m * n], vec![0.0; m * n]);
        run(&mut whole, 0, k, Write::Store);
        run(&mut halves, 0, 23, Write::Store);
        run(&mut halves, 23, k - 23, Write::Chain);
        assert_eq!(bits(&whole), bits(&halves));
    }
}

#[test]
fn row_kernels_are_the_same_on_every_instruction_set() {
    let mut numbers = Numbers(4);
    for _ in 0..=ROUNDS / 3 {
        let width = 2 * (1 + numbers.below(LARGEST));
        let count = 1 + numbers.below(4);
        let [x, y, z] = [0; 3].map(|_| numbers.many(width * count));
        let gain = numbers.many(width);
        same_everywhere("rms_norm", |isa| {
            let mut h = vec![0.0; x.len()];
            rows::rms_norm(isa, &x, &gain, 1e-6, &mut h, width);
            h
        });
        same_everywhere("rms_norm_backward", |isa| {
            let (mut dx, mut dgain) = (z.clone(), gain.clone());
            rows::rms_norm_backward(isa, &x, &gain, 1e-6, &y, &mut dx, &mut dgain);
            [dx, dgain].concat()
        });
        same_everywhere("swiglu", |isa| {
            let (mut dgate_up, mut act) = (vec![0.0; x.len()], y[..x.len() / 2].to_vec());
            let mut out = vec![0.0; x.len() / 2];
            rows::swiglu(isa, &x, width / 2, &mut out);
            rows::swiglu_backward(isa, &x, width / 2, &mut dgate_up, width, &mut act, width / 2);
            assert_eq!(bits(&out), bits(&act), "the activation comes back");
            [out, dgate_up].concat()
        });
        same_everywhere("softmax", |isa| {
            let n = 1 + width / 2;
            let mut scores = gain.clone();
            scores.resize(width.next_multiple_of(16), 7.0);
            let (max, sum) = rows::softmax(isa, &mut scores, n, 0.3);
            let mut again = gain.clone();
            again.resize(scores.len(), 3.0);
            let mut dp = scores.clone();
            rows::softmax_backward(isa, &mut again, &mut dp, n, 0.3, max + sum.ln(), 0.1);
            [scores, again, dp, vec![max, sum]].concat()
        });
        same_everywhere("rope", |isa| {
            let (mut heads, half) = (x.clone(), width / 2);
            rows::rope(isa, &mut heads, width, width, &vec![0; count], &gain, half, -1.0);
            heads
        });
        same_everywhere("log_softmax", |isa| {
            let mut logits = gain.clone();
            let row = rows::log_softmax(isa, &logits);
            rows::logits_backward(isa, &mut logits, row, 1, 0.7);
            let mut weights = gain.clone();
            let shift = rows::at_temperature(isa, &mut weights, 0.8);
            rows::exponentials(isa, &mut weights, 0.0);
            [logits, weights, vec![row.max, row.log_sum, row.entropy, shift]].concat()
        });
        same_everywhere("dot, add, scale, sum_of_squares", |isa| {
            let (mut a, mut b) = (x.clone(), y.clone());
            rows::add(isa, &mut a, &y);
            rows::scale(isa, &mut b, 0.3);
            let sums = vec![rows::dot(isa, &x, &y), rows::sum_of_squares(isa, &x) as f32];
            [a, b, sums].concat()
        });
        same_everywhere("adamw", |isa| adamw(isa, &x, &y, &z));
    }
}

/// A step from weights, a gradient and moments: all that it changes.
fn adamw(isa: Isa, w: &[f32], g: &[f32], m: &[f32]) -> Vec<f32> {
    let constants = [0.5, 0.9, 0.95, 0.01, 1.3, 1e-8, 0.999];
    let [scale, beta1, beta2, rate, second, eps, keep] = constants;
    let step = rows::AdamwStep { scale, beta1, beta2, rate, second, eps, keep };
    let mut v: Vec<f32> = m.iter().map(|m| m.abs()).collect();
    let (mut w, mut g, mut m) = (w.to_vec(), g.to_vec(), m.to_vec());
    rows::adamw(isa, step, &mut w, &mut g, &mut m, &mut v);
    [w, g, m, v].concat()
}

#[test]
fn extreme_rows_have_defined_results() {
    for isa in Isa::available() {
        // One entry far above the rest: certainty, no entropy, nothing infinite.
        let row = rows::log_softmax(isa, &[-1e30, 1e30, 0.0]);
        assert_eq!((row.logprob(1e30), row.entropy), (0.0, 0.0));
        // No temperature makes a number that is none: the coldest is certain, the hottest does not know.
        for (temperature, entropy) in [(1e-45, 0.0), (f32::MAX, 3_f32.ln())] {
            let mut logits = [-1e30, 1e30, 0.0];
            rows::at_temperature(isa, &mut logits, temperature);
            assert!((rows::log_softmax(isa, &logits).entropy - entropy).abs() < 1e-6, "{temperature}");
        }
        // Temperature 1 leaves a row alone.
        let mut logits = [0.1, -0.0, 3e38];
        assert_eq!(rows::at_temperature(isa, &mut logits, 1.0), 0.0);
        assert_eq!(bits(&logits), bits(&[0.1, -0.0, 3e38]));
        // Equal entries: the uniform distribution.
        let row = rows::log_softmax(isa, &[3e38; 64]);
        assert!((row.entropy - 64_f32.ln()).abs() < 1e-5);
        // An entry of −∞ cannot come; NaN shows.
        assert_eq!(rows::log_softmax(isa, &[0.0, f32::NEG_INFINITY]).logprob(0.0), 0.0);
        assert!(rows::log_softmax(isa, &[0.0, f32::NAN]).logprob(0.0).is_nan());
        // A query that sees one key gives it all its weight.
        let mut scores = [5.0; 32];
        assert_eq!(rows::softmax(isa, &mut scores, 1, 1.0), (5.0, 1.0));
        assert_eq!((scores[0], scores[1..].iter().sum::<f32>()), (1.0, 0.0));
        // Gates far out close or open.
        let mut act = [0.0; 2];
        rows::swiglu(isa, &[-1e4, 1e4, 2.0, 2.0], 2, &mut act);
        assert!(act[0].abs() < 1e-30 && act[1] == 2e4);
        // The zero vector has a norm.
        let mut h = [1.0; 4];
        rows::rms_norm(isa, &[0.0; 4], &[1.0; 4], 1e-6, &mut h, 4);
        assert_eq!(h, [0.0; 4]);
    }
}

#[test]
fn the_exponential_is_accurate() {
    for i in 0..100_000 {
        let z = -87.0 * i as f32 / 100_000.0;
        let row = rows::log_softmax(Isa::detect(), &[0.0, z]);
        let exact = (1.0 + f64::from(z).exp()).ln();
        assert!((f64::from(row.log_sum) - exact).abs() <= 2e-7, "at {z}");
        let mut weights = [z];
        rows::exponentials(Isa::detect(), &mut weights, 0.0);
        let exact = f64::from(z).exp();
        assert!((f64::from(weights[0]) / exact - 1.0).abs() < 3e-7, "at {z}");
        if cfg!(miri) && i > 100 {
            break;
        }
    }
}

#[test]
fn arrays_grow_with_zeros_and_keep_what_they_have() {
    // The larger ones begin on a large page.
    let sizes = if cfg!(miri) { [3, 40, 20, 100] } else { [3, 1000, 600_000, 2_000_000] };
    let mut floats = Floats::from(&[1.0, 2.0, 3.0][..]);
    for len in sizes {
        floats.resize(len);
        assert_eq!((floats.len(), floats.as_ptr().addr() % 64), (len, 0));
        assert_eq!((&floats[..3], floats[3..].iter().all(|x| *x == 0.0)), (&[1.0, 2.0, 3.0][..], true));
    }
    floats[3] = 4.0;
    assert_eq!(floats.sized(5), [1.0, 2.0, 3.0, 4.0, 0.0], "no smaller for lending a part");
    floats.resize(2);
    floats.resize(4);
    assert_eq!(*floats, [1.0, 2.0, 0.0, 0.0], "what was cut off does not come back");
    assert!(Floats::new().is_empty());
}

#[test]
#[cfg(all(target_os = "linux", not(miri)))]
fn a_pinned_thread_has_one_processor() {
    for index in [0, 1, 1000] {
        let thread = std::thread::spawn(move || {
            affinity::pin(index);
            std::fs::read_to_string("/proc/thread-self/status").unwrap()
        });
        let status = thread.join().unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
        assert!(line.trim().parse::<usize>().is_ok(), "thread {index} may run on {line}");
    }
}

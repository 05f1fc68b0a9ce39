//! What `n` samples of one problem say of it. All are unbiased over which `k` of the `n` samples are kept.

use runs::draws;

/// Chance that at least one of `k` samples is correct, from `c` correct ones among `n`:
/// 1 − C(n−c, k)/C(n, k), as a product that neither overflows nor cancels. `None` if `k` is 0 or more
/// than `n`, or `c` is more than `n`.
///
/// ```
/// assert_eq!(tercet_report::stats::pass_at_k(4, 1, 1), Some(0.25));
/// assert_eq!(tercet_report::stats::pass_at_k(4, 1, 4), Some(1.0));
/// assert_eq!(tercet_report::stats::pass_at_k(4, 1, 5), None);
/// ```
pub fn pass_at_k(n: u32, c: u32, k: u32) -> Option<f64> {
    if k == 0 || k > n || c > n {
        return None;
    }
    if k > n - c {
        return Some(1.0);
    }
    let miss: f64 = (n - c + 1..=n).map(|i| 1.0 - f64::from(k) / f64::from(i)).product();
    Some(1.0 - miss)
}

/// Chance that all of `k` samples are correct (pass^k): C(c, k)/C(n, k). `None` as for [`pass_at_k`].
pub fn pass_pow_k(n: u32, c: u32, k: u32) -> Option<f64> {
    if k == 0 || k > n || c > n {
        return None;
    }
    if k > c {
        return Some(0.0);
    }
    Some((0..k).map(|i| f64::from(c - i) / f64::from(n - i)).product())
}

/// Whether at least a share `tau` of the samples is correct (cover@τ of one problem): 1 or 0.
pub fn cover(n: u32, c: u32, tau: f64) -> Option<f64> {
    (n > 0 && c <= n).then(|| f64::from(u8::from(f64::from(c) >= tau * f64::from(n))))
}

/// Chance that the most frequent answer among `k` of the `n` samples is the correct one (maj@k); ties are
/// broken by lot. Samples without an answer do not vote. Exact, by counting the draws.
///
/// `correct` samples gave the correct answer, `missing` gave none, and `others` holds the count of each
/// wrong answer. `None` if `k` is 0 or more than `n`, or there are more [`draws`] than f64 can count.
///
/// ```
/// // Two correct and one wrong: every pair has the correct answer in front or level.
/// assert_eq!(tercet_report::stats::maj_at_k(2, 0, &[1], 3), Some(1.0));
/// assert!((tercet_report::stats::maj_at_k(2, 0, &[1], 2).unwrap() - 2.0 / 3.0).abs() < 1e-12);
/// ```
pub fn maj_at_k(correct: u32, missing: u32, others: &[u32], k: u32) -> Option<f64> {
    let wrong = others.iter().try_fold(0_u32, |sum, &count| sum.checked_add(count))?;
    let n = correct.checked_add(missing)?.checked_add(wrong)?;
    let all = draws(n, k);
    if k == 0 || k > n || all.is_infinite() {
        return None;
    }
    let mut won = 0.0;
    for r in 1..=correct.min(k) {
        let rest = (k - r) as usize;
        // ways_TK[t][j]: ways to draw j others, none more often than r, exactly t of them r times.
        let mut ways_TK = vec![vec![0.0_f64; rest + 1]];
        for j in 0..=rest.min(missing as usize) {
            ways_TK[0][j] = draws(missing, j as u32);
        }
        for &count in others {
            ways_TK = with_answer(&ways_TK, count, r as usize);
        }
        let level = ways_TK.iter().enumerate().map(|(t, row)| row[rest] / (t as f64 + 1.0));
        let level: f64 = level.sum();
        // What cannot happen is not multiplied: the draws of `correct` alone may be infinite.
        if level > 0.0 {
            won += draws(correct, r) * level;
        }
    }
    Some(won / all)
}

/// One more wrong answer, drawn 0..=r times of its `count`.
fn with_answer(ways_TK: &[Vec<f64>], count: u32, r: usize) -> Vec<Vec<f64>> {
    let rest = ways_TK[0].len() - 1;
    let ties = usize::from(count as usize >= r && ways_TK.len() * r <= rest);
    let mut next_TK = vec![vec![0.0; rest + 1]; ways_TK.len() + ties];
    for (t, row) in ways_TK.iter().enumerate() {
        for (j, &ways) in row.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            for m in 0..=(count as usize).min(r).min(rest - j) {
                next_TK[t + usize::from(m == r)][j + m] += ways * draws(count, m as u32);
            }
        }
    }
    next_TK
}

/// The `k` that a curve is drawn at: powers of two up to `n`, and `n`.
///
/// ```
/// assert_eq!(tercet_report::stats::ks(12), [1, 2, 4, 8, 12]);
/// ```
pub fn ks(n: u32) -> Vec<u32> {
    let mut ks: Vec<u32> = (0..32).map(|i| 1_u32 << i).take_while(|&k| k < n).collect();
    if n > 0 {
        ks.push(n);
    }
    ks
}

//! Estimators against enumeration of every draw; intervals against what they promise.

use proptest::prelude::*;
use tercet_report::stats::{Bootstrap, Ends, cover, maj_at_k, pass_at_k, pass_pow_k, power};

/// Every subset of `k` of `n` samples, as index lists.
fn subsets(n: usize, k: u32) -> Vec<Vec<usize>> {
    (0..1_u32 << n)
        .filter(|set| set.count_ones() == k)
        .map(|set| (0..n).filter(|i| set >> i & 1 == 1).collect())
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

proptest! {
    #[test]
    fn pass_estimators_are_means_over_all_draws(n in 1_u32..9, c in 0_u32..9, k in 1_u32..9) {
        prop_assume!(c <= n && k <= n);
        let draws = subsets(n as usize, k);
        let right = |s: &Vec<usize>| s.iter().filter(|&&i| i < c as usize).count();
        let any: Vec<f64> = draws.iter().map(|s| f64::from(u8::from(right(s) > 0))).collect();
        let all: Vec<f64> = draws.iter().map(|s| f64::from(u8::from(right(s) == k as usize))).collect();
        prop_assert!((pass_at_k(n, c, k).unwrap() - mean(&any)).abs() < 1e-12);
        prop_assert!((pass_pow_k(n, c, k).unwrap() - mean(&all)).abs() < 1e-12);
    }

    #[test]
    fn majority_is_the_mean_over_all_draws(
        answers in prop::collection::vec(0_usize..5, 1..9), k in 1_u32..9
    ) {
        // Answer 0 is no answer, 1 is right, the others are wrong.
        prop_assume!(k as usize <= answers.len());
        let count = |answer| answers.iter().filter(|a| **a == answer).count() as u32;
        let others: Vec<u32> = (2..5).map(count).collect();
        let share = |s: &Vec<usize>| {
            let votes: Vec<usize> = (1..5).map(|a| s.iter().filter(|&&i| answers[i] == a).count()).collect();
            let most = *votes.iter().max().unwrap();
            let tied = votes.iter().filter(|v| **v == most).count();
            if votes[0] == most && most > 0 { 1.0 / tied as f64 } else { 0.0 }
        };
        let brute = mean(&subsets(answers.len(), k).iter().map(share).collect::<Vec<_>>());
        let exact = maj_at_k(count(1), count(0), &others, k).unwrap();
        prop_assert!((exact - brute).abs() < 1e-12, "{exact} {brute}");
    }

    #[test]
    fn pass_at_k_rises_and_pass_pow_k_falls_with_k(n in 2_u32..300, c in 0_u32..300, k in 1_u32..299) {
        prop_assume!(c <= n && k < n);
        prop_assert!(pass_at_k(n, c, k).unwrap() <= pass_at_k(n, c, k + 1).unwrap() + 1e-12);
        prop_assert!(pass_pow_k(n, c, k).unwrap() >= pass_pow_k(n, c, k + 1).unwrap() - 1e-12);
        prop_assert!((pass_at_k(n, c, 1).unwrap() - f64::from(c) / f64::from(n)).abs() < 1e-12);
    }
}

#[test]
fn no_estimate_beyond_the_samples() {
    assert_eq!(pass_at_k(8, 3, 9), None);
    assert_eq!(pass_at_k(8, 9, 1), None);
    assert_eq!(pass_at_k(0, 0, 0), None);
    assert_eq!(maj_at_k(1, 0, &[1], 3), None);
    assert_eq!(cover(0, 0, 0.5), None);
    assert_eq!(cover(8, 4, 0.5), Some(1.0));
}

#[test]
fn large_counts_neither_overflow_nor_cancel() {
    let p = pass_at_k(100_000, 1, 128).unwrap();
    assert!((p - 128.0 / 100_000.0).abs() < 1e-12, "{p}");
    let m = maj_at_k(128, 0, &[64; 8], 128).unwrap();
    assert!((0.0..=1.0).contains(&m), "{m}");
    // As many right as wrong: a toss-up, as far as the ways to draw half of them are a number.
    for (half, k) in [(512, 512), (5000, 3)] {
        let m = maj_at_k(half, 0, &[half], k).unwrap();
        assert!((m - 0.5).abs() < 1e-9, "{m}");
    }
    assert_eq!(maj_at_k(515, 0, &[515], 515), None);
    assert_eq!(maj_at_k(u32::MAX, 0, &[1], 1), None);
}

/// Known chances, many problem sets drawn from them: the interval must hold the truth about 19 times in 20.
#[test]
fn intervals_cover_the_truth() {
    let bootstrap = Bootstrap::default();
    let mut draws = problems::stream::Stream::root(7).fork("coverage").draws();
    let mut held = 0;
    for _ in 0..400 {
        // Chances uniform on 0..1 (mean 0.5), 16 samples of each of 60 problems.
        let mut rate = || {
            let p = draws.below(1000);
            f64::from((0..16).map(|_| u8::from(draws.below(1000) < p)).sum::<u8>()) / 16.0
        };
        let values: Vec<f64> = (0..60).map(|_| rate()).collect();
        let e = bootstrap.mean(&[values], Some((0.0, 1.0))).unwrap();
        held += u32::from(e.low <= 0.5 && 0.5 <= e.high);
    }
    assert!((365..=392).contains(&held), "{held} of 400");
}

#[test]
fn an_all_or_nothing_sample_is_not_certainty() {
    let bootstrap = Bootstrap::default();
    let none = bootstrap.mean(&[vec![0.0; 100]], Some((0.0, 1.0))).unwrap();
    // Rule of three at the 97.5% level: about 3.7 in 100.
    assert!(none.low == 0.0 && (0.03..0.04).contains(&none.high), "{none:?}");
    // A difference of two rates lies between −1 and 1.
    let same = bootstrap.mean(&[vec![0.0; 100]], Some((-1.0, 1.0))).unwrap();
    assert!(same.low < 0.0 && same.high > 0.0, "{same:?}");
}

/// One success in 128 tries at one of 160 problems says more than none at 80 of them, and nothing is certain.
#[test]
fn intervals_near_zero_agree_with_each_other() {
    let bootstrap = Bootstrap::default();
    let high = |values: Vec<f64>| bootstrap.mean(&[values], Some((0.0, 1.0))).unwrap().high;
    let mut pool = vec![0.0; 160];
    let none = high(pool.clone());
    pool[7] = 1.0 / 128.0;
    let one = high(pool.clone());
    assert!(0.0 < none && none < one && one < high(vec![0.0; 80]), "{none} {one}");
}

/// The promise of [`Bootstrap::mean`] where successes are rare: at least 93% of intervals hold the truth, at chances alike
/// for all problems and at chances that most problems do not have (of 400, so give or take 1.3).
#[test]
fn intervals_cover_the_truth_down_to_one_in_a_thousand() {
    let bootstrap = Bootstrap::default();
    let mut draws = problems::stream::Stream::root(19).fork("rare").draws();
    let scale = 1_000_000;
    for problems in [40, 160] {
        for per_million in [1_000, 3_000, 10_000, 30_000, 100_000] {
            // Either every problem is solved with this chance at its one try, or a fifth of the problems (or as many as
            // it takes) can be solved at all, each with the same chance at each of 16 tries.
            for (able, tries) in [(scale, 1), (200_000.max(per_million), 16)] {
                let truth = f64::from(per_million) / f64::from(scale);
                let within = f64::from(per_million) / f64::from(able);
                let mut held = 0;
                for _ in 0..400 {
                    let mut rate = || {
                        let can = draws.below(scale as usize) < able as usize;
                        let mut solved =
                            || can && (draws.below(scale as usize) as f64) < within * f64::from(scale);
                        f64::from((0..tries).map(|_| u8::from(solved())).sum::<u8>()) / f64::from(tries)
                    };
                    let values: Vec<f64> = (0..problems).map(|_| rate()).collect();
                    let e = bootstrap.mean(&[values], Some((0.0, 1.0))).unwrap();
                    held += u32::from(e.low <= truth && truth <= e.high);
                }
                let held = f64::from(held) / 400.0;
                assert!(held >= 0.917, "{problems} problems, chance {truth}, {tries} tries: {held}");
            }
        }
    }
}

#[test]
fn pairing_takes_the_problems_own_spread_out() {
    let bootstrap = Bootstrap::default();
    let before: Vec<f64> = (0..100).map(|i| f64::from(i % 10) / 10.0).collect();
    let after: Vec<f64> = before.iter().enumerate().map(|(i, v)| v + 0.02 + 0.01 * (i % 3) as f64).collect();
    // By the resamples alone: a range would set how narrow an interval can be.
    let alone = bootstrap.mean(std::slice::from_ref(&after), None).unwrap();
    let differences = after.iter().zip(&before).map(|(a, b)| a - b).collect();
    let paired = bootstrap.mean(&[differences], None).unwrap();
    assert!(paired.excludes_zero() && (paired.high - paired.low) < (alone.high - alone.low) / 10.0);
}

/// Two seeds that disagree widen the interval to their disagreement, however many problems there are.
#[test]
fn seeds_count_as_units() {
    let bootstrap = Bootstrap::default();
    let seed = |shift: f64| (0..500).map(|i| shift + f64::from(i % 7) / 100.0).collect::<Vec<f64>>();
    let e = bootstrap.mean(&[seed(0.1), seed(0.3)], Some((0.0, 1.0))).unwrap();
    assert!(e.low < 0.14 && e.high > 0.32, "{e:?}");
    assert_eq!((e.seeds, e.problems), (2, 500));
}

/// Nearly normal numbers of a given spread around 0, from a stream of their own.
fn normal(seed: u64, name: &str) -> impl FnMut(f64) -> f64 {
    let mut draws = problems::stream::Stream::root(seed).fork(name).draws();
    move |spread| {
        let sum: f64 = (0..12).map(|_| draws.below(10_000) as f64 / 10_000.0).sum();
        (sum - 6.0) * spread
    }
}

/// What is printed as detectable is: pure noise of 60 problems, moved by as much, is told from 0 about four times in five
/// (more often where chance makes seeds look different), and noise alone is told to lie within as much.
#[test]
fn the_detectable_difference_is_seen_four_times_in_five() {
    let bootstrap = Bootstrap::default();
    let mut normal = normal(13, "power");
    let trials = 300_u32;
    for seeds in [1, 2, 3] {
        let mut estimates = Vec::new();
        let (mut one, mut both) = (0.0, 0.0);
        for _ in 0..trials {
            let problems: Vec<f64> = (0..60).map(|_| normal(0.2)).collect();
            let values: Vec<Vec<f64>> =
                (0..seeds).map(|_| problems.iter().map(|p| p + normal(0.4)).collect()).collect();
            estimates.push(bootstrap.mean(&values, None).unwrap());
            let detectable = |ends| power(&values, None, 0.1, ends).unwrap().detectable / f64::from(trials);
            one += detectable(Ends::One);
            both += detectable(Ends::Both);
        }
        let share = |seen: &dyn Fn(f64, f64) -> bool| {
            estimates.iter().filter(|e| seen(e.low, e.high)).count() as f64 / f64::from(trials)
        };
        let (moved, kept) =
            (share(&|low, _| low + one > 0.0), share(&|low, high| low > -both && high < both));
        assert!((0.73..0.93).contains(&moved) && (0.73..0.93).contains(&kept), "{seeds}: {moved} {kept}");
        // The price of the pigeonhole bootstrap: where seeds do not differ, too much is held.
        let held = share(&|low, high| low <= 0.0 && 0.0 <= high);
        assert!(if seeds == 1 { (0.90..0.98).contains(&held) } else { held > 0.96 }, "{seeds}: {held}");
    }
}

/// The same where the range, not the spread, sets the interval's width.
#[test]
fn the_detectable_difference_is_seen_where_the_spread_is_small() {
    let bootstrap = Bootstrap::default();
    let mut normal = normal(17, "small spread");
    let (trials, range) = (300_u32, Some((-1.0, 1.0)));
    let mut detectable = 0.0;
    let mut all = Vec::new();
    for _ in 0..trials {
        let values = vec![(0..60).map(|_| normal(0.05)).collect::<Vec<f64>>()];
        detectable += power(&values, range, 0.1, Ends::One).unwrap().detectable / f64::from(trials);
        all.push(values);
    }
    let seen = |values: &Vec<Vec<f64>>| {
        let moved = vec![values[0].iter().map(|v| v + detectable).collect()];
        bootstrap.mean(&moved, range).unwrap().low > 0.0
    };
    let share = all.iter().filter(|values| seen(values)).count() as f64 / f64::from(trials);
    assert!((0.73..0.87).contains(&share), "{share} at {detectable}");
}

/// Few seeds are few: where seeds differ as much as this, the interval of one holds the truth in 56% of cases, that of two
/// in 88%, that of five in 91% (of 200, so give or take 3).
#[test]
fn how_often_the_interval_holds_the_truth_about_all_seeds() {
    let bootstrap = Bootstrap::default();
    let mut normal = normal(11, "seeds");
    let trials = 200;
    let mut held = |seeds: usize| {
        let mut held = 0;
        for _ in 0..trials {
            let problems: Vec<f64> = (0..200).map(|_| normal(0.2)).collect();
            let mut seed = || {
                let shift = normal(0.05);
                problems.iter().map(|p| p + shift + normal(0.2)).collect::<Vec<f64>>()
            };
            let values: Vec<Vec<f64>> = (0..seeds).map(|_| seed()).collect();
            let e = bootstrap.mean(&values, None).unwrap();
            held += usize::from(e.low <= 0.0 && 0.0 <= e.high);
        }
        held as f64 / trials as f64
    };
    let found = [1, 2, 5].map(&mut held);
    let promised = [0.48..0.64, 0.82..0.94, 0.86..0.97];
    assert!(found.iter().zip(&promised).all(|(f, p)| p.contains(f)), "{found:?}");
}

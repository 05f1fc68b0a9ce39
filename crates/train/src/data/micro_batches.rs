//! Gradient accumulation: a batch goes through the model in micro-batches.

use std::ops::Range;

/// Divides sequences of these lengths into ranges of at most `limit` tokens, in order. A longer sequence is a range of
/// its own.
pub(crate) fn micro_batches(lengths: impl Iterator<Item = usize>, limit: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut tokens, mut end) = (0, 0, 0);
    for length in lengths {
        if end > start && tokens + length > limit {
            ranges.push(start..end);
            (start, tokens) = (end, 0);
        }
        tokens += length;
        end += 1;
    }
    if end > start {
        ranges.push(start..end);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micro_batches_keep_the_order_and_the_limit() {
        let ranges = |lengths: &[usize]| micro_batches(lengths.iter().copied(), 10);
        assert_eq!(ranges(&[4, 4, 4, 10, 12, 1]), [0..2, 2..3, 3..4, 4..5, 5..6]);
        assert!(ranges(&[]).is_empty());
    }
}

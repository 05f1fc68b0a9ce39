//! Packing documents into rows.
//!
//! Rows are filled in the order of the documents and closed when the next one does not fit: no document
//! is cut, dropped, reordered or padded. Attention never crosses a document, so a row is a container for
//! throughput and nothing else. Rows are what a step is cut into, hence a bound on their length.

/// Documents laid end to end. Example: `[5, 6, 7]` and `[8, 9]` are `tokens = [5, 6, 7, 8, 9]`,
/// `starts = [0, 3, 5]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// All tokens.
    pub tokens: Vec<u32>,
    /// Where each document starts, and the row's length as the last entry.
    pub starts: Vec<u32>,
}

impl Row {
    /// The documents.
    pub fn documents(&self) -> impl Iterator<Item = &[u32]> {
        self.starts.windows(2).map(|w| &self.tokens[w[0] as usize..w[1] as usize])
    }

    fn push(&mut self, document: &[u32]) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.tokens.extend_from_slice(document);
        self.starts.push(self.tokens.len() as u32);
    }
}

/// A document that no row can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("document {document} has {tokens} tokens and a row holds {row}")]
pub struct PackError {
    /// Its number, from 0.
    pub document: u64,
    /// Its length.
    pub tokens: usize,
    /// The longest row.
    pub row: usize,
}

/// Packs documents into rows of at most `row` tokens, lazily and in order. Empty documents stay empty
/// documents. A document longer than a row is an error; the rows before it are still given.
pub fn pack<D>(documents: D, row: usize) -> impl Iterator<Item = Result<Row, PackError>>
where
    D: IntoIterator<Item = Vec<u32>>,
{
    let mut packer = Packer { documents: documents.into_iter(), row, waiting: None, next: 0, ended: false };
    std::iter::from_fn(move || packer.next_row())
}

struct Packer<I> {
    documents: I,
    row: usize,
    /// The document that did not fit into the last row, or the error that ends the rows.
    waiting: Option<Result<Vec<u32>, PackError>>,
    next: u64,
    ended: bool,
}

impl<I: Iterator<Item = Vec<u32>>> Packer<I> {
    fn next_document(&mut self) -> Option<Result<Vec<u32>, PackError>> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        let document = self.documents.next()?;
        self.next += 1;
        if document.len() > self.row {
            return Some(Err(PackError { document: self.next - 1, tokens: document.len(), row: self.row }));
        }
        Some(Ok(document))
    }

    fn next_row(&mut self) -> Option<Result<Row, PackError>> {
        let mut filled = Row::default();
        while !self.ended {
            match self.next_document() {
                None => self.ended = true,
                Some(Ok(document)) if filled.tokens.len() + document.len() <= self.row => {
                    filled.push(&document);
                }
                Some(Err(error)) if filled.starts.is_empty() => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Some(waiting) => {
                    self.waiting = Some(waiting);
                    break;
                }
            }
        }
        if filled.starts.is_empty() { None } else { Some(Ok(filled)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(lengths: &[usize], row: usize) -> Vec<Vec<usize>> {
        let documents = lengths.iter().map(|&n| vec![7; n]);
        pack(documents, row).map(|r| r.expect("fits").documents().map(<[u32]>::len).collect()).collect()
    }

    #[test]
    fn rows_close_when_the_next_document_does_not_fit() {
        assert_eq!(check(&[3, 2, 4, 1, 5], 5), [vec![3, 2], vec![4, 1], vec![5]]);
        assert_eq!(check(&[], 5), Vec::<Vec<usize>>::new());
        assert_eq!(check(&[0, 5, 0], 5), [vec![0, 5, 0]]);
    }

    #[test]
    fn a_document_longer_than_a_row_is_an_error_after_the_rows_before_it() {
        let rows: Vec<_> = pack([vec![1, 2], vec![3; 4], vec![5]], 3).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].as_ref().expect("fits").tokens, [1, 2]);
        let error = rows[1].as_ref().expect_err("too long");
        assert_eq!(error.to_string(), "document 1 has 4 tokens and a row holds 3");
    }

    proptest! {
        #[test]
        fn packing_loses_nothing(documents in prop::collection::vec(
            prop::collection::vec(0u32..9, 0..12), 0..40)) {
            let rows: Vec<Row> = pack(documents.clone(), 12).collect::<Result<_, _>>().expect("all fit");
            let back: Vec<Vec<u32>> =
                rows.iter().flat_map(|r| r.documents().map(<[u32]>::to_vec)).collect();
            prop_assert_eq!(back, documents);
            prop_assert!(rows.iter().all(|r| r.tokens.len() <= 12));
            // Greedy: the first document of a row did not fit into the row before.
            for pair in rows.windows(2) {
                let first = pair[1].documents().next().expect("rows hold a document").len();
                prop_assert!(pair[0].tokens.len() + first > 12);
            }
        }
    }
}

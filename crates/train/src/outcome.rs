//! How work that can be stopped came to its end.

/// How a run, a stage or an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<T = ()> {
    /// Everything is done.
    Finished(T),
    /// It was asked to stop. What is done is saved, and the next call goes on from there.
    Stopped,
}

//! Event files for TensorBoard: every step once, whatever happened on the way.

use std::{fs, path::Path, sync::atomic::AtomicBool};

use tercet_train::tensorboard::TensorBoard;

use crate::{
    resume::{StopAt, work},
    tabular::Fuse,
};

/// The steps that a folder's event files have scalars for, in order.
fn steps(folder: &Path) -> Vec<u64> {
    let mut steps = Vec::new();
    for entry in fs::read_dir(folder).expect("the stage has event files") {
        let bytes = fs::read(entry.expect("readable").path()).expect("readable");
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().expect("eight bytes")) as usize;
            let event = &rest[12..12 + length];
            rest = &rest[16 + length..];
            // The time (nine bytes), then the step (these runs are short: one byte), then what it is.
            if event[9] == 2 << 3 && event[11] == 5 << 3 | 2 {
                steps.push(u64::from(event[10]));
            }
        }
    }
    steps
}

/// The steps of each stage, by name.
fn all_steps(run: &Path) -> Vec<(String, Vec<u64>)> {
    let stages = fs::read_dir(run.join("tensorboard")).expect("there are event files");
    let stage = |path: &Path| {
        let name = path.file_name().expect("a stage").to_string_lossy();
        (name.split('-').next().unwrap_or_default().to_owned(), steps(path))
    };
    let mut all: Vec<_> = stages.map(|entry| stage(&entry.expect("readable").path())).collect();
    all.sort();
    all
}

#[test]
fn every_step_is_there_once_after_a_resume_and_for_stages_done_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path();
    let expected = [("mid", 3), ("pre", 7), ("rl", 5)];
    let expected = expected.map(|(name, steps)| (name.to_owned(), (1..=steps).collect::<Vec<u64>>()));

    // The first stage without event files; then killed in the middle of the last one.
    let stop = AtomicBool::new(false);
    work(run, &Fuse::never(), &mut StopAt { left: 25, stop: &stop }, &stop).expect("stopped in order");
    let (mut ends, mut nobody) = (0, ());
    for uses in [40, 15, u64::MAX] {
        let mut board = TensorBoard::new(run, &mut nobody);
        let ended = work(run, &Fuse::after(uses), &mut board, &AtomicBool::new(false));
        ends += u32::from(ended.is_ok());
        board.finish().expect("the files can be written");
    }
    assert_eq!(ends, 1, "only the last call comes to the end");
    assert_eq!(all_steps(run), expected);

    // Once more, when everything is done: the same again, from the metrics.
    let mut board = TensorBoard::new(run, &mut nobody);
    work(run, &Fuse::after(0), &mut board, &AtomicBool::new(false)).expect("nothing to do");
    assert_eq!(all_steps(run), expected);
}

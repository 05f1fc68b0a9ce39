//! The run folder: the interface between training and everything that looks at it, such as the report, the live page and
//! `tercet compare`.
//!
//! [`records`] describes every file. [`Folder`] reads a whole folder. [`files`], [`lines`] and [`journal`] write and read
//! single files, so that a file under its final name is always whole.
//!
//! Nothing else of the project is needed to write a run that `tercet report` reads, or to read one that it wrote:
//!
//! ```
//! use std::collections::BTreeMap;
//! use tercet_runs::journal::Journal;
//! use tercet_runs::records::{
//!     ArmRun, Band, Cost, EvalRow, FORMAT, Manifest, MetricsRow, StageDone, StageInfo, StageKind,
//! };
//! use tercet_runs::{Folder, Mode, files, lines};
//!
//! # let scratch = tempfile::tempdir()?;
//! # let run = scratch.path().join("mine");
//! let info = StageInfo {
//!     format: FORMAT,
//!     name: "pre".into(),
//!     kind: StageKind::PreTraining,
//!     // A hash of everything that determines the stage.
//!     key: "0123456789abcdef".into(),
//!     parent: None,
//!     seed: 1,
//!     steps: 1,
//!     tokens: 4096,
//!     parameters: 830_000,
//! };
//! let stage = run.join("stages").join(info.folder());
//! files::make_folder(&stage.join("evals"))?;
//! files::write_json(&run.join("manifest.json"), &Manifest {
//!     format: FORMAT,
//!     name: "mine".into(),
//!     question: "Does it read?".into(),
//!     command: "my-program".into(),
//!     recipe_hash: "00ff".into(),
//!     revision: "1.0".into(),
//!     bands: vec![Band { name: "easy".into(), from: 2, to: 3 }],
//!     runs: vec![ArmRun { arm: "main".into(), seed: 1, stages: vec![info.folder()] }],
//!     engines: Vec::new(),
//! })?;
//! files::write_json(&stage.join("stage.json"), &info)?;
//!
//! let mut metrics = Journal::open(&stage.join("metrics.jsonl"), 0)?;
//! metrics.push(&MetricsRow { step: 1, values: BTreeMap::from([("loss".into(), Some(2.5))]) })?;
//! metrics.sync()?;
//!
//! let row = EvalRow {
//!     problem: 0,
//!     op: 2,
//!     context: "zoo".into(),
//!     mode: Mode::Forward,
//!     n: 4,
//!     verified: 3,
//!     correct: 3,
//!     truncated: 0,
//!     process_acc: 0.875,
//!     tokens: 21.5,
//!     answers: BTreeMap::from([("7".into(), 3), ("8".into(), 1)]),
//!     answer: "7".into(),
//!     first_faults: BTreeMap::from([("wrong-answer".into(), 1)]),
//!     gold_nll: Some(0.4),
//! };
//! lines::write(&stage.join("evals/main.jsonl.gz"), &[row.clone()])?;
//!
//! // Last: a stage without it is not finished.
//! let (cost, weights_hash) = (Cost { trained_tokens: 4096, ..Cost::default() }, String::new());
//! files::write_json(&stage.join("done.json"), &StageDone { format: FORMAT, steps: 1, cost, weights_hash })?;
//!
//! let folder = Folder::read(&run)?;
//! let read = &folder.stages[&info.folder()];
//! assert_eq!((read.series("loss"), &read.evals["main"]), (vec![(1.0, 2.5)], &vec![row]));
//! assert!(read.done.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod checkpoints;
mod claim;
pub mod error;
pub mod files;
mod folder;
pub mod journal;
mod judgement;
mod left_out;
pub mod lines;
pub mod locks;
mod metric;
mod named;
pub mod ops;
pub mod records;
mod suite;

pub use claim::{Claim, Matched, MatchedBy, Point, Relation, Side};
pub use error::FileError;
pub use folder::{Folder, RecipeFile, Stage, series};
pub use judgement::Judgement;
pub use left_out::LeftOut;
pub use locks::{Lock, Locks, Process};
pub use metric::{Faults, Metric, draws};
pub use named::named;
pub use ops::OpList;
/// What a problem asks for, as [`records::EvalRow`] has it.
pub use problems::gold::Mode;
pub use suite::{Evaluation, SuiteConfig};

//! Checkpoints that travel in pieces, where driver and worker share no disk.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use learner::LearnerError;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::message::Message;

/// Bytes of a piece.
const PIECE: usize = 1 << 26;

/// A folder on the worker's disk. It is removed in the end.
pub(crate) struct Transfer<'a> {
    connection: &'a Connection,
    number: u64,
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> LearnerError {
    LearnerError::Checkpoint { path: path.display().to_string(), reason: reason.to_string() }
}

impl Transfer<'_> {
    pub(crate) fn new(connection: &Connection) -> Transfer<'_> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Transfer { connection, number: NUMBER.fetch_add(1, Ordering::Relaxed) }
    }

    /// What names it in a request.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Sends the files of a model's folder.
    pub(crate) fn send(&self, dir: &Path) -> Result<(), LearnerError> {
        let entries = fs::read_dir(dir).map_err(|e| failed(dir, e))?;
        for entry in entries {
            let path = entry.map_err(|e| failed(dir, e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let belongs = path.extension().is_some_and(|end| end == "json" || end == "safetensors");
            if !belongs || name.starts_with('.') || !path.is_file() {
                continue;
            }
            let mut file = File::open(&path).map_err(|e| failed(&path, e))?;
            let mut at = 0;
            loop {
                let mut piece = Vec::new();
                (&mut file).take(PIECE as u64).read_to_end(&mut piece).map_err(|e| failed(&path, e))?;
                if piece.is_empty() && at > 0 {
                    break;
                }
                let last = piece.len() < PIECE;
                let sent = piece.len();
                let head = json!({"verb": "put", "transfer": self.number, "name": name, "at": at});
                self.connection.ask(&Message::new(head).bytes("bytes", piece))?;
                at += sent;
                if last {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Fetches the files that the worker has saved: the names and lengths of its answer.
    pub(crate) fn receive(&self, files: &Value, dir: &Path) -> Result<(), LearnerError> {
        let nonsense = || self.connection.lose("its list of files makes no sense");
        let files = files.as_object().filter(|files| !files.is_empty()).ok_or_else(nonsense)?;
        fs::create_dir_all(dir).map_err(|e| failed(dir, e))?;
        for (name, length) in files {
            let length = length.as_u64().ok_or_else(nonsense)? as usize;
            if Path::new(name).file_name() != Some(name.as_ref()) || name.starts_with('.') {
                return Err(nonsense());
            }
            self.file(name, length, &dir.join(name))?;
        }
        Ok(())
    }

    /// Fetches one file: under another name, flushed, then renamed.
    fn file(&self, name: &str, length: usize, path: &Path) -> Result<(), LearnerError> {
        let partial = path.with_file_name(format!("{name}.partial"));
        let mut file = File::create(&partial).map_err(|e| failed(&partial, e))?;
        let mut at = 0;
        while at < length {
            let bytes = PIECE.min(length - at);
            let head =
                json!({"verb": "get", "transfer": self.number, "name": name, "at": at, "bytes": bytes});
            let answer = self.connection.ask(&Message::new(head))?;
            let piece = answer.bytes("bytes", bytes).map_err(|e| self.connection.lose(&e))?;
            file.write_all(&piece).map_err(|e| failed(&partial, e))?;
            at += bytes;
        }
        file.sync_all().map_err(|e| failed(&partial, e))?;
        fs::rename(&partial, path).map_err(|e| failed(path, e))
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        // What stays behind is removed with the worker's session.
        let _ = self.connection.ask(&Message::new(json!({"verb": "forget", "transfer": self.number})));
    }
}

//! Makes learners on a worker.

use std::path::Path;
use std::sync::Arc;

use learner::{Learner, LearnerError, LearnerFactory, ModelConfig};
use serde_json::json;

use crate::connection::{Connection, Limits, Worker};
use crate::launch::Launch;
use crate::learner::RemoteLearner;
use crate::message::Message;
use crate::transfer::Transfer;

/// Makes learners that live on a worker.
pub struct RemoteFactory {
    connection: Arc<Connection>,
    /// Makes fresh weights, so that all engines start from the same bits.
    fresh: Box<dyn LearnerFactory>,
    /// The token that ends a response of an opened model, instead of the one that its `config.json` names.
    pub eos: Option<u32>,
}

impl RemoteFactory {
    /// Starts a worker on this machine. It ends with the last of the factory and its learners.
    ///
    /// # Errors
    /// If the worker cannot be started or does not answer in time.
    pub fn launch(
        launch: &Launch,
        limits: Limits,
        fresh: Box<dyn LearnerFactory>,
    ) -> Result<Self, LearnerError> {
        let token = random_token()?;
        let (process, url) = launch.start(&token, limits.start)?;
        let connection = Connection::open(&url, &token, limits, Some(process))?;
        Ok(Self { connection: Arc::new(connection), fresh, eos: None })
    }

    /// Connects to a worker that runs, at `http://HOST:PORT`.
    ///
    /// # Errors
    /// If it does not answer in time, refuses the token, or serves another driver.
    pub fn connect(
        url: &str,
        token: &str,
        limits: Limits,
        fresh: Box<dyn LearnerFactory>,
    ) -> Result<Self, LearnerError> {
        let connection = Connection::open(url, token, limits, None)?;
        Ok(Self { connection: Arc::new(connection), fresh, eos: None })
    }

    /// What the worker says of itself.
    pub fn worker(&self) -> &Worker {
        self.connection.worker()
    }

    fn open_here(&self, dir: &Path) -> Result<RemoteLearner, LearnerError> {
        let mut head = json!({"verb": "open", "eos": self.eos});
        let transfer = place(&self.connection, dir, &mut head)?;
        if let Some(transfer) = &transfer {
            transfer.send(dir)?;
        }
        let answer = self.connection.ask(&Message::new(head))?;
        RemoteLearner::new(Arc::clone(&self.connection), &answer)
    }
}

/// Says in a request where a checkpoint is: in a folder that both see, or in a transfer.
pub(crate) fn place<'a>(
    connection: &'a Connection,
    dir: &Path,
    head: &mut serde_json::Value,
) -> Result<Option<Transfer<'a>>, LearnerError> {
    if !connection.shares_disk() {
        let transfer = Transfer::new(connection);
        head["transfer"] = json!(transfer.number());
        return Ok(Some(transfer));
    }
    let failed = |reason: String| LearnerError::Checkpoint { path: dir.display().to_string(), reason };
    let path = std::path::absolute(dir).map_err(|e| failed(e.to_string()))?;
    let path = path.to_str().ok_or_else(|| failed("its name is no text".to_owned()))?;
    head["folder"] = json!(path);
    Ok(None)
}

impl LearnerFactory for RemoteFactory {
    fn fresh(&self, model: &ModelConfig, seed: [u8; 32]) -> Result<Box<dyn Learner>, LearnerError> {
        let failed = |e: std::io::Error| LearnerError::Checkpoint {
            path: std::env::temp_dir().display().to_string(),
            reason: e.to_string(),
        };
        let dir = tempfile::tempdir().map_err(failed)?;
        self.fresh.fresh(model, seed)?.save(dir.path(), false)?;
        Ok(Box::new(self.open_here(dir.path())?))
    }

    fn open(&self, dir: &Path) -> Result<Box<dyn Learner>, LearnerError> {
        Ok(Box::new(self.open_here(dir)?))
    }
}

/// A token for a worker of one's own.
fn random_token() -> Result<String, LearnerError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| LearnerError::Request(format!("this machine has no random numbers: {e}")))?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}

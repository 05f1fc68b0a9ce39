//! The connection to a worker. Every exchange is bounded in size and time; once anything is wrong the worker counts as
//! lost, and is not asked again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use learner::LearnerError;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::StatusCode;

use crate::launch::Process;
use crate::message::{Answer, Message};

/// The version of the protocol. It goes up whenever a message means something else than before.
pub const PROTOCOL: u64 = 1;

/// Longest that the worker keeps a request open before it says that it is still at work.
const WAIT: Duration = Duration::from_secs(5);

/// The same for requests whose progress is shown.
const WAIT_SHORT: Duration = Duration::from_millis(250);

/// Bytes a second that a connection has at least: large messages get more time.
const SLOWEST: u64 = 4 << 20;

/// How long a worker may take, and how much it may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start of a worker to its first answer. Importing torch can take long on a network disk.
    pub start: Duration,
    /// Without any sign of life, beyond the time that a message of its size takes.
    pub silence: Duration,
    /// For one request as a whole.
    pub request: Duration,
    /// The largest message, in bytes. The worker has the same limit.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: Duration::from_mins(5),
            silence: Duration::from_mins(1),
            request: Duration::from_hours(1),
            bytes: 1 << 30,
        }
    }
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Worker {
    /// Number of processes.
    pub workers: u64,
    /// What rank 0 computes on, e.g. `cpu` or `NVIDIA H200`.
    pub device: String,
    /// The arithmetic: `f32`, or `bf16` under autocast. Weights are f32 either way.
    pub precision: String,
    /// Versions of what it runs on, by name.
    pub versions: BTreeMap<String, String>,
    /// Bytes of memory of the device of rank 0, if the worker says so.
    #[serde(default)]
    pub memory: Option<u64>,
}

/// A worker that said hello.
pub(crate) struct Connection {
    agent: Agent,
    url: String,
    token: String,
    session: String,
    limits: Limits,
    worker: Worker,
    /// Tells this worker from others of this process.
    number: u64,
    /// Whether the worker's files are files here.
    shares_disk: bool,
    /// Why the worker is lost, once it is.
    lost: Mutex<Option<String>>,
    /// The worker, where this process started it. It ends with the connection.
    process: Option<Process>,
}

impl Connection {
    /// Says hello.
    pub(crate) fn open(
        url: &str,
        token: &str,
        limits: Limits,
        process: Option<Process>,
    ) -> Result<Connection, LearnerError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let url = url.trim_end_matches('/').to_owned();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The worker frees itself when the connection ends, so there is one, and it stays.
            .max_idle_connections(1)
            .max_idle_age(Duration::from_secs(1 << 30))
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(limits.silence))
            .build();
        let mut connection = Connection {
            agent: config.into(),
            shares_disk: process.is_some() || on_this_machine(&url),
            url,
            token: token.to_owned(),
            session: String::new(),
            limits,
            worker: Worker {
                workers: 0,
                device: String::new(),
                precision: String::new(),
                versions: BTreeMap::new(),
                memory: None,
            },
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            lost: Mutex::new(None),
            process,
        };
        let hello = Message::new(json!({"protocol": PROTOCOL})).encode()?;
        let (_, answer) = connection.exchange("hello", &hello, WAIT)?;
        let described = Worker::deserialize(&answer.head);
        let (Some(session), Ok(worker)) = (answer.text("session"), described) else {
            return Err(connection.lose("its answer to the greeting makes no sense"));
        };
        if answer.number("protocol") != Ok(PROTOCOL) {
            let theirs = answer.head.get("protocol").unwrap_or(&Value::Null);
            return Err(connection.lose(&format!("it speaks protocol {theirs}, and this program {PROTOCOL}")));
        }
        session.clone_into(&mut connection.session);
        connection.worker = worker;
        Ok(connection)
    }

    pub(crate) fn worker(&self) -> &Worker {
        &self.worker
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn shares_disk(&self) -> bool {
        self.shares_disk
    }

    /// Asks for something and waits until it is done.
    pub(crate) fn ask(&self, message: &Message) -> Result<Answer, LearnerError> {
        self.ask_with_progress(message, WAIT, &mut |_| {})
    }

    /// The same; `progress` is told of the samples that are finished, by length.
    pub(crate) fn sample(
        &self,
        message: &Message,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Answer, LearnerError> {
        self.ask_with_progress(message, WAIT_SHORT, progress)
    }

    fn ask_with_progress(
        &self,
        message: &Message,
        wait: Duration,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Answer, LearnerError> {
        let body = message.encode()?;
        if body.len() as u64 > self.limits.bytes {
            let (found, most) = (body.len(), self.limits.bytes);
            return Err(LearnerError::Request(format!(
                "a request of {found} bytes is too large for the worker, the most are {most}: lower `micro_tokens`"
            )));
        }
        let empty = Message::new(json!({})).encode()?;
        let (mut place, mut body) = ("do", &body);
        // Each turn takes as long as the worker waits; one that waits less than it should runs out of turns.
        let turns = (self.limits.request.as_millis() / wait.as_millis()).max(1);
        for _ in 0..turns {
            let (status, answer) = self.exchange(place, body, wait)?;
            if status != StatusCode::ACCEPTED {
                return Ok(answer);
            }
            for length in answer.head.get("progress").and_then(Value::as_array).into_iter().flatten() {
                progress(length.as_u64().unwrap_or(0) as usize);
            }
            (place, body) = ("wait", &empty);
        }
        let seconds = self.limits.request.as_secs_f64();
        Err(self.lose(&format!("a request was not done within {seconds:.0} s")))
    }

    /// One request and its answer.
    fn exchange(
        &self,
        place: &str,
        body: &[u8],
        wait: Duration,
    ) -> Result<(StatusCode, Answer), LearnerError> {
        if let Some(why) = &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(LearnerError::Lost(why.clone()));
        }
        let time_for = |bytes: u64| Some(self.limits.silence + Duration::from_secs(bytes / SLOWEST));
        let request = self
            .agent
            .post(format!("{}/{place}", self.url))
            .config()
            .timeout_send_body(time_for(body.len() as u64))
            .timeout_recv_response(Some(self.limits.silence + wait))
            .timeout_recv_body(time_for(self.limits.bytes))
            .build()
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Tercet-Session", &self.session)
            .header("Tercet-Wait", format!("{:.3}", wait.as_secs_f64()));
        let mut response = request.send(body).map_err(|e| self.lose(&plain(&e)))?;
        let status = response.status();
        let content = response.body_mut().with_config().limit(self.limits.bytes).read_to_vec();
        let content = content.map_err(|e| self.lose(&plain(&e)))?;
        let answer = Answer::decode(content).map_err(|e| self.lose(&e))?;
        match (status, answer.text("error")) {
            (StatusCode::OK | StatusCode::ACCEPTED, None) => Ok((status, answer)),
            (_, Some(kind)) => Err(self.refusal(kind, &answer)),
            (other, None) => Err(self.lose(&format!("it answered with status {other}"))),
        }
    }

    /// The error that the worker named.
    fn refusal(&self, kind: &str, answer: &Answer) -> LearnerError {
        let message = answer.text("message").unwrap_or("no reason given").to_owned();
        match kind {
            "request" => LearnerError::Request(message),
            "memory" => LearnerError::Memory(message),
            "checkpoint" => {
                let path = answer.text("path").unwrap_or_default().to_owned();
                LearnerError::Checkpoint { path, reason: message }
            }
            "busy" | "token" => self.lose(&format!("it refuses to work: {message}")),
            _ => self.lose(&format!("it failed: {message}")),
        }
    }

    /// Gives the worker up.
    pub(crate) fn lose(&self, why: &str) -> LearnerError {
        let mut why = format!("the worker at {}: {why}", self.url);
        if let Some(process) = &self.process {
            why += &process.last_words();
        }
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.clone());
        LearnerError::Lost(why)
    }
}

/// Whether an address is this machine's own.
fn on_this_machine(url: &str) -> bool {
    let host = url.trim_start_matches("http://");
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| host.strip_prefix(own).is_some_and(ends_there))
}

fn ends_there(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(':')
}

/// An error of the connection in words.
fn plain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::BodyExceedsLimit(most) => format!("an answer of more than {most} bytes"),
        ureq::Error::Io(e) => format!("the connection broke ({e})"),
        other => format!("the connection broke ({other})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_share_the_disk() {
        for url in ["http://127.0.0.1:80", "http://localhost", "http://[::1]:9"] {
            assert!(on_this_machine(url), "{url}");
        }
        for url in ["http://127.0.0.11:80", "http://localhost.example:80", "http://10.0.0.1:80"] {
            assert!(!on_this_machine(url), "{url}");
        }
    }
}

//! A worker without a model: it speaks the protocol over a socket and misbehaves on demand.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use learner::{Learner, LearnerError, LearnerFactory, ModelConfig};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Value, json};
use tercet_remote::{Limits, PROTOCOL, RemoteFactory};

/// A request as the worker gets it.
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) head: Value,
    /// Shapes of its tensors, by name.
    pub(crate) shapes: HashMap<String, Vec<usize>>,
}

impl Request {
    pub(crate) fn verb(&self) -> &str {
        self.head["verb"].as_str().unwrap_or("")
    }
}

/// What the worker does with a request.
pub(crate) enum Reply {
    /// An answer with this status.
    Say(u16, Vec<u8>),
    /// The beginning of an answer of this many bytes; then the connection ends.
    Half(usize, Vec<u8>),
    /// The connection ends.
    Die,
    /// Nothing, for longer than anyone waits.
    Hang,
}

impl Reply {
    pub(crate) fn ok(head: &Value, tensors: &[(&str, Dtype, &[usize])]) -> Reply {
        Reply::Say(200, message(head, tensors))
    }
}

/// A message whose tensors are zeros.
pub(crate) fn message(head: &Value, tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let size = |dtype: &Dtype, shape: &[usize]| shape.iter().product::<usize>() * dtype.bitsize() / 8;
    let zeros: Vec<Vec<u8>> = tensors.iter().map(|(_, dtype, shape)| vec![0; size(dtype, shape)]).collect();
    let views = tensors.iter().zip(&zeros).map(|((name, dtype, shape), zeros)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), zeros).expect("a view"))
    });
    let metadata = HashMap::from([("head".to_owned(), head.to_string())]);
    safetensors::serialize(views, Some(metadata)).expect("a message")
}

/// What an honest worker says to a request, for a model of 10 tokens of which 9 ends a sample.
pub(crate) fn honest(request: &Request) -> Reply {
    let count = request.shapes.get("tokens").or(request.shapes.get("gradient")).map_or(0, |shape| shape[0]);
    let scores = [("logprobs", Dtype::F32, &[count][..]), ("entropy", Dtype::F32, &[count])];
    let divergence = ("divergence", Dtype::F32, &[count][..]);
    let head = json!({});
    match (request.path.as_str(), request.verb()) {
        ("/hello", _) => Reply::ok(&hello(), &[]),
        (_, "open") => Reply::ok(&json!({"model": 1, "vocab": 10, "parameters": 100, "eos": 9}), &[]),
        (_, "forward") => Reply::ok(&head, &scores),
        (_, "backward") => Reply::ok(&head, &[divergence]),
        (_, "forward_backward") => Reply::ok(&head, &[scores[0], scores[1], divergence]),
        (_, "logprobs") => Reply::ok(&head, &scores[..1]),
        (_, "distributions") => Reply::ok(&json!({"held": 7}), &[]),
        (_, "optim_step") => Reply::ok(&json!({"applied": true}), &[("grad_norm", Dtype::F64, &[1])]),
        (_, "sample") => {
            let shape = &request.shapes["uniforms"][..];
            let tensors = [
                ("tokens", Dtype::I32, shape),
                ("logprobs", Dtype::F32, shape),
                ("lengths", Dtype::I32, &shape[..1]),
            ];
            Reply::ok(&head, &tensors)
        }
        (_, "save") => {
            let folder = Path::new(request.head["folder"].as_str().expect("a folder"));
            std::fs::create_dir_all(folder).expect("a folder");
            std::fs::write(folder.join("model.safetensors"), "weights").expect("writable");
            Reply::ok(&head, &[])
        }
        _ => Reply::ok(&head, &[]),
    }
}

/// The answer to the greeting.
pub(crate) fn hello() -> Value {
    json!({
        "protocol": PROTOCOL, "session": "s1", "workers": 2, "device": "cpu", "precision": "f32",
        "versions": {"torch": "2.15"},
    })
}

/// A worker in a thread. `act` answers every request; the verbs that it saw come back by the channel.
pub(crate) fn worker(act: impl FnMut(&Request) -> Reply + Send + 'static) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, seen) = channel();
    thread::spawn(move || {
        let mut act = act;
        for stream in listener.incoming().map_while(Result::ok) {
            serve(&stream, &mut act, &sender);
        }
    });
    (url, seen)
}

/// Answers the requests of one connection until it ends.
fn serve(stream: &TcpStream, act: &mut impl FnMut(&Request) -> Reply, seen: &Sender<String>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let name = if request.verb().is_empty() { &request.path } else { request.verb() };
        let _ = seen.send(name.to_owned());
        let (status, length, body) = match act(&request) {
            Reply::Say(status, body) => (status, body.len(), body),
            Reply::Half(length, body) => (200, length, body),
            Reply::Die => return,
            Reply::Hang => {
                thread::sleep(Duration::from_secs(20));
                return;
            }
        };
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n");
        let mut out = stream;
        if out.write_all(head.as_bytes()).and_then(|()| out.write_all(&body)).is_err() || length != body.len()
        {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let (_, metadata) = SafeTensors::read_metadata(&body).expect("a message");
    let head = serde_json::from_str(&metadata.metadata().as_ref()?["head"]).expect("JSON");
    let tensors = SafeTensors::deserialize(&body).expect("a message");
    let shapes = tensors.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
    Some(Request { path, headers, head, shapes })
}

/// Makes no weights: the tests open models.
struct NoFresh;

impl LearnerFactory for NoFresh {
    fn fresh(&self, _: &ModelConfig, _: [u8; 32]) -> Result<Box<dyn Learner>, LearnerError> {
        Err(LearnerError::Request("no fresh weights here".to_owned()))
    }

    fn open(&self, _: &Path) -> Result<Box<dyn Learner>, LearnerError> {
        Err(LearnerError::Request("no models here".to_owned()))
    }
}

/// Limits that a test can wait for.
pub(crate) fn limits() -> Limits {
    Limits {
        start: Duration::from_secs(10),
        silence: Duration::from_millis(300),
        request: Duration::from_secs(10),
        bytes: 1 << 16,
    }
}

/// Connects to a worker.
pub(crate) fn connect(url: &str, limits: Limits) -> Result<RemoteFactory, LearnerError> {
    RemoteFactory::connect(url, "secret", limits, Box::new(NoFresh))
}

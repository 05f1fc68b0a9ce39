//! Messages: a safetensors file whose metadata has a JSON head.

use std::collections::HashMap;

use learner::{Batch, LearnerError};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;

/// The key of the metadata that holds the head.
const HEAD: &str = "head";

/// A message on its way to the worker.
pub(crate) struct Message {
    head: Value,
    tensors: Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Message {
    pub(crate) fn new(head: Value) -> Message {
        Message { head, tensors: Vec::new() }
    }

    /// Adds to the head.
    pub(crate) fn say(mut self, key: &str, value: Value) -> Message {
        self.head[key] = value;
        self
    }

    /// The tokens and starts of a batch.
    pub(crate) fn batch(self, batch: &Batch) -> Message {
        self.whole("tokens", &batch.tokens_T).whole("starts", &batch.starts_S)
    }

    /// Whole numbers below 2³¹.
    pub(crate) fn whole(self, name: &'static str, values: &[u32]) -> Message {
        let bytes = values.iter().flat_map(|v| (*v as i32).to_le_bytes()).collect();
        self.with(name, Dtype::I32, vec![values.len()], bytes)
    }

    pub(crate) fn floats(self, name: &'static str, shape: Vec<usize>, values: &[f32]) -> Message {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.with(name, Dtype::F32, shape, bytes)
    }

    pub(crate) fn doubles(self, name: &'static str, shape: Vec<usize>, values: &[f64]) -> Message {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.with(name, Dtype::F64, shape, bytes)
    }

    pub(crate) fn bytes(self, name: &'static str, bytes: Vec<u8>) -> Message {
        let shape = vec![bytes.len()];
        self.with(name, Dtype::U8, shape, bytes)
    }

    fn with(mut self, name: &'static str, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Message {
        self.tensors.push((name, dtype, shape, bytes));
        self
    }

    /// The bytes to send.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, LearnerError> {
        let unsendable = |e: safetensors::SafeTensorError| LearnerError::Request(format!("{e}"));
        let mut views = Vec::new();
        for (name, dtype, shape, bytes) in &self.tensors {
            views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(unsendable)?));
        }
        let metadata = HashMap::from([(HEAD.to_owned(), self.head.to_string())]);
        safetensors::serialize(views, Some(metadata)).map_err(unsendable)
    }
}

/// A message from the worker. What does not fit what was asked for is nonsense: its errors are sentences about that.
pub(crate) struct Answer {
    pub(crate) head: Value,
    body: Vec<u8>,
}

impl Answer {
    /// Reads the bytes of a message.
    pub(crate) fn decode(body: Vec<u8>) -> Result<Answer, String> {
        let broken = |e: &dyn std::fmt::Display| format!("the answer is no message ({e})");
        let (_, metadata) = SafeTensors::read_metadata(&body).map_err(|e| broken(&e))?;
        let head = metadata.metadata().as_ref().and_then(|all| all.get(HEAD));
        let head = head.ok_or_else(|| broken(&"it has no head"))?;
        let head = serde_json::from_str(head).map_err(|e| broken(&e))?;
        SafeTensors::deserialize(&body).map_err(|e| broken(&e))?;
        Ok(Answer { head, body })
    }

    /// A text of the head.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.head.get(key)?.as_str()
    }

    /// A whole number of the head.
    pub(crate) fn number(&self, key: &str) -> Result<u64, String> {
        let number = self.head.get(key).and_then(Value::as_u64);
        number.ok_or_else(|| format!("the answer has no number `{key}`"))
    }

    fn tensor<T>(
        &self,
        name: &str,
        (dtype, shape): (Dtype, &[usize]),
        read: impl Fn(&[u8]) -> T,
    ) -> Result<Vec<T>, String> {
        let tensors = SafeTensors::deserialize(&self.body).map_err(|e| e.to_string())?;
        let view = tensors.tensor(name).map_err(|_| format!("the answer has no `{name}`"))?;
        if view.dtype() != dtype || view.shape() != shape {
            let (found, kind) = (view.shape(), view.dtype());
            return Err(format!("`{name}` is {kind:?} {found:?} instead of {dtype:?} {shape:?}"));
        }
        Ok(view.data().chunks_exact(dtype.bitsize() / 8).map(read).collect())
    }

    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        self.tensor(name, (Dtype::F32, shape), |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    pub(crate) fn doubles(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, String> {
        let read = |b: &[u8]| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        self.tensor(name, (Dtype::F64, shape), read)
    }

    /// Whole numbers from 0 to `most`.
    pub(crate) fn whole(&self, name: &str, shape: &[usize], most: u32) -> Result<Vec<u32>, String> {
        let read = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let values = self.tensor(name, (Dtype::I32, shape), read)?;
        let within = |v: i32| u32::try_from(v).ok().filter(|v| *v <= most);
        let values =
            values.into_iter().map(|v| within(v).ok_or_else(|| format!("`{name}` has {v}, not 0–{most}")));
        values.collect()
    }

    pub(crate) fn bytes(&self, name: &str, len: usize) -> Result<Vec<u8>, String> {
        self.tensor(name, (Dtype::U8, &[len]), |b| b[0])
    }
}

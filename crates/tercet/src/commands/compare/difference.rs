//! What differs first between two files.

use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use anyhow::Context as _;
use runs::lines::Packing;
use safetensors::SafeTensors;
use serde_json::Value;

/// One fragment that names the first difference; `None` for equal files. Where the files name the revisions of the
/// programs that made them, `revisions` takes these out.
pub(super) fn first(
    left: &Path,
    right: &Path,
    revisions: Option<[&str; 2]>,
) -> anyhow::Result<Option<String>> {
    match (left.is_file(), right.is_file()) {
        (true, false) => return Ok(Some("only in the first run".to_owned())),
        (false, true) => return Ok(Some("only in the second run".to_owned())),
        _ => {}
    }
    let [mut a, mut b] = [read(left)?, read(right)?];
    if let Some(revisions) = revisions {
        [a, b] = [(a, revisions[0]), (b, revisions[1])].map(|(file, revision)| without(file, revision));
    }
    if a == b {
        return Ok(None);
    }
    let found = if left.extension().is_some_and(|extension| extension == "safetensors") {
        tensors(&a, &b)
    } else if let Some([a, b]) = texts(left, &a, &b) {
        lines(&a, &b)
    } else {
        None
    };
    Ok(Some(found.unwrap_or_else(|| bytes(&a, &b))))
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A text without the revision of the program that made it.
fn without(file: Vec<u8>, revision: &str) -> Vec<u8> {
    match String::from_utf8(file) {
        Ok(text) if !revision.is_empty() => text.replace(revision, "").into_bytes(),
        Ok(text) => text.into_bytes(),
        Err(other) => other.into_bytes(),
    }
}

/// Both files as text, decompressed; `None` if one is no text.
fn texts(path: &Path, a: &[u8], b: &[u8]) -> Option<[String; 2]> {
    let text = |bytes: &[u8]| io::read_to_string(Packing::of(path).reader(Cursor::new(bytes.to_vec()))).ok();
    Some([text(a)?, text(b)?])
}

fn bytes(a: &[u8], b: &[u8]) -> String {
    let at = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    if at == a.len().min(b.len()) {
        return format!("{} bytes against {}, equal up to there", a.len(), b.len());
    }
    format!("byte {at} differs")
}

fn lines(a: &str, b: &str) -> Option<String> {
    let (mut left, mut right) = (a.lines(), b.lines());
    for n in 1.. {
        return match (left.next(), right.next()) {
            (Some(x), Some(y)) if x == y => continue,
            (Some(x), Some(y)) => Some(line(n, x, y)),
            (Some(_), None) => Some(format!("ends after {} lines in the second run", n - 1)),
            (None, Some(_)) => Some(format!("ends after {} lines in the first run", n - 1)),
            (None, None) => None,
        };
    }
    None
}

/// The first field that differs, named with the step, problem or sample of its row.
fn line(n: usize, x: &str, y: &str) -> String {
    let (Ok(left), Ok(right)) = (serde_json::from_str::<Value>(x), serde_json::from_str::<Value>(y)) else {
        return format!("line {n} differs");
    };
    let row: Vec<String> = ["step", "problem", "sample"]
        .iter()
        .filter_map(|key| Some(format!("{key} {}", left.get(key)?)))
        .collect();
    let place = if row.is_empty() { format!("line {n}") } else { row.join(", ") };
    match field(&left, &right) {
        Some((path, a, b)) if path.is_empty() => format!("{place}: {a} and {b}"),
        Some((path, a, b)) => format!("{place}: {path} is {a} and {b}"),
        None => format!("{place}: written differently"),
    }
}

/// Path and both values of the first difference between two JSON values.
fn field(a: &Value, b: &Value) -> Option<(String, String, String)> {
    let under = |key: &str, (path, x, y): (String, String, String)| {
        (if path.is_empty() { key.to_owned() } else { format!("{key}.{path}") }, x, y)
    };
    match (a, b) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
            for key in keys {
                let side =
                    |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
                if let Some(found) = field(&side(left), &side(right)) {
                    return Some(under(key, found));
                }
            }
            None
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let mut pairs = left.iter().zip(right).enumerate();
            pairs.find_map(|(i, (x, y))| Some(under(&i.to_string(), field(x, y)?)))
        }
        _ if a == b => None,
        _ => Some((String::new(), brief(a), brief(b))),
    }
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The first tensor that differs, and how far apart its values are.
fn tensors(a: &[u8], b: &[u8]) -> Option<String> {
    let (left, right) = (SafeTensors::deserialize(a).ok()?, SafeTensors::deserialize(b).ok()?);
    let mut names: Vec<&str> = left.names().into_iter().chain(right.names()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (Ok(x), Ok(y)) = (left.tensor(name), right.tensor(name)) else {
            return Some(format!("{name} is in one of the runs only"));
        };
        if x.shape() != y.shape() || x.dtype() != y.dtype() {
            return Some(format!(
                "{name} is {:?} {:?} and {:?} {:?}",
                x.dtype(),
                x.shape(),
                y.dtype(),
                y.shape()
            ));
        }
        if x.data() != y.data() {
            return Some(values(name, x.dtype(), x.data(), y.data()));
        }
    }
    None
}

fn values(name: &str, kind: safetensors::Dtype, x: &[u8], y: &[u8]) -> String {
    if kind != safetensors::Dtype::F32 {
        return format!("{name} differs");
    }
    let floats = |data: &[u8]| -> Vec<f32> {
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    };
    let (x, y) = (floats(x), floats(y));
    let different = x.iter().zip(&y).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    let furthest = x.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    format!("{name}: {different} of {} values differ, by at most {furthest:.3e}", x.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metrics_line_is_named_by_step_and_metric() {
        let a = r#"{"step":3,"values":{"loss":1.5,"lr":0.1}}"#;
        let b = r#"{"step":3,"values":{"loss":1.25,"lr":0.1}}"#;
        assert_eq!(lines(a, b), Some("step 3: values.loss is 1.5 and 1.25".to_owned()));
        assert_eq!(lines(&format!("{a}\n{b}"), a), Some("ends after 1 lines in the second run".to_owned()));
        assert_eq!(lines("x", "y"), Some("line 1 differs".to_owned()));
    }

    #[test]
    fn other_files_are_told_apart_by_the_byte() {
        assert_eq!(bytes(b"abc", b"abd"), "byte 2 differs");
        assert_eq!(bytes(b"abc", b"ab"), "3 bytes against 2, equal up to there");
    }

    #[test]
    fn tensors_are_told_apart_by_name_and_distance() {
        let file = |value: f32| {
            let data: Vec<u8> = [1.0, value].iter().flat_map(|v: &f32| v.to_le_bytes()).collect();
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &data);
            safetensors::serialize([("w", view.expect("two floats"))], None).expect("serialises")
        };
        assert_eq!(tensors(&file(2.0), &file(2.0)), None);
        let told = tensors(&file(2.0), &file(2.5)).expect("they differ");
        assert_eq!(told, "w: 1 of 2 values differ, by at most 5.000e-1");
    }
}

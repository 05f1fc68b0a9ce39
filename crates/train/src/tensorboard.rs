//! Event files for TensorBoard, beside `metrics.jsonl`, which stays the record. The format is a sequence of
//! length-prefixed protobuf messages with CRC-32C checksums; the few fields that scalars need are written
//! here by hand rather than with a protobuf library.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use crate::{
    files::{self, FileError},
    records::{MetricsRow, StageInfo},
    stopwatch,
    watch::{Event, Watch},
};

/// Writes the metrics of every step to `FOLDER/STAGE/events.out.tfevents.*` and passes all events on.
pub struct TensorBoard<'a> {
    folder: PathBuf,
    inner: &'a mut dyn Watch,
    writers: BTreeMap<String, BufWriter<File>>,
    failure: Option<FileError>,
}

impl<'a> TensorBoard<'a> {
    /// Nothing is written before the first step.
    pub fn new(folder: &Path, inner: &'a mut dyn Watch) -> Self {
        Self { folder: folder.to_owned(), inner, writers: BTreeMap::new(), failure: None }
    }

    /// Closes the files.
    ///
    /// # Errors
    /// The first thing that could not be written. It did not stop the run.
    pub fn finish(mut self) -> Result<(), FileError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        for (name, writer) in &mut self.writers {
            writer.flush().map_err(files::failed(&self.folder.join(name), "write"))?;
        }
        Ok(())
    }

    fn step(&mut self, info: &StageInfo, rows: [&MetricsRow; 2]) -> Result<(), FileError> {
        let name = format!("{}-{}", info.name, info.key.get(..10).unwrap_or(&info.key));
        let folder = self.folder.join(&name);
        let wrong = || files::failed(&folder, "write");
        let now = stopwatch::wall_seconds();
        if !self.writers.contains_key(&name) {
            files::make_folder(&folder)?;
            let file = folder.join(format!("events.out.tfevents.{:010}.tercet", now as u64));
            let file = File::options().create(true).append(true).open(file).map_err(wrong())?;
            let mut writer = BufWriter::new(file);
            record(&mut writer, &version_event(now)).map_err(wrong())?;
            self.writers.insert(name.clone(), writer);
        }
        let Some(writer) = self.writers.get_mut(&name) else { return Ok(()) };
        for row in rows {
            record(writer, &scalars_event(now, row)).map_err(wrong())?;
        }
        writer.flush().map_err(wrong())
    }
}

impl Watch for TensorBoard<'_> {
    fn on(&mut self, event: Event<'_>) {
        if let Event::Step { info, metrics, timings } = event
            && self.failure.is_none()
        {
            self.failure = self.step(info, [metrics, timings]).err();
        }
        self.inner.on(event);
    }
}

/// `Event { wall_time = 1, file_version = 3 }`
fn version_event(now: f64) -> Vec<u8> {
    let mut event = double(1, now);
    event.extend(bytes(3, b"brain.Event:2"));
    event
}

/// `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }`
fn scalars_event(now: f64, row: &MetricsRow) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, number) in &row.values {
        let mut value = bytes(1, name.as_bytes());
        value.push(2 << 3 | 5);
        value.extend((number.unwrap_or(f64::NAN) as f32).to_le_bytes());
        summary.extend(bytes(1, &value));
    }
    let mut event = double(1, now);
    event.push(2 << 3);
    varint(&mut event, row.step);
    event.extend(bytes(5, &summary));
    event
}

fn double(field: u8, number: f64) -> Vec<u8> {
    let mut out = vec![field << 3 | 1];
    out.extend(number.to_le_bytes());
    out
}

fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![field << 3 | 2];
    varint(&mut out, content.len() as u64);
    out.extend(content);
    out
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Length, its checksum, content, its checksum.
fn record(out: &mut impl Write, content: &[u8]) -> std::io::Result<()> {
    let length = (content.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(crc32c(&length)).to_le_bytes())?;
    out.write_all(content)?;
    out.write_all(&masked(crc32c(content)).to_le_bytes())
}

/// The format masks checksums, since a record may hold checksums itself.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with Castagnoli's polynomial, bit by bit: a few kilobytes a step.
fn crc32c(content: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in content {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of the CRC catalogue.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_step_is_a_record_with_its_scalars() {
        let values = BTreeMap::from([("loss".to_owned(), Some(0.5))]);
        let event = scalars_event(1.0, &MetricsRow { step: 300, values });
        let mut file = Vec::new();
        record(&mut file, &event).expect("memory can be written");
        assert_eq!(file.len(), event.len() + 16);
        let expected = [
            &[0x09][..],
            &1.0_f64.to_le_bytes(),
            &[0x10, 0xac, 0x02, 0x2a, 13, 0x0a, 11, 0x0a, 4],
            b"loss",
            &[0x15],
            &0.5_f32.to_le_bytes(),
        ];
        assert_eq!(event, expected.concat());
    }
}

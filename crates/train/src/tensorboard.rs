//! Event files for TensorBoard, a view of `metrics.jsonl` and `timings.jsonl`, which stay the record. The format
//! is a sequence of length-prefixed protobuf messages with CRC-32C checksums; the few fields that scalars need
//! are written here by hand rather than with a protobuf library.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use runs::{FileError, error::failed, files, lines, records::MetricsRow};

use crate::{
    observer::{Event, Observer},
    stopwatch,
};

/// Writes the metrics of every step to `RUN/tensorboard/STAGE/` and passes all events on. A stage that goes on,
/// or was done before, is written anew from its metrics: no step is there twice, and none is missing.
pub struct TensorBoard<'a> {
    run: PathBuf,
    inner: &'a mut dyn Observer,
    /// The file of the stage that is being trained.
    writer: Option<(PathBuf, BufWriter<File>)>,
    failure: Option<FileError>,
}

impl<'a> TensorBoard<'a> {
    /// For the run in this folder.
    pub fn new(run: &Path, inner: &'a mut dyn Observer) -> Self {
        Self { run: run.to_owned(), inner, writer: None, failure: None }
    }

    /// The first thing that could not be written, if any: it ended the event files, not the run.
    ///
    /// # Errors
    /// As said.
    pub fn finish(self) -> Result<(), FileError> {
        self.failure.map_or(Ok(()), Err)
    }

    fn write(&mut self, event: &Event<'_>) -> Result<(), FileError> {
        match event {
            Event::StageStarted { info, .. } => self.begin(&info.folder()),
            Event::StageKnown { folder, .. } => self.begin(folder),
            Event::Step { metrics, timings, .. } => {
                self.step(stopwatch::wall_seconds(), metrics, Some(timings))
            }
            _ => Ok(()),
        }
    }

    /// Starts a stage's file with the steps that have been taken, as many seconds apart as they took.
    fn begin(&mut self, stage: &str) -> Result<(), FileError> {
        let folder = self.run.join("tensorboard").join(stage);
        files::remove_folder(&folder)?;
        files::make_folder(&folder)?;
        let now = stopwatch::wall_seconds();
        let path = folder.join(format!("events.out.tfevents.{:010}.tercet", now as u64));
        let mut writer = BufWriter::new(File::create(&path).map_err(failed(&path, "write"))?);
        let head =
            record(&mut writer, &version_event(now)).and_then(|()| record(&mut writer, &start_event(now)));
        head.map_err(failed(&path, "write"))?;
        self.writer = Some((path, writer));

        let stage = self.run.join("stages").join(stage);
        let (metrics, timings) = (stage.join("metrics.jsonl"), stage.join("timings.jsonl"));
        if !metrics.is_file() || !timings.is_file() {
            return Ok(());
        }
        let written = fs::metadata(&metrics).and_then(|file| file.modified());
        let written = written.map_err(failed(&metrics, "read"))?;
        let mut at = written.duration_since(UNIX_EPOCH).map_or(now, |since| since.as_secs_f64());
        let timings = lines::read::<MetricsRow>(&timings)?;
        let timings: BTreeMap<u64, MetricsRow> = timings.into_iter().map(|row| (row.step, row)).collect();
        let seconds = |step: u64| timings.get(&step)?.values.get("timing_s/step").copied().flatten();
        let rows = lines::read::<MetricsRow>(&metrics)?;
        at -= rows.iter().filter_map(|row| seconds(row.step)).sum::<f64>();
        for row in &rows {
            at += seconds(row.step).unwrap_or(0.0);
            self.step(at, row, timings.get(&row.step))?;
        }
        Ok(())
    }

    fn step(&mut self, at: f64, metrics: &MetricsRow, timings: Option<&MetricsRow>) -> Result<(), FileError> {
        let Some((path, writer)) = &mut self.writer else { return Ok(()) };
        let values = metrics.values.iter().chain(timings.iter().flat_map(|row| &row.values));
        let written = record(writer, &scalars_event(at, metrics.step, values)).and_then(|()| writer.flush());
        written.map_err(failed(path, "write"))
    }
}

impl Observer for TensorBoard<'_> {
    fn on(&mut self, event: Event<'_>) {
        if self.failure.is_none() {
            self.failure = self.write(&event).err();
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

/// `Event { wall_time = 1, step = 2, session_log = 7 { status = 1: START } }`: a TensorBoard that has read an
/// older file of the stage forgets it.
fn start_event(now: f64) -> Vec<u8> {
    let mut event = double(1, now);
    event.extend([2 << 3, 0]);
    event.extend(bytes(7, &[1 << 3, 1]));
    event
}

/// `Event { wall_time = 1, step = 2, summary = 5 { value = 1 { tag = 1, simple_value = 2 } } }`
fn scalars_event<'v>(
    now: f64,
    step: u64,
    values: impl Iterator<Item = (&'v String, &'v Option<f64>)>,
) -> Vec<u8> {
    let mut summary = Vec::new();
    for (name, number) in values {
        let mut value = bytes(1, name.as_bytes());
        value.push(2 << 3 | 5);
        value.extend((number.unwrap_or(f64::NAN) as f32).to_le_bytes());
        summary.extend(bytes(1, &value));
    }
    let mut event = double(1, now);
    event.push(2 << 3);
    varint(&mut event, step);
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
        let event = scalars_event(1.0, 300, values.iter());
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

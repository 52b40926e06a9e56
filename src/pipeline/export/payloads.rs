//! The payloads of a run: one, or as many as the job's `split_records` and `split_bytes` make of it.

use super::data_file::DataFileWriter;
use super::output::Output;
use super::parts::Part;
use super::run::Run;
use crate::business::snapshot::Row;
use crate::domain::export::ExportSpec;
use crate::failpoint;
use crate::pipeline::payload::StoredPayload;
use crate::pipeline::stop::Stop;

/// The payloads of a run: those that are full, and the one being written.
pub(super) struct Payloads<'a> {
    run: Run<'a>,
    output: Output,
    full: Vec<StoredPayload>,
}

impl<'a> Payloads<'a> {
    pub(super) fn begin(run: Run<'a>) -> Result<Self, Stop> {
        Ok(Self {
            run,
            output: Output::begin(run)?,
            full: Vec::new(),
        })
    }

    /// Stores the payload that is being written, and begins another.
    async fn next(&mut self) -> Result<(), Stop> {
        let next = Output::begin(self.run)?;
        let full = std::mem::replace(&mut self.output, next);
        self.full.push(full.finish(self.run).await?);
        failpoint::reached("export.payload_stored");
        Ok(())
    }

    /// All of them, in their order.
    pub(super) async fn finish(self) -> Result<Vec<StoredPayload>, Stop> {
        let mut payloads = self.full;
        payloads.push(self.output.finish(self.run).await?);
        failpoint::reached("export.payload_stored");
        Ok(payloads)
    }
}

/// A data file being written, which goes on in the next payload where one is full.
pub(super) struct OpenFile<'a> {
    part: &'a Part<'a>,
    spec: &'a ExportSpec,
    writer: DataFileWriter<'a>,
    /// In this payload.
    records: u64,
    bytes: u64,
    /// Of the payloads before, by entity.
    before: Vec<(String, u64)>,
}

impl<'a> OpenFile<'a> {
    pub(super) async fn begin(part: &'a Part<'a>, payloads: &mut Payloads<'a>) -> Result<Self, Stop> {
        let mut file = Self {
            part,
            spec: payloads.run.spec,
            writer: DataFileWriter::new(part, payloads.run.spec),
            records: 0,
            bytes: 0,
            before: Vec::new(),
        };
        file.open(payloads).await?;
        Ok(file)
    }

    async fn open(&mut self, payloads: &mut Payloads<'a>) -> Result<(), Stop> {
        payloads.output.begin_file(&self.part.file).await?;
        let bytes = self.writer.begin()?;
        self.write(payloads, bytes).await
    }

    /// Writes rows, in as many payloads as it takes.
    pub(super) async fn rows(&mut self, payloads: &mut Payloads<'a>, rows: &[Row]) -> Result<(), Stop> {
        let mut rest = rows;
        while !rest.is_empty() {
            let room = self.room(rest.len());
            if room == 0 {
                self.next(payloads).await?;
                continue;
            }
            let (now, later) = rest.split_at(room);
            rest = later;
            let bytes = self.writer.rows(now)?;
            self.records += now.len() as u64;
            self.write(payloads, bytes).await?;
        }
        Ok(())
    }

    /// How many of so many rows go into this payload. One row goes into any.
    fn room(&self, rows: usize) -> usize {
        if self.records > 0
            && self
                .spec
                .split_bytes
                .is_some_and(|most| self.bytes + self.writer.held_bytes() >= most)
        {
            return 0;
        }
        let left = self.spec.split_records.map(|most| most.saturating_sub(self.records));
        let room = left.map_or(rows, |left| usize::try_from(left).unwrap_or(rows).min(rows));
        // A size is only known once it is written, so it is looked at every few rows.
        if self.spec.split_bytes.is_some() {
            room.min(SIZED_AT_ONCE)
        } else {
            room
        }
    }

    async fn next(&mut self, payloads: &mut Payloads<'a>) -> Result<(), Stop> {
        let counts = self.close(payloads).await?;
        self.before = added(std::mem::take(&mut self.before), counts);
        payloads.next().await?;
        self.writer = DataFileWriter::new(self.part, self.spec);
        (self.records, self.bytes) = (0, 0);
        self.open(payloads).await
    }

    async fn close(&mut self, payloads: &mut Payloads<'a>) -> Result<Vec<(String, u64)>, Stop> {
        let bytes = self.writer.finish()?;
        self.write(payloads, bytes).await?;
        let counts = self.writer.counts();
        payloads.output.end_file(&self.part.file, &counts);
        failpoint::reached("export.file_written");
        Ok(counts)
    }

    /// Ends the file; the records of each of its entities, by its label.
    pub(super) async fn end(mut self, payloads: &mut Payloads<'a>) -> Result<Vec<(String, u64)>, Stop> {
        let counts = self.close(payloads).await?;
        Ok(added(self.before, counts))
    }

    async fn write(&mut self, payloads: &mut Payloads<'a>, bytes: Vec<u8>) -> Result<(), Stop> {
        self.bytes += bytes.len() as u64;
        payloads.output.write(bytes).await
    }
}

/// Rows written before a file's size is looked at again.
const SIZED_AT_ONCE: usize = 50;

fn added(mut before: Vec<(String, u64)>, counts: Vec<(String, u64)>) -> Vec<(String, u64)> {
    if before.is_empty() {
        return counts;
    }
    for ((_, sum), (_, more)) in before.iter_mut().zip(counts) {
        *sum += more;
    }
    before
}

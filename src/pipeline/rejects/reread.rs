//! Rejected records read once more, cell by cell, where their text alone will not do.

use super::corrections::Correction;
use super::pages::Pages;
use super::sink::Sink;
use super::window::Window;
use super::{Halt, Of};
use crate::format::record::{RecordReader, Step};
use crate::pipeline::source::SourceError;
use crate::storage::executions::StoredError;

/// The records of one file, from its start.
pub(super) struct Rows {
    reader: Box<dyn RecordReader>,
    payload: Window,
}

impl Rows {
    /// `reader` is one of the file's format, at its start.
    pub fn new(reader: Box<dyn RecordReader>, payload: Window) -> Self {
        Self { reader, payload }
    }

    /// The names of a record's cells.
    pub async fn header(&mut self, sink: &Sink<'_>) -> Result<Vec<String>, Halt> {
        loop {
            let header = self.reader.header();
            if let Some(names) = header.map_err(|error| SourceError::Unreadable(error.reason))? {
                return Ok(names);
            }
            self.feed(sink).await?;
        }
    }

    /// What `take` makes of the next record, which may be a damaged one; nothing: that was all.
    pub async fn next<T>(&mut self, sink: &Sink<'_>, take: impl Fn(Step<'_>) -> T) -> Result<Option<T>, Halt> {
        loop {
            match self.reader.step() {
                Step::NeedInput => {}
                Step::End => return Ok(None),
                step => return Ok(Some(take(step))),
            }
            self.feed(sink).await?;
        }
    }

    async fn feed(&mut self, sink: &Sink<'_>) -> Result<(), Halt> {
        match self.payload.next(sink).await? {
            Some(bytes) => self.reader.feed(&bytes),
            None => self.reader.finish(),
        }
        Ok(())
    }
}

/// The wanted rejects of one entity, in the order of its file.
pub(super) struct Reread<'a> {
    rows: Rows,
    pages: Pages<'a>,
    page: std::vec::IntoIter<(StoredError, String)>,
}

/// A reject: its first error, all that is wrong with it, and what was made of its record.
pub(super) type Rejected<T> = (StoredError, String, T);

impl<'a> Reread<'a> {
    /// `reader` is one of the file's format, at its start.
    pub fn new(reader: Box<dyn RecordReader>, payload: Window, of: Of<'a>, entity_no: i32) -> Self {
        Self {
            rows: Rows::new(reader, payload),
            pages: Pages::new(of, entity_no),
            page: Vec::new().into_iter(),
        }
    }

    /// The same, beginning behind this record.
    pub fn after(mut self, record: u64) -> Self {
        self.pages.skip_to(record);
        self
    }

    /// The names of a record's cells.
    pub async fn header(&mut self, sink: &Sink<'_>) -> Result<Vec<String>, Halt> {
        self.rows.header(sink).await
    }

    /// The next reject with what `take` makes of its record, which may be a damaged one; nothing: that was all.
    pub async fn next<T>(
        &mut self,
        sink: &Sink<'_>,
        take: impl Fn(Step<'_>) -> T,
    ) -> Result<Option<Rejected<T>>, Halt> {
        if self.page.as_slice().is_empty() {
            self.page = self.pages.next().await?.into_iter();
        }
        let Some((first, reasons)) = self.page.next() else {
            return Ok(None);
        };
        let record = first.reject.record;
        let is_it = |step: &Step<'_>| match step {
            Step::Record(found) => found.place.record == record,
            Step::Damaged(damage) => damage.place.record == record,
            Step::NeedInput | Step::End => false,
        };
        loop {
            let taken = self.rows.next(sink, |step| is_it(&step).then(|| take(step))).await?;
            match taken {
                Some(Some(taken)) => return Ok(Some((first, reasons, taken))),
                Some(None) => {}
                None => return Err(SourceError::Unreadable(format!("record {record} is not in the payload")).into()),
            }
        }
    }

    /// What is to be written differently in this one.
    pub fn corrections(&self, reject: &StoredError) -> &'a [Correction] {
        self.pages.corrections(reject)
    }
}

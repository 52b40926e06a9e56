//! Rejected records read once more, cell by cell, where their text alone will not do.

use super::pages::Pages;
use super::sink::Sink;
use super::window::Window;
use super::{Halt, Of};
use crate::format::record::{RecordReader, Step};
use crate::pipeline::source::SourceError;
use crate::storage::executions::StoredError;

/// The wanted rejects of one entity, in the order of its file.
pub(super) struct Reread<'a> {
    reader: Box<dyn RecordReader>,
    payload: Window,
    pages: Pages<'a>,
    page: std::vec::IntoIter<(StoredError, String)>,
}

/// A reject: its first error, all that is wrong with it, and what was made of its record.
pub(super) type Rejected<T> = (StoredError, String, T);

impl<'a> Reread<'a> {
    /// `reader` is one of the file's format, at its start.
    pub fn new(reader: Box<dyn RecordReader>, payload: Window, of: Of<'a>, entity_no: i32) -> Self {
        Self {
            reader,
            payload,
            pages: Pages::new(of, entity_no),
            page: Vec::new().into_iter(),
        }
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
        loop {
            match self.reader.step() {
                Step::NeedInput => {}
                Step::Record(found) if found.place.record == record => {
                    return Ok(Some((first, reasons, take(Step::Record(found)))));
                }
                Step::Damaged(damage) if damage.place.record == record => {
                    return Ok(Some((first, reasons, take(Step::Damaged(damage)))));
                }
                Step::Record(_) | Step::Damaged(_) => continue,
                Step::End => {
                    return Err(SourceError::Unreadable(format!("record {record} is not in the payload")).into());
                }
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

//! The rejects file: the rejected records of a message, in the source's own format, ready to be corrected and sent back.
//!
//! `_reject_id` and `_error` come first and the record's own text follows as it stood in the payload, so that even a record
//! with a broken quote can be seen and mended in place. When the payload is itself a rejects file that came back, its two
//! columns are left out. A damaged record may be as long as the payload: it passes through in pieces.

mod cut;
mod sink;
#[cfg(test)]
mod tests;
mod window;

use bytes::Bytes;
use tokio::sync::mpsc;

use self::cut::{Cut, OwnColumns};
use self::sink::Sink;
use self::window::Window;
use super::Context;
use super::source::{self, SourceError};
use crate::domain::message::Message;
use crate::format::csv_read::CsvOptions;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::storage::StoreError;
use crate::storage::executions::StoredError;

/// Rejects read from the store at a time.
const REJECTS_PER_PAGE: u32 = 500;

/// Why writing stops before the end.
#[derive(Debug)]
enum Halt {
    /// Nobody wants the rest.
    Gone,
    Source(SourceError),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Source(error.into())
    }
}

/// Sends the rejects file of a message into `out`, chunk by chunk, until all is sent or the receiver is gone.
///
/// # Errors
/// [`SourceError`] when payload or store cannot be read; what was sent before is then incomplete and must not be used.
pub async fn write_rejects(
    context: &Context,
    message: &Message,
    delimiter: u8,
    out: &mpsc::Sender<Result<Bytes, SourceError>>,
) -> Result<(), SourceError> {
    let file = RejectsFile {
        payload: Window::new(source::open(context, message).await?),
        sink: Sink::new(out, delimiter),
        delimiter,
    };
    match file.write(context, message).await {
        Ok(()) | Err(Halt::Gone) => Ok(()),
        Err(Halt::Source(error)) => Err(error),
    }
}

/// A rejects file being written.
struct RejectsFile<'a> {
    payload: Window,
    sink: Sink<'a>,
    delimiter: u8,
}

impl RejectsFile<'_> {
    async fn write(mut self, context: &Context, message: &Message) -> Result<(), Halt> {
        let limits = &context.limits.csv;
        let own = self
            .header(CsvOptions {
                delimiter: self.delimiter,
                max_field_bytes: limits.max_field_bytes,
                max_record_bytes: limits.max_record_bytes,
                max_columns: limits.max_columns,
            })
            .await?;
        let mut after = None;
        loop {
            let page = whole_records(context.store.record_errors(message.id, after, REJECTS_PER_PAGE).await?);
            let Some(last) = page.last() else { break };
            after = Some((last.reject.entity_no, last.reject.record, last.ordinal));
            for first in page.iter().filter(|e| e.ordinal == 0) {
                self.reject(first, &reasons(&page, first), &own).await?;
            }
            self.sink.flush().await?;
        }
        self.sink.flush().await
    }

    async fn header(&mut self, options: CsvOptions) -> Result<OwnColumns, Halt> {
        let header = self.payload.header(options, &self.sink).await?;
        let own = OwnColumns::of(&header.names);
        self.sink.begin_row(REJECT_ID_COLUMN, ERROR_COLUMN);
        let cut = own.in_header(self.delimiter);
        self.record(header.bytes.start, header.bytes.end, cut).await?;
        Ok(own)
    }

    async fn reject(&mut self, first: &StoredError, reasons: &str, own: &OwnColumns) -> Result<(), Halt> {
        let place = first.error.place;
        self.sink.begin_row(&first.reject.to_string(), reasons);
        let cut = own.in_record(&first.error, self.delimiter);
        self.record(place.byte_start, place.byte_end, cut).await
    }

    /// The record's own text, to the end of the row.
    async fn record(&mut self, start: u64, end: u64, mut cut: Cut) -> Result<(), Halt> {
        while let Some(piece) = self.payload.piece(start, end, &self.sink).await? {
            self.sink.add(&piece, &mut cut).await?;
        }
        self.sink.end_row();
        Ok(())
    }
}

/// Leaves a record that a full page may have cut to the next page.
fn whole_records(mut page: Vec<StoredError>) -> Vec<StoredError> {
    if page.len() == REJECTS_PER_PAGE as usize
        && let (Some(first), Some(last)) = (page.first().map(|e| e.reject), page.last().map(|e| e.reject))
        && first != last
    {
        page.retain(|e| e.reject != last);
    }
    page
}

/// What is wrong with one record, in one cell. The code goes first, so no spreadsheet takes the cell for a formula.
fn reasons(page: &[StoredError], first: &StoredError) -> String {
    let of_record = page.iter().filter(|e| e.reject == first.reject);
    of_record
        .map(|e| format!("{}: {}", e.error.code, e.error.reason))
        .collect::<Vec<_>>()
        .join("; ")
}

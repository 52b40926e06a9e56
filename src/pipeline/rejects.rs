//! The rejects file: the rejected records of a message, in the source's own format, ready to be corrected and sent back.
//!
//! `_reject_id` and `_error` come first and the record's own text follows as it stood in the payload, so that even a record
//! with a broken quote can be seen and mended in place.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Context;
use super::source::{self, SourceError};
use crate::domain::message::Message;
use crate::format::csv_write::write_row;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use crate::storage::executions::StoredError;

/// Rejects read from the store at a time.
const REJECTS_PER_PAGE: u32 = 500;

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
    let mut payload = Window::open(context, message).await?;
    let header = payload.first_line().await?;
    let own_columns = own_columns(&header, delimiter);
    let mut chunk = Vec::new();
    write_row(&mut chunk, delimiter, [Some(REJECT_ID_COLUMN), Some(ERROR_COLUMN)]);
    join(&mut chunk, delimiter, without_first(&header, own_columns, delimiter));
    let mut after = None;
    loop {
        let page = whole_records(context.store.record_errors(message.id, after, REJECTS_PER_PAGE).await?);
        let Some(last) = page.last() else { break };
        after = Some((last.reject.entity_no, last.reject.record, last.ordinal));
        for first in page.iter().filter(|e| e.ordinal == 0) {
            let raw = payload
                .range(first.error.place.byte_start, first.error.place.byte_end)
                .await?;
            let (id, reason) = (first.reject.to_string(), reasons(&page, first));
            write_row(&mut chunk, delimiter, [Some(id.as_str()), Some(reason.as_str())]);
            join(&mut chunk, delimiter, without_first(&raw, own_columns, delimiter));
        }
        if out.send(Ok(Bytes::from(std::mem::take(&mut chunk)))).await.is_err() {
            return Ok(());
        }
    }
    if !chunk.is_empty() {
        let _ = out.send(Ok(Bytes::from(chunk))).await;
    }
    Ok(())
}

/// How many leading columns are ours: two when the payload is itself a rejects file that came back.
fn own_columns(header: &[u8], delimiter: u8) -> usize {
    let mut names = header.split(|b| *b == delimiter);
    let ours = names.next() == Some(REJECT_ID_COLUMN.as_bytes()) && names.next() == Some(ERROR_COLUMN.as_bytes());
    if ours { 2 } else { 0 }
}

/// A record's text after its first cells, quoted ones included.
fn without_first(record: &[u8], cells: usize, delimiter: u8) -> &[u8] {
    let mut quoted = false;
    let mut left = cells;
    for (at, byte) in record.iter().enumerate() {
        if left == 0 {
            return record.get(at..).unwrap_or_default();
        }
        match *byte {
            b'"' => quoted = !quoted,
            b if b == delimiter && !quoted => left -= 1,
            _ => {}
        }
    }
    if left == 0 {
        record.get(record.len()..).unwrap_or_default()
    } else {
        record
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

/// Replaces the row end just written by a delimiter and lets the record's own text follow.
fn join(chunk: &mut Vec<u8>, delimiter: u8, record: &[u8]) {
    while chunk.last().is_some_and(|b| matches!(b, b'\r' | b'\n')) {
        chunk.pop();
    }
    chunk.push(delimiter);
    chunk.extend_from_slice(record.trim_ascii_end_of_line());
    chunk.extend_from_slice(b"\r\n");
}

/// Cuts one row end off.
trait EndOfLine {
    fn trim_ascii_end_of_line(&self) -> &[u8];
}

impl EndOfLine for [u8] {
    fn trim_ascii_end_of_line(&self) -> &[u8] {
        let cut = self.strip_suffix(b"\n").unwrap_or(self);
        cut.strip_suffix(b"\r").unwrap_or(cut)
    }
}

/// A forward-only view of a payload that yields byte ranges in ascending order, holding no more than one of them.
struct Window {
    reader: crate::blob::BlobReader,
    held: Vec<u8>,
    /// Payload offset of the first byte held.
    at: u64,
}

impl Window {
    async fn open(context: &Context, message: &Message) -> Result<Self, SourceError> {
        Ok(Self {
            reader: source::open(context, message).await?,
            held: Vec::new(),
            at: 0,
        })
    }

    /// The header line, without a byte order mark.
    async fn first_line(&mut self) -> Result<Vec<u8>, SourceError> {
        loop {
            if let Some(end) = memchr::memchr2(b'\n', b'\r', &self.held) {
                let line = self.held.get(..end).unwrap_or_default();
                return Ok(line.strip_prefix(b"\xef\xbb\xbf".as_slice()).unwrap_or(line).to_vec());
            }
            if !self.more().await? {
                return Ok(self.held.clone());
            }
        }
    }

    async fn range(&mut self, start: u64, end: u64) -> Result<Vec<u8>, SourceError> {
        loop {
            let skip = usize::try_from(start.saturating_sub(self.at))
                .unwrap_or(usize::MAX)
                .min(self.held.len());
            self.held.drain(..skip);
            self.at += skip as u64;
            let length = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
            if self.at == start && self.held.len() >= length {
                return Ok(self.held.get(..length).unwrap_or_default().to_vec());
            }
            if !self.more().await? {
                return Err(SourceError::Unreadable(format!("the payload ends before byte {end}")));
            }
        }
    }

    async fn more(&mut self) -> Result<bool, SourceError> {
        let Some(bytes) = self.reader.next().await? else {
            return Ok(false);
        };
        self.held.extend_from_slice(&bytes);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_rejects_file_that_came_back_are_not_repeated() {
        assert_eq!(own_columns(b"_reject_id,_error,A,B", b','), 2);
        assert_eq!(own_columns(b"A,_reject_id,_error", b','), 0);
        assert_eq!(
            without_first(b"x.0.1,\"bad, \"\"very\"\"\",1,\"two, too\"\r\n", 2, b','),
            b"1,\"two, too\"\r\n"
        );
        assert_eq!(without_first(b"1,2", 0, b','), b"1,2");
        assert_eq!(without_first(b"1,2,", 2, b','), b"");
        assert_eq!(
            without_first(b"\"never closed, 2, 3", 2, b','),
            b"\"never closed, 2, 3",
            "damage is shown as it is"
        );
    }
}

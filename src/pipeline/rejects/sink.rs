//! Where the file goes: rows gathered into chunks of bounded size.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Halt;
use super::cut::Cut;
use crate::format::csv_write::write_row;
use crate::pipeline::source::SourceError;

/// From this size on, a chunk is sent.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// Longest row end: held back, because only the end of a record tells whether it is one.
const ROW_END_BYTES_MAX: usize = 2;

/// The file being written.
pub(super) struct Sink<'a> {
    out: &'a mpsc::Sender<Result<Bytes, SourceError>>,
    delimiter: u8,
    chunk: Vec<u8>,
}

impl<'a> Sink<'a> {
    pub fn new(out: &'a mpsc::Sender<Result<Bytes, SourceError>>, delimiter: u8) -> Self {
        Self {
            out,
            delimiter,
            chunk: Vec::new(),
        }
    }

    /// Waits until the receiver is gone.
    pub async fn closed(&self) {
        self.out.closed().await;
    }

    /// Begins the file with a byte order mark, which decides over any encoding the job declares.
    pub fn mark_utf8(&mut self) {
        self.chunk.extend_from_slice("\u{feff}".as_bytes());
    }

    /// Begins a row with two cells of ours; the record's own text follows.
    pub fn begin_row(&mut self, id: &str, error: &str) {
        write_row(&mut self.chunk, self.delimiter, [Some(id), Some(error)]);
        self.trim_row_end();
        self.chunk.push(self.delimiter);
    }

    /// Adds a piece of the record's text, less what is cut.
    pub async fn add(&mut self, piece: &[u8], cut: &mut Cut) -> Result<(), Halt> {
        cut.pass(piece, &mut self.chunk);
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.send(self.chunk.len() - ROW_END_BYTES_MAX).await
    }

    /// Ends the row, whatever line break the record itself ended with.
    pub fn end_row(&mut self) {
        self.trim_row_end();
        self.chunk.extend_from_slice(b"\r\n");
    }

    /// Adds what `write` appends.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.chunk);
    }

    /// Sends what there is when it is a chunk; between rows only.
    pub async fn flush_when_full(&mut self) -> Result<(), Halt> {
        if self.chunk.len() < CHUNK_BYTES {
            return Ok(());
        }
        self.send(self.chunk.len()).await
    }

    /// Sends all there is; between rows only.
    pub async fn flush(&mut self) -> Result<(), Halt> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        self.send(self.chunk.len()).await
    }

    async fn send(&mut self, length: usize) -> Result<(), Halt> {
        let rest = self.chunk.split_off(length);
        let chunk = Bytes::from(std::mem::replace(&mut self.chunk, rest));
        self.out.send(Ok(chunk)).await.map_err(|_| Halt::Gone)
    }

    fn trim_row_end(&mut self) {
        for end in [b'\n', b'\r'] {
            if self.chunk.last() == Some(&end) {
                self.chunk.pop();
            }
        }
    }
}

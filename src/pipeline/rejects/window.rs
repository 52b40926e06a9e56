//! A forward-only view of a payload that yields byte ranges in ascending order, a piece at a time.
//!
//! However long a range, nothing is held but what the blob store handed over last (and the header, until it was read).

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Buf as _, Bytes};

use super::{Halt, Sink};
use crate::format::csv_read::{CsvOptions, CsvReader};
use crate::format::record::RecordReader as _;
use crate::pipeline::data_file::DataFile;
use crate::pipeline::source::SourceError;

/// Longest piece, in bytes.
pub(super) const PIECE_BYTES_MAX: usize = 64 << 10;

/// The header of a payload.
pub(super) struct Header {
    /// Its names, trimmed.
    pub names: Vec<String>,
    /// Where its text stands, row end included.
    pub bytes: Range<u64>,
}

/// The payload from `at` on.
pub(super) struct Window {
    file: DataFile,
    /// What was read and not passed, no chunk empty.
    held: VecDeque<Bytes>,
    /// Payload offset of the first byte held.
    at: u64,
}

impl Window {
    pub fn new(file: DataFile) -> Self {
        Self {
            file,
            held: VecDeque::new(),
            at: 0,
        }
    }

    /// Whether the payload itself is UTF-8; known once something was read.
    pub fn is_utf8(&self) -> bool {
        self.file.is_utf8()
    }

    /// Reads the header; the window then stands at its text.
    pub async fn header(&mut self, options: CsvOptions, sink: &Sink<'_>) -> Result<Header, Halt> {
        let mut reader = CsvReader::new(options);
        loop {
            // An import has read this header, but the job's delimiter or the limits may have changed since.
            let header = reader.header();
            let read = header.map_err(|error| SourceError::Unreadable(error.to_string()))?;
            if let Some(names) = read {
                let bytes = reader.header_bytes();
                self.pass_to(bytes.start);
                return Ok(Header { names, bytes });
            }
            // Empty lines before the header may be many.
            self.pass_to(reader.position().byte);
            match self.more(sink).await? {
                Some(chunk) => reader.feed(&chunk),
                None => reader.finish(),
            }
        }
    }

    /// The next piece of the payload between `start` and `end`; nothing when all of it was passed.
    pub async fn piece(&mut self, start: u64, end: u64, sink: &Sink<'_>) -> Result<Option<Bytes>, Halt> {
        loop {
            self.pass_to(start);
            if self.at >= end {
                return Ok(None);
            }
            if let Some(front) = self.held.front_mut() {
                let left = usize::try_from(end - self.at).unwrap_or(usize::MAX);
                let piece = front.split_to(left.min(front.len()).min(PIECE_BYTES_MAX));
                if front.is_empty() {
                    self.held.pop_front();
                }
                self.at += piece.len() as u64;
                return Ok(Some(piece));
            }
            if self.more(sink).await?.is_none() {
                return Err(SourceError::Unreadable(format!("the payload ends before byte {end}")).into());
            }
        }
    }

    /// The first bytes of the file, at most so many (or a chunk more), which stay to be read.
    pub async fn head(&mut self, most: usize, sink: &Sink<'_>) -> Result<Vec<u8>, Halt> {
        let held = |window: &Self| window.held.iter().map(Bytes::len).sum::<usize>();
        while held(self) < most && self.more(sink).await?.is_some() {}
        Ok(self.held.iter().flatten().copied().take(most).collect())
    }

    /// The next chunk, which is then passed; nothing at the end.
    pub async fn next(&mut self, sink: &Sink<'_>) -> Result<Option<Bytes>, Halt> {
        let chunk = self.more(sink).await?;
        self.held.clear();
        Ok(chunk)
    }

    /// Drops what is held before `offset`.
    fn pass_to(&mut self, offset: u64) {
        while let Some(front) = self.held.front_mut() {
            let ahead = usize::try_from(offset.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let drop = ahead.min(front.len());
            front.advance(drop);
            self.at += drop as u64;
            if !front.is_empty() {
                return;
            }
            self.held.pop_front();
        }
    }

    /// Reads on, unless the receiver is gone: there may be gigabytes to pass before the next reject.
    async fn more(&mut self, sink: &Sink<'_>) -> Result<Option<Bytes>, Halt> {
        let chunk = tokio::select! {
            biased;
            () = sink.closed() => return Err(Halt::Gone),
            chunk = self.file.next() => chunk.map_err(SourceError::from)?,
        };
        self.held.extend(chunk.clone());
        Ok(chunk)
    }
}

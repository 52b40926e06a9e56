//! What an XML parser reads through, so that no single event can fill the memory.
//!
//! The parser gathers an event whole before it hands it over. Text longer than wanted is cut: its reader sees that it is too
//! long, and goes on behind it. Anything else of that length (a tag, a comment) is refused.

use std::io::{self, BufRead, BufReader, Read};

const BOM_UTF8: &[u8] = b"\xEF\xBB\xBF";

/// Longest markup, in bytes; what spreadsheet programs write is far shorter.
const MARKUP_MAX: usize = 256 << 10;

/// A [`BufRead`] that hands on a bounded number of bytes for each event.
#[derive(Debug)]
pub(super) struct Gate<R> {
    inner: BufReader<R>,
    /// Longest run of text handed on, at least one byte.
    text_max: usize,
    /// Bytes taken since the event began.
    spent: usize,
    /// Whether the event is text. Known once its first byte was taken.
    in_text: bool,
}

impl<R: Read> Gate<R> {
    pub fn new(source: R, text_max: usize) -> Self {
        Self {
            inner: BufReader::new(source),
            text_max: text_max.max(1),
            spent: 0,
            in_text: false,
        }
    }

    /// Says that what is read next is an event of its own.
    pub fn begin_event(&mut self) {
        self.spent = 0;
    }

    /// Drops the rest of a run of text.
    fn pass_text(&mut self) -> io::Result<()> {
        loop {
            let available = self.inner.fill_buf()?;
            let found = memchr::memchr2(b'<', b'&', available);
            let passed = found.unwrap_or(available.len());
            self.inner.consume(passed);
            if found.is_some() || passed == 0 {
                return Ok(());
            }
        }
    }
}

impl<R: Read> Read for Gate<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Gate<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let limit = if self.spent == 0 || self.in_text {
            self.text_max
        } else {
            MARKUP_MAX
        };
        let mut room = limit.saturating_sub(self.spent);
        if room == 0 && self.in_text && self.spent == limit {
            self.pass_text()?;
            // What follows is looked at to see that the text ends; it is not taken as part of it.
            room = 1;
        }
        if room == 0 {
            return Err(io::Error::other(format!(
                "a tag or comment is longer than {limit} bytes"
            )));
        }
        let available = self.inner.fill_buf()?;
        Ok(&available[..available.len().min(room)])
    }

    fn consume(&mut self, amount: usize) {
        if self.spent == 0 {
            if amount == BOM_UTF8.len() && self.inner.buffer().starts_with(BOM_UTF8) {
                // The parser passes it before the first event.
                self.inner.consume(amount);
                return;
            }
            self.in_text = !matches!(self.inner.buffer().first(), Some(b'<' | b'&'));
        }
        self.spent += amount;
        self.inner.consume(amount);
    }
}

//! The bytes fed and not yet dealt with, and where in the file they stand.

use memchr::memchr2_iter;

/// A window on the file that only moves forward.
#[derive(Debug)]
pub(super) struct Input {
    /// Everything before `start` is done with.
    buffer: Vec<u8>,
    start: usize,
    /// Bytes still to be dropped by `feed`.
    skip: u64,
    finished: bool,
    /// Offset in the file of `buffer[start]`.
    byte: u64,
    /// Its physical line, from 1.
    line: u64,
    /// Whether a CR stands before it: an LF is then no line break of its own.
    after_cr: bool,
}

impl Input {
    /// At the start of a file.
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            skip: 0,
            finished: false,
            byte: 0,
            line: 1,
            after_cr: false,
        }
    }

    /// Adds bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        let skipped = usize::try_from(self.skip).map_or(bytes.len(), |skip| skip.min(bytes.len()));
        self.skip -= skipped as u64;
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(&bytes[skipped..]);
    }

    /// Says that there are no more.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Whether [`Self::rest`] is all that is left of the file.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// What was fed and not consumed.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Offset in the file of the first byte of [`Self::rest`].
    pub fn byte(&self) -> u64 {
        self.byte
    }

    /// Its physical line, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Moves on behind these many bytes of [`Self::rest`].
    pub fn consume(&mut self, bytes: usize) {
        let passed = &self.buffer[self.start..self.start + bytes];
        for at in memchr2_iter(b'\r', b'\n', passed) {
            let after_cr = at
                .checked_sub(1)
                .map_or(self.after_cr, |before| passed[before] == b'\r');
            if passed[at] == b'\r' || !after_cr {
                self.line += 1;
            }
        }
        if let Some(last) = passed.last() {
            self.after_cr = *last == b'\r';
        }
        self.start += bytes;
        self.byte += bytes as u64;
    }

    /// Moves on behind white space.
    pub fn pass_blanks(&mut self) {
        let rest = self.rest();
        let blanks = rest.iter().position(|byte| !is_blank(*byte)).unwrap_or(rest.len());
        self.consume(blanks);
    }

    /// Moves on to this place, fed or not. It must not be behind, and no LF may stand there.
    pub fn skip_to(&mut self, byte: u64, line: u64) {
        let ahead = byte - self.byte;
        let buffered = self.rest().len();
        let drop = usize::try_from(ahead).map_or(buffered, |ahead| ahead.min(buffered));
        self.start += drop;
        self.skip = ahead - drop as u64;
        self.byte = byte;
        self.line = line;
        self.after_cr = false;
    }

    /// Whether the file ended before the place of [`Self::skip_to`].
    pub fn ends_short(&self) -> bool {
        self.finished && self.skip > 0
    }

    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// White space as XML has it.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

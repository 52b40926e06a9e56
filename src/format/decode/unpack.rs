//! gzip and zstd, fed piece by piece.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};

use bytes::{Buf as _, Bytes};

use crate::format::record::FileError;

/// Most bytes unpacked in one go.
pub(super) const ROUND_BYTES: usize = 16 << 10;

/// Longest window of a zstd frame, as a power of two: 8 MiB, which RFC 8878 asks of every decoder. It is held in memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// What was fed, as a source that says [`ErrorKind::WouldBlock`] while more is to come.
#[derive(Debug, Default)]
struct Fed {
    chunks: VecDeque<Bytes>,
    finished: bool,
}

impl Fed {
    fn first_bytes(&self, count: usize) -> Vec<u8> {
        self.chunks.iter().flatten().copied().take(count).collect()
    }
}

impl BufRead for Fed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.chunks.front() {
            Some(chunk) => Ok(chunk),
            None if self.finished => Ok(&[]),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn consume(&mut self, amount: usize) {
        if let Some(chunk) = self.chunks.front_mut() {
            chunk.advance(amount.min(chunk.len()));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
        }
    }
}

impl Read for Fed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(out.len());
        out[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// How the file is packed.
enum State {
    /// Its first bytes are not there yet.
    Unknown(Fed),
    Plain(Fed),
    Gzip(Box<flate2::bufread::MultiGzDecoder<Fed>>),
    Zstd(zstd::stream::read::Decoder<'static, Fed>),
    /// Said once why it cannot be read on.
    Broken,
}

/// Unpacks one file.
#[derive(Debug)]
pub(super) struct Unpack {
    state: State,
    done: bool,
}

impl Default for Unpack {
    fn default() -> Self {
        Self {
            state: State::Unknown(Fed::default()),
            done: false,
        }
    }
}

impl Unpack {
    pub(super) fn feed(&mut self, bytes: Bytes) {
        if let Some(fed) = self.fed().filter(|_| !bytes.is_empty()) {
            fed.chunks.push_back(bytes);
        }
    }

    pub(super) fn finish(&mut self) {
        if let Some(fed) = self.fed() {
            fed.finished = true;
        }
    }

    /// Whether all was read.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the file is packed; known once bytes were read.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.state, State::Gzip(_) | State::Zstd(_))
    }

    /// The next bytes; none while more is to be fed, or at the end.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, FileError> {
        self.look_at_the_start()?;
        let read = match &mut self.state {
            State::Unknown(_) | State::Broken => return Ok(0),
            State::Plain(fed) => fed.read(out),
            State::Gzip(decoder) => decoder.read(out),
            State::Zstd(decoder) => decoder.read(out),
        };
        match read {
            Ok(length) => {
                self.done = length == 0;
                Ok(length)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => {
                let packing = self.state.name();
                self.state = State::Broken;
                Err(damaged(packing, &error))
            }
        }
    }

    fn look_at_the_start(&mut self) -> Result<(), FileError> {
        let State::Unknown(fed) = &mut self.state else {
            return Ok(());
        };
        let start = fed.first_bytes(ZSTD.len());
        if start.len() < ZSTD.len() && !fed.finished {
            return Ok(());
        }
        let fed = std::mem::take(fed);
        self.state = if start.starts_with(GZIP) {
            State::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(fed)))
        } else if start == ZSTD {
            State::Zstd(zstd_decoder(fed).map_err(|error| damaged("zstd", &error))?)
        } else {
            State::Plain(fed)
        };
        Ok(())
    }

    fn fed(&mut self) -> Option<&mut Fed> {
        match &mut self.state {
            State::Unknown(fed) | State::Plain(fed) => Some(fed),
            State::Gzip(decoder) => Some(decoder.get_mut()),
            State::Zstd(decoder) => Some(decoder.get_mut()),
            State::Broken => None,
        }
    }
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
            Self::Unknown(_) | Self::Plain(_) | Self::Broken => "file",
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn zstd_decoder(fed: Fed) -> io::Result<zstd::stream::read::Decoder<'static, Fed>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(fed)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

fn damaged(packing: &str, error: &io::Error) -> FileError {
    let how = if packing == "zstd" {
        ", without `--long` or `--ultra`, whose windows are longer than 8 MiB,"
    } else {
        ""
    };
    FileError {
        code: "packing_damaged",
        reason: format!(
            "the {packing} data cannot be unpacked ({error}): pack the file again{how} and send it once more"
        ),
    }
}

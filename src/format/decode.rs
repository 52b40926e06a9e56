//! A payload's bytes on their way to a reader: unpacked, and turned into UTF-8.
//!
//! # Packing
//! gzip (any number of members) and zstd are known by their first bytes, whatever a file is called. Nothing else is unpacked
//! here; a workbook or a package is a zip that its own reader opens.
//!
//! # Encoding
//! A byte order mark decides. Without one the declared encoding counts, then, in XML, the one its declaration names, then
//! UTF-16 where every other of the first bytes is zero, then UTF-8. UTF-8 passes as it is, damage included: a reader reports it
//! cell by cell. What is damaged in another encoding becomes the byte 0xFF, which is no UTF-8 either and meets the same end.
//!
//! # Cost
//! What comes out comes in pieces of at most [`PIECE_BYTES_MAX`], however much a few bytes unpack to; memory holds what was last
//! fed and, of zstd, a window of 8 MiB. A file that unpacks to more than it may is given up.

mod text;
mod unpack;

use bytes::Bytes;
use encoding_rs::Encoding;

use self::text::Text;
use self::unpack::Unpack;
use super::budget;
use super::record::FileError;

/// Longest piece handed out, in bytes.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// What is known of a file before it is read.
#[derive(Debug, Clone, Copy)]
pub struct DecodeOptions {
    /// The encoding the job declares.
    pub encoding: Option<&'static Encoding>,
    /// Whether an XML declaration is looked for.
    pub is_xml: bool,
    /// Whether the file is text at all; of what is not, nothing is decoded.
    pub is_text: bool,
    /// Most bytes it may unpack to.
    pub max_unpacked_bytes: u64,
}

/// Unpacks and decodes one file. Feed it, then take pieces until there is none.
#[derive(Debug)]
pub struct Decoder {
    unpack: Unpack,
    text: Option<Text>,
    out: Vec<u8>,
    packed: u64,
    unpacked: u64,
    unpacked_max: u64,
    ended: bool,
}

impl Decoder {
    /// A decoder at the start of a file.
    #[must_use]
    pub fn new(options: DecodeOptions) -> Self {
        Self {
            unpack: Unpack::default(),
            text: options.is_text.then(|| Text::new(options.encoding, options.is_xml)),
            out: Vec::new(),
            packed: 0,
            unpacked: 0,
            unpacked_max: options.max_unpacked_bytes,
            ended: false,
        }
    }

    /// Adds bytes of the payload.
    pub fn feed(&mut self, bytes: Bytes) {
        self.packed += bytes.len() as u64;
        self.unpack.feed(bytes);
    }

    /// Says that there are no more.
    pub fn finish(&mut self) {
        self.unpack.finish();
    }

    /// Whether the file is UTF-8, or no text at all; what is not yet known is taken for it.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.text.as_ref().is_none_or(Text::is_utf8)
    }

    /// The next piece; `None`: feed more, or that was all. No piece is empty.
    ///
    /// # Errors
    /// [`FileError`] `packing_damaged` or `unpacked_too_large`. What was handed out before is then not the whole file.
    pub fn piece(&mut self) -> Result<Option<&[u8]>, FileError> {
        self.out.clear();
        let mut raw = [0; unpack::ROUND_BYTES];
        while self.out.is_empty() && !self.ended {
            let length = self.unpack.read(&mut raw)?;
            self.unpacked += length as u64;
            let most = budget::unpacked_max(self.packed, self.unpacked_max);
            if self.unpacked > most && self.unpack.is_packed() {
                return Err(FileError {
                    code: "unpacked_too_large",
                    reason: budget::too_large("file", most),
                });
            }
            self.ended = length == 0 && self.unpack.is_done();
            match &mut self.text {
                Some(text) => text.decode(&raw[..length], self.ended, &mut self.out),
                None => self.out.extend_from_slice(&raw[..length]),
            }
            if length == 0 {
                break;
            }
        }
        Ok((!self.out.is_empty()).then_some(self.out.as_slice()))
    }
}

#[cfg(test)]
mod tests;

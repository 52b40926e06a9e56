//! How much of a zip is read, at most: its list of members before anything is known of them, and each member. And how much
//! may come out of what is packed.

use std::io::{self, Read, Seek, SeekFrom};

/// So many bytes may come out for each packed one. Deflate can do 1032, honest files hardly reach a tenth.
pub const RATIO_MAX: u64 = 1000;
/// Until here a file may be packed ever so well.
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// Most bytes that may come out of so many packed ones, where `allowed` are at all: a small file must not fill a disk.
#[must_use]
pub fn unpacked_max(packed: u64, allowed: u64) -> u64 {
    packed.saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES).min(allowed)
}

/// Why a file or package is given up that unpacks to more.
#[must_use]
pub fn too_large(what: &str, most: u64) -> String {
    format!(
        "the {what} unpacks to more than {most} bytes, the most that `file.max_unpacked_bytes` and 1,000 bytes for each \
         packed one allow: split it, or pack it less"
    )
}

/// A reader that fails behind so many bytes. Its error is seen where the list of members is read; parts have their own.
#[derive(Debug)]
pub struct Budget<R> {
    inner: R,
    /// Bytes that may still be read.
    pub left: u64,
    /// It has failed for that.
    pub exceeded: bool,
}

impl<R> Budget<R> {
    /// A reader of at most `left` bytes.
    pub fn new(inner: R, left: u64) -> Self {
        Self {
            inner,
            left,
            exceeded: false,
        }
    }
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            self.exceeded |= self.inner.read(&mut [0])? > 0;
            return if self.exceeded {
                Err(io::Error::other("it lists too many members"))
            } else {
                Ok(0)
            };
        }
        let room = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        let read = self.inner.read(&mut buf[..room])?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl<R: Seek> Seek for Budget<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

//! Pages: their headers, and their bytes as they were before they were packed.

use std::fs::File;
use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;

use super::footer::Chunk;
use super::refusal::Fault;
use super::thrift::{Kind, Thrift};

/// Longest page, packed or not. Writers make pages of about 1 MiB.
pub(super) const PAGE_BYTES_MAX: u64 = 64 << 20;
/// Bytes read for a page's header at first, and at most: one may hold the least and greatest value of the page.
const HEADER_BYTES: [u64; 2] = [1 << 10, 1 << 20];

/// A page's header.
#[derive(Debug, Default, Clone)]
pub(super) struct Header {
    pub sort: Sort,
    /// Length of its body, as it lies in the file and unpacked.
    pub packed: u64,
    pub unpacked: u64,
    pub crc: Option<u32>,
    /// Values, those that are null too.
    pub values: u64,
    pub encoding: i64,
    /// How it says which values are null.
    pub level_encoding: i64,
    /// In pages of the second version, bytes in front of the values that are not packed: of lists, and of nulls.
    pub level_bytes: (u64, u64),
    /// Whether the values are packed, if the chunk is.
    pub is_packed: bool,
}

/// What a page holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Data,
    DataV2,
    Dictionary,
    /// Nothing that is needed.
    #[default]
    Other,
}

/// The pages of a chunk, one behind the other.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    chunk: Chunk,
    /// Where the next one begins.
    at: u64,
}

impl Pages {
    pub fn new(chunk: Chunk) -> Self {
        Self { chunk, at: chunk.start }
    }

    /// The header of the next page, and where its body lies; nothing behind the last.
    pub fn next(&mut self, file: &File) -> Result<Option<(Header, u64)>, Fault> {
        let left = self.chunk.end - self.at;
        if left == 0 {
            return Ok(None);
        }
        let (header, length) = self.header(file, left)?;
        let body = self.at + length;
        if header.packed > left - length {
            return Err(Fault::broken("a page is longer than what is left of its column"));
        }
        if header.packed.max(header.unpacked) > PAGE_BYTES_MAX {
            return Err(Fault::TooLarge(format!(
                "a page has more than {PAGE_BYTES_MAX} bytes: write the file with smaller pages"
            )));
        }
        self.at = body + header.packed;
        Ok(Some((header, body)))
    }

    fn header(&self, file: &File, left: u64) -> Result<(Header, u64), Fault> {
        let mut outcome = Err(Fault::broken("a page without a header"));
        for length in HEADER_BYTES {
            let bytes = read_at(file, self.at, length.min(left))?;
            let mut thrift = Thrift::new(&bytes);
            outcome = Header::read(&mut thrift).map(|header| (header, (bytes.len() - thrift.left()) as u64));
            if outcome.is_ok() || length >= left {
                break;
            }
        }
        outcome
    }
}

/// Header fields as the file has them.
#[derive(Debug, Default)]
struct Raw {
    sort: i64,
    unpacked: i64,
    packed: i64,
    crc: Option<i64>,
    values: i64,
    encoding: i64,
    level_encoding: i64,
    repetition_bytes: i64,
    definition_bytes: i64,
    is_packed: Option<bool>,
}

impl Header {
    fn read(from: &mut Thrift<'_>) -> Result<Self, Fault> {
        let mut raw = Raw {
            sort: -1,
            unpacked: -1,
            packed: -1,
            ..Raw::default()
        };
        from.structure(|from, id, kind| {
            match (id, kind) {
                (1, Kind::Int) => raw.sort = from.int()?,
                (2, Kind::Int) => raw.unpacked = from.int()?,
                (3, Kind::Int) => raw.packed = from.int()?,
                (4, Kind::Int) => raw.crc = Some(from.int()?),
                (5 | 7, Kind::Struct) => from.structure(|from, id, kind| raw.plain(from, id, kind))?,
                (8, Kind::Struct) => from.structure(|from, id, kind| raw.second(from, id, kind))?,
                _ => from.skip(kind)?,
            }
            Ok(())
        })?;
        raw.check()
            .ok_or_else(|| Fault::broken("a page whose header says a length below 0"))
    }
}

impl Raw {
    /// Of a dictionary, or of a data page of the first version.
    fn plain(&mut self, from: &mut Thrift<'_>, id: i64, kind: Kind) -> Result<(), Fault> {
        match (id, kind) {
            (1, Kind::Int) => self.values = from.int()?,
            (2, Kind::Int) => self.encoding = from.int()?,
            (3, Kind::Int) => self.level_encoding = from.int()?,
            _ => from.skip(kind)?,
        }
        Ok(())
    }

    fn second(&mut self, from: &mut Thrift<'_>, id: i64, kind: Kind) -> Result<(), Fault> {
        match (id, kind) {
            (1, Kind::Int) => self.values = from.int()?,
            (4, Kind::Int) => self.encoding = from.int()?,
            (5, Kind::Int) => self.definition_bytes = from.int()?,
            (6, Kind::Int) => self.repetition_bytes = from.int()?,
            (7, kind) if kind.truth().is_some() => self.is_packed = kind.truth(),
            _ => from.skip(kind)?,
        }
        Ok(())
    }

    fn check(&self) -> Option<Header> {
        let number = |number: i64| u64::try_from(number).ok();
        Some(Header {
            sort: match self.sort {
                0 => Sort::Data,
                2 => Sort::Dictionary,
                3 => Sort::DataV2,
                _ => Sort::Other,
            },
            packed: number(self.packed)?,
            unpacked: number(self.unpacked)?,
            // The checksum's bits, as a number with a sign.
            crc: self.crc.map(|crc| u32::try_from(crc & 0xffff_ffff).unwrap_or_default()),
            values: number(self.values)?,
            encoding: self.encoding,
            level_encoding: self.level_encoding,
            level_bytes: (number(self.repetition_bytes)?, number(self.definition_bytes)?),
            is_packed: self.is_packed.unwrap_or(true),
        })
    }
}

/// Whether pages packed so can be unpacked; otherwise what is wrong with it.
pub(super) fn check_packing(packing: i64) -> Result<(), Fault> {
    let name = match packing {
        0..=2 | 6 => return Ok(()),
        3 => "LZO",
        4 => "Brotli",
        5 | 7 => "LZ4",
        _ => "something that is not known",
    };
    Err(Fault::Unsupported(format!(
        "its pages are packed with {name}, which is not read: write the file with Snappy, Zstandard, gzip or uncompressed"
    )))
}

/// The body of a page, unpacked.
pub(super) fn body(file: &File, chunk: Chunk, header: &Header, at: u64) -> Result<Vec<u8>, Fault> {
    let packed = read_at(file, at, header.packed)?;
    if let Some(expected) = header.crc {
        let mut crc = flate2::Crc::new();
        crc.update(&packed);
        if crc.sum() != expected {
            return Err(Fault::broken("a page's checksum is wrong"));
        }
    }
    if chunk.packing == 0 || !header.is_packed {
        return Ok(packed);
    }
    // Of the second version, levels are never packed.
    let levels = header.level_bytes.0.saturating_add(header.level_bytes.1);
    let split = usize::try_from(levels)
        .ok()
        .and_then(|levels| packed.split_at_checked(levels));
    let (levels, values) = split.ok_or_else(|| Fault::broken("a page is shorter than its levels"))?;
    let room = usize::try_from(header.unpacked)
        .ok()
        .and_then(|size| size.checked_sub(levels.len()));
    let size = room.ok_or_else(|| Fault::broken("a page is shorter than its levels"))?;
    let unpacked = if size == 0 {
        Ok(Vec::new())
    } else {
        unpack(chunk.packing, values, size)
    };
    let unpacked = unpacked.map_err(|error| Fault::broken(format!("a page cannot be unpacked ({error})")))?;
    if unpacked.len() != size {
        return Err(Fault::broken("a page unpacks to another length than it is to have"));
    }
    if levels.is_empty() {
        return Ok(unpacked);
    }
    Ok([levels, &unpacked].concat())
}

/// At most `size` bytes and one more, so that too many are seen.
fn unpack(packing: i64, packed: &[u8], size: usize) -> io::Result<Vec<u8>> {
    match packing {
        1 => {
            if snap::raw::decompress_len(packed)? != size {
                return Ok(Vec::new());
            }
            Ok(snap::raw::Decoder::new().decompress_vec(packed)?)
        }
        2 => {
            let mut unpacked = Vec::with_capacity(size);
            let most = size as u64 + 1;
            MultiGzDecoder::new(packed).take(most).read_to_end(&mut unpacked)?;
            Ok(unpacked)
        }
        _ => zstd::bulk::decompress(packed, size),
    }
}

/// Bytes of the file, all of which must be there.
fn read_at(file: &File, at: u64, length: u64) -> Result<Vec<u8>, Fault> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, at).map_err(Fault::Spill)?;
    Ok(bytes)
}

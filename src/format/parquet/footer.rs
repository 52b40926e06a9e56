//! The footer: which columns a file has, and where each of their chunks lies.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::refusal::{self, Fault};
use super::schema::{Column, Schema};
use super::thrift::{Kind, Thrift};
use crate::format::record::FileError;

/// What a file begins and ends with.
pub(super) const MAGIC: &[u8; 4] = b"PAR1";
/// The same where the footer is encrypted.
const MAGIC_ENCRYPTED: &[u8; 4] = b"PARE";
/// The footer's length and the magic number behind it.
const TAIL_BYTES: u64 = 8;
/// Longest footer: enough for a hundred thousand chunks of columns.
const FOOTER_BYTES_MAX: u64 = 16 << 20;

/// A file's description of itself.
#[derive(Debug)]
pub(super) struct Footer {
    pub columns: Vec<Column>,
    pub groups: Vec<Group>,
}

/// A row group: some of the records, column by column.
#[derive(Debug, Default, Clone)]
pub(super) struct Group {
    pub rows: u64,
    pub chunks: Vec<Chunk>,
}

/// The values of one column in a row group.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Chunk {
    pub packing: i64,
    pub values: u64,
    /// Where its pages begin.
    pub start: u64,
    /// Where they end.
    pub end: u64,
}

/// A chunk as the footer has it.
#[derive(Debug, Default)]
struct RawChunk {
    has_meta: bool,
    is_elsewhere: bool,
    is_encrypted: bool,
    packing: i64,
    values: i64,
    packed_bytes: i64,
    data_at: i64,
    dictionary_at: i64,
}

impl Footer {
    /// Reads it from the end of the file.
    ///
    /// # Errors
    /// [`FileError`] when it is no Parquet file, a damaged one, or one that is not read here.
    pub fn read(file: &mut File, columns_max: usize) -> Result<Self, FileError> {
        let (bytes, end) = footer_bytes(file)?;
        let mut schema = Schema::default();
        let (mut groups, mut rows) = (Vec::new(), None);
        Thrift::new(&bytes)
            .structure(|from, id, kind| {
                match (id, kind) {
                    (2, Kind::List) => schema.read(from, columns_max)?,
                    (3, Kind::Int) => rows = Some(from.int()?),
                    (4, Kind::List) => from.structures(|from| {
                        groups.push(group(from, end)?);
                        Ok(())
                    })?,
                    (8, Kind::Struct) => return Err(encrypted()),
                    _ => from.skip(kind)?,
                }
                Ok(())
            })
            .map_err(|fault| fault.at("its footer").refuse())?;
        if let Some(error) = schema.refused {
            return Err(error);
        }
        let footer = Self {
            columns: schema.columns,
            groups,
        };
        footer.check(rows)?;
        Ok(footer)
    }

    /// Whether its parts agree with each other.
    fn check(&self, rows: Option<i64>) -> Result<(), FileError> {
        if self.columns.is_empty() {
            return Err(refusal::no_columns());
        }
        let broken = |reason: String| Err(Fault::broken(reason).refuse());
        let mut sum = 0_u64;
        for (number, group) in (1..).zip(&self.groups) {
            sum = sum.saturating_add(group.rows);
            if group.chunks.len() != self.columns.len() {
                return broken(format!("row group {number} has other columns than the file"));
            }
            if let Some(chunk) = group.chunks.iter().find(|chunk| chunk.values != group.rows) {
                return broken(format!(
                    "row group {number} has {} records, but a column of {} values",
                    group.rows, chunk.values
                ));
            }
        }
        match rows {
            Some(rows) if u64::try_from(rows) == Ok(sum) => Ok(()),
            _ => broken("its row groups have another number of records than the file".to_owned()),
        }
    }
}

/// The footer's bytes, and where the pages end.
fn footer_bytes(file: &mut File) -> Result<(Vec<u8>, u64), FileError> {
    let spill = |error: io::Error| refusal::spill_failed(&error);
    let length = file.metadata().map_err(spill)?.len();
    let mut magic = [0; 4];
    if length >= MAGIC.len() as u64 {
        file.rewind()
            .and_then(|()| file.read_exact(&mut magic))
            .map_err(spill)?;
    }
    match &magic {
        MAGIC => {}
        MAGIC_ENCRYPTED => return Err(encrypted().refuse()),
        _ => return Err(refusal::not_parquet()),
    }
    let short = || Fault::broken("it does not end with a footer, so its end is missing").refuse();
    // Both magic numbers, and the length.
    let room = length.checked_sub(TAIL_BYTES + MAGIC.len() as u64).ok_or_else(short)?;
    let mut tail = [0; 8];
    let read = file.seek(SeekFrom::Start(length - TAIL_BYTES));
    read.and_then(|_| file.read_exact(&mut tail)).map_err(spill)?;
    let (size, mark) = tail.split_at(4);
    if mark != MAGIC {
        return Err(short());
    }
    let size = size.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
    if size > room {
        return Err(Fault::broken(format!("its footer is to have {size} bytes, more than there are")).refuse());
    }
    if size > FOOTER_BYTES_MAX {
        let reason = format!(
            "the footer of the file has {size} bytes, more than {FOOTER_BYTES_MAX}: write it with fewer columns, or with \
             more records in a row group"
        );
        return Err(Fault::TooLarge(reason).refuse());
    }
    let start = length - TAIL_BYTES - size;
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    let read = file.seek(SeekFrom::Start(start));
    read.and_then(|_| file.read_exact(&mut bytes)).map_err(spill)?;
    Ok((bytes, start))
}

fn group(from: &mut Thrift<'_>, end: u64) -> Result<Group, Fault> {
    let mut group = Group::default();
    let mut rows = -1;
    from.structure(|from, id, kind| {
        match (id, kind) {
            (1, Kind::List) => from.structures(|from| {
                group.chunks.push(RawChunk::read(from)?.place(end)?);
                Ok(())
            })?,
            (3, Kind::Int) => rows = from.int()?,
            _ => from.skip(kind)?,
        }
        Ok(())
    })?;
    group.rows = u64::try_from(rows).map_err(|_| Fault::broken("a row group without a number of records"))?;
    Ok(group)
}

impl RawChunk {
    fn read(from: &mut Thrift<'_>) -> Result<Self, Fault> {
        let mut chunk = Self::default();
        from.structure(|from, id, kind| {
            match (id, kind) {
                (1, Kind::Binary) => chunk.is_elsewhere = !from.binary()?.is_empty(),
                (3, Kind::Struct) => {
                    chunk.has_meta = true;
                    from.structure(|from, id, kind| chunk.meta(from, id, kind))?;
                }
                (8 | 9, kind) => {
                    chunk.is_encrypted = true;
                    from.skip(kind)?;
                }
                _ => from.skip(kind)?,
            }
            Ok(())
        })?;
        Ok(chunk)
    }

    fn meta(&mut self, from: &mut Thrift<'_>, id: i64, kind: Kind) -> Result<(), Fault> {
        match (id, kind) {
            (4, Kind::Int) => self.packing = from.int()?,
            (5, Kind::Int) => self.values = from.int()?,
            (7, Kind::Int) => self.packed_bytes = from.int()?,
            (9, Kind::Int) => self.data_at = from.int()?,
            (11, Kind::Int) => self.dictionary_at = from.int()?,
            _ => from.skip(kind)?,
        }
        Ok(())
    }

    /// Where it lies, which must be in front of the footer.
    fn place(&self, end_max: u64) -> Result<Chunk, Fault> {
        if self.is_encrypted {
            return Err(encrypted());
        }
        if self.is_elsewhere {
            let reason = "the values of a column are in another file: write all into one".to_owned();
            return Err(Fault::Unsupported(reason));
        }
        // Some writers say 0 where there is no dictionary.
        let has_dictionary = self.dictionary_at > 0 && self.dictionary_at < self.data_at;
        let start = if has_dictionary {
            self.dictionary_at
        } else {
            self.data_at
        };
        let number = |number: i64| u64::try_from(number).ok();
        let placed = (|| {
            let (start, bytes, values) = (number(start)?, number(self.packed_bytes)?, number(self.values)?);
            let end = start.checked_add(bytes)?;
            (self.has_meta && start >= MAGIC.len() as u64 && end <= end_max).then_some(Chunk {
                packing: self.packing,
                values,
                start,
                end,
            })
        })();
        placed.ok_or_else(|| Fault::broken("a column's values lie outside of the file"))
    }
}

fn encrypted() -> Fault {
    Fault::Unsupported("the Parquet file is encrypted: write it without encryption".to_owned())
}

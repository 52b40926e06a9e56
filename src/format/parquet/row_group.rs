//! A row group, record by record.

use std::fs::File;

use super::column::{ColumnCursor, LEVELS_IN_RUNS};
use super::footer::{Chunk, Footer, Group};
use super::page::{Pages, Sort, check_packing};
use super::refusal::{Fault, too_large};
use super::schema::Column;
use super::text::Row;
use super::values::check_encoding;
use crate::format::excerpt;
use crate::format::record::FileError;

/// Pages and dictionaries of all columns that may be in memory at once.
const PAGES_BYTES_MAX: u64 = 256 << 20;

/// A row group being read.
#[derive(Debug)]
pub(super) struct GroupCursor {
    columns: Vec<ColumnCursor>,
    /// Records not read yet.
    pub left: u64,
    /// Bytes that all columns hold.
    held: u64,
}

impl GroupCursor {
    pub fn new(columns: &[Column], group: &Group) -> Self {
        let cursors = columns.iter().zip(&group.chunks);
        Self {
            columns: cursors
                .map(|(column, chunk)| ColumnCursor::new(column, *chunk))
                .collect(),
            left: group.rows,
            held: 0,
        }
    }

    /// Reads the next record into `row`; nothing: passes it.
    pub fn next(&mut self, file: &File, columns: &[Column], mut row: Option<&mut Row>) -> Result<(), Fault> {
        self.left = self.left.saturating_sub(1);
        for (cursor, column) in self.columns.iter_mut().zip(columns) {
            let before = cursor.bytes();
            let others = self.held - before;
            let room = |bytes: u64| check_room(others, bytes);
            let value = cursor.next(file, room);
            let value = value.map_err(|fault| fault.at(&format!("column {}", excerpt::quoted(&column.name))))?;
            if let Some(row) = row.as_deref_mut() {
                row.put(column.kind, value);
            }
            self.held = others + cursor.bytes();
        }
        Ok(())
    }
}

fn check_room(held: u64, more: u64) -> Result<(), Fault> {
    if held.saturating_add(more) > PAGES_BYTES_MAX {
        return Err(Fault::TooLarge(format!(
            "the pages of all columns at one place come to more than {PAGES_BYTES_MAX} bytes: write the file with smaller pages"
        )));
    }
    Ok(())
}

/// Reads all page headers, so that a file that is cut off or describes itself wrongly is refused before its first record lands.
///
/// # Errors
/// What is wrong, or that all pages unpack to more than `unpacked_max` bytes.
pub(super) fn check_pages(file: &File, footer: &Footer, unpacked_max: u64) -> Result<(), FileError> {
    let mut unpacked = 0;
    for (number, group) in (1..).zip(&footer.groups) {
        for (column, chunk) in footer.columns.iter().zip(&group.chunks) {
            let place = || format!("column {} in row group {number}", excerpt::quoted(&column.name));
            unpacked += check_chunk(file, column, *chunk).map_err(|fault| fault.at(&place()).refuse())?;
            if unpacked > unpacked_max {
                return Err(too_large(unpacked_max).refuse());
            }
        }
    }
    let records = footer.groups.iter().map(|group| group.rows);
    // Every record takes a byte at least.
    if records.fold(0, u64::saturating_add) > unpacked_max {
        return Err(too_large(unpacked_max).refuse());
    }
    Ok(())
}

/// Bytes that its pages unpack to.
fn check_chunk(file: &File, column: &Column, chunk: Chunk) -> Result<u64, Fault> {
    check_packing(chunk.packing)?;
    let mut pages = Pages::new(chunk);
    let (mut values, mut unpacked) = (0_u64, 0_u64);
    while let Some((header, _)) = pages.next(file)? {
        unpacked = unpacked.saturating_add(header.unpacked);
        match header.sort {
            Sort::Other | Sort::Dictionary => continue,
            Sort::Data if column.is_optional && header.level_encoding != LEVELS_IN_RUNS => {
                let reason = "its nulls are told in an old way that is not read: write the file with a newer program";
                return Err(Fault::Unsupported(reason.to_owned()));
            }
            Sort::Data | Sort::DataV2 => {}
        }
        check_encoding(header.encoding, column.layout)?;
        values = values.saturating_add(header.values);
    }
    if values != chunk.values {
        return Err(Fault::broken(format!(
            "its pages have {values} values, not {}",
            chunk.values
        )));
    }
    Ok(unpacked)
}

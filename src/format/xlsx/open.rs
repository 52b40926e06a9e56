//! From a file to the first row behind its header.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};

use super::container::Container;
use super::refusal::{self, PartError};
use super::row::{Row, RowLimits, column_name};
use super::sheet::{Book, Sheet, SheetLimits};
use super::strings::{Strings, StringsOptions};
use super::styles::Styles;
use super::workbook::Workbook;
use super::xml::XmlReader;
use super::{COLUMNS_MAX, XlsxOptions};
use crate::domain::reject::RecordCode;
use crate::format::record::FileError;

/// Longest run of text in the styles: it means nothing there.
const STYLES_TEXT_MAX: usize = 1024;
/// Bytes unpacked at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Opens the sheet and reads its header.
///
/// All of the sheet is unpacked here, into a temporary file: a limit that it breaks, or a checksum that is wrong, is known
/// before the first record lands.
///
/// # Errors
/// [`FileError`] when the file is no workbook, a part of it is broken or too large, or the sheet or its header is missing.
pub(super) fn open(file: File, options: &XlsxOptions) -> Result<(Sheet, Vec<String>), FileError> {
    let mut container = Container::open(file, options.max_unpacked_bytes)?;
    let workbook = Workbook::read(&mut container)?;
    let part = workbook.sheet(options.sheet.as_deref())?;
    let book = book(&mut container, &workbook, options)?;
    let unpacked = container
        .part(&part.part, |source| unpack(source, options))?
        .ok_or_else(|| refusal::damaged(&format!("{} is missing", part.part)))?;
    let limits = SheetLimits {
        row: RowLimits {
            columns: options.max_columns.min(COLUMNS_MAX),
            bytes: options.max_record_bytes,
        },
        cell_bytes: options.max_field_bytes,
        shared_bytes: options.max_unpacked_bytes,
    };
    let mut sheet = Sheet::new(unpacked, book, limits);
    let broken = |error: PartError| error.refuse(&part.part);
    sheet.begin().map_err(broken)?;
    while sheet.next_row().map_err(broken)? {
        if !sheet.row().is_blank() {
            let names = names(sheet.row(), limits.row.columns)?;
            sheet.set_columns(names.len());
            return Ok((sheet, names));
        }
    }
    Err(refusal::no_header(&part.name))
}

fn book(container: &mut Container, workbook: &Workbook, options: &XlsxOptions) -> Result<Book, FileError> {
    let styles = container.part(&workbook.styles, |source| {
        Styles::read(&mut XmlReader::new(source, STYLES_TEXT_MAX))
    })?;
    let texts = StringsOptions {
        in_memory: options.shared_strings_in_memory,
        spill_dir: options.spill_dir.clone(),
        max_bytes: options.max_field_bytes,
    };
    let strings = container.part(&workbook.strings, |source| {
        // As in a sheet: what was cut is still too long.
        let text_max = options.max_field_bytes.saturating_mul(2).saturating_add(2);
        Strings::read(&mut XmlReader::new(source, text_max), &texts)
    })?;
    Ok(Book {
        strings: strings.unwrap_or_default(),
        styles: styles.unwrap_or_default(),
        date1904: workbook.date1904,
    })
}

/// Copies a part into a temporary file without a name.
fn unpack(source: &mut dyn Read, options: &XlsxOptions) -> Result<File, PartError> {
    let file = tempfile::tempfile_in(&options.spill_dir).map_err(PartError::Spill)?;
    let mut file = BufWriter::with_capacity(PIECE_BYTES, file);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(PartError::broken(error)),
        };
        file.write_all(&piece[..read]).map_err(PartError::Spill)?;
    }
    let file = file.into_inner().map_err(io::IntoInnerError::into_error);
    let mut file = file.map_err(PartError::Spill)?;
    file.rewind().map_err(PartError::Spill)?;
    Ok(file)
}

/// The column names in the header's row.
fn names(row: &Row, columns_max: usize) -> Result<Vec<String>, FileError> {
    if let Some(fault) = &row.fault {
        return Err(match fault.code {
            RecordCode::ColumnCount => refusal::too_many_columns(columns_max),
            _ => refusal::header_damaged(&fault.reason),
        });
    }
    let name = |column| {
        let text = std::str::from_utf8(row.cell(column)).map_err(|_| {
            refusal::header_damaged(&format!("the name in column {} is not UTF-8", column_name(column)))
        })?;
        Ok(text.trim().to_owned())
    };
    let mut names: Vec<String> = (0..row.width()).map(name).collect::<Result<_, _>>()?;
    while names.pop_if(|last| last.is_empty()).is_some() {}
    Ok(names)
}

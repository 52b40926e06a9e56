//! A sheet, read row by row.

use std::borrow::Cow;
use std::fs::File;

use super::container::too_large;
use super::moment;
use super::number::{binary, decimal};
use super::refusal::PartError;
use super::row::{Row, RowLimits, cell_name, column_of};
use super::strings::Strings;
use super::styles::{Look, Styles};
use super::text::{plain_text, rich_text, unescape};
use super::xml::{Token, XmlReader};
use crate::domain::reject::RecordCode;
use crate::format::excerpt;

/// Rows a sheet may have. A number beyond is no row's number.
const ROW_NUMBER_MAX: u64 = 1 << 20;

/// What the cells' texts depend on, besides the cells.
#[derive(Debug)]
pub(super) struct Book {
    pub strings: Strings,
    pub styles: Styles,
    /// Days count from 1904 instead of 1900.
    pub date1904: bool,
}

/// What a sheet may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct SheetLimits {
    pub row: RowLimits,
    /// Longest text of a cell, in bytes.
    pub cell_bytes: usize,
    /// Bytes that all shared texts of all cells may come to: a text stands in the workbook once, however often cells show it.
    pub shared_bytes: u64,
}

/// A sheet being read.
#[derive(Debug)]
pub(super) struct Sheet {
    xml: XmlReader<File>,
    book: Book,
    limits: SheetLimits,
    /// Of [`SheetLimits::shared_bytes`], those used.
    shared: u64,
    row: Row,
    /// Text of the cell at hand, as the sheet has it.
    raw: Vec<u8>,
    /// Text of a shared string.
    loaded: Vec<u8>,
}

/// A cell as its tag has it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// From 0.
    column: usize,
    kind: Kind,
    look: Look,
}

/// What a cell's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Bool,
    /// The number of a shared text.
    Shared,
    /// Text with escapes.
    Text,
    /// An error such as `#N/A`, or an ISO date: text as it is.
    Verbatim,
}

impl Sheet {
    /// A sheet from its part.
    pub fn new(part: File, book: Book, limits: SheetLimits) -> Self {
        // A run of text that was cut is then still longer than a cell may be, its line breaks made LF.
        let text_max = limits.cell_bytes.saturating_mul(2).saturating_add(2);
        Self {
            xml: XmlReader::new(part, text_max),
            book,
            limits,
            shared: 0,
            row: Row::default(),
            raw: Vec::new(),
            loaded: Vec::new(),
        }
    }

    /// The row read last; after an error, as far as it was read.
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// Sets how many columns the rows have.
    pub fn set_columns(&mut self, columns: usize) {
        self.limits.row.columns = columns;
    }

    /// Passes what stands before the rows.
    ///
    /// # Errors
    /// When the part is broken there, or no sheet.
    pub fn begin(&mut self) -> Result<(), PartError> {
        loop {
            match self.xml.next()? {
                Token::Start => match (self.xml.depth(), self.xml.name()) {
                    (1, b"worksheet") => {}
                    (2, b"sheetData") => return Ok(()),
                    (1, _) => return Err(PartError::broken("it is no worksheet")),
                    _ => self.xml.skip_element()?,
                },
                Token::Eof => return Err(PartError::broken("it has no rows (sheetData)")),
                Token::End | Token::Text => {}
            }
        }
    }

    /// Reads the next row; `false` behind the last one. What stands behind the rows is not looked at.
    ///
    /// # Errors
    /// When the sheet cannot be read further. [`row`](Self::row) then has the number of the row where that is.
    pub fn next_row(&mut self) -> Result<bool, PartError> {
        let before = self.row.number;
        self.row.begin(before + 1);
        loop {
            match self.xml.next()? {
                Token::Start if self.xml.name() == b"row" => {
                    let given = self.xml.attribute(b"r").and_then(number);
                    let in_order = given.filter(|number| (before + 1..=ROW_NUMBER_MAX).contains(number));
                    self.row.begin(in_order.unwrap_or(before + 1));
                    self.read_row()?;
                    return Ok(true);
                }
                Token::Start => self.xml.skip_element()?,
                Token::End | Token::Eof => return Ok(false),
                Token::Text => {}
            }
        }
    }

    fn read_row(&mut self) -> Result<(), PartError> {
        let mut column = 0;
        loop {
            match self.xml.next()? {
                Token::Start if self.xml.name() == b"c" => {
                    let cell = self.cell(column);
                    column = cell.column + 1;
                    self.read_cell(cell)?;
                }
                Token::Start => self.xml.skip_element()?,
                Token::End | Token::Eof => return Ok(()),
                Token::Text => {}
            }
        }
    }

    /// The cell whose tag was read last; without a reference it stands in column `next`.
    fn cell(&self, next: usize) -> Cell {
        let style = self.xml.attribute(b"s").and_then(number);
        Cell {
            column: self.xml.attribute(b"r").and_then(column_of).unwrap_or(next),
            kind: match self.xml.attribute(b"t") {
                None | Some(b"n") => Kind::Number,
                Some(b"s") => Kind::Shared,
                Some(b"b") => Kind::Bool,
                Some(b"e" | b"d") => Kind::Verbatim,
                Some(_) => Kind::Text,
            },
            look: style
                .and_then(|style| usize::try_from(style).ok())
                .map_or(Look::Number, |style| self.book.styles.look(style)),
        }
    }

    fn read_cell(&mut self, cell: Cell) -> Result<(), PartError> {
        self.raw.clear();
        let mut formula = false;
        loop {
            match self.xml.next()? {
                Token::Start => match self.xml.name() {
                    b"v" => plain_text(&mut self.xml, &mut self.raw, self.limits.cell_bytes)?,
                    b"is" => rich_text(&mut self.xml, &mut self.raw, self.limits.cell_bytes)?,
                    name => {
                        formula |= name == b"f";
                        self.xml.skip_element()?;
                    }
                },
                Token::End | Token::Eof => break,
                Token::Text => {}
            }
        }
        // Programs that cannot compute write formulas alone. Only text may be empty.
        if formula && self.raw.is_empty() && cell.kind == Kind::Number {
            let row = self.row.number;
            self.row.blame(RecordCode::InvalidXml, cell.column, || {
                let name = cell_name(cell.column, row);
                format!("{name} has a formula without a result: open the workbook in a spreadsheet program and save it there")
            });
        }
        self.put(cell)
    }

    /// Turns the cell's own text into what it means and puts it into the row.
    fn put(&mut self, cell: Cell) -> Result<(), PartError> {
        if self.raw.is_empty() {
            return Ok(());
        }
        if self.raw.len() > self.limits.cell_bytes {
            self.blame_length(cell.column);
            return Ok(());
        }
        let text = match cell.kind {
            Kind::Shared => return self.put_shared(cell.column),
            Kind::Text => unescape(&self.raw),
            Kind::Verbatim => Cow::Borrowed(self.raw.as_slice()),
            Kind::Bool => match self.raw.trim_ascii() {
                b"1" => Cow::Borrowed(b"true".as_slice()),
                b"0" => Cow::Borrowed(b"false".as_slice()),
                other => Cow::Borrowed(other),
            },
            Kind::Number => number_text(&self.raw, cell.look, self.book.date1904),
        };
        self.row.put(cell.column, &text, self.limits.row);
        Ok(())
    }

    fn put_shared(&mut self, column: usize) -> Result<(), PartError> {
        let index = number(&self.raw).and_then(|index| usize::try_from(index).ok());
        let found = index.and_then(|index| Some((index, self.book.strings.length(index)?)));
        let Some((index, length)) = found else {
            let (name, row) = (String::from_utf8_lossy(&self.raw), self.row.number);
            let count = self.book.strings.len();
            self.row.blame(RecordCode::InvalidXml, column, || {
                format!(
                    "{} refers to text {} of the workbook, which has {count}: open the workbook and save it again",
                    cell_name(column, row),
                    excerpt::quoted(&name)
                )
            });
            return Ok(());
        };
        if length > self.limits.cell_bytes as u64 {
            self.blame_length(column);
            return Ok(());
        }
        self.shared = self.shared.saturating_add(length);
        if self.shared > self.limits.shared_bytes {
            return Err(too_large(self.limits.shared_bytes));
        }
        self.book
            .strings
            .load(index, &mut self.loaded)
            .map_err(PartError::Spill)?;
        self.row.put(column, &self.loaded, self.limits.row);
        Ok(())
    }

    fn blame_length(&mut self, column: usize) {
        let (bytes, row) = (self.limits.cell_bytes, self.row.number);
        self.row.blame(RecordCode::RecordTooLarge, column, || {
            format!(
                "{} holds more than {bytes} bytes: shorten its text",
                cell_name(column, row)
            )
        });
    }
}

/// A whole number as attributes and references have it.
fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// A number as its cell shows it: a date, or digits.
fn number_text(raw: &[u8], look: Look, date1904: bool) -> Cow<'_, [u8]> {
    let Ok(text) = std::str::from_utf8(raw) else {
        return Cow::Borrowed(raw);
    };
    let date = match look {
        Look::Number => None,
        _ => binary(text).and_then(|days| moment::text(days, look, date1904)),
    };
    if let Some(date) = date {
        return Cow::Owned(date.into_bytes());
    }
    match decimal(text) {
        Cow::Borrowed(digits) => Cow::Borrowed(digits.as_bytes()),
        Cow::Owned(digits) => Cow::Owned(digits.into_bytes()),
    }
}

//! The reader: bytes in, rows out.

use std::borrow::Cow;

use super::XlsxOptions;
use super::open::open;
use super::refusal::{self, PartError};
use super::row::Row;
use super::sheet::Sheet;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::record::{Damage, FileError, Position, Record, RecordReader, Step};
use crate::format::spool::Spool;

/// Reads one sheet of a workbook. Memory is bounded by the options.
#[derive(Debug)]
pub struct XlsxReader {
    options: XlsxOptions,
    state: State,
    finished: bool,
    header: Option<Result<Vec<String>, FileError>>,
    position: Position,
}

#[derive(Debug)]
enum State {
    Receiving(Spool),
    Reading(Box<Sheet>),
    Ended,
}

/// A [`Step`] without the borrow.
enum Outcome {
    NeedInput,
    /// The sheet's row is a record.
    Record(RecordPlace),
    Damaged(Damage),
    End,
}

impl RecordReader for XlsxReader {
    fn feed(&mut self, bytes: &[u8]) {
        if let State::Receiving(spool) = &mut self.state {
            spool.add(bytes);
        }
    }

    fn finish(&mut self) {
        self.finished = true;
    }

    fn header(&mut self) -> Result<Option<Vec<String>>, FileError> {
        if self.header.is_none() && self.finished {
            self.header = Some(self.begin());
        }
        self.header.clone().transpose()
    }

    fn step(&mut self) -> Step<'_> {
        let outcome = self.advance();
        match (outcome, &self.state, &self.header) {
            (Outcome::Record(place), State::Reading(sheet), Some(Ok(names))) => Step::Record(Record {
                place,
                cells: (0..names.len())
                    .map(|column| Cow::Borrowed(sheet.row().cell(column)))
                    .collect(),
            }),
            (Outcome::Damaged(damage), ..) => Step::Damaged(damage),
            (Outcome::NeedInput, ..) => Step::NeedInput,
            (Outcome::Record(_) | Outcome::End, ..) => Step::End,
        }
    }

    fn position(&self) -> Position {
        self.position
    }

    fn skip_to(&mut self, position: Position) {
        if position.byte >= self.position.byte {
            self.position = position;
        }
    }
}

impl XlsxReader {
    /// A reader that waits for the workbook.
    #[must_use]
    pub fn new(options: XlsxOptions) -> Self {
        Self {
            state: State::Receiving(Spool::new(options.spill_dir.clone())),
            options,
            finished: false,
            header: None,
            position: Position::START,
        }
    }

    /// Opens the workbook, of which all bytes are there.
    fn begin(&mut self) -> Result<Vec<String>, FileError> {
        let State::Receiving(spool) = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(refusal::empty());
        };
        let file = spool.into_file().map_err(|error| refusal::spill_failed(&error))?;
        let (sheet, names) = open(file.ok_or_else(refusal::empty)?, &self.options)?;
        self.position = behind(place(0, sheet.row().number));
        self.state = State::Reading(Box::new(sheet));
        Ok(names)
    }

    fn advance(&mut self) -> Outcome {
        if self.header.is_none() && matches!(self.header(), Ok(None)) {
            return Outcome::NeedInput;
        }
        loop {
            let State::Reading(sheet) = &mut self.state else {
                return Outcome::End;
            };
            let read = sheet.next_row();
            let row = sheet.row();
            let place = place(self.position.records + 1, row.number);
            let passed = place.byte_start < self.position.byte;
            let outcome = match read {
                Ok(true) if passed || row.is_blank() => continue,
                Ok(true) => row.damage(place).map_or(Outcome::Record(place), Outcome::Damaged),
                Err(error) if !passed => {
                    let damage = last_words(error, row, place);
                    self.state = State::Ended;
                    Outcome::Damaged(damage)
                }
                Ok(false) | Err(_) => {
                    self.state = State::Ended;
                    return Outcome::End;
                }
            };
            self.position = behind(place);
            return outcome;
        }
    }
}

/// The place of a record in this row.
fn place(record: u64, row: u64) -> RecordPlace {
    RecordPlace {
        record,
        line: row,
        byte_start: row,
        byte_end: row + 1,
    }
}

/// The position behind a record.
fn behind(place: RecordPlace) -> Position {
    Position {
        records: place.record,
        line: place.byte_end,
        byte: place.byte_end,
    }
}

/// Damage that is the last: why the sheet cannot be read from this row on.
fn last_words(error: PartError, row: &Row, place: RecordPlace) -> Damage {
    let (code, why) = match error {
        PartError::Doctype => (
            RecordCode::InvalidXml,
            "a document type declaration stands there".to_owned(),
        ),
        PartError::Broken(reason) => (RecordCode::InvalidXml, reason),
        PartError::TooLarge(reason) => (RecordCode::RecordTooLarge, reason),
        PartError::Spill(error) => (
            RecordCode::InvalidXml,
            format!("its temporary file cannot be read: {error}"),
        ),
    };
    Damage {
        place,
        code,
        column: None,
        reason: format!(
            "the sheet cannot be read from row {} on ({why}); this row and all rows behind it are lost: open the \
             workbook, save it again and send them",
            row.number
        ),
        excerpt: row.excerpt(),
    }
}

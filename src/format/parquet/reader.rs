//! The reader: bytes in, records out.

use std::borrow::Cow;
use std::fs::File;

use super::ParquetOptions;
use super::footer::Footer;
use super::refusal::{self, Fault};
use super::row_group::{GroupCursor, check_pages};
use super::text::Row;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::budget;
use crate::format::record::{Damage, FileError, Position, Record, RecordReader, Step};
use crate::format::spool::Spool;

/// Reads a file. Memory is bounded by the options, and by the limits of pages.
#[derive(Debug)]
pub struct ParquetReader {
    options: ParquetOptions,
    state: State,
    finished: bool,
    header: Option<Result<Vec<String>, FileError>>,
    position: Position,
    /// Records to pass before the next one is told, and where the position is behind them.
    skipping: Option<Position>,
}

#[derive(Debug)]
enum State {
    Receiving(Spool),
    Reading(Box<Open>),
    Ended,
}

/// A file being read.
#[derive(Debug)]
struct Open {
    file: File,
    footer: Footer,
    /// Row groups begun.
    begun: usize,
    group: Option<GroupCursor>,
    row: Row,
    /// Most bytes that the texts of all records may come to.
    text_max: u64,
}

/// A [`Step`] without the borrow.
enum Outcome {
    NeedInput,
    Record(RecordPlace),
    Damaged(Damage),
    End,
}

impl RecordReader for ParquetReader {
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
        match (self.advance(), &self.state) {
            (Outcome::Record(place), State::Reading(open)) => Step::Record(Record {
                place,
                cells: open.row.cells().map(Cow::Borrowed).collect(),
            }),
            (Outcome::Damaged(damage), _) => Step::Damaged(damage),
            (Outcome::NeedInput, _) => Step::NeedInput,
            (Outcome::Record(_) | Outcome::End, _) => Step::End,
        }
    }

    fn position(&self) -> Position {
        self.skipping.unwrap_or(self.position)
    }

    fn skip_to(&mut self, position: Position) {
        if position.records > self.position.records {
            self.skipping = Some(position);
        }
    }
}

impl ParquetReader {
    /// A reader that waits for the file.
    #[must_use]
    pub fn new(options: ParquetOptions) -> Self {
        Self {
            state: State::Receiving(Spool::new(options.spill_dir.clone())),
            options,
            finished: false,
            header: None,
            position: Position::START,
            skipping: None,
        }
    }

    /// Opens the file, of which all bytes are there.
    fn begin(&mut self) -> Result<Vec<String>, FileError> {
        let State::Receiving(spool) = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(refusal::empty());
        };
        let spilled = |error: std::io::Error| refusal::spill_failed(&error);
        let mut file = spool.into_file().map_err(spilled)?.ok_or_else(refusal::empty)?;
        let length = file.metadata().map_err(spilled)?.len();
        let footer = Footer::read(&mut file, self.options.max_columns)?;
        let text_max = budget::unpacked_max(length, self.options.max_unpacked_bytes);
        check_pages(&file, &footer, text_max)?;
        let names = footer.columns.iter().map(|column| column.name.trim().to_owned());
        let names = names.collect();
        self.state = State::Reading(Box::new(Open {
            file,
            footer,
            begun: 0,
            group: None,
            row: Row::new(self.options.max_field_bytes, self.options.max_record_bytes),
            text_max,
        }));
        Ok(names)
    }

    fn advance(&mut self) -> Outcome {
        if self.header.is_none() && matches!(self.header(), Ok(None)) {
            return Outcome::NeedInput;
        }
        if let Some(position) = self.skipping.take() {
            if !self.pass(position) {
                self.state = State::Ended;
            }
            self.position = position;
        }
        let State::Reading(open) = &mut self.state else {
            return Outcome::End;
        };
        let read = open.next();
        let place = place(self.position, &open.row);
        let outcome = match read {
            Ok(false) => {
                self.state = State::Ended;
                return Outcome::End;
            }
            Ok(true) if place.byte_end > open.text_max => {
                let damage = last_words(&refusal::too_large(open.text_max), place);
                self.state = State::Ended;
                Outcome::Damaged(damage)
            }
            Ok(true) => open.damage(place).map_or(Outcome::Record(place), Outcome::Damaged),
            Err(fault) => {
                let damage = last_words(&fault, place);
                self.state = State::Ended;
                Outcome::Damaged(damage)
            }
        };
        self.position = Position {
            records: place.record,
            line: place.record + 1,
            byte: place.byte_end,
        };
        outcome
    }

    /// Passes records that were told before; `false`: the last of them was the file's last words.
    fn pass(&mut self, to: Position) -> bool {
        let State::Reading(open) = &mut self.state else {
            return false;
        };
        if to.byte > open.text_max {
            return false;
        }
        let mut left = to.records - self.position.records;
        while left > 0 {
            let group = open.footer.groups.get(open.begun).filter(|_| open.group.is_none());
            if let Some(group) = group.filter(|group| group.rows < left) {
                // Something was read behind it, so it is whole.
                left -= group.rows;
                open.begun += 1;
                continue;
            }
            if !open.pass().unwrap_or(false) {
                return false;
            }
            left -= 1;
        }
        true
    }
}

impl Open {
    /// Reads the next record; `false` behind the last.
    fn next(&mut self) -> Result<bool, Fault> {
        self.row.begin();
        let Some(group) = current(&self.footer, &mut self.begun, &mut self.group) else {
            return Ok(false);
        };
        group.next(&self.file, &self.footer.columns, Some(&mut self.row))?;
        Ok(true)
    }

    fn pass(&mut self) -> Result<bool, Fault> {
        let Some(group) = current(&self.footer, &mut self.begun, &mut self.group) else {
            return Ok(false);
        };
        group.next(&self.file, &self.footer.columns, None)?;
        if group.left == 0 {
            self.group = None;
        }
        Ok(true)
    }

    /// What is wrong with the record that was read.
    fn damage(&self, place: RecordPlace) -> Option<Damage> {
        let fault = self.row.fault.clone()?;
        Some(Damage {
            place,
            code: fault.code,
            column: fault.column,
            reason: fault.reason,
            excerpt: self.row.excerpt(),
        })
    }
}

/// The row group with the next record.
fn current<'a>(footer: &Footer, begun: &mut usize, group: &'a mut Option<GroupCursor>) -> Option<&'a mut GroupCursor> {
    while group.as_ref().is_none_or(|group| group.left == 0) {
        *group = Some(GroupCursor::new(&footer.columns, footer.groups.get(*begun)?));
        *begun += 1;
    }
    group.as_mut()
}

/// The place of the record behind a position.
fn place(position: Position, row: &Row) -> RecordPlace {
    RecordPlace {
        record: position.records + 1,
        line: position.records + 1,
        byte_start: position.byte,
        byte_end: position.byte + row.bytes() + 1,
    }
}

/// Damage that is the last: why the file cannot be read from this record on.
fn last_words(fault: &Fault, place: RecordPlace) -> Damage {
    let (code, why) = match fault {
        Fault::Broken(reason) | Fault::Unsupported(reason) => (RecordCode::InvalidParquet, reason.clone()),
        Fault::TooLarge(reason) => (RecordCode::RecordTooLarge, reason.clone()),
        Fault::Spill(error) => (
            RecordCode::InvalidParquet,
            format!("its temporary file cannot be read: {error}"),
        ),
    };
    Damage {
        place,
        code,
        column: None,
        reason: format!(
            "the file cannot be read from record {} on ({why}); this record and all behind it are lost: write the file again \
             and send them",
            place.record
        ),
        excerpt: String::new(),
    }
}

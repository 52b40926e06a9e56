//! A workbook, or the CSV file that its rejects are: what a job that reads workbooks takes.

use super::csv_read::{CsvOptions, CsvReader};
use super::record::{FileError, Position, RecordReader, Step};
use super::xlsx::{XlsxOptions, XlsxReader};

/// How a zip begins, and how an old workbook does, of which the reader of workbooks knows what to say.
const WORKBOOKS: [&[u8]; 2] = [b"PK", &[0xd0, 0xcf, 0x11, 0xe0]];
/// As many bytes tell.
const START_BYTES: usize = 4;

/// Reads whichever it is, as its first bytes say.
pub struct WorkbookOrCsv {
    options: Option<(XlsxOptions, CsvOptions)>,
    start: Vec<u8>,
    finished: bool,
    reader: Option<Box<dyn RecordReader>>,
}

impl WorkbookOrCsv {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new(workbook: XlsxOptions, csv: CsvOptions) -> Self {
        Self {
            options: Some((workbook, csv)),
            start: Vec::new(),
            finished: false,
            reader: None,
        }
    }

    fn decide(&mut self) {
        if self.start.len() < START_BYTES && !self.finished {
            return;
        }
        let Some((workbook, csv)) = self.options.take() else {
            return;
        };
        let is_workbook = WORKBOOKS.iter().any(|start| self.start.starts_with(start));
        let mut reader: Box<dyn RecordReader> = if is_workbook {
            Box::new(XlsxReader::new(workbook))
        } else {
            Box::new(CsvReader::new(csv))
        };
        reader.feed(&std::mem::take(&mut self.start));
        if self.finished {
            reader.finish();
        }
        self.reader = Some(reader);
    }
}

impl RecordReader for WorkbookOrCsv {
    fn feed(&mut self, bytes: &[u8]) {
        if let Some(reader) = &mut self.reader {
            reader.feed(bytes);
        } else {
            self.start.extend_from_slice(bytes);
            self.decide();
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        match &mut self.reader {
            Some(reader) => reader.finish(),
            None => self.decide(),
        }
    }

    fn header(&mut self) -> Result<Option<Vec<String>>, FileError> {
        self.reader.as_mut().map_or(Ok(None), |reader| reader.header())
    }

    fn step(&mut self) -> Step<'_> {
        self.reader.as_mut().map_or(Step::NeedInput, |reader| reader.step())
    }

    fn position(&self) -> Position {
        self.reader.as_ref().map_or(Position::START, |reader| reader.position())
    }

    fn skip_to(&mut self, position: Position) {
        if let Some(reader) = &mut self.reader {
            reader.skip_to(position);
        }
    }
}

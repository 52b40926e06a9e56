//! A file that is no text, or the CSV file that its rejects are: what a job that reads workbooks or Parquet takes.

use super::csv_read::{CsvOptions, CsvReader};
use super::record::{FileError, Position, RecordReader, Step};

/// As many bytes tell.
const START_BYTES: usize = 4;

/// Whether a file that begins so is a workbook, or an old one, of which the reader of workbooks knows what to say.
#[must_use]
pub fn is_workbook(start: &[u8]) -> bool {
    start.starts_with(b"PK") || start.starts_with(&[0xd0, 0xcf, 0x11, 0xe0])
}

/// Whether a file that begins so is Parquet, or something else that is no text.
#[must_use]
pub fn is_no_text(start: &[u8]) -> bool {
    let is_control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r' | b'\n');
    start.starts_with(b"PAR") || start.iter().any(is_control)
}

/// Reads whichever it is, as its first bytes say.
pub struct BinaryOrCsv {
    undecided: Option<Undecided>,
    start: Vec<u8>,
    finished: bool,
    reader: Option<Box<dyn RecordReader>>,
}

struct Undecided {
    binary: Box<dyn RecordReader>,
    is_binary: fn(&[u8]) -> bool,
    csv: CsvOptions,
}

impl BinaryOrCsv {
    /// A reader at the start of a file, which `is_binary` knows by its first bytes.
    #[must_use]
    pub fn new(binary: Box<dyn RecordReader>, is_binary: fn(&[u8]) -> bool, csv: CsvOptions) -> Self {
        Self {
            undecided: Some(Undecided { binary, is_binary, csv }),
            start: Vec::new(),
            finished: false,
            reader: None,
        }
    }

    fn decide(&mut self) {
        if self.start.len() < START_BYTES && !self.finished {
            return;
        }
        let Some(Undecided { binary, is_binary, csv }) = self.undecided.take() else {
            return;
        };
        let mut reader = if is_binary(&self.start[..self.start.len().min(START_BYTES)]) {
            binary
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

impl RecordReader for BinaryOrCsv {
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

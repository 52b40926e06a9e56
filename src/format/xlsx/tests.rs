//! What the reader promises: the texts a person sees in the sheet, one reject per damaged row, bounded memory and time, and an
//! answer to whatever is sent.

mod build;
mod damage;
mod hostile;
mod values;

use crate::domain::reject::RecordPlace;
use crate::format::record::{Damage, FileError, RecordReader, Step};

use super::*;

/// A [`Step`] that can be kept and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Record(RecordPlace, Vec<String>),
    Damaged(Damage),
}

fn options() -> XlsxOptions {
    XlsxOptions {
        sheet: None,
        max_columns: 255,
        max_field_bytes: 1000,
        max_record_bytes: 4000,
        max_unpacked_bytes: 10 << 20,
        spill_dir: std::env::temp_dir(),
        shared_strings_in_memory: 1 << 20,
    }
}

fn drain(reader: &mut XlsxReader, seen: &mut Vec<Seen>) {
    loop {
        match reader.step() {
            Step::NeedInput | Step::End => return,
            Step::Damaged(damage) => seen.push(Seen::Damaged(damage)),
            Step::Record(record) => {
                let text = |cell: &std::borrow::Cow<'_, [u8]>| String::from_utf8_lossy(cell).into_owned();
                seen.push(Seen::Record(record.place, record.cells.iter().map(text).collect()));
            }
        }
    }
}

/// A reader that was fed all of the file.
fn fed<'a>(options: XlsxOptions, pieces: impl IntoIterator<Item = &'a [u8]>) -> XlsxReader {
    let mut reader = XlsxReader::new(options);
    for piece in pieces {
        reader.feed(piece);
        assert!(matches!(reader.header(), Ok(None)), "before all is there");
        assert!(matches!(reader.step(), Step::NeedInput));
    }
    reader.finish();
    reader
}

fn read_with(options: XlsxOptions, file: &[u8]) -> Result<(Vec<String>, Vec<Seen>), FileError> {
    let mut reader = fed(options, [file]);
    let header = reader.header()?.expect("known at the end");
    let mut seen = Vec::new();
    drain(&mut reader, &mut seen);
    Ok((header, seen))
}

fn read(file: &[u8]) -> (Vec<String>, Vec<Seen>) {
    read_with(options(), file).expect("a header")
}

fn refused(file: &[u8]) -> FileError {
    refused_with(options(), file)
}

fn refused_with(options: XlsxOptions, file: &[u8]) -> FileError {
    let mut reader = fed(options, [file]);
    let error = reader.header().expect_err("no header");
    assert!(matches!(reader.step(), Step::End));
    assert_eq!(reader.header(), Err(error.clone()), "it stays");
    error
}

fn cells(seen: &Seen) -> Vec<&str> {
    match seen {
        Seen::Record(_, cells) => cells.iter().map(String::as_str).collect(),
        Seen::Damaged(damage) => panic!("damaged: {damage:?}"),
    }
}

fn damage(seen: &Seen) -> &Damage {
    match seen {
        Seen::Damaged(damage) => damage,
        Seen::Record(..) => panic!("not damaged: {seen:?}"),
    }
}

fn place(seen: &Seen) -> RecordPlace {
    match seen {
        Seen::Record(place, _) => *place,
        Seen::Damaged(damage) => damage.place,
    }
}

/// The place of a record in a row.
fn at(record: u64, row: u64) -> RecordPlace {
    RecordPlace {
        record,
        line: row,
        byte_start: row,
        byte_end: row + 1,
    }
}

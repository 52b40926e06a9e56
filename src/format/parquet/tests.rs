//! What was written is read back, in every encoding; and whatever is wrong with a file is told.

mod encodings;
mod hostile;

use std::borrow::Cow;

use super::{ParquetColumn, ParquetOptions, ParquetReader, ParquetWriter};
use crate::domain::entity::FieldType;
use crate::domain::export::Compression;
use crate::domain::reject::RecordPlace;
use crate::format::record::{Damage, FileError, Position, RecordReader, Step};
use crate::format::record_writer::{RecordWriter, WriteError};
use crate::format::typed::{FileCell, Nature};

const DECIMAL: FieldType = FieldType::Decimal {
    precision: 18,
    scale: Some(2),
};
const WIDE: FieldType = FieldType::Decimal {
    precision: 38,
    scale: Some(9),
};
const LOOSE: FieldType = FieldType::Decimal {
    precision: 38,
    scale: None,
};

fn columns() -> Vec<(&'static str, FieldType, Nature)> {
    vec![
        ("code", FieldType::String, Nature::Text),
        ("count", FieldType::Int, Nature::Number),
        ("amount", DECIMAL, Nature::Number),
        ("wide", WIDE, Nature::Number),
        ("loose", LOOSE, Nature::Digits),
        ("active", FieldType::Bool, Nature::Bool),
        ("day", FieldType::Date, Nature::Date),
        ("moment", FieldType::Datetime, Nature::Datetime),
        ("clock", FieldType::Time, Nature::Time),
        ("uid", FieldType::Guid, Nature::Text),
    ]
}

fn writer(compression: Option<Compression>) -> ParquetWriter {
    let columns = columns().into_iter().map(|(name, kind, _)| ParquetColumn {
        name: name.to_owned(),
        kind,
    });
    ParquetWriter::new(columns.collect(), compression)
}

fn cells<'a>(row: &[Option<&'a str>]) -> Vec<FileCell<'a>> {
    let cell = |(text, (_, _, nature)): (Option<&'a str>, _)| FileCell {
        text: text.map(Cow::Borrowed),
        nature,
    };
    row.iter().copied().zip(columns()).map(cell).collect()
}

type Row = [Option<&'static str>; 10];

const FULL: Row = [
    Some("Größe \u{1f600}"),
    Some("-9223372036854775808"),
    Some("-1234567890123456.78"),
    Some("12345678901234567890123456789.123456789"),
    Some("0.1000"),
    Some("Yes"),
    Some("0001-01-01"),
    Some("9999-12-31 23:59:59.999999"),
    Some("23:59:59.5"),
    Some("6d31e09f-0249-459f-94f0-aad9c2c47b64"),
];

/// The same as it is read.
const READ: [&str; 10] = [
    "Größe \u{1f600}",
    "-9223372036854775808",
    "-1234567890123456.78",
    "12345678901234567890123456789.123456789",
    "0.1000",
    "true",
    "0001-01-01",
    "9999-12-31 23:59:59.999999Z",
    "23:59:59.500",
    "6d31e09f-0249-459f-94f0-aad9c2c47b64",
];

fn written(compression: Option<Compression>, rows: &[Row]) -> Vec<u8> {
    let (mut writer, mut out) = (writer(compression), Vec::new());
    writer.begin(&mut out).expect("begun");
    for row in rows {
        writer.record(0, &cells(row), &mut out).expect("a record");
    }
    writer.finish(&mut out).expect("ended");
    out
}

fn options() -> ParquetOptions {
    ParquetOptions {
        max_columns: 64,
        max_field_bytes: 1 << 20,
        max_record_bytes: 1 << 20,
        max_unpacked_bytes: 1 << 30,
        spill_dir: std::env::temp_dir(),
    }
}

/// What a reader says of a file.
#[derive(Debug, Default)]
struct Told {
    names: Vec<String>,
    records: Vec<Vec<String>>,
    damaged: Vec<Damage>,
    places: Vec<RecordPlace>,
}

fn told_from(file: &[u8], options: ParquetOptions, from: Position) -> Result<Told, FileError> {
    let mut reader = ParquetReader::new(options);
    for piece in file.chunks(1000) {
        assert!(reader.header()?.is_none(), "nothing is known before the end");
        reader.feed(piece);
    }
    reader.finish();
    let mut told = Told {
        names: reader.header()?.expect("a header"),
        ..Told::default()
    };
    reader.skip_to(from);
    loop {
        match reader.step() {
            Step::Record(record) => {
                let text = |cell: &Cow<'_, [u8]>| String::from_utf8_lossy(cell).into_owned();
                told.records.push(record.cells.iter().map(text).collect());
                told.places.push(record.place);
            }
            Step::Damaged(damage) => {
                told.places.push(damage.place);
                told.damaged.push(damage);
            }
            Step::End => return Ok(told),
            Step::NeedInput => panic!("all was fed"),
        }
    }
}

fn told(file: &[u8]) -> Result<Told, FileError> {
    told_from(file, options(), Position::START)
}

#[test]
fn what_is_written_is_read_back_however_it_is_packed() {
    let short: Row = [
        Some(""),
        Some("007"),
        Some("0"),
        Some("-0.000000001"),
        Some("-7"),
        Some("No"),
        Some("9999-12-31"),
        Some("1969-12-31 23:59:59"),
        Some("00:00:00"),
        None,
    ];
    for compression in [None, Some(Compression::Gzip), Some(Compression::Zstd)] {
        let told = told(&written(compression, &[FULL, [None; 10], short])).expect("a file");
        assert_eq!(told.names, columns().map_names());
        assert_eq!(told.records[0], READ);
        assert_eq!(told.records[1], [""; 10]);
        let read = [
            "",
            "7",
            "0.00",
            "-0.000000001",
            "-7",
            "false",
            "9999-12-31",
            "1969-12-31 23:59:59Z",
            "00:00:00",
            "",
        ];
        assert_eq!(told.records[2], read);
        assert!(told.damaged.is_empty());
    }
    let none = told(&written(None, &[])).expect("a file");
    assert_eq!((none.names.len(), none.records.len()), (10, 0));
}

trait Names {
    fn map_names(&self) -> Vec<&'static str>;
}

impl Names for Vec<(&'static str, FieldType, Nature)> {
    fn map_names(&self) -> Vec<&'static str> {
        self.iter().map(|(name, ..)| *name).collect()
    }
}

#[test]
fn a_value_of_another_type_is_refused_with_its_place() {
    for (column, text, words) in [
        (1, "x", "is no whole number of 64 bits"),
        (1, "9223372036854775808", "is no whole number"),
        (2, "NaN", "is no decimal of 18 digits, 2 of them"),
        (2, "12345678901234567.00", "is no decimal"),
        (2, "0.001", "is no decimal"),
        (3, "123456789012345678901234567890", "is no decimal of 38"),
        (5, "maybe", "is no truth value"),
        (6, "infinity", "is no date"),
        (7, "2026-01-31", "is no date and time"),
        (8, "25:00", "is no time of day"),
    ] {
        let mut row = FULL;
        row[column] = Some(text);
        let (mut writer, mut out) = (writer(None), Vec::new());
        writer.begin(&mut out).expect("begun");
        match writer.record(0, &cells(&row), &mut out) {
            Err(WriteError::Value { column: at, reason }) => {
                assert_eq!(at, column);
                assert!(reason.contains(&format!("holds `{text}`, which {words}")), "{reason}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn row_groups_are_cut_by_records_and_by_bytes() {
    let column = || ParquetColumn {
        name: "text".to_owned(),
        kind: FieldType::String,
    };
    let cell = |text: &'static str| FileCell {
        text: Some(Cow::Borrowed(text)),
        nature: Nature::Text,
    };
    // Short ones, and long ones that are all the same: what waits counts, not what it packs to.
    let long: &'static str = Box::leak("x".repeat(1 << 20).into_boxed_str());
    for (text, records, most_held) in [("x", 300_000, 4 << 20), (long, 40, 17 << 20)] {
        let mut writer = ParquetWriter::new(vec![column()], None);
        let (mut whole, mut held) = (Vec::new(), 0);
        writer.begin(&mut whole).expect("begun");
        for _ in 0..records {
            writer.record(0, &[cell(text)], &mut whole).expect("a record");
            held = held.max(writer.held_bytes());
        }
        assert!(held > 1 << 20 && held < most_held, "{held} bytes waited");
        let before_end = whole.len();
        writer.finish(&mut whole).expect("ended");
        assert!(before_end > 4, "row groups left before the end");
        let mut spooled = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut spooled, &whole).expect("written");
        let footer = super::footer::Footer::read(&mut spooled, 10).expect("a footer");
        assert_eq!(footer.groups.len(), 3, "{text:.10}");
        assert_eq!(footer.groups.iter().map(|group| group.rows).sum::<u64>(), records);
    }
}

#[test]
fn reading_goes_on_from_any_position() {
    // Three row groups.
    let mut writer = writer(None);
    let mut file = Vec::new();
    writer.begin(&mut file).expect("begun");
    let count = 2 * (1 << 17) + 10;
    for number in 0..count {
        let number = number.to_string();
        let mut row = [None; 10];
        row[0] = Some(number.as_str());
        writer.record(0, &cells(&row), &mut file).expect("a record");
    }
    writer.finish(&mut file).expect("ended");
    let all = told(&file).expect("a file");
    assert_eq!(all.records.len(), count);
    for after in [1, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, 2 << 17, count - 1, count] {
        let place = all.places[after - 1];
        let from = Position {
            records: place.record,
            line: place.line + 1,
            byte: place.byte_end,
        };
        let rest = told_from(&file, options(), from).expect("a file");
        assert_eq!(rest.records.as_slice(), &all.records[after..], "after {after}");
        assert_eq!(rest.places.as_slice(), &all.places[after..], "after {after}");
    }
}

//! The bytes of every format, and that they come as a stream.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{Cursor, Read as _};

use super::csv_write::CsvWriter;
use super::fixed::FixedWriter;
use super::json::{JsonShape, JsonWriter};
use super::record_writer::{RecordWriter, WriteError};
use super::typed::{FileCell, Nature};
use super::xlsx::{XlsxWriter, is_sheet_name, sheet_name};
use super::xml::{XmlNode, XmlStyle, XmlWriter};
use crate::domain::job::FixedColumn;

const NATURES: [(&str, Nature); 8] = [
    ("code", Nature::Text),
    ("amount", Nature::Number),
    ("rate", Nature::Digits),
    ("active", Nature::Bool),
    ("day", Nature::Date),
    ("moment", Nature::Datetime),
    ("clock", Nature::Time),
    ("note", Nature::Text),
];

const ROWS: [[Option<&str>; 8]; 4] = [
    [
        Some("A1"),
        Some("12.50"),
        Some("0.1"),
        Some("Yes"),
        Some("2026-01-31"),
        Some("2026-01-31 13:05:00"),
        Some("06:00:00"),
        Some("=1+2 \"x\" <y> & ;, é"),
    ],
    [Some("A2"), None, None, None, None, None, None, None],
    [
        Some("A3"),
        Some("-9007199254740993"),
        Some("0.10"),
        Some("No"),
        Some("1850-02-28"),
        Some("2026-01-31 13:05:00.25"),
        Some("23:59:59.5"),
        Some(" _x0041_ "),
    ],
    [
        Some("A4"),
        Some("NaN"),
        Some("0"),
        Some("7"),
        Some("infinity"),
        Some("x"),
        Some(""),
        Some(""),
    ],
];

fn names() -> Vec<String> {
    NATURES.iter().map(|(name, _)| (*name).to_owned()).collect()
}

fn cells<'a>(row: &[Option<&'a str>]) -> Vec<FileCell<'a>> {
    let cell = |(text, nature): (Option<&'a str>, Nature)| FileCell {
        text: text.map(Cow::Borrowed),
        nature,
    };
    let natures = NATURES.iter().map(|(_, nature)| *nature);
    row.iter().copied().zip(natures).map(cell).collect()
}

fn written(mut writer: impl RecordWriter) -> Vec<u8> {
    let mut out = Vec::new();
    writer.begin(&mut out).expect("begun");
    for row in &ROWS {
        writer.record(0, &cells(row), &mut out).expect("a record");
    }
    writer.finish(&mut out).expect("ended");
    out
}

fn text(writer: impl RecordWriter) -> String {
    String::from_utf8(written(writer)).expect("text")
}

fn node(depth: usize, holds_others: bool) -> XmlNode {
    XmlNode {
        element: ["THINGENTITY", "PARTENTITY"][depth].to_owned(),
        members: names(),
        depth,
        holds_others,
    }
}

fn part(workbook: &[u8], name: &str) -> String {
    let mut zip = zip::ZipArchive::new(Cursor::new(workbook)).expect("a zip");
    let mut text = String::new();
    let mut member = zip.by_name(name).expect("a part");
    member.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn every_format_has_its_bytes() {
    let columns = names().into_iter().map(|name| FixedColumn { name, width: 24 });
    let xml = |style| XmlWriter::new(style, "UTF-8", vec![node(0, false)]);
    let mut all = String::new();
    for (name, text) in [
        ("csv", text(CsvWriter::new(b',', names()))),
        (
            "csv without a header, by semicolons",
            text(CsvWriter::new(b';', Vec::new())),
        ),
        ("fixed", text(FixedWriter::new(columns.collect()))),
        ("json", text(JsonWriter::new(JsonShape::Document, &names()))),
        ("jsonl", text(JsonWriter::new(JsonShape::Lines, &names()))),
        ("xml-element", text(xml(XmlStyle::Element))),
        ("xml-attribute", text(xml(XmlStyle::Attribute))),
    ] {
        let _ = writeln!(all, "--- {name}\n{}", text.replace('\r', "\\r"));
    }
    let workbook = written(XlsxWriter::new("R&D", names()));
    for name in ["xl/workbook.xml", "xl/styles.xml", "xl/worksheets/sheet1.xml"] {
        let text = part(&workbook, name).replace("<row", "\n<row").replace('\r', "\\r");
        let _ = writeln!(all, "--- xlsx: {name}\n{text}");
    }
    insta::assert_snapshot!("every_format", all);
}

#[test]
fn a_workbook_leaves_as_it_is_written() {
    let mut writer = XlsxWriter::new("S", names());
    let (mut whole, mut most, mut out) = (0, 0, Vec::new());
    writer.begin(&mut out).expect("begun");
    for number in 0..20_000_u64 {
        let code = format!("{:x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let row = [Some(code.as_str()), Some("1.5"), None, None, None, None, None, None];
        writer.record(0, &cells(&row), &mut out).expect("a record");
        (whole, most) = (whole + out.len(), most.max(out.len()));
        out.clear();
    }
    writer.finish(&mut out).expect("ended");
    assert!(whole > 300_000 && most < 100_000, "{most} of {whole} bytes at once");
}

#[test]
fn a_sheet_takes_no_more_than_its_rows() {
    let mut writer = XlsxWriter::new("S", vec!["n".to_owned()]);
    let mut out = Vec::new();
    writer.begin(&mut out).expect("begun");
    let nothing = [FileCell {
        text: None,
        nature: Nature::Text,
    }];
    for _ in 0..1_048_575 {
        writer.record(0, &nothing, &mut out).expect("room");
        out.clear();
    }
    let full = writer.record(0, &nothing, &mut out).expect_err("no room");
    assert!(matches!(full, WriteError::SheetFull(1_048_575)), "{full}");
    assert_eq!(full.code(), "sheet_full");
}

#[test]
fn what_xml_and_a_cell_cannot_hold_is_refused() {
    let refused = |writer: &mut dyn RecordWriter, text: &str| {
        let cell = FileCell {
            text: Some(Cow::Borrowed(text)),
            nature: Nature::Text,
        };
        let mut out = Vec::new();
        writer.record(0, &[cell], &mut out).expect_err(text).to_string()
    };
    let mut xml = XmlWriter::new(XmlStyle::Element, "UTF-8", vec![node(0, false)]);
    assert!(refused(&mut xml, "a\u{1}b").contains("holds the character U+0001, which XML cannot"));
    let mut xlsx = XlsxWriter::new("S", names());
    let long = "é".repeat(32_768);
    assert!(refused(&mut xlsx, &long).contains("has 32768 characters"));
}

#[test]
fn sheets_have_names_that_fit() {
    for (label, name) in [
        ("Customers", "Customers"),
        ("R&D [2026]: a/b", "R&D _2026__ a_b"),
        ("'quoted'", "quoted"),
        ("  ", "Sheet1"),
        (
            "Sales order headers of all companies",
            "Sales order headers of all comp",
        ),
    ] {
        assert_eq!(sheet_name(label), name);
        assert!(is_sheet_name(name));
    }
    assert!(!is_sheet_name("a:b") && !is_sheet_name(""));
}

//! How a job's files are written: `format` and what belongs to it.

use encoding_rs::Encoding;

use super::read::{Placed, Table};
use crate::domain::job::{FileFormat, FixedColumn};
use crate::format::parquet;

/// Widest column of a file whose columns stand at fixed places.
const WIDTH_MAX: u32 = 32_768;

/// The words for `format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Csv,
    Tsv,
    CsvUnicode,
    XmlElement,
    XmlAttribute,
    Json,
    JsonLines,
    Xlsx,
    Parquet,
    Fixed,
}

const WORDS: [(&str, Word); 10] = [
    ("csv", Word::Csv),
    ("tsv", Word::Tsv),
    ("csv-unicode", Word::CsvUnicode),
    ("xml-element", Word::XmlElement),
    ("xml-attribute", Word::XmlAttribute),
    ("json", Word::Json),
    ("jsonl", Word::JsonLines),
    ("xlsx", Word::Xlsx),
    ("parquet", Word::Parquet),
    ("fixed", Word::Fixed),
];

/// A format, and the encoding of files without a byte order mark.
pub(super) type Written = (FileFormat, Option<String>);

/// What an import job reads or an export job writes. A wrong one is reported and taken for CSV.
pub(super) fn read(section: &Table<'_>) -> Written {
    let word = read_word(section);
    let delimiter = read_delimiter(section, word);
    let sheet = section.text("sheet");
    let columns = read_columns(section);
    let encoding = read_encoding(section);
    let findings = section.findings();
    if let Some(sheet) = sheet.as_ref().filter(|_| word != Word::Xlsx) {
        findings.at(&sheet.span, "`sheet` is for `format = \"xlsx\"`");
    }
    if let Some(columns) = columns.as_ref().filter(|_| word != Word::Fixed) {
        findings.at(&columns.span, "`columns` is for `format = \"fixed\"`");
    }
    if let Some(encoding) = encoding.as_ref().filter(|_| word == Word::Xlsx) {
        findings.at(&encoding.span, "a workbook has no `encoding`; leave it out");
    }
    if let Some(encoding) = encoding.as_ref().filter(|_| word == Word::Parquet) {
        findings.at(&encoding.span, "a Parquet file has no `encoding`; leave it out");
    }
    let format = match word {
        Word::Csv | Word::Tsv | Word::CsvUnicode => FileFormat::Csv { delimiter },
        Word::XmlElement => FileFormat::XmlElement,
        Word::XmlAttribute => FileFormat::XmlAttribute,
        Word::Json => FileFormat::Json,
        Word::JsonLines => FileFormat::JsonLines,
        Word::Xlsx => FileFormat::Xlsx {
            sheet: sheet.map(|sheet| sheet.value),
        },
        Word::Parquet => FileFormat::Parquet,
        Word::Fixed => {
            if columns.is_none() {
                let message =
                    "`format = \"fixed\"` needs `columns`, such as `columns = [{ name = \"OrderID\", width = 10 }]`";
                findings.at(section.span(), message);
            }
            FileFormat::Fixed(columns.map_or_else(Vec::new, |columns| columns.value))
        }
    };
    // A mark decides whatever is said here, so a file that has one is read all the same (FMT-9).
    let unicode = (word == Word::CsvUnicode).then(|| encoding_rs::UTF_16LE.name().to_owned());
    (format, encoding.map(|encoding| encoding.value).or(unicode))
}

fn read_word(section: &Table<'_>) -> Word {
    section.require("format");
    let Some(word) = section.choice("format", &WORDS) else {
        return Word::Csv;
    };
    if word.value == Word::Parquet && !parquet::BUILT_IN {
        section.findings().at(&word.span, parquet::NOT_BUILT_IN);
    }
    word.value
}

/// Apart from `Table::text`, because a tab is a blank text.
fn read_delimiter(section: &Table<'_>, word: Word) -> u8 {
    let by_word = if word == Word::Tsv { b'\t' } else { b',' };
    let Some(text) = section.scalar_text("delimiter") else {
        return by_word;
    };
    let findings = section.findings();
    if !matches!(word, Word::Csv | Word::Tsv | Word::CsvUnicode) {
        findings.at(
            &text.span,
            "`delimiter` is for delimited text: `csv`, `tsv` and `csv-unicode`",
        );
        return by_word;
    }
    let delimiter = match text.value.as_bytes() {
        [byte @ (b'\t' | b'!'..=b'~')] if !byte.is_ascii_alphanumeric() && *byte != b'"' => *byte,
        _ => {
            let message = format!(
                "`delimiter` is `{}`; write one ASCII sign that is no letter, digit, blank or quote, such as `;`, `|` or `\\t`",
                text.value
            );
            findings.at(&text.span, message);
            return by_word;
        }
    };
    if word == Word::Tsv && delimiter != b'\t' {
        findings.at(
            &text.span,
            "format `tsv` is delimited by tabs; write `format = \"csv\"`",
        );
    }
    delimiter
}

fn read_encoding(section: &Table<'_>) -> Option<Placed<String>> {
    let label = section.text("encoding")?;
    // What the standard replaces is read, and could be written, as nothing but replacement.
    let found = Encoding::for_label(label.value.trim().as_bytes());
    if let Some(encoding) = found.filter(|encoding| *encoding != encoding_rs::REPLACEMENT) {
        return Some(label.with(encoding.name().to_owned()));
    }
    let message = format!(
        "`encoding` is `{}`, which is not known; write one such as `utf-8`, `utf-16le`, `windows-1252` or `shift_jis`",
        label.value
    );
    section.findings().at(&label.span, message);
    None
}

fn read_columns(section: &Table<'_>) -> Option<Placed<Vec<FixedColumn>>> {
    if !section.has("columns") {
        return None;
    }
    let mut columns: Vec<FixedColumn> = Vec::new();
    let mut span = section.span().clone();
    for column in section.tables("columns", "[[columns]]") {
        span = column.span().clone();
        let name = column.required_text("name");
        column.require("width");
        let width = column.number("width", 1..=WIDTH_MAX);
        if let Some(name) = &name
            && columns.iter().any(|other| other.name == name.value)
        {
            let message = format!("two columns are called `{}`", name.value);
            column.findings().at(&name.span, message);
        }
        column.finish();
        if let (Some(name), Some(width)) = (name, width) {
            columns.push(FixedColumn {
                name: name.value,
                width: width.value,
            });
        }
    }
    Some(Placed { value: columns, span })
}

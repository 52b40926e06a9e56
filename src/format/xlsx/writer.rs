//! Workbooks, written: one sheet with a header row, as a stream without temporary files.
//!
//! A library that writes workbooks either has them in memory or in a temporary file first, because a sheet's texts go into a
//! part of their own. Here they stand in their cells (`inlineStr`), so that the sheet's part is written row by row, last in the
//! zip, while its first rows are on their way already.
//!
//! Numbers, dates, times and truth values are cells of these types where a workbook holds them exactly: numbers of at most 15
//! digits, dates from March 1900 on, times without a fraction of a second. Everything else is text, which no program takes for
//! a formula.

use std::fmt::Write as _;
use std::io;

use chrono::{NaiveDate, Timelike as _};
use quick_xml::escape::escape;

use super::row::cell_name;
use crate::format::excerpt::quoted;
use crate::format::record_writer::{RecordWriter, WriteError};
use crate::format::typed::{FileCell, Nature, days_and_time};
use crate::format::zip_stream::ZipStream;

/// Records a sheet holds below its header.
const RECORDS_MAX: u64 = (1 << 20) - 1;
/// Longest text of a cell, in UTF-16 units, as Excel counts.
const TEXT_UNITS_MAX: usize = 32_767;
/// Most significant digits of a number that every program keeps.
const DIGITS_MAX: usize = 15;
/// Longest name of a sheet.
pub const SHEET_NAME_CHARS_MAX: usize = 31;
/// The day before which a workbook's days are not those of the calendar.
const MARCH_1900: i64 = 61;
/// Positions in `cellXfs` of the styles part.
const DATE: u8 = 1;
const DATETIME: u8 = 2;
const TIME: u8 = 3;

/// Writes a workbook.
#[derive(Debug)]
pub struct XlsxWriter {
    zip: Option<ZipStream>,
    sheet: String,
    header: Vec<String>,
    /// Rows so far, the header's too.
    rows: u64,
    /// Memory for a row.
    row: String,
}

impl XlsxWriter {
    /// Of one sheet of this name, with these names in its first row.
    #[must_use]
    pub fn new(sheet: &str, header: Vec<String>) -> Self {
        Self {
            zip: Some(ZipStream::new()),
            sheet: sheet.to_owned(),
            header,
            rows: 0,
            row: String::new(),
        }
    }

    fn zip(&mut self) -> io::Result<&mut ZipStream> {
        self.zip
            .as_mut()
            .ok_or_else(|| io::Error::other("the workbook has ended"))
    }

    /// Ends the row at hand.
    fn put_row(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.row.push_str("</row>");
        let row = std::mem::take(&mut self.row);
        let zip = self.zip()?;
        zip.write(row.as_bytes())?;
        out.append(&mut zip.take());
        self.row = row;
        Ok(())
    }

    fn begin_row(&mut self) {
        self.rows += 1;
        self.row.clear();
        let _ = write!(self.row, "<row r=\"{}\">", self.rows);
    }
}

impl RecordWriter for XlsxWriter {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        let parts = parts(&self.sheet);
        let zip = self.zip()?;
        for (name, content) in parts {
            zip.begin_small_member(name)?;
            zip.write(content.as_bytes())?;
        }
        zip.begin_member("xl/worksheets/sheet1.xml")?;
        zip.write(format!("{DECLARATION}<worksheet xmlns=\"{MAIN}\"><sheetData>").as_bytes())?;
        self.begin_row();
        for (column, name) in self.header.iter().enumerate() {
            push_text(&mut self.row, column, self.rows, name);
        }
        self.put_row(out)
    }

    fn record(&mut self, _: usize, cells: &[FileCell<'_>], out: &mut Vec<u8>) -> Result<(), WriteError> {
        if self.rows > RECORDS_MAX {
            return Err(WriteError::SheetFull(RECORDS_MAX));
        }
        for (column, cell) in cells.iter().enumerate() {
            if let Some(reason) = cell.text.as_deref().and_then(too_long) {
                return Err(WriteError::Value { column, reason });
            }
        }
        self.begin_row();
        for (column, cell) in cells.iter().enumerate() {
            let Some(text) = cell.text.as_deref() else { continue };
            match typed(text, cell.nature()) {
                Some(typed) => push_typed(&mut self.row, column, self.rows, &typed),
                None => push_text(&mut self.row, column, self.rows, text),
            }
        }
        self.put_row(out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        self.zip()?.write(b"</sheetData></worksheet>")?;
        if let Some(zip) = self.zip.take() {
            out.append(&mut zip.finish()?);
        }
        Ok(())
    }
}

/// Whether a sheet may be called so.
#[must_use]
pub fn is_sheet_name(name: &str) -> bool {
    sheet_name(name) == name
}

/// A name that a sheet may have, made of a label: of at most 31 characters, without those that stand in references to cells.
#[must_use]
pub fn sheet_name(label: &str) -> String {
    let forbidden = |c: char| c.is_control() || matches!(c, '[' | ']' | ':' | '*' | '?' | '/' | '\\');
    let name: String = label.chars().map(|c| if forbidden(c) { '_' } else { c }).collect();
    let name = name.trim().trim_matches('\'');
    let name: String = name.chars().take(SHEET_NAME_CHARS_MAX).collect();
    let name = name.trim_end();
    if name.is_empty() {
        "Sheet1".to_owned()
    } else {
        name.to_owned()
    }
}

fn too_long(text: &str) -> Option<String> {
    // A character has at most as many units as bytes.
    if text.len() <= TEXT_UNITS_MAX {
        return None;
    }
    let units = text.encode_utf16().count();
    (units > TEXT_UNITS_MAX).then(|| {
        format!(
            "has {units} characters ({}), but a workbook's cell holds at most {TEXT_UNITS_MAX}: choose another format",
            quoted(text)
        )
    })
}

/// A cell with a type: `t` of its tag where it has one, `s`, and its value.
struct Typed<'a> {
    kind: &'static str,
    style: u8,
    value: std::borrow::Cow<'a, str>,
}

/// The value as a cell of its own type, where that says exactly the same.
fn typed(text: &str, nature: Nature) -> Option<Typed<'_>> {
    let of = |kind, style, value| Some(Typed { kind, style, value });
    match nature {
        Nature::Text => None,
        Nature::Bool => of(" t=\"b\"", 0, if text == "Yes" { "1" } else { "0" }.into()),
        Nature::Number | Nature::Digits => is_exact(text, nature).then_some(Typed {
            kind: "",
            style: 0,
            value: text.into(),
        }),
        Nature::Date | Nature::Datetime | Nature::Time => {
            let epoch = NaiveDate::from_ymd_opt(1899, 12, 30)?;
            let (days, time) = days_and_time(text, epoch)?;
            if time.nanosecond() > 0 || nature != Nature::Time && days < MARCH_1900 {
                return None;
            }
            let part = f64::from(time.num_seconds_from_midnight()) / 86_400.0;
            match nature {
                Nature::Time => of("", TIME, part.to_string().into()),
                Nature::Date => of("", DATE, days.to_string().into()),
                // A day's number is small.
                _ => of(
                    "",
                    DATETIME,
                    (f64::from(i32::try_from(days).ok()?) + part).to_string().into(),
                ),
            }
        }
    }
}

/// Whether a workbook's number reads back as these digits.
fn is_exact(text: &str, nature: Nature) -> bool {
    let shortest = match nature {
        Nature::Digits => text,
        _ if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.'),
        _ => text,
    };
    let digits = shortest.bytes().filter(u8::is_ascii_digit).count();
    let number: Option<f64> = shortest.parse().ok();
    digits <= DIGITS_MAX && number.is_some_and(|number| number.to_string() == shortest)
}

fn push_typed(row: &mut String, column: usize, number: u64, cell: &Typed<'_>) {
    let (name, kind, value) = (cell_name(column, number), cell.kind, &cell.value);
    let _ = match cell.style {
        0 => write!(row, "<c r=\"{name}\"{kind}><v>{value}</v></c>"),
        style => write!(row, "<c r=\"{name}\" s=\"{style}\"{kind}><v>{value}</v></c>"),
    };
}

fn push_text(row: &mut String, column: usize, number: u64, text: &str) {
    let name = cell_name(column, number);
    let _ = write!(row, "<c r=\"{name}\" t=\"inlineStr\"><is><t xml:space=\"preserve\">");
    push_escaped(row, text);
    row.push_str("</t></is></c>");
}

/// Appends text so that a workbook reads it back: what XML cannot hold, and what looks like that when written so, as `_xHHHH_`.
fn push_escaped(row: &mut String, text: &str) {
    for (at, c) in text.char_indices() {
        let is_markup = matches!(c, '&' | '<' | '>');
        let is_writable = matches!(c, '\t' | '\n') || c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
        if is_markup {
            row.push_str(&escape(&text[at..=at]));
        } else if !is_writable || c == '_' && looks_escaped(&text[at..]) {
            let _ = write!(row, "_x{:04X}_", u32::from(c));
        } else {
            row.push(c);
        }
    }
}

fn looks_escaped(text: &str) -> bool {
    let Some(digits) = text.strip_prefix("_x").and_then(|rest| rest.get(..5)) else {
        return false;
    };
    digits
        .strip_suffix('_')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n";
const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";

/// Four formats of cells: any, date, date and time, time.
const STYLES: &str = "\
    <styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><numFmts count=\"3\">\
    <numFmt numFmtId=\"164\" formatCode=\"yyyy\\-mm\\-dd\"/>\
    <numFmt numFmtId=\"165\" formatCode=\"yyyy\\-mm\\-dd\\ hh:mm:ss\"/>\
    <numFmt numFmtId=\"166\" formatCode=\"hh:mm:ss\"/></numFmts>\
    <fonts count=\"1\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font></fonts>\
    <fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill></fills>\
    <borders count=\"1\"><border><left/><right/><top/><bottom/><diagonal/></border></borders>\
    <cellStyleXfs count=\"1\"><xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs><cellXfs count=\"4\">\
    <xf numFmtId=\"0\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
    <xf numFmtId=\"164\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
    <xf numFmtId=\"165\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
    <xf numFmtId=\"166\" fontId=\"0\" fillId=\"0\" borderId=\"0\" xfId=\"0\" applyNumberFormat=\"1\"/>\
    </cellXfs><cellStyles count=\"1\"><cellStyle name=\"Normal\" xfId=\"0\" builtinId=\"0\"/></cellStyles></styleSheet>";

/// The parts before the sheet.
fn parts(sheet: &str) -> [(&'static str, String); 5] {
    let spreadsheet = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let types = format!(
        "<Types xmlns=\"{PACKAGE}/content-types\">\
         <Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
         <Default Extension=\"xml\" ContentType=\"application/xml\"/>\
         <Override PartName=\"/xl/workbook.xml\" ContentType=\"{spreadsheet}.sheet.main+xml\"/>\
         <Override PartName=\"/xl/worksheets/sheet1.xml\" ContentType=\"{spreadsheet}.worksheet+xml\"/>\
         <Override PartName=\"/xl/styles.xml\" ContentType=\"{spreadsheet}.styles+xml\"/></Types>"
    );
    let root = format!(
        "<Relationships xmlns=\"{PACKAGE}/relationships\">\
         <Relationship Id=\"rId1\" Type=\"{OFFICE}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
    );
    let sheet = escape(sheet);
    let workbook = format!(
        "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE}\"><sheets><sheet name=\"{sheet}\" sheetId=\"1\" r:id=\"rId1\"/></sheets>\
         </workbook>"
    );
    let relations = format!(
        "<Relationships xmlns=\"{PACKAGE}/relationships\">\
         <Relationship Id=\"rId1\" Type=\"{OFFICE}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
         <Relationship Id=\"rId2\" Type=\"{OFFICE}/styles\" Target=\"styles.xml\"/></Relationships>"
    );
    [
        ("[Content_Types].xml", types),
        ("_rels/.rels", root),
        ("xl/workbook.xml", workbook),
        ("xl/_rels/workbook.xml.rels", relations),
        ("xl/styles.xml", STYLES.to_owned()),
    ]
    .map(|(name, content)| (name, format!("{DECLARATION}{content}")))
}

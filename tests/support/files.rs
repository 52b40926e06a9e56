//! One table of texts as a file of each format, written without the code that reads it.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Map, Value};

/// Names and rows, every cell as text.
pub struct Data<'a> {
    pub names: &'a [&'a str],
    pub rows: &'a [Vec<String>],
}

/// A member that JSON writes as a number where it is one.
const NUMBER: &str = "Amount";

impl Data<'_> {
    pub fn delimited(&self, delimiter: char) -> String {
        let row = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells.map(|cell| quoted(cell, delimiter)).collect();
            cells.join(&delimiter.to_string()) + "\r\n"
        };
        let mut file = row(&mut self.names.iter().copied());
        for cells in self.rows {
            file += &row(&mut cells.iter().map(String::as_str));
        }
        file
    }

    pub fn fixed(&self, widths: &[usize]) -> String {
        let mut file = String::new();
        for cells in self.rows {
            for (cell, width) in cells.iter().zip(widths) {
                assert!(cell.chars().count() <= *width, "{cell}");
                write!(file, "{cell:<width$}").expect("it goes into memory");
            }
            // Producers drop what is blank at the end.
            file.truncate(file.trim_end_matches(' ').len());
            file.push('\n');
        }
        file
    }

    pub fn json(&self) -> String {
        serde_json::to_string_pretty(&self.objects()).expect("it goes into memory")
    }

    pub fn envelope(&self) -> String {
        format!("{{\"@odata.context\":\"x\",\"value\":{}}}", Value::from(self.objects()))
    }

    pub fn json_lines(&self) -> String {
        let lines: Vec<String> = self.objects().iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    fn objects(&self) -> Vec<Value> {
        let member = |(name, text): (&&str, &String)| {
            let number = text.parse::<f64>().ok().filter(|_| *name == NUMBER);
            let value = match number {
                Some(_) => serde_json::from_str(text).expect("it goes into memory"),
                None if text.is_empty() => Value::Null,
                None => Value::from(text.as_str()),
            };
            ((*name).to_owned(), value)
        };
        let object = |cells: &Vec<String>| self.names.iter().zip(cells).map(member).collect::<Map<_, _>>();
        self.rows.iter().map(|cells| Value::Object(object(cells))).collect()
    }

    pub fn xml_element(&self) -> String {
        let mut file = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<Document>\r\n".to_owned();
        for cells in self.rows {
            file += "  <THINGENTITY>\r\n";
            for (name, text) in self.names.iter().zip(cells) {
                writeln!(file, "    <{name}>{}</{name}>", escaped(text)).expect("it goes into memory");
            }
            file += "  </THINGENTITY>\r\n";
        }
        file + "</Document>\r\n"
    }

    pub fn xml_attribute(&self) -> String {
        let mut file = "<Document>".to_owned();
        for cells in self.rows {
            file += "<THINGENTITY";
            for (name, text) in self.names.iter().zip(cells) {
                write!(file, " {name}=\"{}\"", escaped(text)).expect("it goes into memory");
            }
            file += "/>\n";
        }
        file + "</Document>"
    }

    /// A workbook with one sheet of inline texts.
    /// Columns of optional texts, half of the rows in each of two row groups, nothing packed, so that damage meets values.
    #[cfg(feature = "parquet")]
    pub fn parquet(&self) -> Vec<u8> {
        use parquet::data_type::{ByteArray, ByteArrayType};
        let columns = self.names.iter().map(|name| format!("OPTIONAL binary {name} (UTF8); "));
        let schema = format!("message schema {{ {}}}", columns.collect::<String>());
        let schema = parquet::schema::parser::parse_message_type(&schema).expect("a schema");
        let properties = std::sync::Arc::default();
        let mut writer =
            parquet::file::writer::SerializedFileWriter::new(Vec::new(), std::sync::Arc::new(schema), properties)
                .expect("it goes into memory");
        for rows in self.rows.chunks(self.rows.len().div_ceil(2)) {
            let mut group = writer.next_row_group().expect("it goes into memory");
            for column in 0..self.names.len() {
                let texts: Vec<_> = rows.iter().map(|row| row[column].as_str()).collect();
                let levels: Vec<i16> = texts.iter().map(|text| i16::from(!text.is_empty())).collect();
                let values: Vec<_> = texts
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .map(ByteArray::from)
                    .collect();
                let mut into = group.next_column().expect("it goes into memory").expect("a column");
                let written = into.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None);
                written.expect("it goes into memory");
                into.close().expect("it goes into memory");
            }
            group.close().expect("it goes into memory");
        }
        writer.into_inner().expect("it goes into memory")
    }

    pub fn workbook(&self) -> Vec<u8> {
        self.workbook_packed(zip::CompressionMethod::Deflated)
    }

    /// The same without compression: damage to it meets the XML.
    pub fn stored_workbook(&self) -> Vec<u8> {
        self.workbook_packed(zip::CompressionMethod::Stored)
    }

    fn workbook_packed(&self, method: zip::CompressionMethod) -> Vec<u8> {
        let names: Vec<String> = self.names.iter().map(|&name| name.to_owned()).collect();
        let mut rows = String::new();
        for (number, cells) in std::iter::once(&names).chain(self.rows).enumerate() {
            write!(rows, "<row r=\"{}\">", number + 1).expect("it goes into memory");
            for cell in cells {
                let text = escaped(cell);
                write!(
                    rows,
                    "<c t=\"inlineStr\"><is><t xml:space=\"preserve\">{text}</t></is></c>"
                )
                .expect("it goes into memory");
            }
            rows += "</row>";
        }
        workbook_of(&rows, None, method)
    }
}

/// A workbook of one sheet with these rows, and these shared strings.
pub fn workbook_of(rows: &str, strings: Option<&str>, method: zip::CompressionMethod) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let sheet = format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>");
    let strings = strings.map(|items| ("xl/sharedStrings.xml", format!("<sst xmlns=\"{main}\">{items}</sst>")));
    let shared = strings.as_ref().map_or_else(String::new, |_| {
        format!("<Relationship Id=\"t\" Type=\"{office}/sharedStrings\" Target=\"sharedStrings.xml\"/>")
    });
    let parts = [
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"{package}\"><Relationship Id=\"r\" Type=\"{office}/officeDocument\" \
                     Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets><sheet name=\"Things\" sheetId=\"1\" r:id=\"s\"/>\
                     </sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"{package}\"><Relationship Id=\"s\" Type=\"{office}/worksheet\" \
                     Target=\"worksheets/sheet1.xml\"/>{shared}</Relationships>"
            ),
        ),
        ("xl/worksheets/sheet1.xml", sheet),
    ];
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts.into_iter().chain(strings) {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        zip.start_file(name, options).expect("it goes into memory");
        zip.write_all(text.as_bytes()).expect("it goes into memory");
    }
    zip.finish().expect("it goes into memory").into_inner()
}

fn quoted(cell: &str, delimiter: char) -> String {
    if cell.contains([delimiter, '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

pub fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// Windows code page 1252, as far as it is Latin 1.
pub fn latin(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("Latin 1"))
        .collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("it goes into memory");
    packed.finish().expect("it goes into memory")
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("it goes into memory")
}

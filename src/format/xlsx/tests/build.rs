//! Workbooks written by hand.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub(super) const SHEET_PART: &str = "xl/worksheets/sheet1.xml";

/// A zip of these parts.
pub(super) fn zip<N: AsRef<str>, C: AsRef<[u8]>>(parts: impl IntoIterator<Item = (N, C)>) -> Vec<u8> {
    zip_with(CompressionMethod::Deflated, parts)
}

pub(super) fn zip_with<N: AsRef<str>, C: AsRef<[u8]>>(
    method: CompressionMethod,
    parts: impl IntoIterator<Item = (N, C)>,
) -> Vec<u8> {
    let options = SimpleFileOptions::default().compression_method(method);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(name.as_ref(), options).expect("a member");
        zip.write_all(content.as_ref()).expect("its bytes");
    }
    zip.finish().expect("a zip").into_inner()
}

/// A workbook with one sheet, as its parts.
pub(super) struct Book(Vec<(String, Vec<u8>)>);

impl Book {
    /// With these rows.
    pub fn new(rows: impl AsRef<[u8]>) -> Self {
        Self(Vec::new())
            .part("_rels/.rels", relations(&[("r1", "officeDocument", "xl/workbook.xml")]))
            .part("xl/workbook.xml", workbook("", &[("Currencies", "visible", "r1")]))
            .part(
                "xl/_rels/workbook.xml.rels",
                relations(&[
                    ("r1", "worksheet", "worksheets/sheet1.xml"),
                    ("r2", "sharedStrings", "sharedStrings.xml"),
                    ("r3", "styles", "styles.xml"),
                ]),
            )
            .part(SHEET_PART, sheet(rows))
    }

    /// With this part, in place of another of its name.
    pub fn part(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Without this part.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// With these shared texts, each the content of an `si`.
    pub fn strings(self, texts: &[&str]) -> Self {
        let texts = texts
            .iter()
            .map(|text| format!("<si>{text}</si>"))
            .collect::<Vec<_>>()
            .concat();
        self.part("xl/sharedStrings.xml", format!("<sst>{texts}</sst>"))
    }

    /// With these number formats of its own, and cell formats with these numbers.
    pub fn styles(self, own: &[(u32, &str)], formats: &[u32]) -> Self {
        let own = own
            .iter()
            .map(|(id, code)| format!("<numFmt numFmtId=\"{id}\" formatCode=\"{code}\"/>"))
            .collect::<Vec<_>>()
            .concat();
        let formats = formats
            .iter()
            .map(|id| format!("<xf numFmtId=\"{id}\"/>"))
            .collect::<Vec<_>>()
            .concat();
        self.part(
            "xl/styles.xml",
            format!(
                "<styleSheet><numFmts>{own}</numFmts><cellStyleXfs><xf numFmtId=\"14\"/></cellStyleXfs>\
                 <cellXfs>{formats}</cellXfs><dxfs><dxf><numFmt numFmtId=\"0\" formatCode=\"yyyy\"/></dxf></dxfs></styleSheet>"
            ),
        )
    }

    /// Bytes of all parts together.
    pub fn unpacked(&self) -> u64 {
        self.0.iter().map(|(_, content)| content.len() as u64).sum()
    }

    /// The file.
    pub fn file(self) -> Vec<u8> {
        zip(self.0)
    }
}

/// A sheet's part.
pub(super) fn sheet(rows: impl AsRef<[u8]>) -> Vec<u8> {
    [
        b"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n<worksheet xmlns=\"x\"><dimension ref=\"A1\"/><cols><col/></cols><sheetData>".as_slice(),
        rows.as_ref(),
        b"</sheetData><mergeCells/></worksheet>",
    ]
    .concat()
}

/// `workbook.xml`: attributes of `workbookPr`, then name, state and relationship of each sheet.
pub(super) fn workbook(properties: &str, sheets: &[(&str, &str, &str)]) -> String {
    let sheets = sheets
        .iter()
        .map(|(name, state, id)| format!("<sheet name=\"{name}\" sheetId=\"1\" state=\"{state}\" r:id=\"{id}\"/>"))
        .collect::<Vec<_>>()
        .concat();
    format!("<workbook xmlns:r=\"r\"><workbookPr {properties}/><sheets>{sheets}</sheets></workbook>")
}

/// A relationships part: id, kind, target.
pub(super) fn relations(relations: &[(&str, &str, &str)]) -> String {
    let relations = relations
        .iter()
        .map(|(id, kind, target)| format!("<Relationship Id=\"{id}\" Type=\"http://x/{kind}\" Target=\"{target}\"/>"))
        .collect::<Vec<_>>()
        .concat();
    format!("<Relationships>{relations}</Relationships>")
}

/// A row of inline texts, without numbers.
pub(super) fn row(texts: &[&str]) -> String {
    let cells = texts
        .iter()
        .map(|text| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>"))
        .collect::<Vec<_>>()
        .concat();
    format!("<row>{cells}</row>")
}

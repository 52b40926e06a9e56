//! Rows that cannot be read, and workbooks that cannot.

use super::build::{Book, SHEET_PART, relations, row, sheet, workbook, zip, zip_with};
use super::*;
use crate::domain::reject::RecordCode;

#[test]
fn a_value_beside_the_header_costs_its_row() {
    let (_, seen) = read(
        &Book::new(row(&["a", "b"]) + &row(&["1", "2", " ", "x"]) + &row(&["1", "2", "", " "]) + &row(&["3", "4"]))
            .file(),
    );
    let wide = damage(&seen[0]);
    assert_eq!(
        (wide.code, wide.column, wide.place),
        (RecordCode::ColumnCount, Some(4), at(1, 2))
    );
    assert!(
        wide.reason.contains("D2 holds `x`, but the header has 2 columns"),
        "{}",
        wide.reason
    );
    assert_eq!(wide.excerpt, "1\t2");
    assert_eq!(cells(&seen[1]), ["1", "2"], "blanks are no value");
    assert_eq!(cells(&seen[2]), ["3", "4"]);
    assert_eq!(place(&seen[2]), at(3, 4));
}

#[test]
fn a_cell_past_its_limit_costs_its_row() {
    let long = "x".repeat(1001);
    let fits = "y".repeat(1000);
    let inline = row(&["1", &long]) + &row(&["2", &fits]);
    let amp = row(&["3", &"&amp;".repeat(1001)]);
    let shared = "<row><c t=\"s\"><v>0</v></c></row><row><c t=\"s\"><v>1</v></c></row>";
    let texts = [format!("<t>{long}</t>"), format!("<r><t>{fits}</t></r>")];
    let file = Book::new(row(&["a", "b"]) + &inline + &amp + shared)
        .strings(&[&texts[0], &texts[1]])
        .file();
    let (_, seen) = read(&file);
    for (index, name, column) in [(0, "B2", 2), (2, "B4", 2), (3, "A5", 1)] {
        let large = damage(&seen[index]);
        assert_eq!((large.code, large.column), (RecordCode::RecordTooLarge, Some(column)));
        assert!(
            large.reason.starts_with(&format!("{name} holds more than 1000 bytes")),
            "{}",
            large.reason
        );
    }
    assert_eq!(cells(&seen[1])[1], fits);
    assert_eq!(cells(&seen[4])[0], fits);
}

#[test]
fn a_row_past_its_limit_costs_itself() {
    let text = "x".repeat(1000);
    let wide = row(&["1", &text, &text, &text, &text]);
    let (_, seen) = read(&Book::new(row(&["a", "b", "c", "d", "e"]) + &wide + &row(&["2"])).file());
    let large = damage(&seen[0]);
    assert_eq!(
        (large.code, large.column, large.place),
        (RecordCode::RecordTooLarge, Some(5), at(1, 2))
    );
    assert!(large.reason.contains("4000 bytes"));
    assert_eq!(large.excerpt.chars().count(), 200);
    assert_eq!(cells(&seen[1])[0], "2");
}

#[test]
fn a_cell_that_cannot_be_resolved_costs_its_row() {
    let bad = [
        (
            "<c t=\"s\"><v>1</v></c>",
            "A2 refers to text `1` of the workbook, which has 1",
        ),
        ("<c t=\"s\"><v>-1</v></c>", "A2 refers to text `-1`"),
        ("<c t=\"s\"><v>x</v></c>", "A2 refers to text `x`"),
        ("<c r=\"A2\"><v>1</v></c><c r=\"A2\"><v>2</v></c>", "A2 is there twice"),
        ("<c><f>SUM(B1)</f><v/></c>", "A2 has a formula without a result"),
        ("<c><f>SUM(B1)</f></c>", "A2 has a formula without a result"),
    ];
    for (cell, reason) in bad {
        let rows = row(&["a"]) + &format!("<row>{cell}</row>") + &row(&["next"]);
        let (_, seen) = read(&Book::new(rows).strings(&["<t>only</t>"]).file());
        let damaged = damage(&seen[0]);
        assert_eq!(
            (damaged.code, damaged.column, damaged.place),
            (RecordCode::InvalidXml, Some(1), at(1, 2))
        );
        assert!(damaged.reason.contains(reason), "{}", damaged.reason);
        assert_eq!(cells(&seen[1]), ["next"]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_left_for_typing_to_refuse() {
    let rows = [
        row(&["a"]).as_bytes(),
        b"<row><c t=\"str\"><v>M\xFCn</v></c></row>",
        row(&["next"]).as_bytes(),
    ]
    .concat();
    let mut reader = fed(options(), [Book::new(rows).file().as_slice()]);
    assert!(matches!(reader.step(), Step::Record(record) if *record.cells[0] == *b"M\xFCn"));
    assert!(matches!(reader.step(), Step::Record(record) if *record.cells[0] == *b"next"));
}

#[test]
fn broken_xml_in_the_sheet_is_one_damaged_record_and_the_end() {
    let before = row(&["a"]) + &row(&["1"]);
    let broken = [
        "<row r=\"5\"><c t=\"str\"><v>x</v></c><c><v>2</w></c></row>",
        "<row r=\"5\"><c t=\"str\"><v>x</v></c><c><v>a & b</v></c></row>",
        "<row r=\"5\"><c t=\"str\"><v>x</v></c><c><v>&nbsp;</v></c></row>",
        "<row r=\"5\"><c t=\"str\"><v>x</v></c><c r=B5><v>1</v></c></row>",
        "<row r=\"5\"><c t=\"str\"><v>x</v></c><!DOCTYPE a></row>",
        "<row r=\"5\"><c t=\"str\"><v>x</v></c><",
    ];
    for broken in broken {
        let (_, seen) = read(&Book::new(before.clone() + broken + &row(&["lost"])).file());
        assert_eq!(seen.len(), 2, "{broken}: {seen:?}");
        assert_eq!(cells(&seen[0]), ["1"]);
        let last = damage(&seen[1]);
        assert_eq!((last.code, last.place), (RecordCode::InvalidXml, at(2, 5)), "{broken}");
        assert_eq!(last.excerpt, "x");
        assert!(
            last.reason.contains("from row 5 on") && last.reason.contains("lost"),
            "{}",
            last.reason
        );
    }
    let between = read(&Book::new(before + "</oops>").file()).1;
    assert_eq!(
        damage(&between[1]).place,
        at(2, 3),
        "between rows: the row after the last one"
    );
    let cut = sheet(row(&["a"]) + &row(&["1"]));
    let cut = &cut[..cut.len() - "</sheetData><mergeCells/></worksheet>".len()];
    let (_, seen) = read(&Book::new("").part(SHEET_PART, cut).file());
    assert!(damage(&seen[1]).reason.contains("ends too early"), "{seen:?}");
}

#[test]
fn what_is_broken_behind_the_rows_does_not_matter() {
    let part = [
        b"<worksheet><sheetData>",
        row(&["a"]).as_bytes(),
        row(&["1"]).as_bytes(),
        b"</sheetData><<<",
    ]
    .concat();
    assert_eq!(read(&Book::new("").part(SHEET_PART, part).file()).1.len(), 1);
}

#[test]
fn what_is_no_workbook_is_refused_with_a_cure() {
    let cases: [(Vec<u8>, &str, &str); 8] = [
        (Vec::new(), "file_empty", "DMF2053"),
        (b"a,b\n1,2\n".to_vec(), "xlsx_expected", ".xlsx"),
        (b"PK".to_vec(), "xlsx_expected", "no zip"),
        (
            b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest".to_vec(),
            "xlsx_expected",
            "password",
        ),
        (zip([("Manifest.xml", "<x/>")]), "xlsx_expected", "no workbook"),
        (
            zip([
                (
                    "_rels/.rels",
                    relations(&[("r", "officeDocument", "xl/workbook.bin")]).as_str(),
                ),
                ("xl/workbook.bin", "x"),
            ]),
            "xlsx_expected",
            ".xlsb",
        ),
        (b"PK\x03\x04 and no more".to_vec(), "xlsx_damaged", "save it again"),
        (
            {
                let mut file = Book::new(row(&["a"])).file();
                file.truncate(file.len() - 30);
                file
            },
            "xlsx_damaged",
            "save it again",
        ),
    ];
    for (file, code, cure) in cases {
        let error = refused(&file);
        assert_eq!(error.code, code, "{error}");
        assert!(error.reason.contains(cure), "{error}");
    }
}

#[test]
fn what_is_broken_before_the_first_record_refuses_the_workbook() {
    let good = || {
        Book::new(row(&["a"]) + &row(&["1"]))
            .strings(&["<t>x</t>"])
            .styles(&[], &[0])
    };
    let cases: [(Book, &str, &str); 14] = [
        (
            good().without(SHEET_PART),
            "xlsx_damaged",
            "xl/worksheets/sheet1.xml is missing",
        ),
        (
            good().part("xl/workbook.xml", "<workbook><sheets>"),
            "xlsx_damaged",
            "xl/workbook.xml: it ends too early",
        ),
        (good().part("xl/workbook.xml", "<html/>"), "xlsx_damaged", "no workbook"),
        (
            good().part("xl/styles.xml", "<styleSheet></x>"),
            "xlsx_damaged",
            "xl/styles.xml",
        ),
        (
            good().part("xl/sharedStrings.xml", "<sst><si>"),
            "xlsx_damaged",
            "xl/sharedStrings.xml",
        ),
        (
            good().part("_rels/.rels", "<Relationships"),
            "xlsx_damaged",
            "_rels/.rels",
        ),
        (good().part(SHEET_PART, "<html/>"), "xlsx_damaged", "no worksheet"),
        (good().part(SHEET_PART, "<worksheet/>"), "xlsx_damaged", "no rows"),
        (
            good().part(SHEET_PART, b"\xFF\xFE<\0".as_slice()),
            "xlsx_damaged",
            SHEET_PART,
        ),
        (
            good().part(SHEET_PART, "<?xml version=\"1.0\" encoding=\"UTF-16\"?><worksheet/>"),
            "xlsx_damaged",
            "expected UTF-8",
        ),
        (
            good().part(SHEET_PART, sheet("<row><c></row>")),
            "xlsx_damaged",
            SHEET_PART,
        ),
        (
            good().part(SHEET_PART, sheet("<row/>")),
            "header_missing",
            "`Currencies` is empty (FF004)",
        ),
        (
            good().part(SHEET_PART, sheet(row(&[&"x".repeat(1001)]))),
            "header_damaged",
            "A1 holds more than 1000 bytes",
        ),
        (
            good().part(SHEET_PART, sheet(row(&["a"; 256]))),
            "too_many_columns",
            "255 columns",
        ),
    ];
    for (book, code, reason) in cases {
        let error = refused(&book.file());
        assert_eq!(error.code, code, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }
    let names = [b"<row><c t=\"str\"><v>\xFF</v></c></row>".as_slice()].concat();
    assert_eq!(refused(&Book::new(names).file()).code, "header_damaged");
}

#[test]
fn a_document_type_is_refused_in_every_part() {
    let parts = [
        "_rels/.rels",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/styles.xml",
        "xl/sharedStrings.xml",
        SHEET_PART,
    ];
    for part in parts {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
        let error = refused(&Book::new(row(&["a"])).part(part, bomb).file());
        assert_eq!(error.code, "doctype_refused", "{error}");
        assert!(error.reason.starts_with(part), "{error}");
    }
}

#[test]
fn a_member_with_a_wrong_checksum_refuses_the_workbook() {
    let stored = |rows: &str| {
        let parts = [
            ("xl/workbook.xml", workbook("", &[("x", "visible", "")]).into_bytes()),
            (SHEET_PART, sheet(rows)),
        ];
        zip_with(zip::CompressionMethod::Stored, parts)
    };
    let mut file = stored(&(row(&["a"]) + &row(&["right"])));
    assert_eq!(read(&file).1.len(), 1);
    let at = memchr::memmem::find(&file, b"right").expect("stored as it is");
    file[at] = b'l';
    assert_eq!(refused(&file).code, "xlsx_damaged");
}

#[test]
fn a_folder_that_cannot_be_written_is_named_as_ours() {
    let options = XlsxOptions {
        spill_dir: PathBuf::from("/nowhere/at/all"),
        ..options()
    };
    let error = refused_with(options, &Book::new(row(&["a"])).file());
    assert_eq!(error.code, "spill_failed");
    assert!(error.reason.contains("temporary file"), "{error}");
}

//! What cells become, and where records stand.

use super::build::{Book, SHEET_PART, relations, row, sheet, workbook, zip};
use super::*;
use crate::domain::reject::RecordCode;

/// The texts of column A below a header, one row each.
fn column(book: Book) -> Vec<String> {
    let (_, seen) = read(&book.file());
    seen.iter().map(|seen| cells(seen)[0].to_owned()).collect()
}

/// Rows of one cell each, below a header that is there.
fn rows(cells: &[&str]) -> String {
    let rows = cells
        .iter()
        .map(|cell| format!("<row>{cell}<c r=\"B1\"><v>7</v></c></row>"))
        .collect::<Vec<_>>()
        .concat();
    row(&["a", "b"]) + &rows
}

#[test]
fn rows_are_records_with_the_rows_numbers_as_places() {
    let file = Book::new(
        "<row r=\"2\"><c r=\"B2\" t=\"inlineStr\"><is><t> Name </t></is></c><c r=\"A2\" t=\"str\"><v>No</v></c></row>\
         <row r=\"3\" hidden=\"1\"><c r=\"B3\"><v>5</v></c></row>\
         <row r=\"4\"><c r=\"A4\"/><c r=\"B4\" t=\"str\"><v> </v></c></row>\
         <row r=\"7\"><c><v>1</v></c><c><v>2</v></c><c r=\"D7\" s=\"1\"/></row>\
         <row/>\
         <row><c r=\"A9\"><v>3</v></c></row>",
    )
    .file();
    let (header, seen) = read(&file);
    assert_eq!(header, ["No", "Name"]);
    assert_eq!(cells(&seen[0]), ["", "5"]);
    assert_eq!(cells(&seen[1]), ["1", "2"]);
    assert_eq!(cells(&seen[2]), ["3", ""]);
    let places: Vec<_> = seen.iter().map(place).collect();
    assert_eq!(places, [at(1, 3), at(2, 7), at(3, 9)]);
}

#[test]
fn a_header_may_have_gaps_and_doubles_but_no_empty_end() {
    let (header, seen) = read(&Book::new(row(&["a", "", "a", " "]) + &row(&["1", "2", "3"])).file());
    assert_eq!(header, ["a", "", "a"]);
    assert_eq!(cells(&seen[0]), ["1", "2", "3"]);
}

#[test]
fn cells_become_the_text_a_person_sees() {
    let book = Book::new(rows(&[
        "<c t=\"s\"><v> 1 </v></c>",
        "<c t=\"inlineStr\"><is><r><t>in</t></r><r><rPr><b/></rPr><t xml:space=\"preserve\"> line </t></r></is></c>",
        "<c t=\"str\"><f>A1&amp;\"x\"</f><v>a_x000D_&#10;b &lt;&amp;&gt; &#x20AC; <![CDATA[<c>]]></v></c>",
        "<c t=\"b\"><v>1</v></c>",
        "<c t=\"b\"><v>0</v></c>",
        "<c t=\"e\"><v>#N/A</v></c>",
        "<c><f>1+1</f><v>2.0</v></c>",
        "<c t=\"n\"><v>1E+3</v></c>",
        "<c t=\"d\"><v>2026-01-31T00:00:00</v></c>",
        "<c t=\"n\"><v>what</v></c>",
        "<c t=\"str\"><f>\"\"</f><v></v></c>",
        "<c t=\"s\"><v>0</v></c>",
    ]))
    .strings(&[
        "<t/>",
        "<r><t>Mün</t></r><rPh sb=\"0\" eb=\"1\"><t>sound</t></rPh><r><t>ster</t></r><phoneticPr/>",
    ]);
    assert_eq!(
        column(book),
        [
            "Münster",
            "in line ",
            "a\r\nb <&> € <c>",
            "true",
            "false",
            "#N/A",
            "2",
            "1000",
            "2026-01-31T00:00:00",
            "what",
            "",
            "",
        ]
    );
}

#[test]
fn escapes_are_undone_once() {
    let texts = [
        ("_x0041__x0042_", "AB"),
        ("_x005F_x000D_", "_x000D_"),
        ("_xD83D__xDE00_", "😀"),
        ("_xD83D_ _xDE00_", "_xD83D_ _xDE00_"),
        ("_x00g1_ _x+041_ _x41_ _x _x0041", "_x00g1_ _x+041_ _x41_ _x _x0041"),
        ("a_x_x0041_", "a_xA"),
    ];
    let cells: Vec<_> = texts
        .iter()
        .map(|(text, _)| format!("<c t=\"str\"><v>{text}</v></c>"))
        .collect();
    let cells: Vec<_> = cells.iter().map(String::as_str).collect();
    assert_eq!(column(Book::new(rows(&cells))), texts.map(|(_, plain)| plain));
}

#[test]
fn a_numbers_format_makes_it_a_date() {
    let cells = [
        "<c s=\"0\"><v>46053</v></c>",
        "<c s=\"1\"><v>46053</v></c>",
        "<c s=\"2\"><v>46053.25</v></c>",
        "<c s=\"3\"><v>0.25</v></c>",
        "<c s=\"4\"><v>46053</v></c>",
        "<c s=\"5\"><v>46053</v></c>",
        "<c s=\"1\"><v>-3</v></c>",
        "<c s=\"1\" t=\"str\"><v>46053</v></c>",
        "<c s=\"99\"><v>46053</v></c>",
        "<c s=\"x\"><v>46053</v></c>",
    ];
    let styled = |book: Book| {
        book.styles(
            &[(164, "[$-407]d. mmm yyyy hh:mm"), (165, "0 &quot;days&quot;")],
            &[0, 14, 22, 21, 164, 165],
        )
    };
    assert_eq!(
        column(styled(Book::new(rows(&cells)))),
        [
            "46053",
            "2026-01-31",
            "2026-01-31 06:00:00",
            "06:00:00",
            "2026-01-31 00:00:00",
            "46053",
            "-3",
            "46053",
            "46053",
            "46053",
        ]
    );
    for property in ["date1904=\"1\"", "date1904='true'"] {
        let book = Book::new(rows(&["<c s=\"1\"><v>44591</v></c>"]))
            .part("xl/workbook.xml", workbook(property, &[("x", "visible", "r1")]));
        assert_eq!(column(styled(book)), ["2026-01-31"]);
    }
}

fn three_sheets() -> Book {
    let kinds = [
        ("r1", "chartsheet", "chartsheets/sheet1.xml"),
        ("r2", "worksheet", "worksheets/sheet1.xml"),
        ("r3", "worksheet", "/xl/worksheets/other.xml"),
        ("r4", "worksheet", "./x/../worksheets/third.xml"),
    ];
    let sheets = [
        ("Chart", "visible", "r1"),
        ("Secret &amp; hidden", "hidden", "r2"),
        ("Currencies", "visible", "r3"),
        ("Über$", "veryHidden", "r4"),
    ];
    Book::new(row(&["secret"]))
        .part("xl/workbook.xml", workbook("", &sheets))
        .part("xl/_rels/workbook.xml.rels", relations(&kinds))
        .part("xl/worksheets/other.xml", sheet(row(&["currency"])))
        .part("xl/worksheets/third.xml", sheet(row(&["third"])))
}

#[test]
fn the_sheet_is_chosen_by_name_or_is_the_first_visible_one() {
    let file = three_sheets().file();
    let header = |name: Option<&str>| {
        let sheet = name.map(str::to_owned);
        read_with(XlsxOptions { sheet, ..options() }, &file).map(|(header, _)| header.concat())
    };
    for name in [None, Some("Currencies"), Some(" currencies$ "), Some(""), Some("$")] {
        assert_eq!(header(name).expect("a sheet"), "currency", "{name:?}");
    }
    assert_eq!(header(Some("SECRET & HIDDEN")).expect("a sheet"), "secret");
    assert_eq!(header(Some("über")).expect("a sheet"), "third");
    let error = header(Some("Chart")).expect_err("no worksheet");
    assert_eq!(error.code, "sheet_missing");
    assert!(
        error
            .reason
            .contains("no sheet `Chart`, it has `Secret & hidden`, `Currencies`, `Über$`"),
        "{error}"
    );
    let hidden = Book::new(row(&["a"])).part("xl/workbook.xml", workbook("", &[("x", "hidden", "r1")]));
    assert!(refused(&hidden.file()).reason.contains("no visible sheet, it has `x`"));
    let none = Book::new("").part("xl/workbook.xml", workbook("", &[]));
    assert!(refused(&none.file()).reason.contains("it has none"));
}

#[test]
fn parts_are_found_by_their_usual_names_and_odd_ones() {
    let rows = row(&["a"]) + "<row><c t=\"s\"><v>0</v></c></row>";
    let bare = Book::new(&rows)
        .strings(&["<t>x</t>"])
        .without("_rels/.rels")
        .without("xl/_rels/workbook.xml.rels");
    assert_eq!(column(bare), ["x"]);
    let odd = zip([
        (
            "_rels\\.rels",
            relations(&[("r", "officeDocument", "/Data/Book.xml")]).into_bytes(),
        ),
        ("data/book.xml", workbook("", &[("x", "visible", "s")]).into_bytes()),
        (
            "DATA/_rels/book.xml.rels",
            relations(&[("s", "worksheet", "../S1.XML"), ("t", "sharedStrings", "texts.xml")]).into_bytes(),
        ),
        ("s1.xml", sheet(&rows)),
        ("data\\Texts.xml", b"<sst><si><t>y</t></si></sst>".to_vec()),
    ]);
    assert_eq!(cells(&read(&odd).1[0]), ["y"]);
}

#[test]
fn prefixes_and_a_byte_order_mark_do_no_harm() {
    let sheet = "\u{feff}<x:worksheet xmlns:x=\"u\"><x:sheetData><x:row><x:c t=\"str\"><x:v>a</x:v></x:c></x:row>\
                 <x:row>\n <x:c><x:v>1</x:v></x:c>\n</x:row></x:sheetData></x:worksheet>";
    let (header, seen) = read(&Book::new("").part(SHEET_PART, sheet).file());
    assert_eq!(header, ["a"]);
    assert_eq!(cells(&seen[0]), ["1"]);
}

#[test]
fn shared_texts_are_the_same_in_memory_and_in_a_file() {
    let texts: Vec<_> = (0..300)
        .map(|n| format!("<t>{}</t>", "é".repeat(n % 7) + &n.to_string()))
        .collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let cells: Vec<_> = (0..300).rev().map(|n| format!("<c t=\"s\"><v>{n}</v></c>")).collect();
    let cells: Vec<_> = cells.iter().map(String::as_str).collect();
    let file = Book::new(rows(&cells)).strings(&texts).file();
    let in_memory = read(&file);
    assert_eq!(super::cells(&in_memory.1[0]), ["ééééé299", "7"]);
    for shared_strings_in_memory in [0, 1, 500] {
        let options = XlsxOptions {
            shared_strings_in_memory,
            ..options()
        };
        assert_eq!(read_with(options, &file).expect("a header"), in_memory);
    }
}

/// A workbook that openpyxl 3.1.5 wrote: inline and rich text, dates, times, a duration, formats, a formula it did not compute,
/// an error, a hidden sheet before the visible one, merged cells.
#[test]
fn a_workbook_of_a_real_program_is_read() {
    let (header, seen) = read(include_bytes!("../../../../tests/data/openpyxl.xlsx"));
    let names = "OrderID Customer Ordered Shipped At Freight Paid Note Ratio Total";
    assert_eq!(header.join(" "), names);
    let formula = damage(&seen[0]);
    assert_eq!((formula.code, formula.column), (RecordCode::InvalidXml, Some(10)));
    assert_eq!(
        formula.excerpt,
        "10248\tVins et alcools\t1996-07-04\t1996-07-16 13:05:00\t08:30:00\t32.38\ttrue\tline one\nline two\t0.15"
    );
    let rows = [
        "10249|Münster & <Söhne>|2026-02-28|2026-01-31 23:59:59.5|23:59:59|1.1|false| padded |0.0000001|",
        "12345678901234570|rich bold end|2026-01-31|1900-01-01 12:00:00||0.3|#N/A|A||",
        "-5||1900-01-01|00:00:00||||||",
        "7|||||||||",
    ];
    assert_eq!(
        seen[1..].iter().map(|seen| cells(seen).join("|")).collect::<Vec<_>>(),
        rows
    );
    let lines: Vec<_> = seen.iter().map(|seen| place(seen).line).collect();
    assert_eq!(lines, [2, 3, 5, 6, 8]);
}

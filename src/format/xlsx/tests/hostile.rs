//! Limits, positions, and whatever bytes may come.

use std::io::Read as _;

use proptest::prelude::*;

use super::build::{Book, SHEET_PART, row, sheet, workbook, zip_with};
use super::text::plain_text;
use super::xml::{Token, XmlReader};
use super::*;
use crate::domain::reject::RecordCode;
use crate::format::record::Position;

#[test]
fn a_hundred_megabytes_of_text_pass_in_bounded_memory() {
    const LENGTH: u64 = 100 << 20;
    for piece in [b'x', b'\n'] {
        let text = std::io::repeat(piece).take(LENGTH);
        let source = b"<a><t>"
            .as_slice()
            .chain(text)
            .chain(b"</t><t>next</t></a>".as_slice());
        let mut xml = XmlReader::new(source, 2002);
        let mut out = Vec::new();
        assert_eq!(xml.next().expect("a"), Token::Start);
        assert_eq!(xml.next().expect("t"), Token::Start);
        plain_text(&mut xml, &mut out, 1000).expect("text");
        assert_eq!(out.len(), 1001, "longer than allowed, so that it shows");
        assert!(xml.buffer_capacity() < 10_000, "{}", xml.buffer_capacity());
        out.clear();
        assert_eq!(xml.next().expect("t"), Token::Start);
        plain_text(&mut xml, &mut out, 1000).expect("text");
        assert_eq!(out, b"next");
    }
}

#[test]
fn markup_without_an_end_is_refused_before_it_fills_the_memory() {
    let starts = [
        "<a b=\"",
        "<!-- > &",
        "<a><![CDATA[ > &",
        "<?x ",
        "<!DOCTYPE x [",
        "<a>&",
        "\u{feff}<a ",
    ];
    for start in starts {
        for piece in [b'x', b'<', b'&', b'>'] {
            let source = start.as_bytes().chain(std::io::repeat(piece).take(100 << 20));
            let mut xml = XmlReader::new(source, 50);
            let mut tokens = 0_u64;
            while xml.next().is_ok_and(|token| token != Token::Eof) {
                tokens += 1;
            }
            assert!(tokens < 10, "{start} {piece}");
            assert!(
                xml.buffer_capacity() < 1 << 20,
                "{start} {piece}: {}",
                xml.buffer_capacity()
            );
        }
    }
}

#[test]
fn elements_without_an_end_are_refused_at_a_depth() {
    let mut xml = XmlReader::new("<a>".repeat(1000).leak().as_bytes(), 50);
    let depth = std::iter::from_fn(|| xml.next().ok()).count();
    assert_eq!(depth, 64);
}

#[test]
fn a_zip_bomb_is_refused() {
    let spaces = " ".repeat(4 << 20);
    let options = XlsxOptions {
        max_unpacked_bytes: u64::MAX,
        ..options()
    };
    for part in [SHEET_PART, "xl/sharedStrings.xml", "xl/styles.xml"] {
        let error = refused_with(options.clone(), &Book::new(row(&["a"])).part(part, &spaces).file());
        assert_eq!(error.code, "unpacked_too_large");
        assert!(
            error.reason.starts_with(part) && error.reason.contains("zip bomb"),
            "{error}"
        );
    }
}

#[test]
fn what_all_parts_come_to_is_limited() {
    let book = || Book::new(row(&["a"]) + &row(&["1"])).strings(&["<t>x</t>"]);
    let parts = book().unpacked();
    let limited = |max_unpacked_bytes| XlsxOptions {
        max_unpacked_bytes,
        ..options()
    };
    assert_eq!(read_with(limited(parts), &book().file()).expect("fits").1.len(), 1);
    for limit in [0, 1, 100, 300, 600, parts - 1] {
        let error = refused_with(limited(limit), &book().file());
        assert_eq!(error.code, "unpacked_too_large", "{error}");
        assert!(error.reason.contains(&format!("more than {limit} bytes")), "{error}");
    }
}

#[test]
fn a_text_shown_again_and_again_counts_again_and_again() {
    let text = format!("<t>{}</t>", "x".repeat(1000));
    let rows = row(&["a"]) + &"<row><c t=\"s\"><v>0</v></c></row>".repeat(100);
    let options = XlsxOptions {
        max_unpacked_bytes: 20_000,
        ..options()
    };
    let (_, seen) = read_with(options, &Book::new(rows).strings(&[&text]).file()).expect("a header");
    assert_eq!(seen.len(), 21);
    let last = damage(&seen[20]);
    assert_eq!((last.code, last.place), (RecordCode::RecordTooLarge, at(21, 22)));
    assert!(last.reason.contains("more than 20000 bytes"), "{}", last.reason);
}

#[test]
fn too_many_members_are_refused() {
    let parts = (0..60_000).map(|n| (format!("{n:060}"), ""));
    let file = zip_with(zip::CompressionMethod::Stored, parts);
    assert_eq!(refused(&file).code, "xlsx_damaged");
}

#[test]
fn row_numbers_that_do_not_ascend_are_counted() {
    let numbers = [
        "5",
        "5",
        "1",
        "99999999999999999999",
        "2000000",
        "-1",
        "",
        "1048576",
        "1",
    ];
    let rows = numbers
        .iter()
        .map(|n| format!("<row r=\"{n}\"><c><v>1</v></c></row>"))
        .collect::<Vec<_>>()
        .concat();
    let (_, seen) = read(&Book::new(row(&["a"]) + &rows).file());
    let lines: Vec<_> = seen.iter().map(|seen| place(seen).line).collect();
    assert_eq!(lines, [5, 6, 7, 8, 9, 10, 11, 1_048_576, 1_048_577]);
}

/// Steps from each position on are the steps behind it.
fn resumes(file: &[u8]) -> Result<(), TestCaseError> {
    let mut reader = fed(options(), [file]);
    if reader.header().is_err() {
        return Ok(());
    }
    let mut all = Vec::new();
    drain(&mut fed(options(), [file]), &mut all);
    ascends(&all)?;
    let mut stops: Vec<Position> = Vec::new();
    for _ in 0..=all.len() {
        stops.push(reader.position());
        reader.step();
    }
    for (done, position) in stops.into_iter().enumerate() {
        let mut again = fed(options(), [file]);
        again.header().expect("as before");
        again.skip_to(position);
        prop_assert_eq!(again.position(), position);
        again.skip_to(Position::START);
        let mut seen = Vec::new();
        drain(&mut again, &mut seen);
        prop_assert_eq!(&seen[..], &all[done..]);
    }
    Ok(())
}

fn ascends(seen: &[Seen]) -> Result<(), TestCaseError> {
    let mut row = 0;
    for (index, step) in seen.iter().enumerate() {
        let place = place(step);
        prop_assert_eq!(place.record, index as u64 + 1);
        prop_assert!(place.byte_start >= row && place.byte_end == place.byte_start + 1);
        prop_assert_eq!(place.line, place.byte_start);
        row = place.byte_end;
    }
    Ok(())
}

/// Rows with something wrong here and there.
fn sheet_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "<row>",
        "<row r=\"4\">",
        "<row r=\"9\" hidden=\"1\">",
        "</row>",
        "</row><row>",
        "</row><row>",
        "<row/>",
        "<c r=\"A1\"><v>1</v></c>",
        "<c r=\"C1\"><v>2.50</v></c>",
        "<c t=\"s\"><v>0</v></c>",
        "<c t=\"s\"><v>9</v></c>",
        "<c t=\"s\"><v>1</v></c>",
        "<c t=\"str\"><v>a &amp; b</v></c>",
        "<c t=\"inlineStr\"><is><r><t>x</t></r><rPh><t>y</t></rPh></is></c>",
        "<c s=\"1\"><v>46053.5</v></c>",
        "<c t=\"b\"><v>1</v></c>",
        "<c>",
        "</c>",
        "<v>",
        "&",
        "&#10;",
        "<!-- x -->",
        " ",
        "text",
    ]);
    prop::collection::vec(piece, 0..25).prop_map(|pieces| pieces.concat())
}

fn like(rows: &str) -> Book {
    Book::new(row(&["a", "b"]) + "<row>" + rows + "</row>" + &row(&["z"]))
        .strings(&["<t>shared</t>", "<t>_x0041_</t>"])
        .styles(&[], &[0, 22])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn reading_resumes_at_any_position(rows in sheet_like()) {
        resumes(&like(&rows).file())?;
    }

    #[test]
    fn the_result_does_not_depend_on_how_the_input_was_split(rows in sheet_like(), piece in 1..200usize) {
        let file = like(&rows).file();
        let whole = read_with(options(), &file);
        for piece in [1, piece] {
            let mut reader = fed(options(), file.chunks(piece));
            let header = reader.header().map(|names| names.expect("known at the end"));
            let mut seen = Vec::new();
            drain(&mut reader, &mut seen);
            prop_assert_eq!(&header.map(|header| (header, seen)), &whole);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read_with(options(), &bytes).is_err());
        let zipped = [b"PK\x03\x04".as_slice(), &bytes].concat();
        prop_assert!(read_with(options(), &zipped).is_err());
    }

    #[test]
    fn arbitrary_bytes_in_a_part_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), part in 0..5usize) {
        let part = ["_rels/.rels", "xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml", SHEET_PART][part];
        let bytes = if part == SHEET_PART { sheet([row(&["a"]).as_bytes(), &bytes].concat()) } else { bytes };
        resumes(&like("").part(part, bytes).file())?;
    }

    #[test]
    fn a_workbook_with_wrong_bytes_never_panics(
        rows in sheet_like(),
        wrong in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        // Stored, so that it is the parts as well as the zip that are wrong.
        let parts = [
            ("xl/workbook.xml", workbook("", &[("x", "visible", "")]).into_bytes()),
            (SHEET_PART, sheet(row(&["a"]) + &rows)),
        ];
        let mut file = zip_with(zip::CompressionMethod::Stored, parts);
        for (index, byte) in wrong {
            let at = index.index(file.len());
            file[at] = byte;
        }
        if let Ok((_, seen)) = read_with(options(), &file) {
            ascends(&seen)?;
        }
    }
}

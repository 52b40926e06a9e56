//! Files that lie: they are refused, or their readable part is told, in bounded memory.

use super::{FULL, ParquetOptions, Position, Row, options, told, told_from, written};
use crate::domain::reject::RecordCode;
use crate::format::parquet::footer::Footer;
use crate::format::parquet::tests::Told;

fn code(file: &[u8]) -> &'static str {
    told(file).expect_err("refused").code
}

fn many() -> Vec<u8> {
    let mut rows: Vec<Row> = vec![FULL; 200];
    rows[7] = [None; 10];
    written(None, &rows)
}

/// A file with this footer, and these bytes in front of it.
fn footed(pages: &[u8], footer: &[u8]) -> Vec<u8> {
    let length = u32::try_from(footer.len()).expect("short");
    [b"PAR1", pages, footer, &length.to_le_bytes(), b"PAR1"].concat()
}

/// A footer of a column `a` of 32 bits, `rows` records in one group, and its values in `bytes` from the fourth byte on.
fn footer(rows: u8, packing: u8, bytes: u8) -> Vec<u8> {
    let schema: &[u8] = &[0x48, 1, b'r', 0x15, 2, 0, 0x15, 2, 0x25, 0, 0x18, 1, b'a', 0];
    // Type, packing, values, packed bytes, where the first page is.
    let meta = [0x15, 2, 0x35, 2 * packing, 0x16, 2 * rows, 0x26, 2 * bytes, 0x26, 8, 0];
    let group = [&[0x19, 0x1c, 0x3c][..], &meta, &[0, 0x26, 2 * rows, 0]].concat();
    [
        &[0x15, 2, 0x19, 0x2c][..],
        schema,
        &[0x16, 2 * rows, 0x19, 0x1c],
        &group,
        &[0],
    ]
    .concat()
}

/// A data page of plain values of a required column.
fn page(values: u8, unpacked: &[u8], body: &[u8]) -> Vec<u8> {
    let header = [
        &[0x15, 0, 0x15][..],
        unpacked,
        &[0x15, u8::try_from(2 * body.len()).expect("short")],
    ]
    .concat();
    let data = [0x2c, 0x15, 2 * values, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];
    [&header[..], &data, body].concat()
}

fn one_page(values: u8, unpacked: &[u8], packing: u8, body: &[u8]) -> Vec<u8> {
    let page = page(values, unpacked, body);
    let footer = footer(values, packing, u8::try_from(page.len()).expect("short"));
    footed(&page, &footer)
}

#[test]
fn a_file_made_by_hand_is_read() {
    let file = one_page(2, &[16], 0, &[1, 0, 0, 0, 2, 0, 0, 0]);
    let Told { names, records, .. } = told(&file).expect("a file");
    assert_eq!(
        (names, records),
        (vec!["a".to_owned()], vec![vec!["1".to_owned()], vec!["2".to_owned()]])
    );
}

#[test]
fn what_is_no_parquet_is_told_so() {
    assert_eq!(code(b"PK\x03\x04 something else"), "parquet_expected");
    assert_eq!(code(b"PA"), "parquet_expected");
    assert_eq!(code(b"PAR1"), "parquet_damaged");
    assert_eq!(code(b"PAR1PAR1"), "parquet_damaged");
    assert_eq!(code(b"PARE\0\0\0\0PARE"), "parquet_unsupported");
    assert_eq!(code(&footed(&[], &[0])), "header_missing");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let file = many();
    for length in 1..file.len() {
        let error = told(&file[..length]).expect_err("refused");
        assert!(
            matches!(error.code, "parquet_damaged" | "parquet_expected"),
            "{length}: {error:?}"
        );
    }
}

#[test]
fn a_footer_that_lies_is_refused() {
    let mut long = many();
    let at = long.len() - 8;
    long[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(code(&long), "parquet_damaged");
    // A list of four thousand million elements, and lists in lists.
    assert_eq!(
        code(&footed(&[], &[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        "parquet_damaged"
    );
    assert_eq!(
        code(&footed(&[], &[vec![0x59], vec![0x19; 100_000]].concat())),
        "parquet_damaged"
    );
    assert_eq!(code(&footed(&[], &vec![0x1c; 100_000])), "parquet_damaged");
    // Values behind the end, and in the footer.
    assert_eq!(code(&footed(&[0; 20], &footer(2, 0, 21))), "parquet_damaged");
    // More records than values.
    let page = page(2, &[16], &[1, 0, 0, 0, 2, 0, 0, 0]);
    let length = u8::try_from(page.len()).expect("short");
    assert_eq!(code(&footed(&page, &footer(3, 0, length))), "parquet_damaged");
}

#[test]
fn pages_of_absurd_sizes_are_refused_before_they_are_read() {
    // 2^31 - 1 bytes, below 0, and a page that is longer than its column.
    let huge = &[0xfe, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(code(&one_page(2, huge, 1, &[0; 8])), "unpacked_too_large");
    assert_eq!(code(&one_page(2, &[3], 1, &[0; 8])), "parquet_damaged");
    // 65 MiB, which a file of this length may unpack to, but no page of it.
    let page_of_much = page(2, &[0x80, 0x80, 0x80, 0x41], &[0; 8]);
    let length = u8::try_from(page_of_much.len()).expect("short");
    let much = footed(&[page_of_much, vec![0; 80_000]].concat(), &footer(2, 1, length));
    let error = told(&much).expect_err("refused");
    assert!(error.reason.contains("a page has more than 67108864 bytes"), "{error}");
    let page = page(2, &[16], &[0; 8]);
    let short = u8::try_from(page.len() - 1).expect("short");
    assert_eq!(code(&footed(&page, &footer(2, 0, short))), "parquet_damaged");
}

#[test]
fn what_a_page_unpacks_to_is_held_to_its_header() {
    for (packing, body) in [
        (1, snap::raw::Encoder::new().compress_vec(&[0; 200]).expect("packed")),
        (6, zstd::bulk::compress(&[0; 200], 3).expect("packed")),
    ] {
        let told = told(&one_page(2, &[16], packing, &body)).expect("its header is in order");
        assert_eq!((told.records.len(), told.damaged.len()), (0, 1));
        assert_eq!(told.damaged[0].code, RecordCode::InvalidParquet);
        assert!(
            told.damaged[0].reason.contains("column `a`: a page"),
            "{}",
            told.damaged[0].reason
        );
    }
}

#[test]
fn packings_that_are_not_read_are_named() {
    for (packing, name) in [(3, "LZO"), (4, "Brotli"), (5, "LZ4"), (7, "LZ4")] {
        let error = told(&one_page(2, &[16], packing, &[0; 8])).expect_err("refused");
        assert_eq!(error.code, "parquet_unsupported");
        assert!(error.reason.contains(&format!("packed with {name}")), "{error}");
    }
}

#[test]
fn columns_of_lists_and_structures_are_refused_by_name() {
    for schema in [
        "REQUIRED group b { OPTIONAL int32 c; }",
        "REPEATED int32 b;",
        "OPTIONAL group b (LIST) { REPEATED group list { OPTIONAL int32 element; } }",
    ] {
        let message = format!("message schema {{ REQUIRED int32 a; {schema} }}");
        let error = told(&empty_of(&message)).expect_err("refused");
        assert_eq!(error.code, "parquet_nested", "{schema}");
        assert!(error.reason.contains("the column `b`"), "{error}");
    }
    let bson = told(&empty_of("message schema { REQUIRED binary a (BSON); }")).expect_err("refused");
    assert_eq!(bson.code, "parquet_unsupported");
    let few = ParquetOptions {
        max_columns: 1,
        ..options()
    };
    let two = empty_of("message schema { REQUIRED int32 a; REQUIRED int32 b; }");
    assert_eq!(
        told_from(&two, few, Position::START).expect_err("refused").code,
        "too_many_columns"
    );
}

fn empty_of(message: &str) -> Vec<u8> {
    let schema = parquet::schema::parser::parse_message_type(message).expect("a schema");
    let properties = std::sync::Arc::default();
    let writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), std::sync::Arc::new(schema), properties);
    writer
        .and_then(parquet::file::writer::SerializedFileWriter::into_inner)
        .expect("a file")
}

#[test]
fn a_value_that_is_too_long_costs_its_record() {
    let mut rows = vec![[None; 10]; 3];
    rows[1][0] = Some(&*Box::leak("x".repeat(2000).into_boxed_str()));
    rows[2][0] = Some("short");
    let small = ParquetOptions {
        max_field_bytes: 1000,
        ..options()
    };
    let told = told_from(&written(None, &rows), small, Position::START).expect("a file");
    assert_eq!((told.records.len(), told.damaged.len()), (2, 1));
    let damage = &told.damaged[0];
    assert_eq!(
        (damage.code, damage.column, damage.place.record),
        (RecordCode::RecordTooLarge, Some(1), 2)
    );
    assert_eq!(told.records[1][0], "short");
}

#[test]
fn a_small_file_does_not_become_a_large_one() {
    // One text in the dictionary, told a thousand times.
    let text: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    let mut row = [None; 10];
    row[0] = Some(text);
    let file = written(None, &vec![row; 1000]);
    let tight = || ParquetOptions {
        max_unpacked_bytes: 10_000_000,
        ..options()
    };
    let all = told_from(&file, tight(), Position::START).expect("a file");
    assert_eq!((all.records.len(), all.damaged.len()), (99, 1));
    assert_eq!(all.damaged[0].code, RecordCode::RecordTooLarge);
    let place = all.places[99];
    let from = Position {
        records: place.record,
        line: place.line + 1,
        byte: place.byte_end,
    };
    let again = told_from(&file, tight(), from).expect("a file");
    assert!(again.places.is_empty(), "its last words are told once");
    let tighter = ParquetOptions {
        max_unpacked_bytes: 100,
        ..options()
    };
    assert_eq!(
        told_from(&file, tighter, Position::START).expect_err("refused").code,
        "unpacked_too_large"
    );
}

#[test]
fn damage_in_a_page_ends_the_file_where_it_is() {
    let file = many();
    let mut spooled = tempfile::tempfile().expect("a file");
    std::io::Write::write_all(&mut spooled, &file).expect("written");
    let footer = Footer::read(&mut spooled, 64).expect("a footer");
    for chunk in &footer.groups[0].chunks {
        let mut damaged = file.clone();
        // The pages' last byte: of a packed page it is its last value or a copy.
        let at = usize::try_from(chunk.end).expect("short") - 1;
        damaged[at] ^= 0xff;
        match told(&damaged) {
            Ok(told) => assert!(told.records.len() + told.damaged.len() <= 200 && told.damaged.len() <= 1),
            Err(error) => assert_eq!(error.code, "parquet_damaged"),
        }
    }
}

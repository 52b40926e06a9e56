//! What the reader promises: exact places, one reject per damaged record, the same steps however the bytes arrive.

use proptest::prelude::*;

use super::*;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::csv_write::write_row;
use crate::format::record::{Damage, FileError, RecordReader, Step};

/// A [`Step`] that can be kept and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Record(RecordPlace, Vec<Vec<u8>>),
    Damaged(Damage),
}

const OPTIONS: CsvOptions = CsvOptions {
    delimiter: b',',
    max_field_bytes: 1000,
    max_record_bytes: 4000,
    max_columns: 50,
};

/// Small limits, so that short inputs reach them.
const TIGHT: CsvOptions = CsvOptions {
    delimiter: b',',
    max_field_bytes: 6,
    max_record_bytes: 14,
    max_columns: 4,
};

fn read_pieces(options: CsvOptions, pieces: &[&[u8]]) -> (Result<Vec<String>, FileError>, Vec<Seen>, CsvReader) {
    let mut reader = CsvReader::new(options);
    let mut seen = Vec::new();
    let mut header = None;
    for at in 0..=pieces.len() {
        match pieces.get(at) {
            Some(piece) => reader.feed(piece),
            None => reader.finish(),
        }
        if header.is_none() {
            header = reader.header().transpose();
        }
        if header.is_some() {
            drain(&mut reader, &mut seen);
        }
    }
    (header.expect("a finished file has a header or an error"), seen, reader)
}

fn drain(reader: &mut CsvReader, seen: &mut Vec<Seen>) {
    loop {
        match reader.step() {
            Step::NeedInput | Step::End => return,
            Step::Damaged(damage) => seen.push(Seen::Damaged(damage)),
            Step::Record(record) => {
                let cells = record.cells.into_iter().map(std::borrow::Cow::into_owned).collect();
                seen.push(Seen::Record(record.place, cells));
            }
        }
    }
}

fn read(text: &str) -> Vec<Seen> {
    let (header, seen, _) = read_pieces(OPTIONS, &[text.as_bytes()]);
    header.expect("a header");
    seen
}

fn header_error(bytes: &[u8]) -> FileError {
    read_pieces(OPTIONS, &[bytes]).0.expect_err("no header")
}

fn cells(seen: &Seen) -> Vec<&str> {
    match seen {
        Seen::Record(_, cells) => cells.iter().map(|c| std::str::from_utf8(c).expect("text")).collect(),
        Seen::Damaged(damage) => panic!("damaged: {damage:?}"),
    }
}

fn damage(seen: &Seen) -> &Damage {
    match seen {
        Seen::Damaged(damage) => damage,
        Seen::Record(..) => panic!("not damaged: {seen:?}"),
    }
}

fn place(seen: &Seen) -> RecordPlace {
    match seen {
        Seen::Record(place, _) => *place,
        Seen::Damaged(damage) => damage.place,
    }
}

fn at(record: u64, line: u64, byte_start: u64, byte_end: u64) -> RecordPlace {
    RecordPlace {
        record,
        line,
        byte_start,
        byte_end,
    }
}

#[test]
fn the_byte_order_mark_is_no_part_of_the_first_name() {
    let (header, seen, _) = read_pieces(OPTIONS, &[b"\xEF\xBB\xBF id , Name\r\n1,x\r\n"]);
    assert_eq!(header, Ok(vec!["id".to_owned(), "Name".to_owned()]));
    assert_eq!(place(&seen[0]), at(1, 2, 15, 20));
}

#[test]
fn every_line_end_ends_a_record_and_is_counted_in_its_range() {
    let seen = read("a,b\r\n1,2\n3,4\r5,6\r\n7,8");
    let places: Vec<_> = seen.iter().map(place).collect();
    assert_eq!(
        places,
        [at(1, 2, 5, 9), at(2, 3, 9, 13), at(3, 4, 13, 18), at(4, 5, 18, 21)]
    );
}

#[test]
fn empty_lines_count_as_lines_but_not_as_records() {
    let seen = read("\r\na,b\n\n1,2\n\r\n\n3,4\n\n");
    assert_eq!(
        seen.iter().map(place).collect::<Vec<_>>(),
        [at(1, 4, 7, 11), at(2, 7, 14, 18)]
    );
}

#[test]
fn quotes_hold_delimiters_line_breaks_and_doubled_quotes() {
    let seen = read("a,b\n\"x,\"\"y\"\"\r\nz\",\"\"\n5\" pipe,\"q\" \t\n1,2\n");
    assert_eq!(cells(&seen[0]), ["x,\"y\"\r\nz", ""]);
    assert_eq!(cells(&seen[1]), ["5\" pipe", "q"]);
    assert_eq!(
        place(&seen[1]).line,
        4,
        "the line break inside quotes is a physical line"
    );
    assert_eq!(cells(&seen[2]), ["1", "2"]);
}

#[test]
fn a_second_header_line_is_data() {
    assert_eq!(cells(&read("a,b\na,b\n")[0]), ["a", "b"]);
}

#[test]
fn a_record_of_the_wrong_width_costs_one_record() {
    let seen = read("a,b,c\n1,2\n1,2,3,4\n1,2,3\n");
    assert_eq!(damage(&seen[0]).code, RecordCode::ColumnCount);
    assert!(damage(&seen[0]).reason.contains("2 cells") && damage(&seen[0]).reason.contains("3 columns"));
    assert!(damage(&seen[1]).reason.contains("4 cells"));
    assert_eq!(damage(&seen[1]).excerpt, "1,2,3,4");
    assert_eq!(place(&seen[1]), at(2, 3, 10, 18));
    assert_eq!(cells(&seen[2]), ["1", "2", "3"]);
}

#[test]
fn text_after_a_closing_quote_costs_its_line() {
    let seen = read("a,b,c\n1,\"say \"hi\" now\",3\n4,5,6\n");
    let broken = damage(&seen[0]);
    assert_eq!((broken.code, broken.column), (RecordCode::BrokenQuote, Some(2)));
    assert_eq!(broken.place, at(1, 2, 6, 25));
    assert_eq!(broken.excerpt, "1,\"say \"hi\" now\",3");
    assert!(broken.reason.contains("followed by `h`"), "{}", broken.reason);
    assert_eq!(cells(&seen[1]), ["4", "5", "6"]);
    assert_eq!(place(&seen[1]), at(2, 3, 25, 31));
}

#[test]
fn an_unclosed_quote_costs_its_line_and_not_the_rest_of_the_file() {
    let seen = read("a,b,c\n1,\"open,3\n4,5,6\n7,8,9");
    assert_eq!(damage(&seen[0]).place, at(1, 2, 6, 16));
    assert!(damage(&seen[0]).reason.contains("not closed before the end"));
    assert_eq!(cells(&seen[1]), ["4", "5", "6"]);
    assert_eq!(cells(&seen[2]), ["7", "8", "9"]);
}

#[test]
fn lines_that_do_not_parse_to_the_width_belong_to_the_damaged_record() {
    let seen = read("a,b,c\n1,\"x\"y\nnot,enough\n\nstill not\n4,\"5\n5\",6\n7,8,9\n");
    assert_eq!(damage(&seen[0]).place, at(1, 2, 6, 35));
    assert_eq!(
        cells(&seen[1]),
        ["4", "5\n5", "6"],
        "a record with a line break in quotes is a clean one"
    );
    assert_eq!(place(&seen[1]).line, 6);
    assert_eq!(cells(&seen[2]), ["7", "8", "9"]);
}

#[test]
fn without_a_clean_line_the_damaged_record_ends_with_the_file() {
    let seen = read("a,b,c\n1,2,3\n1,\"x\nno\nno,no");
    assert_eq!(seen.len(), 2);
    assert_eq!(damage(&seen[1]).place, at(2, 3, 12, 25));
}

#[test]
fn a_quoted_field_past_its_limit_is_resynchronised_right_after_its_quote() {
    let long = "word ".repeat(400);
    let text = format!("a,b\n1,\"{long}\n2,3\n4,\"5 {long}\"\n6,7\n");
    let seen = read(&text);
    assert_eq!(damage(&seen[0]).code, RecordCode::BrokenQuote);
    assert!(damage(&seen[0]).reason.contains("file.max_field_bytes"));
    assert_eq!(cells(&seen[1]), ["2", "3"]);
    assert_eq!(damage(&seen[2]).place.line, 4);
    assert_eq!(cells(&seen[3]), ["6", "7"]);
    let just_fits = format!("a,b\n1,\"{}\"\n", "x".repeat(1000));
    assert_eq!(cells(&read(&just_fits)[0])[1].len(), 1000);
}

#[test]
fn a_record_past_its_limit_is_passed_in_bounded_memory() {
    let mut reader = CsvReader::new(OPTIONS);
    reader.feed(b"a,b\n1,");
    assert!(reader.header().expect("header").is_some());
    for _ in 0..2000 {
        reader.feed(&[b'x'; 1000]);
        assert!(matches!(reader.step(), Step::NeedInput));
        assert!(reader.buffer_capacity() < 20_000, "{}", reader.buffer_capacity());
    }
    reader.feed(b"\n3,4\n");
    reader.finish();
    let mut seen = Vec::new();
    drain(&mut reader, &mut seen);
    assert_eq!(damage(&seen[0]).code, RecordCode::RecordTooLarge);
    assert_eq!(damage(&seen[0]).place, at(1, 2, 4, 2_000_007));
    assert_eq!(damage(&seen[0]).excerpt.len(), 200);
    assert_eq!(cells(&seen[1]), ["3", "4"]);
}

#[test]
fn what_is_no_header_is_refused_with_a_cure() {
    let cases: [(&[u8], &str, &str); 9] = [
        (b"", "file_empty", "DMF2053"),
        (b"\n\r\n\r", "header_missing", "FF004"),
        (b"\xEF\xBB\xBF", "header_missing", "FF004"),
        (b" , ,\n1,2,3\n", "header_missing", "FF004"),
        (b"\xFF\xFEa\0,\0", "encoding_unsupported", "UTF-8"),
        (b"a\0,\0b\0\n\0", "encoding_unsupported", "UTF-8"),
        (b"na\xEFve,b\n", "encoding_unsupported", "column 1"),
        (b"a,\"b\"c\n1,2\n", "header_damaged", "column 2"),
        (b"a,\"b\n1,2\n", "header_damaged", "not closed"),
    ];
    for (bytes, code, cure) in cases {
        let error = header_error(bytes);
        assert_eq!(error.code, code, "{bytes:?}");
        assert!(error.reason.contains(cure), "{error}");
    }
    assert_eq!(header_error(",".repeat(50).as_bytes()).code, "too_many_columns");
    assert_eq!(header_error(&[b'x'; 5000]).code, "header_damaged");
}

#[test]
fn the_headers_own_text_is_known_however_the_bytes_arrive() {
    for (before, header) in [("", "a,b\r\n"), ("\u{feff}\r\n\n", "\"a\r\nb\",c\n"), ("\r\r\n", "a\r")] {
        let text = format!("{before}{header}1,2");
        let mut reader = CsvReader::new(OPTIONS);
        for byte in text.as_bytes().chunks(1) {
            assert!(reader.header_bytes().is_empty() || matches!(reader.header(), Ok(Some(_))));
            reader.feed(byte);
            let _ = reader.header();
        }
        let expected = before.len() as u64..(before.len() + header.len()) as u64;
        assert_eq!(reader.header_bytes(), expected, "{text:?}");
    }
}

#[test]
fn a_reader_without_a_header_has_no_records() {
    let mut reader = CsvReader::new(OPTIONS);
    assert!(matches!(reader.step(), Step::NeedInput));
    reader.finish();
    assert!(matches!(reader.step(), Step::End));
}

#[test]
fn reading_resumes_at_any_position_given_the_file_from_its_start() {
    let text = "a,b\n1,\"2\n2\"\n\n3\n4,\"x\"y\n5,6\n7,8\n";
    let mut reader = CsvReader::new(OPTIONS);
    reader.feed(text.as_bytes());
    reader.finish();
    reader.header().expect("header");
    let mut positions = vec![(reader.position(), 0)];
    let mut all = Vec::new();
    loop {
        match reader.step() {
            Step::End => break,
            Step::NeedInput => panic!("everything was fed"),
            Step::Damaged(damage) => all.push(Seen::Damaged(damage)),
            Step::Record(r) => all.push(Seen::Record(
                r.place,
                r.cells.into_iter().map(std::borrow::Cow::into_owned).collect(),
            )),
        }
        positions.push((reader.position(), all.len()));
    }
    assert_eq!(all.len(), 5);
    for (position, done) in positions {
        for piece in [1, 7, text.len()] {
            let mut again = CsvReader::new(OPTIONS);
            let mut seen = Vec::new();
            let mut skipped = false;
            for bytes in text.as_bytes().chunks(piece) {
                again.feed(bytes);
                if !skipped && again.header().expect("header").is_some() {
                    again.skip_to(position);
                    skipped = true;
                }
                if skipped {
                    drain(&mut again, &mut seen);
                }
            }
            again.finish();
            drain(&mut again, &mut seen);
            assert_eq!(seen, all[done..], "from {position:?} in pieces of {piece}");
        }
    }
}

#[test]
fn hostile_quotes_cost_a_bounded_number_of_looks_at_each_byte() {
    let options = CsvOptions {
        max_field_bytes: 10_000,
        max_record_bytes: 20_000,
        max_columns: 1000,
        ..OPTIONS
    };
    let header = |columns: usize| vec!["c"; columns].join(",") + "\n";
    let wide = "1,".repeat(99) + "1\n";
    let patterns = [
        header(2) + &"\"".repeat(100_000),
        header(2) + &"\"\n".repeat(50_000),
        header(2) + &"\"\"x\n".repeat(30_000),
        header(3) + &"\"x\n".repeat(30_000),
        header(3) + &"1,\"\n".repeat(30_000),
        header(2) + &"\"x\"y\n\"\n".repeat(15_000),
        header(3) + &"1,\"x\n2\n".repeat(15_000),
        header(50) + &"\"\"x\nx\" ,\"abc\n".repeat(8_000),
        header(100) + &format!("\"\"x\nx\" ,\"abc\n{wide}").repeat(600),
        header(2) + &",\"\n".repeat(30_000),
        header(2) + "\"" + &"a\n".repeat(50_000),
    ];
    for text in patterns {
        for piece in [512, 1 << 20] {
            let pieces: Vec<_> = text.as_bytes().chunks(piece).collect();
            let (_, seen, reader) = read_pieces(options, &pieces);
            let looks = reader.bytes_examined() / text.len() as u64;
            let name = &text[..60.min(text.len())];
            assert!(looks <= PROBE_BREAKS_MAX + 3, "{looks} looks at each byte of {name:?}");
            assert!(!seen.is_empty(), "{name:?}");
            assert!(
                reader.buffer_capacity() <= 2 * (options.max_record_bytes + piece) + 64,
                "{name:?}"
            );
        }
    }
}

#[test]
fn a_clean_file_is_looked_at_once() {
    let text = "a,b\n".to_owned() + &"1,\"x \"\"y\"\"\"\n".repeat(10_000);
    let pieces: Vec<_> = text.as_bytes().chunks(64).collect();
    let (_, seen, reader) = read_pieces(OPTIONS, &pieces);
    assert_eq!(seen.len(), 10_000);
    assert!(reader.bytes_examined() <= text.len() as u64);
}

/// The rule as the module comment states it, on a whole file in memory, without limits: a list of (start, end, clean).
fn model(bytes: &[u8], mut at: usize, width: usize) -> Vec<(usize, usize, bool)> {
    let mut out = Vec::new();
    while at < bytes.len() {
        if matches!(bytes[at], b'\r' | b'\n') {
            at = after_break(bytes, at);
            continue;
        }
        let end = match model_record(bytes, at) {
            Ok((end, columns)) => {
                out.push((at, end, columns == width));
                end
            }
            Err(quote) => {
                let clean = |l: &usize| {
                    *l >= bytes.len()
                        || (!matches!(bytes[*l], b'\r' | b'\n')
                            && model_record(bytes, *l).is_ok_and(|(_, columns)| columns == width))
                };
                let end = line_starts(bytes, quote).find(clean).unwrap_or(bytes.len());
                out.push((at, end, false));
                end
            }
        };
        at = end;
    }
    out
}

fn after_break(bytes: &[u8], at: usize) -> usize {
    if bytes[at..].starts_with(b"\r\n") {
        at + 2
    } else {
        at + 1
    }
}

fn line_starts(bytes: &[u8], from: usize) -> impl Iterator<Item = usize> {
    (from..bytes.len())
        .filter(|&i| bytes[i] == b'\n' || (bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n')))
        .map(|i| i + 1)
}

/// End and width of the record at `at`, or where its broken quote opens.
fn model_record(bytes: &[u8], mut at: usize) -> Result<(usize, usize), usize> {
    let mut columns = 1;
    loop {
        if bytes.get(at) == Some(&b'"') {
            let quote = at;
            at += 1;
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (None, _) => return Err(quote),
                    (Some(b'"'), Some(b'"')) => at += 2,
                    (Some(b'"'), _) => break,
                    _ => at += 1,
                }
            }
            at += 1;
            while matches!(bytes.get(at), Some(b' ' | b'\t')) {
                at += 1;
            }
            if !matches!(bytes.get(at), None | Some(b',' | b'\r' | b'\n')) {
                return Err(quote);
            }
        } else {
            while !matches!(bytes.get(at), None | Some(b',' | b'\r' | b'\n')) {
                at += 1;
            }
        }
        match bytes.get(at) {
            Some(b',') => {
                columns += 1;
                at += 1;
            }
            Some(_) => return Ok((after_break(bytes, at), columns)),
            None => return Ok((at, columns)),
        }
    }
}

fn csv_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "\"",
        "\"",
        "\"\"",
        ",",
        ",",
        "\n",
        "\r\n",
        "\r",
        "x",
        "yz",
        " ",
        "\t",
        "1,2\n",
        "\"q\",3\n",
        "é",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for to in at.into_iter().chain([bytes.len()]) {
        pieces.push(&bytes[from..to]);
        from = to;
    }
    pieces
}

fn tiles(seen: &[Seen], length: u64) -> Result<(), TestCaseError> {
    let (mut byte, mut line) = (0, 1);
    for (at, step) in seen.iter().enumerate() {
        let place = place(step);
        prop_assert_eq!(place.record, at as u64 + 1);
        prop_assert!(
            place.byte_start >= byte && place.byte_end > place.byte_start,
            "{:?}",
            place
        );
        prop_assert!(place.line > line);
        (byte, line) = (place.byte_end, place.line);
    }
    prop_assert!(byte <= length);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic_and_places_never_overlap(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_, seen, _) = read_pieces(TIGHT, &[&bytes]);
        tiles(&seen, bytes.len() as u64)?;
    }

    #[test]
    fn the_result_does_not_depend_on_how_the_input_was_split(
        body in csv_like(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        tight in any::<bool>(),
    ) {
        let options = if tight { TIGHT } else { OPTIONS };
        let bytes = [b"a,b\r\n", body.as_slice()].concat();
        let whole = read_pieces(options, &[&bytes]);
        let pieces = read_pieces(options, &split(&bytes, &cuts));
        let bytewise = read_pieces(options, &bytes.chunks(1).collect::<Vec<_>>());
        prop_assert_eq!(&whole.0, &pieces.0);
        prop_assert_eq!(&whole.1, &pieces.1);
        prop_assert_eq!(&whole.1, &bytewise.1);
        prop_assert_eq!(whole.2.position(), bytewise.2.position());
        tiles(&whole.1, bytes.len() as u64)?;
    }

    #[test]
    fn headers_too_do_not_depend_on_how_the_input_was_split(body in csv_like()) {
        let whole = read_pieces(TIGHT, &[&body]);
        let bytewise = read_pieces(TIGHT, &body.chunks(1).collect::<Vec<_>>());
        prop_assert_eq!(whole.0, bytewise.0);
        prop_assert_eq!(whole.1, bytewise.1);
    }

    #[test]
    fn damage_ends_where_the_rule_says(body in csv_like()) {
        let bytes = [b"a,b\n", body.as_slice()].concat();
        let (_, seen, _) = read_pieces(OPTIONS, &[&bytes]);
        let found: Vec<_> = seen
            .iter()
            .map(|s| (place(s).byte_start, place(s).byte_end, matches!(s, Seen::Record(..))))
            .collect();
        let wanted: Vec<_> = model(&bytes, 4, 2).into_iter().map(|(a, b, c)| (a as u64, b as u64, c)).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn what_was_written_is_read_back(
        rows in (1..6usize).prop_flat_map(|width| {
            let cell = prop::option::of(prop_oneof![
                any::<String>(),
                "[\",\r\n x\u{feff}é]{0,6}".prop_map(|s| s),
            ]);
            prop::collection::vec(prop::collection::vec(cell, width), 1..8)
        }),
        delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|']),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut file = Vec::new();
        let names: Vec<_> = (0..rows[0].len()).map(|i| format!("c{i}")).collect();
        write_row(&mut file, delimiter, names.iter().map(|n| Some(n.as_str())));
        for row in &rows {
            write_row(&mut file, delimiter, row.iter().map(Option::as_deref));
        }
        let (header, seen, _) = read_pieces(CsvOptions { delimiter, ..OPTIONS }, &split(&file, &cuts));
        prop_assert_eq!(header, Ok(names));
        let read: Vec<Vec<&str>> = seen.iter().map(cells).collect();
        let written: Vec<Vec<&str>> =
            rows.iter().map(|row| row.iter().map(|c| c.as_deref().unwrap_or("")).collect()).collect();
        prop_assert_eq!(read, written);
    }
}

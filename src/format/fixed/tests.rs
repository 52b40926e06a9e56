//! What the reader promises: exact places, one reject per damaged line, the same steps however the bytes arrive; and that a
//! rejects file reads back.

use proptest::prelude::*;

use super::*;
use crate::domain::reject::{RecordCode, RecordPlace};
use crate::format::record::{Damage, FileError, Position, RecordReader, Step};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057.0.7";

/// A [`Step`] that can be kept and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Record(RecordPlace, Vec<String>),
    Damaged(Damage),
}

/// Columns `no` of 3, `name` of 5 and `qty` of 2 characters.
fn options() -> FixedOptions {
    let column = |name: &str, width| FixedColumn {
        name: name.to_owned(),
        width,
    };
    FixedOptions {
        columns: vec![column("no", 3), column("name", 5), column("qty", 2)],
        max_record_bytes: 200,
    }
}

/// A small limit, so that short lines reach it.
fn tight() -> FixedOptions {
    FixedOptions {
        max_record_bytes: 12,
        ..options()
    }
}

fn drain(reader: &mut FixedReader, seen: &mut Vec<Seen>) {
    loop {
        match reader.step() {
            Step::NeedInput | Step::End => return,
            Step::Damaged(damage) => seen.push(Seen::Damaged(damage)),
            Step::Record(record) => {
                let text = |cell: &std::borrow::Cow<'_, [u8]>| String::from_utf8(cell.to_vec()).expect("text");
                seen.push(Seen::Record(record.place, record.cells.iter().map(text).collect()));
            }
        }
    }
}

fn read_pieces<'a>(
    options: FixedOptions,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<Vec<String>, FileError>, Vec<Seen>, FixedReader) {
    let mut reader = FixedReader::new(options);
    let mut seen = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        drain(&mut reader, &mut seen);
    }
    reader.finish();
    drain(&mut reader, &mut seen);
    let header = reader.header().map(|names| names.expect("known at the end"));
    (header, seen, reader)
}

fn read(bytes: &[u8]) -> Vec<Seen> {
    read_pieces(options(), [bytes]).1
}

fn place(seen: &Seen) -> RecordPlace {
    match seen {
        Seen::Record(place, _) => *place,
        Seen::Damaged(damage) => damage.place,
    }
}

fn cells(seen: &Seen) -> Vec<&str> {
    match seen {
        Seen::Record(_, cells) => cells.iter().map(String::as_str).collect(),
        Seen::Damaged(damage) => panic!("damaged: {damage:?}"),
    }
}

fn damage(seen: &Seen) -> &Damage {
    match seen {
        Seen::Damaged(damage) => damage,
        Seen::Record(..) => panic!("not damaged: {seen:?}"),
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
fn cells_stand_at_their_places_without_their_blanks() {
    let (header, seen, _) = read_pieces(
        options(),
        [b"\xEF\xBB\xBF  1Ann   5\r\n002 Bob 12   \n003Lu\rxyz".as_slice()],
    );
    assert_eq!(
        header.expect("names"),
        ["no", "name", "qty", "_reject_id", "_error"].map(str::to_owned)
    );
    assert_eq!(cells(&seen[0]), ["1", "Ann", "5", "", ""]);
    assert_eq!(cells(&seen[1]), ["002", "Bob", "12", "", ""]);
    assert_eq!(
        cells(&seen[2]),
        ["003", "Lu", "", "", ""],
        "blanks at the end were stripped"
    );
    assert_eq!(cells(&seen[3]), ["xyz", "", "", "", ""]);
    let places: Vec<_> = seen.iter().map(place).collect();
    assert_eq!(
        places,
        [at(1, 1, 3, 15), at(2, 2, 15, 29), at(3, 3, 29, 35), at(4, 4, 35, 38)]
    );
}

#[test]
fn widths_count_characters_not_bytes() {
    let seen = read("äöüÅsa  €7\n".as_bytes());
    assert_eq!(cells(&seen[0]), ["äöü", "Åsa", "€7", "", ""]);
}

#[test]
fn empty_and_blank_lines_are_lines_but_no_records() {
    let seen = read(b"\n\r\n          \n  1\n\n   ");
    assert_eq!(seen.len(), 1);
    assert_eq!(place(&seen[0]), at(1, 4, 14, 18));
}

#[test]
fn behind_the_columns_a_tab_begins_our_own_part() {
    let seen = read(b"001Ann   5\tid.0.1\twrong: a \t b\n001Ann   5   \tid\n00\t001\n");
    assert_eq!(cells(&seen[0]), ["001", "Ann", "5", "id.0.1", "wrong: a \t b"]);
    assert_eq!(cells(&seen[1]), ["001", "Ann", "5", "id", ""]);
    assert_eq!(
        cells(&seen[2]),
        ["00\t", "001", "", "", ""],
        "within the columns it is text"
    );
}

#[test]
fn text_behind_the_columns_costs_its_line() {
    let seen = read(b"001Ann   5  x \t1\n002Bob  12\n");
    let long = damage(&seen[0]);
    assert_eq!((long.code, long.place), (RecordCode::ColumnCount, at(1, 1, 0, 17)));
    assert!(
        long.reason
            .starts_with("the line has 13 characters, the columns take 10"),
        "{}",
        long.reason
    );
    assert_eq!(long.excerpt, "001Ann   5  x \t1");
    assert_eq!(cells(&seen[1]), ["002", "Bob", "12", "", ""]);
    assert_eq!(place(&seen[1]), at(2, 2, 17, 28));
}

#[test]
fn a_line_that_is_not_utf8_names_its_byte_and_column() {
    let seen = read(b"001M\xFCnst 5\n002Bob  12\n");
    let broken = damage(&seen[0]);
    assert_eq!((broken.code, broken.column), (RecordCode::InvalidUtf8, Some(2)));
    assert_eq!(broken.place, at(1, 1, 0, 11));
    assert!(broken.reason.contains("0xfc behind 4 characters"), "{}", broken.reason);
    assert_eq!(broken.excerpt, "001M");
    assert_eq!(cells(&seen[1]), ["002", "Bob", "12", "", ""]);
    let behind = read(b"001Ann   5\xFC\n");
    assert_eq!(damage(&behind[0]).column, None, "behind the columns");
}

#[test]
fn a_line_past_its_limit_costs_its_line() {
    let (_, seen, _) = read_pieces(tight(), [b"001Ann   5  \r\n001Ann   5   \r\n002Bob  12\n".as_slice()]);
    assert_eq!(cells(&seen[0]), ["001", "Ann", "5", "", ""], "it just fits");
    assert_eq!(damage(&seen[1]).code, RecordCode::RecordTooLarge);
    assert_eq!(damage(&seen[1]).place, at(2, 2, 14, 29));
    assert!(damage(&seen[1]).reason.contains("12 bytes"));
    assert_eq!(cells(&seen[2]), ["002", "Bob", "12", "", ""]);
}

#[test]
fn a_hundred_megabytes_without_a_line_end_pass_in_bounded_memory() {
    let mut reader = FixedReader::new(options());
    let piece = vec![b'x'; 100_000];
    for _ in 0..1000 {
        reader.feed(&piece);
        assert!(matches!(reader.step(), Step::NeedInput));
        assert!(reader.buffer_capacity() <= 200_000, "{}", reader.buffer_capacity());
    }
    reader.feed(b"\n003\n");
    reader.finish();
    let mut seen = Vec::new();
    drain(&mut reader, &mut seen);
    assert_eq!(damage(&seen[0]).place, at(1, 1, 0, 100_000_001));
    assert_eq!(damage(&seen[0]).excerpt.len(), 200);
    assert_eq!(cells(&seen[1])[0], "003");
}

#[test]
fn every_byte_is_looked_at_twice_at_most() {
    let lines = ["x", "001Ann   5\r\n", "0123456789012\n", "\r", " \n"];
    for line in lines {
        let text = line.repeat(20_000);
        for piece in [1, 7, 1 << 20] {
            let (_, _, reader) = read_pieces(tight(), text.as_bytes().chunks(piece));
            assert!(reader.bytes_examined() <= 2 * text.len() as u64, "{line:?} by {piece}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_a_cure() {
    let error = |bytes: &[u8]| read_pieces(options(), [bytes]).0.expect_err("refused");
    assert_eq!(error(b"").code, "file_empty");
    assert!(error(b"").reason.contains("DMF2053"));
    for bytes in [b"\xFF\xFE1\0", b"\xFE\xFF\x001"] {
        assert_eq!(error(bytes).code, "encoding_unsupported");
    }
    let (header, seen, _) = read_pieces(options(), [b"\xEF\xBB\xBF".as_slice()]);
    assert!(header.is_ok() && seen.is_empty());
}

#[test]
fn extreme_widths_do_no_harm() {
    let column = |width| FixedColumn {
        name: "c".to_owned(),
        width,
    };
    let of = |widths: &[u32]| FixedOptions {
        columns: widths.iter().map(|&width| column(width)).collect(),
        max_record_bytes: usize::MAX,
    };
    let seen = read_pieces(of(&[0, u32::MAX, u32::MAX]), [b"abc\n".as_slice()]).1;
    assert_eq!(cells(&seen[0]), ["", "abc", "", "", ""]);
    let seen = read_pieces(of(&[]), [b"a\n\tid\tno\n".as_slice()]).1;
    assert_eq!(damage(&seen[0]).code, RecordCode::ColumnCount);
    assert_eq!(cells(&seen[1]), ["id", "no"]);
}

fn reject(raw: &[u8], error: &str, cut: bool) -> Vec<u8> {
    let mut out = Vec::new();
    FixedRejects::new(&options().columns).record(&mut out, raw, ID, error, true, cut);
    out
}

#[test]
fn a_rejected_line_keeps_its_text_and_gets_our_part() {
    let plain = reject("00\tÄnn\r".as_bytes(), "invalid_int: `x`\tis\r\nno", false);
    assert_eq!(
        plain,
        format!("00\tÄnn    \t{ID}\tinvalid_int: `x` is  no\r\n").into_bytes()
    );
    let again = reject(&plain, "second", false);
    assert_eq!(again, format!("00\tÄnn    \t{ID}\tsecond\r\n").into_bytes());
}

#[test]
fn a_damaged_line_stays_damaged_and_visible() {
    let long = reject(b"001Ann   5\x0bzz\tfoo\n", "too long", false);
    assert_eq!(long, format!("001Ann   5 zz foo\t{ID}\ttoo long\r\n").into_bytes());
    assert_eq!(damage(&read(&long)[0]).code, RecordCode::ColumnCount);
    assert_eq!(reject(&long, "too long", false), long, "our part does not pile up");

    let foreign = reject(b"001M\xFC\n", "no text", false);
    assert_eq!(foreign, [b"001M\xFC     \t", ID.as_bytes(), b"\tno text\r\n"].concat());
    assert_eq!(damage(&read(&foreign)[0]).code, RecordCode::InvalidUtf8);
    assert_eq!(reject(&foreign, "no text", false), foreign);

    let cut = reject(b"001Ann\xE2\x82", "large", true);
    assert_eq!(cut, format!("001Ann    ...\t{ID}\tlarge\r\n").into_bytes());
    assert_eq!(
        damage(&read(&cut)[0]).code,
        RecordCode::ColumnCount,
        "a part is not the whole"
    );
}

fn fixed_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        b"\n".as_slice(),
        b"\r\n",
        b"\r",
        b"\t",
        b" ",
        b"   ",
        b"x",
        b"001Ann   5",
        b"002Bob  12\tid\te",
        b"\xC3\xA9",
        b"\xC3",
        b"\xEF\xBB\xBF",
        b"0123456789012",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.sort_unstable();
    let mut from = 0;
    let ends = at.into_iter().chain([bytes.len()]);
    ends.map(|to| &bytes[std::mem::replace(&mut from, to)..to]).collect()
}

fn ascends(seen: &[Seen], length: u64) -> Result<(), TestCaseError> {
    let (mut byte, mut line) = (0, 0);
    for (index, step) in seen.iter().enumerate() {
        let place = place(step);
        prop_assert_eq!(place.record, index as u64 + 1);
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
    fn arbitrary_bytes_never_panic_and_places_ascend(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_, seen, _) = read_pieces(tight(), [bytes.as_slice()]);
        ascends(&seen, bytes.len() as u64)?;
    }

    #[test]
    fn the_result_does_not_depend_on_how_the_input_was_split(
        bytes in fixed_like(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        narrow in any::<bool>(),
    ) {
        let options = if narrow { tight() } else { options() };
        let whole = read_pieces(options.clone(), [bytes.as_slice()]);
        let pieces = read_pieces(options.clone(), split(&bytes, &cuts));
        let bytewise = read_pieces(options, bytes.chunks(1));
        prop_assert_eq!(&whole.0, &pieces.0);
        prop_assert_eq!(&whole.1, &pieces.1);
        prop_assert_eq!(&whole.0, &bytewise.0);
        prop_assert_eq!(&whole.1, &bytewise.1);
        prop_assert_eq!(whole.2.position(), bytewise.2.position());
        ascends(&whole.1, bytes.len() as u64)?;
    }

    #[test]
    fn reading_resumes_at_any_position(bytes in fixed_like(), piece in 1..20usize) {
        let mut reader = FixedReader::new(tight());
        reader.feed(&bytes);
        reader.finish();
        let mut stops: Vec<(Position, usize)> = Vec::new();
        let all = read_pieces(tight(), [bytes.as_slice()]).1;
        prop_assume!(reader.header().is_ok());
        for done in 0..=all.len() {
            stops.push((reader.position(), done));
            reader.step();
        }
        for (position, done) in stops {
            let mut again = FixedReader::new(tight());
            let (mut seen, mut skipped) = (Vec::new(), false);
            for piece in bytes.chunks(piece) {
                again.feed(piece);
                if !skipped && again.header().expect("a header").is_some() {
                    again.skip_to(position);
                    skipped = true;
                }
                if skipped {
                    drain(&mut again, &mut seen);
                }
            }
            again.finish();
            drain(&mut again, &mut seen);
            prop_assert_eq!(&seen[..], &all[if skipped { done } else { 0 }..]);
        }
    }

    #[test]
    fn rejects_read_back_as_the_same_cells_and_our_two(bytes in fixed_like(), error in "[ -~é\t\r\n]{0,20}") {
        let records = read(&bytes);
        let mut file = Vec::new();
        let rejects = FixedRejects::new(&options().columns);
        for seen in &records {
            let place = place(seen);
            let range = usize::try_from(place.byte_start).expect("small")..usize::try_from(place.byte_end).expect("small");
            let first = file.is_empty();
            rejects.record(&mut file, &bytes[range], ID, &error, first, false);
        }
        let back = read(&file);
        prop_assert_eq!(back.len(), records.len());
        let error = error.replace(['\t', '\r', '\n'], " ");
        for (before, after) in records.iter().zip(&back) {
            let Seen::Record(_, cells) = before else { continue };
            let Seen::Record(_, again) = after else { panic!("damaged: {after:?}") };
            prop_assert_eq!(&again[..3], &cells[..3]);
            prop_assert_eq!(&again[3], ID);
            prop_assert_eq!(&again[4], error.trim_matches(' '));
        }
    }
}

//! What holds for any input at all.

use proptest::prelude::*;

use super::*;
use crate::format::record::{RecordReader, Step};

/// Either reader, so that one property serves both.
#[derive(Debug, Clone, Copy)]
enum Format {
    Document,
    Lines,
}

impl Format {
    fn source(self, options: JsonOptions) -> Box<dyn NamedSource> {
        match self {
            Self::Document => Box::new(JsonDocument::new(options)),
            Self::Lines => Box::new(JsonLines::new(options)),
        }
    }
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![Format::Document, Format::Lines])
}

/// Pieces that meet in every combination, hostile and fair.
fn json_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        ",",
        ":",
        "\n",
        "\r\n",
        "\r",
        " ",
        "  ",
        "x",
        "é",
        "1",
        "null",
        "\"a\"",
        "\"b\":",
        "{\"a\":1}",
        "{\"a\":1},\n",
        "\n{\"b\":[{\"c\":2}]}",
        "\"a\":[",
        "\"a\":\"x",
        "\u{feff}",
        "\\ud800",
        "\0",
    ]);
    let begin = prop::sample::select(vec!["", "[", "{\"a\":1}\n", "{\"v\":[{\"a\":1},", "[\n  ", "{"]);
    (begin, prop::collection::vec(piece, 0..40))
        .prop_map(|(begin, pieces)| (begin.to_owned() + &pieces.concat()).into_bytes())
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

/// Places ascend without overlap, records count up by one, and everything outside them is white space or a bracket.
fn in_order(seen: &Seen, bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(seen) = seen else { return Ok(()) };
    let (mut byte, mut line) = (0, 1);
    for (at, (step, position)) in seen.iter().enumerate() {
        let place = place(step);
        prop_assert_eq!(place.record, at as u64 + 1);
        prop_assert!(
            place.byte_start >= byte && place.byte_end > place.byte_start,
            "{:?}",
            place
        );
        prop_assert!(place.line >= line);
        prop_assert_eq!((position.records, position.byte), (place.record, place.byte_end));
        prop_assert!(position.line >= place.line);
        prop_assert_eq!(
            place.line,
            1 + crate::format::lines::line_breaks(&bytes[..usize::try_from(place.byte_start).unwrap()], false)
        );
        (byte, line) = (place.byte_end, position.line);
    }
    prop_assert!(byte <= bytes.len() as u64);
    Ok(())
}

/// After the first step, skips to `position`; returns what remains then.
fn resume<'a>(
    source: &mut dyn NamedSource,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    position: Position,
) -> Vec<NamedStep> {
    let (mut seen, mut skipped) = (Vec::new(), false);
    let mut pieces = pieces.into_iter();
    loop {
        match source.step().expect("read before") {
            NamedStep::NeedInput => match pieces.next() {
                Some(piece) => source.feed(piece),
                None => source.finish(),
            },
            NamedStep::End => return seen,
            step if skipped => seen.push(step),
            _ => {
                source.skip_to(position);
                skipped = true;
            }
        }
    }
}

/// Steps of a reader that a pipeline has, each with the position before it; from `position` on, if there is one.
fn through_reader(reader: &mut dyn RecordReader, bytes: &[u8], position: Option<Position>) -> Vec<(String, Position)> {
    for piece in bytes.chunks(9) {
        reader.feed(piece);
    }
    reader.finish();
    if !matches!(reader.header(), Ok(Some(_))) {
        return Vec::new();
    }
    if let Some(position) = position {
        reader.skip_to(position);
    }
    let mut seen = Vec::new();
    loop {
        let before = reader.position();
        match reader.step() {
            Step::End => return seen,
            step => seen.push((format!("{step:?}"), before)),
        }
    }
}

fn record_text(id: usize, pretty: bool) -> String {
    if !pretty {
        return format!("{{\"id\":{id},\"t\":\"a b\",\"o\":{{\"n\":[1]}}}}");
    }
    let record = serde_json::json!([{"id": id, "t": "a b", "z": {"n": [1]}}]);
    // As it stands in an array, without the array's brackets.
    format!("{record:#}").trim_matches(['[', ']', '\n']).to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic_and_places_never_overlap(
        format in format(),
        begin in prop::sample::select(vec!["", "{", "[", "[{\"", "{\"a\":1}"]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = [begin.as_bytes(), &bytes].concat();
        for options in [OPTIONS, TIGHT] {
            in_order(&read_pieces(&mut *format.source(options), [&*bytes]), &bytes)?;
        }
    }

    #[test]
    fn the_result_does_not_depend_on_how_the_input_was_split(
        format in format(),
        bytes in json_like(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        tight in any::<bool>(),
    ) {
        let options = if tight { TIGHT } else { OPTIONS };
        let whole = read_pieces(&mut *format.source(options), [&*bytes]);
        let pieces = read_pieces(&mut *format.source(options), split(&bytes, &cuts));
        let bytewise = read_pieces(&mut *format.source(options), bytes.chunks(1));
        prop_assert_eq!(&whole, &pieces);
        prop_assert_eq!(&whole, &bytewise);
        in_order(&whole, &bytes)?;
    }

    #[test]
    fn reading_resumes_at_any_position(
        format in format(),
        bytes in json_like(),
        tight in any::<bool>(),
        piece in 1..50usize,
    ) {
        let options = if tight { TIGHT } else { OPTIONS };
        let whole = read_pieces(&mut *format.source(options), [&*bytes]).unwrap_or_default();
        for (done, (_, position)) in whole.iter().enumerate() {
            let seen = resume(&mut *format.source(options), bytes.chunks(piece), *position);
            let remaining: Vec<_> = whole[done + 1..].iter().map(|(step, _)| step.clone()).collect();
            prop_assert_eq!(seen, remaining, "from {:?}", position);
        }
    }

    #[test]
    fn reading_resumes_behind_the_readers_interface_too(bytes in json_like(), in_lines in any::<bool>()) {
        let reader = || -> Box<dyn RecordReader> {
            if in_lines { Box::new(jsonl(OPTIONS)) } else { Box::new(json(OPTIONS)) }
        };
        let whole = through_reader(&mut *reader(), &bytes, None);
        for (done, (_, position)) in whole.iter().enumerate() {
            let remaining = through_reader(&mut *reader(), &bytes, Some(*position));
            prop_assert_eq!(&remaining, &whole[done..], "from {:?}", position);
        }
    }

    /// Promise 5: one bad record costs one record.
    #[test]
    fn the_records_around_a_damaged_one_are_read(
        records in 3..8usize,
        bad in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"{}[]\",:\\x \0".to_vec()),
        delete in any::<bool>(),
        pretty in any::<bool>(),
        envelope in any::<bool>(),
    ) {
        let bad = bad.index(records);
        let mut texts: Vec<_> = (0..records).map(|id| record_text(id, pretty)).collect();
        let text = &mut texts[bad];
        let at = at.index(text.len());
        if delete && text.as_bytes()[at] != b'\n' {
            text.remove(at);
        } else {
            text.insert(at, char::from(byte));
        }
        // How deep records are indented, and that an array is one of records, shows from where the first begins.
        prop_assume!(bad > 0 || at > 2);
        let (open, close) = if envelope { ("{\"@c\":1,\"v\":[\n", "\n]}") } else { ("[\n", "\n]\n") };
        let text = format!("{open}{}{close}", texts.join(",\n"));
        let seen = document(&text);
        let is_read = |id: usize| {
            let expected = [format!("id={id}"), "t=a b".to_owned()];
            seen.iter().any(|step| matches!(step, NamedStep::Record(_)) && members(step).starts_with(&expected))
        };
        for id in (0..records).filter(|&id| id != bad) {
            prop_assert!(is_read(id), "{} of {}: {:?}", id, text, seen);
        }
    }

    #[test]
    fn what_serde_json_writes_is_read(
        values in prop::collection::vec(("[a-c]{1,2}", any::<String>(), any::<i64>()), 1..6),
        pretty in any::<bool>(),
    ) {
        let (mut records, mut expected) = (Vec::new(), Vec::new());
        for (name, text, number) in &values {
            records.push(serde_json::json!({"x": {name: text}, "z": number}));
            expected.push(vec![format!("x.{name}={text}"), format!("z={number}")]);
        }
        let array = serde_json::Value::from(records.clone());
        let by_line = records.iter().map(serde_json::Value::to_string).collect::<Vec<_>>().join("\n");
        let file = if pretty { format!("{array:#}") } else { array.to_string() };
        prop_assert_eq!(document(file).iter().map(members).collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(lines(&by_line).iter().map(members).collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(document(by_line).iter().map(members).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn endless_values_are_passed_in_bounded_memory() {
    let starts = [
        "[{\"a\":\"",
        "[\"",
        "[1",
        "[{\"a\":",
        "[[",
        "{\"a\":[",
        "{\"a\":1} x",
        "[{\"a\":\"\n",
        "[{\"v\":[",
        "{\"v\":[{}],\"x\":\"",
        "[]",
        "[{}",
        "[{\"a\":\"\n\n{\"a\":",
    ];
    let fills = ["x", " ", "\\", "[", "{\"a\":", "\"x", "1,", "\n", "\r", "\t,"];
    for (start, fill) in starts
        .iter()
        .flat_map(|start| fills.iter().map(move |fill| (start, fill)))
    {
        let mut source = JsonDocument::new(OPTIONS);
        source.feed(start.as_bytes());
        let piece = fill.repeat(1000 / fill.len());
        let mut fed = start.len() as u64;
        for _ in 0..100 {
            source.feed(piece.as_bytes());
            fed += piece.len() as u64;
            while source.step() != Ok(NamedStep::NeedInput) {}
            assert!(
                source.buffer_capacity() <= 4 * (OPTIONS.max_record_bytes + piece.len()),
                "{start}{fill}"
            );
        }
        let looks = source.bytes_examined() / fed;
        assert!(
            looks <= u64::from(PROBE_DEPTH_MAX) + 2,
            "{looks} looks at each byte of {start}{fill}"
        );
    }
}

#[test]
fn a_huge_value_is_passed_in_bounded_memory() {
    let mut source = JsonDocument::new(OPTIONS);
    source.feed(b"[{\"a\":\"");
    for _ in 0..100_000 {
        source.feed(&[b'x'; 1000]);
        assert_eq!(source.step(), Ok(NamedStep::NeedInput));
        assert!(source.buffer_capacity() < 20_000, "{}", source.buffer_capacity());
    }
    let seen = steps(read_pieces(&mut source, [b"\"},{\"a\":1}]".as_slice()]));
    assert_eq!(damage(&seen[0]).code, RecordCode::RecordTooLarge);
    assert_eq!(damage(&seen[0]).place, at(1, 1, 1, 100_000_009));
    assert_eq!(members(&seen[1]), ["a=1"]);
}

#[test]
fn hostile_input_costs_a_bounded_number_of_looks_at_each_byte() {
    let deep = |depth: usize| format!("{}{}", "{\"a\":\n".repeat(depth), "}".repeat(depth));
    let patterns = [
        "[{\"a\":\"\n".to_owned() + &"{\"a\":\n".repeat(10_000),
        "[{\"a\":\"\n".to_owned() + &"{\"a\":[\n".repeat(10_000),
        "[{\"a\":\"\n".to_owned() + &"{\"a\":[0,\n".repeat(30) + &"0,\n".repeat(20_000),
        "[".to_owned() + &"{\"a\":\"\n{\"a\":[\n{\"b\":1},\n".repeat(10_000),
        "[".to_owned() + &"x\" {\"a\":1,{ \"\n{\"a\":[\n{\"b\":1},\n".repeat(10_000),
        "{\"a\":1}".to_owned() + &"x\" {\"a\":1,{ \"\n{\"a\":[\n{\"b\":1},\n]}\n".repeat(10_000),
        "[".to_owned() + &format!("{{\"a\":[1,\n{}", "{\"b\":1},\n".repeat(300)).repeat(30),
        "[".to_owned() + &format!("{{\"a\":\"\n{}\n", deep(31)).repeat(300),
        "[".to_owned() + &format!("{{\"a\":\"\n{}\n", deep(40)).repeat(300),
        "[\n{\"a\":1,\n".to_owned() + &"{\"b\":1,\n".repeat(10_000),
        "[\n".to_owned() + &" ".repeat(2000) + "{\"a\":\"\n" + &(" ".repeat(900) + ",\n").repeat(300),
        "[".to_owned() + &"]".repeat(20_000),
        "{\"a\":1}".to_owned() + &"]\n".repeat(20_000),
    ];
    for text in patterns {
        for piece in [1, 4096] {
            let mut source = JsonDocument::new(JsonOptions {
                max_record_bytes: 50_000,
                max_columns: 50,
            });
            let seen = steps(read_pieces(&mut source, text.as_bytes().chunks(piece)));
            let looks = source.bytes_examined() / text.len() as u64;
            let name = &text[..60];
            assert!(
                looks <= u64::from(PROBE_DEPTH_MAX) + 2,
                "{looks} looks at each byte of {name:?}"
            );
            assert!(!seen.is_empty() || text.contains("]]"), "{name:?}");
        }
    }
}

#[test]
fn a_clean_file_is_looked_at_once() {
    let text = "[\n".to_owned() + &"{\"a\":\"x\\\"\",\n\"b\":[{}]},\n".repeat(5_000) + "]";
    let mut source = JsonDocument::new(OPTIONS);
    let seen = steps(read_pieces(&mut source, text.as_bytes().chunks(64)));
    assert_eq!(seen.len(), 5_000);
    assert!(source.bytes_examined() <= text.len() as u64);
}

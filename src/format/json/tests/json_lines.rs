use super::*;

#[test]
fn every_line_end_ends_a_record_and_is_counted_in_its_range() {
    let seen = lines("\u{feff}{\"a\":1}\r\n{\"a\":2}\n{\"a\":3}\r{\"a\":4}");
    assert_eq!(
        seen.iter().map(place).collect::<Vec<_>>(),
        [at(1, 1, 3, 12), at(2, 2, 12, 20), at(3, 3, 20, 28), at(4, 4, 28, 35)]
    );
    assert_eq!(members(&seen[2]), ["a=3"]);
}

#[test]
fn empty_and_blank_lines_count_as_lines_but_not_as_records() {
    let seen = lines("\r\n  \t\n  {\"a\":1} \n\n \r\n{\"a\":2}\n\n");
    assert_eq!(
        seen.iter().map(place).collect::<Vec<_>>(),
        [at(1, 3, 8, 17), at(2, 6, 21, 29)]
    );
}

#[test]
fn damage_costs_a_line_and_says_where_and_what() {
    let text = "{\"a\":1}\n{\"a\":1,}\n{\"a\":\n1}\n[1]\n{\"a\":2} {\"a\":3}\n{\"a\":4}\n";
    let seen = lines(text);
    let reasons: Vec<_> = seen[1..6].iter().map(|step| damage(step).reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "the record is not well-formed JSON: trailing comma (line 2, byte 8 of the record)",
            "the record ends inside its object: write each record whole, on one line if each has a line (line 3, byte 5 of \
             the record)",
            "the record `1}` is not JSON: write an object, its members' names and values in braces",
            "the record `[1]` is an array: write an object, its members' names and values in braces",
            "the record is not well-formed JSON: trailing characters (line 6, byte 9 of the record)",
        ]
    );
    assert!(
        seen[1..6]
            .iter()
            .all(|step| damage(step).code == RecordCode::InvalidJson)
    );
    assert_eq!(damage(&seen[1]).place, at(2, 2, 8, 17));
    assert_eq!(damage(&seen[1]).excerpt, "{\"a\":1,}");
    assert_eq!(damage(&seen[3]).place, at(4, 4, 23, 26));
    assert_eq!(members(&seen[6]), ["a=4"]);
    assert_eq!(place(&seen[6]), at(7, 7, 46, 54));
}

#[test]
fn a_damaged_first_line_costs_that_line_only() {
    let seen = lines("me\":1}\n{\"a\":2}\n");
    assert_eq!(damage(&seen[0]).place, at(1, 1, 0, 7));
    assert_eq!(members(&seen[1]), ["a=2"]);
}

#[test]
fn a_line_past_the_limit_is_given_up_to_its_end() {
    let long = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    let text = format!("{}\n{}\r\n{{\"a\":1}}\n", long(4000), long(4001));
    let seen = lines(&text);
    assert_eq!(place(&seen[0]), at(1, 1, 0, 4001));
    assert_eq!(members(&seen[0])[0].len(), 2 + 4000 - 8);
    assert_eq!(damage(&seen[1]).code, RecordCode::RecordTooLarge);
    assert_eq!(damage(&seen[1]).place, at(2, 2, 4001, 8004));
    assert!(damage(&seen[1]).reason.contains("4000 bytes"));
    assert_eq!(damage(&seen[1]).excerpt.len(), 200);
    assert_eq!(members(&seen[2]), ["a=1"]);
}

#[test]
fn bytes_that_are_not_utf8_cost_their_line() {
    let seen = lines(b"{\"a\":\"M\xFCnster\"}\n{\"a\":1}\n");
    assert_eq!(damage(&seen[0]).code, RecordCode::InvalidUtf8);
    assert!(damage(&seen[0]).reason.ends_with("(line 1, byte 8 of the record)"));
    assert_eq!(damage(&seen[0]).excerpt, "{\"a\":\"M");
    assert_eq!(members(&seen[1]), ["a=1"]);
}

#[test]
fn what_is_no_json_lines_file_is_refused_with_a_cure() {
    let cases: [(&[u8], &str, &str); 8] = [
        (b"", "file_empty", "DMF2053"),
        (b"\xEF\xBB\xBF", "file_empty", "DMF2053"),
        (b"\n \r\n\r", "file_empty", "DMF2053"),
        (b"\xFF\xFE{\0}\0", "encoding_unsupported", "UTF-8"),
        (b"\xFE\xFF\0{\0}", "encoding_unsupported", "UTF-8"),
        (b"{\0}\0", "encoding_unsupported", "UTF-8"),
        (b"[\n{\"a\":1}\n]", "json_expected", "send it as JSON"),
        (b"\n [{\"a\":1}]", "json_expected", "send it as JSON"),
    ];
    for (bytes, code, cure) in cases {
        let error = error_of(JsonLines::new(OPTIONS), bytes);
        assert_eq!(error.code, code, "{bytes:?}");
        assert!(error.reason.contains(cure), "{error}");
    }
}

#[test]
fn a_line_without_an_end_is_passed_in_bounded_memory() {
    let mut source = JsonLines::new(OPTIONS);
    source.feed(b"{\"a\":\"");
    for _ in 0..100_000 {
        source.feed(&[b'x'; 1000]);
        assert_eq!(source.step(), Ok(NamedStep::NeedInput));
        assert!(source.buffer_capacity() < 20_000, "{}", source.buffer_capacity());
    }
    let seen = steps(read_pieces(&mut source, [b"\"}\n{\"a\":1}".as_slice()]));
    assert_eq!(damage(&seen[0]).place, at(1, 1, 0, 100_000_009));
    assert_eq!(members(&seen[1]), ["a=1"]);
}

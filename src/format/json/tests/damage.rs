//! Damage in JSON files: what it costs, where it ends, what is said about it.

use super::*;

/// Steps of a file, as [`outline`] shows them.
fn seen(text: &str) -> Vec<String> {
    outline(text, &document(text))
}

#[test]
fn an_element_that_does_not_parse_costs_that_element() {
    let text = "[{\"a\":1},{\"a\":1,},{\"a\":\"x\" y},\n{\"a\":\n01}, {\"a\":2}]";
    let steps = document(text);
    assert_eq!(
        outline(text, &steps),
        ["a=1", "!{\"a\":1,}", "!{\"a\":\"x\" y}", "!{\"a\":\n01}", "a=2"]
    );
    assert_eq!(damage(&steps[1]).place, at(2, 1, 9, 17));
    assert_eq!(damage(&steps[1]).code, RecordCode::InvalidJson);
    assert!(
        damage(&steps[1])
            .reason
            .ends_with("trailing comma (line 1, byte 8 of the record)")
    );
    assert_eq!(damage(&steps[1]).excerpt, "{\"a\":1,}");
    assert!(
        damage(&steps[3])
            .reason
            .ends_with("invalid number (line 3, byte 8 of the record)")
    );
    assert_eq!(place(&steps[4]), at(5, 3, 42, 49));
}

#[test]
fn an_element_that_is_no_object_costs_that_element() {
    let text = "[1.5, \"a, {\\\"b\\\":1}\", null ,[{\"a\":0}, [\"]\"]], true\n, {\"a\":1}, rub bish} {\"a\":2}]";
    let steps = document(text);
    assert_eq!(
        outline(text, &steps),
        [
            "!1.5",
            "!\"a, {\\\"b\\\":1}\"",
            "!null ",
            "![{\"a\":0}, [\"]\"]]",
            "!true",
            "a=1",
            "!rub bish} ",
            "a=2"
        ]
    );
    let kinds = [
        " is a number: ",
        " is a text: ",
        " is null: ",
        " is an array: ",
        " is a truth value: ",
    ];
    for (step, kind) in steps.iter().zip(kinds) {
        assert_eq!(damage(step).code, RecordCode::InvalidJson);
        assert!(damage(step).reason.contains(kind), "{step:?}");
    }
    assert!(damage(&steps[6]).reason.contains("`rub bish}` is not JSON"));
}

#[test]
fn rubbish_between_objects_ends_where_the_next_begins() {
    assert_eq!(
        seen("{\"a\":1}]}, x\n{\"a\":2} oh {\"a\":3}"),
        ["a=1", "!]}, x", "a=2", "!oh ", "a=3"]
    );
}

#[test]
fn a_line_break_inside_a_text_costs_its_record() {
    let text = "[\n{\"a\":1},\n{\"a\":\"open},\n{\"a\":3},\n{\"a\":\"bro\nken\", \"b\":2},\n{\"a\":5}\n]";
    let steps = document(text);
    assert_eq!(
        outline(text, &steps),
        [
            "a=1",
            "!{\"a\":\"open},\n",
            "a=3",
            "!{\"a\":\"bro\nken\", \"b\":2}",
            "a=5"
        ]
    );
    assert_eq!(damage(&steps[1]).place, at(2, 3, 11, 24));
    assert_eq!(damage(&steps[1]).code, RecordCode::InvalidJson);
    assert!(damage(&steps[1]).reason.starts_with("line 3 ends inside a text"));
    assert_eq!(damage(&steps[1]).excerpt, "{\"a\":\"open},");
    assert_eq!(place(&steps[4]), at(5, 7, 57, 64));
}

#[test]
fn every_kind_of_line_break_breaks_a_text() {
    for end in ["\n", "\r\n", "\r"] {
        for text in ["[{\"a\":\"x", "[{\"a\":\"x\\"] {
            let text = format!("{text}{end}  ,{{\"a\":2}},{end}{{\"a\":3}}]");
            assert_eq!(
                seen(&text)[1..],
                ["a=3"],
                "indented deeper, the second may be inside the first: {text:?}"
            );
            let text = text.replace("  ,", " ,").replace('[', " [");
            assert_eq!(seen(&text)[1..], ["a=2", "a=3"], "{text:?}");
        }
    }
}

#[test]
fn an_object_inside_a_damaged_record_is_not_taken_for_one() {
    let record = |id: u32, name: &str| {
        format!(
            "  {{\n    \"id\": {id},\n    \"name\": \"{name},\n    \"lines\": [\n      {{\n        \"id\": 7\n      }}\n    ]\n  }}"
        )
    };
    let text = format!(
        "[\n{},\n{},\n{}\n]\n",
        record(1, "x\""),
        record(2, "missing"),
        record(3, "y\"")
    );
    let seen = seen(&text);
    assert_eq!(seen.len(), 3);
    assert!(seen[0].starts_with("id=1") && seen[2].starts_with("id=3"), "{seen:?}");
    assert_eq!(seen[1].trim_end(), format!("!{},", record(2, "missing").trim_start()));
}

#[test]
fn brackets_that_are_missing_cost_their_record() {
    for (text, expected) in [
        // The line of the fault is where the next record begins.
        (
            "[\n{\"a\":1,\n{\"a\":2},\n{\"a\":3}]",
            vec!["!{\"a\":1,\n", "a=2", "a=3"],
        ),
        ("[\n{\"a\":{\"b\":1},\n{\"a\":2}]", vec!["!{\"a\":{\"b\":1},\n", "a=2"]),
        ("{\"a\":1\n{\"a\":2}\n{\"a\":3", vec!["!{\"a\":1\n", "a=2", "!{\"a\":3"]),
        // One that closes an outer bracket closes the inner ones too.
        ("[{\"a\":[1,2},{\"a\":2}]", vec!["!{\"a\":[1,2}", "a=2"]),
        (
            "[{\"a\":[{\"b\":[1}],\"c\":2},{\"a\":2}]",
            vec!["!{\"a\":[{\"b\":[1}],\"c\":2}", "a=2"],
        ),
        // One that closes nothing is passed over.
        ("[{\"a\":1]},{\"a\":2}]", vec!["!{\"a\":1]}", "a=2"]),
        ("[{\"a\":1}},{\"a\":2}]", vec!["a=1", "!}", "a=2"]),
        // Without line breaks, nobody knows where the next record begins.
        ("[{\"a\":1,{\"a\":2},{\"a\":3}]", vec!["!{\"a\":1,{\"a\":2},{\"a\":3}]"]),
    ] {
        assert_eq!(seen(text), expected, "{text}");
    }
    let steps = document("[\n{\"a\":1,\n{\"a\":2},\n{\"a\":[1},]");
    assert!(
        damage(&steps[0])
            .reason
            .starts_with("`{` stands in line 3 where the name of a member is expected")
    );
    assert!(
        damage(&steps[2])
            .reason
            .starts_with("`}` in line 4 does not close what was opened last")
    );
}

#[test]
fn lines_that_begin_no_whole_object_belong_to_the_damaged_record() {
    let text = "[\n{\"a\":\"x\n{a}\n{\"a\":[1}\n\n , ,{\"a\":1}\n{\"a\":\n\n2}\n,{\"a\":3}]";
    assert_eq!(seen(text)[1..], ["a=2", "a=3"]);
    assert_eq!(place(&document(text)[1]).line, 7);
}

#[test]
fn a_record_too_deep_ends_at_its_bracket() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let text = format!("[{},{},{},{{\"a\":2}}]", nested(128), nested(129), nested(400));
    let steps = document(&text);
    assert_eq!(members(&steps[0])[0].len(), 2 + 2 * 127);
    assert_eq!(
        outline(&text, &steps)[1..],
        [
            format!("!{}", nested(129)),
            format!("!{}", nested(400)),
            "a=2".to_owned()
        ]
    );
    assert!(damage(&steps[1]).reason.contains("deeper than 128 levels"));
    assert_eq!(damage(&steps[1]).code, RecordCode::InvalidJson);
}

#[test]
fn a_record_past_its_limit_ends_at_its_bracket() {
    let long = |length: usize| format!("{{\"a\":\"{}\"}}", "}".repeat(length - 8));
    let text = format!("[{},{},{{\"a\":2}}]", long(4000), long(4001));
    let steps = document(&text);
    assert_eq!(steps.len(), 3);
    assert_eq!(place(&steps[0]), at(1, 1, 1, 4001));
    assert_eq!(damage(&steps[1]).code, RecordCode::RecordTooLarge);
    assert_eq!(damage(&steps[1]).place, at(2, 1, 4002, 8003));
    assert_eq!(damage(&steps[1]).excerpt.len(), 200);
    assert_eq!(members(&steps[2]), ["a=2"]);
}

#[test]
fn an_array_that_is_not_closed_costs_no_more_than_the_limit() {
    let text = format!("[\n{{\"a\":[1,\n{}]", "{\"a\":2},\n".repeat(1000));
    let steps = document(&text);
    assert_eq!(damage(&steps[0]).code, RecordCode::RecordTooLarge);
    assert!(damage(&steps[0]).place.byte_end < 4100);
    assert_eq!(
        steps.len() as u64,
        1 + (9000 + 2 + 9 - damage(&steps[0]).place.byte_end) / 9
    );
}

#[test]
fn a_file_that_was_cut_off_says_so() {
    for (text, expected, reason) in [
        (
            "[{\"a\":1},{\"a\":2",
            vec!["a=1", "!{\"a\":2"],
            "ends inside this record",
        ),
        (
            "[{\"a\":1},{\"a\":\"2",
            vec!["a=1", "!{\"a\":\"2"],
            "ends inside this record",
        ),
        (
            "{\"a\":1}{\"a\":\"2\\",
            vec!["a=1", "!{\"a\":\"2\\"],
            "ends inside this record",
        ),
        (
            "{\"@odata.context\":\"x\",\"val",
            vec!["!{\"@odata.context\":\"x\",\"val"],
            "ends inside this record",
        ),
        (
            "[{\"a\":1},{\"a\":2},\n",
            vec!["a=1", "a=2", "!,\n"],
            "before the closing bracket",
        ),
        (
            "[{\"a\":1},{\"a\":2}",
            vec!["a=1", "!{\"a\":2}"],
            "right behind this record",
        ),
        ("{\"v\":[{\"a\":1} ", vec!["a=1", "! "], "before the closing bracket"),
        ("[", vec!["!["], "before the closing bracket"),
    ] {
        let steps = document(text);
        assert_eq!(outline(text, &steps), expected);
        let last = damage(steps.last().unwrap());
        assert_eq!(last.code, RecordCode::InvalidJson);
        assert!(
            last.reason.contains(reason) && last.reason.contains("send it whole"),
            "{}",
            last.reason
        );
    }
    assert_eq!(
        seen("{\"a\":1}"),
        ["a=1"],
        "objects without an array end where they end"
    );
    assert_eq!(seen("{\"v\":[{\"a\":1}], \"next"), ["a=1"], "all records are there");
}

#[test]
fn a_bracket_too_many_costs_none_of_the_records_behind_it() {
    for text in [
        "[{\"a\":1}],{\"a\":2},{\"a\":3}]",
        "[{\"a\":1},{\"a\":2}][{\"a\":3}]",
        "{\"v\":[{\"a\":1}],{\"a\":2},{\"a\":3}]}",
        "{\"v\":[{\"a\":1}],\"w\":[{}]}\n{\"v\":[]}{\"w\":[],\"v\":[{\"a\":2},{\"a\":3}]}",
        "{\"v\":[]}{\"v\":[{\"a\":1}]}{\"a\":2},{\"a\":3}]}",
    ] {
        assert_eq!(seen(text), ["a=1", "a=2", "a=3"], "{text}");
    }
    assert_eq!(
        seen("[\n[\n{\"a\":1},\n{\"a\":2}\n]\n]\n"),
        ["![\n", "a=1", "a=2", "!]\n"]
    );
}

#[test]
fn rubbish_behind_the_closing_bracket_is_one_damaged_record() {
    for rubbish in ["}\n", "x\n {\"a\":2}, 3", "\0\0", "\"[{\"", "]]"] {
        for records in ["[{\"a\":1}]\n", "{\"v\":[{\"a\":1}]}\n"] {
            let text = format!("{records} ,{rubbish}");
            let steps = document(&text);
            assert_eq!(outline(&text, &steps), ["a=1".to_owned(), format!("!{rubbish}")]);
            assert_eq!(damage(&steps[1]).code, RecordCode::InvalidJson);
            assert!(damage(&steps[1]).reason.contains("behind the closing bracket"));
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_cost_their_element() {
    let steps = document(b"[{\"a\":\"M\xFCnster\"},{\"a\":1}]");
    assert_eq!(damage(&steps[0]).code, RecordCode::InvalidUtf8);
    assert_eq!(members(&steps[1]), ["a=1"]);
}

//! The shapes of JSON files.

use super::*;
use crate::format::record::{RecordReader, Step};

#[test]
fn an_array_of_objects() {
    let seen = document("\u{feff} [\r\n  {\"a\": 1},\r\n  {\"a\": 2,\r\n   \"b\": \"]},{\\\"\"} \r\n]\r\n");
    assert_eq!(members(&seen[0]), ["a=1"]);
    assert_eq!(members(&seen[1]), ["a=2", "b=]},{\""]);
    assert_eq!(
        seen.iter().map(place).collect::<Vec<_>>(),
        [at(1, 2, 9, 17), at(2, 3, 22, 49)]
    );
    assert!(document("[]").is_empty());
    assert!(document(" [ \n ] ").is_empty());
}

#[test]
fn commas_between_records_are_white_space() {
    for text in [
        "[{\"a\":1},{\"a\":2},]",
        "[{\"a\":1}{\"a\":2}]",
        "[,{\"a\":1}\n{\"a\":2},\n]",
        "{\"a\":1}{\"a\":2}",
        "{\"a\":1}\n{\"a\":2}\n",
        "{\"a\":1}, {\"a\":2},",
    ] {
        assert_eq!(outline(text, &document(text)), ["a=1", "a=2"], "{text}");
    }
}

#[test]
fn an_envelope_gives_the_records_of_its_first_array_of_objects() {
    for text in [
        "{\"@odata.context\":\"http://x/$metadata#Orders\",\"value\":[{\"a\":1},{\"a\":2}]}",
        "{ \"value\" : [ {\"a\":1}, {\"a\":2} ], \"@odata.nextLink\": \"x]}\", \"more\": {\"b\": [{\"a\":3}]} }\n",
        "{\"meta\":{\"page\":[{\"n\":1}]},\"tags\":[\"x\",[{\"a\":0}]],\"none\":[],\"value\":\n[\n{\"a\":1},\n{\"a\":2}\n]\n}",
        "{\"text\":\"[{\\\"a\\\":0}]\",\"value\":[{\"a\":1},{\"a\":2},],\"other\":[{\"a\":3}]}",
        // What is skipped is not checked, only followed to the closing bracket.
        "{\"value\":[{\"a\":1},{\"a\":2}], \"x\" nonsense: ]]] \"}\" [ {",
    ] {
        assert_eq!(outline(text, &document(text)), ["a=1", "a=2"], "{text}");
    }
    let text = "{\"value\":[null, {\"a\":1}]}";
    assert_eq!(
        outline(text, &document(text)),
        ["!null", "a=1"],
        "nothing in that array is skipped"
    );
    let text = "{\"value\":[{\"a\":1}]}";
    assert_eq!(place(&document(text)[0]), at(1, 1, 10, 17));
}

#[test]
fn an_envelope_may_have_no_records() {
    for text in [
        "{\"value\":[]}",
        "{\"@odata.context\":\"x\",\"@odata.count\":0,\"value\": [ \n ]}\n",
    ] {
        assert!(document(text).is_empty(), "{text}");
    }
}

#[test]
fn objects_without_an_array_of_objects_are_records_themselves() {
    let text = "{\"id\":1,\"tags\":[\"x\"]} {\"id\":2,\"tags\":[]}\n{\"id\":3,\"lines\":[{\"n\":1}]}";
    assert_eq!(
        outline(text, &document(text)),
        ["id=1 tags=[\"x\"]", "id=2 tags=[]", "id=3 lines=[{\"n\":1}]"]
    );
    for alone in [
        "{\"id\":1,\"tags\":[]}",
        "{\"tags\":[],\"more\":[]}",
        "{\"@x\":[]}",
        "{}",
    ] {
        assert_eq!(document(alone).len(), 1, "{alone}");
    }
}

#[test]
fn what_is_no_json_file_is_refused_with_a_cure() {
    let cases: [(&[u8], &str, &str); 9] = [
        (b"", "file_empty", "DMF2053"),
        (b"\xEF\xBB\xBF", "file_empty", "DMF2053"),
        (b" \n\t\r\n", "file_empty", "DMF2053"),
        (b"\xFF\xFE[\0]\0", "encoding_unsupported", "UTF-8"),
        (b"\xFE\xFF\0[\0]", "encoding_unsupported", "UTF-8"),
        (b"\0[\0]", "encoding_unsupported", "UTF-8"),
        (b"id,name\r\n1,x\r\n", "json_expected", "begins with `i`"),
        (b"\n <rows/>", "json_expected", "begins with `<`"),
        (b"\xC3\xA4,b\n", "json_expected", "begins with the byte 0xc3"),
    ];
    for (bytes, code, cure) in cases {
        let error = error_of(JsonDocument::new(OPTIONS), bytes);
        assert_eq!(error.code, code, "{bytes:?}");
        assert!(error.reason.contains(cure), "{error}");
    }
}

#[test]
fn behind_the_interface_of_a_file_with_a_header() {
    let mut reader = json(OPTIONS);
    reader.feed(b"{\"value\":[{\"Id\":1,\"address\":{\"city\":\"Ulm\"}},{\"id\":2,\"ID\":3},");
    reader.feed(b"{\"address\":{\"city\":null},\"x\":1}]}");
    reader.finish();
    assert_eq!(
        reader.header(),
        Ok(Some(vec!["Id".to_owned(), "address.city".to_owned(), "x".to_owned()]))
    );
    let Step::Record(record) = reader.step() else {
        panic!("a record")
    };
    assert_eq!(record.cells, [&b"1"[..], b"Ulm", b""]);
    let Step::Damaged(twice) = reader.step() else {
        panic!("damage")
    };
    assert_eq!(twice.code, RecordCode::MemberTwice);
    let Step::Record(record) = reader.step() else {
        panic!("a record")
    };
    assert_eq!(record.cells, [&b""[..], b"", b"1"]);
    assert!(matches!(reader.step(), Step::End));
}

#[test]
fn a_file_that_is_none_is_refused_by_its_header_too() {
    let mut reader = jsonl(OPTIONS);
    reader.feed(b"[{\"a\":1}]");
    assert_eq!(reader.header().expect_err("no JSON Lines").code, "json_expected");
    assert!(matches!(reader.step(), Step::End));
}

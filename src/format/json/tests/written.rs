//! Rejects files, and reading them back.

use proptest::prelude::*;

use super::*;

const ID: &str = "6d31e09f.0.1";

/// A rejects file of these records.
fn file(rejects: JsonShape, records: &[(&[u8], bool)]) -> String {
    let mut out = Vec::new();
    rejects.prefix(&mut out);
    for (at, (raw, cut)) in records.iter().enumerate() {
        rejects.reject(&mut out, raw, ID, "too_long: \"x\"\n", at == 0, *cut);
    }
    rejects.suffix(&mut out);
    String::from_utf8(out).expect("text")
}

/// One record of it, without our members' values.
fn others(raw: &str) -> String {
    let file = file(JsonShape::Lines, &[(raw.as_bytes(), false)]);
    let ours = format!("{{\"_reject_id\":\"{ID}\",\"_error\":\"too_long: \\\"x\\\"\\n\"");
    let others = file.strip_prefix(&ours).expect("ours first");
    others.strip_suffix("\r\n").expect("a line").to_owned()
}

fn read_back(rejects: JsonShape, file: &str) -> Vec<NamedStep> {
    match rejects {
        JsonShape::Document => document(file),
        JsonShape::Lines => lines(file),
    }
}

#[test]
fn the_whole_file() {
    let records: [(&[u8], bool); 3] = [(b"{\"a\":1}", false), (b"{\"a\":\"x\n", false), (b"{ }", false)];
    let ours = format!("{{\"_reject_id\":\"{ID}\",\"_error\":\"too_long: \\\"x\\\"\\n\"");
    assert_eq!(
        file(JsonShape::Document, &records),
        format!("[\r\n{ours},\"a\":1}},\r\n{ours},\"_raw\":\"{{\\\"a\\\":\\\"x\"}},\r\n{ours} }}\r\n]\r\n")
    );
    assert_eq!(
        file(JsonShape::Lines, &records),
        format!("{ours},\"a\":1}}\r\n{ours},\"_raw\":\"{{\\\"a\\\":\\\"x\"}}\r\n{ours} }}\r\n")
    );
    assert_eq!(file(JsonShape::Document, &[]), "[\r\n\r\n]\r\n");
    assert!(document(file(JsonShape::Document, &[])).is_empty());
}

#[test]
fn a_record_keeps_its_bytes() {
    for (raw, expected) in [
        (
            "{\"a\":1.50, \"b\" : {\"_error\": [ 1 ]} }",
            ",\"a\":1.50, \"b\" : {\"_error\": [ 1 ]} }",
        ),
        ("  { \"\\u0061\":\"\\/\"}\r\n", ", \"\\u0061\":\"\\/\"}"),
        ("{\"a\":\"\\ud800\",\"a\":2}", ",\"a\":\"\\ud800\",\"a\":2}"),
        ("{}", "}"),
        ("{ }", " }"),
    ] {
        assert_eq!(others(raw), expected, "{raw}");
    }
}

#[test]
fn our_members_are_cut_out_in_any_case_and_place() {
    for (raw, expected) in [
        (
            "{\"_reject_id\":\"x\",\"_error\":\"y\",\"a\":1 , \"b\":2}",
            ",\"a\":1 , \"b\":2}",
        ),
        (
            "{ \"a\":1, \"_ERROR\" : {\"x\":[1,2]} , \"b\":2, \" _Reject_Id \":null }",
            ", \"a\":1 , \"b\":2 }",
        ),
        ("{\"_error\":1,\"_error\":2}", "}"),
        ("{\"\\u005ferror\":1, \"reject_id\":2}", ", \"reject_id\":2}"),
        ("{\"a\":1,\"_error\":\"y\"}", ",\"a\":1}"),
        ("{\"_error\":\"y\",\"_raw\":\"{\"}", ",\"_raw\":\"{\"}"),
    ] {
        assert_eq!(others(raw), expected, "{raw}");
    }
}

#[test]
fn what_is_no_object_is_shown_as_text() {
    for (raw, expected) in [
        ("{\"a\":1,}", ",\"_raw\":\"{\\\"a\\\":1,}\"}"),
        (" [1]\n", ",\"_raw\":\"[1]\"}"),
        ("null", ",\"_raw\":\"null\"}"),
        ("", ",\"_raw\":\"\"}"),
        ("{\"a\":1} {\"b\":2}", ",\"_raw\":\"{\\\"a\\\":1} {\\\"b\\\":2}\"}"),
    ] {
        assert_eq!(others(raw), expected, "{raw}");
    }
    assert_eq!(
        others("{\"a\":\n1}"),
        ",\"_raw\":\"{\\\"a\\\":\\n1}\"}",
        "each record has a line"
    );
    let bytes = file(JsonShape::Lines, &[(b"{\"a\":\"M\xFCnster\"}", false)]);
    assert!(
        bytes.contains("\"_raw\":\"{\\\"a\\\":\\\"M\u{fffd}nster\\\"}\"}"),
        "{bytes}"
    );
}

#[test]
fn what_was_cut_is_shown_as_text_even_if_it_reads() {
    let cut = file(JsonShape::Document, &[(b"{\"a\":1}", true)]);
    assert!(cut.contains(",\"_raw\":\"{\\\"a\\\":1}...\"}"), "{cut}");
    assert_eq!(members(&document(cut)[0])[2], "_raw={\"a\":1}...");
}

#[test]
fn a_record_of_too_many_members_is_shown_as_text() {
    let raw = |members: usize| format!("{{{}}}", vec!["\"a\":1"; members].join(","));
    assert!(others(&raw(50_000)).starts_with(",\"a\":1,\"a\":1"));
    assert!(others(&raw(50_001)).starts_with(",\"_raw\":"));
}

fn any_raw() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "{\"a\":1",
        ",\"b\":\"x\"",
        ",\"_Error\":[1]",
        "\"_reject_id\":null",
        "\n",
        " ",
        "\\",
        "\"",
        ",",
        ":1",
        "]",
        "é",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..30),
    ]
}

fn is_ours(name: &str) -> bool {
    ["_error", "_reject_id"].contains(&name.trim().to_lowercase().as_str())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_records_make_a_file_that_reads_back(
        records in prop::collection::vec((any_raw(), any::<bool>()), 1..5),
        in_lines in any::<bool>(),
    ) {
        let rejects = if in_lines { JsonShape::Lines } else { JsonShape::Document };
        let records: Vec<_> = records.iter().map(|(raw, cut)| (raw.as_slice(), *cut)).collect();
        let file = file(rejects, &records);
        if !in_lines {
            serde_json::from_str::<serde::de::IgnoredAny>(&file).expect("well-formed");
        }
        let seen = read_back(rejects, &file);
        prop_assert_eq!(seen.len(), records.len());
        for (step, (raw, cut)) in seen.iter().zip(records) {
            let members = members(step);
            prop_assert_eq!(&members[..2], &[format!("_reject_id={ID}"), "_error=too_long: \"x\"\n".to_owned()]);
            prop_assert!(!members[2..].iter().any(|text| is_ours(text.split('=').next().unwrap_or_default())));
            let raw = raw.trim_ascii();
            let one_line = !raw.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
            let before = members::entries(std::str::from_utf8(raw).unwrap_or_default(), 99);
            if let (Ok(before), false, true) = (before, cut, one_line || !in_lines) {
                let kept = before.list.iter().filter(|(name, _)| !is_ours(name));
                prop_assert_eq!(members[2..].len(), kept.count());
            } else {
                prop_assert!(members[2].starts_with("_raw="), "{:?}", members);
            }
        }
    }
}

//! From values to texts.

use super::*;

fn only(object: &str) -> Vec<String> {
    let (by_line, in_array) = (lines(object), document(format!("[{object}]")));
    assert_eq!(members(&by_line[0]), members(&in_array[0]));
    members(&by_line[0])
}

/// What is wrong with a record, the same in both formats.
fn refused(object: &str) -> (RecordCode, String) {
    let (by_line, in_array) = (lines(object), document(format!("[{object}]")));
    assert_eq!(damage(&by_line[0]).reason, damage(&in_array[0]).reason);
    assert_eq!(in_array.len(), 1);
    let damage = damage(&by_line[0]);
    (damage.code, damage.reason.clone())
}

#[test]
fn scalars() {
    assert_eq!(
        only(
            "{ \"a\" : 1.50E+3, \"b\":-0, \"c\":12345678901234567890.123450, \"d\":true,\"e\":false,\"f\":null,\"g\":\"\" }"
        ),
        [
            "a=1.50E+3",
            "b=-0",
            "c=12345678901234567890.123450",
            "d=true",
            "e=false",
            "f=",
            "g="
        ]
    );
}

#[test]
fn texts_are_unescaped() {
    assert_eq!(
        only(r#"{"a\u0062":"\"\\\/\n\u00e9\ud83d\ude00é","nul":"x\u0000y"}"#),
        ["ab=\"\\/\n\u{e9}\u{1f600}é", "nul=x\0y"]
    );
}

#[test]
fn objects_are_flattened_and_arrays_kept() {
    assert_eq!(
        only(r#"{"a":{"b":{"c":1},"d":null,"e":{}},"f":[1, {"x": "\u0041"} ],"a.d":2,"":3}"#),
        ["a.b.c=1", "a.d=", "f=[1, {\"x\": \"\\u0041\"} ]", "a.d=2", "=3"]
    );
}

#[test]
fn doubled_members_are_passed_on_in_order() {
    assert_eq!(only(r#"{"a":1,"A":2,"a":3}"#), ["a=1", "A=2", "a=3"]);
}

#[test]
fn half_a_character_is_damage() {
    for text in [r"\ud800", r"\ude00", r"\ud800\u0041", r"\ud83dx"] {
        let (code, reason) = refused(&format!(r#"{{"a":1,"n":{{"m":"{text}"}}}}"#));
        assert_eq!(code, RecordCode::InvalidJson, "{text}");
        assert!(
            reason.starts_with("the member `n.m` is not well-formed JSON: "),
            "{reason}"
        );
    }
    assert_eq!(refused(r#"{"\ud800":1}"#).0, RecordCode::InvalidJson);
    assert_eq!(refused(r#"{"a":{"\ud800":1}}"#).0, RecordCode::InvalidJson);
}

#[test]
fn objects_nest_as_deep_as_promised() {
    let nested = |depth: usize| "{\"a\":".repeat(depth + 1) + "1" + &"}".repeat(depth + 1);
    assert_eq!(only(&nested(32)), [["a"; 33].join(".") + "=1"]);
    let (code, reason) = refused(&nested(33));
    assert_eq!(code, RecordCode::InvalidJson);
    assert!(reason.contains("deeper than 32 objects"), "{reason}");
    let array = "[".repeat(127) + &"]".repeat(127);
    assert_eq!(only(&format!("{{\"a\":{array}}}")), [format!("a={array}")]);
}

#[test]
fn not_well_formed() {
    for object in [
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":+1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":tru}"#,
        r#"{"a":}"#,
        r#"{"a"}"#,
        r#"{"a" 1}"#,
        "{a:1}",
        "{'a':1}",
        r#"{"a":1,,"b":2}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        "{\"a\":\"tab\there\"}",
        "{\"a\":\"nul\0here\"}",
        r#"{"a":"say "hi" now"}"#,
        r#"{"a":1} // note"#,
    ] {
        let text = format!("{object}\n{{\"b\":1}}");
        let seen = lines(&text);
        assert_eq!(damage(&seen[0]).code, RecordCode::InvalidJson, "{object}");
        assert_eq!(members(&seen[1]), ["b=1"], "{object}");
    }
}

#[test]
fn more_members_than_columns() {
    let many = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!("\"m{at}\":{at}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(only(&many(52)).len(), 52, "our own two come on top");
    for nested in [many(53), format!("{{\"n\":{}}}", many(53))] {
        assert_eq!(
            error_of(JsonLines::new(OPTIONS), nested.as_bytes()).code,
            "too_many_columns"
        );
        let in_array = format!("[{nested}]");
        assert_eq!(
            error_of(JsonDocument::new(OPTIONS), in_array.as_bytes()).code,
            "too_many_columns"
        );
        let seen = lines(format!("{{\"a\":1}}\n{nested}\n{{\"a\":2}}"));
        assert_eq!(damage(&seen[1]).code, RecordCode::UnexpectedMember);
        assert!(damage(&seen[1]).reason.contains("more than 50 members"));
        assert_eq!(members(&seen[2]), ["a=2"]);
    }
}

#[test]
fn long_names_are_not_multiplied_without_end() {
    let name = "n".repeat(3000);
    let inner: Vec<_> = (0..40).map(|at| format!("\"{at}\":1")).collect();
    let (code, reason) = refused(&format!("{{\"{name}\":{{{}}}}}", inner.join(",")));
    assert_eq!(code, RecordCode::RecordTooLarge);
    assert!(reason.contains("dotted names"), "{reason}");
}

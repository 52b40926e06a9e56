//! Defaults, numbers and rules as people write them, right and wrong.

use super::*;
use crate::domain::auto_number::AutoNumber;
use crate::domain::computed::FieldDefault;
use crate::domain::rule::Severity;

const ITEMS: &str = "name = \"Items\"\nkey = [\"id\"]\n[[fields]]\nname = \"id\"\ntype = \"int\"\n";

fn items(more: &str) -> Result<Definitions, Vec<String>> {
    load(&[("entities/items.toml", &format!("{ITEMS}{more}"))])
}

#[test]
fn a_field_says_what_stands_for_a_missing_value() {
    let set = items(
        "[[fields]]\nname = \"unit\"\ndefault = \"pcs\"\n[[fields]]\nname = \"price\"\ntype = \"decimal\"\nscale = 2\ndefault = 12.5\n\
         [[fields]]\nname = \"made\"\ntype = \"datetime\"\ncompute = \"{now()}\"\n\
         [[fields]]\nname = \"code\"\ncompute = \"{id}-{unit}\"\n[[fields]]\nname = \"label\"\ncompute = \"{code}!\"\n\
         [[fields]]\nname = \"number\"\nmax_length = 8\nauto_number = { format = \"I-{:06}\", start = 100 }\n\
         [[fields]]\nname = \"serial\"\ntype = \"int\"\nauto_number = {}\n",
    );
    let set = set.unwrap_or_else(|errors| panic!("{errors:#?}"));
    let field = |name| set.entities[0].field(name).expect("a field");
    assert_eq!(field("unit").default, Some(FieldDefault::Constant("pcs".to_owned())));
    assert_eq!(field("price").default, Some(FieldDefault::Constant("12.5".to_owned())));
    assert!(matches!(field("code").default, Some(FieldDefault::Computed(_))));
    let number = field("number").auto_number.as_ref().expect("a sequence");
    assert_eq!((number.format.text(100), number.start), ("I-000100".to_owned(), 100));
    let plain = AutoNumber {
        format: "{}".parse().expect("a format"),
        start: 1,
    };
    assert_eq!(field("serial").auto_number, Some(plain));
}

#[test]
fn what_could_never_stand_for_a_value_is_found_when_it_is_read() {
    for (field, expected) in [
        (
            "name = \"a\"\ntype = \"int\"\ndefault = \"many\"",
            "`default`: `many` is not a whole number",
        ),
        (
            "name = \"a\"\nmax_length = 2\ndefault = \"long\"",
            "`default`: `long` has 4 characters",
        ),
        (
            "name = \"a\"\nnull_tokens = [\"NA\"]\ndefault = \"NA\"",
            "`default` is empty",
        ),
        (
            "name = \"a\"\ndefault = [1]",
            "`default` must be a text, a number, true or false, not an array",
        ),
        ("name = \"a\"\ndefault = \"x\"\ncompute = \"{id}\"", "keep one"),
        (
            "name = \"a\"\ncompute = \"always\"",
            "a text that stays the same is a `default`",
        ),
        ("name = \"a\"\ncompute = \"{id\"", "has a `{` without its other half"),
        (
            "name = \"a\"\ncompute = \"{user()}\"",
            "has `{user()}`, which nobody knows",
        ),
        (
            "name = \"a\"\ncompute = \"{ID}\"",
            "`compute`: `ID` is not a field of `Items`; did you mean `id`?",
        ),
        ("name = \"a\"\ncompute = \"{a}\"", "`compute`: `a` is filled after `a`"),
        (
            "name = \"a\"\ntype = \"date\"\ncompute = \"{now()}\"",
            "`compute` gives such as `2026-01-05 08:00:00.123456`",
        ),
        (
            "name = \"a\"\ntype = \"int\"\ncompute = \"{message_id()}\"",
            "is not a whole number",
        ),
        (
            "name = \"a\"\ntype = \"bool\"\nauto_number = {}",
            "`auto_number` belongs to types `string` and `int`, not `bool`",
        ),
        (
            "name = \"a\"\ntype = \"int\"\nauto_number = { format = \"A-{}\" }",
            "`format` belongs to type `string`",
        ),
        (
            "name = \"a\"\nauto_number = { format = \"A-\" }",
            "`format` needs one `{}`",
        ),
        ("name = \"a\"\nauto_number = { start = -1 }", "`start` must be from 0"),
        (
            "name = \"a\"\nmax_length = 3\nauto_number = { format = \"A-{:06}\" }",
            "`auto_number` gives `A-000001`",
        ),
        (
            "name = \"a\"\nauto_number = { first = 1 }",
            "unknown key `first` in `auto_number`",
        ),
    ] {
        let mistakes = items(&format!("[[fields]]\n{field}\n")).expect_err(expected);
        assert!(
            mistakes.len() == 1 && mistakes[0].contains(expected),
            "{expected}: {mistakes:#?}"
        );
    }
}

#[test]
fn a_value_is_computed_from_what_is_there_by_then() {
    let later = "[[fields]]\nname = \"a\"\ncompute = \"{b}\"\n[[fields]]\nname = \"b\"\ncompute = \"{id}\"\n";
    let mistakes = items(later).expect_err("b comes after a");
    assert_eq!(
        mistakes,
        ["entities/items.toml:8: `compute`: `b` is filled after `a`; put its [[fields]] above this one"]
    );
    let numbered = "[[fields]]\nname = \"n\"\nauto_number = {}\n[[fields]]\nname = \"a\"\ncompute = \"N{n}\"\n";
    let mistakes = items(numbered).expect_err("numbers come last");
    assert!(
        mistakes[0].contains("`n` gets its number after all is computed"),
        "{mistakes:?}"
    );
}

#[test]
fn rules_are_read_in_their_order() {
    let rules = "[[rules]]\nname = \"positive\"\ncheck = \"id > 0\"\nmessage = \"ids begin with 1\"\nfield = \"id\"\n\
         [[rules]]\nname = \"small\"\ncheck = \"id < 1000\"\nmessage = \"rather large\"\nseverity = \"warn\"\n";
    let set = items(rules).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let rules = &set.entities[0].rules;
    assert_eq!(
        (rules[0].name.as_str(), rules[0].severity),
        ("positive", Severity::Reject)
    );
    assert_eq!(rules[0].field.as_deref(), Some("id"));
    assert_eq!(
        (rules[1].check.as_str(), rules[1].severity),
        ("id < 1000", Severity::Warn)
    );
}

#[test]
fn mistakes_in_rules_are_named_all_at_once() {
    let rules = "[[rules]]\nname = \"a\"\ncheck = \"id > 0; drop table x\"\nmessage = \"m\"\n\
         [[rules]]\nname = \"A\"\ncheck = \"id > 0\"\nmessage = \"m\"\nfield = \"ids\"\n\
         [[rules]]\nname = \"b\"\ncheck = \"id > 0\"\nseverity = \"error\"\nlevel = 1\n";
    let mistakes = items(rules).expect_err("five mistakes");
    for expected in [
        "items.toml:8: `check` is one SQL condition",
        "items.toml:11: there is a rule `A` already",
        "items.toml:14: a rule's field `ids` is not a field of `Items`; did you mean `id`?",
        "items.toml:15: [[rules]] lacks `message`",
        "items.toml:18: `severity` is `error`, allowed are `reject` or `warn`",
        "items.toml:19: unknown key `level` in [[rules]]",
    ] {
        assert!(
            mistakes.iter().any(|mistake| mistake.contains(expected)),
            "{expected}: {mistakes:#?}"
        );
    }
    assert_eq!(mistakes.len(), 6);
}

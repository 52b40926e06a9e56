use serde_json::json;

use super::*;
use crate::http::odata::key::key;
use crate::http::odata::table::{flag, int, of, text, time};

static TABLE: Table = Table {
    set: "Things",
    entity: "Thing",
    columns: &[
        text("Name"),
        int("Size"),
        of("NoYes", "Disable"),
        time("At"),
        flag("Is"),
    ],
    keys: 1,
    details: None,
};

fn holds(filter: &str) -> bool {
    let row = [
        json!("It's ü"),
        json!(5),
        json!("Yes"),
        json!("2026-01-05T08:00:00Z"),
        json!(true),
    ];
    let filter = Filter::read(filter, &TABLE, true).unwrap_or_else(|wrong| panic!("{filter}: {wrong}"));
    filter.holds(&row)
}

#[test]
fn conditions_hold_or_not() {
    for filter in [
        "Name eq 'It''s ü'",
        "name eq 'IT''S Ü'",
        "'It''s ü' eq Name",
        "Size gt 4 and Size lt 6 and Size ge 5 and Size le 5 and Size ne 6",
        "4 lt Size",
        "Size eq 1 or Size eq 5",
        "not (Size eq 1) and not Size eq 2",
        "Disable eq Microsoft.Dynamics.DataEntities.NoYes'Yes'",
        "Disable eq 'Yes'",
        "At ge 2026-01-05T09:00:00+01:00 and At lt 2026-01-06",
        "Is eq true and Is ne false and Name ne null",
        "contains(tolower(Name),'T''S')",
        "startswith(Name,'it') eq true",
        "endswith(toupper(Name),'ü')",
        "Size eq 2 and Size eq 1 or Size eq 5",
    ] {
        assert!(holds(filter), "{filter}");
    }
    for filter in [
        "Size eq 4",
        "Name eq null",
        "Size eq 5 and (Name eq 'a' or Name eq 'b')",
        "not Is eq true",
    ] {
        assert!(!holds(filter), "{filter}");
    }
}

#[test]
fn what_cannot_be_answered_is_refused_by_name() {
    for (filter, says) in [
        ("Nam eq 'x'", "no property `Nam`"),
        ("Name has 'x'", "`has` is not supported"),
        ("Name eq 5", "a text in quotes"),
        ("Size eq 'x'", "a number"),
        ("At gt 'x'", "a time"),
        ("Size eq", "ends in the middle"),
        ("Name eq 'x", "no closing quote"),
        ("Name eq 'x' Size", "cannot be read at `Size`"),
        ("(Size eq 1", "ends in the middle"),
        ("", "ends in the middle"),
        ("length(Name) eq 5", "`length` is not supported"),
        ("Size eq Size", "a property with a value"),
        (&"(".repeat(100_000), "longer than"),
        (&"(".repeat(1_000), "inside one another"),
        (&"not ".repeat(1_000), "inside one another"),
    ] {
        let refused = Filter::read(filter, &TABLE, true).expect_err(filter);
        assert!(refused.contains(says), "{filter}: {refused}");
    }
    let refused = Filter::read("startswith(Name,'x')", &TABLE, false).expect_err("a function");
    assert!(refused.contains("`startswith` is not supported"), "{refused}");
}

#[test]
fn a_key_comes_in_both_forms() {
    let named = |name: &str, value: &str| (Some(name.to_owned()), value.to_owned());
    assert_eq!(key("'a,b=''c'''").expect("a key"), [(None, "a,b='c'".to_owned())]);
    let two = "Name='X', OperationType=Microsoft.Dynamics.DataEntities.DMFOperationType'Export'";
    assert_eq!(
        key(two).expect("a key"),
        [named("Name", "X"), named("OperationType", "Export")]
    );
    for wrong in ["", "X", "'X", "'X' 'Y'", "Name='X',,", "Name="] {
        assert!(key(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_a_column_must_be_is_found_where_it_is_certain() {
    let wanted = |filter: &str| {
        let filter = Filter::read(filter, &TABLE, false).expect("a filter");
        filter.wanted(0).map(str::to_owned)
    };
    assert_eq!(wanted("Size eq 1 and Name eq 'x'").as_deref(), Some("x"));
    for open in [
        "Name eq 'x' or Size eq 1",
        "Name ne 'x'",
        "not Name eq 'x'",
        "Size eq 1",
    ] {
        assert_eq!(wanted(open), None, "{open}");
    }
}

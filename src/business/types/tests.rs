//! Which fields columns make, and which columns hold fields.

use super::*;

fn kind(dialect: Dialect, declared: &str) -> Option<Field> {
    dialect.field_of(declared, None).ok()
}

#[test]
fn sqlite_types_follow_their_affinity_whatever_they_are_called() {
    let field = |declared: &str| kind(Dialect::Sqlite, declared);
    let name = |declared: &str| field(declared).map(|field| field.kind.name());
    for (declared, expected) in [
        ("INTEGER", "int"),
        ("unsigned big int", "int"),
        ("tinyint(1)", "int"),
        ("FLOATING POINT", "int"),
        ("NVARCHAR(40)", "string"),
        ("clob", "string"),
        ("", "string"),
        ("Boolean", "bool"),
        ("DATE", "date"),
        ("datetime", "datetime"),
        ("TIMESTAMP", "datetime"),
        ("time", "time"),
        ("DOUBLE", "decimal"),
        ("decimal(10,2)", "decimal"),
        ("money", "decimal"),
        ("uuid", "guid"),
        ("decimal_text(20,4)", "decimal"),
    ] {
        assert_eq!(name(declared), Some(expected), "{declared}");
    }
    assert_eq!(field("NVARCHAR(40)").and_then(|field| field.max_length), Some(40));
    assert_eq!(
        field("decimal(20,2)"),
        Some(decimal(15, Some(2))),
        "what a binary fraction keeps"
    );
    assert_eq!(field("decimal_text(20,4)"), Some(decimal(20, Some(4))));
    assert_eq!(field("BLOB"), None);
    assert_eq!(
        field("STRING"),
        None,
        "its affinity is NUMERIC: 007 would lose its zeros"
    );
}

#[test]
fn postgres_types_make_fields_that_their_columns_hold() {
    for (declared, expected) in [
        ("smallint", "int"),
        ("integer", "int"),
        ("bigint", "int"),
        ("numeric", "decimal"),
        ("numeric(18,2)", "decimal"),
        ("numeric(50,2)", "decimal"),
        ("real", "decimal"),
        ("double precision", "decimal"),
        ("character varying(20)", "string"),
        ("character(3)", "string"),
        ("timestamp(3) with time zone", "datetime"),
        ("timestamp without time zone", "datetime"),
        ("time without time zone", "time"),
        ("uuid", "guid"),
        ("jsonb", "string"),
        ("text[]", "string"),
        ("character varying(20)[]", "string"),
        ("timestamp without time zone[]", "string"),
        ("tsrange", "string"),
        ("bytea", "string"),
    ] {
        let field = kind(Dialect::Postgres, declared).unwrap_or_else(|| panic!("{declared}"));
        assert_eq!(field.kind.name(), expected, "{declared}");
        assert!(Dialect::Postgres.holds(&field, declared), "{declared}");
    }
    let small = kind(Dialect::Postgres, "smallint").expect("a field");
    assert_eq!(
        (small.min.as_deref(), small.max.as_deref()),
        (Some("-32768"), Some("32767"))
    );
    assert_eq!(kind(Dialect::Postgres, "numeric(3,-2)"), None);
    assert!(
        !Dialect::Postgres.holds(&of(FieldType::Int), "integer"),
        "without limits it needs a bigint"
    );
}

#[test]
fn enums_become_enums_where_their_labels_may_be_values() {
    let field = |labels: &[&str]| {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        Dialect::Postgres
            .field_of("mood", Some(&labels))
            .expect("a field")
            .kind
            .name()
    };
    assert_eq!(field(&["sad", "glad"]), "enum");
    assert_eq!(field(&["sad", "Sad"]), "string");
    assert_eq!(field(&[" sad"]), "string");
}

#[test]
fn only_what_is_none_of_a_fields_types_is_converted() {
    for plain in [
        "text",
        "character varying(3)",
        "timestamp(3) with time zone",
        "time without time zone",
        "numeric(1,0)",
    ] {
        assert!(!Dialect::Postgres.converts(plain), "{plain}");
    }
    for other in [
        "mood",
        "jsonb",
        "text[]",
        "character varying(20)[]",
        "timestamp without time zone[]",
        "interval",
    ] {
        assert!(Dialect::Postgres.converts(other), "{other}");
    }
    assert!(!Dialect::Sqlite.converts("mood"));
}

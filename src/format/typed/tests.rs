//! Canonical results, refused texts, and the sentences that go with them.

use proptest::prelude::*;

use super::*;

fn field(kind: FieldType) -> Field {
    Field {
        name: "f".to_owned(),
        kind,
        ..Field::default()
    }
}

fn with_formats(kind: FieldType, formats: &[&str]) -> Field {
    Field {
        formats: formats.iter().map(|&f| f.to_owned()).collect(),
        ..field(kind)
    }
}

fn decimal(precision: u32, scale: Option<u32>) -> Field {
    field(FieldType::Decimal { precision, scale })
}

#[track_caller]
fn reads(field: &Field, text: &str, canonical: &str) {
    assert_eq!(type_cell(field, text), Ok(Cell::Text(canonical.to_owned())), "{text}");
}

#[track_caller]
fn refuses(field: &Field, text: &str, code: RecordCode) -> String {
    let error = type_cell(field, text).expect_err(text);
    assert_eq!(error.code, code, "{text}: {}", error.reason);
    error.reason
}

#[test]
fn empty_cells_and_null_tokens_are_no_value() {
    let mut field = field(FieldType::String);
    field.null_tokens = vec!["NA".to_owned()];
    for text in ["", "  ", "\t", "NA", " NA "] {
        assert_eq!(type_cell(&field, text), Ok(Cell::Null), "{text:?}");
    }
    reads(&field, "na", "na");
    field.required = true;
    refuses(&field, "NA", RecordCode::RequiredMissing);
    refuses(&field, "", RecordCode::RequiredMissing);
}

#[test]
fn text_keeps_its_spaces_and_is_measured_in_characters() {
    let mut field = field(FieldType::String);
    reads(&field, "  two  words ", "  two  words ");
    field.max_length = Some(4);
    reads(&field, "čtyř", "čtyř");
    let reason = refuses(&field, "pět a", RecordCode::TooLong);
    assert!(
        reason.contains("5 characters") && reason.contains("at most 4"),
        "{reason}"
    );
}

#[test]
fn control_characters_are_refused_line_breaks_and_tabs_are_text() {
    let field = field(FieldType::String);
    reads(&field, "a\tb\r\nc", "a\tb\r\nc");
    for text in ["a\0b", "a\u{1b}[0m", "a\u{7f}", "a\u{85}b"] {
        refuses(&field, text, RecordCode::InvalidCharacter);
    }
    let reason = refuses(&field, "a\0b", RecordCode::InvalidCharacter);
    assert!(
        reason.contains("U+0000 at position 2") && !reason.contains('\0'),
        "{reason}"
    );
}

#[test]
fn whole_numbers() {
    let field = field(FieldType::Int);
    for (text, value) in [
        ("0", 0),
        (" -12 ", -12),
        ("+7", 7),
        ("007", 7),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(type_cell(&field, text), Ok(Cell::Int(value)), "{text}");
    }
    for text in ["1.0", "1,000", "1e3", "x", "-", "+", "--1", "1 2", "０", "0x10"] {
        refuses(&field, text, RecordCode::InvalidInt);
    }
    assert!(refuses(&field, "9223372036854775808", RecordCode::InvalidInt).contains("64 bits"));
}

#[test]
fn decimals_are_exact_and_canonical() {
    let money = decimal(18, Some(2));
    for (text, canonical) in [
        ("18", "18.00"),
        ("32.38", "32.38"),
        ("51.3", "51.30"),
        ("+007.5", "7.50"),
        (".5", "0.50"),
        ("5.", "5.00"),
        ("-0", "0.00"),
        ("-0.00", "0.00"),
        ("-0.01", "-0.01"),
        ("1.5000000", "1.50"),
        ("9999999999999999", "9999999999999999.00"),
    ] {
        reads(&money, text, canonical);
    }
    reads(&decimal(5, Some(0)), "12.000", "12");
    reads(&decimal(18, None), "12.50", "12.50");
    reads(&decimal(18, None), "-0", "0");
    reads(&decimal(3, Some(3)), "0.125", "0.125");
}

#[test]
fn what_is_no_decimal_or_too_long_for_one_says_so() {
    let money = decimal(6, Some(2));
    for text in [
        "12,5", "1e3", "1E+3", "", ".", "-", "NaN", "inf", "1.2.3", "1 000", "$5", "１",
    ] {
        if !text.is_empty() {
            refuses(&money, text, RecordCode::InvalidDecimal);
        }
    }
    assert_eq!(
        refuses(&money, "12,5", RecordCode::InvalidDecimal),
        "`12,5` is not a decimal number: write digits with a point, e.g. 12.50"
    );
    let reason = refuses(&money, "1.2345", RecordCode::DecimalOverflow);
    assert!(reason.contains("4 digits after the point, at most 2"), "{reason}");
    let reason = refuses(&money, "12345", RecordCode::DecimalOverflow);
    assert!(reason.contains("5 digits before the point, at most 4"), "{reason}");
    refuses(&decimal(3, None), "12.50", RecordCode::DecimalOverflow);
}

#[test]
fn limits_are_compared_exactly() {
    let mut field = decimal(40, Some(20));
    field.min = Some("0.1".to_owned());
    field.max = Some("100000000000000000".to_owned());
    reads(&field, "0.10", "0.10000000000000000000");
    reads(
        &field,
        "100000000000000000.0",
        "100000000000000000.00000000000000000000",
    );
    refuses(&field, "0.09999999999999999999", RecordCode::OutOfRange);
    refuses(
        &field,
        "100000000000000000.00000000000000000001",
        RecordCode::OutOfRange,
    );
    refuses(&field, "-5", RecordCode::OutOfRange);
    let mut int = super::tests::field(FieldType::Int);
    int.min = Some("-5".to_owned());
    int.max = Some("10".to_owned());
    for (text, value) in [("-5", -5), ("+10", 10), ("9", 9), ("0", 0)] {
        assert_eq!(type_cell(&int, text), Ok(Cell::Int(value)));
    }
    assert_eq!(
        refuses(&int, "-6", RecordCode::OutOfRange),
        "`-6` is below the smallest value allowed, -5"
    );
    refuses(&int, "11", RecordCode::OutOfRange);
    int.min = Some("few".to_owned());
    assert!(refuses(&int, "1", RecordCode::OutOfRange).contains("correct the entity"));
}

#[test]
fn truth_values() {
    let field = field(FieldType::Bool);
    for text in ["true", "TRUE", "Yes", " 1 "] {
        assert_eq!(type_cell(&field, text), Ok(Cell::Bool(true)), "{text}");
    }
    for text in ["false", "No", "0"] {
        assert_eq!(type_cell(&field, text), Ok(Cell::Bool(false)), "{text}");
    }
    for text in ["2", "y", "ja", "01"] {
        refuses(&field, text, RecordCode::InvalidBool);
    }
}

#[test]
fn dates_in_iso_form() {
    let field = field(FieldType::Date);
    reads(&field, " 1996-07-04 ", "1996-07-04");
    reads(&field, "2024-02-29", "2024-02-29");
    reads(&field, "1996-07-04 00:00:00.000", "1996-07-04");
    reads(&field, "0001-01-01", "0001-01-01");
    for text in [
        "2023-02-29",
        "1996-7-4",
        "04.07.1996",
        "1996-13-01",
        "0000-01-01",
        "1996-07-04 01:00:00",
        "+1996-07-04",
        "19960704",
        "1996-07-04x",
        "1996-07-0é",
    ] {
        refuses(&field, text, RecordCode::InvalidDate);
    }
}

#[test]
fn date_times_in_iso_form_end_up_in_utc() {
    let field = field(FieldType::Datetime);
    for (text, canonical) in [
        ("1996-07-04 00:00:00.000", "1996-07-04 00:00:00"),
        ("1996-07-04", "1996-07-04 00:00:00"),
        ("1996-07-04T13:05", "1996-07-04 13:05:00"),
        ("2026-01-31T10:00:00Z", "2026-01-31 10:00:00"),
        ("2026-01-01T00:30:00+01:00", "2025-12-31 23:30:00"),
        ("2026-01-31 10:00:00 -0530", "2026-01-31 15:30:00"),
        ("2026-01-31 10:00:00+02", "2026-01-31 08:00:00"),
        ("2026-01-31T10:00:00.120000", "2026-01-31 10:00:00.12"),
        ("2026-01-31T10:00:00.1234567Z", "2026-01-31 10:00:00.123456"),
    ] {
        reads(&field, text, canonical);
    }
    for text in [
        "2026-01-31T24:00:00",
        "2026-01-31T10:60:00",
        "2026-01-31T10:00:60",
        "2026-01-31 10:00:00.",
        "2026-01-31T",
        "2026-01-31X10:00",
        "2026-01-31T10:00:00+25:00",
        "2026-01-31T10:00:00+1",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "31.01.2026 10:00",
        "2026-01-31T10:00:00ZZ",
    ] {
        refuses(&field, text, RecordCode::InvalidDatetime);
    }
}

#[test]
fn times_of_day() {
    let field = field(FieldType::Time);
    reads(&field, "13:05", "13:05:00");
    reads(&field, "13:05:07.250", "13:05:07.25");
    for text in ["24:00", "1:05", "13:05:60", "13.05", "13:05:07Z"] {
        refuses(&field, text, RecordCode::InvalidTime);
    }
    reads(&with_formats(FieldType::Time, &["%I:%M %p"]), "01:05 PM", "13:05:00");
}

#[test]
fn formats_are_tried_in_order() {
    let order_date = with_formats(
        FieldType::Datetime,
        &["%Y-%m-%d %H:%M:%S%.f", "%d.%m.%Y", "%Y-%m-%dT%H:%M:%S%:z"],
    );
    reads(&order_date, "1996-07-04 00:00:00.000", "1996-07-04 00:00:00");
    reads(&order_date, "1996-07-04 10:11:12", "1996-07-04 10:11:12");
    reads(&order_date, "04.07.1996", "1996-07-04 00:00:00");
    reads(&order_date, "1996-07-04T01:00:00+02:00", "1996-07-03 23:00:00");
    let reason = refuses(&order_date, "1996/07/04", RecordCode::InvalidDatetime);
    assert!(reason.contains("`%d.%m.%Y`"), "{reason}");
    let us_first = with_formats(FieldType::Date, &["%m/%d/%Y", "%d/%m/%Y"]);
    reads(&us_first, "02/03/2026", "2026-02-03");
    reads(&us_first, "31/03/2026", "2026-03-31");
    let broken = with_formats(FieldType::Date, &["%Q"]);
    refuses(&broken, "2026-01-31", RecordCode::InvalidDate);
    refuses(
        &with_formats(FieldType::Datetime, &["%Y-%m-%d %H:%M:%S"]),
        "2016-12-31 23:59:60",
        RecordCode::InvalidDatetime,
    );
}

#[test]
fn guids_and_enums_have_one_stored_form() {
    let guid = field(FieldType::Guid);
    let bare = "6d31e09f-0249-459f-94f0-aad9c2c47b64";
    reads(&guid, bare, bare);
    reads(&guid, &format!("{{{}}}", bare.to_uppercase()), bare);
    refuses(&guid, "6d31e09f", RecordCode::InvalidGuid);
    let status = field(FieldType::Enum(vec!["Open".to_owned(), "Überfällig".to_owned()]));
    reads(&status, " open ", "Open");
    reads(&status, "ÜBERFÄLLIG", "Überfällig");
    let reason = refuses(&status, "shut", RecordCode::InvalidEnum);
    assert!(reason.contains("Open, Überfällig"), "{reason}");
}

/// The fast path and chrono's parser must not differ in what they both accept.
fn agree(plain: &str, general: &str, text: &str) -> Result<(), TestCaseError> {
    // A literal blank-free marker in the format keeps the second one off the fast path.
    let fast = type_cell(&with_formats(FieldType::Datetime, &[plain]), text);
    let slow = type_cell(&with_formats(FieldType::Datetime, &[general]), &format!("!{text}"));
    prop_assert_eq!(fast.ok(), slow.ok());
    Ok(())
}

proptest! {
    #[test]
    fn no_text_panics_any_type(text in "\\PC{0,30}|[-+0-9:.TZ ]{0,30}|[0-9]{4}-[0-9]{2}-[0-9é]{2}.{0,20}") {
        for kind in [
            FieldType::String, FieldType::Int, FieldType::Bool, FieldType::Date, FieldType::Datetime, FieldType::Time,
            FieldType::Guid, FieldType::Enum(vec!["A".to_owned()]), FieldType::Decimal { precision: 5, scale: Some(2) },
        ] {
            if let Err(error) = type_cell(&field(kind), &text) {
                prop_assert!(!error.reason.is_empty() && error.reason.len() < 1000);
            }
        }
    }

    #[test]
    fn canonical_text_is_a_fixed_point(value in any::<i32>(), scale in 0u32..5, seconds in -62_000_000_000i64..250_000_000_000, micros in 0u32..1_000_000) {
        let kind = decimal(18, Some(scale));
        if let Ok(Cell::Text(once)) = type_cell(&kind, &format!("{value}.{:03}", micros % 1000)) {
            prop_assert_eq!(type_cell(&kind, &once), Ok(Cell::Text(once)));
        }
        let at = chrono::DateTime::from_timestamp(seconds, micros * 1000).expect("in range");
        let once = at.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
        let Ok(Cell::Text(canonical)) = type_cell(&field(FieldType::Datetime), &once) else {
            return Err(TestCaseError::fail(once));
        };
        prop_assert_eq!(once.trim_end_matches('0').trim_end_matches('.').len().max(19), canonical.len());
        prop_assert_eq!(type_cell(&field(FieldType::Datetime), &canonical), Ok(Cell::Text(canonical)));
    }

    #[test]
    fn the_fast_path_agrees_with_the_general_parser(
        text in "[0-9]{4}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-5][0-9]:[0-6][0-9](\\.[0-9]{1,9})?)?"
    ) {
        agree("%Y-%m-%d %H:%M:%S%.f", "!%Y-%m-%d %H:%M:%S%.f", &text)?;
        agree("%Y-%m-%d %H:%M:%S", "!%Y-%m-%d %H:%M:%S", &text)?;
        agree("%Y-%m-%d", "!%Y-%m-%d", &text)?;
    }

    #[test]
    fn comparison_agrees_with_integers(a in -10_000i64..10_000, b in -10_000i64..10_000) {
        let text = |n: i64| format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100);
        let (left, right) = (text(a), text(b));
        let compare = Decimal::parse(&left).expect("a number").compare(&Decimal::parse(&right).expect("a number"));
        prop_assert_eq!(compare, a.cmp(&b));
    }
}

#[test]
fn a_pattern_is_for_the_whole_text() {
    let pattern = crate::domain::pattern::TextPattern(regex::Regex::new("^(?:[A-Z]{2}[0-9]+)$").unwrap());
    let field = Field {
        pattern: Some(pattern),
        trim: true,
        ..field(FieldType::String)
    };
    assert_eq!(type_cell(&field, " AB12 ").unwrap(), Cell::Text("AB12".to_owned()));
    let error = type_cell(&field, "AB12x").unwrap_err();
    assert_eq!(error.code, RecordCode::PatternMismatch);
    assert_eq!(error.reason, "`AB12x` does not match the pattern `[A-Z]{2}[0-9]+`");
    assert_eq!(type_cell(&field, "").unwrap(), Cell::Null, "nothing matches nothing");
}

#[test]
fn numbers_are_read_as_the_field_spells_them() {
    let comma = Field {
        decimal_comma: true,
        group_separator: Some('.'),
        min: Some("-1000.5".to_owned()),
        ..decimal(18, Some(2))
    };
    for (text, value) in [
        ("12,5", "12.50"),
        ("1.234.567,89", "1234567.89"),
        ("-1.000,5", "-1000.50"),
        (",5", "0.50"),
    ] {
        assert_eq!(type_cell(&comma, text).unwrap(), Cell::Text(value.to_owned()), "{text}");
    }
    for text in ["1.23,4", "1.2345,6", ".123,4", "1,2,3", "1.5", "1,5.000"] {
        assert_eq!(
            type_cell(&comma, text).unwrap_err().code,
            RecordCode::InvalidDecimal,
            "{text}"
        );
    }
    assert_eq!(type_cell(&comma, "-1.000,51").unwrap_err().code, RecordCode::OutOfRange);
    let grouped = Field {
        group_separator: Some(','),
        ..field(FieldType::Int)
    };
    assert_eq!(type_cell(&grouped, "-12,345").unwrap(), Cell::Int(-12_345));
    assert_eq!(type_cell(&grouped, "12,34").unwrap_err().code, RecordCode::InvalidInt);
    assert_eq!(
        type_cell(&decimal(9, Some(2)), "1,5").unwrap_err().code,
        RecordCode::InvalidDecimal
    );
}

#[test]
fn a_zone_counts_where_the_text_names_no_offset() {
    let berlin = Field {
        time_zone: Some(chrono_tz::Europe::Berlin),
        ..field(FieldType::Datetime)
    };
    for (text, utc) in [
        ("2026-01-31 12:00:00", "2026-01-31 11:00:00"),
        ("2026-07-31 12:00:00", "2026-07-31 10:00:00"),
        ("2026-07-31T12:00:00Z", "2026-07-31 12:00:00"),
        // The hour that is there twice, and the one that is not there.
        ("2026-10-25 02:30:00", "2026-10-25 00:30:00"),
        ("2026-03-29 02:30:00", "2026-03-29 01:00:00"),
    ] {
        assert_eq!(type_cell(&berlin, text).unwrap(), Cell::Text(utc.to_owned()), "{text}");
    }
}

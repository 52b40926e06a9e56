//! Columns find their fields, and a record says everything that is wrong with it.

mod filling;

use super::*;
use crate::domain::entity::{Drift, Field, FieldType};
use crate::domain::ids::MessageId;
use crate::domain::time::Timestamp;

fn field(name: &str, kind: FieldType) -> Field {
    Field {
        name: name.to_owned(),
        kind,
        null_tokens: vec!["NA".to_owned()],
        ..Field::default()
    }
}

fn entity() -> Entity {
    let required = |field| Field {
        required: true,
        ..field
    };
    let short = |field| Field {
        max_length: Some(4),
        ..field
    };
    Entity {
        name: "SalesOrderHeaders".to_owned(),
        label: "Sales order headers".to_owned(),
        collection: "SalesOrderHeaders".to_owned(),
        public: true,
        data_management: true,
        database: "main".to_owned(),
        table: "sales_order_headers".to_owned(),
        create_table: true,
        key: vec!["company".to_owned(), "order_number".to_owned()],
        company_field: Some("company".to_owned()),
        unknown_columns: Drift::Warn,
        missing_columns: Drift::Warn,
        fields: vec![
            short(required(field("company", FieldType::String))),
            required(field("order_number", FieldType::String)),
            field("order_date", FieldType::Date),
            field("ship_via", FieldType::Enum(vec!["Air".to_owned(), "Sea".to_owned()])),
            field(
                "freight",
                FieldType::Decimal {
                    precision: 9,
                    scale: Some(2),
                },
            ),
            field("error", FieldType::String),
        ],
        rules: Vec::new(),
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&n| n.to_owned()).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn facts(company: Option<&str>) -> LoadFacts {
    LoadFacts {
        began_at: Timestamp(1_767_600_000_000_000),
        company: company.map(str::to_owned),
        message_id: "m".to_owned(),
        external_id: None,
        enqueued_at: Timestamp(0),
    }
}

fn mapping(spec: &ImportEntity, header: &[&str], company: Option<&str>) -> Result<Mapping, MappingError> {
    Mapping::new(&entity(), spec, &strings(header), &facts(company))
}

const PLACE: RecordPlace = RecordPlace {
    record: 17,
    line: 18,
    byte_start: 100,
    byte_end: 200,
};

fn convert(mapping: &Mapping, cells: &[&str]) -> TypedRecord {
    let cells: Vec<_> = cells.iter().map(|c| Cow::Borrowed(c.as_bytes())).collect();
    mapping.convert(PLACE, &cells)
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn names_match_in_any_case_and_by_the_jobs_map() {
    let spec = ImportEntity {
        map: pairs(&[("OrderID", "order_number"), ("Shipper", "ship_via")]),
        ..ImportEntity::default()
    };
    let mapping = mapping(
        &spec,
        &[" orderid ", "ORDER DATE", "Ship-Name", "", "Company", "shipper"],
        None,
    )
    .expect("fits");
    assert_eq!(mapping.fields(), ["company", "order_number", "order_date", "ship_via"]);
    assert_eq!(mapping.ignored(), ["Ship-Name", "(column 4, without a name)"]);
    let typed = convert(&mapping, &["10248", "1996-07-04", "x", "y", "usmf", "air"]);
    assert_eq!(
        typed.outcome.expect("good"),
        [text("usmf"), text("10248"), text("1996-07-04"), text("Air")]
    );
}

#[test]
fn the_company_fills_its_field_in_lower_case_where_the_file_has_none() {
    let spec = ImportEntity {
        defaults: pairs(&[("company", "dflt")]),
        ..ImportEntity::default()
    };
    let without = mapping(&spec, &["order_number"], Some("USMF")).expect("fits");
    assert_eq!(without.fields(), ["company", "order_number"]);
    assert_eq!(convert(&without, &["1"]).outcome.expect("good")[0], text("usmf"));
    let with = mapping(&spec, &["order_number", "company"], Some("USMF")).expect("fits");
    assert_eq!(convert(&with, &["1", "frrt"]).outcome.expect("good")[0], text("frrt"));
    assert_eq!(convert(&with, &["1", " "]).outcome.expect("good")[0], text("usmf"));
    let by_job = mapping(&spec, &["order_number"], None).expect("fits");
    assert_eq!(convert(&by_job, &["1"]).outcome.expect("good")[0], text("dflt"));
    let error = mapping(&spec, &["order_number"], Some("toolong")).expect_err("four characters");
    assert_eq!(error.code, "company_invalid");
}

#[test]
fn value_maps_come_before_typing_and_defaults_fill_empty_and_absent_cells() {
    let spec = ImportEntity {
        defaults: pairs(&[("ship_via", "sea"), ("freight", "1.5"), ("company", "usmf")]),
        values: BTreeMap::from([("ship_via".to_owned(), pairs(&[("1", "Air"), ("9", "NA")]))]),
        ..ImportEntity::default()
    };
    let mapping = mapping(&spec, &["order_number", "ship_via"], None).expect("fits");
    assert_eq!(mapping.fields(), ["company", "order_number", "ship_via", "freight"]);
    for (cell, stored) in [(" 1 ", "Air"), ("", "Sea"), ("NA", "Sea"), ("9", "Sea"), ("AIR", "Air")] {
        let cells = convert(&mapping, &["1", cell]).outcome.expect("good");
        assert_eq!(cells[2..], [text(stored), text("1.50")], "{cell:?}");
    }
    let errors = convert(&mapping, &["1", "2"])
        .outcome
        .expect_err("not in the map, not in the enum");
    assert_eq!(errors[0].code, RecordCode::InvalidEnum);
}

#[test]
fn every_bad_cell_is_reported_with_its_column_and_value() {
    let mapping = mapping(
        &ImportEntity::default(),
        &["freight", "order_number", "order_date", "company"],
        None,
    )
    .expect("fits");
    let cells: Vec<Cow<'_, [u8]>> = [&b"12,5"[..], b"", b"\xff\x001996", b"us\0"]
        .map(Cow::Borrowed)
        .to_vec();
    let errors = mapping.convert(PLACE, &cells).outcome.expect_err("all bad");
    let found: Vec<_> = errors
        .iter()
        .map(|e| (e.column, e.field.as_deref(), e.code, e.value.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (Some(4), Some("company"), RecordCode::InvalidCharacter, Some("us\\u{0}")),
            (Some(2), Some("order_number"), RecordCode::RequiredMissing, Some("")),
            (
                Some(3),
                Some("order_date"),
                RecordCode::InvalidUtf8,
                Some("\u{fffd}\\u{0}1996")
            ),
            (Some(1), Some("freight"), RecordCode::InvalidDecimal, Some("12,5")),
        ]
    );
    assert!(errors.iter().all(|e| e.place == PLACE));
}

#[test]
fn a_rejects_file_brings_its_ids_back() {
    let id = RejectId {
        message: MessageId::generate(),
        entity_no: 0,
        record: 17,
    };
    let header = ["_error", "order_number", "company", "_reject_id"];
    let mapping = mapping(&ImportEntity::default(), &header, None).expect("fits");
    assert_eq!(
        mapping.fields(),
        ["company", "order_number"],
        "`_error` is not the field `error`"
    );
    assert!(mapping.ignored().is_empty());
    let typed = convert(&mapping, &["was bad", "1", "usmf", &format!(" {id} ")]);
    assert_eq!(typed.origin, Some(id));
    assert!(typed.outcome.is_ok());
    assert_eq!(convert(&mapping, &["", "1", "usmf", " "]).origin, None);
    let typed = convert(&mapping, &["", "1", "usmf", "17"]);
    let errors = typed.outcome.expect_err("no id");
    assert_eq!(
        (errors[0].code, errors[0].column),
        (RecordCode::ReferenceMissing, Some(4))
    );
    assert!(errors[0].reason.contains("`17`") && errors[0].reason.contains("_reject_id"));
}

#[test]
fn a_file_that_does_not_fit_is_refused_as_a_whole() {
    let plain = ImportEntity::default();
    let error = mapping(&plain, &["order date", "company"], None).expect_err("key missing");
    assert_eq!(error.code, "required_column_missing");
    assert!(
        error.reason.contains("order_number") && !error.reason.contains("company,"),
        "{error}"
    );
    let error = mapping(&plain, &["a;b;c"], Some("usmf")).expect_err("nothing fits");
    assert_eq!(error.code, "no_column_matches");
    assert!(
        error.reason.contains("`a;b;c`") && error.reason.contains("`order_number`"),
        "{error}"
    );
    let error = mapping(&plain, &["order_number", "Order Number", "company"], None).expect_err("twice");
    assert_eq!(error.code, "column_twice");
    assert!(
        error.reason.contains("(column 1)") && error.reason.contains("(column 2)"),
        "{error}"
    );
    let spec = ImportEntity {
        map: pairs(&[("no", "order_number")]),
        ..ImportEntity::default()
    };
    assert_eq!(
        mapping(&spec, &["no", "order_number"], Some("x"))
            .expect_err("twice")
            .code,
        "column_twice"
    );
    let spec = ImportEntity {
        defaults: pairs(&[("freight", "cheap")]),
        ..ImportEntity::default()
    };
    let error = mapping(&spec, &["order_number"], Some("usmf")).expect_err("a default is typed like a cell");
    assert_eq!(error.code, "default_invalid");
    assert!(
        error.reason.contains("freight") && error.reason.contains("`cheap`"),
        "{error}"
    );
}

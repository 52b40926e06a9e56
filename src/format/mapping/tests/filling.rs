//! What stands for a value the file does not bring: the company, the job's default, what the entity says.

use super::*;
use crate::domain::computed::FieldDefault;

/// The entity with what its fields say about missing values.
fn filled() -> Entity {
    let mut entity = entity();
    let constant = |text: &str| Some(FieldDefault::Constant(text.to_owned()));
    let computed = |text: &str| Some(FieldDefault::Computed(text.parse().expect("pieces")));
    for (field, default) in [
        ("order_date", computed("{today()}")),
        ("ship_via", constant("sea")),
        ("freight", computed("{record_number()}")),
        ("error", computed("{company}/{order_number}/{freight}")),
    ] {
        let at = entity.field_index(field).expect("a field");
        entity.fields[at].default = default;
    }
    entity
}

fn filling(entity: &Entity, spec: &ImportEntity, header: &[&str]) -> Mapping {
    Mapping::new(entity, spec, &strings(header), &facts(Some("usmf"))).expect("a mapping")
}

fn cells(mapping: &Mapping, cells: &[&str]) -> Vec<Cell> {
    convert(mapping, cells).outcome.expect("a good record")
}

#[test]
fn what_the_file_does_not_bring_is_filled_in_the_order_of_the_fields() {
    let mapping = filling(&filled(), &ImportEntity::default(), &["order_number", "freight"]);
    assert_eq!(
        cells(&mapping, &["A1", ""]),
        [
            text("usmf"),
            text("A1"),
            text("2026-01-05"),
            text("Sea"),
            text("17.00"),
            text("usmf/A1/17.00")
        ]
    );
    assert_eq!(
        cells(&mapping, &["A1", "NA"])[4],
        text("17.00"),
        "a null token is no value"
    );
    assert_eq!(cells(&mapping, &["A1", "2"])[4..], [text("2.00"), text("usmf/A1/2.00")]);
    assert_eq!(
        mapping.only_new(),
        ["order_date", "ship_via", "error"],
        "freight has a column"
    );
}

#[test]
fn a_computed_value_is_spelt_canonically_whatever_files_write() {
    let mut entity = filled();
    let date = entity.field_index("order_date").expect("a field");
    entity.fields[date].formats = vec!["%d.%m.%Y".to_owned()];
    let freight = entity.field_index("freight").expect("a field");
    entity.fields[freight].decimal_comma = true;
    let mapping = filling(&entity, &ImportEntity::default(), &["order_number", "order_date"]);
    assert_eq!(cells(&mapping, &["A1", ""])[2], text("2026-01-05"));
    assert_eq!(cells(&mapping, &["A1", "31.12.2026"])[2], text("2026-12-31"));
    assert_eq!(cells(&mapping, &["A1", ""])[4], text("17.00"));
}

#[test]
fn the_jobs_default_goes_before_the_entitys() {
    let spec = ImportEntity {
        defaults: pairs(&[("ship_via", "Air")]),
        ..ImportEntity::default()
    };
    let mapping = filling(&filled(), &spec, &["order_number"]);
    assert_eq!(cells(&mapping, &["A1"])[3], text("Air"));
    assert!(
        !mapping.only_new().contains(&"ship_via".to_owned()),
        "what a job says counts for every row"
    );
}

#[test]
fn a_computed_value_that_does_not_fit_rejects_the_record() {
    let mut entity = filled();
    let error = entity.field_index("error").expect("a field");
    entity.fields[error].max_length = Some(10);
    entity.fields[error].required = true;
    let mapping = filling(&entity, &ImportEntity::default(), &["order_number", "freight"]);
    let errors = convert(&mapping, &["A-long-one", "1"]).outcome.expect_err("too long");
    assert_eq!(
        (errors[0].code, errors[0].field.as_deref()),
        (RecordCode::TooLong, Some("error"))
    );
    assert_eq!(errors[0].value.as_deref(), Some("usmf/A-long-one/1.00"));
    assert!(
        errors[0].reason.starts_with("computed, as the file brings nothing: "),
        "{}",
        errors[0].reason
    );
    // One mistake is told once: what would be computed from it is not looked at.
    let errors = convert(&mapping, &["A1", "much"]).outcome.expect_err("no number");
    assert_eq!(errors.len(), 1);
    // Without one of its pieces there is no value, and the field is required.
    let bare = Mapping::new(
        &entity,
        &ImportEntity::default(),
        &strings(&["company", "order_number", "freight"]),
        &facts(None),
    );
    entity.fields[0].required = false;
    let errors = convert(&bare.expect("a mapping"), &["", "A1", "1"])
        .outcome
        .expect_err("no company");
    assert_eq!(errors[0].code, RecordCode::RequiredMissing);
}

#[test]
fn without_business_logic_only_the_job_fills() {
    let spec = ImportEntity {
        defaults: pairs(&[("freight", "3")]),
        run_business_logic: Some(false),
        ..ImportEntity::default()
    };
    let mapping = filling(&filled(), &spec, &["order_number"]);
    assert_eq!(mapping.fields(), ["company", "order_number", "freight"]);
    assert_eq!(mapping.missing(), ["order_date", "ship_via", "error"]);
}

#[test]
fn an_update_brings_what_its_file_brings() {
    let spec = ImportEntity {
        mode: ImportMode::Update,
        ..ImportEntity::default()
    };
    let mapping = filling(&filled(), &spec, &["order_number", "ship_via"]);
    assert_eq!(mapping.fields(), ["company", "order_number", "ship_via"]);
    assert_eq!(
        cells(&mapping, &["A1", ""])[2],
        text("Sea"),
        "an empty cell is no value all the same"
    );
}

#[test]
fn what_a_manifest_wants_generated_is_numbered() {
    let mut entity = filled();
    let number = entity.field_index("order_number").expect("a field");
    let spec = ImportEntity {
        generated: [String::from("order_number")].into(),
        ..ImportEntity::default()
    };
    let mapping = filling(&entity, &spec, &["freight"]);
    assert_eq!(cells(&mapping, &["1"])[1], text("17"), "by the record");
    assert_eq!(mapping.numbered(), Vec::<String>::new());
    entity.fields[number].auto_number = Some(crate::domain::auto_number::AutoNumber {
        format: "{}".parse().expect("a format"),
        start: 1,
    });
    for spec in [spec, ImportEntity::default()] {
        let mapping = filling(&entity, &spec, &["freight"]);
        assert_eq!(mapping.numbered(), ["order_number"], "by the sequence");
        assert_eq!(cells(&mapping, &["1"])[1], Cell::Null, "until all are staged");
    }
    let updating = ImportEntity {
        mode: ImportMode::Update,
        ..ImportEntity::default()
    };
    let refused = Mapping::new(&entity, &updating, &strings(&["freight"]), &facts(Some("usmf")));
    assert_eq!(
        refused.expect_err("a new number is of no known row").code,
        "required_column_missing"
    );
}

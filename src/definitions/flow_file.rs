//! `[import]` and `[export]` of a job file.

use std::collections::{BTreeMap, BTreeSet};

use super::format_file;
use super::queue_file::read_order;
use super::read::{Placed, Table};
use crate::domain::job::{ErrorThreshold, ExportEntity, ExportSpec, ImportEntity, ImportMode, ImportSpec, Order};

/// One `[[import.entities]]` before its names are resolved.
pub(super) struct ImportPlaces {
    pub entity: Placed<String>,
    pub mode: ImportMode,
    pub map: BTreeMap<String, Placed<String>>,
    pub defaults: BTreeMap<String, Placed<String>>,
    pub values: BTreeMap<String, Placed<BTreeMap<String, Placed<String>>>>,
    pub run_business_logic: Option<bool>,
    pub run_business_validation: Option<bool>,
}

/// One `[[export.entities]]` before its names are resolved.
pub(super) struct ExportPlaces {
    pub entity: Placed<String>,
    pub fields: Vec<Placed<String>>,
    pub order_by: Vec<Placed<String>>,
    pub filter: Option<String>,
}

/// Reads `[import]`.
pub(super) fn read_import(section: Table<'_>) -> ((ImportSpec, Order), Vec<ImportPlaces>) {
    let (format, encoding) = format_file::read_import(&section);
    let order = read_order(&section);
    let max_errors = read_max_errors(&section);
    let atomicities = [("record", true), ("chunk", false), ("file", false), ("document", false)];
    if let Some(record) = section.choice("atomicity", &atomicities)
        && !record.value
    {
        let message = "not supported in this version: this `atomicity`; use `record` (the default)";
        section.findings().at(&record.span, message);
    }
    section.unsupported("skip_staging", "leave it out");
    section.require("entities");
    let mut places = Vec::new();
    for entity in section.tables("entities", "[[import.entities]]") {
        let name = entity.required_text("entity");
        let mode = entity.choice("mode", &ImportMode::WORDS);
        let (map, defaults, values) = (
            entity.free_texts("map"),
            entity.free_texts("defaults"),
            entity.free_tables("values"),
        );
        let switch = |key| entity.truth(key).map(|truth| truth.value);
        let (run_business_logic, run_business_validation) =
            (switch("run_business_logic"), switch("run_business_validation"));
        entity.finish();
        places.extend(name.map(|entity| ImportPlaces {
            entity,
            mode: mode.map_or(ImportMode::Upsert, |mode| mode.value),
            map,
            defaults,
            values,
            run_business_logic,
            run_business_validation,
        }));
    }
    section.finish();
    let entities = places.iter().map(ImportPlaces::spec).collect();
    let spec = ImportSpec {
        format,
        encoding,
        entities,
        max_errors,
    };
    ((spec, order), places)
}

impl ImportPlaces {
    fn spec(&self) -> ImportEntity {
        let texts = |map: &BTreeMap<String, Placed<String>>| -> BTreeMap<String, String> {
            map.iter()
                .map(|(name, text)| (name.clone(), text.value.clone()))
                .collect()
        };
        ImportEntity {
            entity: self.entity.value.clone(),
            mode: self.mode,
            map: texts(&self.map),
            defaults: texts(&self.defaults),
            values: self
                .values
                .iter()
                .map(|(field, map)| (field.clone(), texts(&map.value)))
                .collect(),
            generated: BTreeSet::new(),
            run_business_logic: self.run_business_logic,
            run_business_validation: self.run_business_validation,
        }
    }
}

/// `10` or `"5%"`.
fn read_max_errors(section: &Table<'_>) -> Option<ErrorThreshold> {
    let text = section.scalar_text("max_errors")?;
    let written = text.value.trim();
    let threshold = match written.strip_suffix('%') {
        Some(percent) => percent
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(|percent| ErrorThreshold::Rate(percent / 100.0)),
        None => written.parse::<u64>().ok().map(ErrorThreshold::Count),
    };
    if threshold.is_none() {
        let message =
            format!("`max_errors` is `{written}`; write a count such as 10, or a share from \"0%\" to \"100%\"");
        section.findings().at(&text.span, message);
    }
    threshold
}

/// Reads `[export]`.
pub(super) fn read_export(section: Table<'_>) -> (ExportSpec, Vec<ExportPlaces>) {
    let format = format_file::read_export(&section);
    let prevent = section
        .truth("prevent_upload_when_zero_records")
        .is_some_and(|truth| truth.value);
    section.require("entities");
    let mut places = Vec::new();
    for entity in section.tables("entities", "[[export.entities]]") {
        places.extend(read_export_entity(entity));
    }
    section.finish();
    let texts = |list: &[Placed<String>]| list.iter().map(|text| text.value.clone()).collect::<Vec<_>>();
    let entities = places
        .iter()
        .map(|places| ExportEntity {
            entity: places.entity.value.clone(),
            fields: texts(&places.fields),
            filter: places.filter.clone(),
            order_by: texts(&places.order_by),
        })
        .collect();
    (
        ExportSpec {
            format,
            prevent_upload_when_zero_records: prevent,
            entities,
        },
        places,
    )
}

fn read_export_entity(table: Table<'_>) -> Option<ExportPlaces> {
    let entity = table.required_text("entity");
    let list = |key: &'static str| table.texts(key).map_or_else(Vec::new, |list| list.value);
    let (fields, order_by) = (list("fields"), list("order_by"));
    let filter = table.text("filter");
    if let Some(filter) = filter.as_ref().filter(|filter| filter.value.contains(['\0', ';'])) {
        let message = "`filter` is one SQL condition on the entity's own columns; it may not hold `;`";
        table.findings().at(&filter.span, message);
    }
    if let Some(full) = table.choice("refresh", &[("full", true), ("incremental", false)])
        && !full.value
    {
        let message = "not supported in this version: incremental exports; use `refresh = \"full\"` (the default)";
        table.findings().at(&full.span, message);
    }
    table.unsupported("method", "leave it out, exports are full");
    table.finish();
    let filter = filter.map(|filter| filter.value);
    entity.map(|entity| ExportPlaces {
        entity,
        fields,
        order_by,
        filter,
    })
}

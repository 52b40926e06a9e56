//! `[export]` of a job file.

use std::collections::BTreeMap;
use std::ops::Range;

use super::destination_file::{self, DestinationPlaces};
use super::flow_file::texts;
use super::format_file;
use super::read::{Placed, Table};
use super::refresh_file;
use crate::domain::export::{Compression, ExportEntity, ExportSpec, Refresh};
use crate::domain::file_name::FileName;

/// `[export]` with the places later checks need.
pub(super) struct ExportDraft {
    /// Its entities' names are not resolved yet.
    pub spec: ExportSpec,
    /// Where it stands.
    pub span: Range<usize>,
    pub header: Option<Placed<bool>>,
    pub compression: Option<Placed<Compression>>,
    pub file_name: Option<Placed<FileName>>,
    pub sidecar: Option<Placed<bool>>,
    pub companies: Option<Placed<Vec<Placed<String>>>>,
    /// Either way to split.
    pub split: Option<Placed<u32>>,
    pub destinations: Vec<DestinationPlaces>,
    /// In the order of the job's `[[export.entities]]`.
    pub entities: Vec<ExportPlaces>,
}

/// One `[[export.entities]]` before its names are resolved.
pub(super) struct ExportPlaces {
    pub entity: Placed<String>,
    pub fields: Vec<Placed<String>>,
    pub map: BTreeMap<String, Placed<String>>,
    pub values: BTreeMap<String, Placed<BTreeMap<String, Placed<String>>>>,
    pub filter: Option<Placed<String>>,
    /// File and line of that.
    pub filter_place: Option<String>,
    pub order_by: Vec<Placed<String>>,
    pub refresh: Placed<Refresh>,
}

/// Reads `[export]`.
pub(super) fn read(section: Table<'_>) -> ExportDraft {
    let (format, encoding) = format_file::read(&section);
    let header = section.truth("header");
    let compression = section.choice("compression", &Compression::WORDS);
    let file_name = read_file_name(&section);
    let sidecar = section.truth("sidecar");
    let prevent = section.truth("prevent_upload_when_zero_records");
    let companies = section.texts("companies");
    let split_records = section.number("split_records", 1..=u32::MAX);
    let split_bytes = section.number("split_bytes", 1024..=u32::MAX);
    let destinations = destination_file::read_all(&section);
    let enqueue = read_enqueue(&section);
    section.require("entities");
    let mut entities = Vec::new();
    for entity in section.tables("entities", "[[export.entities]]") {
        entities.extend(read_entity(entity));
    }
    let is_set = |truth: &Option<Placed<bool>>, default| truth.as_ref().map_or(default, |truth| truth.value);
    let spec = ExportSpec {
        format,
        encoding,
        header: is_set(&header, true),
        compression: compression.as_ref().map(|compression| compression.value),
        file_name: file_name.as_ref().map(|name| name.value.clone()),
        sidecar: is_set(&sidecar, true),
        split_records: split_records.as_ref().map(|most| most.value.into()),
        split_bytes: split_bytes.as_ref().map(|most| most.value.into()),
        prevent_upload_when_zero_records: is_set(&prevent, false),
        companies: companies.iter().flat_map(|list| &list.value).map(company).collect(),
        destinations: destinations.iter().map(|places| places.destination.clone()).collect(),
        enqueue,
        entities: entities.iter().map(ExportPlaces::spec).collect(),
    };
    let span = section.span().clone();
    section.finish();
    ExportDraft {
        spec,
        span,
        header,
        compression,
        file_name,
        sidecar,
        companies,
        split: split_records.or(split_bytes),
        destinations,
        entities,
    }
}

/// Whether messages wait to be collected: what goes nowhere else must.
fn read_enqueue(section: &Table<'_>) -> bool {
    let Some(enqueue) = section.truth("enqueue") else {
        return true;
    };
    if !enqueue.value && !section.has("destinations") {
        let message = "`enqueue = false` and no [[export.destinations]]: what is exported would go nowhere";
        section.findings().at(&enqueue.span, message);
    }
    enqueue.value
}

/// As messages and rows have it.
fn company(written: &Placed<String>) -> String {
    written.value.trim().to_lowercase()
}

fn read_file_name(section: &Table<'_>) -> Option<Placed<FileName>> {
    let template = section.text("file_name")?;
    match FileName::parse(&template.value) {
        Ok(name) => Some(template.with(name)),
        Err(flaw) => {
            let message = format!("`file_name` {flaw}");
            section.findings().at(&template.span, message);
            None
        }
    }
}

fn read_entity(table: Table<'_>) -> Option<ExportPlaces> {
    let entity = table.required_text("entity");
    let list = |key: &'static str| table.texts(key).map_or_else(Vec::new, |list| list.value);
    let (fields, order_by) = (list("fields"), list("order_by"));
    let (map, values) = (table.free_texts("map"), table.free_tables("values"));
    let filter = table.text("filter");
    if let Some(filter) = filter.as_ref().filter(|filter| filter.value.contains(['\0', ';'])) {
        let message = "`filter` is one SQL condition on the entity's own columns; it may not hold `;`";
        table.findings().at(&filter.span, message);
    }
    let filter_place = filter.as_ref().map(|filter| table.findings().place(&filter.span));
    let refresh = refresh_file::read(&table);
    table.finish();
    entity.map(|entity| ExportPlaces {
        entity,
        fields,
        map,
        values,
        filter,
        filter_place,
        order_by,
        refresh,
    })
}

impl ExportPlaces {
    fn spec(&self) -> ExportEntity {
        let list = |list: &[Placed<String>]| list.iter().map(|text| text.value.clone()).collect::<Vec<_>>();
        ExportEntity {
            entity: self.entity.value.clone(),
            fields: list(&self.fields),
            map: texts(&self.map),
            values: (self.values.iter())
                .map(|(field, values)| (field.clone(), texts(&values.value)))
                .collect(),
            filter: self.filter.as_ref().map(|filter| filter.value.clone()),
            filter_place: self.filter_place.clone(),
            order_by: list(&self.order_by),
            refresh: self.refresh.value.clone(),
        }
    }
}

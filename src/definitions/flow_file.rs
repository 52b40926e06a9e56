//! `[import]` of a job file.

use std::collections::{BTreeMap, BTreeSet};

use super::format_file;
use super::queue_file::read_order;
use super::read::{Placed, Table};
use crate::domain::job::{Atomicity, ErrorThreshold, ImportEntity, ImportMode, ImportSpec, Order};

/// One `[[import.entities]]` before its names are resolved.
pub(super) struct ImportPlaces {
    pub entity: Placed<String>,
    pub mode: ImportMode,
    pub map: BTreeMap<String, Placed<String>>,
    pub defaults: BTreeMap<String, Placed<String>>,
    pub values: BTreeMap<String, Placed<BTreeMap<String, Placed<String>>>>,
    pub run_business_logic: Option<bool>,
    pub run_business_validation: Option<bool>,
    pub document_key: Vec<Placed<String>>,
    pub truncate: bool,
    pub truncate_on_empty: bool,
}

/// Reads `[import]`.
pub(super) fn read_import(section: Table<'_>) -> ((ImportSpec, Order), Vec<ImportPlaces>) {
    let (format, encoding) = format_file::read(&section);
    let order = read_order(&section);
    let max_errors = read_max_errors(&section);
    let atomicity = section.choice("atomicity", &Atomicity::WORDS);
    let atomicity = atomicity.map_or_else(Atomicity::default, |atomicity| atomicity.value);
    let skip_staging = read_skip_staging(&section, atomicity, max_errors);
    section.require("entities");
    let mut places = Vec::new();
    for entity in section.tables("entities", "[[import.entities]]") {
        places.extend(read_import_entity(entity, atomicity));
    }
    section.finish();
    let entities = places.iter().map(ImportPlaces::spec).collect();
    let spec = ImportSpec {
        format,
        encoding,
        entities,
        max_errors,
        atomicity,
        skip_staging,
    };
    ((spec, order), places)
}

fn read_import_entity(table: Table<'_>, atomicity: Atomicity) -> Option<ImportPlaces> {
    let entity = table.required_text("entity");
    let mode = table.choice("mode", &ImportMode::WORDS);
    let mode = mode.map_or(ImportMode::Upsert, |mode| mode.value);
    let (map, defaults, values) = (
        table.free_texts("map"),
        table.free_texts("defaults"),
        table.free_tables("values"),
    );
    let switch = |key| table.truth(key).map(|truth| truth.value);
    let (run_business_logic, run_business_validation) =
        (switch("run_business_logic"), switch("run_business_validation"));
    let document_key = read_document_key(&table, atomicity);
    let (truncate, truncate_on_empty) = read_truncate(&table, mode);
    table.finish();
    entity.map(|entity| ImportPlaces {
        entity,
        mode,
        map,
        defaults,
        values,
        run_business_logic,
        run_business_validation,
        document_key,
        truncate,
        truncate_on_empty,
    })
}

/// The fields that tell documents apart: needed where documents land whole, and of no meaning elsewhere.
fn read_document_key(table: &Table<'_>, atomicity: Atomicity) -> Vec<Placed<String>> {
    let written = table.texts("document_key");
    let message = match (&written, atomicity) {
        (None, Atomicity::Document) if !table.has("document_key") => {
            "`atomicity = \"document\"` needs a `document_key`: the fields whose values tell documents apart, such as [\"order_number\"]"
        }
        (Some(key), Atomicity::Document) if key.value.is_empty() => {
            "`document_key` is empty; name the fields whose values tell documents apart"
        }
        (Some(_), Atomicity::Record | Atomicity::Chunk | Atomicity::File) => {
            "`document_key` means nothing without `atomicity = \"document\"`"
        }
        _ => return written.map_or_else(Vec::new, |key| key.value),
    };
    let span = written.map_or_else(|| table.span().clone(), |key| key.span);
    table.findings().at(&span, message);
    Vec::new()
}

/// Whether the target is emptied first (DMF-4), and by a file without records too.
fn read_truncate(table: &Table<'_>, mode: ImportMode) -> (bool, bool) {
    let (truncate, on_empty) = (table.truth("truncate"), table.truth("truncate_on_empty"));
    let is_set = |truth: &Option<Placed<bool>>| truth.as_ref().is_some_and(|truth| truth.value);
    if let Some(truncate) = truncate.as_ref().filter(|truncate| truncate.value)
        && matches!(mode, ImportMode::Update | ImportMode::Delete)
    {
        let message =
            "`truncate` deletes the rows first, so there is nothing left for this `mode`; use `upsert` or `insert`";
        table.findings().at(&truncate.span, message);
    }
    if let Some(on_empty) = on_empty.as_ref().filter(|on_empty| on_empty.value)
        && !is_set(&truncate)
    {
        let message = "`truncate_on_empty` means nothing without `truncate = true`";
        table.findings().at(&on_empty.span, message);
    }
    (is_set(&truncate), is_set(&on_empty))
}

impl ImportPlaces {
    fn spec(&self) -> ImportEntity {
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
            document_key: self.document_key.iter().map(|field| field.value.clone()).collect(),
            truncate: self.truncate,
            truncate_on_empty: self.truncate_on_empty,
        }
    }
}

/// The same without the places.
pub(super) fn texts(map: &BTreeMap<String, Placed<String>>) -> BTreeMap<String, String> {
    map.iter()
        .map(|(name, text)| (name.clone(), text.value.clone()))
        .collect()
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
/// Whether records land as they are read: not where something is judged over the whole file before the first one lands.
fn read_skip_staging(section: &Table<'_>, atomicity: Atomicity, max_errors: Option<ErrorThreshold>) -> bool {
    let Some(skip) = section.truth("skip_staging").filter(|skip| skip.value) else {
        return false;
    };
    let word = Atomicity::WORDS.iter().find(|(_, known)| *known == atomicity);
    let message = match (word, max_errors) {
        (_, Some(_)) => "`max_errors` is judged over the whole file before its first record lands, which `skip_staging` does not wait for; leave one of them out".to_owned(),
        (Some((word, _)), None) if atomicity != Atomicity::Record => {
            format!("`atomicity = \"{word}\"` needs records to wait in staging for each other; leave it or `skip_staging` out")
        }
        _ => return true,
    };
    section.findings().at(&skip.span, message);
    false
}

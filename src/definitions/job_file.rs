//! One file of `jobs/`.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::names;
use super::read::{Findings, Placed, Table};
use super::schedule_file;
use crate::domain::ids::JobId;
use crate::domain::job::{
    DataSource, Direction, ErrorThreshold, ExportEntity, ExportSpec, FileFormat, ImportEntity, ImportSpec, Job,
};

/// A job as one file gives it, with the places later checks need.
pub(super) struct JobDraft {
    pub findings: Rc<Findings>,
    pub job: Job,
    pub id: Placed<JobId>,
    pub name: Placed<String>,
    pub company: Option<Placed<String>>,
    /// In the order of the job's `[[import.entities]]`.
    pub imports: Vec<ImportPlaces>,
    /// In the order of the job's `[[export.entities]]`.
    pub exports: Vec<ExportPlaces>,
}

/// One `[[import.entities]]` before its names are resolved.
pub(super) struct ImportPlaces {
    pub entity: Placed<String>,
    pub map: BTreeMap<String, Placed<String>>,
    pub defaults: BTreeMap<String, Placed<String>>,
    pub values: BTreeMap<String, Placed<BTreeMap<String, Placed<String>>>>,
}

/// One `[[export.entities]]` before its names are resolved.
pub(super) struct ExportPlaces {
    pub entity: Placed<String>,
    pub fields: Vec<Placed<String>>,
    pub order_by: Vec<Placed<String>>,
    pub filter: Option<String>,
}

/// Reads a job. `None` when it lacks what identifies it.
pub(super) fn read(table: Table<'_>, findings: &Rc<Findings>) -> Option<JobDraft> {
    let id = read_id(&table);
    let name = read_name(&table);
    table.require("direction");
    let directions = [
        ("import", Direction::Import),
        ("export", Direction::Export),
        ("relay", Direction::Relay),
    ];
    let direction = table.choice("direction", &directions);
    let data_source = read_data_source(&table, direction.as_ref());
    let sample = table.truth("sample").is_some_and(|sample| sample.value);
    let clients = read_clients(&table, sample);
    let company = table.text("company");
    let lease_seconds = table.number("lease_seconds", 1..=86_400);
    table.unsupported("durability", "leave it out, every job is `full`");

    let import = table.table("import", "[import]").map(|section| read_import(section));
    let export = table.table("export", "[export]").map(|section| read_export(section));
    let schedule = table.table("schedule", "[schedule]");
    let schedule_span = schedule.as_ref().map(|schedule| schedule.span().clone());
    let schedule = schedule.and_then(schedule_file::read);
    if let Some(direction) = &direction {
        check_sections(
            &table,
            direction,
            schedule_span,
            data_source,
            export.as_ref().map(|(_, places)| places),
        );
    }
    table.finish();

    let (import, imports) = import.unzip();
    let (export, exports) = export.unzip();
    let (id, name, direction) = (id?, name?, direction?);
    Some(JobDraft {
        findings: Rc::clone(findings),
        job: Job {
            id: id.value,
            name: name.value.clone(),
            direction: direction.value,
            data_source,
            clients,
            sample,
            company: company.as_ref().map(|company| company.value.trim().to_lowercase()),
            lease_seconds: lease_seconds.map(|seconds| seconds.value),
            schedule,
            import,
            export,
        },
        id,
        name,
        company,
        imports: imports.unwrap_or_default(),
        exports: exports.unwrap_or_default(),
    })
}

fn read_id(table: &Table<'_>) -> Option<Placed<JobId>> {
    let id = table.required_text("id")?;
    match id.value.parse::<JobId>() {
        Ok(parsed) if parsed.0.is_nil() => {
            table.findings().at(
                &id.span,
                "`id` is the empty GUID; give every job its own, `uuidgen` makes one",
            );
            None
        }
        Ok(parsed) => Some(id.with(parsed)),
        Err(error) => {
            let message = format!("`id`: {error}; it is the activity id clients put in the URL, `uuidgen` makes one");
            table.findings().at(&id.span, message);
            None
        }
    }
}

fn read_name(table: &Table<'_>) -> Option<Placed<String>> {
    let name = table.required_text("name")?;
    if let Some(flaw) = names::title_flaw(&name.value) {
        table
            .findings()
            .at(&name.span, format!("job name `{}` {flaw}", name.value));
    }
    Some(name)
}

/// Exports are packages unless they say otherwise (RI-17), everything else is plain files.
fn read_data_source(table: &Table<'_>, direction: Option<&Placed<Direction>>) -> DataSource {
    let written = table.choice(
        "data_source",
        &[("file", DataSource::File), ("package", DataSource::Package)],
    );
    let direction = direction.map(|direction| direction.value);
    if let Some(written) = &written
        && written.value == DataSource::Package
        && direction == Some(Direction::Import)
    {
        let message =
            "not supported in this version: import of packages; use `data_source = \"file\"` and one message per file";
        table.findings().at(&written.span, message);
    }
    let default = if direction == Some(Direction::Export) {
        DataSource::Package
    } else {
        DataSource::File
    };
    written.map_or(default, |written| written.value)
}

fn read_clients(table: &Table<'_>, sample: bool) -> Vec<String> {
    let written = table.texts("clients");
    let span = written
        .as_ref()
        .map_or_else(|| table.span().clone(), |clients| clients.span.clone());
    let mut clients: Vec<String> = Vec::new();
    for client in written.into_iter().flat_map(|clients| clients.value) {
        if client.value.trim().is_empty() || client.value.trim() != client.value {
            table
                .findings()
                .at(&client.span, "a client's name may not be empty or have outer spaces");
        } else if clients.contains(&client.value) {
            table
                .findings()
                .at(&client.span, format!("client `{}` is listed twice", client.value));
        } else {
            clients.push(client.value);
        }
    }
    if clients.is_empty() && !sample {
        let message =
            "nobody may use this job: list its `clients`, or set `sample = true` to let the `dev` client try it";
        table.findings().at(&span, message);
    }
    clients
}

/// Which sections go with which direction.
fn check_sections(
    table: &Table<'_>,
    direction: &Placed<Direction>,
    schedule: Option<std::ops::Range<usize>>,
    data_source: DataSource,
    exports: Option<&Vec<ExportPlaces>>,
) {
    let findings = table.findings();
    let word = direction.value.as_str();
    for (section, owner) in [("import", Direction::Import), ("export", Direction::Export)] {
        if direction.value == owner && !table.has(section) {
            findings.at(
                &direction.span,
                format!("direction is `{word}` but there is no [{section}] section"),
            );
        } else if direction.value != owner && table.has(section) {
            findings.at(
                &direction.span,
                format!("direction is `{word}`, which takes no [{section}] section"),
            );
        }
    }
    match (direction.value, schedule) {
        (Direction::Import, Some(span)) => findings.at(
            &span,
            "not supported in this version: [schedule] on an import job; leave it out, messages are processed as they arrive",
        ),
        (Direction::Relay, Some(span)) => {
            findings.at(&span, "direction is `relay`, which takes no [schedule] section");
        }
        _ => {}
    }
    if data_source == DataSource::File
        && let Some(second) = exports.and_then(|exports| exports.get(1))
    {
        let message = "`data_source = \"file\"` holds one entity; use `data_source = \"package\"` for several";
        findings.at(&second.entity.span, message);
    }
}

/// `format` and `delimiter`.
fn read_format(table: &Table<'_>) -> FileFormat {
    table.require("format");
    let formats = [
        ("csv", Some(b',')),
        ("tsv", Some(b'\t')),
        ("csv-unicode", None),
        ("xml-element", None),
        ("xml-attribute", None),
        ("json", None),
        ("jsonl", None),
        ("xlsx", None),
        ("fixed", None),
    ];
    let format = table.choice("format", &formats);
    if let Some(format) = format.as_ref().filter(|format| format.value.is_none()) {
        let message = "not supported in this version: this `format`; use `csv` (with `delimiter` where it is not a comma) or `tsv`";
        table.findings().at(&format.span, message);
    }
    let delimiters = [(",", b','), (";", b';'), ("|", b'|'), ("\t", b'\t')];
    let delimiter = table
        .has("delimiter")
        .then(|| read_delimiter(table, &delimiters))
        .flatten();
    let by_format = format.and_then(|format| format.value).unwrap_or(b',');
    if let Some(delimiter) = &delimiter
        && by_format == b'\t'
        && delimiter.value != b'\t'
    {
        table.findings().at(
            &delimiter.span,
            "format `tsv` is delimited by tabs; write `format = \"csv\"`",
        );
    }
    FileFormat::Csv {
        delimiter: delimiter.map_or(by_format, |delimiter| delimiter.value),
    }
}

/// Apart from `Table::choice`, because a tab is a blank text.
fn read_delimiter(table: &Table<'_>, delimiters: &[(&str, u8)]) -> Option<Placed<u8>> {
    let text = table.scalar_text("delimiter")?;
    let found = delimiters.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let message = format!("`delimiter` is `{}`, allowed are `,`, `;`, `|` or `\\t`", text.value);
        table.findings().at(&text.span, message);
    }
    found.map(|(_, byte)| text.with(*byte))
}

fn read_import(section: Table<'_>) -> (ImportSpec, Vec<ImportPlaces>) {
    let format = read_format(&section);
    let process_in_order = section.truth("process_in_order").is_some_and(|truth| truth.value);
    let max_errors = read_max_errors(&section);
    let atomicities = [("record", true), ("chunk", false), ("file", false), ("document", false)];
    if let Some(record) = section.choice("atomicity", &atomicities)
        && !record.value
    {
        let message = "not supported in this version: this `atomicity`; use `record` (the default)";
        section.findings().at(&record.span, message);
    }
    section.unsupported("order_by", "use `process_in_order = true`");
    section.unsupported("skip_staging", "leave it out");
    section.unsupported("block_on_dead_letter", "leave it out");
    section.require("entities");
    let mut places = Vec::new();
    for entity in section.tables("entities", "[[import.entities]]") {
        let name = entity.required_text("entity");
        let (map, defaults, values) = (
            entity.free_texts("map"),
            entity.free_texts("defaults"),
            entity.free_tables("values"),
        );
        entity.finish();
        places.extend(name.map(|entity| ImportPlaces {
            entity,
            map,
            defaults,
            values,
        }));
    }
    section.finish();
    let texts = |map: &BTreeMap<String, Placed<String>>| -> BTreeMap<String, String> {
        map.iter()
            .map(|(name, text)| (name.clone(), text.value.clone()))
            .collect()
    };
    let entities = places
        .iter()
        .map(|places| ImportEntity {
            entity: places.entity.value.clone(),
            map: texts(&places.map),
            defaults: texts(&places.defaults),
            values: places
                .values
                .iter()
                .map(|(field, map)| (field.clone(), texts(&map.value)))
                .collect(),
        })
        .collect();
    (
        ImportSpec {
            format,
            entities,
            process_in_order,
            max_errors,
        },
        places,
    )
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

fn read_export(section: Table<'_>) -> (ExportSpec, Vec<ExportPlaces>) {
    let format = read_format(&section);
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

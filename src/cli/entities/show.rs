//! `tranship entities list` and `show`.

use serde_json::{Value, json};

use crate::business::Databases;
use crate::cli::screen::{Screen, Tone, plain};
use crate::cli::{Exit, Failure};
use crate::definitions::Definitions;
use crate::domain::composite::Composite;
use crate::domain::computed::FieldDefault;
use crate::domain::entity::{Entity, Field, FieldType};
use crate::domain::job::Job;
use crate::domain::rule::{Rule, Severity};
use crate::domain::table::Table;
use crate::hints::did_you_mean;

/// What is known of an entity's table.
enum Found {
    There(Table),
    Missing,
    /// Its database did not say.
    Unknown(String),
}

pub(super) async fn list(screen: &Screen, databases: &Databases, definitions: &Definitions) -> Result<Exit, Failure> {
    let mut answers = Vec::new();
    let mut rows = vec![
        ["name", "label", "table", "fields", "jobs", ""]
            .map(str::to_owned)
            .to_vec(),
    ];
    for entity in &definitions.entities {
        let found = look(databases, entity).await;
        let jobs = jobs_of(definitions, entity).count();
        rows.push(vec![
            entity.name.clone(),
            entity.label.clone(),
            format!("{}.{}", entity.database, entity.table),
            entity.fields.len().to_string(),
            jobs.to_string(),
            found.words(entity).to_owned(),
        ]);
        answers.push(outline(entity, &found, definitions));
    }
    let mut composites = Vec::new();
    for composite in &definitions.composites {
        let parts = definitions.single(&composite.name);
        let jobs = jobs_naming(definitions, &composite.name).count();
        rows.push(vec![
            composite.name.clone(),
            composite.label.clone(),
            format!("composite of {}", parts.join(", ")),
            String::new(),
            jobs.to_string(),
            String::new(),
        ]);
        composites.push(json!({"composite": composite.name, "label": composite.label, "entities": parts}));
    }
    if screen.is_json() {
        screen.json(&json!({"entities": answers, "composites": composites}));
    } else if answers.is_empty() {
        screen.note("There are no entities yet: `tranship init FILE` makes one from a sample, `tranship entities add` from a table.");
    } else {
        screen.table(&rows);
    }
    Ok(Exit::Ok)
}

pub(super) async fn show(
    screen: &Screen,
    databases: &Databases,
    definitions: &Definitions,
    name: &str,
) -> Result<Exit, Failure> {
    let entity = definitions.find_entity(name).ok_or_else(|| {
        let known = definitions.entities.iter();
        if let Some(composite) = composite(definitions, name) {
            let parts = definitions.single(&composite.name).join(", ");
            let message = format!("`{name}` is a composite entity; show one of {parts}");
            return Failure::new(Exit::Refused, message);
        }
        let hint = did_you_mean(
            name,
            known.flat_map(|entity| [entity.name.as_str(), entity.label.as_str()]),
        );
        Failure::new(Exit::Refused, format!("there is no entity `{name}`{hint}"))
    })?;
    let found = look(databases, entity).await;
    if screen.is_json() {
        let mut answer = outline(entity, &found, definitions);
        answer["fields"] = entity
            .fields
            .iter()
            .map(|field| as_json(entity, field, &found))
            .collect();
        answer["rules"] = entity.rules.iter().map(rule_as_json).collect();
        screen.json(&answer);
        return Ok(Exit::Ok);
    }
    screen.line(screen.paint(Tone::Strong, &entity.name));
    screen.line(format!("label     {}", entity.label));
    screen.line(format!(
        "table     {}.{}, {}",
        entity.database,
        entity.table,
        found.words(entity)
    ));
    if let Found::Unknown(why) = &found {
        screen.line(format!("          {}", plain(why)));
    }
    screen.line(format!("key       {}", entity.key.join(", ")));
    if let Some(company) = &entity.company_field {
        screen.line(format!("company   {company}"));
    }
    let jobs: Vec<_> = jobs_of(definitions, entity)
        .map(|job| format!("{} ({})", job.name, job.direction.as_str()))
        .collect();
    screen.line(format!(
        "jobs      {}",
        if jobs.is_empty() {
            "none".to_owned()
        } else {
            jobs.join(", ")
        }
    ));
    screen.line("");
    let mut rows = vec![
        ["field", "type", "", "column", "refers to", "when missing"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(entity.fields.iter().map(|field| row(entity, field, &found)));
    screen.table(&rows);
    if !entity.rules.is_empty() {
        screen.line("");
        let mut rows = vec![["rule", "check", ""].map(str::to_owned).to_vec()];
        rows.extend(entity.rules.iter().map(rule_row));
        screen.table(&rows);
    }
    Ok(Exit::Ok)
}

/// The composite entity of this label or technical name, any case.
fn composite<'d>(definitions: &'d Definitions, name: &str) -> Option<&'d Composite> {
    let wanted = name.to_lowercase();
    let is_called = |composite: &&Composite| {
        [&composite.name, &composite.label]
            .map(|name| name.to_lowercase())
            .contains(&wanted)
    };
    definitions.composites.iter().find(is_called)
}

async fn look(databases: &Databases, entity: &Entity) -> Found {
    let Some(database) = databases.get(&entity.database) else {
        return Found::Unknown(format!("database `{}` is not configured", entity.database));
    };
    match database.table(&entity.table).await {
        Ok(Some(table)) => Found::There(table),
        Ok(None) => Found::Missing,
        Err(error) => Found::Unknown(error.to_string()),
    }
}

impl Found {
    fn words(&self, entity: &Entity) -> &'static str {
        match self {
            Self::There(_) => "there",
            Self::Missing if entity.create_table => "not there yet, made on first use",
            Self::Missing => "missing",
            Self::Unknown(_) => "unknown: its database does not answer",
        }
    }

    /// The type of a field's column.
    fn declared(&self, field: &Field) -> Option<&str> {
        match self {
            Self::There(table) => table.column(&field.name).map(|column| column.declared.as_str()),
            Self::Missing | Self::Unknown(_) => None,
        }
    }

    /// Whether the table is there, if that is known.
    fn is_there(&self) -> Option<bool> {
        match self {
            Self::There(_) => Some(true),
            Self::Missing => Some(false),
            Self::Unknown(_) => None,
        }
    }
}

/// The jobs that load the entity or take it out, by itself or within a composite.
fn jobs_of<'d>(definitions: &'d Definitions, entity: &'d Entity) -> impl Iterator<Item = &'d Job> {
    definitions.jobs.iter().filter(|job| {
        let mut singles = named(job).flat_map(|name| definitions.single(name));
        singles.any(|name| name == entity.name)
    })
}

/// The jobs that name the entity or composite entity themselves.
fn jobs_naming<'d>(definitions: &'d Definitions, name: &'d str) -> impl Iterator<Item = &'d Job> {
    definitions
        .jobs
        .iter()
        .filter(move |job| named(job).any(|named| named == name))
}

/// The entities and composite entities a job names.
fn named(job: &Job) -> impl Iterator<Item = &str> {
    let imported = job.import.iter().flat_map(|import| &import.entities);
    let exported = job.export.iter().flat_map(|export| &export.entities);
    let imported = imported.map(|wanted| wanted.entity.as_str());
    imported.chain(exported.map(|wanted| wanted.entity.as_str()))
}

fn outline(entity: &Entity, found: &Found, definitions: &Definitions) -> Value {
    let jobs: Vec<_> = jobs_of(definitions, entity)
        .map(|job| json!({"job": job.name, "direction": job.direction.as_str()}))
        .collect();
    json!({
        "entity": entity.name, "label": entity.label, "database": entity.database, "table": entity.table,
        "table_is_there": found.is_there(), "create_table": entity.create_table, "key": entity.key,
        "company_field": entity.company_field, "fields": entity.fields.len(), "jobs": jobs,
    })
}

fn as_json(entity: &Entity, field: &Field, found: &Found) -> Value {
    let (precision, scale) = match field.kind {
        FieldType::Decimal { precision, scale } => (Some(precision), scale),
        _ => (None, None),
    };
    let values = match &field.kind {
        FieldType::Enum(values) => Some(values),
        _ => None,
    };
    let references = field.references.as_ref();
    let (constant, computed) = match &field.default {
        Some(FieldDefault::Constant(text)) => (Some(text), None),
        Some(FieldDefault::Computed(computed)) => (None, Some(computed.to_string())),
        None => (None, None),
    };
    let number = field.auto_number.as_ref();
    let number = number.map(|number| json!({"format": number.format.to_string(), "start": number.start}));
    json!({
        "name": field.name, "type": field.kind.name(), "key": entity.is_key(&field.name), "required": field.required,
        "max_length": field.max_length, "precision": precision, "scale": scale, "values": values,
        "min": field.min, "max": field.max, "column": found.declared(field),
        "references": references.map(|to| json!({"entity": to.entity, "field": to.field})),
        "default": constant, "compute": computed, "auto_number": number,
    })
}

fn rule_as_json(rule: &Rule) -> Value {
    json!({
        "rule": rule.name, "check": rule.check, "message": rule.message, "field": rule.field,
        "severity": severity(rule.severity),
    })
}

fn rule_row(rule: &Rule) -> Vec<String> {
    vec![
        plain(&rule.name),
        plain(&rule.check),
        severity(rule.severity).to_owned(),
    ]
}

/// The word in definitions.
fn severity(severity: Severity) -> &'static str {
    let word = Severity::WORDS.iter().find(|(_, known)| *known == severity);
    word.map_or("", |(word, _)| word)
}

/// What stands for a missing value, as definitions write it.
fn when_missing(field: &Field) -> String {
    match (&field.default, &field.auto_number) {
        (Some(FieldDefault::Constant(text)), _) => text.clone(),
        (Some(FieldDefault::Computed(computed)), _) => computed.to_string(),
        (None, Some(number)) => format!("number {}", number.format),
        (None, None) => String::new(),
    }
}

fn row(entity: &Entity, field: &Field, found: &Found) -> Vec<String> {
    let role = if entity.is_key(&field.name) {
        "key"
    } else if field.required {
        "required"
    } else {
        ""
    };
    let references = field
        .references
        .as_ref()
        .map(|to| format!("{}.{}", to.entity, to.field));
    let column = match found {
        Found::There(_) => plain(found.declared(field).unwrap_or("missing")),
        Found::Missing | Found::Unknown(_) => String::new(),
    };
    vec![
        field.name.clone(),
        type_of(field),
        role.to_owned(),
        column,
        references.unwrap_or_default(),
        plain(&when_missing(field)),
    ]
}

/// `string(20)`, `decimal(18,2)`, `enum(Air, Sea)`.
fn type_of(field: &Field) -> String {
    let name = field.kind.name();
    match (&field.kind, field.max_length) {
        (FieldType::String, Some(length)) => format!("{name}({length})"),
        (
            FieldType::Decimal {
                precision,
                scale: Some(scale),
            },
            _,
        ) => format!("{name}({precision},{scale})"),
        (FieldType::Decimal { precision, scale: None }, _) => format!("{name}({precision})"),
        (FieldType::Enum(values), _) => format!("{name}({})", plain(&values.join(", "))),
        _ => name.to_owned(),
    }
}

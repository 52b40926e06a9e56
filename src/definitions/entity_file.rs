//! One file of `entities/`.

use std::rc::Rc;

use super::from_table;
use super::names::{self, snake_case};
use super::read::{Findings, Placed, Table};
use super::rule_file;
use super::{
    field_file::{self, FieldDraft},
    source_file::{self, Databases, Source},
};
use crate::domain::computed::FieldDefault;
use crate::domain::entity::{Drift, Entity, Field, FieldType};
use crate::domain::table::ForeignKey;
use crate::hints::{did_you_mean, nearest};

/// An entity as one file gives it, with the places later checks need.
pub(super) struct EntityDraft {
    pub findings: Rc<Findings>,
    pub entity: Entity,
    pub name: Placed<String>,
    pub label: Placed<String>,
    pub collection: Placed<String>,
    pub database: Placed<String>,
    pub table: Placed<String>,
    /// In the order of `entity.fields`.
    pub fields: Vec<FieldDraft>,
    /// Whether `fields` are all there are: a table that could not be read has others, which nobody can check.
    pub is_complete: bool,
    /// What may become references to other entities.
    pub foreign_keys: Vec<ForeignKey>,
}

/// Reads an entity; what it leaves to its table, from there. `None` when not even its name can be read.
pub(super) fn read(table: Table<'_>, findings: &Rc<Findings>, databases: Databases<'_>) -> Option<EntityDraft> {
    let name = table.required_text("name");
    let fallback = name.clone().unwrap_or(Placed {
        value: String::new(),
        span: table.span().clone(),
    });
    let text_or = |key: &'static str, default: String| table.text(key).unwrap_or_else(|| fallback.with(default));
    let label = text_or("label", fallback.value.clone());
    let collection = text_or("collection", fallback.value.clone());
    let database = text_or("database", "main".to_owned());
    let target = text_or("table", snake_case(&fallback.value));
    let truth = |key: &'static str, default: bool| table.truth(key).map_or(default, |truth| truth.value);
    let (public, data_management) = (truth("public", true), truth("data_management", true));
    let create_table = truth("create_table", false);
    let source = source_file::read(&table, &database, &target, create_table, databases);
    refuse_change_tracking(&table);
    let contract = |key: &'static str| {
        table
            .choice(key, &Drift::WORDS)
            .map_or(Drift::Warn, |drift| drift.value)
    };
    let (unknown_columns, missing_columns) = (contract("unknown_columns"), contract("missing_columns"));

    let key = read_key(&table, &source, &target);
    let company = table.text("company_field");
    let declared = table.tables("fields", "[[fields]]").into_iter();
    let declared = declared
        .filter_map(|field| field_file::read(field, source.table()))
        .collect();
    let fields = source.complete(declared, &key, &target, table.findings());
    let (rules, rule_fields) = rule_file::read(&table);
    table.finish();

    let mut draft = EntityDraft {
        findings: Rc::clone(findings),
        entity: Entity {
            name: fallback.value.clone(),
            label: label.value.clone(),
            collection: collection.value.clone(),
            public,
            data_management,
            database: database.value.clone(),
            table: target.value.clone(),
            create_table,
            key: key.iter().map(|key| key.value.clone()).collect(),
            company_field: company.as_ref().map(|field| field.value.clone()),
            unknown_columns,
            missing_columns,
            fields: Vec::new(),
            rules,
        },
        name: name?,
        label,
        collection,
        database,
        table: target,
        fields,
        is_complete: source.is_known(),
        foreign_keys: source.table().map_or_else(Vec::new, from_table::foreign_keys),
    };
    draft.check_names();
    draft.check_fields_differ();
    draft.check_key(&key);
    draft.check_company(company.as_ref());
    draft.check_computed(&source);
    draft.check_rules(&rule_fields);
    draft.entity.fields = draft.fields.iter().map(|draft| draft.field.clone()).collect();
    Some(draft)
}

fn refuse_change_tracking(table: &Table<'_>) {
    let modes = [("off", true), ("table", false), ("entity", false), ("query", false)];
    if let Some(off) = table.choice("change_tracking", &modes)
        && !off.value
    {
        let message =
            "not supported in this version: change tracking; use `change_tracking = \"off\"` and full exports";
        table.findings().at(&off.span, message);
    }
}

/// The key as it is written, or as the table has it.
fn read_key(table: &Table<'_>, source: &Source, target: &Placed<String>) -> Vec<Placed<String>> {
    if !table.has("key")
        && let Some(found) = source.key()
    {
        let found = found.unwrap_or_else(|why| {
            let message = format!("table `{}`: {why}", target.value);
            table.findings().at(&target.span, message);
            Vec::new()
        });
        return found.into_iter().map(|name| target.with(name)).collect();
    }
    if source.is_known() {
        table.require("key");
    }
    table.texts("key").map_or_else(Vec::new, |key| {
        if key.value.is_empty() {
            table
                .findings()
                .at(&key.span, "`key` is empty; name the fields that tell records apart");
        }
        key.value
    })
}

impl EntityDraft {
    fn check_names(&self) {
        let findings = &self.findings;
        if let Some(flaw) = names::identifier_flaw(&self.name.value) {
            findings.at(&self.name.span, format!("entity name `{}` {flaw}", self.name.value));
        }
        if let Some(flaw) = names::title_flaw(&self.label.value) {
            findings.at(&self.label.span, format!("label `{}` {flaw}", self.label.value));
        }
        // What was left out follows the name, whose flaw was just reported.
        if self.collection.span != self.name.span
            && let Some(flaw) = names::identifier_flaw(&self.collection.value)
        {
            findings.at(
                &self.collection.span,
                format!("collection `{}` {flaw}", self.collection.value),
            );
        }
        if let Some(flaw) = names::table_flaw(&self.table.value)
            && (self.table.span != self.name.span || names::identifier_flaw(&self.name.value).is_none())
        {
            findings.at(&self.table.span, format!("table `{}` {flaw}", self.table.value));
        }
    }

    /// Column names are compared in any case, as `SQLite` does.
    fn check_fields_differ(&self) {
        for (at, later) in self.fields.iter().enumerate() {
            let same = |earlier: &&FieldDraft| earlier.field.name.to_lowercase() == later.field.name.to_lowercase();
            if let Some(earlier) = self.fields[..at].iter().find(same) {
                self.findings.at(
                    &later.name.span,
                    format!(
                        "field `{}` is there already, in {}",
                        later.name.value,
                        self.findings.place(&earlier.name.span)
                    ),
                );
            }
        }
    }

    /// Key fields exist, are required and compare the same in every database.
    fn check_key(&mut self, key: &[Placed<String>]) {
        for (at, part) in key.iter().enumerate() {
            if key[..at].iter().any(|earlier| earlier.value == part.value) {
                self.findings
                    .at(&part.span, format!("`{}` is in `key` twice", part.value));
                continue;
            }
            let Some(draft) = self.fields.iter_mut().find(|draft| draft.field.name == part.value) else {
                self.require_field("key field", part);
                continue;
            };
            draft.field.required = true;
            if let Some(required) = draft.required.as_ref().filter(|required| !required.value) {
                let message = format!("`{}` is part of the key, so `required = false` cannot be", part.value);
                self.findings.at(&required.span, message);
            }
            if let FieldType::Decimal { scale: None, .. } = draft.field.kind {
                let message = format!(
                    "key field `{}` is a decimal and needs a `scale`, so that 1.0 and 1.00 are equal",
                    part.value
                );
                self.findings.at(&draft.name.span, message);
            }
        }
    }

    fn check_company(&self, company: Option<&Placed<String>>) {
        let Some(company) = company else { return };
        match self.fields.iter().find(|draft| draft.field.name == company.value) {
            None => self.require_field("company_field", company),
            Some(draft) if draft.field.kind != FieldType::String => {
                let message = format!("company_field `{}` must be of type `string`", company.value);
                self.findings.at(&company.span, message);
            }
            Some(_) => {}
        }
    }

    /// Whether a field of this name cannot be: one that is not known may be in a table that could not be read.
    pub fn lacks(&self, name: &str) -> bool {
        self.is_complete && !self.fields.iter().any(|draft| draft.field.name == name)
    }

    fn require_field(&self, what: &str, name: &Placed<String>) {
        if self.lacks(&name.value) {
            self.findings.at(&name.span, self.unknown_field(what, &name.value));
        }
    }

    /// What a value is computed from must be there by then: fields are computed in their order.
    fn check_computed(&self, source: &Source) {
        for (at, draft) in self.fields.iter().enumerate() {
            let (Some(FieldDefault::Computed(computed)), Some(place)) = (&draft.field.default, &draft.compute) else {
                continue;
            };
            for name in computed.fields() {
                let flaw = match self.fields.iter().position(|draft| draft.field.name == name) {
                    None => self.lacks(name).then(|| self.unknown_field("`compute`:", name)),
                    Some(from) if self.fields[from].field.auto_number.is_some() => Some(format!(
                        "`compute`: `{name}` gets its number after all is computed; put the text into the `format` of its \
                         `auto_number`"
                    )),
                    Some(from) if self.fields[from].compute.is_some() && from >= at => {
                        let cure = match source.table() {
                            // Moving it in the file would change nothing.
                            Some(_) => "the table's columns come in that order, so write out what it is computed from",
                            None => "put its [[fields]] above this one",
                        };
                        Some(format!(
                            "`compute`: `{name}` is filled after `{}`; {cure}",
                            draft.field.name
                        ))
                    }
                    Some(_) => None,
                };
                if let Some(flaw) = flaw {
                    self.findings.at(&place.span, flaw);
                }
            }
        }
    }

    fn check_rules(&self, fields: &[Placed<String>]) {
        for field in fields {
            self.require_field("a rule's field", field);
        }
    }

    /// Whether this is its label or technical name, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        let wanted = name.trim().to_lowercase();
        self.entity.label.to_lowercase() == wanted || self.entity.name.to_lowercase() == wanted
    }

    /// The field of this name.
    pub fn entity_field(&self, name: &str) -> Option<&Field> {
        self.fields
            .iter()
            .map(|draft| &draft.field)
            .find(|field| field.name == name)
    }

    /// `order_by field `x` is not a field of `Customers`; did you mean …?`
    pub fn unknown_field(&self, what: &str, name: &str) -> String {
        let fields = || self.fields.iter().map(|draft| draft.field.name.as_str());
        let hint = match nearest(name, fields()) {
            Some(_) => did_you_mean(name, fields()),
            None => format!(
                "; it has {}",
                fields()
                    .map(|field| format!("`{field}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        format!("{what} `{name}` is not a field of `{}`{hint}", self.entity.name)
    }
}

//! One file of `entities/`.

use std::rc::Rc;

use super::field_file::{self, FieldDraft};
use super::names::{self, snake_case};
use super::read::{Findings, Placed, Table};
use super::rule_file;
use crate::domain::computed::FieldDefault;
use crate::domain::entity::{Drift, Entity, Field, FieldType};
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
}

/// Reads an entity. `None` when not even its name can be read.
pub(super) fn read(table: Table<'_>, findings: &Rc<Findings>) -> Option<EntityDraft> {
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
    refuse_change_tracking(&table);
    let contract = |key: &'static str| {
        table
            .choice(key, &Drift::WORDS)
            .map_or(Drift::Warn, |drift| drift.value)
    };
    let (unknown_columns, missing_columns) = (contract("unknown_columns"), contract("missing_columns"));

    table.require("key");
    let key = table.texts("key").map_or_else(Vec::new, |key| {
        if key.value.is_empty() {
            table
                .findings()
                .at(&key.span, "`key` is empty; name the fields that tell records apart");
        }
        key.value
    });
    let company = table.text("company_field");
    let fields = read_fields(&table);
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
    };
    draft.check_names();
    draft.check_fields_differ();
    draft.check_key(&key);
    draft.check_company(company.as_ref());
    draft.check_computed();
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

fn read_fields(table: &Table<'_>) -> Vec<FieldDraft> {
    let written = table.has("fields");
    let tables = table.tables("fields", "[[fields]]");
    if !written {
        let message = "not supported in this version: reading the fields from the table; use one [[fields]] per column";
        table.findings().at(table.span(), message);
    }
    tables.into_iter().filter_map(field_file::read).collect()
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
                let message = self.unknown_field("key field", &part.value);
                self.findings.at(&part.span, message);
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
            None => self
                .findings
                .at(&company.span, self.unknown_field("company_field", &company.value)),
            Some(draft) if draft.field.kind != FieldType::String => {
                let message = format!("company_field `{}` must be of type `string`", company.value);
                self.findings.at(&company.span, message);
            }
            Some(_) => {}
        }
    }

    /// What a value is computed from must be there by then: fields are computed in their order.
    fn check_computed(&self) {
        for (at, draft) in self.fields.iter().enumerate() {
            let (Some(FieldDefault::Computed(computed)), Some(place)) = (&draft.field.default, &draft.compute) else {
                continue;
            };
            for name in computed.fields() {
                let flaw = match self.fields.iter().position(|draft| draft.field.name == name) {
                    None => Some(self.unknown_field("`compute`:", name)),
                    Some(from) if self.fields[from].field.auto_number.is_some() => Some(format!(
                        "`compute`: `{name}` gets its number after all is computed; put the text into the `format` of its \
                         `auto_number`"
                    )),
                    Some(from) if self.fields[from].compute.is_some() && from >= at => Some(format!(
                        "`compute`: `{name}` is filled after `{}`; put its [[fields]] above this one",
                        draft.field.name
                    )),
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
            if !self.fields.iter().any(|draft| draft.field.name == field.value) {
                self.findings
                    .at(&field.span, self.unknown_field("a rule's field", &field.value));
            }
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

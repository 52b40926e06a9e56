//! What holds between definitions: names are unique, references resolve, tables do not collide.

mod composites;
mod exports;

use std::collections::HashMap;

use super::composite_file::CompositeDraft;
use super::entity_file::EntityDraft;
use super::flow_file::ImportPlaces;
use super::from_table;
use super::job_file::JobDraft;
use super::read::Placed;
use crate::domain::entity::{Entity, FieldType};
use crate::domain::job::ImportMode;
use crate::hints::{did_you_mean, one_of};

/// Everything that was read, and whether anything could not be.
pub(super) struct Drafts<'a> {
    pub entities: &'a mut Vec<EntityDraft>,
    pub composites: &'a mut Vec<CompositeDraft>,
    pub jobs: &'a mut Vec<JobDraft>,
    /// Configured business databases.
    pub databases: &'a [String],
    /// Some entity file was not readable at all, so that a missing entity may stand in it.
    pub incomplete: bool,
}

impl Drafts<'_> {
    /// Checks everything and resolves names to technical names.
    pub fn check(mut self) {
        self.check_entity_names();
        self.check_composite_names();
        self.check_databases();
        self.check_tables();
        self.link_foreign_keys();
        self.resolve_references();
        self.resolve_composites();
        self.check_job_names();
        self.resolve_imports();
        self.resolve_exports();
    }

    /// Technical names and labels share one name space, because either may be written for an entity.
    fn check_entity_names(&self) {
        let mut seen: HashMap<String, (usize, String)> = HashMap::new();
        let mut collections: HashMap<String, String> = HashMap::new();
        for (at, draft) in self.entities.iter().enumerate() {
            for (what, name) in [("name", &draft.name), ("label", &draft.label)] {
                let place = draft.findings.place(&name.span);
                let (owner, first) = seen.entry(name.value.to_lowercase()).or_insert((at, place));
                if *owner != at {
                    let message = format!("entity {what} `{}` is taken already, in {first}", name.value);
                    draft.findings.at(&name.span, message);
                    // A label that follows the name would say the same again.
                    if draft.label.span == draft.name.span {
                        break;
                    }
                }
            }
            let place = draft.findings.place(&draft.collection.span);
            let first = collections
                .entry(draft.collection.value.to_lowercase())
                .or_insert_with(|| place.clone());
            if *first != place && draft.collection.span != draft.name.span {
                let message = format!("collection `{}` is taken already, in {first}", draft.collection.value);
                draft.findings.at(&draft.collection.span, message);
            }
        }
    }

    fn check_databases(&self) {
        for draft in self.entities.iter() {
            let name = &draft.database.value;
            if !self.databases.contains(name) {
                let known = one_of(self.databases.iter().map(String::as_str));
                let message = format!("database `{name}` is not configured; `databases` has {known}");
                draft.findings.at(&draft.database.span, message);
            }
        }
    }

    fn check_tables(&self) {
        let mut seen: HashMap<(String, String), (String, String)> = HashMap::new();
        for draft in self.entities.iter() {
            let key = (draft.database.value.clone(), draft.table.value.to_lowercase());
            let here = (draft.entity.name.clone(), draft.findings.place(&draft.table.span));
            if let Some((owner, place)) = seen.get(&key) {
                let message = format!(
                    "table `{}` belongs to entity `{owner}` already, in {place}",
                    draft.table.value
                );
                draft.findings.at(&draft.table.span, message);
            } else {
                seen.insert(key, here);
            }
        }
    }

    /// The entity with this label or technical name, any case.
    fn find(&self, name: &str) -> Option<&EntityDraft> {
        self.entities.iter().find(|draft| draft.is_called(name))
    }

    fn unknown_entity(&self, name: &str) -> String {
        let names = self
            .entities
            .iter()
            .flat_map(|draft| [draft.entity.label.as_str(), draft.entity.name.as_str()]);
        let composites = self.composites.iter().map(|draft| draft.composite.label.as_str());
        format!(
            "there is no entity `{name}`{}",
            did_you_mean(name, names.chain(composites))
        )
    }

    /// Foreign keys of tables that were read are references, where no other is declared.
    fn link_foreign_keys(&mut self) {
        let mut linked = Vec::new();
        for (at, child) in self.entities.iter().enumerate() {
            for (position, field) in child.entity.fields.iter().enumerate() {
                let parents = self.entities.iter().map(|draft| &draft.entity);
                let found = from_table::reference(&child.entity, field, &child.foreign_keys, parents);
                if field.references.is_none() && found.is_some() {
                    linked.push((at, position, found));
                }
            }
        }
        for (at, position, reference) in linked {
            self.entities[at].entity.fields[position].references = reference;
        }
    }

    fn resolve_references(&mut self) {
        let mut resolved = Vec::new();
        for (at, child) in self.entities.iter().enumerate() {
            for (position, field) in child.fields.iter().enumerate() {
                let (Some(reference), Some(place)) = (&field.field.references, &field.reference) else {
                    continue;
                };
                match self.find(&reference.entity) {
                    Some(parent) => {
                        if let Some(message) = reference_flaw(child, &field.field, parent, &reference.field) {
                            child.findings.at(&place.span, message);
                        }
                        resolved.push((at, position, parent.entity.name.clone()));
                    }
                    None if self.incomplete => {}
                    None => child.findings.at(&place.span, self.unknown_entity(&reference.entity)),
                }
            }
        }
        for (at, position, parent) in resolved {
            if let Some(reference) = &mut self.entities[at].entity.fields[position].references {
                reference.entity = parent;
            }
        }
    }

    fn check_job_names(&self) {
        let (mut ids, mut names) = (HashMap::new(), HashMap::new());
        for draft in self.jobs.iter() {
            let place = draft.findings.place(&draft.id.span);
            let first = ids.entry(draft.id.value).or_insert_with(|| place.clone());
            if *first != place {
                let message = format!("id {} is used already, in {first}", draft.id.value);
                draft.findings.at(&draft.id.span, message);
            }
            let place = draft.findings.place(&draft.name.span);
            let first = names
                .entry(draft.name.value.to_lowercase())
                .or_insert_with(|| place.clone());
            if *first != place {
                let message = format!(
                    "job name `{}` is taken already (case does not count), in {first}",
                    draft.name.value
                );
                draft.findings.at(&draft.name.span, message);
            }
        }
    }

    fn resolve_imports(&mut self) {
        let mut resolved = Vec::new();
        for (at, draft) in self.jobs.iter().enumerate() {
            for (position, places) in draft.imports.iter().enumerate() {
                let earlier = &draft.imports[..position];
                if let Some(composite) = self.usable_composite(draft, places, earlier) {
                    resolved.push((at, position, composite));
                    continue;
                }
                let earlier = earlier.iter().map(|places| &places.entity);
                if let Some(entity) = self.usable(draft, &places.entity, earlier) {
                    check_import(draft, places, entity);
                    resolved.push((at, position, entity.entity.name.clone()));
                }
            }
        }
        for (at, position, name) in resolved {
            if let Some(import) = &mut self.jobs[at].job.import {
                import.entities[position].entity = name;
            }
        }
    }

    /// The entity a job names, if it exists, may be used and is not listed twice.
    fn usable<'a>(
        &'a self,
        draft: &JobDraft,
        name: &Placed<String>,
        mut earlier: impl Iterator<Item = &'a Placed<String>>,
    ) -> Option<&'a EntityDraft> {
        let Some(entity) = self.find(&name.value) else {
            if !self.incomplete {
                draft.findings.at(&name.span, self.unknown_entity(&name.value));
            }
            return None;
        };
        let same = |other: &Placed<String>| self.find(&other.value).is_some_and(|other| std::ptr::eq(other, entity));
        if earlier.any(same) {
            draft
                .findings
                .at(&name.span, format!("entity `{}` is listed twice", name.value));
        }
        if !entity.entity.data_management {
            let message = format!(
                "entity `{}` has `data_management = false`, so no job may use it",
                name.value
            );
            draft.findings.at(&name.span, message);
        }
        Some(entity)
    }
}

/// What is wrong with a reference whose parent entity exists.
fn reference_flaw(
    child: &EntityDraft,
    field: &crate::domain::entity::Field,
    parent: &EntityDraft,
    parent_field: &str,
) -> Option<String> {
    if parent.lacks(parent_field) {
        return Some(parent.unknown_field("reference", parent_field));
    }
    let target = parent.fields.iter().find(|draft| draft.field.name == parent_field)?;
    if child.entity.database != parent.entity.database {
        return Some(format!(
            "`{}` is in database `{}` and `{}` in `{}`; a reference needs both in one",
            child.entity.name, child.entity.database, parent.entity.name, parent.entity.database
        ));
    }
    if field.kind.name() != target.field.kind.name() {
        return Some(format!(
            "field `{}` is of type `{}`, but `{}` of `{}` is of type `{}`",
            field.name,
            field.kind.name(),
            target.field.name,
            parent.entity.name,
            target.field.kind.name()
        ));
    }
    None
}

fn check_import(draft: &JobDraft, places: &ImportPlaces, entity: &EntityDraft) {
    let fields = &entity.entity;
    let mut sources: HashMap<&str, &str> = HashMap::new();
    for (column, field) in &places.map {
        if entity.lacks(&field.value) {
            let message = entity.unknown_field(&format!("map target of column `{column}`,"), &field.value);
            draft.findings.at(&field.span, message);
        } else if let Some(other) = sources.insert(&field.value, column) {
            let message = format!(
                "columns `{other}` and `{column}` are both mapped to field `{}`",
                field.value
            );
            draft.findings.at(&field.span, message);
        }
    }
    for (field, value) in &places.defaults {
        if entity.lacks(field) {
            draft
                .findings
                .at(&value.span, entity.unknown_field("default for", field));
        }
    }
    for (field, values) in &places.values {
        if entity.lacks(field) {
            draft
                .findings
                .at(&values.span, entity.unknown_field("values for", field));
        }
    }
    check_document_key(draft, places, entity);
    check_company(draft, fields);
}

/// Every record must belong to a document, and the same values must look the same.
fn check_document_key(draft: &JobDraft, places: &ImportPlaces, entity: &EntityDraft) {
    for (at, part) in places.document_key.iter().enumerate() {
        let name = &part.value;
        let message = match entity.entity.field(name) {
            None if entity.lacks(name) => entity.unknown_field("document_key", name),
            Some(_) if places.document_key[..at].iter().any(|earlier| earlier.value == *name) => {
                format!("`{name}` is in `document_key` twice")
            }
            Some(field) if !field.required => format!(
                "`{name}` is in `document_key`, so it must be `required` in `{}`: every record belongs to a document",
                entity.entity.name
            ),
            Some(field) if matches!(field.kind, FieldType::Decimal { scale: None, .. }) => format!(
                "`{name}` is in `document_key`: as a decimal it needs a `scale`, so that 1.0 and 1.00 are equal"
            ),
            Some(_) if places.mode == ImportMode::Delete && !entity.entity.is_key(name) => {
                format!("`{name}` is in `document_key`, but with `mode = \"delete\"` only key fields are read")
            }
            None | Some(_) => continue,
        };
        draft.findings.at(&part.span, message);
    }
}

/// The job's company must fit the field it will be written to.
fn check_company(draft: &JobDraft, entity: &Entity) {
    let field = entity.company_field.as_deref().and_then(|name| entity.field(name));
    let most = field.and_then(|field| field.max_length);
    if let (Some(company), Some(field), Some(most)) = (&draft.company, field, most)
        && company.value.trim().chars().count() > most as usize
    {
        let message = format!(
            "company `{}` is longer than the {most} characters of field `{}` of `{}`",
            company.value, field.name, entity.name
        );
        draft.findings.at(&company.span, message);
    }
}

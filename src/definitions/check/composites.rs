//! What holds between composite entities and the entities they are made of.

use super::Drafts;
use crate::definitions::composite_file::{CompositeDraft, PartPlaces};
use crate::definitions::entity_file::EntityDraft;
use crate::definitions::flow_file::ImportPlaces;
use crate::definitions::job_file::JobDraft;
use crate::domain::entity::Field;
use crate::domain::job::{DataSource, FileFormat};

impl Drafts<'_> {
    /// Names are of entities and of composites alike: either may be written where a file is for one.
    pub(super) fn check_composite_names(&self) {
        for (at, draft) in self.composites.iter().enumerate() {
            for (what, name) in [("name", &draft.name), ("label", &draft.label)] {
                let earlier = self.composites[..at].iter().find(|other| is_called(other, &name.value));
                let taken = match (self.find(&name.value), earlier) {
                    (Some(entity), _) => entity.findings.place(&entity.name.span),
                    (None, Some(other)) => other.findings.place(&other.name.span),
                    (None, None) => continue,
                };
                let message = format!("entity {what} `{}` is taken already, in {taken}", name.value);
                draft.findings.at(&name.span, message);
                if draft.label.span == draft.name.span {
                    break;
                }
            }
        }
    }

    /// The composite with this label or technical name, any case.
    pub(super) fn find_composite(&self, name: &str) -> Option<&CompositeDraft> {
        self.composites.iter().find(|draft| is_called(draft, name))
    }

    /// Resolves the entities of composites, and what they take over.
    pub(super) fn resolve_composites(&mut self) {
        let mut resolved = Vec::new();
        for draft in self.composites.iter() {
            let entities: Vec<_> = draft.parts.iter().map(|places| self.part(draft, places)).collect();
            let mut parts = draft.composite.parts.clone();
            for at in 0..parts.len() {
                let Some(entity) = entities[at] else { continue };
                entity.entity.name.clone_into(&mut parts[at].entity);
                if entities[..at]
                    .iter()
                    .flatten()
                    .any(|other| std::ptr::eq(*other, entity))
                {
                    let message = format!("entity `{}` is listed twice", draft.parts[at].entity.value);
                    draft.findings.at(&draft.parts[at].entity.span, message);
                }
                parts[at].parent = parent(draft, at, &entities);
                if let Some(around) = parts[at].parent.and_then(|parent| entities[parent]) {
                    parts[at].inherit = inherited(draft, &draft.parts[at], entity, around);
                }
            }
            resolved.push(parts);
        }
        for (draft, parts) in self.composites.iter_mut().zip(resolved) {
            draft.composite.parts = parts;
        }
    }

    fn part(&self, draft: &CompositeDraft, places: &PartPlaces) -> Option<&EntityDraft> {
        let name = &places.entity;
        let entity = self.find(&name.value);
        match entity {
            None if self.incomplete => {}
            None => draft.findings.at(&name.span, self.unknown_entity(&name.value)),
            Some(entity) if !entity.entity.data_management => {
                let message = format!(
                    "entity `{}` has `data_management = false`, so it cannot be loaded with others",
                    name.value
                );
                draft.findings.at(&name.span, message);
            }
            Some(_) => {}
        }
        entity
    }

    /// Checks a composite that a job names, and returns its technical name.
    pub(super) fn usable_composite(
        &self,
        job: &JobDraft,
        places: &ImportPlaces,
        earlier: &[ImportPlaces],
    ) -> Option<String> {
        let draft = self.find_composite(&places.entity.value)?;
        let at = |message: String| job.findings.at(&places.entity.span, message);
        let name = &draft.composite.label;
        if earlier
            .iter()
            .any(|other| self.find_composite(&other.entity.value).is_some())
        {
            at(format!(
                "`{name}` is the second composite entity; a job loads at most one (FMT-11)"
            ));
        }
        let format = job.job.import.as_ref().map(|import| &import.format);
        if job.job.data_source == DataSource::File && !format.is_some_and(FileFormat::is_xml) {
            at(format!(
                "`{name}` is a composite entity, which is read from XML only (DMF1963): use `format = \"xml-element\"` or \
                 `\"xml-attribute\"`"
            ));
        }
        if !(places.map.is_empty() && places.defaults.is_empty() && places.values.is_empty()) {
            at(format!(
                "`{name}` is a composite entity, which has no fields: give `map`, `defaults` and `values` to its entities, in an \
                 [[import.entities]] of their own"
            ));
        }
        for part in &draft.composite.parts {
            if let Some(entity) = self.find(&part.entity) {
                super::check_company(job, &entity.entity);
            }
        }
        Some(draft.composite.name.clone())
    }
}

fn is_called(draft: &CompositeDraft, name: &str) -> bool {
    let wanted = name.trim().to_lowercase();
    draft.composite.name.to_lowercase() == wanted || draft.composite.label.to_lowercase() == wanted
}

/// Position of the part whose records those of the part at `at` stand in.
fn parent(draft: &CompositeDraft, at: usize, entities: &[Option<&EntityDraft>]) -> Option<usize> {
    let PartPlaces {
        span, parent, entity, ..
    } = &draft.parts[at];
    let Some(parent) = parent else {
        if at > 0 {
            let message = format!(
                "`{}` needs a `parent`: all entities but the first stand inside another one",
                entity.value
            );
            draft.findings.at(span, message);
        }
        return None;
    };
    let is_parent = |other: &EntityDraft| other.is_called(&parent.value);
    let found = entities[..at].iter().position(|other| other.is_some_and(is_parent));
    // One that could not be found was reported itself.
    if found.is_none() && entities[..at].iter().all(Option::is_some) {
        let message = format!(
            "`parent` is `{}`, which is no entity listed before this one",
            parent.value
        );
        draft.findings.at(&parent.span, message);
    }
    found
}

/// What the records of an entity take over from those around them.
fn inherited(
    draft: &CompositeDraft,
    places: &PartPlaces,
    entity: &EntityDraft,
    around: &EntityDraft,
) -> Vec<(String, String)> {
    let Some(inherit) = &places.inherit else {
        return by_reference(entity, around);
    };
    let mut fields = Vec::new();
    for (field, from) in inherit {
        let kind = |draft: &EntityDraft, name: &str| draft.entity_field(name).map(|field| field.kind.name());
        let (own, other) = (kind(entity, field), kind(around, &from.value));
        if entity.lacks(field) {
            draft.findings.at(&from.span, entity.unknown_field("inherit:", field));
        }
        if around.lacks(&from.value) {
            draft
                .findings
                .at(&from.span, around.unknown_field("inherit from", &from.value));
        }
        if let (Some(own), Some(other)) = (own, other)
            && own != other
        {
            let message = format!(
                "field `{field}` is of type `{own}`, but `{}` of `{}` is of type `{other}`",
                from.value, around.entity.name
            );
            draft.findings.at(&from.span, message);
        }
        fields.push((field.clone(), from.value.clone()));
    }
    fields
}

/// The key fields of the record around that this entity refers to, or has under the same name.
fn by_reference(entity: &EntityDraft, around: &EntityDraft) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for key in &around.entity.key {
        // Not of the draft's: foreign keys of tables are references, too.
        let refers = |field: &&Field| {
            let reference = field.references.as_ref();
            reference.is_some_and(|reference| reference.field == *key && around.is_called(&reference.entity))
        };
        let same = || {
            let kind = around.entity_field(key)?.kind.name();
            let field = entity.entity_field(key)?;
            (field.kind.name() == kind).then(|| field.name.clone())
        };
        let referring = entity.entity.fields.iter().find(refers);
        let referring = referring.map(|field| field.name.clone());
        fields.extend(referring.or_else(same).map(|field| (field, key.clone())));
    }
    fields
}

//! Which messages carry a record: one of an entity, whose fields have these values.
//!
//! Nothing is kept of what payloads hold, so they are read, as an import reads them. Who looks for a record among many messages
//! looks into a bounded number of them, see [`super::find`].

use std::sync::Arc;

use super::Context;
use super::rejects::{ErrorFiles, Holds, Selection, names_columns};
use super::source::SourceError;
use crate::business::erase::FieldValue;
use crate::definitions::Definitions;
use crate::domain::cell::Cell;
use crate::domain::entity::Entity;
use crate::domain::ids::JobId;
use crate::domain::job::{Direction, Job, Origin};
use crate::domain::message::{Message, PayloadAt};
use crate::format::typed::type_canonical;
use crate::storage::StoreError;

/// Whether messages of a job may hold records of an entity.
pub(super) fn carries(definitions: &Definitions, job: &Job, entity: &str) -> bool {
    let is_it = |wanted: &String| {
        let composite = definitions.composite(wanted);
        wanted == entity || composite.is_some_and(|composite| composite.parts.iter().any(|part| part.entity == entity))
    };
    // A project takes what its packages bring.
    let is_project = job.origin == Origin::Project;
    let imports = job.import.as_ref();
    let imports = imports.is_some_and(|spec| is_project || spec.entities.iter().any(|wanted| is_it(&wanted.entity)));
    let exports = job.export.as_ref();
    imports || exports.is_some_and(|spec| spec.entities.iter().any(|wanted| is_it(&wanted.entity)))
}

/// Whether the payload of a message is still kept.
pub(super) async fn is_kept(context: &Context, message: &Message) -> Result<bool, StoreError> {
    match &message.payload {
        PayloadAt::Inline => context.store.has_inline_payload(message.id).await,
        PayloadAt::Blob(key) => context.store.is_blob_kept(key).await,
    }
}

/// Whether a payload that is kept holds a record of an entity with these values.
pub(super) async fn holds(
    context: &Context,
    definitions: &Arc<Definitions>,
    message: &Message,
    job: &Job,
    (entity, values): (&Entity, &[FieldValue]),
) -> Result<Holds, SourceError> {
    if job.export.as_ref().is_some_and(|export| !names_columns(export)) {
        let why = "the export writes no names of columns, so nobody can say which is which";
        return Ok(Holds::Unclear(why.to_owned()));
    }
    let definitions = Arc::clone(definitions);
    let files = match job.direction {
        Direction::Export => ErrorFiles::of_export(context, definitions, message.clone(), job),
        _ => ErrorFiles::of(context, definitions, message.clone(), Selection::default()),
    };
    match files {
        Some(files) => files.holds(entity, values).await,
        None => Ok(Holds::No),
    }
}

/// The values that stand between commas; in quotes a value may have commas, and quotes twice.
fn values_of(text: &str) -> Vec<String> {
    let (mut values, mut value) = (Vec::new(), String::new());
    let (mut is_quoted, mut was_quoted) = (false, false);
    let mut characters = text.trim().chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => value.push('"'),
            '"' if is_quoted => is_quoted = false,
            '"' if value.trim().is_empty() => {
                value.clear();
                (is_quoted, was_quoted) = (true, true);
            }
            ',' if !is_quoted => {
                values.push(if was_quoted {
                    value.clone()
                } else {
                    value.trim().to_owned()
                });
                value.clear();
                was_quoted = false;
            }
            ' ' if was_quoted && !is_quoted => {}
            _ => value.push(c),
        }
    }
    values.push(if was_quoted { value } else { value.trim().to_owned() });
    values
}

/// A record that is looked for, by its key.
#[derive(Debug, Clone)]
pub struct RecordKey {
    definitions: Arc<Definitions>,
    /// Its technical name.
    entity: String,
    values: Vec<FieldValue>,
}

impl PartialEq for RecordKey {
    fn eq(&self, other: &Self) -> bool {
        self.entity == other.entity && self.values == other.values
    }
}

impl RecordKey {
    /// The record of this entity with this key: its values in the order of the key's fields, separated by commas, in quotes where they
    /// have some themselves. The company may be left out: then it is one of any company.
    ///
    /// # Errors
    /// A sentence that says how the key is written.
    pub fn parse(definitions: &Arc<Definitions>, entity: &Entity, text: &str) -> Result<Self, String> {
        let written = values_of(text);
        let with_company: Vec<&str> = entity.key.iter().map(String::as_str).collect();
        let mut without = with_company.clone();
        without.retain(|name| entity.company_field.as_deref() != Some(name));
        let names = [with_company, without];
        let how = || {
            let key = names[0].join(", ");
            format!(
                "the key of `{}` is {key}: write its values in that order, with commas between them",
                entity.label
            )
        };
        let names = names
            .iter()
            .find(|names| !names.is_empty() && names.len() == written.len());
        let mut values = Vec::with_capacity(written.len());
        for (name, text) in names.ok_or_else(how)?.iter().zip(&written) {
            // Some write the field's name before the value, as other commands want it.
            let after_field = text
                .split_once('=')
                .filter(|(field, _)| field.trim().eq_ignore_ascii_case(name));
            let text = after_field.map_or(text.as_str(), |(_, value)| value.trim());
            let field = entity.fields.iter().find(|field| field.name == *name).ok_or_else(how)?;
            match type_canonical(field, text) {
                Ok(Cell::Null) => return Err(how()),
                Ok(cell) => values.push((field.name.clone(), cell)),
                Err(error) => return Err(format!("the value of `{name}` {}", error.reason)),
            }
        }
        Ok(Self {
            definitions: Arc::clone(definitions),
            entity: entity.name.clone(),
            values,
        })
    }

    /// The entity's technical name.
    #[must_use]
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// Whether messages of this job may carry it.
    #[must_use]
    pub fn may_be_in(&self, job: JobId) -> bool {
        let job = self.definitions.job(job);
        job.is_some_and(|job| carries(&self.definitions, job, &self.entity))
    }

    /// Whether a message carries it. Of a payload that is gone nobody can say.
    ///
    /// # Errors
    /// [`StoreError`]; a blob that cannot be had leaves it unclear.
    pub(super) async fn is_in(&self, context: &Context, message: &Message) -> Result<Holds, StoreError> {
        let (Some(job), Some(entity)) = (self.definitions.job(message.job), self.definitions.entity(&self.entity))
        else {
            return Ok(Holds::No);
        };
        if !carries(&self.definitions, job, &self.entity) {
            return Ok(Holds::No);
        }
        if !is_kept(context, message).await? {
            return Ok(Holds::Unclear("its payload is no longer kept".to_owned()));
        }
        match holds(context, &self.definitions, message, job, (entity, &self.values)).await {
            Ok(holds) => Ok(holds),
            Err(SourceError::Store(error)) => Err(error),
            Err(error) => Ok(Holds::Unclear(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::values_of;

    #[test]
    fn values_stand_between_commas_and_may_be_quoted() {
        assert_eq!(values_of("ALFKI"), ["ALFKI"]);
        assert_eq!(values_of(" usmf , 10248 "), ["usmf", "10248"]);
        assert_eq!(values_of(r#""Smith, John" , "5"" pipe""#), ["Smith, John", "5\" pipe"]);
        assert_eq!(values_of(r#"" kept ",x"#), [" kept ", "x"]);
        assert_eq!(values_of("a,,"), ["a", "", ""]);
        assert_eq!(values_of(r#"5" pipe"#), ["5\" pipe"]);
    }
}

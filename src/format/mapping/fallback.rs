//! What stands in for a value that a record does not bring.

use super::MappingError;
use crate::domain::cell::Cell;
use crate::domain::computed::{Computed, Fact, FieldDefault};
use crate::domain::entity::{Entity, Field};
use crate::domain::job::{ImportEntity, ImportMode};
use crate::format::typed::{CellTyper, type_cell};

/// What an empty or absent cell becomes.
#[derive(Debug)]
pub(super) enum Fallback {
    /// It stays empty.
    Nothing,
    /// This value: the company, or a default.
    Value(Cell),
    /// What is made from the record's other cells and what is known of the load.
    Computed(Box<Filling>),
    /// The next number of its sequence, once all records are staged.
    Number,
}

/// How a value is computed and typed.
#[derive(Debug)]
pub(super) struct Filling {
    pub computed: Computed,
    pub typer: CellTyper,
}

impl Fallback {
    /// The first there is of: the company, the job's default, what the manifest wants generated, what the entity says. With
    /// whether it is the last of these.
    ///
    /// # Errors
    /// When the company or a default is no value of the field.
    pub fn of(
        entity: &Entity,
        field: &Field,
        spec: &ImportEntity,
        company: Option<&str>,
    ) -> Result<(Self, bool), MappingError> {
        let is_company = entity.company_field.as_deref() == Some(field.name.as_str());
        let company = company.map(str::trim).filter(|name| is_company && !name.is_empty());
        if let Some(company) = company {
            let cell = typed(field, &company.to_lowercase(), "company_invalid", "company")?;
            return Ok((cell, false));
        }
        if let Some(default) = spec.defaults.get(&field.name) {
            return Ok((typed(field, default, "default_invalid", "default")?, false));
        }
        // Only what inserts makes new records, and only they need a number.
        let numbers = field.auto_number.is_some() && matches!(spec.mode, ImportMode::Upsert | ImportMode::Insert);
        if spec.generated.contains(&field.name) {
            let generated = if numbers {
                Self::Number
            } else {
                Self::computed(field, &Computed::of(Fact::RecordNumber))
            };
            return Ok((generated, false));
        }
        let own = match &field.default {
            _ if !spec.runs_logic() => Self::Nothing,
            _ if numbers => Self::Number,
            Some(FieldDefault::Constant(text)) => typed(field, text, "default_invalid", "default")?,
            Some(FieldDefault::Computed(computed)) => Self::computed(field, computed),
            None => Self::Nothing,
        };
        Ok((own, true))
    }

    fn computed(field: &Field, computed: &Computed) -> Self {
        Self::Computed(Box::new(Filling {
            computed: computed.clone(),
            typer: CellTyper::canonical(field),
        }))
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub fn is_computed(&self) -> bool {
        matches!(self, Self::Computed(_))
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Self::Number)
    }
}

fn typed(field: &Field, text: &str, code: &'static str, what: &str) -> Result<Fallback, MappingError> {
    let cell = type_cell(field, text).map_err(|error| MappingError {
        code,
        reason: format!("the {what} is no value of field {}: {}", field.name, error.reason),
    })?;
    Ok(match cell {
        Cell::Null => Fallback::Nothing,
        cell => Fallback::Value(cell),
    })
}

//! File columns to entity fields: names, map, value maps, defaults, company, what is computed.
//!
//! Everything that can be settled once per file is settled in [`Mapping::new`]: which column feeds which field, how its cells are typed,
//! and what stands in for an empty one (typed already). Converting a record then only reads cells.

mod columns;
mod fallback;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::domain::cell::Cell;
use crate::domain::computed::LoadFacts;
use crate::domain::entity::Entity;
use crate::domain::job::{FileFormat, ImportEntity, ImportMode};
use crate::domain::reject::{RecordCode, RecordError, RecordPlace, RejectId};

use super::excerpt;
use super::typed::{CellError, CellTyper};
use columns::Columns;
use fallback::Fallback;

/// Column in a rejects file that carries the reject's id back.
pub const REJECT_ID_COLUMN: &str = "_reject_id";
/// Column in a rejects file that says what was wrong; ignored on the way in.
pub const ERROR_COLUMN: &str = "_error";
/// Member in a rejects file with the text of a record that could not be taken over as it stood.
pub const RAW_MEMBER: &str = "_raw";

/// Turns records of one file into typed cells of one entity.
#[derive(Debug)]
pub struct Mapping {
    fields: Vec<String>,
    ignored: Vec<String>,
    missing: Vec<String>,
    sources: Vec<Source>,
    /// Positions of the sources whose empty cells are computed, in the order of the fields.
    computed: Vec<usize>,
    only_new: Vec<String>,
    facts: LoadFacts,
    reject_id_column: Option<usize>,
    /// Positions in `fields` of the job's document key.
    document_key: Vec<usize>,
}

/// Where one field's values come from.
#[derive(Debug)]
struct Source {
    /// Position of the file's column, if it has one.
    column: Option<usize>,
    /// What an empty or absent cell becomes.
    fallback: Fallback,
    /// Text in the file → text to type.
    values: BTreeMap<String, String>,
    typer: CellTyper,
    /// Types what the file has, where its format spells values in a way of its own.
    own: Option<CellTyper>,
}

/// Why a file's columns do not fit the entity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MappingError {
    /// `required_column_missing`, `no_column_matches`, `column_twice`, `default_invalid`, `company_invalid`.
    pub code: &'static str,
    /// What is wrong and what to do, with the column names.
    pub reason: String,
}

/// A record after typing.
#[derive(Debug)]
pub struct TypedRecord {
    /// The reject it corrects.
    pub origin: Option<RejectId>,
    /// Cells in the order of [`Mapping::fields`], or what is wrong.
    pub outcome: Result<Vec<Cell>, Vec<RecordError>>,
    /// Of a record that is wrong elsewhere the cells of the job's document key; empty when one of them is wrong, too.
    pub document_key: Vec<Cell>,
}

impl Mapping {
    /// Matches a header to an entity: by the job's map, then by field name in any case (spaces, `_` and `-` are ignored).
    /// Fields without a value take, whichever is there first: the company (the company field does), the job's default, what the
    /// entity says. Columns nobody wants are listed in [`Mapping::ignored`].
    ///
    /// # Errors
    /// [`MappingError`] when a key or required field has no source, one field has two, or a default or the company is no
    /// value of its field.
    pub fn new(
        entity: &Entity,
        spec: &ImportEntity,
        header: &[String],
        facts: &LoadFacts,
    ) -> Result<Self, MappingError> {
        let columns = Columns::of(entity, spec, header)?;
        let mut mapping = Self {
            fields: Vec::new(),
            ignored: columns.ignored,
            missing: Vec::new(),
            sources: Vec::new(),
            computed: Vec::new(),
            only_new: Vec::new(),
            facts: facts.clone(),
            reject_id_column: columns.reject_id,
            document_key: Vec::new(),
        };
        let mut missing = Vec::new();
        for (field, column) in entity.fields.iter().zip(columns.by_field) {
            let is_key = entity.is_key(&field.name);
            if spec.mode == ImportMode::Delete && !is_key {
                continue;
            }
            let (fallback, is_entitys) = Fallback::of(entity, field, spec, facts.company.as_deref())?;
            // Of what a file has no column for, a row that is there has its own.
            let for_new = column.is_none() && is_entitys && !is_key;
            if column.is_none() && fallback.is_nothing() || for_new && spec.mode == ImportMode::Update {
                // A row that is there has what an update does not bring.
                if is_key || field.required && spec.mode != ImportMode::Update {
                    missing.push(field.name.as_str());
                }
                mapping.missing.push(field.name.clone());
                continue;
            }
            mapping.fields.push(field.name.clone());
            if for_new && !fallback.is_number() {
                mapping.only_new.push(field.name.clone());
            }
            if fallback.is_computed() {
                mapping.computed.push(mapping.sources.len());
            }
            mapping.sources.push(Source {
                column,
                fallback,
                values: spec.values.get(&field.name).cloned().unwrap_or_default(),
                typer: CellTyper::new(field),
                own: None,
            });
        }
        for name in &spec.document_key {
            match mapping.fields.iter().position(|field| field == name) {
                Some(at) => mapping.document_key.push(at),
                None if missing.contains(&name.as_str()) => {}
                None => missing.push(name),
            }
        }
        if missing.is_empty() {
            Ok(mapping)
        } else {
            Err(required_missing(&missing, header))
        }
    }

    /// The same for a file of this format: where it has types of its own, what a field says of its spelling does not count.
    #[must_use]
    pub fn for_format(mut self, entity: &Entity, format: &FileFormat) -> Self {
        if format.is_typed() {
            for (name, source) in self.fields.iter().zip(&mut self.sources) {
                source.own = entity.field(name).map(CellTyper::unspelt);
            }
        }
        self
    }

    /// Names of the fields this file brings, in entity order: those with a column, a default or the company.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Column of the file, from 1, that brings this field.
    #[must_use]
    pub fn column_of(&self, field: &str) -> Option<u32> {
        let source = self
            .fields
            .iter()
            .position(|name| name == field)
            .and_then(|at| self.sources.get(at))?;
        column_number(source.column?)
    }

    /// Column of the file, from 1, that brings the ids of the rejects its records correct.
    #[must_use]
    pub fn reject_id_column(&self) -> Option<u32> {
        column_number(self.reject_id_column?)
    }

    /// Columns of the file that no field takes. The columns of a rejects file are not among them.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Fields that this file does not bring: they stay as they are, or are empty in new rows.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Fields whose values are made up for new rows alone: the file has no column for them, so a row that is there keeps its own.
    #[must_use]
    pub fn only_new(&self) -> &[String] {
        &self.only_new
    }

    /// Fields whose empty cells get a number of their sequence once all records are staged.
    #[must_use]
    pub fn numbered(&self) -> Vec<String> {
        let sources = self.fields.iter().zip(&self.sources);
        let numbered = sources.filter(|(_, source)| source.fallback.is_number());
        numbered.map(|(name, _)| name.clone()).collect()
    }

    /// Types one record. Every bad cell is reported, not only the first.
    ///
    /// A `_reject_id` that cannot be read refers to no rejected record: the record is refused with `reference_missing`,
    /// since landing it would leave the parent's `repaired` count wrong for ever.
    #[must_use]
    pub fn convert(&self, place: RecordPlace, cells: &[Cow<'_, [u8]>]) -> TypedRecord {
        let mut errors = Vec::new();
        let origin = self.origin(place, cells).unwrap_or_else(|error| {
            errors.push(*error);
            None
        });
        let mut typed = Vec::with_capacity(self.sources.len());
        for (name, source) in self.fields.iter().zip(&self.sources) {
            match source.read(cells) {
                Ok(cell) => typed.push(cell),
                Err(error) => {
                    errors.push(source.report(place, name, cells, error));
                    typed.push(Cell::Null);
                }
            }
        }
        if errors.is_empty() {
            self.compute(place, &mut typed, &mut errors);
        }
        if errors.is_empty() {
            return TypedRecord {
                origin,
                outcome: Ok(typed),
                document_key: Vec::new(),
            };
        }
        let document_key = self.document_key.iter().map(|at| self.sources[*at].read(cells));
        TypedRecord {
            origin,
            outcome: Err(errors),
            document_key: document_key.collect::<Result<_, _>>().unwrap_or_default(),
        }
    }

    /// The cell of the field at this place of [`Self::fields`], of a record that may not be right as a whole; `None`: it cannot be
    /// read.
    #[must_use]
    pub fn read_field(&self, at: usize, cells: &[Cow<'_, [u8]>]) -> Option<Cell> {
        self.sources[at].read(cells).ok()
    }

    /// Of a typed record's cells those of the job's document key.
    #[must_use]
    pub fn document_key(&self, cells: &[Cell]) -> Vec<Cell> {
        self.document_key.iter().map(|at| cells[*at].clone()).collect()
    }

    /// Fills what is computed from the other cells. Only once they are right: one mistake is not to be told twice.
    fn compute(&self, place: RecordPlace, typed: &mut [Cell], errors: &mut Vec<RecordError>) {
        for &at in &self.computed {
            let source = &self.sources[at];
            let Fallback::Computed(filling) = &source.fallback else {
                continue;
            };
            if typed[at] != Cell::Null {
                continue;
            }
            let value_of = |name: &str| {
                let field = self.fields.iter().position(|field| field == name)?;
                typed[field].text()
            };
            let text = filling.computed.text(&self.facts, place.record, value_of);
            let outcome = match &text {
                None => Ok(Cell::Null),
                Some(text) => filling.typer.read(text),
            };
            let outcome = outcome.and_then(|cell| match (cell, source.typer.missing()) {
                (Cell::Null, Some(error)) => Err(error),
                (cell, _) => Ok(cell),
            });
            match outcome {
                Ok(cell) => typed[at] = cell,
                Err(error) => errors.push(RecordError {
                    place,
                    column: source.column.and_then(column_number),
                    field: Some(self.fields[at].clone()),
                    code: error.code,
                    value: text.map(|text| excerpt::stored(&text)),
                    reason: format!("computed, as the file brings nothing: {}", error.reason),
                }),
            }
        }
    }

    fn origin(&self, place: RecordPlace, cells: &[Cow<'_, [u8]>]) -> Result<Option<RejectId>, Box<RecordError>> {
        let Some(column) = self.reject_id_column else {
            return Ok(None);
        };
        let text = cells
            .get(column)
            .map_or(Cow::Borrowed(""), |cell| String::from_utf8_lossy(cell));
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| {
            Box::new(RecordError {
                place,
                column: column_number(column),
                field: None,
                code: RecordCode::ReferenceMissing,
                value: Some(excerpt::stored(text)),
                reason: format!(
                    "{} is not the id of a rejected record: leave {REJECT_ID_COLUMN} as it was downloaded, or empty it",
                    excerpt::quoted(text)
                ),
            })
        })
    }
}

impl Source {
    fn read(&self, cells: &[Cow<'_, [u8]>]) -> Result<Cell, CellError> {
        let Some(bytes) = self.column.and_then(|column| cells.get(column)) else {
            return self.instead_of_empty();
        };
        let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error))?;
        let translated = if self.values.is_empty() {
            None
        } else {
            self.values.get(text.trim())
        };
        let cell = match (translated, &self.own) {
            (Some(meant), _) => self.typer.read(meant),
            (None, Some(own)) => own.read(text),
            (None, None) => self.typer.read(text),
        };
        match cell? {
            Cell::Null => self.instead_of_empty(),
            cell => Ok(cell),
        }
    }

    fn instead_of_empty(&self) -> Result<Cell, CellError> {
        match (&self.fallback, self.typer.missing()) {
            (Fallback::Nothing, Some(error)) => Err(error),
            (Fallback::Value(cell), _) => Ok(cell.clone()),
            // Filled once the other cells are read, or when the record is numbered.
            (Fallback::Nothing | Fallback::Computed(_) | Fallback::Number, _) => Ok(Cell::Null),
        }
    }

    fn report(&self, place: RecordPlace, field: &str, cells: &[Cow<'_, [u8]>], error: CellError) -> RecordError {
        let bytes = self.column.and_then(|column| cells.get(column));
        RecordError {
            place,
            column: self.column.and_then(column_number),
            field: Some(field.to_owned()),
            code: error.code,
            value: bytes.map(|bytes| excerpt::stored(&String::from_utf8_lossy(bytes))),
            reason: error.reason,
        }
    }
}

/// The name of the entity's field that a file or manifest means by `name`.
#[must_use]
pub fn field_meant<'e>(entity: &'e Entity, name: &str) -> Option<&'e str> {
    columns::named(&entity.fields, name).map(|at| entity.fields[at].name.as_str())
}

/// The entity's field, by its position, that a column of a file comes to: by the job's map, then by name.
#[must_use]
pub fn field_of_column(entity: &Entity, map: &BTreeMap<String, String>, column: &str) -> Option<usize> {
    columns::field_of(entity, map, column.trim())
}

fn required_missing(fields: &[&str], header: &[String]) -> MappingError {
    MappingError {
        code: "required_column_missing",
        reason: format!(
            "no column brings the required fields {}: add the columns, map existing ones in the job, or give the \
             fields defaults; the file has {}",
            fields.join(", "),
            columns::listed(header)
        ),
    }
}

fn column_number(position: usize) -> Option<u32> {
    u32::try_from(position + 1).ok()
}

fn not_utf8(bytes: &[u8], error: std::str::Utf8Error) -> CellError {
    CellError {
        code: RecordCode::InvalidUtf8,
        reason: format!(
            "{} holds the byte 0x{:02x} at offset {}, which is not UTF-8: save the file as UTF-8",
            excerpt::quoted(&String::from_utf8_lossy(bytes)),
            bytes[error.valid_up_to()],
            error.valid_up_to()
        ),
    }
}

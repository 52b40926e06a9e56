//! A working entity, job and `tranship.toml` from a sample file: what `tranship init` writes.
//!
//! Owns: guessing names, types, lengths and the key, and rendering them so that they load. Refuses: reading or writing
//! files; the caller parses the sample and decides where the texts go. Whatever stands in the sample's header, the texts
//! are valid definitions.

mod column;
mod job;
mod key;

use std::collections::HashMap;

use super::names::{self, cut, label, snake_case, technical_name};
use super::render;
use crate::domain::entity::Entity;
use crate::domain::ids::JobId;
use crate::format::mapping::{ERROR_COLUMN, REJECT_ID_COLUMN};
use column::Guess;

/// A parsed sample.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// Its file name, from which entity and job are named.
    pub file_name: &'a str,
    /// The byte between cells, see [`guess_delimiter`].
    pub delimiter: u8,
    /// The header's cells.
    pub header: &'a [String],
    /// Some records, the more the better; all of the header's width.
    pub rows: &'a [Vec<String>],
}

/// What was made of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inferred {
    /// Technical name of the entity.
    pub entity: String,
    /// Names of the key fields.
    pub key: Vec<String>,
    /// Name of the job.
    pub job: String,
    /// The job's activity id.
    pub job_id: JobId,
    /// File name for `entities/`.
    pub entity_file: String,
    /// Its text.
    pub entity_toml: String,
    /// File name for `jobs/`.
    pub job_file: String,
    /// Its text.
    pub job_toml: String,
    /// Text of `tranship.toml`.
    pub config_toml: String,
}

/// Why no definitions can be made of a sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// The header names no column.
    #[error("the sample has no columns; its first line must name them")]
    NoColumns,
    /// Two columns have one name.
    #[error("column `{0}` is there twice; give each column a name of its own")]
    ColumnTwice(String),
    /// A delimiter no job can have.
    #[error("`{0}` cannot be the delimiter; a comma, semicolon, bar or tab can")]
    Delimiter(char),
    /// Nothing tells the records apart.
    #[error(
        "no column, pair or triple of columns is filled and different in all {0} records, so nothing can be the key; add a \
         column that numbers them"
    )]
    NoKey(usize),
}

/// One column on its way to a field.
#[derive(Debug)]
struct Column {
    /// The name in the file.
    header: String,
    /// The name of the field.
    field: String,
    /// Whether mapping by name would not find it.
    needs_map: bool,
    guess: Guess,
    /// Where it stands in the rows.
    at: usize,
}

/// Proposes definitions for files like the sample. The job gets a fresh activity id.
///
/// # Errors
/// [`InferError`], each a sentence for the person who gave the sample.
pub fn infer(sample: &Sample<'_>) -> Result<Inferred, InferError> {
    if !b",;|\t".contains(&sample.delimiter) {
        return Err(InferError::Delimiter(sample.delimiter.into()));
    }
    let columns = columns(sample)?;
    let key = key::choose(&columns, sample.rows).ok_or(InferError::NoKey(sample.rows.len()))?;
    let table = table_name(sample.file_name);
    let label = label(&table);
    let file = format!("{}.toml", table.replace('_', "-"));
    let job = format!("Inbound {}", lower_first(&label));
    let job_id = JobId::generate();
    let entity = technical_name(&label);
    let fields = columns.iter().map(|column| column.guess.field(&column.field)).collect();
    let described = Entity {
        create_table: true,
        key: key.clone(),
        fields,
        ..Entity::named(&entity, &label, &table)
    };
    Ok(Inferred {
        entity_toml: render::entity(&origin(sample), &described),
        job_toml: job::job(sample, job_id, &job, &label, &columns),
        config_toml: job::config(),
        key,
        job_id,
        job,
        entity,
        job_file: format!("inbound-{file}"),
        entity_file: file,
    })
}

/// The delimiter a header line is most likely written with: the commonest of the four outside quotes, a comma in doubt.
#[must_use]
pub fn guess_delimiter(header_line: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0_usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in header_line {
        if *byte == b'"' {
            quoted = !quoted;
        } else if !quoted && let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| delimiter == byte) {
            *count += 1;
        }
    }
    // The first of equals wins, so the comma does.
    counts
        .iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .map_or(b',', |(delimiter, _)| *delimiter)
}

fn origin(sample: &Sample<'_>) -> String {
    format!(
        "Made by `tranship init` from {}, of which {} records were looked at. Types, lengths and the key are\nguesses from \
         them: check what you know better. entities/README.md explains every key.",
        render::quote(sample.file_name),
        sample.rows.len()
    )
}

fn columns(sample: &Sample<'_>) -> Result<Vec<Column>, InferError> {
    let cells = |at: usize| {
        sample
            .rows
            .iter()
            .filter_map(move |row| row.get(at))
            .map(String::as_str)
    };
    let mut columns: Vec<Column> = Vec::new();
    for (at, header) in sample.header.iter().enumerate() {
        let header = header.trim();
        // A delimiter at the end of every line makes a column without name and content.
        if header.is_empty() && cells(at).all(|cell| cell.trim().is_empty()) {
            continue;
        }
        // The sample may be a rejects file; imports keep these two to themselves.
        if [ERROR_COLUMN, REJECT_ID_COLUMN]
            .iter()
            .any(|own| header.eq_ignore_ascii_case(own))
        {
            continue;
        }
        if columns.iter().any(|column| column.header == header) {
            return Err(InferError::ColumnTwice(header.chars().take(80).collect()));
        }
        let field = field_name(header, at, &columns);
        columns.push(Column {
            header: header.to_owned(),
            field,
            needs_map: false,
            guess: column::guess(cells(at)),
            at,
        });
    }
    let mut alike: HashMap<String, usize> = HashMap::new();
    for column in &columns {
        *alike.entry(plain(&column.header)).or_default() += 1;
    }
    for column in &mut columns {
        let header = plain(&column.header);
        column.needs_map = header != plain(&column.field) || alike[&header] > 1;
    }
    if columns.is_empty() {
        Err(InferError::NoColumns)
    } else {
        Ok(columns)
    }
}

/// A name as mapping compares it.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, ' ' | '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect()
}

/// A valid field name, different from those before.
fn field_name(header: &str, at: usize, before: &[Column]) -> String {
    let snake = cut(&snake_case(header), names::IDENTIFIER_MAX_BYTES - 10);
    let base = match names::field_flaw(&snake) {
        None => snake,
        Some(_) if snake.is_empty() => format!("column_{}", at + 1),
        Some(_) => format!("field_{snake}"),
    };
    let taken = |name: &str| before.iter().any(|column| column.field == name);
    let numbered = (2..).map(|number| format!("{base}_{number}"));
    std::iter::once(base.clone())
        .chain(numbered)
        .find(|name| !taken(name))
        .expect("one of endlessly many numbers is free")
}

/// A valid table name from a file name: `Order Lines (2).csv` as `order_lines_2`.
fn table_name(file_name: &str) -> String {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    let snake = cut(&snake_case(stem), names::IDENTIFIER_MAX_BYTES - 10);
    match names::table_flaw(&snake) {
        None => snake,
        Some(_) if snake.is_empty() => "records".to_owned(),
        Some(_) => format!("my_{snake}_table"),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;

//! Which records of a file repeat a key: found by fingerprints while the file is read, proved in staging.
//!
//! Asking the database for repeated keys costs an index on staging or a sort of the whole file, which every good file would
//! pay. A fingerprint of 8 bytes a record, sorted once, costs next to nothing. What has the same fingerprint is only suspected:
//! staging is asked, so a repeat is never found where there is none, and two keys of one fingerprint (a chance of one in 2^64 for
//! any two, under a key drawn anew for each load) hide nothing but a repeat of the second of them, which lands as an update.
//!
//! Memory is bounded: past a quarter of a million records, sorted runs go to a temporary file, and are merged from there.

mod runs;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;

use super::control::LoadKey;
use super::dialect::quote;
use super::session::Value;
use super::staging::{Load, StagedRecord};
use super::{BusinessError, Database};
use crate::domain::cell::Cell;
use crate::domain::entity::{Entity, FieldType};
use runs::{Merged, Runs};

/// Fingerprints kept in memory, 16 bytes each with their record.
const IN_MEMORY_MAX: usize = 250_000;
/// Keys read back from staging at once.
const RECALLED_AT_ONCE: u32 = 5_000;

/// A record and the fingerprint of its key, in the order in which repeats stand together and the first record leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sighting {
    fingerprint: u64,
    record: u64,
}

/// A record that seems to have the key of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) record: u64,
    /// The first record of the fingerprint.
    pub(super) first_record: u64,
}

/// The keys of a load's good records.
#[derive(Debug)]
pub struct KeysSeen {
    /// The key fields: position among the staged fields, and whether a number may be written in several ways.
    key: Vec<(usize, bool)>,
    hasher: RandomState,
    recent: Vec<Sighting>,
    runs: Option<Runs>,
    in_memory_max: usize,
}

impl KeysSeen {
    /// None yet. `fields` are those of the load.
    #[must_use]
    pub fn new(entity: &Entity, fields: &[String]) -> Self {
        let key = entity.key.iter().filter_map(|name| {
            let at = fields.iter().position(|field| field == name)?;
            let kind = entity.field(name).map(|field| &field.kind);
            Some((at, matches!(kind, Some(FieldType::Decimal { .. }))))
        });
        Self {
            key: key.collect(),
            hasher: RandomState::new(),
            recent: Vec::new(),
            runs: None,
            in_memory_max: IN_MEMORY_MAX,
        }
    }

    /// The fingerprint of a record's key.
    #[must_use]
    pub fn fingerprint(&self, record: &StagedRecord) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for &(at, is_decimal) in &self.key {
            match &record.cells[at] {
                Cell::Null => hasher.write_u8(0),
                Cell::Int(number) => hasher.write_i64(*number),
                Cell::Bool(flag) => hasher.write(if *flag { b"Yes" } else { b"No" }),
                Cell::Text(text) if is_decimal => hasher.write(shortest(text).as_bytes()),
                Cell::Text(text) => hasher.write(text.as_bytes()),
            }
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }

    /// Notes a record. Records come in the file's order, each once.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn note(&mut self, record: &StagedRecord) -> io::Result<()> {
        self.add(self.fingerprint(record), record.place.record)
    }

    /// Notes a record by the canonical texts of its key.
    fn recall(&mut self, record: u64, texts: &[Option<String>], ints: &[bool]) -> io::Result<()> {
        let mut hasher = self.hasher.build_hasher();
        for ((text, &(_, is_decimal)), &is_int) in texts.iter().zip(&self.key).zip(ints) {
            match text {
                None => hasher.write_u8(0),
                Some(text) if is_int => hasher.write_i64(text.parse().unwrap_or_default()),
                Some(text) if is_decimal => hasher.write(shortest(text).as_bytes()),
                Some(text) => hasher.write(text.as_bytes()),
            }
            hasher.write_u8(0xff);
        }
        self.add(hasher.finish(), record)
    }

    fn add(&mut self, fingerprint: u64, record: u64) -> io::Result<()> {
        self.recent.push(Sighting { fingerprint, record });
        if self.recent.len() < self.in_memory_max {
            return Ok(());
        }
        self.recent.sort_unstable();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(Runs::create()?),
        };
        runs.append(&self.recent)?;
        self.recent.clear();
        Ok(())
    }

    /// Those that seem to repeat an earlier key.
    pub(super) fn suspects(mut self) -> io::Result<Suspects> {
        self.recent.sort_unstable();
        let sorted = match self.runs {
            None => Sorted::Memory(self.recent.into_iter()),
            Some(mut runs) => {
                runs.append(&self.recent)?;
                Sorted::Merged(runs.merged()?)
            }
        };
        Ok(Suspects { sorted, first: None })
    }
}

/// A decimal without zeros that say nothing.
fn shortest(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// Suspects, those of one key together.
pub(super) struct Suspects {
    sorted: Sorted,
    first: Option<Sighting>,
}

enum Sorted {
    Memory(std::vec::IntoIter<Sighting>),
    Merged(Merged),
}

impl Suspects {
    /// The next ones, at most so many; none are left when there are none.
    pub(super) fn batch(&mut self, max: usize) -> io::Result<Vec<Suspect>> {
        let mut batch = Vec::new();
        while batch.len() < max {
            let next = match &mut self.sorted {
                Sorted::Memory(sightings) => sightings.next(),
                Sorted::Merged(merged) => merged.next()?,
            };
            let Some(next) = next else { break };
            match self.first {
                Some(first) if first.fingerprint == next.fingerprint => batch.push(Suspect {
                    record: next.record,
                    first_record: first.record,
                }),
                _ => self.first = Some(next),
            }
        }
        Ok(batch)
    }
}

impl Database {
    /// The keys of what is staged, for an attempt that did not read the whole file itself.
    pub(super) async fn recalled_keys(&self, load: Load<'_>, fields: &[String]) -> Result<KeysSeen, BusinessError> {
        let mut seen = KeysSeen::new(load.entity, fields);
        let key = LoadKey::new(load);
        let kinds: Vec<_> = load
            .entity
            .key
            .iter()
            .filter_map(|name| load.entity.field(name))
            .collect();
        let texts: Vec<_> = kinds
            .iter()
            .map(|field| self.dialect().canonical(&field.kind, &quote(&field.name)))
            .collect();
        let ints: Vec<_> = kinds.iter().map(|field| field.kind == FieldType::Int).collect();
        let sql = format!(
            "select tranship_record, {} from {} where tranship_message = $1 and tranship_entity_no = $2 \
             and tranship_record > $3 order by tranship_record limit $4",
            texts.join(", "),
            key.staging
        );
        let mut after = 0;
        loop {
            let (sql, values) = (
                sql.clone(),
                key.with([Value::from(after), Value::Int(RECALLED_AT_ONCE.into())]),
            );
            let width = texts.len();
            let rows = self.fenced_read(load.fence, move |session| {
                Box::pin(async move {
                    let rows = session.rows(sql, values).await?;
                    let keyed = rows.iter().map(|row| {
                        let texts = (1..=width)
                            .map(|column| row.opt_text(column))
                            .collect::<Result<Vec<_>, _>>()?;
                        Ok((row.count(0)?, texts))
                    });
                    keyed.collect::<Result<Vec<_>, super::session::Fault>>()
                })
            });
            let rows = rows.await?;
            let Some((last, _)) = rows.last() else { return Ok(seen) };
            after = *last;
            for (record, texts) in &rows {
                seen.recall(*record, texts, &ints).map_err(BusinessError::Temporary)?;
            }
        }
    }
}

#[cfg(test)]
mod tests;

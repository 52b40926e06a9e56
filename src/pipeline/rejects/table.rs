//! Rejected records cell by cell, a bounded number at a time: to be looked at and corrected in place.

use tokio::sync::mpsc;

use super::entity_file::EntityFile;
use super::reread::Reread;
use super::sink::Sink;
use super::window::Window;
use super::{ErrorFiles, Halt};
use crate::domain::entity::Entity;
use crate::domain::ids::MessageId;
use crate::domain::job::FileFormat;
use crate::domain::reject::{RecordError, RejectId};
use crate::format::mapping::{ERROR_COLUMN, RAW_MEMBER, REJECT_ID_COLUMN};
use crate::format::record::Step;
use crate::format::xml::composite::inherited_column;
use crate::pipeline::source::SourceError;

/// Errors read for one page; of records beyond, only the first reasons are known.
const ERRORS_MAX: u32 = 1000;

/// How much is read at once; at least one record is.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// At most this many records.
    pub records: usize,
    /// No further record once there are this many cells.
    pub cells: usize,
    /// No further record once the cells have this many bytes.
    pub bytes: usize,
}

/// Some rejected records of one entity.
#[derive(Debug, Clone)]
pub struct RejectTable {
    /// The source's own columns: their position in the payload, from 0, and their names.
    pub columns: Vec<(usize, String)>,
    /// The records, in the order of the payload.
    pub records: Vec<RejectedRecord>,
    /// The record to go on after, where there are more.
    pub next: Option<u64>,
    format: FileFormat,
}

/// A rejected record.
#[derive(Debug, Clone)]
pub struct RejectedRecord {
    /// Which.
    pub reject: RejectId,
    /// What is wrong with it.
    pub errors: Vec<RecordError>,
    /// A cell for each column; `None` where it could not be read as a record.
    pub cells: Option<Vec<Cell>>,
    /// The correction that applied it already, if one did.
    pub repaired_by: Option<MessageId>,
}

/// A cell as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Its text; what is not UTF-8 became U+FFFD.
    pub text: String,
    /// Whether nothing did.
    pub is_exact: bool,
}

impl RejectTable {
    /// Why this text cannot stand in that column, if it cannot.
    #[must_use]
    pub fn refused(&self, column: usize, text: &str) -> Option<String> {
        let has_control = |spared: &[char]| text.chars().any(|c| c.is_control() && !spared.contains(&c));
        match &self.format {
            FileFormat::Fixed(columns) => {
                let width = columns.get(column)?.width;
                let fits = u64::try_from(text.chars().count()).is_ok_and(|count| count <= u64::from(width));
                if !fits {
                    return Some(format!("it takes at most {width} characters"));
                }
                has_control(&[])
                    .then(|| "a line of fixed width holds no line breaks or other control characters".to_owned())
            }
            FileFormat::XmlElement | FileFormat::XmlAttribute if has_control(&['\t', '\n', '\r']) => {
                Some("XML holds no control characters".to_owned())
            }
            _ => None,
        }
    }
}

impl ErrorFiles {
    /// The rejected records of the entity with this number that come after a record; `None` when the message has no such entity.
    ///
    /// # Errors
    /// [`SourceError`] when the payload is no longer kept, cannot be read, or is out of reach.
    pub async fn table(&self, entity_no: i32, after: u64, bounds: Bounds) -> Result<Option<RejectTable>, SourceError> {
        let package = self.package().await?;
        let file = EntityFile::numbered(self, package.as_ref(), entity_no).map_err(Halt::into_source)?;
        let Some(file) = file else { return Ok(None) };
        let table = self.read_table(&file, after, bounds).await;
        table.map(Some).map_err(Halt::into_source)
    }

    async fn read_table(&self, file: &EntityFile<'_>, after: u64, bounds: Bounds) -> Result<RejectTable, Halt> {
        let (of, entity_no) = (self.as_of(), file.entity_no);
        // Somebody holds the other end until all is read.
        let (out, _held) = mpsc::channel(1);
        let sink = Sink::new(&out, b',');
        let payload = Window::new(file.open(self).await?);
        let mut rejects = Reread::new(file.reader(&of.context.limits), payload, of, entity_no).after(after);
        let names = rejects.header(&sink).await?;
        let columns = shown(names, file.entity);
        let mut found = Found::default();
        while found.has_room(bounds) {
            let next = rejects.next(&sink, |step| cells(step, &columns)).await?;
            let Some((first, _, cells)) = next else { break };
            found.add(first.reject, cells);
        }
        let last = found.records.last().map_or(after, |record| record.reject.record);
        let store = &of.context.store;
        let id = (of.message.id, entity_no);
        let errors = store.record_errors_of(id, None, (after, i32::MAX), ERRORS_MAX).await?;
        for stored in errors {
            let record = found.records.iter_mut().find(|record| record.reject == stored.reject);
            if let Some(record) = record {
                record.errors.push(stored.error);
            }
        }
        let repaired = store.repaired_records(id, (after, last)).await?;
        for record in &mut found.records {
            record.repaired_by = repaired.get(&record.reject.record).copied();
        }
        let more = store.record_errors_of(id, None, (last, i32::MAX), 1).await?;
        Ok(RejectTable {
            columns,
            records: found.records,
            next: (!more.is_empty()).then_some(last),
            format: file.format().clone(),
        })
    }
}

/// What was read so far.
#[derive(Default)]
struct Found {
    records: Vec<RejectedRecord>,
    cells: usize,
    bytes: usize,
}

impl Found {
    fn has_room(&self, bounds: Bounds) -> bool {
        self.records.is_empty()
            || (self.records.len() < bounds.records && self.cells < bounds.cells && self.bytes < bounds.bytes)
    }

    fn add(&mut self, reject: RejectId, cells: Option<Vec<Cell>>) {
        let read = cells.iter().flatten();
        self.cells += read.clone().count();
        self.bytes += read.map(|cell| cell.text.len()).sum::<usize>();
        self.records.push(RejectedRecord {
            reject,
            errors: Vec::new(),
            cells,
            repaired_by: None,
        });
    }
}

/// The columns that the source wrote: not ours, and not those that stand for what a record has from the one around it.
fn shown(names: Vec<String>, entity: &Entity) -> Vec<(usize, String)> {
    let inherited: Vec<String> = entity
        .fields
        .iter()
        .map(|field| inherited_column(&field.name))
        .collect();
    let columns = names.into_iter().enumerate();
    columns
        .filter(|(_, name)| !is_ours(name) && !inherited.contains(name))
        .collect()
}

/// Whether a column is one that a rejects file adds.
pub(super) fn is_ours(name: &str) -> bool {
    let ours = [REJECT_ID_COLUMN, ERROR_COLUMN, RAW_MEMBER];
    ours.iter().any(|ours| name.trim().eq_ignore_ascii_case(ours))
}

fn cells(step: Step<'_>, columns: &[(usize, String)]) -> Option<Vec<Cell>> {
    let Step::Record(record) = step else { return None };
    let cell = |(at, _): &(usize, String)| {
        let bytes = record.cells.get(*at).map_or(&[][..], |cell| cell.as_ref());
        Cell {
            text: String::from_utf8_lossy(bytes).into_owned(),
            is_exact: std::str::from_utf8(bytes).is_ok(),
        }
    };
    Some(columns.iter().map(cell).collect())
}

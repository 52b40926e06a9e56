//! Whether a message has a record of a person: one whose fields have these values.

use tokio::sync::mpsc;

use super::entity_file::EntityFile;
use super::reread::Rows;
use super::sink::Sink;
use super::window::Window;
use super::{ErrorFiles, Halt, keys};
use crate::definitions::Definitions;
use crate::domain::cell::Cell;
use crate::domain::entity::Entity;
use crate::domain::export::{ExportEntity, ExportSpec};
use crate::domain::job::{Atomicity, DataSource, Direction, FileFormat, ImportEntity, ImportSpec, Job};
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::format::mapping::Mapping;
use crate::format::record::{Record, Step};
use crate::pipeline::Context;
use crate::pipeline::source::SourceError;

/// Whether a message holds a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// It does.
    Yes,
    /// None of its records is one.
    No,
    /// Not all of it can be read, so nobody can say; none that can be read is one.
    Unclear(String),
}

impl ErrorFiles {
    /// Those of a message of an export, read as a job would read it that imports what the export wrote.
    #[must_use]
    pub fn of_export(
        context: &Context,
        definitions: std::sync::Arc<Definitions>,
        mut message: Message,
        job: &Job,
    ) -> Option<Self> {
        let export = job.export.as_ref()?;
        let spec = as_import(export);
        if job.data_source == DataSource::File {
            // The one file there is: of the composite, where it holds one.
            let composite = export
                .entities
                .iter()
                .find(|wanted| definitions.composite(&wanted.entity).is_some());
            let wanted = composite.or(export.entities.first())?;
            message.entity = Some(definitions.label(&wanted.entity)?.to_owned());
        }
        let job = Job {
            direction: Direction::Import,
            import: Some(spec.clone()),
            export: None,
            ..job.clone()
        };
        Some(Self {
            context: context.clone(),
            definitions,
            message,
            job,
            spec,
            selection: super::Selection::default(),
        })
    }

    /// Whether a record of this entity has these values.
    ///
    /// # Errors
    /// [`SourceError`] when store or blob store are out of reach.
    pub async fn holds(&self, entity: &Entity, wanted: &[(String, Cell)]) -> Result<Holds, SourceError> {
        match self.search(entity, wanted).await {
            Ok(holds) => Ok(holds),
            Err(Halt::Source(SourceError::Unreadable(why))) => Ok(Holds::Unclear(why)),
            Err(halt) => Err(halt.into_source()),
        }
    }

    async fn search(&self, entity: &Entity, wanted: &[(String, Cell)]) -> Result<Holds, Halt> {
        let package = self.package().await?;
        let began_at = keys::began_at(self).await?;
        let mut unclear = None;
        for file in EntityFile::all(self, package.as_ref())? {
            if file.entity.name != entity.name {
                continue;
            }
            match self.search_file(&file, began_at, wanted).await? {
                Holds::Yes => return Ok(Holds::Yes),
                Holds::No => {}
                Holds::Unclear(why) => unclear = Some(why),
            }
        }
        Ok(unclear.map_or(Holds::No, Holds::Unclear))
    }

    async fn search_file(
        &self,
        file: &EntityFile<'_>,
        began_at: Timestamp,
        wanted: &[(String, Cell)],
    ) -> Result<Holds, Halt> {
        let of = self.as_of();
        // Nobody goes away here.
        let (out, _kept) = mpsc::channel(1);
        let sink = Sink::new(&out, b',');
        let mut rows = Rows::new(file.reader(&of.context.limits), Window::new(file.open(self).await?));
        let header = rows.header(&sink).await?;
        let mapping = file.mapping(of, &header, began_at)?;
        let places: Option<Vec<(usize, &Cell)>> = wanted
            .iter()
            .map(|(name, cell)| Some((mapping.fields().iter().position(|field| field == name)?, cell)))
            .collect();
        let Some(places) = places else {
            return Ok(Holds::No);
        };
        let mut damaged = None;
        let look = |step: Step<'_>| match step {
            Step::Record(record) => Seen::Record(is_one(&mapping, &places, &record)),
            Step::Damaged(damage) => Seen::Damaged(damage.place.record),
            Step::NeedInput | Step::End => Seen::Record(false),
        };
        while let Some(seen) = rows.next(&sink, look).await? {
            match seen {
                Seen::Record(true) => return Ok(Holds::Yes),
                Seen::Record(false) => {}
                Seen::Damaged(record) => damaged = damaged.or(Some(record)),
            }
        }
        Ok(damaged.map_or(Holds::No, |record| {
            Holds::Unclear(format!("record {record} is damaged and cannot be read"))
        }))
    }
}

enum Seen {
    Record(bool),
    Damaged(u64),
}

/// Whether a record has these values. Of one that was rejected each cell is read by itself: what cannot be read is compared as it
/// stands, and what the file does not bring could be anything.
fn is_one(mapping: &Mapping, wanted: &[(usize, &Cell)], record: &Record<'_>) -> bool {
    if let Ok(cells) = mapping.convert(record.place, &record.cells).outcome {
        return wanted.iter().all(|(at, cell)| cells.get(*at) == Some(*cell));
    }
    wanted
        .iter()
        .all(|(at, cell)| match mapping.read_field(*at, &record.cells) {
            Some(Cell::Null) => mapping.column_of(&mapping.fields()[*at]).is_none(),
            Some(found) => found == **cell,
            None => {
                let column = mapping
                    .column_of(&mapping.fields()[*at])
                    .and_then(|column| usize::try_from(column).ok());
                let raw = column.and_then(|column| record.cells.get(column.checked_sub(1)?));
                raw.is_some_and(|raw| cell.text().as_deref() == Some(String::from_utf8_lossy(raw).trim()))
            }
        })
}

/// The import of what an export writes.
fn as_import(export: &ExportSpec) -> ImportSpec {
    let entity = |wanted: &ExportEntity| ImportEntity {
        entity: wanted.entity.clone(),
        map: wanted
            .map
            .iter()
            .map(|(field, column)| (column.clone(), field.clone()))
            .collect(),
        values: wanted
            .values
            .iter()
            .map(|(field, values)| {
                let back = values.iter().map(|(stored, written)| (written.clone(), stored.clone()));
                (field.clone(), back.collect())
            })
            .collect(),
        ..ImportEntity::default()
    };
    ImportSpec {
        format: export.format.clone(),
        encoding: export.encoding.clone(),
        entities: export.entities.iter().map(entity).collect(),
        max_errors: None,
        atomicity: Atomicity::Record,
        skip_staging: false,
    }
}

/// Whether what an export writes tells which of its columns is which.
#[must_use]
pub fn names_columns(export: &ExportSpec) -> bool {
    export.header || !matches!(export.format, FileFormat::Csv { .. })
}

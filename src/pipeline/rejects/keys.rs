//! The keys of the records that the target refused, and why: one row per record, as CSV (PKG-15).
//!
//! Keys are shown as they stand in the file, so that whoever sent it finds them there; what the file does not bring (a company, a
//! default) as it was made up for the record.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::entity_file::EntityFile;
use super::reread::Reread;
use super::sink::Sink;
use super::window::Window;
use super::{ErrorFiles, Halt};
use crate::domain::entity::Entity;
use crate::domain::time::Timestamp;
use crate::format::csv_write::write_row;
use crate::format::mapping::{ERROR_COLUMN, Mapping};
use crate::format::record::{Record, Step};
use crate::pipeline::package_file::PackageFile;
use crate::pipeline::source::SourceError;

const DELIMITER: u8 = b',';
/// The column that says whose key it is, where keys of several entities are in one file.
const ENTITY_COLUMN: &str = "_entity";

/// Writes the file.
pub(super) async fn write(
    files: &ErrorFiles,
    package: Option<&PackageFile>,
    out: &mpsc::Sender<Result<Bytes, SourceError>>,
) -> Result<(), Halt> {
    let entity_files = EntityFile::with_rejects(files, package).await?;
    let columns = Columns::of(entity_files.iter().map(|file| file.entity));
    let mut sink = Sink::new(out, DELIMITER);
    sink.append(|out| columns.header(out));
    let began_at = began_at(files).await?;
    for file in &entity_files {
        write_keys(files, file, began_at, &columns, &mut sink).await?;
    }
    sink.flush().await
}

/// When the load began, which may be part of a computed key.
pub(super) async fn began_at(files: &ErrorFiles) -> Result<Timestamp, Halt> {
    let (store, message) = (&files.context.store, &files.message);
    let execution = match &message.execution {
        Some(id) => store.execution(id).await?,
        None => None,
    };
    Ok(execution.map_or(message.enqueued_at, |execution| execution.started_at))
}

async fn write_keys(
    files: &ErrorFiles,
    file: &EntityFile<'_>,
    began_at: Timestamp,
    columns: &Columns<'_>,
    sink: &mut Sink<'_>,
) -> Result<(), Halt> {
    let of = files.as_of();
    let reader = file.reader(&of.context.limits);
    let mut rejects = Reread::new(reader, Window::new(file.open(files).await?), of, file.entity_no);
    let header = rejects.header(sink).await?;
    let mapping = file.mapping(of, &header, began_at)?;
    let key_of = |found: Step<'_>| match found {
        Step::Record(record) => columns.key(file.entity, &mapping, &record),
        // It was whole when it was loaded, but limits may have changed since.
        Step::Damaged(_) | Step::NeedInput | Step::End => vec![None; columns.fields.len()],
    };
    while let Some((_, reasons, key)) = rejects.next(sink, key_of).await? {
        sink.append(|out| columns.row(out, file.entity, &key, &reasons));
        sink.flush_when_full().await?;
    }
    Ok(())
}

/// The columns of the file.
struct Columns<'a> {
    /// Whether the first one names the entity.
    is_named: bool,
    /// Key fields, the company among them, each name once.
    fields: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(entities: impl Iterator<Item = &'a Entity>) -> Self {
        let mut columns = Self {
            is_named: false,
            fields: Vec::new(),
        };
        let mut first: Option<&Entity> = None;
        for entity in entities {
            columns.is_named |= first.get_or_insert(entity).name != entity.name;
            for field in key_of(entity) {
                if !columns.fields.contains(&field) {
                    columns.fields.push(field);
                }
            }
        }
        columns
    }

    fn header(&self, out: &mut Vec<u8>) {
        let named = self.is_named.then_some(ENTITY_COLUMN).into_iter();
        let cells = named.chain(self.fields.iter().copied()).chain([ERROR_COLUMN]);
        write_row(out, DELIMITER, cells.map(Some));
    }

    fn row(&self, out: &mut Vec<u8>, entity: &Entity, key: &[Option<String>], reasons: &str) {
        let named = self.is_named.then_some(Some(entity.label.as_str())).into_iter();
        let cells = named.chain(key.iter().map(Option::as_deref)).chain([Some(reasons)]);
        write_row(out, DELIMITER, cells);
    }

    /// What a record has in these columns.
    fn key(&self, entity: &Entity, mapping: &Mapping, record: &Record<'_>) -> Vec<Option<String>> {
        let typed = mapping.convert(record.place, &record.cells).outcome.unwrap_or_default();
        let made_up = |name: &str| {
            let at = mapping.fields().iter().position(|field| field == name)?;
            typed.get(at)?.text()
        };
        let brought = |name: &str| {
            let column = usize::try_from(mapping.column_of(name)?).ok()?;
            let text = String::from_utf8_lossy(record.cells.get(column.checked_sub(1)?)?).into_owned();
            (!text.trim().is_empty()).then_some(text)
        };
        let own: Vec<&str> = key_of(entity).collect();
        let names = self.fields.iter().map(|name| own.contains(name).then_some(*name));
        names
            .map(|name| name.and_then(|name| brought(name).or_else(|| made_up(name))))
            .collect()
    }
}

/// The fields of an entity's key, the company first where it is none of them.
fn key_of(entity: &Entity) -> impl Iterator<Item = &str> {
    let company = entity.company_field.as_deref().filter(|name| !entity.is_key(name));
    company.into_iter().chain(entity.key.iter().map(String::as_str))
}

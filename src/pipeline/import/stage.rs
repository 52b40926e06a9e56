//! Source to staging: read the payload once, parse and type what is not staged yet, stage it batch by batch.

use bytes::Bytes;

use super::part::{Part, Source};
use super::{drift, origins};
use crate::business::staging::{LoadState, RejectedRecord, SourcePosition, StagedRecord, StagingBatch};
use crate::domain::entity::Entity;
use crate::domain::reject::RecordError;
use crate::domain::time::Timestamp;
use crate::format::mapping::Mapping;
use crate::format::record::{Damage, Position, Record, RecordReader, Step};
use crate::pipeline::data_file::{self, DataFile, TextOptions};
use crate::pipeline::stop::Stop;

/// Seconds between two writes of staging progress to the store.
const PROGRESS_EVERY_SECONDS: i64 = 1;

/// What staging hands on.
pub(super) struct Staged {
    pub(super) state: LoadState,
    pub(super) mapping: Mapping,
}

/// Stages the message's records; returns when every record is staged or rejected and the chunk ranges are fixed.
pub(super) async fn stage(part: &Part<'_>, parents: &[&Entity]) -> Result<Staged, Stop> {
    let mut file = open(part).await?;
    let mut reader = data_file::reader(&part.format, &part.session.context.limits);
    let mapping = loop {
        if let Some(header) = reader.header().map_err(|e| Stop::fail(e.code, e.reason))? {
            break map(part, &header)?;
        }
        feed(&mut *reader, file.next().await?);
    };
    // Once an attempt: what it finds is the same in each.
    let _ = part.warnings.set(drift::judge(part, &mapping)?);
    let mut state = part.database.begin_load(part.load(), mapping.fields()).await?;
    if state.fields != mapping.fields() || state.policy != part.policy {
        let detail =
            "the entity, or what the job says of it, changed while this message was being loaded; enqueue it again";
        return Err(Stop::fail("definition_changed", detail));
    }
    if state.staged {
        return Ok(Staged { state, mapping });
    }
    if state.position.records > 0 {
        let SourcePosition { records, line, byte } = state.position;
        reader.skip_to(Position { records, line, byte });
    }
    let mut stager = Stager {
        part,
        mapping: &mapping,
        batch: StagingBatch::default(),
        bytes: 0,
        staged_to: state.position,
        reported: part.session.context.clock.now(),
    };
    loop {
        if stager.drain(&mut *reader).await? {
            break;
        }
        // The last chunk comes only once the digest of all bytes proved right.
        feed(&mut *reader, file.next().await?);
    }
    stager.flush(reader.position()).await?;
    let chunk_records = part.session.context.limits.import.chunk_records;
    part.database
        .finish_staging(part.load(), parents, chunk_records)
        .await?;
    state.staged = true;
    Ok(Staged { state, mapping })
}

async fn open(part: &Part<'_>) -> Result<DataFile, Stop> {
    let session = part.session;
    let text = |max_unpacked_bytes| TextOptions {
        format: &part.format,
        encoding: part.encoding.as_deref(),
        max_unpacked_bytes,
    };
    match &part.source {
        Source::Payload => Ok(DataFile::of_payload(
            session.context,
            session.message,
            text(session.context.limits.file.max_unpacked_bytes),
        )
        .await?),
        Source::Member(member) => {
            let file = member.unpack().await?;
            // What it is itself was counted when it was unpacked.
            let own = file.metadata()?.len();
            Ok(DataFile::of_file(file, text(member.left().saturating_add(own))))
        }
        Source::Missing(detail) => Err(Stop::fail("package_file_missing", detail.clone())),
        Source::Closed => Err(Stop::fail(
            "payload_unreadable",
            "the file of this part is not open any more",
        )),
    }
}

fn map(part: &Part<'_>, header: &[String]) -> Result<Mapping, Stop> {
    let fields: Vec<String>;
    let header = if header.is_empty() {
        // A file whose records name their members and that has none brings nothing, so it may bring anything (DMF-20).
        fields = part.entity.fields.iter().map(|field| field.name.clone()).collect();
        &fields
    } else {
        header
    };
    let company = part.session.message.company.as_deref();
    Mapping::new(part.entity, &part.wanted, header, company).map_err(|e| Stop::fail(e.code, e.reason))
}

fn feed(reader: &mut dyn RecordReader, chunk: Option<Bytes>) {
    match chunk {
        Some(bytes) => reader.feed(&bytes),
        None => reader.finish(),
    }
}

/// Collects records into batches and stages them.
struct Stager<'a> {
    part: &'a Part<'a>,
    mapping: &'a Mapping,
    batch: StagingBatch,
    /// Source bytes of the records in the batch.
    bytes: u64,
    /// Where the last batch ended.
    staged_to: SourcePosition,
    reported: Timestamp,
}

impl Stager<'_> {
    /// Takes every record the reader has. `true` at the end of the file.
    async fn drain(&mut self, reader: &mut dyn RecordReader) -> Result<bool, Stop> {
        loop {
            match reader.step() {
                Step::NeedInput => return Ok(false),
                Step::End => return Ok(true),
                Step::Record(record) => self.take(&record),
                Step::Damaged(damage) => self.take_damage(damage),
            }
            if self.full() {
                self.flush(reader.position()).await?;
            }
        }
    }

    fn take(&mut self, record: &Record<'_>) {
        self.bytes += record.place.byte_end - record.place.byte_start;
        let typed = self.mapping.convert(record.place, &record.cells);
        match typed.outcome {
            Ok(cells) => self.batch.records.push(StagedRecord {
                place: record.place,
                origin: typed.origin,
                cells,
            }),
            Err(errors) => self.batch.rejected.push(RejectedRecord {
                origin: typed.origin,
                errors,
                document_key: typed.document_key,
            }),
        }
    }

    fn take_damage(&mut self, damage: Damage) {
        let Damage {
            place,
            code,
            column,
            reason,
            excerpt,
        } = damage;
        self.bytes += place.byte_end - place.byte_start;
        let value = (!excerpt.is_empty()).then(|| RecordError::clip(&excerpt));
        let error = RecordError {
            place,
            column,
            field: None,
            code,
            value,
            reason,
        };
        self.batch.rejected.push(RejectedRecord {
            origin: None,
            errors: vec![error],
            document_key: Vec::new(),
        });
    }

    fn full(&self) -> bool {
        let limits = &self.part.session.context.limits.import;
        self.batch.records.len() + self.batch.rejected.len() >= limits.batch_records
            || self.bytes >= limits.batch_bytes as u64
    }

    async fn flush(&mut self, after: Position) -> Result<(), Stop> {
        self.part.session.checkpoint()?;
        let Position { records, line, byte } = after;
        let after = SourcePosition { records, line, byte };
        if after == self.staged_to {
            // Nothing was read since: a rerun that finds everything staged has not got anywhere yet.
            return Ok(());
        }
        self.staged_to = after;
        let mut batch = std::mem::take(&mut self.batch);
        origins::settle(self.part, self.mapping, &mut batch).await?;
        batch.after = after;
        self.bytes = 0;
        self.part
            .database
            .stage(self.part.load(), self.mapping.fields(), &batch)
            .await?;
        self.part.session.note_progress().await?;
        self.report(records).await
    }

    /// Tells pollers how far staging is, but not more often than they could notice.
    async fn report(&mut self, records: u64) -> Result<(), Stop> {
        let now = self.part.session.context.clock.now();
        if now.seconds_since(self.reported) < PROGRESS_EVERY_SECONDS {
            return Ok(());
        }
        self.reported = now;
        let mut run = self.part.run();
        "Executing".clone_into(&mut run.staging_status);
        run.staging_records = records;
        self.part.save(&run).await
    }
}

/// Where a reject's cell stands in the file, for errors found after staging, when only the field is known.
pub(super) fn with_column(mapping: &Mapping, mut error: RecordError) -> RecordError {
    if error.column.is_none()
        && let Some(field) = &error.field
    {
        error.column = mapping.column_of(field);
    }
    error
}

//! Source to staging: read the payload once, parse and type what is not staged yet, stage it batch by batch.
//!
//! With `skip_staging` a batch lands as it is staged. While the database takes one batch, the next is read: a load takes as long as the slower of the two, not as both.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::direct::Direct;
use super::part::{Part, Source};
use super::{drift, origins, skipped};
use crate::business::BusinessError;
use crate::business::keys::KeysSeen;
use crate::business::staging::{LoadState, RejectedRecord, SourcePosition, StagedRecord, StagingBatch};
use crate::domain::computed::LoadFacts;
use crate::domain::entity::Entity;
use crate::domain::reject::RecordError;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::format::mapping::Mapping;
use crate::format::record::{Damage, Position, Record, RecordReader, Step};
use crate::pipeline::data_file::{self, DataFile, TextOptions};
use crate::pipeline::stop::Stop;

/// Seconds between two writes of progress to the store.
pub(super) const PROGRESS_EVERY_SECONDS: i64 = 1;

/// What staging hands on.
pub(super) struct Staged {
    pub(super) state: LoadState,
    pub(super) mapping: Mapping,
}

/// Stages the message's records; returns when every record is staged or rejected and the chunk ranges are fixed.
pub(super) async fn stage(part: &Part<'_>, parents: &[&Entity]) -> Result<Staged, Stop> {
    let mut file = open(part).await?;
    let mut reader = part.reader();
    let mapping = loop {
        if let Some(header) = reader.header()? {
            break map(part, &header)?;
        }
        feed(&mut *reader, file.next().await?);
    };
    // Once an attempt: what it finds is the same in each.
    let _ = part.filled.set((&mapping).into());
    let mut warnings = drift::judge(part, &mapping)?;
    warnings.extend(skipped::told(part));
    let _ = part.warnings.set(warnings);
    let mut state = part.database.begin_load(part.load(), mapping.fields()).await?;
    failpoint::reached("import.load_begun");
    if state.fields != mapping.fields() || state.policy != part.policy {
        let detail =
            "the entity, or what the job says of it, changed while this message was being loaded; enqueue it again";
        return Err(Stop::fail("definition_changed", detail));
    }
    if state.staged {
        part.recall_remarks();
        return Ok(Staged { state, mapping });
    }
    if state.position.records > 0 {
        let SourcePosition { records, line, byte } = state.position;
        reader.skip_to(Position { records, line, byte });
    }
    let direct = Direct::begin(part, &mapping, parents).await?;
    let is_direct = direct.is_some();
    let keys = read(part, &mut file, &mut *reader, &mapping, &state, direct).await?;
    let _ = part.remarks.set(reader.remarks());
    if is_direct {
        part.database.end_landing(part.load()).await?;
        failpoint::reached("import.landing_ended");
    } else {
        let chunk_records = part.session.context.limits.import.chunk_records;
        part.database
            .finish_staging(part.load(), parents, chunk_records, keys)
            .await?;
        failpoint::reached("import.ranges_fixed");
    }
    state.staged = true;
    Ok(Staged { state, mapping })
}

/// Reads what is not staged yet to the end of the file. With the keys of all good records, if this attempt has seen them all.
async fn read(
    part: &Part<'_>,
    file: &mut DataFile,
    reader: &mut dyn RecordReader,
    mapping: &Mapping,
    state: &LoadState,
    direct: Option<Direct>,
) -> Result<Option<KeysSeen>, Stop> {
    let is_first = state.position == SourcePosition::default() && direct.is_none();
    let mut stager = Stager {
        part,
        mapping,
        keys: is_first.then(|| KeysSeen::new(part.entity, mapping.fields())),
        direct,
        held: None,
        landed: &state.landed,
        batch: StagingBatch::default(),
        bytes: 0,
        staged_to: state.position,
        writing: None,
        reported: part.session.context.clock.now(),
    };
    while !stager.drain(reader).await? {
        // The last chunk comes only once the digest of all bytes proved right.
        feed(reader, file.next().await?);
    }
    stager.flush(reader.position()).await?;
    stager.written().await?;
    Ok(stager.keys)
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
            let (file, bytes_max) = member.unpack().await?;
            Ok(DataFile::of_file(file, text(bytes_max)))
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
    let message = part.session.message;
    let facts = LoadFacts {
        began_at: part.session.execution.started_at,
        company: message.company.clone(),
        message_id: message.id.to_string(),
        external_id: message.external_id.clone(),
        enqueued_at: message.enqueued_at,
    };
    let mapping = Mapping::new(part.entity, &part.wanted, header, &facts);
    let mapping = mapping.map_err(|e| Stop::fail(e.code, e.reason))?;
    Ok(mapping.for_format(part.entity, &part.format))
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
    /// Of all good records, if this attempt reads them all.
    keys: Option<KeysSeen>,
    /// Where batches land as they are.
    direct: Option<Direct>,
    /// A record that may not land together with the batch, and begins the next.
    held: Option<StagedRecord>,
    /// Chunks that landed before, those behind us taken away.
    landed: &'a [(u64, u64)],
    batch: StagingBatch,
    /// Source bytes of the records in the batch.
    bytes: u64,
    /// Where the last batch ended.
    staged_to: SourcePosition,
    /// The batch before, on its way into the database.
    writing: Option<BoxFuture<'a, Result<(), BusinessError>>>,
    reported: Timestamp,
}

/// Why no further record is taken.
enum Halt {
    /// The reader wants more bytes.
    NeedInput,
    /// The file has ended.
    End,
    /// The last record may not land together with the batch.
    Held,
    /// The batch is large enough.
    Full,
}

/// What a record takes of a batch: its bytes in the file, or, where its place does not say them (a workbook's does not), its cells'.
fn bytes_of(record: &Record<'_>) -> u64 {
    let in_file = record.place.byte_end - record.place.byte_start;
    let in_cells: usize = record.cells.iter().map(|cell| cell.len()).sum();
    in_file.max(in_cells as u64)
}

impl Stager<'_> {
    /// Takes every record the reader has. `true` at the end of the file.
    async fn drain(&mut self, reader: &mut dyn RecordReader) -> Result<bool, Stop> {
        loop {
            let halt = if reader.has_long_steps() {
                data_file::blocking(|| self.gather(reader))?
            } else {
                self.gather(reader)?
            };
            match halt {
                Halt::NeedInput => return Ok(false),
                Halt::End => return Ok(true),
                Halt::Held => self.release().await?,
                Halt::Full => {}
            }
            if self.full() {
                self.flush(reader.position()).await?;
            }
        }
    }

    /// Takes records until something else has to be done.
    fn gather(&mut self, reader: &mut dyn RecordReader) -> Result<Halt, Stop> {
        loop {
            match reader.step() {
                Step::NeedInput => return Ok(Halt::NeedInput),
                Step::End => return Ok(Halt::End),
                Step::Record(record) => self.take(&record)?,
                Step::Damaged(damage) => self.take_damage(damage),
            }
            if self.held.is_some() {
                return Ok(Halt::Held);
            }
            if self.full() {
                return Ok(Halt::Full);
            }
        }
    }

    fn take(&mut self, record: &Record<'_>) -> Result<(), Stop> {
        self.bytes += bytes_of(record);
        let landed = self.has_landed(record.place.record);
        let typed = self.mapping.convert(record.place, &record.cells);
        match typed.outcome {
            Ok(cells) => {
                let staged = StagedRecord {
                    place: record.place,
                    origin: typed.origin,
                    cells,
                    landed,
                };
                if let Some(keys) = &mut self.keys {
                    let noted = keys.note(&staged);
                    noted.map_err(|error| Stop::Retry(format!("cannot keep the keys of the file: {error}")))?;
                }
                self.add(staged);
            }
            // Its reject was kept when its chunk landed.
            Err(_) if landed => {}
            Err(errors) => self.batch.rejected.push(RejectedRecord {
                origin: typed.origin,
                errors,
                document_key: typed.document_key,
            }),
        }
        Ok(())
    }

    /// Adds a record to the batch, or holds it back where it cannot land with it.
    fn add(&mut self, staged: StagedRecord) {
        match &mut self.direct {
            Some(direct) if direct.repeats(&staged) => self.held = Some(staged),
            Some(direct) => {
                direct.note(&staged);
                self.batch.records.push(staged);
            }
            None => self.batch.records.push(staged),
        }
    }

    /// Ends the batch before the record that is held back, which begins the next.
    async fn release(&mut self) -> Result<(), Stop> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let (records, line, byte) = (held.place.record - 1, held.place.line, held.place.byte_start);
        self.flush(Position { records, line, byte }).await?;
        self.add(held);
        Ok(())
    }

    /// Whether the record's chunk has landed. Asked in the order of records.
    fn has_landed(&mut self, record: u64) -> bool {
        while let Some(&(first, last)) = self.landed.first() {
            if record <= last {
                return record >= first;
            }
            self.landed = &self.landed[1..];
        }
        false
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
        if self.has_landed(place.record) {
            return;
        }
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
        if self.direct.is_some() {
            // It lands as it is.
            self.part.session.pause_chunk().await;
        }
        let mut batch = std::mem::take(&mut self.batch);
        origins::settle(self.part, self.mapping, &mut batch).await?;
        batch.after = after;
        self.bytes = 0;
        self.written().await?;
        self.write(batch);
        self.report(records).await
    }

    /// Starts writing a batch.
    fn write(&mut self, batch: StagingBatch) {
        let (part, fields) = (self.part, self.mapping.fields());
        let asked = self.direct.as_mut().map(Direct::end_batch);
        let mut writing = async move {
            match &asked {
                Some(asked) => part.database.land(part.load(), fields, asked, &batch).await,
                None => part.database.stage(part.load(), fields, &batch).await,
            }
        }
        .boxed();
        // The first poll hands it to a task of its own, which goes on by itself.
        self.writing = match (&mut writing).now_or_never() {
            Some(done) => Some(std::future::ready(done).boxed()),
            None => Some(writing),
        };
    }

    /// Waits until the batch on its way is in the database.
    async fn written(&mut self) -> Result<(), Stop> {
        if let Some(writing) = self.writing.take() {
            writing.await?;
            failpoint::reached(match self.direct {
                Some(_) => "import.batch_landed",
                None => "import.batch_staged",
            });
            self.part.session.note_progress().await?;
        }
        Ok(())
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

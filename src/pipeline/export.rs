//! Export: a claimed occurrence → one snapshot → data files → package → payload → outbound message and closed run, the last
//! two in one transaction.
//!
//! A crash anywhere before that transaction leaves an upload for the sweep and an occurrence to claim again, so one
//! occurrence never queues two messages.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::enqueue::Envelope;
use super::payload::PayloadSink;
use super::placement::place;
use super::stop::{RunEnd, Stop};
use crate::business::Database;
use crate::business::snapshot::{Row, Selection, Snapshot};
use crate::definitions::Definitions;
use crate::domain::entity::Entity;
use crate::domain::ids::MessageId;
use crate::domain::job::{DataSource, ExportEntity, ExportSpec, FileFormat, Job};
use crate::domain::message::{Failure, Placement};
use crate::domain::time::Timestamp;
use crate::format::csv_write::write_row;
use crate::format::package::{ManifestEntity, PackageWriter};
use crate::storage::enqueue::NewMessage;
use crate::storage::occurrences::{ExportOutcome, Occurrence};

/// Batches of rows read ahead of the writer.
const BATCHES_AHEAD: usize = 4;

/// One entity of a running export.
struct Part<'a> {
    entity: &'a Entity,
    wanted: &'a ExportEntity,
    fields: Vec<String>,
    order_by: Vec<String>,
    file: String,
}

/// Carries a claimed occurrence to its end, or as far as it may.
pub async fn export(
    context: &Context,
    definitions: &Definitions,
    claimed: &Occurrence,
    stopping: &CancellationToken,
) -> RunEnd {
    let stop = match Box::pin(run(context, definitions, claimed, stopping)).await {
        Ok(()) => return RunEnd::Ended,
        Err(stop) => stop,
    };
    match stop {
        Stop::Fail(failure) => give_up(context, claimed, failure).await,
        stop => stop.into(),
    }
}

/// Closes a claimed occurrence as failed.
pub async fn give_up(context: &Context, claimed: &Occurrence, failure: Failure) -> RunEnd {
    tracing::error!(job.id = %claimed.job, due_at = %claimed.due_at, code = %failure.code, "export failed: {}", failure.detail);
    let outcome = ExportOutcome::Failed(failure);
    RunEnd::written(
        context
            .store
            .finish_occurrence(claimed, outcome, context.clock.now())
            .await,
    )
}

/// Closes a claimed occurrence as cancelled.
pub async fn cancelled(context: &Context, claimed: &Occurrence, why: String) -> RunEnd {
    tracing::info!(job.id = %claimed.job, due_at = %claimed.due_at, "export cancelled: {why}");
    let outcome = ExportOutcome::Cancelled { note: why };
    let now = context.clock.now();
    RunEnd::written(context.store.finish_occurrence(claimed, outcome, now).await)
}

async fn run(
    context: &Context,
    definitions: &Definitions,
    claimed: &Occurrence,
    stopping: &CancellationToken,
) -> Result<(), Stop> {
    let job = definitions.job(claimed.job);
    let Some((job, spec)) = job.and_then(|j| j.export.as_ref().map(|spec| (j, spec))) else {
        return Err(Stop::fail(
            "job_unknown",
            format!("there is no export job {} any more", claimed.job),
        ));
    };
    let parts = parts(definitions, spec)?;
    let database = database_of(context, &parts)?;
    for part in &parts {
        database.ensure_entity(part.entity).await?;
    }
    let mut snapshot = database.snapshot().await?;
    let mut output = Output::begin(context, job, &parts)?;
    let mut counted = Vec::with_capacity(parts.len());
    for part in &parts {
        let records = write_part(&mut snapshot, &mut output, job, spec, part, stopping).await?;
        counted.push((part.entity.label.clone(), records));
    }
    drop(snapshot);
    let records = counted.iter().map(|(_, n)| n).sum();
    if records == 0 && spec.prevent_upload_when_zero_records {
        let outcome = ExportOutcome::Nothing {
            note: "0 records, not uploaded".to_owned(),
        };
        context
            .store
            .finish_occurrence(claimed, outcome, context.clock.now())
            .await?;
        tracing::info!(job.name = %job.name, due_at = %claimed.due_at, "exported 0 records, nothing uploaded");
        return Ok(());
    }
    Box::pin(queue(context, job, claimed, output, counted, records)).await
}

fn parts<'a>(definitions: &'a Definitions, spec: &'a ExportSpec) -> Result<Vec<Part<'a>>, Stop> {
    let extension = spec.format.extension();
    spec.entities
        .iter()
        .map(|wanted| {
            let entity = definitions
                .entity(&wanted.entity)
                .ok_or_else(|| Stop::fail("definition_mismatch", format!("there is no entity `{}`", wanted.entity)))?;
            let all = || entity.fields.iter().map(|f| f.name.clone()).collect();
            let fields = if wanted.fields.is_empty() {
                all()
            } else {
                wanted.fields.clone()
            };
            let order_by = if wanted.order_by.is_empty() {
                entity.key.clone()
            } else {
                wanted.order_by.clone()
            };
            Ok(Part {
                entity,
                wanted,
                fields,
                order_by,
                file: format!("{}.{extension}", entity.label),
            })
        })
        .collect()
}

/// The one database all entities live in: one snapshot cannot span two.
fn database_of<'a>(context: &'a Context, parts: &[Part<'_>]) -> Result<&'a Database, Stop> {
    let mut names = parts.iter().map(|p| p.entity.database.as_str());
    let name = names
        .next()
        .ok_or_else(|| Stop::fail("definition_mismatch", "the job exports no entity"))?;
    if let Some(other) = names.find(|n| *n != name) {
        let detail =
            format!("one export reads one database, but its entities live in `{name}` and `{other}`; use two jobs");
        return Err(Stop::fail("definition_mismatch", detail));
    }
    let unknown = || Stop::fail("definition_mismatch", format!("no database `{name}` is configured"));
    context.databases.get(name).ok_or_else(unknown)
}

/// Where an export's bytes go: straight into the payload, or through the zip first.
struct Output {
    sink: PayloadSink,
    package: Option<PackageWriter>,
}

impl Output {
    fn begin(context: &Context, job: &Job, parts: &[Part<'_>]) -> Result<Self, Stop> {
        let package = match job.data_source {
            DataSource::File => None,
            DataSource::Package => {
                let entities: Vec<ManifestEntity> = parts
                    .iter()
                    .map(|part| ManifestEntity {
                        label: part.entity.label.clone(),
                        target: part.entity.name.clone(),
                        file: part.file.clone(),
                        fields: part.fields.clone(),
                    })
                    .collect();
                Some(PackageWriter::new(&job.name, &entities)?)
            }
        };
        Ok(Self {
            sink: PayloadSink::new(context),
            package,
        })
    }

    fn begin_file(&mut self, name: &str) -> Result<(), Stop> {
        match &mut self.package {
            Some(package) => Ok(package.begin_file(name)?),
            None => Ok(()),
        }
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Stop> {
        let ready = match &mut self.package {
            Some(package) => {
                package.write(&bytes)?;
                package.take()
            }
            None => bytes,
        };
        if ready.is_empty() {
            Ok(())
        } else {
            Ok(self.sink.write(Bytes::from(ready)).await?)
        }
    }

    async fn finish(mut self) -> Result<super::payload::StoredPayload, Stop> {
        if let Some(package) = self.package.take() {
            self.sink.write(Bytes::from(package.finish()?)).await?;
        }
        Ok(self.sink.finish().await?)
    }
}

async fn write_part(
    snapshot: &mut Snapshot,
    output: &mut Output,
    job: &Job,
    spec: &ExportSpec,
    part: &Part<'_>,
    stopping: &CancellationToken,
) -> Result<u64, Stop> {
    let FileFormat::Csv { delimiter } = spec.format else {
        return Err(Stop::fail(
            "definition_mismatch",
            "exports in this format are not supported",
        ));
    };
    output.begin_file(&part.file)?;
    let mut header = Vec::new();
    write_row(&mut header, delimiter, part.fields.iter().map(|f| Some(f.as_str())));
    output.write(header).await?;
    let selection = Selection {
        entity: part.entity,
        fields: &part.fields,
        filter: part.wanted.filter.as_deref(),
        order_by: &part.order_by,
        company: job.company.as_deref(),
    };
    let (rows, mut batches) = mpsc::channel::<Vec<Row>>(BATCHES_AHEAD);
    let reading = async { snapshot.read(selection, rows).await.map_err(Stop::from) };
    let writing = async {
        while let Some(batch) = batches.recv().await {
            if stopping.is_cancelled() {
                return Err(Stop::Stopped);
            }
            let mut bytes = Vec::with_capacity(batch.len() * 128);
            for row in &batch {
                write_row(&mut bytes, delimiter, row.iter().map(Option::as_deref));
            }
            output.write(bytes).await?;
        }
        Ok(())
    };
    // `try_join` drops the reader when the writer fails, and the other way round.
    let (records, ()) = tokio::try_join!(reading, writing)?;
    Ok(records)
}

/// An outbound message stands where its job says; nobody asks for anything.
fn placement(context: &Context, job: &Job, now: Timestamp) -> Placement {
    let envelope = Envelope {
        company: job.company.clone(),
        ..Envelope::default()
    };
    // Only what a sender asks for can be refused.
    place(job, &envelope, 0, &context.limits.queue, now).unwrap_or_default()
}

async fn queue(
    context: &Context,
    job: &Job,
    claimed: &Occurrence,
    output: Output,
    entities: Vec<(String, u64)>,
    records: u64,
) -> Result<(), Stop> {
    let extension = match job.data_source {
        DataSource::Package => "zip",
        DataSource::File => "csv",
    };
    let payload = Box::pin(output.finish()).await?;
    let now = context.clock.now();
    let at = claimed.due_at.to_utc().format("%Y-%m-%dT%H-%M-%SZ");
    let message = NewMessage {
        id: MessageId::generate_at(now),
        job: job.id,
        direction: job.direction,
        entity: None,
        company: job.company.clone(),
        external_id: Some(format!("{} {at}.{extension}", job.name)),
        enqueued_by: claimed.trigger.clone(),
        digest: payload.digest,
        bytes: payload.bytes,
        payload: payload.payload.clone(),
        durability: super::enqueue::durability(context, job),
        parent: None,
        forced: false,
        placement: placement(context, job, now),
        identities: Vec::new(),
        webhook: None,
    };
    let outcome = ExportOutcome::Queued {
        message: Box::new(message),
        records,
        entities,
    };
    let queued = context
        .store
        .finish_occurrence(claimed, outcome, context.clock.now())
        .await?;
    payload.keep();
    if let Some(message) = queued {
        tracing::info!(message.id = %message.id, job.name = %job.name, records, bytes = message.bytes, "export queued");
    }
    Ok(())
}

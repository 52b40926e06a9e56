//! Export: a claimed occurrence → one snapshot → data files → package → payload → outbound message and closed run, the last
//! two in one transaction.
//!
//! A crash anywhere before that transaction leaves an upload for the sweep and an occurrence to claim again, so one
//! occurrence never queues two messages.

mod data_file;
mod output;
pub mod parts;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::data_file::DataFileWriter;
use self::output::Output;
use self::parts::{Part, parts};
use super::Context;
use super::enqueue::Envelope;
use super::placement::place;
use super::stop::{RunEnd, Stop};
use crate::business::Database;
use crate::business::snapshot::{Row, Snapshot};
use crate::definitions::Definitions;
use crate::domain::export::ExportSpec;
use crate::domain::file_name::FileNameFacts;
use crate::domain::ids::MessageId;
use crate::domain::job::{DataSource, Job};
use crate::domain::message::{Failure, Placement};
use crate::domain::time::Timestamp;
use crate::storage::enqueue::NewMessage;
use crate::storage::occurrences::{ExportOutcome, Occurrence};

/// Batches of rows read ahead of the writer: with what is being written, all of an export that is in memory.
const BATCHES_AHEAD: usize = 4;

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
    let parts = parts(definitions, spec).map_err(|detail| Stop::fail("definition_mismatch", detail))?;
    let database = database_of(context, &parts)?;
    for source in parts.iter().flat_map(|part| &part.sources) {
        database.ensure_entity(source.entity).await?;
    }
    let mut snapshot = database.snapshot().await?;
    let mut output = Output::begin(context, job, spec, &parts)?;
    let mut counted = Vec::new();
    for part in &parts {
        counted.extend(write_part(&mut snapshot, &mut output, job, part, stopping).await?);
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
    let name = file_name(job, spec, &parts, claimed.due_at);
    Box::pin(queue(context, job, claimed, (name, output), counted, records)).await
}

/// The one database all entities live in: one snapshot cannot span two.
fn database_of<'a>(context: &'a Context, parts: &[Part<'_>]) -> Result<&'a Database, Stop> {
    let mut names = parts
        .iter()
        .flat_map(|part| &part.sources)
        .map(|source| source.entity.database.as_str());
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

/// Writes one data file; the records of each of its entities, by its label.
async fn write_part(
    snapshot: &mut Snapshot,
    output: &mut Output,
    job: &Job,
    part: &Part<'_>,
    stopping: &CancellationToken,
) -> Result<Vec<(String, u64)>, Stop> {
    let Some(spec) = &job.export else {
        return Ok(Vec::new());
    };
    let companies = spec.companies(job.company.as_deref());
    let mut file = DataFileWriter::new(part, spec);
    output.begin_file(&part.file)?;
    output.write(file.begin()?).await?;
    let (rows, mut batches) = mpsc::channel::<Vec<Row>>(BATCHES_AHEAD);
    let reading = async {
        let read = match (part.composite, part.sources.first()) {
            (Some(composite), _) => snapshot.read_nested(&part.nested(composite, &companies), rows).await,
            (None, Some(source)) => snapshot.read(source.selection(&companies), rows).await,
            (None, None) => Ok(0),
        };
        read.map_err(Stop::from)
    };
    let writing = async {
        while let Some(batch) = batches.recv().await {
            if stopping.is_cancelled() {
                return Err(Stop::Stopped);
            }
            output.write(file.rows(&batch)?).await?;
        }
        Ok(())
    };
    // `try_join` drops the reader when the writer fails, and the other way round.
    tokio::try_join!(reading, writing)?;
    output.write(file.finish()?).await?;
    let counts = file.counts();
    output.end_file(&part.file, &counts);
    Ok(counts)
}

/// What the file or package is called: the external identifier of its message.
fn file_name(job: &Job, spec: &ExportSpec, parts: &[Part<'_>], due: Timestamp) -> String {
    let companies = spec.companies(job.company.as_deref());
    let facts = FileNameFacts {
        job: &job.name,
        entity: parts.first().map_or("", |part| part.label),
        company: companies.first().map_or("", String::as_str),
        due,
        time_zone: job
            .schedule
            .as_ref()
            .map_or(chrono_tz::Tz::UTC, |schedule| schedule.time_zone),
    };
    if let Some(template) = &spec.file_name {
        return template.render(facts);
    }
    let at = due.to_utc().format("%Y-%m-%dT%H-%M-%SZ");
    let extension = match (job.data_source, spec.compression) {
        (DataSource::Package, _) => "zip".to_owned(),
        (DataSource::File, None) => spec.format.extension().to_owned(),
        (DataSource::File, Some(packed)) => format!("{}.{}", spec.format.extension(), packed.extension()),
    };
    format!("{} {at}.{extension}", job.name)
}

/// The company whose rows are exported, where it is one.
fn company(job: &Job) -> Option<String> {
    let companies = job.export.as_ref()?.companies(job.company.as_deref());
    <[String; 1]>::try_from(companies).ok().map(|[company]| company)
}

/// An outbound message stands where its job says; nobody asks for anything.
fn placement(context: &Context, job: &Job, now: Timestamp) -> Placement {
    let envelope = Envelope {
        company: company(job),
        ..Envelope::default()
    };
    // Only what a sender asks for can be refused.
    place(job, &envelope, 0, &context.limits.queue, now).unwrap_or_default()
}

async fn queue(
    context: &Context,
    job: &Job,
    claimed: &Occurrence,
    (name, output): (String, Output),
    entities: Vec<(String, u64)>,
    records: u64,
) -> Result<(), Stop> {
    let payload = Box::pin(output.finish(job, claimed.due_at)).await?;
    let now = context.clock.now();
    let message = NewMessage {
        id: MessageId::generate_at(now),
        job: job.id,
        direction: job.direction,
        entity: None,
        company: company(job),
        external_id: Some(name),
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

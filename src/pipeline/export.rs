//! Export: a claimed occurrence → one snapshot → data files → package → payload → outbound message and closed run, the last
//! two in one transaction. One that a client asked for by the package API ends in the blob host, and on no queue.
//!
//! An incremental export reads the changes since its last position, which moves in that same transaction.
//!
//! A crash anywhere before that transaction leaves an upload for the sweep and an occurrence to claim again, so one
//! occurrence never queues two messages.

mod data_file;
mod destinations;
mod faulty;
mod incremental;
mod output;
mod package;
pub mod parts;
mod payloads;
mod requested;
mod run;

use std::borrow::Cow;

use tokio_util::sync::CancellationToken;

use self::incremental::{Planned, Prepared};
use self::parts::{Part, Source, parts};
use self::payloads::Payloads;
pub use self::requested::{check, labels};
use self::run::Run;
use super::Context;
use super::enqueue::Envelope;
use super::payload::StoredPayload;
use super::placement::place;
use super::stop::{RunEnd, Stop, unless_stopped};
use super::telling::Done;
use crate::business::Database;
use crate::definitions::Definitions;
use crate::domain::export::ExportSpec;
use crate::domain::file_name::FileNameFacts;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::job::{DataSource, Job};
use crate::domain::message::{Failure, Placement};
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;
use crate::failpoint;
use crate::storage::destinations::NewExportDelivery;
use crate::storage::enqueue::NewMessage;
use crate::storage::occurrences::{ExportOutcome, Occurrence};
use crate::storage::positions::NewPosition;

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
    let unknown = || {
        let detail = format!("there is no export job {} any more", claimed.job);
        Stop::fail("job_unknown", detail)
    };
    let job = definitions.job(claimed.job).ok_or_else(unknown)?;
    let requested = requested::of_execution(context, claimed.execution.as_ref()).await?;
    let job = match &requested {
        Some(requested) => requested::requested_job(definitions, job, &requested.asked)
            .map(Cow::Owned)
            .map_err(|detail| Stop::fail("definition_mismatch", detail))?,
        None => Cow::Borrowed(job),
    };
    let (job, spec) = (&*job, job.export.as_ref().ok_or_else(unknown)?);
    let parts = parts(definitions, spec).map_err(|detail| Stop::fail("definition_mismatch", detail))?;
    let database = database_of(context, &parts)?;
    let prepared = unless_stopped(stopping, prepare(context, database, job, &parts)).await?;
    // Told of its phases as they end.
    let mut claimed = claimed.clone();
    let run = Run {
        context,
        job,
        spec,
        parts: &parts,
        prepared: &prepared,
        due_at: claimed.due_at,
        requested: requested.as_ref(),
    };
    let (payloads, mut written, planned) = unless_stopped(stopping, Box::pin(run.read(database, &claimed))).await?;
    claimed.written_at = Some(context.clock.now());
    written.note(&planned);
    close(run, claimed, payloads, written, stopping).await?;
    forget(context, definitions, database, job.id, &planned).await;
    Ok(())
}

/// Closes a run as what was written of it wants.
async fn close(
    run: Run<'_>,
    mut claimed: Occurrence,
    payloads: Payloads<'_>,
    written: Written,
    stopping: &CancellationToken,
) -> Result<(), Stop> {
    let Run { context, job, spec, .. } = run;
    if run.requested.is_none() && written.records() == 0 && spec.prevent_upload_when_zero_records {
        return nothing(context, job, &claimed, written).await;
    }
    let payloads = unless_stopped(stopping, Box::pin(store(context, &mut claimed, payloads))).await?;
    if let Some(requested) = run.requested {
        return package::hand_over(context, job, &claimed, requested, payloads, written).await;
    }
    let companies = spec.companies(job.company.as_deref());
    let facts = name_facts(job, run.parts, &companies, claimed.due_at);
    let name = Name {
        spec,
        facts,
        whole: file_name(job, spec, facts),
    };
    Box::pin(queue(context, job, &claimed, (name, payloads), written)).await
}

/// Makes what is not there yet in the database.
async fn prepare(context: &Context, database: &Database, job: &Job, parts: &[Part<'_>]) -> Result<Vec<Prepared>, Stop> {
    let mut prepared = Vec::new();
    for source in parts.iter().flat_map(|part| &part.sources) {
        database.ensure_entity(source.entity).await?;
        prepared.push(incremental::prepare(context, database, job, source).await?);
    }
    Ok(prepared)
}

/// Ends what was being written: all of it is stored then.
async fn store(
    context: &Context,
    claimed: &mut Occurrence,
    payloads: Payloads<'_>,
) -> Result<Vec<StoredPayload>, Stop> {
    let began = context.clock.now();
    let payloads = payloads.finish().await?;
    failpoint::reached("export.all_stored");
    claimed.stored_at = Some(context.clock.now());
    context.tell_run_phase(claimed, Done::well("blob", began), || {
        let bytes = payloads.iter().map(|payload| payload.bytes).sum::<u64>();
        vec![("bytes", i64::try_from(bytes).unwrap_or(i64::MAX).into())]
    });
    Ok(payloads)
}

/// What a run wrote.
#[derive(Default)]
struct Written {
    /// Label and records of each entity.
    entities: Vec<(String, u64)>,
    positions: Vec<NewPosition>,
    /// What is remarkable.
    remarks: Vec<String>,
    /// Whether changes are held back.
    is_held_back: bool,
}

impl Written {
    fn records(&self) -> u64 {
        self.entities.iter().map(|(_, records)| records).sum()
    }

    /// What is remarkable, where anything is.
    fn remark(&self) -> Option<String> {
        (!self.remarks.is_empty()).then(|| self.remarks.join("; "))
    }

    fn note(&mut self, planned: &[(&Source<'_>, Planned)]) {
        for (source, plan) in planned {
            self.is_held_back |= plan.held_back.is_some();
            if let Some(note) = plan.position.as_ref().and_then(|position| position.note.as_deref()) {
                self.remarks.push(format!("{}: {note}", source.entity.label));
            }
            self.positions.extend(plan.position.clone());
        }
    }
}

/// Closes a run that has nothing to upload. One whose changes wait for somebody else's transaction says so.
async fn nothing(context: &Context, job: &Job, claimed: &Occurrence, written: Written) -> Result<(), Stop> {
    let said = if written.is_held_back {
        "held back, not uploaded"
    } else {
        "0 records, not uploaded"
    };
    let note = [vec![said.to_owned()], written.remarks].concat().join("; ");
    tracing::info!(job.name = %job.name, due_at = %claimed.due_at, "export: {note}");
    let outcome = ExportOutcome::Nothing {
        note,
        positions: written.positions,
    };
    let now = context.clock.now();
    context.store.finish_occurrence(claimed, outcome, now).await?;
    Ok(())
}

/// Lets go of changes that no job wants any more.
async fn forget(
    context: &Context,
    definitions: &Definitions,
    database: &Database,
    job: JobId,
    planned: &[(&Source<'_>, Planned)],
) {
    for (source, plan) in planned {
        let Some(position) = &plan.position else { continue };
        let jobs: Vec<_> = definitions
            .jobs
            .iter()
            .filter(|job| job.export.as_ref().is_some_and(|spec| spec.tracks(&source.entity.name)))
            .map(|job| job.id)
            .collect();
        incremental::tidy(context, database, &jobs, job, source, &position.to).await;
    }
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

/// What fills templates of names.
fn name_facts<'a>(job: &'a Job, parts: &[Part<'a>], companies: &'a [String], due: Timestamp) -> FileNameFacts<'a> {
    FileNameFacts {
        job: &job.name,
        entity: parts.first().map_or("", |part| part.label),
        company: companies.first().map_or("", String::as_str),
        due,
        time_zone: job
            .schedule
            .as_ref()
            .map_or(chrono_tz::Tz::UTC, |schedule| schedule.time_zone),
    }
}

/// What the file or package is called: the external identifier of its message.
fn file_name(job: &Job, spec: &ExportSpec, facts: FileNameFacts<'_>) -> String {
    if let Some(template) = &spec.file_name {
        return template.render(facts);
    }
    let at = facts.due.to_utc().format("%Y-%m-%dT%H-%M-%SZ");
    let extension = match (job.data_source, spec.packed()) {
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

/// An outbound message stands where its job says; nobody asks for anything. One with changes becomes no dead letter unless the job says
/// after how many deliveries: those changes would have to be exported again (promise 7).
fn placement(context: &Context, job: &Job, has_changes: bool, now: Timestamp) -> Placement {
    let envelope = Envelope {
        company: company(job),
        ..Envelope::default()
    };
    // Only what a sender asks for can be refused.
    let mut placement = place(job, &envelope, 0, &context.limits.queue, now).unwrap_or_default();
    if has_changes && job.queue.max_deliveries.is_none() {
        placement.max_deliveries = None;
    }
    placement
}

async fn queue(
    context: &Context,
    job: &Job,
    claimed: &Occurrence,
    (name, payloads): (Name<'_>, Vec<StoredPayload>),
    written: Written,
) -> Result<(), Stop> {
    let records = written.records();
    let now = context.clock.now();
    let about = (claimed, &name, !written.positions.is_empty());
    let messages = messages(context, job, about, &payloads, now);
    let outcome = ExportOutcome::Queued {
        messages,
        records,
        note: written.remark(),
        entities: written.entities,
        positions: written.positions,
        acknowledged_by_deliveries: job.export.as_ref().is_some_and(|spec| !spec.enqueue),
    };
    let queued = context
        .store
        .finish_occurrence(claimed, outcome, context.clock.now())
        .await?;
    failpoint::reached("export.queued");
    for payload in payloads {
        payload.keep();
    }
    for message in queued {
        context.tell_queued(&message, &job.name, now);
        tracing::info!(message.id = %message.id, job.name = %job.name, run.records = records, bytes = message.bytes, "export queued");
    }
    Ok(())
}

/// A message for each payload, with its deliveries.
fn messages(
    context: &Context,
    job: &Job,
    (claimed, name, has_changes): (&Occurrence, &Name<'_>, bool),
    payloads: &[StoredPayload],
    now: Timestamp,
) -> Vec<(NewMessage, Vec<NewExportDelivery>)> {
    let of = payloads.len();
    let message = |(at, payload): (usize, &StoredPayload)| {
        let file_name = name.of_part(at, of);
        let deliveries = destinations::deliveries(name.spec, name.facts, &file_name, (at, of));
        let message = NewMessage {
            id: MessageId::generate_at(now),
            job: job.id,
            direction: job.direction,
            entity: None,
            company: company(job),
            external_id: Some(file_name),
            enqueued_by: claimed.trigger.clone(),
            digest: payload.digest,
            bytes: payload.bytes,
            payload: payload.payload.clone(),
            durability: super::enqueue::durability(context, job),
            parent: None,
            forced: false,
            placement: placement(context, job, has_changes, now),
            identities: Vec::new(),
            webhook: None,
            entry: None,
            traceparent: Some(TraceContext::of_run(job.id, claimed.due_at)),
        };
        (message, deliveries)
    };
    (1..).zip(payloads).map(message).collect()
}

/// What the files of a run are called.
struct Name<'a> {
    spec: &'a ExportSpec,
    facts: FileNameFacts<'a>,
    whole: String,
}

impl Name<'_> {
    /// One of several is told from the others.
    fn of_part(&self, at: usize, of: usize) -> String {
        destinations::numbered(&self.whole, at, of)
    }
}

//! What `/api/v1` shows: the JSON of messages, record errors, jobs and occurrences.

use chrono_tz::Tz;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::job::{DataSource, Direction, Job};
use crate::domain::message::Message;
use crate::domain::schedule::preview::{Reason, Upcoming};
use crate::domain::schedule::{Recurrence, Schedule};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::storage::depths::Depth;
use crate::storage::executions::{EntityRun, ErrorGroup, Execution, StoredError};
use crate::storage::occurrences::{MissedRange, Occurrence};
use crate::storage::pauses::Pause;

/// Error groups shown with a message; the errors resource lists the rest.
const ERROR_GROUPS_MAX: u32 = 20;
/// Next occurrences shown with a job.
const NEXT_OCCURRENCES: usize = 5;

/// A message with its execution, grouped errors and lineage (design section 5).
///
/// # Errors
/// [`Problem`] when the store cannot be read.
pub async fn message(context: &Context, definitions: &Definitions, message: &Message) -> Result<Value, Problem> {
    let execution = match &message.execution {
        Some(id) => context.store.execution(id).await?,
        None => None,
    };
    let (groups, children) = if message.direction == Direction::Import && message.execution.is_some() {
        let groups = context.store.error_groups(message.id, ERROR_GROUPS_MAX).await?;
        (groups, context.store.children(message.id).await?)
    } else {
        // Only what is loaded, and was begun, has records, and only those can be wrong and corrected.
        (Vec::new(), Vec::new())
    };
    Ok(whole(definitions, message, execution.as_ref(), &groups, &children))
}

/// A message as its enqueue answers it: nothing has happened to it yet, so nothing need be read.
#[must_use]
pub fn enqueued(definitions: &Definitions, message: &Message) -> Value {
    whole(definitions, message, None, &[], &[])
}

fn whole(
    definitions: &Definitions,
    message: &Message,
    execution: Option<&Execution>,
    groups: &[ErrorGroup],
    children: &[MessageId],
) -> Value {
    let mut body = summary(definitions, message);
    if let Some(body) = body.as_object_mut() {
        body.insert(
            "executions".into(),
            execution.into_iter().map(self::execution).collect(),
        );
        body.insert("errors".into(), groups.iter().map(group_body).collect());
        body.insert("links".into(), links(message, children));
    }
    body
}

/// A message as one row of a list.
#[must_use]
pub fn summary(definitions: &Definitions, message: &Message) -> Value {
    let job = definitions.job(message.job);
    json!({
        "id": message.id,
        "correlation_id": message.correlation,
        "job": job.map_or_else(|| message.job.to_string(), |j| j.name.clone()),
        "job_id": message.job,
        "direction": message.direction.as_str(),
        "status": message.status,
        "final": message.status.is_final(),
        "entity": message.entity,
        "company": message.company,
        "external_id": message.external_id,
        "enqueued_by": message.enqueued_by,
        "digest": message.digest.content_digest(),
        "bytes": message.bytes,
        "durability": message.durability.as_str(),
        "forced": message.forced,
        "attempt": message.attempt,
        "enqueued_at": message.enqueued_at,
        "not_before": message.not_before,
        "expires_at": message.expires_at,
        "started_at": message.started_at,
        "finished_at": message.finished_at,
        "last_dequeued_at": message.last_dequeued_at,
        "lease_until": message.lease_until.filter(|_| matches!(message.status, Status::Dequeued | Status::Downloaded)),
        "failure": message.failure,
        "first_error": message.first_error,
        "last_error": message.last_error,
        "records": message.counts.shown(message.repaired),
    })
}

/// An execution.
#[must_use]
pub fn execution(execution: &Execution) -> Value {
    json!({
        "id": execution.id,
        "started_at": execution.started_at,
        "finished_at": execution.finished_at,
        "entities": execution.entities.iter().map(entity_body).collect::<Vec<_>>(),
    })
}

fn entity_body(run: &EntityRun) -> Value {
    json!({
        "entity": run.label,
        "company": run.company,
        "truncated": run.truncated,
        "staging": { "status": run.staging_status, "records": run.staging_records, "errors": run.staging_errors },
        "target": {
            "status": run.target_status,
            "inserted": run.counts.inserted,
            "updated": run.counts.updated,
            "unchanged": run.counts.unchanged,
            "deleted": run.counts.deleted,
            "skipped": run.counts.skipped,
            "errors": run.target_errors,
        },
        "warnings": run.warnings,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
    })
}

fn group_body(group: &ErrorGroup) -> Value {
    json!({
        "code": group.code,
        "field": group.field,
        "count": group.count,
        "distinct_values": group.distinct_values,
        "sample": error(&group.sample),
    })
}

/// One record error.
#[must_use]
pub fn error(stored: &StoredError) -> Value {
    let place = &stored.error.place;
    json!({
        "reject": stored.reject.to_string(),
        "corrects": stored.origin.map(|o| o.to_string()),
        "record": place.record,
        "line": place.line,
        "byte_start": place.byte_start,
        "byte_end": place.byte_end,
        "column": stored.error.column,
        "field": stored.error.field,
        "code": stored.error.code,
        "value": stored.error.value,
        "reason": stored.error.reason,
    })
}

/// The same in a list, which says whether the record was repaired since, and by which message.
#[must_use]
pub fn listed_error(stored: &StoredError, repaired_by: Option<MessageId>) -> Value {
    let mut shown = error(stored);
    shown["repaired_by"] = json!(repaired_by);
    shown
}

fn links(message: &Message, children: &[MessageId]) -> Value {
    let at = |id: MessageId| format!("/api/v1/messages/{id}");
    let own = at(message.id);
    json!({
        "self": own,
        "history": format!("{own}/history"),
        "payload": format!("{own}/payload"),
        "deliveries": (message.direction == Direction::Export).then(|| format!("{own}/deliveries")),
        "errors": (message.counts.rejected > 0).then(|| format!("{own}/errors")),
        "rejects": (message.counts.rejected > 0).then(|| format!("{own}/rejects")),
        "parent": message.parent.map(at),
        "children": children.iter().map(|id| at(*id)).collect::<Vec<_>>(),
    })
}

/// A job: its definition and, with a schedule, when it runs next.
#[must_use]
pub fn job(definitions: &Definitions, job: &Job, now: Timestamp) -> Value {
    let imported = job.import.iter().flat_map(|i| i.entities.iter().map(|e| &e.entity));
    let exported = job.export.iter().flat_map(|e| e.entities.iter().map(|e| &e.entity));
    let label = |name: &String| definitions.label(name).unwrap_or(name).to_owned();
    let entities: Vec<String> = match job.direction {
        Direction::Import => imported.map(label).collect(),
        Direction::Export => exported.map(label).collect(),
        Direction::Relay => Vec::new(),
    };
    json!({
        "id": job.id,
        "name": job.name,
        "origin": job.origin.as_str(),
        "direction": job.direction.as_str(),
        "data_source": match job.data_source { DataSource::File => "file", DataSource::Package => "package" },
        "entities": entities,
        "clients": job.clients,
        "sample": job.sample,
        "company": job.company,
        "schedule": job.schedule.as_ref().map(|s| schedule(s, now)),
    })
}

/// What a job's schedule says, and when it is due next.
fn schedule(schedule: &Schedule, now: Timestamp) -> Value {
    let (cron, every) = match &schedule.recurrence {
        Recurrence::Cron(pattern) => (Some(pattern.text()), None),
        Recurrence::Every(every) => (None, Some(every.text())),
    };
    json!({
        "cron": cron,
        "every": every,
        "time_zone": schedule.time_zone.name(),
        "start": schedule.start,
        "end": schedule.end,
        "calendars": schedule.except.iter().filter_map(|calendar| calendar.name()).collect::<Vec<_>>(),
        "missed": schedule.missed.as_str(),
        "missed_window_seconds": schedule.missed_window_seconds,
        "missed_max": schedule.missed_max,
        "overlap": schedule.overlap.as_str(),
        "queue_max": schedule.queue_max,
        "jitter_seconds": schedule.jitter_seconds,
        "next": schedule.next(now, NEXT_OCCURRENCES),
    })
}

/// The pause a job is in.
#[must_use]
pub fn pause(pause: &Pause) -> Value {
    json!({ "at": pause.at, "by": pause.by, "note": pause.note })
}

/// A due time to come.
#[must_use]
pub fn upcoming(upcoming: &Upcoming, time_zone: Tz) -> Value {
    json!({
        "due_at": upcoming.due_at,
        "local": upcoming.due_at.to_utc().with_timezone(&time_zone).to_rfc3339(),
        "runs": upcoming.begins_at.is_some(),
        "begins_at": upcoming.begins_at,
        "reason": upcoming.reason.as_ref().map(Reason::code),
        "note": upcoming.reason.as_ref().map(ToString::to_string),
    })
}

/// How many messages a job has that have not ended. Those that nobody collects wait for nobody: they are on their way to the
/// job's destinations.
#[must_use]
pub fn depth(context: &Context, job: &Job, depth: Depth) -> Value {
    if job.is_collected() {
        json!({ "waiting": depth.waiting, "max_messages": context.max_messages(job), "leased": depth.leased })
    } else {
        json!({ "waiting": 0, "max_messages": null, "leased": depth.leased, "delivering": depth.waiting })
    }
}

/// One due time and what became of it.
#[must_use]
pub fn occurrence(occurrence: &Occurrence) -> Value {
    json!({
        "job_id": occurrence.job,
        "due_at": occurrence.due_at,
        "state": occurrence.state,
        "origin": occurrence.origin,
        "trigger": occurrence.trigger,
        "comment": occurrence.comment,
        "forced": occurrence.forced,
        "attempt": occurrence.attempt,
        "execution": occurrence.execution,
        "message": occurrence.message,
        "records": occurrence.records,
        "reason": occurrence.reason,
        "note": occurrence.note,
        "not_before": occurrence.not_before.filter(|_| occurrence.state == "due"),
        "finished_at": occurrence.finished_at,
    })
}

/// Due times in a row that did not run and were counted.
#[must_use]
pub fn missed_range(range: &MissedRange) -> Value {
    json!({
        "first_due": range.first_due,
        "last_due": range.last_due,
        "occurrences": range.occurrences,
        "reason": range.reason,
        "note": range.note,
        "recorded_at": range.recorded_at,
    })
}

//! Why an export's queue is empty, in sentences: the first thing that explains it, and when something comes next.

use crate::domain::job::Job;
use crate::domain::message::{Message, Wait};
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::storage::StoreError;
use crate::storage::destinations::ExportDeliveryState;
use crate::storage::exported_packages::ExportedPackage;
use crate::storage::history::Run;
use crate::storage::messages::MessageFilter;
use crate::storage::occurrences::Occurrence;

/// Messages looked at for what is out or delayed.
const LOOKED_AT: u32 = 100;

/// The explanation.
#[derive(Debug)]
pub(crate) struct Why {
    /// A word for programs.
    pub reason: &'static str,
    /// Sentences for people.
    pub sentences: Vec<String>,
    /// When the job runs next by its schedule.
    pub next_run_at: Option<Timestamp>,
}

/// Explains it.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn why(context: &Context, job: &Job) -> Result<Why, StoreError> {
    let now = context.clock.now();
    let occurrences = context.store.occurrences(job.id, 1).await?;
    let last = context.store.runs(job.id, occurrences).await?.into_iter().next();
    let pause = context.store.pause_of(job.id).await?;
    let (reason, sentence) = match of_queue(context, job).await? {
        Some(found) => found,
        None => of_last_run(last.as_ref()),
    };
    let next_run_at = job
        .schedule
        .as_ref()
        .and_then(|schedule| schedule.next(now, 1).first().copied());
    let mut sentences = vec![sentence];
    if reason != "tries_again" {
        sentences.extend(last.as_ref().and_then(|run| tries_again(&run.occurrence)));
    }
    if reason == "acknowledged" {
        sentences.extend(who_collected(context, last.as_ref()).await?);
    }
    sentences.push(match (&pause, next_run_at) {
        (Some(pause), _) => {
            let said = pause
                .note
                .as_ref()
                .map_or_else(String::new, |note| format!(" ({note})"));
            format!(
                "The job is paused since {} by {}{said}: nothing runs until it is resumed.",
                pause.at, pause.by
            )
        }
        (None, Some(at)) => format!("The next run is due at {at}."),
        (None, None) if job.schedule.is_some() => "Its schedule has no due time to come.".to_owned(),
        (None, None) => "It has no schedule: it runs when somebody asks for it.".to_owned(),
    });
    // A pause explains an empty queue where nothing in the queue or of the last run does.
    let explains_little = matches!(
        reason,
        "acknowledged" | "never_ran" | "nothing_to_export" | "exported_by_package_api"
    );
    Ok(Why {
        reason: if pause.is_some() && explains_little {
            "paused"
        } else {
            reason
        },
        sentences,
        next_run_at: next_run_at.filter(|_| pause.is_none()),
    })
}

/// What messages that have not ended explain.
async fn of_queue(context: &Context, job: &Job) -> Result<Option<(&'static str, String)>, StoreError> {
    let depths = context.store.depths().await?;
    let depth = depths.get(&job.id).copied().unwrap_or_default();
    if !job.is_collected() {
        return of_deliveries(context, job).await.map(Some);
    }
    if let Some(since) = context.store.oldest_offered(job.id).await? {
        let sentence = format!(
            "The queue is not empty: {} can be collected, the next since {since}.",
            messages(depth.waiting)
        );
        return Ok(Some(("not_empty", sentence)));
    }
    let out = in_status(context, job, Status::Dequeued).await?;
    let out = match out {
        None => in_status(context, job, Status::Downloaded).await?,
        out => out,
    };
    if let Some(message) = out {
        let (by, until) = (message.owner.as_deref().unwrap_or("somebody"), message.lease_until);
        let until = until.map_or_else(String::new, |at| format!(" until {at}"));
        let sentence = format!(
            "{} out and not acknowledged: {} is leased by {by}{until}; if it is not acknowledged by then, it can be had again.",
            are(depth.leased.max(1)),
            message.id
        );
        return Ok(Some(("leased", sentence)));
    }
    let Some(message) = in_status(context, job, Status::Enqueued).await? else {
        return Ok(None);
    };
    let waits = match (message.wait, message.not_before) {
        (Some(Wait::Delayed), Some(at)) => format!("is not offered before {at}"),
        _ => "waits for those before it in its group".to_owned(),
    };
    let sentence = format!(
        "{} waiting, but not offered: {} {waits}.",
        are(depth.waiting.max(1)),
        message.id
    );
    Ok(Some(("delayed", sentence)))
}

/// Of a job that is not collected, what its deliveries explain.
async fn of_deliveries(context: &Context, job: &Job) -> Result<(&'static str, String), StoreError> {
    let filter = MessageFilter {
        jobs: vec![job.id],
        status: Some(Status::Enqueued),
        limit: LOOKED_AT,
        ..MessageFilter::default()
    };
    let open: Vec<_> = context
        .store
        .messages(&filter)
        .await?
        .iter()
        .map(|message| message.id)
        .collect();
    let deliveries = context.store.export_deliveries_of(&open).await?;
    let count = |state| deliveries.iter().filter(|delivery| delivery.state == state).count();
    let (pending, failed) = (count(ExportDeliveryState::Pending), count(ExportDeliveryState::Failed));
    let sentence = format!(
        "Nothing of this job is collected (`enqueue = false`): its messages go to destinations only; {pending} deliveries are pending, \
         {failed} failed."
    );
    Ok(("not_enqueued", sentence))
}

async fn in_status(context: &Context, job: &Job, status: Status) -> Result<Option<Message>, StoreError> {
    let filter = MessageFilter {
        jobs: vec![job.id],
        status: Some(status),
        limit: 1,
        ..MessageFilter::default()
    };
    Ok(context.store.messages(&filter).await?.into_iter().next())
}

/// What the last run explains, when nothing is in the queue.
fn of_last_run(last: Option<&Run>) -> (&'static str, String) {
    let Some(Run {
        occurrence,
        messages,
        package,
        ..
    }) = last
    else {
        return ("never_ran", "The job has never run.".to_owned());
    };
    let due = occurrence.due_at;
    let note = occurrence.note.as_deref().unwrap_or("no reason was written down");
    match occurrence.state.as_str() {
        "due" if let Some(told) = tries_again(occurrence) => ("tries_again", told),
        "due" => {
            let until = occurrence.not_before.map_or_else(
                || "waits for a worker".to_owned(),
                |at| format!("is not begun before {at}"),
            );
            ("due", format!("The run due at {due} {until}."))
        }
        "running" => {
            let since = occurrence
                .started_at
                .map_or_else(String::new, |at| format!(" since {at}"));
            ("running", format!("The run due at {due} is under way{since}."))
        }
        "failed" => ("failed", format!("The last run, due at {due}, failed: {note}.")),
        "cancelled" => ("cancelled", format!("The last run, due at {due}, was stopped: {note}.")),
        "skipped" => ("skipped", format!("The last due time, {due}, was skipped: {note}.")),
        _ if let Some(package) = package => of_package(occurrence, package),
        _ => of_messages(due, note, occurrence.records.unwrap_or(0), messages),
    }
}

/// Of a run that did not come to its end and is handed back: why, and when it goes on.
fn tries_again(occurrence: &Occurrence) -> Option<String> {
    let note = occurrence.note.as_ref().filter(|_| occurrence.state == "due")?;
    let due = occurrence.due_at;
    Some(format!(
        "The latest run, due at {due}, is not over and tries again: {note}."
    ))
}

/// What became of the package of a run that is done.
fn of_package(occurrence: &Occurrence, package: &ExportedPackage) -> (&'static str, String) {
    let fetched = match package.fetched_at {
        Some(at) => format!("was fetched at {at}"),
        None => format!("was not fetched yet and is kept until {}", package.expires_at),
    };
    let sentence = format!(
        "The last run, due at {}, made a package of {} records for the client {}, which {fetched}: a package that is asked for by \
         the package API is on no queue.",
        occurrence.due_at,
        occurrence.records.unwrap_or(0),
        occurrence.trigger
    );
    ("exported_by_package_api", sentence)
}

/// What became of the messages of a run that is done.
fn of_messages(due: Timestamp, note: &str, records: u64, messages: &[Message]) -> (&'static str, String) {
    let Some(last) = messages.last() else {
        let is_held_back = note.contains("held back");
        let reason = if is_held_back { "held_back" } else { "nothing_to_export" };
        return (reason, format!("The last run, due at {due}, queued nothing: {note}."));
    };
    if let Some(lost) = messages.iter().find(|message| message.status != Status::Acked) {
        let at = lost.finished_at.map_or_else(String::new, |at| format!(" at {at}"));
        let sentence = format!(
            "The last run, due at {due}, exported {records} records, but {} was never acknowledged: it ended as {}{at}.",
            lost.id, lost.status
        );
        return ("ended_unacknowledged", sentence);
    }
    let at = last.finished_at.map_or_else(String::new, |at| format!(" at {at}"));
    let sentence = format!(
        "All is collected: the last run, due at {due}, exported {records} records, which were acknowledged{at}."
    );
    ("acknowledged", sentence)
}

/// Who had the last message of a run before it was acknowledged, as its history tells; a message that only went to destinations
/// was collected by nobody.
async fn who_collected(context: &Context, run: Option<&Run>) -> Result<Option<String>, StoreError> {
    let Some(message) = run.and_then(|run| run.messages.last()) else {
        return Ok(None);
    };
    let events = context.store.message_events(message.id).await?;
    let delivery = events.iter().rev().find(|event| event.status == Status::Dequeued);
    let client = delivery.and_then(|event| event.note.as_ref()?.strip_prefix("to "));
    Ok(client.map(|client| format!("The client `{client}` collected {}.", message.id)))
}

fn messages(count: u64) -> String {
    if count == 1 {
        "1 message".to_owned()
    } else {
        format!("{count} messages")
    }
}

fn are(count: u64) -> String {
    if count == 1 {
        "1 message is".to_owned()
    } else {
        format!("{count} messages are")
    }
}

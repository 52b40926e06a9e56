//! Messages, jobs and runs as people read them.

use std::fmt::Write as _;

use super::answers::{Cause, Depth, ExecutionEntity, Job, Message, MessagePage, Occurrence, Pause, RecordError};
use super::api::Api;
use super::screen::{Screen, Tone, count, counted, plain};
use super::shell::program;
use super::{Exit, Failure};

/// Prints everything about a message.
pub fn message(screen: &Screen, message: &Message) {
    let fact =
        |name: &str, text: &str| screen.line(format!("  {} {text}", screen.paint(Tone::Faint, &format!("{name:<9}"))));
    screen.line(format!(
        "{}  {}",
        screen.paint(Tone::Strong, &plain(&message.id)),
        plain(&message.job)
    ));
    fact("status", &status(screen, message));
    if let Some(until) = &message.lease_until {
        fact(
            "out",
            &format!("until {}, then offered again unless acknowledged", plain(until)),
        );
    }
    let mut payload = counted(message.bytes, "byte");
    for part in [message.digest.as_deref(), message.external_id.as_deref()]
        .into_iter()
        .flatten()
    {
        payload.push_str("  ");
        payload.push_str(&plain(part));
    }
    fact("payload", &payload);
    if let Some(at) = &message.enqueued_at {
        let durability = message.durability.as_deref().unwrap_or("unknown");
        fact(
            "enqueued",
            &format!(
                "{}  durability {}, attempt {}",
                plain(at),
                plain(durability),
                message.attempt
            ),
        );
    }
    if let Some(at) = &message.finished_at {
        fact("finished", &plain(at));
    }
    if let Some(failure) = &message.failure {
        let code = screen.paint(Tone::Bad, &plain(&failure.code));
        fact("failure", &format!("{code}  {}", plain(&failure.detail)));
    }
    if loads(message) && message.records.read > 0 {
        fact("records", &records(message));
        fact("", &outcomes(message));
    }
    for entity in message.executions.iter().flat_map(|execution| &execution.entities) {
        fact("entity", &entity_line(message, entity));
        for warning in &entity.warnings {
            fact("", &screen.paint(Tone::Warning, &plain(warning)));
        }
    }
    if let Some(parent) = &message.links.parent {
        fact("parent", &plain(id_in(parent)));
    }
    for child in &message.links.children {
        fact("child", &plain(id_in(child)));
    }
    causes(screen, "  ", &message.errors);
    if message.records.rejected > message.records.repaired {
        screen.line("  Take them out, correct them, send them back:");
        screen.line(format!(
            "    {} messages rejects {} --out rejects.csv",
            program(),
            plain(&message.id)
        ));
        screen.line(format!(
            "    {} messages resubmit {} rejects.csv --wait",
            program(),
            plain(&message.id)
        ));
    }
}

/// Whether a message's records are read and applied; those of an export are packed, and a relay's are nobody's business.
fn loads(message: &Message) -> bool {
    !matches!(message.direction.as_str(), "export" | "relay")
}

/// What became of one entity.
fn entity_line(message: &Message, entity: &ExecutionEntity) -> String {
    let label = plain(&entity.entity);
    if !loads(message) {
        return format!("{label}  {} packed", counted(entity.staging.records, "record"));
    }
    let truncated = match entity.truncated {
        0 => String::new(),
        rows => format!("{} deleted first, ", counted(rows, "row")),
    };
    format!(
        "{label}  staging {} ({}, {})  target {} ({truncated}{} inserted, {} updated, {})",
        plain(&entity.staging.status),
        counted(entity.staging.records, "record"),
        counted(entity.staging.errors, "error"),
        plain(&entity.target.status),
        count(entity.target.inserted),
        count(entity.target.updated),
        counted(entity.target.errors, "error"),
    )
}

/// Prints a message's result in a few lines: status, records, causes.
pub fn result(screen: &Screen, message: &Message) {
    screen.line(format!("  {}", status(screen, message)));
    if let Some(failure) = &message.failure {
        screen.line(format!(
            "  {}  {}",
            screen.paint(Tone::Bad, &plain(&failure.code)),
            plain(&failure.detail)
        ));
    }
    if loads(message) && message.records.read > 0 {
        screen.line(format!("  {}", records(message)));
        screen.line(format!("  {}", outcomes(message)));
    }
    causes(screen, "  ", &message.errors);
}

/// Prints rejected records by cause, with one sample of each, indented.
pub fn causes(screen: &Screen, indent: &str, causes: &[Cause]) {
    for cause in causes {
        let mut head = screen.paint(Tone::Bad, &plain(&cause.code));
        if let Some(field) = &cause.field {
            let _ = write!(head, "  {}", plain(field));
        }
        let mut how_many = counted(cause.count, "record");
        // One value, or one each, says nothing more.
        if (2..cause.count).contains(&cause.distinct_values) {
            let _ = write!(how_many, ", {} distinct values", count(cause.distinct_values));
        }
        screen.line(format!("{indent}{head}  {how_many}"));
        if let Some(sample) = &cause.sample {
            screen.line(format!("{indent}  {}", record_error(sample)));
        }
    }
}

/// One record's error: where, what, why.
#[must_use]
pub fn record_error(error: &RecordError) -> String {
    let mut place = Vec::new();
    for (name, number) in [("record", error.record), ("line", error.line), ("column", error.column)] {
        if let Some(number) = number {
            place.push(format!("{name} {}", count(number)));
        }
    }
    let mut text = place.join(", ");
    if let Some(field) = &error.field {
        let _ = write!(text, " ({})", plain(field));
    }
    if let Some(value) = &error.value {
        let _ = write!(text, " `{}`", plain(value));
    }
    if let Some(reason) = &error.reason {
        let _ = write!(text, ": {}", plain(reason));
    }
    if let Some(child) = &error.repaired_by {
        let _ = write!(text, "; repaired by {}", plain(child));
    }
    text
}

/// Prints a page of the messages at `/api/v1/LIST`, and how to get the next one: by that list's option.
///
/// # Errors
/// What the service answers, and that it cannot be reached.
pub async fn message_page(
    api: &Api,
    screen: &Screen,
    [list, option]: [&str; 2],
    none: &str,
    query: &[(&str, &str)],
) -> Result<Exit, Failure> {
    let answer = api.get::<MessagePage>(&["api", "v1", list], query).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    if answer.body.messages.is_empty() {
        screen.note(none);
    } else {
        messages(screen, &answer.body.messages);
    }
    let unclear = answer.raw.get("unclear").and_then(serde_json::Value::as_u64);
    if let Some(unclear) = unclear.filter(|unclear| *unclear > 0) {
        screen.note(format!(
            "Of {} nobody can say whether the record is in there: the payload is gone, or cannot be read to its end.",
            counted(unclear, "message")
        ));
    }
    if let Some(next) = answer.raw.get("next").and_then(serde_json::Value::as_str) {
        screen.note(format!("There may be more: add {option} {}", plain(next)));
    }
    Ok(Exit::Ok)
}

/// Prints messages as a table.
pub fn messages(screen: &Screen, messages: &[Message]) {
    let mut rows = vec![row(&[
        "id", "job", "status", "read", "applied", "rejected", "repaired", "enqueued",
    ])];
    rows.extend(messages.iter().map(|message| {
        let records = message.records;
        let number = |number| if loads(message) { count(number) } else { "-".to_owned() };
        vec![
            plain(&message.id),
            plain(&message.job),
            plain(&message.status),
            number(records.read),
            number(records.applied),
            number(records.rejected),
            number(records.repaired),
            plain(message.enqueued_at.as_deref().unwrap_or("-")),
        ]
    }));
    screen.table(&rows);
}

/// Prints jobs as a table.
pub fn jobs(screen: &Screen, jobs: &[Job]) {
    let mut rows = vec![row(&[
        "name",
        "direction",
        "origin",
        "waiting",
        "leased",
        "activity id",
        "entities",
        "next run",
    ])];
    rows.extend(jobs.iter().map(|job| {
        let next = job.schedule.as_ref().and_then(|schedule| schedule.next.first());
        let depth = |of: fn(&Depth) -> String| job.queue.as_ref().map_or("-".to_owned(), of);
        vec![
            plain(&job.name),
            plain(&job.direction),
            plain(&job.origin),
            depth(waiting),
            depth(|queue| count(queue.leased)),
            plain(&job.id),
            plain(&job.entities.join(", ")),
            match &job.paused {
                Some(_) => "paused".to_owned(),
                None => plain(next.map_or("-", String::as_str)),
            },
        ]
    }));
    screen.table(&rows);
}

/// How many messages wait; of a job that nobody collects, how many are on their way.
fn waiting(queue: &Depth) -> String {
    match queue.delivering {
        Some(delivering) => format!("{} to destinations", count(delivering)),
        None => count(queue.waiting),
    }
}

/// Prints everything about a job.
pub fn job(screen: &Screen, job: &Job) {
    let fact = |name: &str, text: &str| {
        screen.line(format!(
            "  {} {text}",
            screen.paint(Tone::Faint, &format!("{name:<12}"))
        ));
    };
    screen.line(screen.paint(Tone::Strong, &plain(&job.name)));
    fact("activity id", &plain(&job.id));
    fact(
        "direction",
        &format!("{}, {}", plain(&job.direction), plain(&job.data_source)),
    );
    if job.origin == "project" {
        fact("origin", "a data project that a package brought along");
    }
    if !job.entities.is_empty() {
        fact("entities", &plain(&job.entities.join(", ")));
    }
    let mut clients = if job.clients.is_empty() {
        "none listed".to_owned()
    } else {
        plain(&job.clients.join(", "))
    };
    if job.sample {
        clients.push_str("  (a sample job: dev too)");
    }
    fact("clients", &clients);
    if let Some(delivering) = job.queue.as_ref().and_then(|queue| queue.delivering) {
        let way = format!(
            "{} on their way to destinations; nobody collects them",
            count(delivering)
        );
        fact("queue", &way);
    } else if let Some(queue) = &job.queue {
        let since = queue.oldest_enqueued_at.as_ref();
        let since = since.map_or_else(String::new, |at| format!(", the next one since {}", plain(at)));
        fact(
            "queue",
            &format!(
                "{} waiting{since}; {} leased",
                count(queue.waiting),
                count(queue.leased)
            ),
        );
    }
    if let Some(pause) = &job.paused {
        fact("paused", &paused(pause));
    }
    if let Some(schedule) = &job.schedule {
        fact(
            "schedule",
            &format!("{}  {}", plain(&schedule.recurrence()), plain(&schedule.time_zone)),
        );
        fact(
            "policies",
            &format!(
                "missed {}, overlap {}, jitter {} s",
                plain(&schedule.missed),
                plain(&schedule.overlap),
                schedule.jitter_seconds
            ),
        );
        for next in schedule.next.iter().take(3) {
            fact("next", &plain(next));
        }
    }
    if !job.occurrences.is_empty() {
        screen.line("");
        occurrences(screen, &job.occurrences);
    }
    for missed in &job.missed {
        let (first, last) = (plain(&missed.first_due), plain(&missed.last_due));
        let due = counted(missed.occurrences, "due time");
        screen.line(format!(
            "{due} from {first} to {last} did not run: {}",
            plain(&missed.note)
        ));
    }
}

/// Since when a job is paused, by whom, and why.
#[must_use]
pub fn paused(pause: &Pause) -> String {
    let note = pause
        .note
        .as_ref()
        .map_or_else(String::new, |note| format!(": {}", plain(note)));
    format!("since {} by {}{note}", plain(&pause.at), plain(&pause.by))
}

/// Prints runs as a table.
pub fn occurrences(screen: &Screen, occurrences: &[Occurrence]) {
    let mut rows = vec![row(&["due", "state", "trigger", "records", "message", "note"])];
    rows.extend(occurrences.iter().map(|run| {
        vec![
            plain(&run.due_at),
            plain(&run.state),
            plain(&run.trigger),
            run.records.map_or_else(|| "-".to_owned(), count),
            plain(run.message.as_deref().unwrap_or("-")),
            plain(
                &[run.comment.as_deref(), run.note.as_deref()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join("; "),
            ),
        ]
    }));
    screen.table(&rows);
}

/// The status word in its colour.
fn status(screen: &Screen, message: &Message) -> String {
    let tone = match message.exit() {
        super::Exit::Rejected => Tone::Warning,
        super::Exit::MessageFailed => Tone::Bad,
        _ if message.ended() => Tone::Good,
        _ => Tone::Strong,
    };
    screen.paint(tone, &plain(&message.status))
}

/// Promise 4 in one line: read = applied + rejected + skipped.
fn records(message: &Message) -> String {
    let records = message.records;
    let mut text = format!(
        "{} read = {} applied + {} rejected + {} skipped",
        count(records.read),
        count(records.applied),
        count(records.rejected),
        count(records.skipped)
    );
    if records.repaired > 0 {
        let _ = write!(text, "; {} repaired", count(records.repaired));
    }
    text
}

fn outcomes(message: &Message) -> String {
    let records = message.records;
    format!(
        "{} inserted, {} updated, {} unchanged, {} deleted",
        count(records.inserted),
        count(records.updated),
        count(records.unchanged),
        count(records.deleted)
    )
}

/// The id at the end of a link.
fn id_in(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or(link)
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_error_reads_as_where_what_why() {
        let error = RecordError {
            record: Some(1017),
            line: Some(1018),
            column: Some(2),
            field: Some("customer_account".to_owned()),
            value: Some("ZZZZZ\u{7}".to_owned()),
            reason: Some("there is no such customer".to_owned()),
            ..RecordError::default()
        };
        assert_eq!(
            record_error(&error),
            "record 1,017, line 1,018, column 2 (customer_account) `ZZZZZ\\u{7}`: there is no such customer"
        );
    }
    #[test]
    fn an_export_says_what_was_packed_and_an_import_what_was_loaded() {
        let read = |direction: &str| -> Message {
            serde_json::from_value(serde_json::json!({
                "id": "m", "status": "Enqueued", "direction": direction,
                "executions": [{"entities": [{"entity": "Orders", "staging": {"status": "Finished", "records": 122}}]}]
            }))
            .expect("a status body")
        };
        let line = |message: &Message| entity_line(message, &message.executions[0].entities[0]);
        assert_eq!(line(&read("export")), "Orders  122 records packed");
        assert!(line(&read("import")).starts_with("Orders  staging Finished (122 records"));
        assert!(!loads(&read("relay")));
    }
}

//! The whole queue as text, for snapshots in tests: the same history prints the same text, whatever the ids are.

use std::collections::HashMap;
use std::fmt::Write as _;

use uuid::Uuid;

use super::dialect::sql;
use super::occurrences::{OCCURRENCE_COLUMNS, Occurrence, OccurrenceRow};
use super::pool::fetch_all;
use super::rows::{MessageRow, messages};
use super::{Store, StoreError};
use crate::domain::counts::Counts;
use crate::domain::message::{Message, PayloadAt, Wait};

impl Store {
    /// Messages, occurrences and uploads in the order they came, a line each; ids are redacted to `M1`, `J1`, `U1` and so
    /// on, in order of appearance. What is `None`, zero or empty is left out.
    pub async fn queue_text(&self) -> Result<String, StoreError> {
        let messages = messages(self.dialect());
        let text = format!("{messages} order by coalesce(q.seq, o.seq)");
        let messages: Vec<MessageRow> = fetch_all!(self.reader(), MessageRow, sql(text))?;
        let text = format!("select {OCCURRENCE_COLUMNS} from occurrences order by due_at, job");
        let occurrences: Vec<OccurrenceRow> = fetch_all!(self.reader(), OccurrenceRow, sql(text))?;
        let text = "select key, state, owner from uploads order by created_at, state, owner, key";
        let uploads: Vec<(String, String, String)> = fetch_all!(self.reader(), (String, String, String), text)?;

        let mut names = Names::default();
        let mut out = String::new();
        for row in messages {
            line(&mut out, &message_words(&row.try_into()?, &mut names));
        }
        for row in occurrences {
            line(&mut out, &occurrence_words(&row.try_into()?, &mut names));
        }
        for (key, state, owner) in uploads {
            line(&mut out, &[names.upload(&key), state, format!("owner={owner}")]);
        }
        Ok(out)
    }
}

fn line(out: &mut String, words: &[String]) {
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    let _ = writeln!(out, "{}", words.join(" "));
}

/// Stand-ins for ids, numbered as they appear.
#[derive(Default)]
struct Names {
    jobs: HashMap<Uuid, usize>,
    messages: HashMap<Uuid, usize>,
    uploads: HashMap<String, usize>,
}

impl Names {
    fn job(&mut self, id: Uuid) -> String {
        let next = self.jobs.len() + 1;
        format!("J{}", self.jobs.entry(id).or_insert(next))
    }

    fn message(&mut self, id: Uuid) -> String {
        let next = self.messages.len() + 1;
        format!("M{}", self.messages.entry(id).or_insert(next))
    }

    fn upload(&mut self, key: &str) -> String {
        let next = self.uploads.len() + 1;
        format!("U{}", self.uploads.entry(key.to_owned()).or_insert(next))
    }
}

/// `name=value`, or nothing where there is no value.
fn field<T: std::fmt::Display>(name: &str, value: Option<T>) -> String {
    value.map_or_else(String::new, |value| format!("{name}={value}"))
}

fn message_words(message: &Message, names: &mut Names) -> Vec<String> {
    // Without `..`: whoever adds a field decides whether it is shown. Random or derived ones are not.
    let Message {
        id,
        correlation: _,
        job,
        direction,
        status,
        wait,
        group,
        epoch,
        attempt,
        stalled,
        owner,
        lease_until,
        not_before,
        expires_at,
        entity,
        company,
        external_id,
        enqueued_by,
        digest: _,
        bytes,
        payload,
        durability,
        parent,
        forced,
        traceparent: _,
        execution,
        enqueued_at,
        last_dequeued_at,
        started_at,
        finished_at,
        failure,
        first_error,
        last_error,
        counts,
        repaired,
    } = message;
    vec![
        names.message(id.0),
        names.job(job.0),
        direction.as_str().to_owned(),
        status.to_string(),
        field("wait", wait.filter(|wait| *wait != Wait::Ready).map(Wait::as_str)),
        field("group", group.as_deref()),
        format!("epoch={epoch} attempt={attempt}"),
        field("owner", owner.as_deref()),
        field("stalled", Some(stalled).filter(|claims| **claims > 0)),
        field("entity", entity.as_deref()),
        field("company", company.as_deref()),
        field("external_id", external_id.as_deref()),
        format!("by={enqueued_by}"),
        match payload {
            PayloadAt::Inline => format!("inline={bytes}"),
            PayloadAt::Blob(key) => format!("blob={}/{bytes}", names.upload(&key.0)),
        },
        durability.as_str().to_owned(),
        field("parent", parent.map(|id| names.message(id.0))),
        field("forced", forced.then_some("yes")),
        field("execution", execution.as_ref().map(|_| "yes")),
        format!("enqueued={enqueued_at}"),
        field("dequeued", *last_dequeued_at),
        field("lease", *lease_until),
        field("not_before", *not_before),
        field("expires", *expires_at),
        field("started", *started_at),
        field("finished", *finished_at),
        field("failure", failure.as_ref().map(|failure| failure.code.as_str())),
        field("first_error", first_error.as_deref()),
        field("last_error", last_error.as_deref()),
        counts_words(counts),
        field("repaired", (*repaired > 0).then_some(repaired)),
    ]
}

fn counts_words(counts: &Counts) -> String {
    let Counts {
        read,
        inserted,
        updated,
        unchanged,
        deleted,
        rejected,
        skipped,
    } = counts;
    [
        ("read", read),
        ("inserted", inserted),
        ("updated", updated),
        ("unchanged", unchanged),
        ("deleted", deleted),
        ("rejected", rejected),
        ("skipped", skipped),
    ]
    .into_iter()
    .filter(|(_, count)| **count > 0)
    .map(|(name, count)| format!("{name}={count}"))
    .collect::<Vec<_>>()
    .join(" ")
}

fn occurrence_words(occurrence: &Occurrence, names: &mut Names) -> Vec<String> {
    let Occurrence {
        job,
        due_at,
        state,
        origin,
        trigger,
        comment,
        forced,
        epoch,
        attempt,
        execution,
        message,
        records,
        reason,
        note,
        not_before,
        // How long it took differs from run to run.
        started_at: _,
        written_at: _,
        stored_at: _,
        finished_at,
    } = occurrence;
    vec![
        format!("occurrence {} {due_at} {state}", names.job(job.0)),
        field("origin", Some(origin).filter(|origin| *origin != "schedule")),
        format!("trigger={trigger} epoch={epoch} attempt={attempt}"),
        field("comment", comment.as_deref().map(|comment| format!("{comment:?}"))),
        field("forced", forced.then_some("yes")),
        field("execution", execution.as_ref().map(|_| "yes")),
        field("message", message.map(|id| names.message(id.0))),
        field("records", *records),
        field("not_before", *not_before),
        field("reason", reason.as_deref()),
        field("note", note.as_deref().map(|note| format!("{note:?}"))),
        field("finished", *finished_at),
    ]
}

//! The service's answers, as far as the command line reads them. What it does not read it passes on untouched.

mod bulk;
mod deliveries;
mod history;
mod processes;
mod rates;
mod runs;
mod webhooks;

use serde::Deserialize;
use serde_json::Value;

use super::Exit;
use crate::domain::status::Status;

pub use bulk::{Counted, FailedMessage, FailureGroups, Report};
pub use deliveries::{Delivery, DeliveryPage, LastAnswer};
pub use history::{RunHistory, RunList, RunMessage, RunPackage, RunPosition, WhyEmpty};
pub use processes::{Process, ProcessList};
pub use rates::{Rates, Traffic};
pub use runs::{Backfill, MissedRange, Occurrence, Pause, Preview, Run, Schedule, Upcoming};
pub use webhooks::{Webhook, WebhookPage};

/// An answer: what was sent, for `--json`, and what we read in it.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// The service's JSON, untouched.
    pub raw: Value,
    /// The part the command line reads.
    pub body: T,
}

/// A message's status body.
#[derive(Debug, Clone, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Name of its job.
    #[serde(default)]
    pub job: String,
    /// `import`, `export` or `relay`.
    #[serde(default)]
    pub direction: String,
    /// One of the words of [`Status`].
    pub status: String,
    /// Until when it is out with somebody.
    #[serde(default)]
    pub lease_until: Option<String>,
    /// Whether nothing more happens to it by itself.
    #[serde(default, rename = "final")]
    pub is_final: Option<bool>,
    /// Digest of its payload, as RFC 9530 writes it.
    #[serde(default)]
    pub digest: Option<String>,
    /// Size of its payload.
    #[serde(default)]
    pub bytes: u64,
    /// How safe it was when its enqueue was answered.
    #[serde(default)]
    pub durability: Option<String>,
    /// How often it was taken.
    #[serde(default)]
    pub attempt: u64,
    /// When it was enqueued.
    #[serde(default)]
    pub enqueued_at: Option<String>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<String>,
    /// Free text of the sender, usually the file name.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Records by outcome.
    #[serde(default)]
    pub records: Records,
    /// Rejected records by cause.
    #[serde(default)]
    pub errors: Vec<Cause>,
    /// Why it failed as a whole.
    #[serde(default)]
    pub failure: Option<Reason>,
    /// Its executions.
    #[serde(default)]
    pub executions: Vec<Execution>,
    /// Where to go from here.
    #[serde(default)]
    pub links: Links,
}

impl Message {
    /// Whether nothing more happens to it by itself.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.is_final
            .unwrap_or_else(|| Status::parse(&self.status).is_some_and(Status::is_final))
    }

    /// How a command that reports this message ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match Status::parse(&self.status) {
            Some(Status::ProcessedWithErrors) => Exit::Rejected,
            Some(Status::Staged) if self.records.rejected > 0 => Exit::Rejected,
            Some(
                Status::PreProcessingError
                | Status::PostProcessingFailed
                | Status::Cancelled
                | Status::Expired
                | Status::DeadLettered,
            ) => Exit::MessageFailed,
            _ => Exit::Ok,
        }
    }
}

/// Records by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Records {
    /// Read from the file.
    pub read: u64,
    /// Landed.
    pub applied: u64,
    /// Landed as new.
    pub inserted: u64,
    /// Landed over an older one.
    pub updated: u64,
    /// There already, the same.
    pub unchanged: u64,
    /// Landed as deletions.
    pub deleted: u64,
    /// Refused.
    pub rejected: u64,
    /// Not attempted.
    pub skipped: u64,
    /// Refused here, landed by a descendant.
    pub repaired: u64,
}

impl Records {
    /// Whether every record read has exactly one outcome (promise 4).
    #[must_use]
    pub fn conserved(&self) -> bool {
        let applied = self.inserted + self.updated + self.unchanged + self.deleted;
        self.applied == applied && self.read == applied + self.rejected + self.skipped
    }
}

/// Rejected records with the same cause.
#[derive(Debug, Clone, Deserialize)]
pub struct Cause {
    /// Stable code.
    pub code: String,
    /// The field at fault.
    #[serde(default)]
    pub field: Option<String>,
    /// How many records.
    #[serde(default)]
    pub count: u64,
    /// How many values they have between them.
    #[serde(default)]
    pub distinct_values: u64,
    /// One of them.
    #[serde(default)]
    pub sample: Option<RecordError>,
}

/// What is wrong with one record.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct RecordError {
    /// The id it carries in rejects files.
    pub reject: Option<String>,
    /// Record number, from 1.
    pub record: Option<u64>,
    /// Line in the file, from 1.
    pub line: Option<u64>,
    /// Column in the file, from 1.
    pub column: Option<u64>,
    /// The field at fault.
    pub field: Option<String>,
    /// Stable code.
    pub code: Option<String>,
    /// The offending value.
    pub value: Option<String>,
    /// A sentence a person understands.
    pub reason: Option<String>,
    /// The message whose correction of the record landed.
    #[serde(default)]
    pub repaired_by: Option<String>,
}

/// A page of [`RecordError`].
#[derive(Debug, Clone, Deserialize)]
pub struct RecordErrors {
    /// The page.
    pub errors: Vec<RecordError>,
    /// Where the next page begins.
    #[serde(default)]
    pub next: Option<Value>,
}

/// Why something failed as a whole.
#[derive(Debug, Clone, Deserialize)]
pub struct Reason {
    /// Stable code.
    pub code: String,
    /// What happened and what to do.
    #[serde(default)]
    pub detail: String,
}

/// One run over a message.
#[derive(Debug, Clone, Deserialize)]
pub struct Execution {
    /// Per entity.
    #[serde(default)]
    pub entities: Vec<ExecutionEntity>,
}

/// One entity of an execution.
#[derive(Debug, Clone, Deserialize)]
pub struct ExecutionEntity {
    /// Its label.
    #[serde(default)]
    pub entity: String,
    /// Rows deleted from the target before the first record landed.
    #[serde(default)]
    pub truncated: u64,
    /// Source to staging.
    #[serde(default)]
    pub staging: Phase,
    /// Staging to target.
    #[serde(default)]
    pub target: Phase,
    /// What somebody may want to look at although nothing failed.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// One phase of an execution.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Phase {
    /// Where it stands.
    pub status: String,
    /// Records that came to it (staging).
    pub records: u64,
    /// Landed as new (target).
    pub inserted: u64,
    /// Landed over an older one (target).
    pub updated: u64,
    /// Refused in it.
    pub errors: u64,
}

/// Where to go from a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Links {
    /// The message it corrects.
    pub parent: Option<String>,
    /// Messages that correct it.
    pub children: Vec<String>,
}

/// A page of messages.
#[derive(Debug, Clone, Deserialize)]
pub struct MessagePage {
    /// The page, newest first.
    pub messages: Vec<Message>,
}

/// How many messages a job has that have not ended.
#[derive(Debug, Clone, Deserialize)]
pub struct Depth {
    /// Not handed out.
    pub waiting: u64,
    /// Handed out, or being worked on.
    pub leased: u64,
    /// On their way to destinations, where nobody collects them.
    #[serde(default)]
    pub delivering: Option<u64>,
    /// Since when the one waits that is offered next.
    #[serde(default)]
    pub oldest_enqueued_at: Option<String>,
}

/// A job.
#[derive(Debug, Clone, Deserialize)]
pub struct Job {
    /// Its activity id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `import`, `export` or `relay`.
    pub direction: String,
    /// `file`, or `project` where a package brought it along.
    #[serde(default)]
    pub origin: String,
    /// `file` or `package`.
    #[serde(default)]
    pub data_source: String,
    /// Labels of its entities.
    #[serde(default)]
    pub entities: Vec<String>,
    /// Who may use it.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Whether the `dev` client may use it.
    #[serde(default)]
    pub sample: bool,
    /// How many messages it has that have not ended.
    #[serde(default)]
    pub queue: Option<Depth>,
    /// When it runs.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// The pause it is in.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// Its latest occurrences.
    #[serde(default)]
    pub occurrences: Vec<Occurrence>,
    /// Long stretches of due times that did not run and are only counted.
    #[serde(default)]
    pub missed: Vec<MissedRange>,
}

/// All jobs this client may see.
#[derive(Debug, Clone, Deserialize)]
pub struct JobList {
    /// By name.
    pub jobs: Vec<Job>,
}

/// What came of reading the definitions again.
#[derive(Debug, Clone, Deserialize)]
pub struct Reloaded {
    /// Jobs in files.
    pub jobs: u64,
    /// Entities in files.
    pub entities: u64,
    /// Names that were not there before.
    pub added: Vec<String>,
    /// Names that stand for something else now.
    pub changed: Vec<String>,
    /// Names that are no longer there.
    pub removed: Vec<String>,
}

/// What a dequeue hands out (contract 3.3).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Dequeued {
    /// The message's id on this wire.
    pub correlation_id: String,
    /// Where the file is.
    #[serde(default)]
    pub download_location: Option<String>,
    /// Whether it is there.
    #[serde(default, rename = "IsDownLoadFileExist")]
    pub file_exists: bool,
    /// Why it is not.
    #[serde(default, rename = "FileDownLoadErrorMessage")]
    pub file_error: Option<String>,
    /// When it was handed out before.
    #[serde(default, rename = "LastDequeueDateTime")]
    pub last_dequeued_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: &Value) -> Message {
        serde_json::from_value(body.clone()).expect("a status body")
    }

    #[test]
    fn the_outline_in_the_design_is_read() {
        let read = message(&serde_json::json!({
            "id": "m", "job": "Inbound sales orders", "status": "ProcessedWithErrors", "digest": "sha-256=:x:",
            "bytes": 131_412, "durability": "full", "enqueued_at": "2026-11-20T10:00:00Z", "attempt": 1,
            "records": {"read": 830, "applied": 827, "inserted": 827, "updated": 0, "unchanged": 0, "deleted": 0,
                        "rejected": 3, "skipped": 0, "repaired": 0},
            "executions": [{"id": "e", "entities": [{"entity": "Sales order headers",
                "staging": {"status": "Finished", "records": 830, "errors": 2},
                "target": {"status": "Finished", "inserted": 827, "updated": 0, "errors": 1}}]}],
            "errors": [{"code": "reference_missing", "count": 1,
                        "sample": {"record": 17, "line": 18, "field": "customer_account", "value": "ZZZZZ"}}],
            "failure": null, "links": {"rejects": "x", "parent": null, "children": []}
        }));
        assert!(read.ended());
        assert_eq!(read.exit(), Exit::Rejected);
        assert!(read.records.conserved());
        assert_eq!(read.errors[0].sample.as_ref().and_then(|s| s.line), Some(18));
        assert_eq!(read.executions[0].entities[0].staging.errors, 2);
    }

    #[test]
    fn the_exit_code_follows_the_status() {
        for status in Status::ALL {
            let read = message(&serde_json::json!({"id": "m", "status": status.as_str()}));
            assert_eq!(read.ended(), status.is_final(), "{status}");
            let want = match status {
                Status::ProcessedWithErrors => Exit::Rejected,
                Status::Processed | Status::Staged | Status::Acked => Exit::Ok,
                final_one if final_one.is_final() => Exit::MessageFailed,
                _ => Exit::Ok,
            };
            assert_eq!(read.exit(), want, "{status}");
        }
    }

    #[test]
    fn a_record_without_an_outcome_is_noticed() {
        let mut records = Records {
            read: 3,
            applied: 2,
            inserted: 2,
            rejected: 1,
            ..Records::default()
        };
        assert!(records.conserved());
        records.read = 4;
        assert!(!records.conserved());
    }

    #[test]
    fn a_dequeue_answer_is_read_with_its_odd_casing() {
        let read: Dequeued = serde_json::from_value(serde_json::json!({
            "CorrelationId": "0f7d5f53-51e8-4a0c-9b0b-2a4ad0a4a1b2", "PopReceipt": "AgAAAA==",
            "DownloadLocation": "http://h/d", "IsDownLoadFileExist": true, "FileDownLoadErrorMessage": "",
            "LastDequeueDateTime": null
        }))
        .expect("a dequeue answer");
        assert!(read.file_exists);
        assert_eq!(read.download_location.as_deref(), Some("http://h/d"));
    }
}

//! `tranship messages`: look at messages, take rejected records out, send them back corrected.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::answers::{MessagePage, RecordErrors};
use super::api::Api;
use super::connection::{Connection, name_or_id};
use super::progress::{self, Cleared};
use super::screen::{Screen, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure, push, show, status};
use crate::domain::ids::MessageId;

/// List messages, take their rejected records out and send them back corrected
#[derive(Debug, Subcommand)]
pub enum Messages {
    /// List messages, newest first
    List {
        /// Only of this job (name or activity id)
        #[arg(long, value_name = "JOB", value_parser = name_or_id)]
        job: Option<String>,
        /// Only in this status, e.g. `ProcessedWithErrors`
        #[arg(long, value_name = "STATUS", value_parser = status_word)]
        status: Option<String>,
        /// Only those before this message (the `next` of an earlier page)
        #[arg(long, value_name = "ID", value_parser = message_id)]
        before: Option<String>,
        /// How many, 1 to 200
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show everything about a message
    Show {
        /// The message's id
        #[arg(value_name = "ID", value_parser = name_or_id)]
        message: String,
        /// List every rejected record, not only one sample of each cause
        #[arg(long)]
        errors: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Write the rejected records in the format they came in, each with its reject id and error
    Rejects {
        /// The message's id
        #[arg(value_name = "ID", value_parser = name_or_id)]
        message: String,
        /// Write to this file, which must not exist; standard output unless given
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a corrected rejects file back; it becomes a child of the message
    Resubmit {
        /// The id of the message the records were rejected from
        #[arg(value_name = "ID", value_parser = name_or_id)]
        message: String,
        /// The corrected file; leave the `_reject_id` column as it is
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Let the records count even where a newer message wrote their keys (`superseded`)
        #[arg(long)]
        force: bool,
        /// Stay until the child has ended, and show how
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Messages {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection, .. }
            | Self::Show { connection, .. }
            | Self::Rejects { connection, .. }
            | Self::Resubmit { connection, .. } => connection,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let api = self.connection().open()?;
        match self {
            Self::List {
                job,
                status,
                before,
                limit,
                ..
            } => {
                let limit = limit.to_string();
                let filters = [
                    ("job", job.as_deref()),
                    ("status", status.as_deref()),
                    ("before", before.as_deref()),
                    ("limit", Some(limit.as_str())),
                ];
                list(&api, screen, &filters).await
            }
            Self::Show { message, errors, .. } => show(&api, screen, &message, errors).await,
            Self::Rejects { message, out, .. } => rejects(&api, screen, &message, out.as_deref()).await,
            Self::Resubmit {
                message,
                file,
                force,
                wait,
                ..
            } => {
                let query: &[_] = if force { &[("force", "true")] } else { &[] };
                let to = api.at(&["api", "v1", "messages", &message, "resubmit"], query);
                let child = push::send_file(&api, screen, &file, to, None).await?;
                status::follow(&api, screen, child, wait).await
            }
        }
    }
}

fn message_id(text: &str) -> Result<String, String> {
    let id = text.parse::<MessageId>().map_err(|error| error.to_string())?;
    Ok(id.to_string())
}

fn status_word(text: &str) -> Result<String, String> {
    use crate::domain::status::Status;
    Status::ALL
        .into_iter()
        .map(Status::as_str)
        .find(|word| word.eq_ignore_ascii_case(text))
        .map(str::to_owned)
        .ok_or_else(|| format!("one of {}", Status::ALL.map(Status::as_str).join(", ")))
}

async fn list(api: &Api, screen: &Screen, filters: &[(&str, Option<&str>)]) -> Result<Exit, Failure> {
    let query: Vec<_> = filters
        .iter()
        .filter_map(|(key, value)| value.map(|value| (*key, value)))
        .collect();
    let answer = api.get::<MessagePage>(&["api", "v1", "messages"], &query).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else if answer.body.messages.is_empty() {
        screen.note("No message fits.");
    } else {
        show::messages(screen, &answer.body.messages);
        if let Some(next) = answer.raw.get("next").and_then(serde_json::Value::as_str) {
            screen.note(format!("There are more: add --before {}", plain(next)));
        }
    }
    Ok(Exit::Ok)
}

async fn show(api: &Api, screen: &Screen, message: &str, every_error: bool) -> Result<Exit, Failure> {
    let mut answer = api.message(message).await?;
    if screen.is_json() && !every_error {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    if !screen.is_json() {
        if every_error {
            answer.body.errors.clear();
        }
        show::message(screen, &answer.body);
    }
    if every_error {
        list_errors(api, screen, message).await?;
    }
    Ok(Exit::Ok)
}

async fn list_errors(api: &Api, screen: &Screen, message: &str) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let query: Vec<_> = after.iter().map(|after: &String| ("after", after.as_str())).collect();
        let page = api
            .get::<RecordErrors>(&["api", "v1", "messages", message, "errors"], &query)
            .await?;
        if screen.is_json() {
            // One record per line, so that a million of them can be piped on.
            for error in page
                .raw
                .get("errors")
                .and_then(serde_json::Value::as_array)
                .into_iter()
                .flatten()
            {
                screen.json(error);
            }
        } else {
            for error in &page.body.errors {
                let code = error.code.as_deref().unwrap_or("unknown");
                screen.line(format!("  {}  {}", plain(code), show::record_error(error)));
            }
        }
        after = page.body.next.and_then(cursor);
        if after.is_none() {
            return Ok(());
        }
    }
}

/// A page's cursor, text or number, as it goes into the next query.
fn cursor(next: serde_json::Value) -> Option<String> {
    match next {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

async fn rejects(api: &Api, screen: &Screen, message: &str, out: Option<&Path>) -> Result<Exit, Failure> {
    let from = api.at(&["api", "v1", "messages", message, "rejects"], &[]);
    let response = api.open(from).await?;
    let mut body = response.bytes_stream();
    let broken = |error: reqwest::Error| Failure::new(Exit::Unreachable, format!("the connection broke: {error}"));
    let Some(path) = out else {
        while let Some(chunk) = body.next().await {
            screen.write(&chunk.map_err(broken)?);
        }
        return Ok(Exit::Ok);
    };
    let unwritable = |error: std::io::Error| {
        let failure = Failure::file("write", path, &error);
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            failure.cure("It may hold your corrections: name another file, or move it away.")
        } else {
            failure
        }
    };
    let mut file = tokio::fs::File::create_new(path).await.map_err(unwritable)?;
    let bar = Cleared::from(progress::bytes(screen, "rejects", None));
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(broken)?;
        file.write_all(&chunk).await.map_err(unwritable)?;
        bar.inc(chunk.len() as u64);
    }
    file.sync_all().await.map_err(unwritable)?;
    drop(bar);
    screen.note(format!(
        "{} written. Correct it, leave `_reject_id` as it is, then: {} messages resubmit {} {} --wait",
        path.display(),
        program(),
        quoted(message),
        quoted(&path.to_string_lossy())
    ));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_known_in_any_case_and_others_are_named() {
        assert_eq!(status_word("processedwitherrors").as_deref(), Ok("ProcessedWithErrors"));
        assert!(
            status_word("Executing")
                .expect_err("no status")
                .contains("PostProcessingFailed")
        );
    }

    #[test]
    fn a_cursor_may_be_text_or_number() {
        assert_eq!(cursor(serde_json::json!("a")), Some("a".to_owned()));
        assert_eq!(cursor(serde_json::json!(17)), Some("17".to_owned()));
        assert_eq!(cursor(serde_json::Value::Null), None);
    }
}

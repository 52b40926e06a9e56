//! `tranship messages`: look at messages, try them again, cancel them, take rejected records out, send them back corrected.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::answers::RecordErrors;
use super::api::Api;
use super::bulk::{Bulk, Filters, How, message_id};
use super::connection::Connection;
use super::correction;
use super::progress::{self, Cleared};
use super::screen::{Screen, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure, push, show, status};

/// List messages, try them again, cancel them, take their rejected records out and send them back corrected
#[derive(Debug, Subcommand)]
pub enum Messages {
    /// List messages, newest first
    List {
        #[command(flatten)]
        filters: Filters,
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
        #[arg(value_name = "ID", value_parser = message_id)]
        message: String,
        /// List every rejected record, not only one sample of each cause
        #[arg(long)]
        errors: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Put messages that ended without success back into their queues: those named, or all like this
    Retry {
        /// Their ids
        #[arg(value_name = "ID", value_parser = message_id)]
        ids: Vec<String>,
        #[command(flatten)]
        filters: Filters,
        /// Offer so many a second, instead of all at once
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate: Option<u32>,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        connection: Connection,
    },
    /// Cancel messages that have not ended: those named, or all like this
    Cancel {
        /// Their ids
        #[arg(value_name = "ID", value_parser = message_id)]
        ids: Vec<String>,
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        connection: Connection,
    },
    /// Write the rejected records in the format they came in, each with its reject id and error
    Rejects {
        /// The message's id
        #[arg(value_name = "ID", value_parser = message_id)]
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
        #[arg(value_name = "ID", value_parser = message_id)]
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
            | Self::Retry { connection, .. }
            | Self::Cancel { connection, .. }
            | Self::Rejects { connection, .. }
            | Self::Resubmit { connection, .. } => connection,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let api = self.connection().open()?;
        match self {
            Self::List {
                filters, before, limit, ..
            } => {
                let limit = limit.to_string();
                let mut query = filters.pairs();
                query.extend(before.as_deref().map(|before| ("before", before)));
                query.push(("limit", &limit));
                show::message_page(&api, screen, ["messages", "--before"], "No message fits.", &query).await
            }
            Self::Retry {
                ids,
                filters,
                rate,
                how,
                ..
            } => {
                let bulk = Bulk {
                    action: "retry",
                    ids: &ids,
                    filters: &filters,
                    per_second: rate,
                    how: &how,
                };
                bulk.run(&api, screen).await
            }
            Self::Cancel { ids, filters, how, .. } => {
                let bulk = Bulk {
                    action: "cancel",
                    ids: &ids,
                    filters: &filters,
                    per_second: None,
                    how: &how,
                };
                bulk.run(&api, screen).await
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
                correction::insist_on_ids(&file, &message).await?;
                let query: &[_] = if force { &[("force", "true")] } else { &[] };
                let to = api.at(&["api", "v1", "messages", &message, "resubmit"], query);
                let child = push::send_file(&api, screen, &file, to, None).await?;
                status::follow(&api, screen, child, wait).await
            }
        }
    }
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
    fn a_cursor_may_be_text_or_number() {
        assert_eq!(cursor(serde_json::json!("a")), Some("a".to_owned()));
        assert_eq!(cursor(serde_json::json!(17)), Some("17".to_owned()));
        assert_eq!(cursor(serde_json::Value::Null), None);
    }
}

//! `tranship push`: a file into a job's queue, streamed, with its digest computed on the way and compared at the end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;
use url::Url;

use super::answers::{Answer, Message};
use super::api::Api;
use super::connection::{Connection, name_or_id};
use super::progress::{self, Cleared};
use super::screen::{Screen, plain};
use super::{Exit, Failure, status};
use crate::domain::message::Digest;

/// Bytes read from the file at a time.
const READ_BYTES: usize = 64 * 1024;

/// Send a file to a job
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Prints the message's id. With --wait the exit code follows its end: 0 all landed, 3 some records rejected, 4 failed.

Examples:
  tranship push orders.csv --job \"Inbound sales orders\" --wait
  id=$(tranship push orders.csv --job \"Inbound sales orders\")
  tranship push orders.csv --job \"Inbound sales orders\" --key \"orders of $(date -I)\"")]
pub struct Push {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name or activity id of the job
    #[arg(long, value_name = "JOB", value_parser = name_or_id)]
    job: String,
    /// Label of the entity, for a job with more than one
    #[arg(long, value_name = "LABEL")]
    entity: Option<String>,
    /// Company the records belong to
    #[arg(long, value_name = "COMPANY")]
    company: Option<String>,
    /// A text of your own to find the message by; the file's name unless given
    #[arg(long, value_name = "TEXT")]
    external_id: Option<String>,
    /// Send it once: the same file with the same key, however often, is one message
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// How soon it is offered, from -100 to 100; the job's unless given
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-100..=100))]
    priority: Option<i32>,
    /// Do not offer it before this many seconds have passed; the job's delay unless given
    #[arg(long, value_name = "SECONDS")]
    delay: Option<u32>,
    /// Stay until it has ended, and show how
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Push {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let api = self.connection.open()?;
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let (priority, delay) = (self.priority, self.delay);
        let (priority, delay) = (priority.map(|n| n.to_string()), delay.map(|n| n.to_string()));
        let mut query = Vec::new();
        for (key, value) in [
            ("entity", self.entity.as_deref()),
            ("company", self.company.as_deref()),
            ("external_id", self.external_id.as_deref().or(name.as_deref())),
            ("priority", priority.as_deref()),
            ("delay_seconds", delay.as_deref()),
        ] {
            query.extend(value.map(|value| (key, value)));
        }
        let to = api.at(&["api", "v1", "jobs", &self.job, "messages"], &query);
        let enqueued = send_file(&api, screen, &self.file, to, self.key.as_deref()).await?;
        status::follow(&api, screen, enqueued, self.wait).await
    }
}

/// Streams a file to an address that answers with a message, and checks that the service stored what was sent. `key`: the same
/// again is not another message.
///
/// # Errors
/// [`Exit::Failed`] when the file cannot be read, or the service states another digest; whatever it answers but 2xx.
pub(super) async fn send_file(
    api: &Api,
    screen: &Screen,
    path: &Path,
    to: Url,
    key: Option<&str>,
) -> Result<Answer<Message>, Failure> {
    let unreadable = |error: std::io::Error| Failure::file("read", path, &error);
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let facts = file.metadata().await.map_err(unreadable)?;
    if facts.is_dir() {
        return Err(Failure::usage(format!(
            "{} is a folder; one file is sent at a time",
            path.display()
        )));
    }
    if !facts.is_file() {
        return Err(Failure::usage(format!("{} is not a file", path.display()))
            .cure("Write it to a file first: its length is sent before its bytes."));
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let bar = Cleared::from(progress::bytes(screen, &name, Some(facts.len())));
    let hash = Arc::new(Mutex::new(Sha256::new()));
    let stream = {
        let (bar, hash) = (bar.clone(), Arc::clone(&hash));
        // A file that grows while it is sent ends where it ended when it was opened.
        ReaderStream::with_capacity(file.take(facts.len()), READ_BYTES).inspect(move |chunk| {
            if let Ok(chunk) = chunk {
                bar.inc(chunk.len() as u64);
                hash.lock().unwrap_or_else(PoisonError::into_inner).update(chunk);
            }
        })
    };
    let body = reqwest::Body::wrap_stream(stream);
    let answer = api.upload(to, facts.len(), body, key).await?;
    let sent = Digest(
        hash.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .finalize()
            .into(),
    );
    confirm(&answer.body, sent)?;
    Ok(answer)
}

/// The service must have stored the bytes that were sent.
fn confirm(message: &Message, sent: Digest) -> Result<(), Failure> {
    let sent = sent.content_digest();
    match message.digest.as_deref() {
        Some(stored) if stored == sent => Ok(()),
        stored => Err(Failure::failed(format!(
            "message {} was stored with another digest than was sent: stored {}, sent {sent}",
            plain(&message.id),
            plain(stored.unwrap_or("none")),
        ))
        .cure("Something between here and the service changes what it carries; do not rely on this message.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stored_with_another_digest_is_a_failure() {
        let sent = Digest(Sha256::digest(b"a").into());
        let message = |digest: &str| -> Message {
            serde_json::from_value(serde_json::json!({"id": "m", "status": "Enqueued", "digest": digest}))
                .expect("a status body")
        };
        assert_eq!(confirm(&message(&sent.content_digest()), sent), Ok(()));
        let other = Digest(Sha256::digest(b"b").into()).content_digest();
        assert_eq!(
            confirm(&message(&other), sent).expect_err("another digest").exit,
            Exit::Failed
        );
    }
}

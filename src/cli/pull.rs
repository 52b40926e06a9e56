//! `tranship pull`: collect what a job has queued.
//!
//! Order is everything: download under a temporary name, verify the stated digest, sync, rename, sync the folder, and only
//! then acknowledge. Whatever breaks before the last step, the message is offered again.

mod name;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use futures_util::StreamExt as _;
use reqwest::header::HeaderMap;
use sha2::{Digest as _, Sha256};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use self::name::{ZIP_MAGIC, extension, file_name, stated_extension};
use super::answers::{Job, MessagePage};
use super::api::{Api, Delivery};
use super::connection::{Connection, name_or_id};
use super::progress::{self, Cleared};
use super::screen::{Screen, counted, plain};
use super::{Exit, Failure};
use crate::domain::ids::CorrelationId;
use crate::domain::message::Digest;

/// Most messages looked at to say what is out.
const OUT_MAX: &str = "200";

/// Collect what a job has queued
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every file is verified against the digest the service states. Without --ack a message is offered again when its lease
ends; with it the message is acknowledged once its file is safely on disk. With --json there is one line per file.

Examples:
  tranship pull --job \"Nightly sales orders\" --out inbox --ack")]
pub struct Pull {
    /// Name or activity id of the job
    #[arg(long, value_name = "JOB", value_parser = name_or_id)]
    job: String,
    /// Folder for the files; made when it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Acknowledge each message once its file is safely on disk
    #[arg(long)]
    ack: bool,
    /// Stop after this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Pull {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let api = self.connection.open()?;
        let job = api.job(&self.job).await?.body;
        fs::create_dir_all(&self.out)
            .await
            .map_err(|error| Failure::file("make", &self.out, &error))?;
        let (mut collected, mut missing) = (0, 0);
        while self.max.is_none_or(|max| collected + missing < max) {
            let Some(delivery) = api.dequeue(&job.id).await? else {
                break;
            };
            if !delivery.body.file_exists {
                missing += 1;
                let reason = delivery.body.file_error.as_deref().unwrap_or("no reason given");
                screen.note(format!(
                    "{}: there is no file: {}",
                    plain(&delivery.body.correlation_id),
                    plain(reason)
                ));
                continue;
            }
            let file = collect(&api, screen, &job, &delivery, &self.out).await?;
            if self.ack {
                api.acknowledge(&job.id, &delivery).await?;
            }
            collected += 1;
            tell(screen, &file, self.ack);
        }
        if collected == 0 && missing == 0 {
            screen.note(nothing(&api, &job).await);
        } else if collected > 0 && !self.ack {
            screen.note("Not acknowledged: offered again when the lease ends. Use --ack to be done with them.");
        }
        Ok(if missing == 0 { Exit::Ok } else { Exit::Failed })
    }
}

/// What to say when the queue gives nothing: it may be empty, or everything in it may be out with somebody.
async fn nothing(api: &Api, job: &Job) -> String {
    let mut out = Vec::new();
    for status in ["Dequeued", "Downloaded"] {
        let query = [("job", job.id.as_str()), ("status", status), ("limit", OUT_MAX)];
        // It only explains; without it the answer is the same.
        if let Ok(page) = api.get::<MessagePage>(&["api", "v1", "messages"], &query).await {
            out.extend(page.body.messages.into_iter().map(|message| message.lease_until));
        }
    }
    explain_nothing(&job.name, &out)
}

fn explain_nothing(job: &str, out: &[Option<String>]) -> String {
    let mut text = format!("`{}` has nothing to collect.", plain(job));
    if out.is_empty() {
        return text;
    }
    let are = if out.len() == 1 { "is" } else { "are" };
    let _ = write!(text, " {} {are} out", counted(out.len() as u64, "message"));
    // Written alike, so the earliest time is the least text.
    if let Some(first) = out.iter().flatten().min() {
        let until = if out.len() == 1 {
            "until"
        } else {
            "with somebody, the first until"
        };
        let _ = write!(text, " {until} {}", plain(first));
    }
    text.push('.');
    text
}

/// A file on disk whose digest was verified.
#[derive(Debug)]
pub(super) struct Collected {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub digest: Digest,
    /// The message's id on the wire.
    pub correlation: CorrelationId,
    /// Whether the message had been handed out before.
    pub redelivered: bool,
}

fn tell(screen: &Screen, file: &Collected, acknowledged: bool) {
    if screen.is_json() {
        screen.json(&serde_json::json!({
            "file": file.path.to_string_lossy(), "bytes": file.bytes, "digest": file.digest.content_digest(),
            "correlation_id": file.correlation, "redelivered": file.redelivered, "acknowledged": acknowledged,
        }));
        return;
    }
    let mut text = format!(
        "{}  {}  sha-256 {}",
        file.path.display(),
        counted(file.bytes, "byte"),
        file.digest.hex()
    );
    if file.redelivered {
        text.push_str("  offered before");
    }
    if acknowledged {
        text.push_str("  acknowledged");
    }
    screen.line(text);
}

/// Downloads a delivery into the folder and verifies it. Does not acknowledge.
///
/// # Errors
/// [`Exit::Failed`] when the digest is missing or wrong, or the file cannot be written; nothing stays behind then.
pub(super) async fn collect(
    api: &Api,
    screen: &Screen,
    job: &Job,
    delivery: &Delivery,
    folder: &Path,
) -> Result<Collected, Failure> {
    let correlation: CorrelationId = delivery.body.correlation_id.parse().map_err(|_| {
        Failure::failed(format!(
            "`{}` is no correlation id; the file is not taken",
            plain(&delivery.body.correlation_id)
        ))
    })?;
    let part = folder.join(format!(".tranship-{correlation}.part"));
    let fetched = fetch(api, screen, job, delivery, &part).await;
    let Fetched {
        digest,
        bytes,
        extension,
    } = match fetched {
        Ok(fetched) => fetched,
        Err(failure) => {
            // It may not exist yet; a leftover is replaced by the next attempt.
            let _ = fs::remove_file(&part).await;
            return Err(failure);
        }
    };
    let path = folder.join(file_name(&job.name, correlation, &extension));
    let unwritable = |error: std::io::Error| Failure::file("write", &path, &error);
    fs::rename(&part, &path).await.map_err(unwritable)?;
    // A rename is on disk when its folder is.
    let entry = fs::File::open(folder).await.map_err(unwritable)?;
    entry.sync_all().await.map_err(unwritable)?;
    let redelivered = delivery
        .body
        .last_dequeued_at
        .as_deref()
        .is_some_and(|at| !at.is_empty());
    Ok(Collected {
        path,
        bytes,
        digest,
        correlation,
        redelivered,
    })
}

/// A file that arrived.
struct Fetched {
    digest: Digest,
    bytes: u64,
    extension: String,
}

/// Streams the file to `part`, verifies and syncs it.
async fn fetch(api: &Api, screen: &Screen, job: &Job, delivery: &Delivery, part: &Path) -> Result<Fetched, Failure> {
    let unwritable = |error: std::io::Error| Failure::file("write", part, &error);
    let response = api.download(delivery).await?;
    let stated = stated_digest(response.headers())?;
    let named = stated_extension(response.headers());
    let bar = Cleared::from(progress::bytes(screen, &job.name, response.content_length()));
    // A leftover of a broken attempt, or a link somebody put there: never written through.
    let _ = fs::remove_file(part).await;
    let mut file = fs::File::create_new(part).await.map_err(unwritable)?;
    let (mut hash, mut bytes, mut head) = (Sha256::new(), 0u64, Vec::new());
    let mut body = response.bytes_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format!("the download broke after {}: {error}", counted(bytes, "byte")),
            )
            .cure("Run it again: the message is offered again when its lease ends.")
        })?;
        if head.len() < ZIP_MAGIC.len() {
            head.extend(chunk.iter().take(ZIP_MAGIC.len() - head.len()));
        }
        hash.update(&chunk);
        bytes += chunk.len() as u64;
        bar.inc(chunk.len() as u64);
        file.write_all(&chunk).await.map_err(unwritable)?;
    }
    file.sync_all().await.map_err(unwritable)?;
    let digest = Digest(hash.finalize().into());
    if digest != stated {
        return Err(Failure::failed(format!(
            "message {}: the {} that arrived are not what the service stated: got sha-256 {}, stated {}",
            plain(&delivery.body.correlation_id),
            counted(bytes, "byte"),
            digest.hex(),
            stated.hex()
        ))
        .cure("Nothing was kept and nothing acknowledged; the message is offered again when its lease ends."));
    }
    Ok(Fetched {
        digest,
        bytes,
        extension: named.unwrap_or_else(|| extension(&job.direction, &head).to_owned()),
    })
}

/// The SHA-256 in `Content-Digest` (RFC 9530).
fn stated_digest(headers: &HeaderMap) -> Result<Digest, Failure> {
    let header = headers.get("content-digest").and_then(|value| value.to_str().ok());
    header.and_then(parse_digest).ok_or_else(|| {
        Failure::failed("the service stated no SHA-256 digest for the file, so it cannot be verified and is not taken")
            .cure("A Tranship service states it in `Content-Digest`; does something in between drop that header?")
    })
}

/// The SHA-256 among the members of a `Content-Digest` value.
pub(super) fn parse_digest(value: &str) -> Option<Digest> {
    value.split(',').find_map(|member| {
        let (algorithm, digest) = member.trim().split_once('=')?;
        if !algorithm.eq_ignore_ascii_case("sha-256") {
            return None;
        }
        let text = digest.strip_prefix(':')?.strip_suffix(':')?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
        Some(Digest(bytes.try_into().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_queue_is_told_from_one_whose_messages_are_out() {
        assert_eq!(explain_nothing("J", &[]), "`J` has nothing to collect.");
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(
            explain_nothing("J", &[at("2026-01-01T03:25:00Z")]),
            "`J` has nothing to collect. 1 message is out until 2026-01-01T03:25:00Z."
        );
        assert!(
            explain_nothing("J", &[at("b"), at("a")]).ends_with("2 messages are out with somebody, the first until a.")
        );
    }

    #[test]
    fn only_a_guid_is_taken_as_a_correlation_id() {
        assert!("../../x".parse::<CorrelationId>().is_err());
        assert!(
            "{0f7d5f53-51e8-4a0c-9b0b-2a4ad0a4a1b2}"
                .parse::<CorrelationId>()
                .is_ok()
        );
    }

    #[test]
    fn the_sha_256_is_found_among_other_digests() {
        let digest = Digest(Sha256::digest(b"cargo").into());
        let stated = digest.content_digest();
        assert_eq!(parse_digest(&stated), Some(digest));
        assert_eq!(parse_digest(&format!("sha-512=:AAAA:, {stated}")), Some(digest));
        for bad in ["", "sha-256", "sha-256=:AAAA:", "sha-256=AAAA", "sha-512=:AAAA:"] {
            assert_eq!(parse_digest(bad), None, "{bad}");
        }
    }
}

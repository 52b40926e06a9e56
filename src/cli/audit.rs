//! `tranship audit`: who did what, and whether the log of it is whole. Works on the store itself, so that it needs no client.

use chrono::DateTime;
use clap::Subcommand;
use serde_json::json;

use super::screen::{Screen, Tone, count, plain};
use super::settings::Settings;
use super::shell::program;
use super::store::{open, refusal};
use super::{Exit, Failure};
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::time::Timestamp;
use crate::http::audit::{shown, verified_body};
use crate::storage::audit::{AuditEntry, AuditFilter, Verified};
use crate::storage::{Store, StoreError};

/// Entries verified between two looks at whether there are more.
const PORTION: u64 = 100_000;

/// See who did what, and whether the log of it is whole
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List what was done, newest first
    List {
        /// Only by this client or user
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        /// Only this action, e.g. job.pause
        #[arg(long, value_name = "ACTION", value_parser = action)]
        action: Option<Action>,
        /// Only to this: a job's activity id, a message's id, a client's name
        #[arg(long, value_name = "TARGET")]
        target: Option<String>,
        /// Only at this time or later (2026-01-31T18:00:00Z)
        #[arg(long, value_name = "TIME", value_parser = time)]
        from: Option<Timestamp>,
        /// Only before this time
        #[arg(long, value_name = "TIME", value_parser = time)]
        before: Option<Timestamp>,
        /// Only before this entry (the `next` of an earlier page)
        #[arg(long, value_name = "NUMBER")]
        before_entry: Option<i64>,
        /// How many, 1 to 500
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Recompute the chain of hashes, and name the first entry that does not fit
    Verify {
        /// An entry written down earlier that must still be there, as its number, a colon and its hash
        #[arg(long, value_name = "NUMBER:HASH", value_parser = head)]
        head: Option<(i64, String)>,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

fn action(word: &str) -> Result<Action, String> {
    Action::parse(word).ok_or_else(|| {
        let all: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        format!("it is one of {}", all.join(", "))
    })
}

fn time(text: &str) -> Result<Timestamp, String> {
    let parsed = DateTime::parse_from_rfc3339(text);
    let parsed = parsed.map(|at| Timestamp(at.timestamp_micros()));
    parsed.map_err(|_| "write it as 2026-01-31T18:00:00Z".to_owned())
}

fn head(text: &str) -> Result<(i64, String), String> {
    let wrong =
        || "write it as `tranship audit verify` prints it: 17:9f86d0…, the hash in 64 hexadecimal digits".to_owned();
    let (number, hash) = text.split_once(':').ok_or_else(wrong)?;
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match number.parse() {
        Ok(number) if is_hash => Ok((number, hash.to_ascii_lowercase())),
        _ => Err(wrong()),
    }
}

impl Audit {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Verify { json, .. } => *json,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::List {
                actor,
                action,
                target,
                from,
                before,
                before_entry,
                limit,
                settings,
                ..
            } => {
                let filter = AuditFilter {
                    actor,
                    action,
                    target,
                    from,
                    to: before,
                    before: before_entry,
                    without_access: false,
                };
                let store = open(settings.load()?).await?;
                let entries = store.audit_entries(&filter, limit).await;
                store.close().await;
                list(screen, &entries.map_err(|error| refusal(&error))?, limit);
                Ok(Exit::Ok)
            }
            Self::Verify { head, settings, .. } => {
                let store = open(settings.load()?).await?;
                let verified = verify(&store, head.as_ref()).await;
                store.close().await;
                let (verified, is_there) = verified.map_err(|error| refusal(&error))?;
                report(screen, &verified, head.as_ref().filter(|_| !is_there))
            }
        }
    }
}

fn list(screen: &Screen, entries: &[AuditEntry], limit: u32) {
    let next = entries.last().filter(|_| entries.len() == limit as usize);
    let next = next.map(|entry| entry.link.seq);
    if screen.is_json() {
        // Definitions may be elsewhere; an entry says itself what its job was called.
        let definitions = Definitions::default();
        let entries: Vec<_> = entries.iter().map(|entry| shown(&definitions, entry)).collect();
        screen.json(&json!({ "entries": entries, "next": next }));
        return;
    }
    if entries.is_empty() {
        screen.note("There are no such entries.");
        return;
    }
    let heading = ["entry", "at", "who", "from", "action", "target", "outcome", "detail"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(row));
    screen.table(&rows);
    if let Some(next) = next {
        screen.note(format!("More: {} audit list --before-entry {next}", program()));
    }
}

fn row(entry: &AuditEntry) -> Vec<String> {
    let link = &entry.link;
    vec![
        link.seq.to_string(),
        entry.at().wire(),
        plain(&link.actor),
        link.surface.replace('_', " "),
        plain(&link.action),
        plain(&link.target),
        link.outcome.clone(),
        plain(&link.detail),
    ]
}

/// The whole chain; and whether the entry that was written down is still in it.
async fn verify(store: &Store, head: Option<&(i64, String)>) -> Result<(Verified, bool), StoreError> {
    let mut all = store.verify_audit(None, PORTION).await?;
    while let Some(next) = all.next.filter(|_| all.fault.is_none()) {
        let more = store.verify_audit(Some(next), PORTION).await?;
        all.checked += more.checked;
        all.head = more.head.or(all.head);
        (all.fault, all.next) = (more.fault, more.next);
    }
    let is_there = match head {
        None => true,
        Some((number, hash)) => store.audit_holds(*number, hash).await?,
    };
    Ok((all, is_there))
}

fn report(screen: &Screen, verified: &Verified, missing: Option<&(i64, String)>) -> Result<Exit, Failure> {
    if screen.is_json() {
        let mut body = verified_body(verified);
        body["whole"] = (verified.fault.is_none() && missing.is_none()).into();
        body["missing_head"] = missing.map(|(number, _)| number).copied().into();
        screen.json(&body);
    }
    if let Some(fault) = &verified.fault {
        let failure = Failure::failed(format!("entry {} {}", fault.seq, fault.what));
        return Err(failure
            .cure("Somebody wrote into the table past the service, or the store was put together from two backups."));
    }
    if let Some((number, _)) = missing {
        return Err(Failure::failed(format!(
            "entry {number} is not the one that was written down, or is not there: the log was cut off or written anew"
        )));
    }
    if screen.is_json() {
        return Ok(Exit::Ok);
    }
    let Some(head) = &verified.head else {
        screen.line("There are no entries yet.");
        return Ok(Exit::Ok);
    };
    let first = verified.first.unwrap_or(1);
    let entries = if verified.checked == 1 { "entry" } else { "entries" };
    screen.line(format!(
        "{} {entries}, {first} to {}: the chain is whole.",
        count(verified.checked),
        head.seq
    ));
    screen.line(format!("{}:{}", head.seq, screen.paint(Tone::Strong, &head.hex())));
    screen.note(
        "Keep the last line elsewhere: `tranship audit verify --head` says later whether the log still holds it.",
    );
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_read_back() {
        let hash = "AB".repeat(32);
        assert_eq!(head(&format!("17:{hash}")), Ok((17, "ab".repeat(32))));
        for bad in ["17", "17:ab", &format!("x:{hash}"), &format!("17:{}", "zz".repeat(32))] {
            assert!(head(bad).is_err(), "{bad}");
        }
    }
}

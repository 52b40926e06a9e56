//! `tranship sandbox reset`.

use clap::Args;
use serde::Deserialize;

use super::at;
use crate::cli::api::Api;
use crate::cli::connection::Connection;
use crate::cli::screen::{Screen, counted, plain};
use crate::cli::{Exit, Failure};

/// Longest wait for a reset with its seed files.
const SECONDS_MAX: u64 = 3600;

/// Remove everything but clients, keys and definitions, and push the seed files anew
#[derive(Debug, Args)]
#[command(after_help = "\
Removes all messages with their payloads and history, positions, due times, faults and the journal, empties the business
tables that Tranship made (never others), and takes the clock back. Exit code 3 when seed records were rejected, 1 when a
seed file could not be pushed.")]
pub struct Reset {
    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Done {
    removed: Removed,
    tables: Vec<Table>,
    seeded: Vec<Seeded>,
}

#[derive(Debug, Deserialize)]
struct Removed {
    messages: u64,
    executions: u64,
    blobs: u64,
}

#[derive(Debug, Deserialize)]
struct Table {
    database: String,
    #[serde(rename = "table")]
    name: String,
    state: String,
    rows: u64,
}

#[derive(Debug, Deserialize)]
struct Seeded {
    job: String,
    file: String,
    status: Option<String>,
    applied: u64,
    rejected: u64,
    error: Option<String>,
}

impl Reset {
    pub(super) async fn run(self, screen: &Screen, api: &Api) -> Result<Exit, Failure> {
        let answer = api.post_within::<Done>(SECONDS_MAX, &at(&["reset"]), None).await?;
        if screen.is_json() {
            screen.json(&answer.raw);
        } else {
            print(screen, &answer.body);
        }
        let seeded = &answer.body.seeded;
        Ok(if seeded.iter().any(|one| one.error.is_some()) {
            Exit::Failed
        } else if seeded.iter().any(|one| one.rejected > 0) {
            Exit::Rejected
        } else {
            Exit::Ok
        })
    }
}

fn print(screen: &Screen, done: &Done) {
    let Removed {
        messages,
        executions,
        blobs,
    } = done.removed;
    screen.line(format!(
        "removed  {}, {}, {}",
        counted(messages, "message"),
        counted(executions, "execution"),
        counted(blobs, "blob")
    ));
    for table in &done.tables {
        let said = match table.state.as_str() {
            "emptied" => format!("emptied, {}", counted(table.rows, "row")),
            "left" => "left as it is: Tranship did not make it".to_owned(),
            _ => continue,
        };
        screen.line(format!(
            "table    {}.{}  {said}",
            plain(&table.database),
            plain(&table.name)
        ));
    }
    for seeded in &done.seeded {
        let said = match &seeded.error {
            Some(error) => plain(error),
            None => format!(
                "{}, {} applied, {} rejected",
                plain(seeded.status.as_deref().unwrap_or("unknown")),
                seeded.applied,
                seeded.rejected
            ),
        };
        screen.line(format!(
            "seed     {}  {}  {said}",
            plain(&seeded.job),
            plain(&seeded.file)
        ));
    }
}

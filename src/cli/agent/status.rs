//! `tranship agent --status`: how each folder stands, read from what the agent leaves on the disk.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::agent::config::AgentConfig;
use crate::agent::folder::{count, count_failed};
use crate::agent::journal::Journal;
use crate::agent::record::{Record, Stage};
use crate::agent::standing::{Standing, Standings};
use crate::cli::screen::{Screen, Tone, plain};
use crate::cli::{Exit, Failure};

/// One folder.
struct Row {
    name: String,
    /// Files in each of its folders; none where it cannot be read.
    counts: Vec<(&'static str, Option<u64>)>,
    in_flight: usize,
    standing: Standing,
}

/// Prints it.
///
/// # Errors
/// [`Exit::Failed`] when the journal cannot be read.
pub(super) fn print(screen: &Screen, config: &AgentConfig) -> Result<Exit, Failure> {
    let records = Journal::peek(&config.state_dir).map_err(|error| Failure::failed(error.to_string()))?;
    let rows = rows(config, &records, &Standings::peek(&config.state_dir));
    let running = Journal::is_taken(&config.state_dir);
    if screen.is_json() {
        let folders: Vec<_> = rows.iter().map(as_json).collect();
        screen.json(&json!({"running": running, "folders": folders}));
        return Ok(Exit::Ok);
    }
    screen.line(if running {
        "The agent is running."
    } else {
        "The agent is not running."
    });
    for row in &rows {
        show(screen, row);
    }
    Ok(Exit::Ok)
}

fn rows(config: &AgentConfig, records: &[Record], standings: &BTreeMap<String, Standing>) -> Vec<Row> {
    let in_flight = |name: &str| {
        let is_out = |record: &&Record| match record {
            Record::Parcel(parcel) => !matches!(parcel.stage, Stage::Over | Stage::Stopped { .. }),
            Record::Run(_) => !record.is_over(),
            Record::Delivery(_) | Record::Due { .. } => false,
        };
        records
            .iter()
            .filter(|record| record.flow() == name)
            .filter(is_out)
            .count()
    };
    let row = |name: &str, folders: Vec<(&'static str, &Path)>| Row {
        name: name.to_owned(),
        counts: folders
            .into_iter()
            .map(|(word, path)| match word {
                "error" => (word, count_failed(path)),
                _ => (word, count(path)),
            })
            .collect(),
        in_flight: in_flight(name),
        standing: standings.get(name).cloned().unwrap_or_default(),
    };
    let sends = config
        .sends
        .iter()
        .map(|send| row(&send.name, send.folders.each().to_vec()));
    let collects = config
        .collects
        .iter()
        .map(|collect| row(&collect.name, vec![("folder", collect.folder.as_path())]));
    sends.chain(collects).collect()
}

fn as_json(row: &Row) -> serde_json::Value {
    let files: BTreeMap<_, _> = row.counts.iter().copied().collect();
    json!({
        "name": row.name, "files": files, "in_flight": row.in_flight, "done": row.standing.done, "failed": row.standing.failed,
        "last_done": row.standing.last_done, "last_failure": row.standing.last_failure, "waits": row.standing.waits,
    })
}

fn show(screen: &Screen, row: &Row) {
    let counts: Vec<String> = row
        .counts
        .iter()
        .map(|(word, count)| count.map_or_else(|| format!("{word} ?"), |count| format!("{word} {count}")))
        .collect();
    let standing = &row.standing;
    screen.line(format!(
        "{}  {}, in flight {}; {} done, {} failed",
        screen.paint(Tone::Strong, &plain(&row.name)),
        counts.join(", "),
        row.in_flight,
        standing.done,
        standing.failed
    ));
    if let Some(event) = &standing.last_failure {
        screen.line(format!("  last failure  {}  {}", event.at.wire(), plain(&event.what)));
    }
    if let Some(wait) = &standing.waits {
        let until = wait
            .until
            .map_or_else(String::new, |until| format!(" until {}", until.wire()));
        screen.line(format!("  waits{until}  {}", plain(&wait.why)));
    }
}

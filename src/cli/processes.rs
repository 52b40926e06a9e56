//! `tranship processes`: which processes serve the store, and what they work on.

use super::answers::{Process, ProcessList};
use super::connection::Connection;
use super::screen::{Screen, plain};
use super::{Exit, Failure};

/// Show which processes serve the store, whether they live, and what they work on
#[derive(Debug, clap::Args)]
pub struct Processes {
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Processes {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let path = ["api", "v1", "processes"];
        let answer = self.connection.open()?.get::<ProcessList>(&path, &[]).await?;
        if screen.is_json() {
            screen.json(&answer.raw);
            return Ok(Exit::Ok);
        }
        let heads = ["process", "state", "slots taken", "has", "started", "seen", "version"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        rows.extend(answer.body.processes.iter().map(row));
        screen.table(&rows);
        Ok(Exit::Ok)
    }
}

fn row(process: &Process) -> Vec<String> {
    let or_none = |text: Option<&str>| plain(text.unwrap_or("-"));
    let slots = process.busy.zip(process.slots);
    let has = process.work.iter().map(|work| match (&work.message, &work.job) {
        (Some(message), _) => plain(message),
        (None, job) => or_none(job.as_deref()),
    });
    let has = has.collect::<Vec<_>>().join(", ");
    vec![
        plain(&process.name),
        plain(&process.state.replace('_', " ")),
        slots.map_or_else(|| "-".to_owned(), |(busy, slots)| format!("{busy} of {slots}")),
        if has.is_empty() { "-".to_owned() } else { has },
        or_none(process.started_at.as_deref()),
        or_none(process.seen_at.as_deref()),
        or_none(process.version.as_deref()),
    ]
}

//! `tranship jobs next`, `pause`, `resume` and `backfill`: what schedules will do, and what is done about them.

use clap::Args;
use serde_json::{Value, json};

use super::answers::{Backfill as Made, Preview, Upcoming};
use super::connection::{Connection, moment, name_or_id};
use super::screen::{Screen, counted, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure, show};

/// Run an export for due times of the past that have no run
#[derive(Debug, Args)]
pub struct Backfill {
    /// Name or activity id
    #[arg(value_parser = name_or_id)]
    job: String,
    /// First due time: a date, a time in the job's zone, or an instant
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: String,
    /// Last due time; a date counts to its end
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: String,
    /// Show what it would run, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Most runs, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Also due times that were skipped (missed, paused, in the way of another run)
    #[arg(long)]
    skipped: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Run them although the job is paused
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Backfill {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let asked = json!({
            "from": self.from,
            "to": self.to,
            "dry_run": self.dry_run,
            "limit": self.limit,
            "skipped": self.skipped,
            "note": self.note,
            "force": self.force,
        });
        let path = ["api", "v1", "jobs", &self.job, "backfill"];
        let answer = self.connection.open()?.post::<Made>(&path, Some(&asked)).await?;
        if screen.is_json() {
            screen.json(&answer.raw);
            return Ok(Exit::Ok);
        }
        let made = answer.body;
        for due in &made.due {
            screen.line(plain(due));
        }
        let what = if self.dry_run {
            "would run"
        } else {
            "will run, oldest first"
        };
        screen.note(format!("{} {what}.", counted(made.due.len() as u64, "due time")));
        if made.recorded_before > 0 {
            let skipped = if made.skipped_before > 0 {
                format!(
                    ", {} of them skipped then: --skipped runs those too",
                    made.skipped_before
                )
            } else {
                String::new()
            };
            screen.note(format!(
                "{} recorded before{skipped}.",
                counted(made.recorded_before, "due time")
            ));
        }
        if made.excluded > 0 {
            screen.note(format!("{} on excluded days.", counted(made.excluded, "due time")));
        }
        if let Some(next) = &made.next_from {
            screen.note(format!("There are more: go on with --from {}", plain(next)));
        } else if !self.dry_run && !made.due.is_empty() {
            screen.note(format!(
                "See how they go: {} jobs show {}",
                program(),
                quoted(&self.job)
            ));
        }
        Ok(Exit::Ok)
    }
}

pub(super) async fn next(
    screen: &Screen,
    connection: &Connection,
    job: &str,
    from: Option<&str>,
    limit: u32,
) -> Result<Exit, Failure> {
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(from.map(|from| ("from", from)));
    let path = ["api", "v1", "jobs", job, "next"];
    let answer = connection.open()?.get::<Preview>(&path, &query).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    let preview = answer.body;
    if let Some(pause) = &preview.paused {
        screen.note(format!("`{}` is paused {}.", plain(&preview.job), show::paused(pause)));
    }
    for upcoming in &preview.next {
        screen.line(line(upcoming));
    }
    if preview.next.is_empty() {
        let why = match (preview.time_zone.is_some(), preview.direction.as_str()) {
            (true, _) => "is never due again: its schedule is over",
            (false, "import") => "has no schedule: its messages are processed as they come",
            (false, "relay") => "has no schedule: its messages wait until somebody collects them",
            (false, _) => "has no schedule: it runs when asked",
        };
        screen.note(format!("`{}` {why}.", plain(&preview.job)));
    }
    Ok(Exit::Ok)
}

/// `2026-03-29T01:00:00Z  2026-03-29T03:00:00+02:00  the clock skips 02:30:00: …`
fn line(upcoming: &Upcoming) -> String {
    let mut words = vec![plain(&upcoming.due_at), plain(&upcoming.local)];
    if !upcoming.runs {
        words.push("does not run".to_owned());
    }
    if let Some(begins_at) = upcoming.begins_at.as_ref().filter(|at| **at != upcoming.due_at) {
        words.push(format!("begins {}", plain(begins_at)));
    }
    words.extend(upcoming.note.as_deref().map(plain));
    words.join("  ")
}

pub(super) async fn pause(
    screen: &Screen,
    connection: &Connection,
    job: &str,
    note: Option<String>,
) -> Result<Exit, Failure> {
    let asked = json!({ "note": note });
    let path = ["api", "v1", "jobs", job, "pause"];
    let answer = connection.open()?.post::<Value>(&path, Some(&asked)).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else {
        screen.line("paused");
        screen.note(format!(
            "What runs goes on; nothing begins until {} jobs resume {}",
            program(),
            quoted(job)
        ));
    }
    Ok(Exit::Ok)
}

pub(super) async fn resume(
    screen: &Screen,
    connection: &Connection,
    job: &str,
    missed: Option<String>,
) -> Result<Exit, Failure> {
    let asked = json!({ "missed": missed });
    let path = ["api", "v1", "jobs", job, "resume"];
    let answer = connection.open()?.post::<Value>(&path, Some(&asked)).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else {
        screen.line("resumed");
    }
    Ok(Exit::Ok)
}

//! `tranship jobs`: what there is to push to and to pull from, and when it runs.

use clap::Subcommand;
use serde_json::{Value, json};

use super::answers::{JobList, Reloaded, Run, RunHistory};
use super::connection::{Connection, moment, name_or_id};
use super::positions::{self, Rewind};
use super::schedules::{self, Backfill};
use super::screen::{Screen, counted, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure, runs, show, wait};

/// List, show, run, pause and resume jobs
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// List the jobs this client may use
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one job and its latest runs
    Show {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Run an export job now
    Run {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        /// Stay until the run is over, and show how it went
        #[arg(long)]
        wait: bool,
        /// Why, for the history
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Run it although the job is paused
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Delete a data project that a package brought along; jobs from files go with their files
    Delete {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show when a job runs next, and when it does not
    Next {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        /// From when on, instead of now: a date, a time in the job's zone, or an instant
        #[arg(long, value_name = "TIME", value_parser = moment)]
        from: Option<String>,
        /// How many runs, 1 to 1000
        #[arg(long, value_name = "N", default_value_t = 5)]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show what a job's latest runs did: phases, records, messages, positions, deliveries
    Runs {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        /// How many runs, 1 to 200
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Say why there is nothing to collect from an export job
    WhyEmpty {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Pause a job: nothing of it begins until it is resumed
    Pause {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        /// Why, for whoever looks at the job
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Resume a paused job
    Resume {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        /// What becomes of what was due meanwhile, instead of what the schedule says
        #[arg(long, value_name = "POLICY", value_parser = ["skip", "once", "all"])]
        missed: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Have the service read the files of jobs and entities again, as SIGHUP does
    Reload {
        #[command(flatten)]
        connection: Connection,
    },
    /// Run an export for due times of the past that have no run
    Backfill(Backfill),
    /// Show how far an incremental export has come, newest first
    Positions {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        /// Only of this entity
        #[arg(long, value_name = "LABEL")]
        entity: Option<String>,
        /// How many of each entity, 1 to 1000
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Set an incremental export back: its next run begins at an earlier position, or with everything
    Rewind(Rewind),
}

impl Jobs {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection }
            | Self::Reload { connection }
            | Self::Show { connection, .. }
            | Self::Delete { connection, .. }
            | Self::Run { connection, .. }
            | Self::Next { connection, .. }
            | Self::Runs { connection, .. }
            | Self::WhyEmpty { connection, .. }
            | Self::Pause { connection, .. }
            | Self::Resume { connection, .. }
            | Self::Positions { connection, .. } => connection,
            Self::Backfill(backfill) => &backfill.connection,
            Self::Rewind(rewind) => &rewind.connection,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::List { connection } => list(screen, &connection).await,
            Self::Reload { connection } => reload(screen, &connection).await,
            Self::Show { job, connection } => show(screen, &connection, &job).await,
            Self::Run {
                job,
                wait,
                note,
                force,
                connection,
            } => {
                let asked = json!({ "note": note, "force": force });
                run_now(screen, &connection, &job, wait, &asked).await
            }
            Self::Next {
                job,
                from,
                limit,
                connection,
            } => schedules::next(screen, &connection, &job, from.as_deref(), limit).await,
            Self::Delete { job, connection } => delete(screen, &connection, &job).await,
            Self::Runs { job, limit, connection } => runs::runs(screen, &connection, &job, limit).await,
            Self::WhyEmpty { job, connection } => runs::why_empty(screen, &connection, &job).await,
            Self::Pause { job, note, connection } => schedules::pause(screen, &connection, &job, note).await,
            Self::Resume {
                job,
                missed,
                connection,
            } => schedules::resume(screen, &connection, &job, missed).await,
            Self::Backfill(backfill) => backfill.run(screen).await,
            Self::Positions {
                job,
                entity,
                limit,
                connection,
            } => positions::list(screen, &connection, &job, entity.as_deref(), limit).await,
            Self::Rewind(rewind) => rewind.run(screen).await,
        }
    }
}

async fn list(screen: &Screen, connection: &Connection) -> Result<Exit, Failure> {
    let answer = connection.open()?.get::<JobList>(&["api", "v1", "jobs"], &[]).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else if answer.body.jobs.is_empty() {
        screen.note("There is no job this client may use. A job's `clients` list says who may.");
    } else {
        show::jobs(screen, &answer.body.jobs);
    }
    Ok(Exit::Ok)
}

async fn reload(screen: &Screen, connection: &Connection) -> Result<Exit, Failure> {
    let answer = connection
        .open()?
        .post::<Reloaded>(&["api", "v1", "definitions", "reload"], None)
        .await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    let reloaded = &answer.body;
    for (what, names) in [
        ("added", &reloaded.added),
        ("changed", &reloaded.changed),
        ("removed", &reloaded.removed),
    ] {
        for name in names {
            screen.line(format!("{what} {}", plain(name)));
        }
    }
    screen.note(format!(
        "In use now: jobs {}, entities {}.",
        reloaded.jobs, reloaded.entities
    ));
    Ok(Exit::Ok)
}

async fn show(screen: &Screen, connection: &Connection, job: &str) -> Result<Exit, Failure> {
    let answer = connection.open()?.job(job).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else {
        show::job(screen, &answer.body);
    }
    Ok(Exit::Ok)
}

async fn delete(screen: &Screen, connection: &Connection, job: &str) -> Result<Exit, Failure> {
    connection.open()?.delete(&["api", "v1", "jobs", job]).await?;
    if screen.is_json() {
        screen.json(&json!({ "job": job, "deleted": true }));
    } else {
        screen.line("deleted");
    }
    Ok(Exit::Ok)
}

async fn run_now(
    screen: &Screen,
    connection: &Connection,
    job: &str,
    until_end: bool,
    asked: &Value,
) -> Result<Exit, Failure> {
    let api = connection.open()?;
    let asked = api.post::<Run>(&["api", "v1", "jobs", job, "run"], Some(asked)).await?;
    let occurrence = match &asked.body {
        Run::Occurrence(occurrence) => occurrence,
        Run::Offered { offered } => {
            if screen.is_json() {
                screen.json(&asked.raw);
            } else {
                screen.line(format!("{} offered", counted(*offered, "waiting message")));
            }
            return Ok(Exit::Ok);
        }
    };
    if !until_end {
        if screen.is_json() {
            screen.json(&asked.raw);
        } else {
            screen.line(plain(&occurrence.due_at));
            screen.note(format!(
                "It runs. See how it went: {} jobs show {}",
                program(),
                quoted(job)
            ));
        }
        return Ok(Exit::Ok);
    }
    let run = wait::run_end(&api, screen, job, &occurrence.due_at);
    let run = wait::or_interrupted(run, || {
        (
            "the run goes on".to_owned(),
            format!("See how it went: {} jobs show {}", program(), quoted(job)),
        )
    })
    .await?;
    if screen.is_json() {
        screen.json(&run.raw);
    } else {
        // Where nobody can say, the advice is the usual one.
        let shown = api.job(job).await.ok().and_then(|shown| shown.body.queue);
        let is_collected = shown.is_none_or(|queue| queue.delivering.is_none());
        say_run(screen, job, &run.body, is_collected);
    }
    Ok(run.body.occurrence.exit())
}

/// How a run ended, and every message it queued.
fn say_run(screen: &Screen, job: &str, run: &RunHistory, is_collected: bool) {
    let occurrence = &run.occurrence;
    let records = occurrence
        .records
        .map_or_else(String::new, |records| format!(", {}", counted(records, "record")));
    screen.line(format!("{}{records}", plain(&occurrence.state)));
    if let Some(note) = &occurrence.note {
        screen.line(format!("  {}", plain(note)));
    }
    for message in &run.messages {
        screen.line(format!("  message {}", runs::message_line(message)));
    }
    if !run.messages.is_empty() && !is_collected {
        screen.note(format!(
            "Nobody collects it (`enqueue = false`): it goes to the job's destinations. See how it goes: {} jobs runs {}",
            program(),
            quoted(job)
        ));
    } else if !run.messages.is_empty() {
        let what = if run.messages.len() == 1 { "it" } else { "them" };
        screen.note(format!(
            "Collect {what}: {} pull --job {} --out . --ack",
            program(),
            quoted(job)
        ));
    }
}

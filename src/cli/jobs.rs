//! `tranship jobs`: what there is to push to and to pull from, and when it runs.

use clap::Subcommand;

use super::answers::{JobList, Run};
use super::connection::{Connection, name_or_id};
use super::screen::{Screen, counted, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure, show, wait};

/// List, show and run jobs
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
        #[command(flatten)]
        connection: Connection,
    },
    /// Show when a job runs next
    Next {
        /// Name or activity id
        #[arg(value_parser = name_or_id)]
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Jobs {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection }
            | Self::Show { connection, .. }
            | Self::Run { connection, .. }
            | Self::Next { connection, .. } => connection,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::List { connection } => list(screen, &connection).await,
            Self::Show { job, connection } => show(screen, &connection, &job).await,
            Self::Run { job, wait, connection } => run_now(screen, &connection, &job, wait).await,
            Self::Next { job, connection } => next(screen, &connection, &job).await,
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

async fn show(screen: &Screen, connection: &Connection, job: &str) -> Result<Exit, Failure> {
    let answer = connection.open()?.job(job).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else {
        show::job(screen, &answer.body);
    }
    Ok(Exit::Ok)
}

async fn run_now(screen: &Screen, connection: &Connection, job: &str, until_end: bool) -> Result<Exit, Failure> {
    let api = connection.open()?;
    let asked = api.post::<Run>(&["api", "v1", "jobs", job, "run"], None).await?;
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
        screen.json(&run);
    } else {
        let records = run
            .records
            .map_or_else(String::new, |records| format!(", {}", counted(records, "record")));
        screen.line(format!("{}{records}", plain(&run.state)));
        if let Some(note) = &run.note {
            screen.line(format!("  {}", plain(note)));
        }
        if let Some(message) = &run.message {
            screen.line(format!("  message {}", plain(message)));
            screen.note(format!(
                "Collect it: {} pull --job {} --out . --ack",
                program(),
                quoted(job)
            ));
        }
    }
    Ok(run.exit())
}

async fn next(screen: &Screen, connection: &Connection, job: &str) -> Result<Exit, Failure> {
    let mut answer = connection.open()?.job(job).await?;
    let next = answer
        .body
        .schedule
        .take()
        .map(|schedule| schedule.next)
        .unwrap_or_default();
    if screen.is_json() {
        screen.json(&serde_json::json!({"job": answer.body.name, "next": next}));
    } else if next.is_empty() {
        let why = match answer.body.direction.as_str() {
            "import" => "its messages are processed as they come",
            "relay" => "its messages wait until somebody collects them",
            _ => "it runs when asked",
        };
        screen.note(format!("`{}` has no schedule: {why}.", plain(&answer.body.name)));
    } else {
        for at in next {
            screen.line(plain(&at));
        }
    }
    Ok(Exit::Ok)
}

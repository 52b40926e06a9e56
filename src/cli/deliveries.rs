//! `tranship deliveries`: what export jobs brought to their destinations.

use clap::Subcommand;
use serde_json::Value;

use super::answers::{Delivery, DeliveryPage};
use super::connection::{Connection, name_or_id};
use super::screen::{Screen, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure};

/// List what export jobs brought to their destinations, and send it once more
#[derive(Debug, Subcommand)]
pub enum Deliveries {
    /// List a job's deliveries, newest first
    List {
        /// The export job (name or activity id)
        #[arg(long, value_name = "JOB", value_parser = name_or_id)]
        job: String,
        /// Only in this state
        #[arg(long, value_name = "STATE", value_parser = ["pending", "delivered", "failed"])]
        state: Option<String>,
        /// Only those before this delivery (the `next` of an earlier page)
        #[arg(long, value_name = "ID")]
        before: Option<String>,
        /// How many, 1 to 200
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send deliveries once more that have ended, failed ones above all
    Replay {
        /// The export job (name or activity id)
        #[arg(long, value_name = "JOB", value_parser = name_or_id)]
        job: String,
        /// The deliveries' ids
        #[arg(value_name = "ID", required = true)]
        deliveries: Vec<String>,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Deliveries {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection, .. } | Self::Replay { connection, .. } => connection,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::List {
                job,
                state,
                before,
                limit,
                connection,
            } => {
                let limit = limit.to_string();
                let filters = [
                    ("state", state.as_deref()),
                    ("before", before.as_deref()),
                    ("limit", Some(limit.as_str())),
                ];
                list(screen, &connection, &job, &filters).await
            }
            Self::Replay {
                job,
                deliveries,
                connection,
            } => replay(screen, &connection, &job, &deliveries).await,
        }
    }
}

async fn list(
    screen: &Screen,
    connection: &Connection,
    job: &str,
    filters: &[(&str, Option<&str>)],
) -> Result<Exit, Failure> {
    let query: Vec<(&str, &str)> = filters
        .iter()
        .filter_map(|(key, value)| value.map(|value| (*key, value)))
        .collect();
    let path = ["api", "v1", "jobs", job, "deliveries"];
    let answer = connection.open()?.get::<DeliveryPage>(&path, &query).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    let page = answer.body;
    if page.deliveries.is_empty() {
        screen.note("There are no such deliveries.");
        return Ok(Exit::Ok);
    }
    let heading = [
        "delivery",
        "destination",
        "state",
        "attempts",
        "message",
        "next attempt",
        "last answer",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(page.deliveries.iter().map(row));
    screen.table(&rows);
    if let Some(next) = page.next {
        screen.note(format!(
            "More: {} deliveries list --job {} --before {}",
            program(),
            quoted(job),
            plain(&next)
        ));
    }
    Ok(Exit::Ok)
}

fn row(delivery: &Delivery) -> Vec<String> {
    let last = delivery.last_answer.as_ref().map(|last| {
        let status = last.status.map(|status| status.to_string());
        let words: Vec<&str> = [status.as_deref(), last.detail.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        words.join(" ")
    });
    let or_none = |text: Option<&str>| plain(text.filter(|text| !text.is_empty()).unwrap_or("-"));
    vec![
        plain(&delivery.id),
        plain(&delivery.destination),
        plain(&delivery.state),
        delivery.attempts.to_string(),
        plain(&delivery.message),
        or_none(delivery.next_attempt_at.as_deref()),
        or_none(last.as_deref()),
    ]
}

async fn replay(screen: &Screen, connection: &Connection, job: &str, ids: &[String]) -> Result<Exit, Failure> {
    let api = connection.open()?;
    let mut replayed: Vec<Value> = Vec::new();
    for id in ids {
        let path = ["api", "v1", "jobs", job, "deliveries", id, "replay"];
        let answer = api.post::<Delivery>(&path, None).await?;
        if !screen.is_json() {
            let Delivery { id, destination, .. } = &answer.body;
            screen.line(format!("{} goes to {} once more", plain(id), plain(destination)));
        }
        replayed.push(answer.raw);
    }
    if screen.is_json() {
        screen.json(&replayed);
    }
    Ok(Exit::Ok)
}

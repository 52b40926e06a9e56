//! `tranship deliveries`: what export jobs brought to their destinations.

use clap::Subcommand;

use super::answers::{Delivery, DeliveryPage};
use super::connection::{Connection, name_or_id};
use super::screen::{Screen, plain};
use super::sent::{self, List, Page, delivery_id, last_words, or_none};
use super::shell::quoted;
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
        #[arg(long, value_name = "ID", value_parser = delivery_id)]
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
        #[arg(value_name = "ID", required = true, value_parser = delivery_id)]
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
    let command = format!("deliveries list --job {}", quoted(job));
    let list = List {
        path: &["api", "v1", "jobs", job, "deliveries"],
        filters,
        command: &command,
        heading: [
            "delivery",
            "destination",
            "state",
            "attempts",
            "message",
            "next attempt",
            "last answer",
        ],
    };
    let page = |page: DeliveryPage| Page {
        rows: page.deliveries.iter().map(row).collect(),
        next: page.next,
    };
    list.print(screen, connection, page).await
}

fn row(delivery: &Delivery) -> Vec<String> {
    vec![
        plain(&delivery.id),
        plain(&delivery.destination),
        plain(&delivery.state),
        delivery.attempts.to_string(),
        plain(&delivery.message),
        or_none(delivery.next_attempt_at.as_deref()),
        last_words(delivery.last_answer.as_ref()),
    ]
}

async fn replay(screen: &Screen, connection: &Connection, job: &str, ids: &[String]) -> Result<Exit, Failure> {
    let paths = ids
        .iter()
        .map(|id| vec!["api", "v1", "jobs", job, "deliveries", id, "replay"]);
    let to = |delivery: &Delivery| [delivery.id.clone(), delivery.destination.clone()];
    sent::replay(screen, &connection.open()?, paths, to).await
}

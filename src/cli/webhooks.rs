//! `tranship webhooks`: what jobs' webhooks were told, once more on request, and a ping to try one out.

use clap::Subcommand;

use super::answers::{Webhook, WebhookPage};
use super::connection::{Connection, name_or_id};
use super::screen::{Screen, Tone, plain};
use super::sent::{self, List, Page, delivery_id, last_words, or_none};
use super::shell::program;
use super::{Exit, Failure};

/// List what webhooks were told, send it once more, send a ping
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// List deliveries to webhooks, newest first
    List {
        /// Only of this job (name or activity id)
        #[arg(long, value_name = "JOB", value_parser = name_or_id)]
        job: Option<String>,
        /// Only in this state
        #[arg(long, value_name = "STATE", value_parser = ["pending", "delivered", "dead"])]
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
    /// Show a delivery, with the body that is sent
    Show {
        /// The delivery's id
        #[arg(value_name = "ID", value_parser = delivery_id)]
        delivery: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send deliveries once more that have ended, dead ones above all; the receiver sees the same `webhook-id`
    Replay {
        /// The deliveries' ids
        #[arg(value_name = "ID", required = true, value_parser = delivery_id)]
        deliveries: Vec<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a ping to a job's webhook, tried once
    Test {
        /// The job (name or activity id)
        #[arg(value_name = "JOB", value_parser = name_or_id)]
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Webhooks {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection, .. }
            | Self::Show { connection, .. }
            | Self::Replay { connection, .. }
            | Self::Test { connection, .. } => connection,
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
                    ("job", job.as_deref()),
                    ("state", state.as_deref()),
                    ("before", before.as_deref()),
                    ("limit", Some(limit.as_str())),
                ];
                list(screen, &connection, &filters).await
            }
            Self::Show { delivery, connection } => show(screen, &connection, &delivery).await,
            Self::Replay { deliveries, connection } => replay(screen, &connection, &deliveries).await,
            Self::Test { job, connection } => test(screen, &connection, &job).await,
        }
    }
}

async fn list(screen: &Screen, connection: &Connection, filters: &[(&str, Option<&str>)]) -> Result<Exit, Failure> {
    let list = List {
        path: &["api", "v1", "webhooks"],
        filters,
        command: "webhooks list",
        heading: [
            "delivery",
            "type",
            "job",
            "state",
            "attempts",
            "next attempt",
            "last answer",
        ],
    };
    let page = |page: WebhookPage| Page {
        rows: page.deliveries.iter().map(row).collect(),
        next: page.next,
    };
    list.print(screen, connection, page).await
}

fn row(webhook: &Webhook) -> Vec<String> {
    vec![
        plain(&webhook.id),
        plain(&webhook.event),
        plain(&webhook.job),
        plain(&webhook.state),
        webhook.attempts.to_string(),
        or_none(webhook.next_attempt_at.as_deref()),
        last_words(webhook.last_answer.as_ref()),
    ]
}

async fn show(screen: &Screen, connection: &Connection, id: &str) -> Result<Exit, Failure> {
    let answer = connection
        .open()?
        .get::<Webhook>(&["api", "v1", "webhooks", id], &[])
        .await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    let webhook = answer.body;
    let heading = format!("{}  {}", plain(&webhook.id), plain(&webhook.state));
    screen.line(screen.paint(Tone::Strong, &heading));
    let facts = [
        ("type", plain(&webhook.event)),
        ("job", plain(&webhook.job)),
        ("message", or_none(webhook.message.as_deref())),
        ("to", plain(&webhook.url)),
        ("attempts", webhook.attempts.to_string()),
        ("next attempt", or_none(webhook.next_attempt_at.as_deref())),
        ("last answer", last_words(webhook.last_answer.as_ref())),
    ];
    let rows: Vec<Vec<String>> = facts.map(|(name, value)| vec![name.to_owned(), value]).to_vec();
    screen.table(&rows);
    if let Ok(body) = serde_json::to_string_pretty(&answer.raw["body"]) {
        body.lines().for_each(|line| screen.line(plain(line)));
    }
    Ok(Exit::Ok)
}

async fn replay(screen: &Screen, connection: &Connection, ids: &[String]) -> Result<Exit, Failure> {
    let paths = ids.iter().map(|id| vec!["api", "v1", "webhooks", id, "replay"]);
    let to = |webhook: &Webhook| [webhook.id.clone(), webhook.url.clone()];
    sent::replay(screen, &connection.open()?, paths, to).await
}

async fn test(screen: &Screen, connection: &Connection, job: &str) -> Result<Exit, Failure> {
    let path = ["api", "v1", "jobs", job, "webhook", "test"];
    let answer = connection.open()?.post::<Webhook>(&path, None).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    let Webhook { id, url, .. } = &answer.body;
    screen.line(format!("a ping goes to {}", plain(url)));
    screen.note(format!("What became of it: {} webhooks show {}", program(), plain(id)));
    Ok(Exit::Ok)
}

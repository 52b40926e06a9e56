//! `tranship dead-letters`: what ended without success, and trying it again.

use clap::Subcommand;

use super::answers::FailureGroups;
use super::api::Api;
use super::bulk::{Bulk, Filters, How, message_id};
use super::connection::{Connection, name_or_id};
use super::screen::{Screen, count, plain};
use super::{Exit, Failure, show};
use crate::domain::status::Status;

/// List what ended without success, and try it again
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List dead letters, oldest first; with --status, what ended otherwise without success
    List {
        #[command(flatten)]
        filters: Filters,
        /// Only those after this message (the `next` of an earlier page)
        #[arg(long, value_name = "ID", value_parser = message_id)]
        after: Option<String>,
        /// How many, 1 to 200
        #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Count what ended without success, by job and cause
    Groups {
        /// Only of this job (name or activity id)
        #[arg(long, value_name = "JOB", value_parser = name_or_id)]
        job: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Put dead letters back into their queues; with --status, what ended otherwise without success
    Redrive {
        #[command(flatten)]
        filters: Filters,
        /// Offer so many a second, instead of all at once
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate: Option<u32>,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        connection: Connection,
    },
}

impl DeadLetters {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection, .. } | Self::Groups { connection, .. } | Self::Redrive { connection, .. } => {
                connection
            }
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let api = self.connection().open()?;
        match self {
            Self::List {
                filters, after, limit, ..
            } => {
                let limit = limit.to_string();
                let mut query = filters.pairs();
                query.extend(after.as_deref().map(|after| ("after", after)));
                query.push(("limit", &limit));
                show::message_page(
                    &api,
                    screen,
                    ["dead-letters", "--after"],
                    "There is none. What else failed: dead-letters groups, messages list --status failed.",
                    &query,
                )
                .await
            }
            Self::Groups { job, .. } => groups(&api, screen, job.as_deref()).await,
            Self::Redrive {
                mut filters, rate, how, ..
            } => {
                let dead = || Status::DeadLettered.as_str().to_owned();
                filters.status.get_or_insert_with(dead);
                let bulk = Bulk {
                    action: "retry",
                    ids: &[],
                    filters: &filters,
                    per_second: rate,
                    how: &how,
                };
                bulk.run(&api, screen).await
            }
        }
    }
}

async fn groups(api: &Api, screen: &Screen, job: Option<&str>) -> Result<Exit, Failure> {
    let query: Vec<(&str, &str)> = job.map(|job| ("job", job)).into_iter().collect();
    let answer = api
        .get::<FailureGroups>(&["api", "v1", "dead-letters", "groups"], &query)
        .await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else if answer.body.groups.is_empty() {
        screen.note("Nothing ended without success that could be tried again.");
    } else {
        let heading = ["job", "ended as", "cause", "messages"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(answer.body.groups.iter().map(|group| {
            let more = if group.at_least { "+" } else { "" };
            vec![
                plain(&group.job),
                plain(&group.status),
                plain(group.code.as_deref().unwrap_or("-")),
                format!("{}{more}", count(group.count)),
            ]
        }));
        screen.table(&rows);
    }
    Ok(Exit::Ok)
}

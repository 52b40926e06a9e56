//! `tranship sandbox journal`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::Value;

use super::at;
use super::faults::Removed;
use crate::cli::api::Api;
use crate::cli::connection::Connection;
use crate::cli::screen::{Screen, Tone, count, counted, plain};
use crate::cli::{Exit, Failure};

/// What clients sent, and what they were answered
#[derive(Debug, Subcommand)]
pub enum Journal {
    /// List requests, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// How many, 1 to 1000
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one request and its answer
    Show {
        /// Its number in the list
        number: u64,
        #[command(flatten)]
        connection: Connection,
    },
    /// Write the requests as an HTTP archive (HAR 1.2), oldest first
    Export {
        #[command(flatten)]
        filter: Filter,
        /// Where to; standard output without it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Forget them
    Clear {
        #[command(flatten)]
        connection: Connection,
    },
}

/// Which requests
#[derive(Debug, Args)]
pub struct Filter {
    /// Only to paths like this; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    path: Option<String>,
    /// Only of this client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only with this method
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Only answered with this status, or 4xx, 5xx and the like
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only since this instant, such as 2027-01-01T00:00:00Z
    #[arg(long, value_name = "INSTANT")]
    since: Option<String>,
}

impl Filter {
    fn query(&self) -> Vec<(&str, &str)> {
        let members = [
            ("path", &self.path),
            ("client", &self.client),
            ("method", &self.method),
            ("status", &self.status),
            ("since", &self.since),
        ];
        let given = members.into_iter();
        given
            .filter_map(|(name, value)| value.as_deref().map(|value| (name, value)))
            .collect()
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    requests: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    number: u64,
    at: String,
    method: String,
    path: String,
    query: String,
    client: Option<String>,
    status: Option<u16>,
    milliseconds: Option<f64>,
    bytes_received: u64,
    faults: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Whole {
    #[serde(flatten)]
    row: Row,
    request: Half,
    answer: Half,
}

#[derive(Debug, Deserialize)]
struct Half {
    headers: Vec<Header>,
    body: Body,
}

#[derive(Debug, Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Body {
    bytes: u64,
    truncated: bool,
    text: Option<String>,
}

impl Journal {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection, .. }
            | Self::Show { connection, .. }
            | Self::Export { connection, .. }
            | Self::Clear { connection } => connection,
        }
    }

    pub(super) async fn run(self, screen: &Screen, api: &Api) -> Result<Exit, Failure> {
        match self {
            Self::List { filter, limit, .. } => list(screen, api, &filter, limit).await,
            Self::Show { number, .. } => show(screen, api, number).await,
            Self::Export { filter, out, .. } => export(screen, api, &filter, out).await,
            Self::Clear { .. } => clear(screen, api).await,
        }
    }
}

async fn list(screen: &Screen, api: &Api, filter: &Filter, limit: u32) -> Result<Exit, Failure> {
    let limit = limit.to_string();
    let mut query = filter.query();
    query.push(("limit", &limit));
    let answer = api.get::<Page>(&at(&["journal"]), &query).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    if answer.body.requests.is_empty() {
        screen.note("The journal has no such requests.");
        return Ok(Exit::Ok);
    }
    let heading = ["no", "at", "client", "request", "bytes", "status", "ms", "faults"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(answer.body.requests.iter().map(row));
    screen.table(&rows);
    Ok(Exit::Ok)
}

fn row(row: &Row) -> Vec<String> {
    vec![
        row.number.to_string(),
        plain(&row.at),
        plain(row.client.as_deref().unwrap_or("-")),
        format!("{} {}", plain(&row.method), plain(&target(row))),
        count(row.bytes_received),
        row.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        row.milliseconds
            .map_or_else(|| "-".to_owned(), |took| format!("{took:.0}")),
        plain(&row.faults.join(", ")),
    ]
}

fn target(row: &Row) -> String {
    let separator = if row.query.is_empty() { "" } else { "?" };
    format!("{}{separator}{}", row.path, row.query)
}

async fn show(screen: &Screen, api: &Api, number: u64) -> Result<Exit, Failure> {
    let answer = api.get::<Whole>(&at(&["journal", &number.to_string()]), &[]).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    let Whole {
        row,
        request,
        answer: sent,
    } = answer.body;
    let client = row.client.as_deref().unwrap_or("nobody known");
    screen.line(screen.paint(
        Tone::Faint,
        &format!("{}  {}  {}", row.number, plain(&row.at), plain(client)),
    ));
    let line = format!("{} {}", plain(&row.method), plain(&target(&row)));
    half(screen, &line, &request);
    screen.line("");
    let line = match row.status {
        Some(status) => format!("{status}  after {:.0} ms", row.milliseconds.unwrap_or_default()),
        None => "no answer".to_owned(),
    };
    half(screen, &line, &sent);
    if !row.faults.is_empty() {
        screen.line("");
        screen.line(screen.paint(Tone::Warning, &format!("struck by {}", plain(&row.faults.join(", ")))));
    }
    Ok(Exit::Ok)
}

fn half(screen: &Screen, line: &str, half: &Half) {
    screen.line(screen.paint(Tone::Strong, line));
    for Header { name, value } in &half.headers {
        screen.line(format!("{}: {}", screen.paint(Tone::Faint, &plain(name)), plain(value)));
    }
    let Body { bytes, truncated, text } = &half.body;
    if *bytes == 0 {
        return;
    }
    screen.line("");
    match text {
        Some(text) => text.lines().for_each(|line| screen.line(plain(line))),
        None => screen.line(format!("({} that are no text)", counted(*bytes, "byte"))),
    }
    if *truncated {
        screen.line(screen.paint(Tone::Faint, &format!("(the beginning of {})", counted(*bytes, "byte"))));
    }
}

async fn export(screen: &Screen, api: &Api, filter: &Filter, out: Option<PathBuf>) -> Result<Exit, Failure> {
    let answer = api.get::<Value>(&at(&["journal.har"]), &filter.query()).await?;
    let Some(path) = out else {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    };
    let written = tokio::fs::write(&path, answer.raw.to_string()).await;
    written.map_err(|error| Failure::file("write", &path, &error))?;
    let entries = answer.raw["log"]["entries"].as_array().map_or(0, Vec::len) as u64;
    if screen.is_json() {
        screen.json(&serde_json::json!({ "file": path, "requests": entries }));
    } else {
        screen.line(format!("{}  {}", path.display(), counted(entries, "request")));
    }
    Ok(Exit::Ok)
}

async fn clear(screen: &Screen, api: &Api) -> Result<Exit, Failure> {
    let answer = api.delete_told::<Removed>(&at(&["journal"])).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else {
        screen.line(format!("{} forgotten", counted(answer.body.removed, "request")));
    }
    Ok(Exit::Ok)
}

//! `tranship jobs positions` and `rewind`: how far incremental exports have come, and setting them back.

use clap::Args;
use serde::Deserialize;
use serde_json::json;

use super::connection::{Connection, name_or_id};
use super::screen::{Screen, counted, plain};
use super::shell::{program, quoted};
use super::{Exit, Failure};

/// Set an incremental export back: its next run begins at an earlier position, or with everything
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("begins").required(true)))]
pub struct Rewind {
    /// Name or activity id
    #[arg(value_parser = name_or_id)]
    job: String,
    /// Which of its entities; may be left out where there is one
    #[arg(long, value_name = "LABEL")]
    entity: Option<String>,
    /// The position whose end the next run begins at
    #[arg(long, value_name = "NUMBER", group = "begins")]
    to: Option<i64>,
    /// Begin with everything
    #[arg(long, group = "begins")]
    full: bool,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Rewound {
    entity: String,
    number: i64,
}

#[derive(Debug, Deserialize)]
struct Positions {
    positions: Vec<Position>,
}

#[derive(Debug, Deserialize)]
struct Position {
    entity: String,
    number: i64,
    state: String,
    from: Option<i64>,
    to: Option<i64>,
    taken_at: String,
    note: Option<String>,
    messages: Vec<String>,
}

impl Rewind {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let asked = json!({ "entity": self.entity, "to": self.to, "full": self.full, "note": self.note });
        let path = ["api", "v1", "jobs", &self.job, "rewind"];
        let answer = self.connection.open()?.post::<Rewound>(&path, Some(&asked)).await?;
        if screen.is_json() {
            screen.json(&answer.raw);
            return Ok(Exit::Ok);
        }
        let Rewound { entity, number } = answer.body;
        let begins = self.to.map_or_else(
            || "with everything".to_owned(),
            |to| format!("where position {to} ended"),
        );
        screen.line(format!(
            "{}: position {number}; the next run begins {begins}",
            plain(&entity)
        ));
        screen.note(format!("Run it now: {} jobs run {}", program(), quoted(&self.job)));
        Ok(Exit::Ok)
    }
}

pub(super) async fn list(
    screen: &Screen,
    connection: &Connection,
    job: &str,
    entity: Option<&str>,
    limit: u32,
) -> Result<Exit, Failure> {
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(entity.map(|entity| ("entity", entity)));
    let path = ["api", "v1", "jobs", job, "positions"];
    let answer = connection.open()?.get::<Positions>(&path, &query).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
        return Ok(Exit::Ok);
    }
    let positions = answer.body.positions;
    for position in &positions {
        screen.line(line(position));
    }
    if positions.is_empty() {
        screen.note("No run has taken a position yet: the first one exports everything.");
    }
    Ok(Exit::Ok)
}

/// `Purchase orders  12  delivered  2026-11-28T02:00:00Z  changes 4711 to 4802  1 message`
fn line(position: &Position) -> String {
    let changes = match (position.from, position.to) {
        (Some(from), Some(to)) => format!("changes {from} to {to}"),
        (None, Some(to)) => format!("everything, up to {to}"),
        (_, None) => "the beginning".to_owned(),
    };
    let mut words = vec![
        plain(&position.entity),
        position.number.to_string(),
        plain(&position.state),
        plain(&position.taken_at),
        changes,
    ];
    if !position.messages.is_empty() {
        words.push(counted(position.messages.len() as u64, "message"));
    }
    words.extend(position.note.as_deref().map(plain));
    words.join("  ")
}

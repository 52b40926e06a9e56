//! `tranship sandbox faults`.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::{Value, json};

use super::at;
use crate::cli::api::Api;
use crate::cli::connection::{Connection, name_or_id};
use crate::cli::screen::{Screen, counted, plain};
use crate::cli::{Exit, Failure};

/// Kinds of fault, as they are typed.
const KINDS: [&str; 7] = [
    "fail-ack",
    "answer",
    "lose-answer",
    "delay-answer",
    "delay-status",
    "slow-import",
    "deliver-again",
];

/// Have things go wrong on purpose
#[derive(Debug, Subcommand)]
pub enum Faults {
    /// List them, with how often each struck and still strikes
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Add one; it strikes from then on
    Add(Box<Add>),
    /// Remove one
    Remove {
        /// Its name
        #[arg(value_parser = name_or_id)]
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Remove all
    Clear {
        #[command(flatten)]
        connection: Connection,
    },
}

/// Add one; it strikes from then on
#[derive(Debug, Args)]
#[command(after_help = "\
Kinds:
  fail-ack       acknowledgements fail and acknowledge nothing               --job --client
  answer         requests are answered with --status and not carried out     --method --path --client
  lose-answer    requests are carried out, and the connection is closed      --method --path --client
  delay-answer   answers come --milliseconds later                           --method --path --client
  delay-status   callers see messages as they stood --seconds ago            --job
  slow-import    imports pause for --milliseconds before each chunk          --job
  deliver-again  a leased message is handed out once more                    --job --client
All but delay-status take --times, and --probability with --seed.")]
pub struct Add {
    /// What goes wrong
    #[arg(value_parser = KINDS)]
    kind: String,
    /// A name, by which it is removed; made up without
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only requests with this method
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// Only requests to paths like this; `*` stands for anything
    #[arg(long, value_name = "PATTERN")]
    path: Option<String>,
    /// Only what this client does
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only what this job is about (name or activity id)
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// How often it strikes; without it until it is removed
    #[arg(long, value_name = "N")]
    times: Option<u64>,
    /// How likely it strikes, over 0 and up to 1
    #[arg(long, value_name = "P")]
    probability: Option<f64>,
    /// What the dice begin with: the same seed, the same row of strikes
    #[arg(long, value_name = "N", requires = "probability")]
    seed: Option<u64>,
    /// HTTP status of an `answer`, 400 to 599
    #[arg(long, value_name = "STATUS", required_if_eq("kind", "answer"))]
    status: Option<u16>,
    /// Retry-After of an `answer`; 1 with 429 and 503 unless given
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u32>,
    /// How long a `delay-answer` or `slow-import` takes
    #[arg(long, value_name = "N", required_if_eq_any([("kind", "delay-answer"), ("kind", "slow-import")]))]
    milliseconds: Option<u64>,
    /// How late a `delay-status` is
    #[arg(long, value_name = "N", required_if_eq("kind", "delay-status"))]
    seconds: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Deserialize)]
struct Listed {
    faults: Vec<Value>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Removed {
    pub(super) removed: u64,
}

impl Faults {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::List { connection } | Self::Remove { connection, .. } | Self::Clear { connection } => connection,
            Self::Add(add) => &add.connection,
        }
    }

    pub(super) async fn run(self, screen: &Screen, api: &Api) -> Result<Exit, Failure> {
        match self {
            Self::List { .. } => list(screen, api).await,
            Self::Add(add) => add.run(screen, api).await,
            Self::Remove { name, .. } => remove(screen, api, &["faults", &name]).await,
            Self::Clear { .. } => remove(screen, api, &["faults"]).await,
        }
    }
}

impl Add {
    fn asked(&self) -> Value {
        let members = [
            ("kind", json!(self.kind.replace('-', "_"))),
            ("name", json!(self.name)),
            ("method", json!(self.method)),
            ("path", json!(self.path)),
            ("client", json!(self.client)),
            ("job", json!(self.job)),
            ("times", json!(self.times)),
            ("probability", json!(self.probability)),
            ("seed", json!(self.seed)),
            ("status", json!(self.status)),
            ("retry_after_seconds", json!(self.retry_after)),
            ("milliseconds", json!(self.milliseconds)),
            ("seconds", json!(self.seconds)),
        ];
        let given = members.into_iter().filter(|(_, value)| !value.is_null());
        Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect())
    }

    async fn run(&self, screen: &Screen, api: &Api) -> Result<Exit, Failure> {
        let answer = api.post::<Value>(&at(&["faults"]), Some(&self.asked())).await?;
        if screen.is_json() {
            screen.json(&answer.raw);
        } else {
            screen.line(line(&answer.body));
        }
        Ok(Exit::Ok)
    }
}

async fn list(screen: &Screen, api: &Api) -> Result<Exit, Failure> {
    let answer = api.get::<Listed>(&at(&["faults"]), &[]).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else if answer.body.faults.is_empty() {
        screen.note("No fault stands: everything works.");
    } else {
        for fault in &answer.body.faults {
            screen.line(line(fault));
        }
    }
    Ok(Exit::Ok)
}

async fn remove(screen: &Screen, api: &Api, path: &[&str]) -> Result<Exit, Failure> {
    let answer = api.delete_told::<Removed>(&at(path)).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else {
        screen.line(format!("{} removed", counted(answer.body.removed, "fault")));
    }
    Ok(Exit::Ok)
}

/// `answer-1  answer  status 503, path /api/*  struck 2, 1 left`
fn line(fault: &Value) -> String {
    let text = |name: &str| plain(&word(&fault[name]));
    let shown = ["name", "kind", "struck", "left", "since", "times"];
    let members = fault.as_object().into_iter().flatten();
    let said: Vec<String> = members
        .filter(|(name, value)| !value.is_null() && !shown.contains(&name.as_str()))
        .map(|(name, value)| format!("{} {}", name.replace('_', " "), plain(&word(value))))
        .collect();
    let left = match fault["left"].as_u64() {
        None => "until it is removed".to_owned(),
        Some(0) => "strikes no more".to_owned(),
        Some(left) => format!("{left} left"),
    };
    [
        text("name"),
        text("kind").replace('_', "-"),
        said.join(", "),
        format!("struck {}, {left}", text("struck")),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .collect::<Vec<_>>()
    .join("  ")
}

/// A value without the quotes of JSON.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line() {
        let fault = json!({"name": "answer-1", "kind": "answer", "status": 503, "path": "/api/*", "job": null, "times": 3,
            "struck": 2, "left": 1, "since": "2026-01-05T08:00:00Z"});
        assert_eq!(
            line(&fault),
            "answer-1  answer  path /api/*, status 503  struck 2, 1 left"
        );
        let fault = json!({"name": "x", "kind": "fail_ack", "struck": 0, "left": null});
        assert_eq!(line(&fault), "x  fail-ack  struck 0, until it is removed");
    }
}

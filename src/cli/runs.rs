//! `tranship jobs runs` and `why-empty`: what runs did, and why there is nothing to collect.

use serde_json::Value;

use super::answers::{RunHistory, RunList, RunMessage, RunPackage, RunPosition, WhyEmpty};
use super::connection::Connection;
use super::screen::{Screen, Tone, count, counted, plain};
use super::{Exit, Failure};

/// Prints a job's latest runs.
pub(super) async fn runs(screen: &Screen, connection: &Connection, job: &str, limit: u32) -> Result<Exit, Failure> {
    let path = ["api", "v1", "jobs", job, "occurrences"];
    let limit = limit.to_string();
    let answer = connection
        .open()?
        .get::<RunList>(&path, &[("limit", limit.as_str())])
        .await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else if answer.body.occurrences.is_empty() {
        screen.note("It has not run.");
    } else {
        for run in &answer.body.occurrences {
            print(screen, run);
        }
    }
    Ok(Exit::Ok)
}

/// Says why there is nothing to collect.
pub(super) async fn why_empty(screen: &Screen, connection: &Connection, job: &str) -> Result<Exit, Failure> {
    let path = ["api", "v1", "jobs", job, "why-empty"];
    let answer = connection.open()?.get::<WhyEmpty>(&path, &[]).await?;
    if screen.is_json() {
        screen.json(&answer.raw);
    } else {
        screen.line(plain(&answer.body.answer));
    }
    Ok(Exit::Ok)
}

fn print(screen: &Screen, run: &RunHistory) {
    let occurrence = &run.occurrence;
    let title = format!("{}  {}", plain(&occurrence.due_at), plain(&occurrence.state));
    screen.line(screen.paint(Tone::Strong, &title));
    let fact = |name: &str, text: &str| {
        if !text.is_empty() {
            screen.line(format!(
                "  {} {text}",
                screen.paint(Tone::Faint, &format!("{name:<10}"))
            ));
        }
    };
    fact("trigger", &plain(&occurrence.trigger));
    fact("asked", &plain(occurrence.comment.as_deref().unwrap_or_default()));
    fact("note", &plain(occurrence.note.as_deref().unwrap_or_default()));
    fact("started", &plain(run.started_at.as_deref().unwrap_or_default()));
    fact("took", &phases(run));
    let entities = run
        .entities
        .iter()
        .map(|entity| format!("{} {}", plain(&entity.entity), counted(entity.records, "record")));
    fact("entities", &entities.collect::<Vec<_>>().join(", "));
    for message in &run.messages {
        fact("message", &message_line(message));
    }
    fact("package", &run.package.as_ref().map_or_else(String::new, package_line));
    for position in &run.positions {
        fact("position", &position_line(position));
    }
    for delivery in &run.deliveries {
        let attempts = counted(delivery.attempts, "attempt");
        fact(
            "delivery",
            &format!(
                "{} {}, {attempts}",
                plain(&delivery.destination),
                plain(&delivery.state)
            ),
        );
    }
}

fn phases(run: &RunHistory) -> String {
    let phases = [
        ("waited", run.phases.waiting),
        ("wrote", run.phases.writing),
        ("stored", run.phases.storing),
        ("queued", run.phases.queuing),
    ];
    let told = phases
        .into_iter()
        .filter_map(|(name, seconds)| seconds.map(|seconds| format!("{name} {seconds:.3} s")));
    told.collect::<Vec<_>>().join(", ")
}

/// A message in a line.
pub(super) fn message_line(message: &RunMessage) -> String {
    let acknowledged = message
        .acknowledged_at
        .as_ref()
        .map_or_else(String::new, |at| format!(" at {}", plain(at)));
    format!(
        "{} {}{acknowledged}, {} bytes, {}",
        plain(&message.id),
        plain(&message.status),
        count(message.bytes),
        plain(&message.digest)
    )
}

fn package_line(package: &RunPackage) -> String {
    let fetched = match &package.fetched_at {
        Some(at) => format!("fetched at {}", plain(at)),
        None => format!("not fetched, kept until {}", plain(&package.expires_at)),
    };
    format!("{} {fetched}, {} bytes", plain(&package.file), count(package.bytes))
}

fn position_line(position: &RunPosition) -> String {
    let at = |place: &Value| {
        place["at"]
            .as_i64()
            .map_or_else(|| "everything".to_owned(), |at| at.to_string())
    };
    format!(
        "{} {} -> {}, {}",
        plain(&position.entity),
        at(&position.before),
        at(&position.after),
        plain(&position.state)
    )
}

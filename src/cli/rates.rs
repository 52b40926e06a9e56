//! `tranship rates`: how much comes in and ends.

use super::answers::{Rates as Answered, Traffic};
use super::connection::{Connection, name_or_id};
use super::screen::{Screen, count, plain};
use super::{Exit, Failure};

/// Show how much comes in and ends
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  tranship rates
  tranship rates --job \"Inbound orders\" --range week")]
pub struct Rates {
    /// Only of this job (name or activity id)
    #[arg(long, value_name = "JOB", value_parser = name_or_id)]
    job: Option<String>,
    /// How far back: by minutes, quarters of an hour, or three hours
    #[arg(long, value_name = "RANGE", default_value = "hour", value_parser = ["hour", "day", "week"])]
    range: String,
    #[command(flatten)]
    pub(super) connection: Connection,
}

impl Rates {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let mut query = vec![("range", self.range.as_str())];
        query.extend(self.job.as_deref().map(|job| ("job", job)));
        let answer = self
            .connection
            .open()?
            .get::<Answered>(&["api", "v1", "rates"], &query)
            .await?;
        if screen.is_json() {
            screen.json(&answer.raw);
        } else {
            show(screen, &self.range, &answer.body);
        }
        Ok(Exit::Ok)
    }
}

fn show(screen: &Screen, range: &str, rates: &Answered) {
    let now = &rates.per_minute;
    screen.line(format!(
        "{:.1} a minute in, {:.1} out, {:.1} failed, over the last five minutes",
        now.enqueued, now.ended, now.failed
    ));
    let busy = rates
        .buckets
        .iter()
        .filter(|bucket| bucket.traffic.enqueued + bucket.traffic.ended > 0);
    let heads = ["from", "in", "out", "with rejects", "cancelled, expired", "failed"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(busy.map(|bucket| row(plain(&bucket.from), &bucket.traffic)));
    if rows.len() == 1 {
        screen.note(format!("Nothing came in and nothing ended in the last {range}."));
        return;
    }
    rows.push(row("together".to_owned(), &rates.total));
    screen.table(&rows);
}

fn row(name: String, traffic: &Traffic) -> Vec<String> {
    let counts = [
        traffic.enqueued,
        traffic.ended,
        traffic.with_errors,
        traffic.stopped,
        traffic.failed,
    ];
    std::iter::once(name).chain(counts.map(count)).collect()
}

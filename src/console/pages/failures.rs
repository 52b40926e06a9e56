//! What failed lately: messages, runs, deliveries; and runs that try again.

use maud::{Markup, html};

use super::jobs::job_link;
use super::messages::rows;
use crate::console::parts::{empty, maybe_time, none, table, time};
use crate::console::prose::{maybe_prose, maybe_story};
use crate::console::same::encoded;
use crate::console::visit::Visit;
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::domain::message::Message;
use crate::http::problem::Problem;
use crate::pipeline::find::is_failure;
use crate::storage::failed::GivenUp;
use crate::storage::lately::Lately;
use crate::storage::occurrences::Occurrence;

/// How far back.
const LATELY_SECONDS: i64 = 7 * 86_400;
/// Most of each kind.
const SHOWN_MAX: usize = 10;
/// Looked at for them: some messages ended so because somebody wanted it, and some jobs are not for the visitor.
const LOOKED_AT_MAX: u32 = 100;

/// What failed of the jobs a visitor sees.
pub(super) struct Failures {
    messages: Vec<Message>,
    runs: Vec<Occurrence>,
    again: Vec<Occurrence>,
    given_up: Vec<GivenUp>,
}

impl Failures {
    pub(super) async fn of(visit: &Visit<'_>, jobs: &[&Job]) -> Result<Self, Problem> {
        let store = &visit.api.context.store;
        let since = visit.now.plus_seconds(-LATELY_SECONDS);
        let is_seen = |job: JobId| visit.caller.sees_all() || jobs.iter().any(|seen| seen.id == job);
        let mut runs = store.failed_runs(since, LOOKED_AT_MAX).await?;
        let mut again = store.runs_that_try_again(LOOKED_AT_MAX).await?;
        for runs in [&mut runs, &mut again] {
            runs.retain(|run| is_seen(run.job));
            runs.truncate(SHOWN_MAX);
        }
        let mut given_up = store.given_up(since, LOOKED_AT_MAX).await?;
        given_up.retain(|delivery| is_seen(delivery.job));
        given_up.truncate(SHOWN_MAX);
        Ok(Self {
            messages: messages(visit, jobs).await?,
            runs,
            again,
            given_up,
        })
    }

    fn are_none(&self) -> bool {
        self.messages.is_empty() && self.runs.is_empty() && self.again.is_empty() && self.given_up.is_empty()
    }
}

async fn messages(visit: &Visit<'_>, jobs: &[&Job]) -> Result<Vec<Message>, Problem> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = Lately {
        jobs: jobs.iter().map(|job| job.id).collect(),
        troubled: true,
        from: Some(visit.now.plus_seconds(-LATELY_SECONDS)),
        limit: LOOKED_AT_MAX,
        ..Lately::default()
    };
    let store = &visit.api.context.store;
    let ids = store.lately(&wanted).await?;
    let mut messages = store.messages_by_id(&ids).await?;
    messages.reverse();
    messages.retain(|message| is_failure(message.status));
    messages.truncate(SHOWN_MAX);
    Ok(messages)
}

pub(super) fn section(visit: &Visit<'_>, failures: &Failures) -> Markup {
    html! {
        section aria-labelledby="failures" {
            h2 #failures { "Failures of the last seven days" }
            @if failures.are_none() {
                (empty("Nothing failed.", &html! { "Messages that end without success or with rejected records, runs that fail and "
                    "deliveries that are given up show here." }))
            }
            @if !failures.again.is_empty() {
                h3 { "Runs that try again" }
                (runs_of(visit, "Runs that try again", "Next attempt", &failures.again))
            }
            @if !failures.messages.is_empty() {
                @if failures.messages.len() < failures.total() { h3 { "Messages" } }
                (rows(visit, "Messages that failed lately", &failures.messages))
                p.more { a href="/console/messages?status=failed" { "All that failed" } }
            }
            @if !failures.runs.is_empty() {
                h3 { "Runs" }
                (runs_of(visit, "Runs that failed lately", "Failed", &failures.runs))
            }
            @if !failures.given_up.is_empty() {
                h3 { "Deliveries" }
                (deliveries(visit, &failures.given_up))
            }
        }
    }
}

impl Failures {
    fn total(&self) -> usize {
        self.messages.len() + self.runs.len() + self.again.len() + self.given_up.len()
    }
}

fn runs_of(visit: &Visit<'_>, caption: &str, when: &str, runs: &[Occurrence]) -> Markup {
    let rows = html! {
        @for run in runs {
            tr {
                td { (job_link(visit, run.job)) }
                td {
                    @if let Some(id) = &run.execution {
                        a href={ "/console/executions/" (encoded(&id.0)) } { (time(run.due_at, visit.now)) }
                    } @else { (time(run.due_at, visit.now)) }
                }
                td { (maybe_time(run.finished_at.or(run.not_before), visit.now)) }
                td.number { (run.attempt) }
                td.text { (maybe_story(run.note.as_deref(), visit.now)) }
            }
        }
    };
    table(caption, &["Job", "Due", when, "#Attempts", "Why"], &rows)
}

fn deliveries(visit: &Visit<'_>, given_up: &[GivenUp]) -> Markup {
    let rows = html! {
        @for delivery in given_up {
            tr {
                td { (job_link(visit, delivery.job)) }
                td { (delivery.to) }
                td { (time(delivery.at, visit.now)) }
                td { @if let Some(status) = delivery.status { (status) } @else { "none came" } }
                td.text { (maybe_prose(delivery.detail.as_deref())) }
                td { @if let Some(id) = delivery.message { a href={ "/console/messages/" (id) } { "message" } } @else { (none()) } }
            }
        }
    };
    let heads = ["Job", "To", "Given up", "Last answer", "It said", "-Message"];
    table("Deliveries that were given up lately", &heads, &rows)
}

//! Which processes serve the store, and what they have.

use maud::{Markup, html};

use super::jobs::job_link;
use crate::console::parts::{Tone, badge, none, notice, span, table, time};
use crate::console::visit::Visit;
use crate::domain::ids::JobId;
use crate::http::problem::Problem;
use crate::http::processes::{Known, State, is_lapsed, known};

/// Most things shown that one process has.
const WORKS_MAX: usize = 5;

/// Those the visitor may know of.
pub(super) struct Processes(Vec<Known>);

impl Processes {
    pub(super) async fn of(visit: &Visit<'_>) -> Result<Self, Problem> {
        Ok(Self(
            known(visit.api, &visit.caller, &visit.definitions, visit.now).await?,
        ))
    }

    /// What is wrong with them, for the head of the page.
    pub(super) fn warnings(&self, visit: &Visit<'_>) -> Markup {
        let works = |known: &Known| matches!(known.state(visit.now), State::Idle | State::AtWork);
        let works_held = self.0.iter().flat_map(|known| &known.works);
        html! {
            @if visit.caller.sees_all() && !self.0.iter().any(works) {
                (notice(Tone::Bad, &html! { "No worker looks for work: imports wait and exports do not run. See "
                    a href="#workers" { "the processes" } "; restart one, its log says what its worker waits for." }))
            }
            @for held in works_held.filter(|held| is_lapsed(held, visit.now)) {
                (notice(Tone::Bad, &html! { "Nothing is heard of " code { (held.owner) } ", which has work of "
                    (job_link(visit, held.job)) ". Another worker takes it over." }))
            }
        }
    }

    pub(super) fn section(&self, visit: &Visit<'_>) -> Markup {
        let rows = html! { @for known in &self.0 { (row(visit, known)) } };
        let heads = ["Process", "-State", "Slots taken", "Has", "Runs for", "Version"];
        html! {
            section aria-labelledby="workers" {
                h2 #workers { "Processes" }
                (table("Processes that serve this store", &heads, &rows))
                @if visit.api.context.store.has_one_process() {
                    p.faint { "A SQLite store has one process: the one that answers you." }
                }
            }
        }
    }
}

fn row(visit: &Visit<'_>, known: &Known) -> Markup {
    let said = known.said.as_ref();
    let lives = said.filter(|process| !process.is_gone(visit.now));
    html! {
        tr {
            td {
                code title=[said.map(|process| format!("listens on {}", process.listener))] { (known.owner) }
                @if *known.owner == *visit.api.context.owner { " " span.faint { "answers you" } }
            }
            td { (state(visit, known)) }
            td { @if let Some(process) = lives { (process.busy) " of " (process.slots) } @else { (none()) } }
            td {
                @for work in known.works.iter().take(WORKS_MAX) {
                    @if let Some(id) = work.message { a href={ "/console/messages/" (id) } { "a message of " (name(visit, work.job)) } br; }
                    @else { (job_link(visit, work.job)) br; }
                }
                @if known.works.len() > WORKS_MAX { "and " (known.works.len() - WORKS_MAX) " more" }
                @if known.works.is_empty() { (none()) }
            }
            td {
                @if let Some(process) = said { span title={ "since " (process.started_at) } { (span(process.started_at, process.seen_at)) } }
                @else { (none()) }
            }
            td { @if let Some(process) = said { (process.version) } @else { (none()) } }
        }
    }
}

fn state(visit: &Visit<'_>, known: &Known) -> Markup {
    match known.state(visit.now) {
        State::Idle => badge(Tone::Good, "idle"),
        State::AtWork => badge(Tone::Busy, "at work"),
        State::Hangs => badge(Tone::Bad, "its worker hangs"),
        State::Gone => html! {
            (badge(Tone::Bad, "gone"))
            @if let Some(process) = &known.said { " not seen since " (time(process.seen_at, visit.now)) }
        },
    }
}

fn name(visit: &Visit<'_>, job: JobId) -> String {
    visit
        .definitions
        .job(job)
        .map_or_else(|| job.to_string(), |job| job.name.clone())
}

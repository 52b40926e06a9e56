//! `/api/v1/processes`: which processes serve the store and what they have. Those that say that they live, and those that leases name.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller};
use super::problem::{Problem, Surface};
use crate::definitions::Definitions;
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::at_work::AtWork;
use crate::storage::processes::Process;

/// A process.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Host, process and port.
    pub owner: String,
    /// What it said of itself.
    pub said: Option<Process>,
    /// What it has, as far as the caller may know.
    pub works: Vec<AtWork>,
}

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It lives, and has nothing to do.
    Idle,
    /// It lives, and works.
    AtWork,
    /// It lives, but its worker does not look for work.
    Hangs,
    /// It has not been heard of for too long.
    Gone,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::AtWork => "at_work",
            Self::Hangs => "hangs",
            Self::Gone => "gone",
        }
    }
}

impl Known {
    /// How it is now.
    pub(crate) fn state(&self, now: Timestamp) -> State {
        match &self.said {
            Some(process) if process.is_gone(now) => State::Gone,
            Some(process) if !process.works(now) => State::Hangs,
            Some(process) if process.busy > 0 => State::AtWork,
            // Nothing but its leases tells of it.
            None if self.works.iter().all(|work| is_lapsed(work, now)) => State::Gone,
            Some(_) if self.works.is_empty() => State::Idle,
            _ => State::AtWork,
        }
    }
}

/// Whether whoever holds this should have been heard of by now.
pub(crate) fn is_lapsed(held: &AtWork, now: Timestamp) -> bool {
    held.lease_until.is_some_and(|until| until < now)
}

/// The processes a caller may know of, by name: who sees some jobs only sees who works on them, beside the process that answers.
pub(crate) async fn known(
    api: &Api,
    caller: &Caller,
    definitions: &Definitions,
    now: Timestamp,
) -> Result<Vec<Known>, StoreError> {
    let context = &api.context;
    let mut known: BTreeMap<String, Known> = BTreeMap::new();
    for process in context.store.processes().await? {
        // The latest of a name comes first.
        known
            .entry(process.owner.clone())
            .or_default()
            .said
            .get_or_insert(process);
    }
    // What the store says of this one is older.
    let own = context.owner.to_string();
    known.entry(own).or_default().said = Some(context.pulse.process(now));
    for work in context.store.at_work().await? {
        let job = definitions.job(work.job);
        if job.map_or(caller.sees_all(), |job| caller.may_see(job)) {
            known.entry(work.owner.clone()).or_default().works.push(work);
        }
    }
    let named = known.into_iter().map(|(owner, known)| Known { owner, ..known });
    let seen = |known: &Known| caller.sees_all() || *known.owner == *context.owner || !known.works.is_empty();
    Ok(named.filter(seen).collect())
}

/// `GET /api/v1/processes`.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let (definitions, now) = (api.definitions(), api.context.clock.now());
        let known = known(&api, &caller, &definitions, now).await?;
        let own = &api.context.owner;
        let processes: Vec<Value> = known
            .iter()
            .map(|known| body(&definitions, known, *known.owner == **own, now))
            .collect();
        Ok(HttpResponse::Ok().json(json!({ "processes": processes })))
    };
    listed
        .await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

fn body(definitions: &Definitions, known: &Known, answers: bool, now: Timestamp) -> Value {
    let said = known.said.as_ref();
    json!({
        "process": known.owner,
        "state": known.state(now).as_str(),
        "answers": answers,
        "version": said.map(|process| &process.version),
        "listener": said.map(|process| &process.listener),
        "slots": said.map(|process| process.slots),
        "busy": said.map(|process| process.busy),
        "started_at": said.map(|process| process.started_at),
        "looked_at": said.and_then(|process| process.looked_at),
        "seen_at": said.map(|process| process.seen_at),
        "work": known.works.iter().map(|work| json!({
            "job": definitions.job(work.job).map(|job| &job.name),
            "job_id": work.job,
            "message": work.message,
            "lease_until": work.lease_until,
        })).collect::<Vec<_>>(),
    })
}

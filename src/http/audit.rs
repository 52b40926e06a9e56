//! What callers do, told to the audit log; and `/api/v1/audit`, where it is read.
//!
//! One call for each act: `Api::audited` where it is one transaction of the store, `Api::audited_context` where a use case
//! carries that transaction out, `Api::audited_steps` where it takes several.

use std::fmt::Display;
use std::future::Future;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller};
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use crate::definitions::Definitions;
use crate::domain::audit::{Action, NewEntry, Outcome, Target};
use crate::domain::schedule::moment::Moment;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::storage::Store;
use crate::storage::audit::{AuditEntry, AuditFilter, Verified};

/// Most entries one answer lists.
const LISTED_MAX: u32 = 500;
/// Entries one answer verifies, unless less is asked for.
const VERIFIED_MAX: u32 = 100_000;

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

impl Api {
    /// The entry of what a caller does now. Members of `detail` that are `null` are left out.
    pub(crate) fn entry(&self, caller: &Caller, action: Action, target: impl Display, detail: Value) -> NewEntry {
        let now = self.context.clock.now();
        let mut entry = NewEntry::new(now, &caller.name, caller.surface, action, &target);
        if let Value::Object(members) = detail {
            members.into_iter().for_each(|(name, value)| entry.add(&name, value));
        }
        entry
    }

    /// The store for one act of a caller's: the audit log tells of what is done by it.
    pub(crate) fn audited(&self, caller: &Caller, action: Action, target: impl Display, detail: Value) -> Store {
        let entry = self.entry(caller, action, target, detail);
        self.context.store.audited(entry)
    }

    /// The same for what a use case does.
    pub(crate) fn audited_context(
        &self,
        caller: &Caller,
        action: Action,
        target: impl Display,
        detail: Value,
    ) -> Context {
        Context {
            store: self.audited(caller, action, target, detail),
            ..self.context.clone()
        }
    }

    /// Carries out an act of several transactions, and tells of it before the first and after the last, with what `counted`
    /// makes of the result. It goes on when the caller goes away.
    ///
    /// # Errors
    /// Those of the work; also when the entry before it cannot be written, and nothing is done then.
    pub(crate) async fn audited_steps<T, E>(
        &self,
        entry: NewEntry,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
        counted: impl Fn(&T) -> Value + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Display + Into<Problem> + Send + 'static,
    {
        let (store, clock) = (self.context.store.clone(), self.context.clock.clone());
        let steps = async move {
            let asked = store.note(entry.clone(), Outcome::Asked).await?;
            let done = work.await;
            let mut closing = NewEntry {
                at: clock.now(),
                ..entry.with("asked", asked)
            };
            let outcome = match &done {
                Ok(value) => {
                    if let Value::Object(members) = counted(value) {
                        closing.detail.extend(members);
                    }
                    Outcome::Done
                }
                Err(error) => {
                    closing.add("error", error.to_string());
                    Outcome::Failed
                }
            };
            if let Err(error) = store.note(closing, outcome).await {
                tracing::error!(%error, "the audit log says of entry {asked} only that it was asked for");
            }
            done.map_err(Into::into)
        };
        let done = self.context.runtime.spawn(steps).await;
        done.map_err(|error| {
            tracing::error!(%error, "an act of several steps broke off");
            Problem::new(Kind::Internal, "it broke off; the log of the service says why")
        })?
    }
}

/// The filter of a query, for this caller: admins read all of it, operators and viewers what was done to jobs, messages and
/// deliveries.
///
/// # Errors
/// 403 for other roles, 400 for what is no action, time or number.
pub(crate) fn filter(definitions: &Definitions, caller: &Caller, query: &Query) -> Result<AuditFilter, Problem> {
    if !caller.sees_all() {
        let detail = format!(
            "the client `{}` may not read the audit log: admins do, operators and viewers what was done to jobs and messages",
            caller.name
        );
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let action = |word: String| {
        Action::parse(&word).ok_or_else(|| {
            let all: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
            let detail = format!("`{word}` is no action; write one of {}", all.join(", "));
            Problem::bad("invalid_action", detail)
        })
    };
    // A job may be named as everywhere else; entries have its id.
    let target = |text: String| match definitions.find_job(&text) {
        Some(job) => job.id.to_string(),
        None => text,
    };
    let before = |text: String| {
        let detail = "before_entry is the `next` of the page before";
        text.parse::<i64>().map_err(|_| Problem::bad("invalid_before", detail))
    };
    Ok(AuditFilter {
        actor: query.get("actor"),
        action: query.get("action").map(action).transpose()?,
        target: query.get("target").map(target),
        from: query.get("from").as_deref().map(moment).transpose()?,
        to: query.get("before").as_deref().map(moment).transpose()?,
        before: query.get("before_entry").map(before).transpose()?,
        without_access: !caller.is_admin(),
    })
}

/// A time, or a date; in UTC where it does not say.
fn moment(text: &str) -> Result<Timestamp, Problem> {
    let moment = Moment::parse(text).map(|moment| moment.first(chrono_tz::UTC));
    moment.ok_or_else(|| {
        let detail = format!("`{text}` is not a time; write 2026-01-31 or 2026-01-31T18:00:00Z");
        Problem::bad("invalid_time", detail)
    })
}

/// `GET /api/v1/audit?actor=&action=&target=&from=&before=&before_entry=&limit=`: newest first; `next` is the `before_entry`
/// of the next page.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let filter = filter(&definitions, &caller, &Query::of(&request))?;
        let limit = limit(&request, 50, LISTED_MAX)?;
        let entries = api.context.store.audit_entries(&filter, limit).await?;
        let next = entries.last().filter(|_| entries.len() == limit as usize);
        let next = next.map(|entry| entry.link.seq);
        let shown: Vec<Value> = entries.iter().map(|entry| shown(&definitions, entry)).collect();
        Ok(HttpResponse::Ok().json(json!({ "entries": shown, "next": next })))
    };
    respond(listed.await)
}

/// `GET /api/v1/audit/verify?after=&limit=`: recomputes the chain from its first entry, or from the one after `after`.
pub async fn verify(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let verified = async {
        let caller = caller(&api, &request).await?;
        caller.must_be_admin("verify the audit log")?;
        let limit = limit(&request, VERIFIED_MAX, VERIFIED_MAX)?;
        let after = Query::of(&request).get("after").map(|text| text.parse::<i64>());
        let after = after.transpose().map_err(|_| {
            let detail = "after is the `next` of the answer before, or the number of an entry";
            Problem::bad("invalid_after", detail)
        })?;
        let verified = api.context.store.verify_audit(after, limit.into()).await?;
        Ok(HttpResponse::Ok().json(verified_body(&verified)))
    };
    respond(verified.await)
}

/// What a look at the chain found, as JSON.
#[must_use]
pub fn verified_body(verified: &Verified) -> Value {
    json!({
        "whole": verified.fault.is_none(),
        "checked": verified.checked,
        "first": verified.first,
        "head": verified.head.as_ref().map(|head| json!({ "number": head.seq, "hash": head.hex() })),
        "fault": verified.fault.as_ref().map(|fault| json!({ "number": fault.seq, "what": fault.what })),
        "next": verified.next,
    })
}

/// An entry, as JSON.
#[must_use]
pub fn shown(definitions: &Definitions, entry: &AuditEntry) -> Value {
    let link = &entry.link;
    json!({
        "number": link.seq,
        "at": entry.at(),
        "at_micros": link.at,
        "actor": link.actor,
        "surface": link.surface,
        "action": link.action,
        "target": link.target,
        "target_kind": Action::parse(&link.action).map(|action| kind(action.target())),
        "job": job_of(definitions, entry),
        "outcome": link.outcome,
        "detail": entry.detail(),
        "previous": entry.previous_hex(),
        "hash": entry.hex(),
    })
}

/// The name of the job an entry is about: what it is called now, or what it was called then.
#[must_use]
pub fn job_of(definitions: &Definitions, entry: &AuditEntry) -> Option<String> {
    let now = entry.link.target.parse().ok().and_then(|id| definitions.job(id));
    let then = || entry.detail().get("job").and_then(Value::as_str).map(str::to_owned);
    now.map(|job| job.name.clone()).or_else(then)
}

fn kind(target: Target) -> &'static str {
    match target {
        Target::Job => "job",
        Target::Message => "message",
        Target::Webhook => "webhook_delivery",
        Target::Delivery => "delivery",
        Target::Execution => "execution",
        Target::Client => "client",
        Target::Definitions => "definitions",
        Target::Service => "service",
    }
}

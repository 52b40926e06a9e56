//! `/api/v1/messages/bulk`: try many messages again, or cancel them; and which messages are meant, as queries and bodies say it.

use std::collections::BTreeSet;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, usable_job};
use super::body::{read_json, within};
use super::dead_letters::time;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::view;
use crate::definitions::Definitions;
use crate::domain::audit::Action as Audited;
use crate::domain::ids::{JobId, MessageId};
use crate::pipeline::bulk::{Action, Bulk, Failed, LIMIT_MAX, Preview, Report, Which};
use crate::pipeline::carriers::RecordKey;
use crate::pipeline::find::{Wanted, WantedStatus};

/// Longest body: [`LIMIT_MAX`] ids and more.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// Messages a call acts on unless it says otherwise.
const LIMIT: u32 = 500;

/// Which messages, as a body or a query has it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// Name or id.
    pub job: Option<String>,
    /// A status, or `failed`.
    pub status: Option<String>,
    /// The code of a message that failed as a whole.
    pub code: Option<String>,
    /// A part of the external id, in any case.
    pub file: Option<String>,
    /// The external id.
    pub external_id: Option<String>,
    /// RFC 3339.
    pub enqueued_from: Option<String>,
    /// RFC 3339.
    pub enqueued_before: Option<String>,
    /// RFC 3339.
    pub ended_from: Option<String>,
    /// RFC 3339.
    pub ended_before: Option<String>,
    /// The key of a record, as [`RecordKey::parse`] takes it.
    pub key: Option<String>,
    /// Label or technical name of that record's entity.
    pub entity: Option<String>,
}

impl Filter {
    /// As a query says.
    pub fn of(query: &Query) -> Self {
        Self {
            job: query.get("job"),
            status: query.get("status"),
            code: query.get("code"),
            file: query.get("file"),
            external_id: query.get("external_id"),
            enqueued_from: query.get("enqueued_from"),
            enqueued_before: query.get("enqueued_before"),
            ended_from: query.get("ended_from"),
            ended_before: query.get("ended_before"),
            key: query.get("key"),
            entity: query.get("entity"),
        }
    }

    /// Each name with its value, where it has one.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("job", &self.job),
            ("status", &self.status),
            ("code", &self.code),
            ("file", &self.file),
            ("external_id", &self.external_id),
            ("enqueued_from", &self.enqueued_from),
            ("enqueued_before", &self.enqueued_before),
            ("ended_from", &self.ended_from),
            ("ended_before", &self.ended_before),
            ("entity", &self.entity),
            ("key", &self.key),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// What is looked for, of these jobs.
    ///
    /// # Errors
    /// 400 naming what makes no sense.
    pub fn wanted(&self, definitions: &Arc<Definitions>, mut jobs: Vec<JobId>) -> Result<Wanted, Problem> {
        let record = self.record(definitions)?;
        if let Some(record) = &record {
            if jobs.is_empty() {
                jobs = definitions.jobs.iter().map(|job| job.id).collect();
            }
            let carrying: Vec<JobId> = jobs.iter().copied().filter(|job| record.may_be_in(*job)).collect();
            // None of them carries it: they are looked at in vain, for no job would mean any.
            if !carrying.is_empty() {
                jobs = carrying;
            }
        }
        let status = self.status.as_deref().map(str::trim).map(str::parse::<WantedStatus>);
        let status = status
            .transpose()
            .map_err(|detail| Problem::bad("invalid_status", detail))?;
        let time = |text: &Option<String>| text.as_deref().map(time).transpose();
        Ok(Wanted {
            jobs,
            status: status.unwrap_or_default(),
            code: self.code.clone(),
            file: self.file.as_deref().map(|text| text.trim().to_owned()),
            external_id: self.external_id.clone(),
            enqueued_from: time(&self.enqueued_from)?,
            enqueued_before: time(&self.enqueued_before)?,
            ended_from: time(&self.ended_from)?,
            ended_before: time(&self.ended_before)?,
            record,
        })
    }

    /// The record that is looked for: of the entity that is named, or of the one that the job has.
    fn record(&self, definitions: &Arc<Definitions>) -> Result<Option<RecordKey>, Problem> {
        let Some(key) = &self.key else {
            return match &self.entity {
                None => Ok(None),
                Some(entity) => Err(Problem::bad(
                    "invalid_key",
                    format!("which record of `{entity}`? Write its key, too"),
                )),
            };
        };
        let of_job = || {
            let job = definitions.find_job(self.job.as_deref()?)?;
            let imports = job
                .import
                .iter()
                .flat_map(|spec| &spec.entities)
                .map(|entity| &entity.entity);
            let exports = job
                .export
                .iter()
                .flat_map(|spec| &spec.entities)
                .map(|entity| &entity.entity);
            let mut all = imports.chain(exports);
            let entity = all.next()?;
            all.next().is_none().then(|| definitions.entity(entity)).flatten()
        };
        let entity = match &self.entity {
            Some(name) => definitions
                .find_entity(name)
                .ok_or_else(|| Problem::bad("entity_unknown", format!("there is no entity `{name}`")))?,
            None => of_job().ok_or_else(|| {
                let detail = "which entity's key is it? Name the entity, or a job that has one";
                Problem::bad("invalid_key", detail)
            })?,
        };
        let record = RecordKey::parse(definitions, entity, key);
        record.map(Some).map_err(|detail| Problem::bad("invalid_key", detail))
    }
}

/// What is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// What to do.
    pub action: Action,
    /// To these messages.
    #[serde(default)]
    pub ids: Vec<String>,
    /// To all that are like this.
    pub filter: Option<Filter>,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
    /// To at most so many in this call.
    pub limit: Option<u32>,
    /// Put back ones are offered at this rate.
    pub per_second: Option<u32>,
    /// The `next` of the call before.
    pub after: Option<String>,
}

/// What is asked for, understood and allowed.
pub(crate) struct Allowed {
    bulk: Bulk,
    /// Ids that name no message the caller may use.
    unknown: Vec<Failed>,
}

/// Checks what is asked for.
///
/// # Errors
/// 400 naming what makes no sense; 403 and 404 for a job that may not be used, or is not there.
pub(crate) async fn allowed(
    api: &Api,
    definitions: &Arc<Definitions>,
    caller: &Caller,
    asked: &Asked,
) -> Result<Allowed, Problem> {
    let after = asked.after.as_deref().map(str::parse).transpose();
    let mut unknown = Vec::new();
    let which = match (&asked.filter, asked.ids.is_empty()) {
        (Some(filter), true) => Which::Like(like(definitions, caller, asked.action, filter)?),
        (None, false) => Which::Named(named(api, definitions, caller, &asked.ids, &mut unknown).await?),
        _ => {
            let detail = "say which messages: either `ids`, or a `filter`";
            return Err(Problem::bad("invalid_filter", detail));
        }
    };
    let per_second = asked.per_second;
    let per_second = per_second
        .map(|rate| within("per_second", Some(rate), 1, 1, 100_000))
        .transpose()?;
    Ok(Allowed {
        bulk: Bulk {
            action: asked.action,
            which,
            limit: within("limit", asked.limit, LIMIT, 1, LIMIT_MAX)? as usize,
            per_second,
            after: after.map_err(|detail: String| Problem::bad("invalid_after", detail))?,
            by: caller.name.clone(),
        },
        unknown,
    })
}

fn like(definitions: &Arc<Definitions>, caller: &Caller, action: Action, filter: &Filter) -> Result<Wanted, Problem> {
    if filter.pairs().next().is_none() {
        let detail = "the filter is empty, which would mean every message; say at least a job or a status";
        return Err(Problem::bad("invalid_filter", detail));
    }
    // An empty one is in every text, and its sender hardly meant that.
    if let Some((name, _)) = filter.pairs().find(|(_, value)| value.trim().is_empty()) {
        let detail = format!("`{name}` of the filter is empty; leave it out, or say what it is to be");
        return Err(Problem::bad("invalid_filter", detail));
    }
    let jobs = match &filter.job {
        Some(name) => vec![usable_job(definitions, caller, name)?.id],
        None => definitions
            .jobs
            .iter()
            .filter(|job| caller.may_use(job))
            .map(|job| job.id)
            .collect(),
    };
    if jobs.is_empty() {
        let detail = format!("the client `{}` may use no job", caller.name);
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    let wanted = filter.wanted(definitions, jobs)?;
    if !action.can_be_for(wanted.status) {
        let detail = match action {
            Action::Retry => "only what ended without success can be tried again",
            Action::Cancel => "only what has not ended can be cancelled",
        };
        let status = filter.status.as_deref().unwrap_or_default();
        return Err(Problem::bad(
            "invalid_status",
            format!("`{status}` makes no sense here: {detail}"),
        ));
    }
    Ok(wanted)
}

async fn named(
    api: &Api,
    definitions: &Definitions,
    caller: &Caller,
    ids: &[String],
    unknown: &mut Vec<Failed>,
) -> Result<Vec<MessageId>, Problem> {
    if ids.len() > LIMIT_MAX as usize {
        let detail = format!("{} ids are too many at once; send at most {LIMIT_MAX}", ids.len());
        return Err(Problem::bad("invalid_filter", detail));
    }
    let wanted: Result<BTreeSet<MessageId>, _> = ids.iter().map(|id| id.trim().parse()).collect();
    let wanted =
        wanted.map_err(|error: crate::domain::ids::InvalidGuid| Problem::bad("invalid_filter", error.to_string()))?;
    let wanted: Vec<MessageId> = wanted.into_iter().collect();
    let mut usable = BTreeSet::new();
    for ids in wanted.chunks(200) {
        let found = api.context.store.messages_by_id(ids).await?;
        let may_use = |job: JobId| definitions.job(job).is_some_and(|job| caller.may_use(job));
        usable.extend(
            found
                .iter()
                .filter(|message| may_use(message.job))
                .map(|message| message.id),
        );
    }
    unknown.extend(wanted.iter().filter(|id| !usable.contains(id)).map(|id| Failed {
        id: *id,
        code: "not_found",
        detail: "there is no such message that this client may use".to_owned(),
    }));
    Ok(usable.into_iter().collect())
}

/// Counts what the action would be done to.
///
/// # Errors
/// 503 when the store is out of reach.
pub(crate) async fn preview(api: &Api, allowed: &Allowed) -> Result<Preview, Problem> {
    let mut preview = allowed.bulk.preview(&api.context).await?;
    preview.matched += allowed.unknown.len() as u64;
    preview.will_fail += allowed.unknown.len() as u64;
    Ok(preview)
}

/// Does it, to a bounded number of messages.
///
/// # Errors
/// 503 when the store is out of reach; what was done before stays so, and the same call goes on.
pub(crate) async fn act(api: &Api, caller: &Caller, allowed: Allowed) -> Result<Report, Problem> {
    let Allowed { bulk, unknown } = allowed;
    let (context, definitions) = (api.context.clone(), api.definitions());
    let (action, is_first) = (bulk.action, bulk.after.is_none());
    let entry = api.entry(caller, Audited::MessagesBulk, target(&bulk), told(&definitions, &bulk));
    // It goes on when the caller goes away: nothing stops it half-way through a portion.
    let work = async move { Box::pin(bulk.run(&context, &definitions)).await };
    let counted =
        |report: &Report| json!({ "done": report.done, "asked_to_end": report.asked, "failed": report.failed.len() });
    let mut report = api.audited_steps(entry, work, counted).await?;
    if is_first {
        report.failed.splice(0..0, unknown);
    }
    api.wake.notify_one();
    tracing::info!(
        client = %caller.name, action = action.as_str(), done = report.done, asked = report.asked,
        failed = report.failed.len(), "bulk action"
    );
    Ok(report)
}

/// What the audit log names as its target: the job, where the filter is of one.
fn target(bulk: &Bulk) -> String {
    match &bulk.which {
        Which::Named(_) => "ids".to_owned(),
        Which::Like(wanted) => match wanted.jobs.as_slice() {
            [job] => job.to_string(),
            _ => "filter".to_owned(),
        },
    }
}

/// What the audit log tells of it.
fn told(definitions: &Definitions, bulk: &Bulk) -> Value {
    let named = |jobs: &[JobId]| match jobs {
        [job] => definitions.job(*job).map(|job| job.name.clone()),
        _ => None,
    };
    let which = match &bulk.which {
        Which::Named(ids) => json!({ "ids": ids.len() }),
        Which::Like(wanted) => json!({
            "job": named(&wanted.jobs),
            "status": wanted.status.as_str(),
            "code": wanted.code,
            "file": wanted.file,
            "external_id": wanted.external_id,
            "enqueued_from": wanted.enqueued_from,
            "enqueued_before": wanted.enqueued_before,
            "ended_from": wanted.ended_from,
            "ended_before": wanted.ended_before,
            // Not its key, which may be a person's.
            "record_of": wanted.record.as_ref().map(RecordKey::entity),
        }),
    };
    let mut told = json!({ "act": bulk.action, "limit": bulk.limit, "per_second": bulk.per_second });
    if let (Value::Object(told), Value::Object(which)) = (&mut told, which) {
        told.extend(which);
    }
    told
}

/// `POST /api/v1/messages/bulk`: acts on a bounded number of messages and says where to go on; or only counts.
pub async fn bulk(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let asked: Asked = read_json(body, BODY_BYTES_MAX).await?.ok_or_else(|| {
            let detail = "send {\"action\":\"retry\",\"filter\":{\"status\":\"DeadLettered\"},\"dry_run\":true}";
            Problem::bad("body_empty", detail)
        })?;
        let definitions = api.definitions();
        let allowed = allowed(&api, &definitions, &caller, &asked).await?;
        let body = if asked.dry_run {
            counted(&definitions, asked.action, &preview(&api, &allowed).await?)
        } else {
            let report = act(&api, &caller, allowed).await?;
            json!({
                "action": asked.action,
                "dry_run": false,
                "done": report.done,
                "asked": report.asked,
                "failed": report.failed,
                "next": report.next.map(|next| next.to_string()),
            })
        };
        Ok(HttpResponse::Ok().json(body))
    };
    done.await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

fn counted(definitions: &Definitions, action: Action, preview: &Preview) -> Value {
    let name = |id: &JobId| {
        definitions
            .job(*id)
            .map_or_else(|| id.to_string(), |job| job.name.clone())
    };
    let jobs = preview
        .jobs
        .iter()
        .map(|(id, matched)| json!({ "job": name(id), "job_id": id, "matched": matched }));
    let sample = preview.sample.iter().map(|message| view::summary(definitions, message));
    json!({
        "action": action,
        "dry_run": true,
        "matched": preview.matched,
        "at_least": preview.at_least,
        "will_fail": preview.will_fail,
        "jobs": jobs.collect::<Vec<_>>(),
        "sample": sample.collect::<Vec<_>>(),
    })
}

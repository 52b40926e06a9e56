//! `/api/v1/jobs/{job}/positions` and `/rewind`: how far incremental exports have come, and setting them back.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::{Caller, caller, usable_job, visible_job};
use super::body::read_json;
use super::jobs::limit;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use super::schedules::checked_note;
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::entity::Entity;
use crate::domain::export::Refresh;
use crate::domain::job::Job;
use crate::storage::positions::ExportPosition;

/// Longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Most positions of an entity that one answer lists.
const LISTED_MAX: u32 = 1000;

/// `GET /api/v1/jobs/{job}/positions?entity=&limit=`: newest first, by entity.
pub async fn list(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let listed = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = visible_job(&definitions, &caller, &name)?;
        let limit = limit(&request, 20, LISTED_MAX)?;
        let asked = Query::of(&request).get("entity");
        let entities = match &asked {
            Some(label) => vec![incremental(&definitions, job, Some(label))?],
            None => all_incremental(&definitions, job),
        };
        let mut positions = Vec::new();
        let now = api.context.clock.now();
        for entity in entities {
            // Looks how messages and packages ended, so that what is shown is how it stands.
            api.context.store.export_start(job.id, &entity.name, now).await?;
            for position in api.context.store.export_positions(job.id, &entity.name, limit).await? {
                positions.push(shown(&api, job, entity, &position).await?);
            }
        }
        Ok(HttpResponse::Ok().json(json!({ "job": job.name, "positions": positions })))
    };
    respond(listed.await)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RewindRequest {
    entity: Option<String>,
    to: Option<i64>,
    #[serde(default)]
    full: bool,
    note: Option<String>,
}

/// `POST /api/v1/jobs/{job}/rewind`: the next run begins where position `to` ended, or exports everything (`full`).
pub async fn rewind(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let done = async {
        let caller = caller(&api, &request).await?;
        let definitions = api.definitions();
        let job = usable_job(&definitions, &caller, &name)?;
        let asked: RewindRequest = read_json(body, BODY_BYTES_MAX).await?.unwrap_or_default();
        let entity = incremental(&definitions, job, asked.entity.as_deref())?;
        if asked.to.is_some() == asked.full {
            let detail = "say either `to`, the number of a position, or `full`: true";
            return Err(Problem::bad("invalid_position", detail));
        }
        let note = checked_note(asked.note)?;
        let number = rewound(&api, &caller, job, entity, asked.to, note.as_deref()).await?;
        Ok(HttpResponse::Ok().json(json!({ "job": job.name, "entity": entity.label, "number": number })))
    };
    respond(done.await)
}

/// Makes the next run of an entity export everything, as `ResetVersionToken` does. Whether there is such an entity.
pub(super) async fn reset(api: &Api, caller: &Caller, project: &str, label: &str) -> Result<bool, Problem> {
    let definitions = api.definitions();
    let job = usable_job(&definitions, caller, project)?;
    let Ok(entity) = incremental(&definitions, job, Some(label)) else {
        return Ok(false);
    };
    rewound(api, caller, job, entity, None, Some("ResetVersionToken")).await?;
    Ok(true)
}

async fn rewound(
    api: &Api,
    caller: &Caller,
    job: &Job,
    entity: &Entity,
    to: Option<i64>,
    note: Option<&str>,
) -> Result<i64, Problem> {
    let detail = json!({ "job": job.name, "entity": entity.label, "to": to, "full": to.is_none(), "note": note });
    let said = note.map_or_else(String::new, |note| format!(": {note}"));
    let note = match to {
        Some(to) => format!("set back to position {to} by {}{said}", caller.name),
        None => format!("set back to the beginning by {}{said}", caller.name),
    };
    let now = api.context.clock.now();
    let store = api.audited(caller, Action::JobRewind, job.id, detail);
    let number = store.rewind_export(job.id, &entity.name, to, &note, now).await?;
    let number = number.ok_or_else(|| {
        let to = to.unwrap_or_default();
        let detail = format!("`{}` has no position {to} of `{}` (any more)", job.name, entity.label);
        Problem::new(Kind::NotFound, detail)
    })?;
    tracing::info!(job.name = %job.name, entity = %entity.name, "export {note}");
    Ok(number)
}

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

fn all_incremental<'a>(definitions: &'a Definitions, job: &Job) -> Vec<&'a Entity> {
    let wanted = job.export.iter().flat_map(|export| &export.entities);
    wanted
        .filter(|wanted| wanted.refresh != Refresh::Full)
        .filter_map(|wanted| definitions.entity(&wanted.entity))
        .collect()
}

/// The entity of this label or name that the job exports incrementally; its only one, where none is named.
fn incremental<'a>(definitions: &'a Definitions, job: &Job, label: Option<&str>) -> Result<&'a Entity, Problem> {
    let all = all_incremental(definitions, job);
    let labels = || {
        all.iter()
            .map(|entity| format!("`{}`", entity.label))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let detail = match (label, all.as_slice()) {
        (_, []) => format!("`{}` exports nothing incrementally", job.name),
        (None, [only]) => return Ok(only),
        (None, _) => format!(
            "`{}` exports several entities incrementally; name one of {}",
            job.name,
            labels()
        ),
        (Some(label), _) => {
            let found = definitions.find_entity(label);
            if let Some(entity) = found.filter(|found| all.iter().any(|entity| entity.name == found.name)) {
                return Ok(entity);
            }
            format!(
                "`{}` does not export `{label}` incrementally, but {}",
                job.name,
                labels()
            )
        }
    };
    Err(Problem::bad("not_incremental", detail))
}

async fn shown(api: &Api, job: &Job, entity: &Entity, position: &ExportPosition) -> Result<Value, Problem> {
    let messages = match position.due_at {
        Some(due_at) => api.context.store.messages_of_run(job.id, due_at).await?,
        None => Vec::new(),
    };
    Ok(json!({
        "entity": entity.label,
        "number": position.number,
        "state": position.state.as_str(),
        "from": position.from.as_ref().map(|from| from.at),
        "to": position.to.as_ref().map(|to| to.at),
        "due_at": position.due_at,
        "taken_at": position.taken_at,
        "note": position.note,
        "messages": messages.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

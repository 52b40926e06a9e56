//! Faults: added, listed, removed.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{BODY_BYTES_MAX, open, respond};
use crate::http::Api;
use crate::http::body::read_json;
use crate::http::problem::{Kind, Problem};
use crate::sandbox::fault::Fault;
use crate::sandbox::faults::Refused;

/// `GET /api/v1/sandbox/faults`
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let (sandbox, _) = open(&api, &request).await?;
        Ok(HttpResponse::Ok().json(json!({ "faults": sandbox.faults.list() })))
    };
    respond(listed.await)
}

/// `POST /api/v1/sandbox/faults`: 201 with the fault.
pub async fn add(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let added = async {
        let (sandbox, caller) = open(&api, &request).await?;
        let asked: Option<Fault> = read_json(body, BODY_BYTES_MAX).await?;
        let asked = asked.ok_or_else(|| Problem::bad("body_empty", "send a fault, such as {\"kind\":\"fail_ack\"}"))?;
        let fault = asked.checked().map_err(|error| Problem::bad("invalid_fault", error))?;
        if let Some(job) = &fault.job
            && api.definitions().find_job(job).is_none()
        {
            return Err(Problem::bad("invalid_fault", format!("there is no job `{job}`")));
        }
        let added = sandbox.faults.add(fault).map_err(|refused| {
            let kind = match refused {
                Refused::Named(_) => Kind::Conflict,
                Refused::TooMany => Kind::BadRequest("invalid_fault"),
            };
            Problem::new(kind, refused.to_string())
        })?;
        tracing::warn!(fault = %added.fault.name, kind = added.fault.kind.word(), client = %caller.name, "a fault of the sandbox strikes from here on");
        Ok(HttpResponse::Created().json(added))
    };
    respond(added.await)
}

/// `DELETE /api/v1/sandbox/faults/{name}`
pub async fn remove(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let removed = async {
        let (sandbox, _) = open(&api, &request).await?;
        match sandbox.faults.remove(Some(name.as_str())) {
            0 => Err(Problem::new(Kind::NotFound, format!("there is no fault `{name}`"))),
            removed => Ok(HttpResponse::Ok().json(json!({ "removed": removed }))),
        }
    };
    respond(removed.await)
}

/// `DELETE /api/v1/sandbox/faults`
pub async fn remove_all(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let removed = async {
        let (sandbox, _) = open(&api, &request).await?;
        Ok(HttpResponse::Ok().json(json!({ "removed": sandbox.faults.remove(None) })))
    };
    respond(removed.await)
}

//! The journal: listed, shown, exported, cleared.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{open, respond};
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::jobs::limit;
use crate::http::problem::{Kind, Problem};
use crate::http::query::Query;
use crate::sandbox::har;
use crate::sandbox::journal::{ENTRIES_MAX, Filter};

/// `GET /api/v1/sandbox/journal?path=&method=&client=&status=&since=&limit=`: newest first.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        let (sandbox, _) = open(&api, &request).await?;
        let most = limit(&request, 50, u32::try_from(ENTRIES_MAX).unwrap_or(u32::MAX))?;
        let entries = sandbox.journal.list(&filter(&request)?, most as usize);
        let rows: Vec<_> = entries.iter().map(|entry| har::row(entry)).collect();
        Ok(HttpResponse::Ok().json(json!({ "requests": rows })))
    };
    respond(listed.await)
}

/// `GET /api/v1/sandbox/journal/{number}`
pub async fn show(api: web::Data<Api>, request: HttpRequest, number: web::Path<String>) -> HttpResponse {
    let shown = async {
        let (sandbox, _) = open(&api, &request).await?;
        let entry = number.parse().ok().and_then(|number| sandbox.journal.get(number));
        let entry = entry.ok_or_else(|| {
            let detail = format!("there is no request {number} in the journal; it keeps the newest {ENTRIES_MAX}");
            Problem::new(Kind::NotFound, detail)
        })?;
        Ok(HttpResponse::Ok().json(har::whole(&entry)))
    };
    respond(shown.await)
}

/// `GET /api/v1/sandbox/journal.har?…`: the same requests, oldest first, as HAR 1.2.
pub async fn archive(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let written = async {
        let (sandbox, _) = open(&api, &request).await?;
        let entries = sandbox.journal.list(&filter(&request)?, ENTRIES_MAX);
        Ok(HttpResponse::Ok()
            .insert_header(("Content-Disposition", "attachment; filename=\"journal.har\""))
            .json(har::archive(entries.iter().rev().map(AsRef::as_ref))))
    };
    respond(written.await)
}

/// `DELETE /api/v1/sandbox/journal`
pub async fn clear(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let cleared = async {
        let (sandbox, _) = open(&api, &request).await?;
        Ok(HttpResponse::Ok().json(json!({ "removed": sandbox.journal.clear() })))
    };
    respond(cleared.await)
}

fn filter(request: &HttpRequest) -> Result<Filter, Problem> {
    let query = Query::of(request);
    let status = query.get("status").map(|text| text.trim().parse()).transpose();
    let since = query.get("since").map(|text| {
        let at = chrono::DateTime::parse_from_rfc3339(text.trim());
        at.map(|at| Timestamp(at.timestamp_micros()))
            .map_err(|_| format!("since is `{text}`; write a time such as 2027-01-01T00:00:00Z"))
    });
    Ok(Filter {
        path: query.get("path"),
        client: query.get("client"),
        method: query.get("method"),
        status: status.map_err(|error: String| Problem::bad("invalid_status", error))?,
        since: since.transpose().map_err(|error| Problem::bad("invalid_time", error))?,
    })
}

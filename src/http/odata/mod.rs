//! `/data` and `/metadata`: the sets of projects, executions and entities that clients of the package API look at (PKG-25 to PKG-28),
//! and what they are made of (PKG-0a). Projects that the store keeps can be written, too (PKG-24).
//!
//! Owns: paths, query options and forms of answers. A client sees what belongs to its jobs, and of the rest that there is nothing.

mod actions;
mod answer;
pub(super) mod catalogue;
mod edmx;
mod entities;
mod enums;
mod executions;
mod filter;
mod key;
mod metadata;
mod options;
mod page;
mod path;
mod projects;
mod read;
mod table;
mod versions;
mod write;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use self::table::Table;
use super::auth::{caller, link_base};
use super::problem::{Problem, Surface};
use super::{Api, at};

pub(super) use read::data as read_data;

/// Before the names of types and actions.
const NAMESPACE: &str = "Microsoft.Dynamics.DataEntities.";

/// The sets under `/data`.
static TABLES: [&Table; 6] = [
    &projects::GROUPS,
    &projects::DETAILS,
    &executions::JOBS,
    &executions::DETAILS,
    &entities::ENTITIES,
    &entities::NOTIFICATIONS,
];

/// What is under `/data` and `/metadata` but for the actions of the package API, which are routed before.
pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .service(at("/data", web::get().to(service_document)))
        .service(at("/data/$metadata", web::get().to(document)))
        .service(
            web::resource("/data/{path:.*}")
                .get(read::data)
                .post(write::create)
                .patch(write::change)
                .put(write::change)
                .delete(write::remove)
                .default_service(web::to(super::problem::no_such_method)),
        )
        .service(at("/metadata/{path:.*}", web::get().to(read::metadata)));
}

/// `GET /data` (OD-1).
async fn service_document(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    if let Err(problem) = caller(&api, &request).await {
        return problem.respond(Surface::Data);
    }
    let set = |table: &&Table| json!({ "name": table.set, "kind": "EntitySet", "url": table.set });
    let sets: Value = TABLES.iter().map(set).collect();
    let context = format!("{}/data/$metadata", link_base(&api, &request));
    answer::json(&json!({ "@odata.context": context, "value": sets }))
}

/// `GET /data/$metadata`, for any good token (AUTH-10).
async fn document(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    match caller(&api, &request).await {
        Ok(_) => HttpResponse::Ok()
            .content_type("application/xml")
            .insert_header(("OData-Version", "4.0"))
            .body(edmx::document()),
        Err(problem) => problem.respond(Surface::Data),
    }
}

/// Whether a row with `x`, 5 and true in its columns holds to a `$filter` on the set of execution details, read as a request's is.
///
/// # Errors
/// What of the filter is not supported, in a sentence.
pub fn judge(filter: &str, functions: bool) -> Result<bool, String> {
    let table = &executions::DETAILS;
    let value = |column: &table::Column| match column.kind {
        table::Kind::Int => json!(5),
        table::Kind::Flag => json!(true),
        table::Kind::Time => json!("2026-01-05T08:00:00Z"),
        table::Kind::Text | table::Kind::Enum(_) | table::Kind::Json => json!("x"),
    };
    let row: table::Row = table.columns.iter().map(value).collect();
    Ok(filter::Filter::read(filter, table, functions)?.holds(&row))
}

/// The values of the key in what stands behind `/data/`, decoded.
///
/// # Errors
/// What of it cannot be read, in a sentence.
pub fn address(path: &str) -> Result<Vec<String>, String> {
    let key = path::Path::read(path)?.key.unwrap_or_default();
    Ok(key.into_iter().map(|(_, value)| value).collect())
}

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Data))
}

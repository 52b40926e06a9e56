//! Liveness and readiness.

use std::fmt::Display;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Api;
use crate::disk::DiskFault;
use crate::storage::{Store, StoreError};

/// What is said of something that works.
const OK: &str = "ok";

/// `GET /`: 200 for whoever asks (GEN-3), without saying anything.
pub async fn root() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("Tranship\n")
}

/// The process runs.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "live" }))
}

/// Whether it answers, and its disk takes writes.
async fn look_at(store: &Store) -> Result<(), StoreError> {
    store.ping().await?;
    store.try_writing().await
}

/// What is said of it; the log says more.
fn word(found: Result<&(), (&dyn Display, Option<DiskFault>)>) -> &'static str {
    let Err((error, fault)) = found else { return OK };
    tracing::warn!(%error, "not ready");
    fault.map_or("failed", DiskFault::word)
}

/// Store and blobs answer and take what is written, and the service is not draining.
pub async fn ready(api: web::Data<Api>) -> HttpResponse {
    let store = look_at(&api.context.store).await;
    let store = word(store.as_ref().map_err(|error| (error as _, error.disk_fault())));
    let blobs = api.context.blobs.probe().await;
    let blobs = word(blobs.as_ref().map_err(|error| (error as _, error.disk_fault())));
    let taking_work = *api.ready.borrow();
    let all = store == OK && blobs == OK && taking_work;
    let body = json!({
        "status": if all { "ready" } else { "not ready" },
        "store": store,
        "blobs": blobs,
        "draining": !taking_work,
        "durability": {
            "class": api.context.store.durability().class.as_str(),
            "weakened_by": api.context.store.durability().weakened_by,
        },
    });
    if all {
        HttpResponse::Ok().json(body)
    } else {
        HttpResponse::ServiceUnavailable().json(body)
    }
}

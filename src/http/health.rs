//! Liveness and readiness.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::Api;

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

/// Store and blobs answer, and the service is not draining.
pub async fn ready(api: web::Data<Api>) -> HttpResponse {
    let store = api.context.store.ping().await.map_err(|e| e.to_string());
    let blobs = api.context.blobs.probe().await.map_err(|e| e.to_string());
    let taking_work = *api.ready.borrow();
    let word = |ok: bool| if ok { "ok" } else { "failed" };
    for error in [&store, &blobs].into_iter().filter_map(|r| r.as_ref().err()) {
        tracing::warn!(%error, "not ready");
    }
    let all = store.is_ok() && blobs.is_ok() && taking_work;
    let body = json!({
        "status": if all { "ready" } else { "not ready" },
        "store": word(store.is_ok()),
        "blobs": word(blobs.is_ok()),
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

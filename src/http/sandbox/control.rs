//! The clock and the reset, and how the sandbox stands.

use std::future::Future;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{BODY_BYTES_MAX, open, respond};
use crate::http::Api;
use crate::http::body::read_json;
use crate::http::problem::{Kind, Problem};
use crate::pipeline::sandbox::clock::Jump;
use crate::pipeline::sandbox::{Refusal, clock, reset};
use crate::sandbox::journal::Filter;

/// `GET /api/v1/sandbox`
pub async fn overview(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let shown = async {
        let (sandbox, _) = open(&api, &request).await?;
        Ok(HttpResponse::Ok().json(json!({
            "clock": clock::stand(&api.context.clock),
            "faults": sandbox.faults.list().len(),
            "journal": sandbox.journal.list(&Filter::default(), usize::MAX).len(),
            "journal_bytes": sandbox.journal.bytes(),
            "tokens_for": sandbox.tokens.values().collect::<std::collections::BTreeSet<_>>(),
            "seed": sandbox.seed,
        })))
    };
    respond(shown.await)
}

/// `GET /api/v1/sandbox/clock`
pub async fn clock(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let shown = async {
        open(&api, &request).await?;
        Ok(HttpResponse::Ok().json(clock::stand(&api.context.clock)))
    };
    respond(shown.await)
}

/// `POST /api/v1/sandbox/clock`: `{"advance_seconds": 3600}`, `{"set": "2027-01-01T00:00:00Z"}` or `{"real": true}`.
pub async fn jump(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let jumped = async {
        open(&api, &request).await?;
        let asked: Option<Jump> = read_json(body, BODY_BYTES_MAX).await?;
        let asked = asked.ok_or_else(|| {
            let detail = "send {\"advance_seconds\":3600}, {\"set\":\"2027-01-01T00:00:00Z\"} or {\"real\":true}";
            Problem::bad("body_empty", detail)
        })?;
        let context = api.context.clone();
        let stand = to_its_end(&api, async move {
            let Some(sandbox) = &context.sandbox else {
                return Ok(None);
            };
            clock::jump(&context, sandbox, asked).await.map(Some)
        });
        Ok(HttpResponse::Ok().json(stand.await?))
    };
    respond(jumped.await)
}

/// `POST /api/v1/sandbox/reset`: what was removed, and how the seed files ended.
pub async fn reset(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let done = async {
        open(&api, &request).await?;
        let (context, definitions) = (api.context.clone(), api.definitions());
        let done = to_its_end(&api, async move {
            let Some(sandbox) = &context.sandbox else {
                return Ok(None);
            };
            reset::reset(&context, &definitions, sandbox).await.map(Some)
        });
        let done = done.await?;
        // Those that packages brought along are gone.
        api.projects.refresh().await?;
        Ok(HttpResponse::Ok().json(done))
    };
    respond(done.await)
}

/// Runs something on a task of its own: a client that goes away stops none of it half-way.
async fn to_its_end<T: Send + 'static>(
    api: &Api,
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Problem> {
    let done = api.context.runtime.spawn(Box::pin(work)).await;
    let done = done.map_err(|error| {
        tracing::error!(%error, "the sandbox broke off");
        Problem::new(Kind::Internal, "the service failed; its log says why")
    })?;
    Ok(done?)
}

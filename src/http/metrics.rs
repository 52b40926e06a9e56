//! `GET /metrics`: what the process counted, and what the store says of the queues right now, for Prometheus.

use std::net::IpAddr;

use actix_web::http::header::{Accept, Header as _};
use actix_web::{HttpRequest, HttpResponse, web};
use metrics::gauge;

use super::auth::caller;
use super::problem::{Kind, Problem, Surface};
use super::{Api, host};
use crate::domain::message::Durability;
use crate::telemetry::{self, exemplars};

/// Everything, to whoever may see every job; on a loopback listener that nothing outside stands for, to everybody who calls it by a name of
/// this machine: a page in a browser on it comes from another one.
pub async fn metrics(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let shown = async {
        if !is_local(&api, &request) && !caller(&api, &request).await?.sees_all() {
            let detail = "metrics are for clients with the role `viewer`, `operator` or `admin`";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        gauge!("tranship_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        gauge_durability(&api);
        // Without the store there is less to tell, and most to say.
        let is_up = gauge_queues(&api).await.is_ok();
        gauge!("tranship_store_up").set(u8::from(is_up));
        let text = telemetry::exposition().render();
        Ok(if asks_for_open_metrics(&request) {
            HttpResponse::Ok()
                .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
                .body(exemplars::open_metrics(&text))
        } else {
            HttpResponse::Ok()
                .content_type("text/plain; version=0.0.4; charset=utf-8")
                .body(text)
        })
    };
    shown
        .await
        .unwrap_or_else(|problem: Problem| problem.respond(Surface::Native))
}

/// Prometheus names what it reads, OpenMetrics first where it is to read exemplars; people name nothing.
fn asks_for_open_metrics(request: &HttpRequest) -> bool {
    let Ok(accept) = Accept::parse(request) else {
        return false;
    };
    accept
        .ranked()
        .iter()
        .map(|media| (media.type_().as_str(), media.subtype().as_str()))
        .find(|media| matches!(media, ("application", "openmetrics-text") | ("text" | "*", _)))
        .is_some_and(|media| media == ("application", "openmetrics-text"))
}

fn is_local(api: &Api, request: &HttpRequest) -> bool {
    let peer: Option<IpAddr> = request.peer_addr().map(|peer| peer.ip());
    let listens = api.server.listen.ip().is_loopback() && api.server.public_url.is_none();
    let is_called = host::is_loopback(request);
    listens && is_called && api.server.trusted_proxies.is_empty() && peer.is_some_and(|ip| ip.is_loopback())
}

/// 1 for the class of durability that enqueues are answered with unless their job asks for less, 0 for the other (promise 1).
fn gauge_durability(api: &Api) {
    let now = api.context.store.durability().class;
    for class in [Durability::Full, Durability::Relaxed] {
        gauge!("tranship_store_durability", "class" => class.as_str()).set(u8::from(class == now));
    }
}

/// How long each queue is, and how old what it offers next. Jobs without messages are there, at zero.
async fn gauge_queues(api: &Api) -> Result<(), Problem> {
    let definitions = api.definitions();
    let depths = api.context.store.depths().await?;
    let now = api.context.clock.now();
    for job in &definitions.jobs {
        let depth = depths.get(&job.id).copied().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "far below what a float counts exactly")]
        for (state, messages) in [("waiting", depth.waiting), ("leased", depth.leased)] {
            gauge!("tranship_queue_messages", "job" => job.name.clone(), "state" => state).set(messages as f64);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below what a float counts exactly")]
        let most = api.context.max_messages(job).unwrap_or(0) as f64;
        gauge!("tranship_queue_max_messages", "job" => job.name.clone()).set(most);
        let oldest = match depth.waiting {
            0 => None,
            _ => api.context.store.oldest_offered(job.id).await?,
        };
        let seconds = oldest.map_or(0, |since| {
            now.micros().saturating_sub(since.micros()).max(0) / 1_000_000
        });
        #[expect(clippy::cast_precision_loss, reason = "far below what a float counts exactly")]
        gauge!("tranship_queue_oldest_seconds", "job" => job.name.clone()).set(seconds as f64);
    }
    Ok(())
}

//! The HTTP surface: routes in one visible table, wire shapes beside their handlers.
//!
//! Owns: authentication, path forms, bodies, status codes. Refuses: to decide anything about a message; whatever changes
//! state goes through `pipeline` or one guarded method of the store.

pub mod admission;
pub mod audit;
pub mod auth;
pub mod batch;
pub mod body;
pub mod bulk;
pub mod canonical;
pub mod clients;
pub mod connector;
pub mod dead_letters;
pub mod destinations;
pub mod discovery;
pub mod dmf;
pub mod entities;
pub mod envelope;
pub mod error_files;
pub mod events;
pub mod headers;
pub mod health;
pub mod history;
pub mod host;
pub mod issuers;
pub mod jobs;
mod json_body;
pub mod last_uses;
pub mod leases;
pub mod measure;
pub mod messages;
pub mod metrics;
pub mod odata;
pub mod openapi;
pub mod pace;
pub mod package_api;
pub mod payload;
pub mod positions;
pub mod problem;
pub mod processes;
pub mod query;
pub mod rates;
pub mod recent;
pub mod rejects;
pub mod reload;
pub mod sandbox;
pub mod schedules;
pub mod secret_checks;
pub mod signers;
pub mod slow;
pub mod status;
pub mod tokens;
pub mod view;
pub mod watch;
pub mod webhooks;
pub(crate) mod why_empty;

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpMessage as _, Resource, Route};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::definitions::Definitions;
use crate::domain::ids::{JobId, MessageId};
use crate::pipeline::Context;
use crate::pipeline::projects::Projects;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Store, blobs, databases, clock, limits.
    pub context: Context,
    /// The running definitions.
    pub definitions: tokio::sync::watch::Receiver<Arc<Definitions>>,
    /// Reads again what of them the store keeps.
    pub projects: Projects,
    /// Reads again what of them stands in files.
    pub reloading: reload::Reloading,
    /// Sign and check what goes by the store's keys; replaced when those are rotated.
    pub signers: tokio::sync::watch::Receiver<Arc<signers::Signers>>,
    /// Others whose tokens are taken.
    pub issuers: Arc<issuers::Issuers>,
    /// How many packages are looked at at once before they are taken: each is unpacked, and clients wait for it.
    pub package_checks: Arc<Semaphore>,
    /// How many client secrets are checked at once: each check takes memory, and anybody may ask for one.
    pub secret_checks: secret_checks::SecretChecks,
    /// Who called lately.
    pub callers: Arc<auth::Callers>,
    /// How fast a client may call.
    pub pace: pace::Pace,
    /// When clients were last let in.
    pub last_uses: Arc<last_uses::LastUses>,
    /// Who is let in to enqueue.
    pub admission: admission::Admission,
    /// The jobs of messages handed out lately, for what their receipts ask for.
    pub leased: Arc<recent::Recent<MessageId, JobId>>,
    /// Who wants to know when a message moves.
    pub watch: watch::Watch,
    /// How many requests may wait.
    pub waiters: Arc<Semaphore>,
    /// How many streams of events may be open.
    pub listeners: Arc<Semaphore>,
    /// `server.*`
    pub server: Arc<config::Server>,
    /// Wakes the worker.
    pub wake: Arc<Notify>,
    /// Cancelled when the service stops: whoever waits for a message waits no longer.
    pub draining: CancellationToken,
    /// Wakes the webhook sender.
    pub webhook_wake: Arc<Notify>,
    /// Wakes the sender to destinations.
    pub destination_wake: Arc<Notify>,
    /// Whether the service still takes work; false while it drains.
    pub ready: tokio::sync::watch::Receiver<bool>,
}

impl Api {
    /// The definitions as of now.
    #[must_use]
    pub fn definitions(&self) -> Arc<Definitions> {
        Arc::clone(&self.definitions.borrow())
    }

    /// What signs and checks as of now.
    #[must_use]
    pub fn signers(&self) -> Arc<signers::Signers> {
        Arc::clone(&self.signers.borrow())
    }
}

/// One path and its one method; any other method is 405.
fn at(path: &str, route: Route) -> Resource {
    web::resource(path)
        .route(route)
        .default_service(web::to(problem::no_such_method))
}

/// What load balancers and monitors ask with GET, and some with HEAD; any other method is 405.
fn probed(path: &str, get: Route, head: Route) -> Resource {
    at(path, get).route(head)
}

/// Every route there is. Fixed segments arrive in lower case (see [`canonical`]).
pub fn routes(service: &mut ServiceConfig) {
    service
        .service(probed("/", web::get().to(health::root), web::head().to(health::root)))
        .service(probed(
            "/health/live",
            web::get().to(health::live),
            web::head().to(health::live),
        ))
        .service(probed(
            "/health/ready",
            web::get().to(health::ready),
            web::head().to(health::ready),
        ))
        .service(probed(
            "/metrics",
            web::get().to(metrics::metrics),
            web::head().to(metrics::metrics),
        ))
        .service(at("/{tenant}/oauth2/token", web::post().to(tokens::version_1)))
        .service(at("/{tenant}/oauth2/v2.0/token", web::post().to(tokens::version_2)))
        .configure(discovery::routes)
        .configure(connector::routes)
        // Package API, contract section 4: how a message or execution stands, and what it rejected.
        .service(
            web::resource("/data/datamanagementdefinitiongroups/{action}")
                .post(package_api::action)
                .get(odata::read_data)
                .default_service(web::to(problem::no_such_method)),
        )
        .configure(odata::routes)
        // What links lead to that need no token: the blob host, and error files.
        .service(web::resource("/dmf/{name:.*}").default_service(web::to(dmf::handle)))
        // Our own. Each has an operation in `openapi`.
        .service(at("/api/v1/openapi.json", web::get().to(openapi::show)))
        .service(at("/api/v1/definitions/reload", web::post().to(reload::reload)))
        .service(at("/api/v1/jobs", web::get().to(jobs::list)))
        .service(at("/api/v1/jobs/{job}", web::get().to(jobs::show)).route(web::delete().to(jobs::delete)))
        .service(at("/api/v1/jobs/{job}/run", web::post().to(jobs::run)))
        .service(at(
            "/api/v1/jobs/{job}/occurrences",
            web::get().to(history::occurrences),
        ))
        .service(at("/api/v1/jobs/{job}/why-empty", web::get().to(history::why_empty)))
        .service(at("/api/v1/executions/{id}", web::get().to(history::execution)))
        .service(at("/api/v1/jobs/{job}/deliveries", web::get().to(destinations::of_job)))
        .service(at(
            "/api/v1/jobs/{job}/deliveries/{id}/replay",
            web::post().to(destinations::replay),
        ))
        .service(at(
            "/api/v1/messages/{id}/deliveries",
            web::get().to(destinations::of_message),
        ))
        .service(at("/api/v1/jobs/{job}/next", web::get().to(schedules::next)))
        .service(at("/api/v1/jobs/{job}/pause", web::post().to(schedules::pause)))
        .service(at("/api/v1/jobs/{job}/resume", web::post().to(schedules::resume)))
        .service(at("/api/v1/jobs/{job}/positions", web::get().to(positions::list)))
        .service(at("/api/v1/jobs/{job}/rewind", web::post().to(positions::rewind)))
        .service(at("/api/v1/jobs/{job}/backfill", web::post().to(schedules::backfill)))
        .service(at("/api/v1/jobs/{job}/messages", web::post().to(messages::enqueue)))
        .service(at("/api/v1/jobs/{job}/messages/batch", web::post().to(batch::enqueue)))
        .service(at("/api/v1/jobs/{job}/events", web::get().to(events::of_job)))
        .service(at("/api/v1/jobs/{job}/leases", web::post().to(leases::lease)))
        .service(at("/api/v1/jobs/{job}/groups", web::get().to(dead_letters::groups)))
        .service(at(
            "/api/v1/jobs/{job}/groups/unblock",
            web::post().to(dead_letters::unblock),
        ))
        .service(at("/api/v1/dead-letters", web::get().to(dead_letters::list)))
        .service(at("/api/v1/dead-letters/groups", web::get().to(dead_letters::failures)))
        .service(at("/api/v1/messages/bulk", web::post().to(bulk::bulk)))
        .service(at("/api/v1/messages/{id}/cancel", web::post().to(dead_letters::cancel)))
        .service(at("/api/v1/messages/{id}/retry", web::post().to(dead_letters::retry)))
        .service(at("/api/v1/leases/batch", web::post().to(leases::batch)))
        .service(at("/api/v1/leases/{receipt}/{action}", web::post().to(leases::step)))
        .service(at("/api/v1/messages", web::get().to(messages::list)))
        .service(at("/api/v1/messages/{id}", web::get().to(status::show)))
        .service(at("/api/v1/messages/{id}/events", web::get().to(events::of_message)))
        .service(at("/api/v1/messages/{id}/history", web::get().to(messages::history)))
        .service(at("/api/v1/messages/{id}/errors", web::get().to(messages::errors)))
        .service(at("/api/v1/messages/{id}/rejects", web::get().to(rejects::rejects)))
        .service(at(
            "/api/v1/messages/{id}/error-keys",
            web::get().to(rejects::error_keys),
        ))
        .service(at("/api/v1/messages/{id}/payload", web::get().to(messages::payload)))
        .service(at("/api/v1/messages/{id}/resubmit", web::post().to(messages::resubmit)))
        .service(at("/api/v1/processes", web::get().to(processes::list)))
        .service(at("/api/v1/rates", web::get().to(rates::show)))
        .service(at("/api/v1/audit", web::get().to(audit::list)))
        .service(at("/api/v1/audit/verify", web::get().to(audit::verify)))
        .configure(clients::routes)
        .configure(entities::routes)
        .service(at("/api/v1/jobs/{job}/webhook/test", web::post().to(webhooks::test)))
        .service(at("/api/v1/webhooks", web::get().to(webhooks::list)))
        .service(at("/api/v1/webhooks/{id}", web::get().to(webhooks::show)))
        .service(at("/api/v1/webhooks/{id}/replay", web::post().to(webhooks::replay)))
        .default_service(web::to(problem::no_such_route));
}

/// The path and query as the client sent them, for answers that name them.
pub struct SentUri(pub String);

/// Gives a request another path, before it is routed; the query stays.
pub fn rewrite(request: &mut actix_web::dev::ServiceRequest, path: &str) {
    let target = match request.query_string() {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    if let Ok(uri) = target.parse::<actix_web::http::Uri>() {
        let sent = SentUri(request.uri().to_string());
        request.extensions_mut().insert(sent);
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

//! The HTTP surface: routes in one visible table, wire shapes beside their handlers.
//!
//! Owns: authentication, path forms, bodies, status codes. Refuses: to decide anything about a message; whatever changes
//! state goes through `pipeline` or one guarded method of the store.

pub mod auth;
pub mod canonical;
pub mod connector;
pub mod health;
pub mod jobs;
pub mod messages;
pub mod package_api;
pub mod payload;
pub mod problem;
pub mod tokens;
pub mod view;

use std::sync::Arc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpMessage as _, Resource, Route};
use tokio::sync::{Notify, watch};

use crate::auth::tokens::TokenIssuer;
use crate::config;
use crate::definitions::Definitions;
use crate::domain::receipt::ReceiptKeys;
use crate::pipeline::Context;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Store, blobs, databases, clock, limits.
    pub context: Context,
    /// The running definitions.
    pub definitions: watch::Receiver<Arc<Definitions>>,
    /// Issues and verifies access tokens.
    pub issuer: Arc<TokenIssuer>,
    /// Issues and verifies receipts.
    pub receipts: Arc<ReceiptKeys>,
    /// How many client secrets are checked at once: each check takes memory, and anybody may ask for one.
    pub secret_checks: Arc<tokio::sync::Semaphore>,
    /// `server.*`
    pub server: Arc<config::Server>,
    /// Wakes the worker.
    pub wake: Arc<Notify>,
    /// Whether the service still takes work; false while it drains.
    pub ready: watch::Receiver<bool>,
}

impl Api {
    /// The definitions as of now.
    #[must_use]
    pub fn definitions(&self) -> Arc<Definitions> {
        Arc::clone(&self.definitions.borrow())
    }
}

/// One path and its one method; any other method is 405.
fn at(path: &str, route: Route) -> Resource {
    web::resource(path)
        .route(route)
        .default_service(web::to(problem::no_such_method))
}

/// Every route there is. Fixed segments arrive in lower case (see [`canonical`]).
pub fn routes(service: &mut ServiceConfig) {
    service
        .service(at("/", web::get().to(health::root)))
        .service(at("/health/live", web::get().to(health::live)))
        .service(at("/health/ready", web::get().to(health::ready)))
        .service(at("/{tenant}/oauth2/token", web::post().to(tokens::version_1)))
        .service(at("/{tenant}/oauth2/v2.0/token", web::post().to(tokens::version_2)))
        // Recurring integrations, contract section 3.
        .service(at(
            "/api/connector/enqueue/{activity}",
            web::post().to(connector::enqueue),
        ))
        .service(at(
            "/api/connector/dequeue/{activity}",
            web::get().to(connector::dequeue),
        ))
        .service(at(
            "/api/connector/download/{activity}",
            web::get().to(connector::download),
        ))
        .service(at("/api/connector/ack/{activity}", web::post().to(connector::ack)))
        .route(
            "/api/connector/jobstatus/{activity}",
            web::get().to(connector::job_status),
        )
        // Package API, contract section 4: the status actions.
        .route(
            "/data/datamanagementdefinitiongroups/{action}",
            web::post().to(package_api::action),
        )
        // Our own.
        .service(at("/api/v1/jobs", web::get().to(jobs::list)))
        .service(at("/api/v1/jobs/{job}", web::get().to(jobs::show)))
        .service(at("/api/v1/jobs/{job}/run", web::post().to(jobs::run)))
        .service(at("/api/v1/jobs/{job}/occurrences", web::get().to(jobs::occurrences)))
        .service(at("/api/v1/jobs/{job}/messages", web::post().to(messages::enqueue)))
        .service(at("/api/v1/messages", web::get().to(messages::list)))
        .service(at("/api/v1/messages/{id}", web::get().to(messages::show)))
        .service(at("/api/v1/messages/{id}/history", web::get().to(messages::history)))
        .service(at("/api/v1/messages/{id}/errors", web::get().to(messages::errors)))
        .service(at("/api/v1/messages/{id}/rejects", web::get().to(messages::rejects)))
        .service(at("/api/v1/messages/{id}/payload", web::get().to(messages::payload)))
        .service(at("/api/v1/messages/{id}/resubmit", web::post().to(messages::resubmit)))
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

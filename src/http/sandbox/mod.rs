//! `/api/v1/sandbox/…`: faults, clock, reset and journal, there only with `serve --sandbox`.
//!
//! [`record`] notes every request, [`strike`] has faults strike those to a path; both leave the sandbox's own paths alone, so that
//! a fault can always be removed.

mod control;
mod faults;
mod journal;
mod lost;
mod record;
mod strike;
mod trouble;

use actix_web::body::MessageBody;
use actix_web::dev::ServiceRequest;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource, Route};

use super::Api;
use super::auth::{Caller, caller};
use super::problem::{Kind, Problem, Surface, no_such_method};
use crate::pipeline::sandbox::Refusal;
use crate::sandbox::{MARK, SPARED, Sandbox};

pub use record::record;
pub use strike::strike;
pub(super) use trouble::{as_of, as_shown, deliver_again, fail_ack, note_client};

/// Where its own paths begin.
const ROOT: &str = "/api/v1/sandbox";
/// Longest body of a request to it.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a request was found to be, for the journal: noted in its extensions on the way.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Who sent it.
    pub client: Option<String>,
    /// Names of the faults that struck.
    pub faults: Vec<String>,
    /// Its answer is not sent.
    pub is_lost: bool,
}

/// Routes of the sandbox.
pub fn routes(service: &mut ServiceConfig) {
    service
        .service(on(ROOT, [web::get().to(control::overview)]))
        .service(on(
            "/api/v1/sandbox/faults",
            [
                web::get().to(faults::list),
                web::post().to(faults::add),
                web::delete().to(faults::remove_all),
            ],
        ))
        .service(on("/api/v1/sandbox/faults/{name}", [web::delete().to(faults::remove)]))
        .service(on(
            "/api/v1/sandbox/clock",
            [web::get().to(control::clock), web::post().to(control::jump)],
        ))
        .service(on("/api/v1/sandbox/reset", [web::post().to(control::reset)]))
        .service(on(
            "/api/v1/sandbox/journal",
            [web::get().to(journal::list), web::delete().to(journal::clear)],
        ))
        .service(on("/api/v1/sandbox/journal.har", [web::get().to(journal::archive)]))
        .service(on("/api/v1/sandbox/journal/{number}", [web::get().to(journal::show)]));
}

fn on<const N: usize>(path: &str, routes: [Route; N]) -> Resource {
    let resource = web::resource(path).default_service(web::to(no_such_method));
    routes.into_iter().fold(resource, Resource::route)
}

/// Whether a request on this canonical path is about the sandbox itself, or asks to be left alone by it.
fn is_left_alone(request: &ServiceRequest, path: &str) -> bool {
    let is_own = path
        .strip_prefix(ROOT)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    // The console is the operator's, not the client's under test, and its forms carry secrets.
    let is_console = path == "/console" || path.starts_with("/console/");
    is_own || is_console || request.headers().get(MARK).is_some_and(|asked| asked == SPARED)
}

/// The sandbox, for who may play with it: an operator, and the client of a first start, which is there only where nobody else can
/// reach the service.
async fn open<'a>(api: &'a Api, request: &HttpRequest) -> Result<(&'a Sandbox, Caller), Problem> {
    let caller = caller(api, request).await?;
    let Some(sandbox) = &api.context.sandbox else {
        return Err(Problem::new(Kind::NotFound, "there is no sandbox"));
    };
    if !caller.may_use_sandbox() {
        let detail = format!(
            "the client `{}` may not use the sandbox: that takes the role operator",
            caller.name
        );
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    Ok((sandbox, caller))
}

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Store(error) => error.into(),
            Refusal::Payload(error) => error.into(),
            Refusal::Business(error) => {
                tracing::error!(%error, "the sandbox could not empty a business database");
                Self::new(Kind::Unavailable, error.to_string())
            }
            Refusal::StillWorking => Self::new(Kind::Unavailable, refusal.to_string()),
            Refusal::Backwards { .. } | Refusal::TooFar { .. } | Refusal::OtherProcesses(_) => {
                Self::new(Kind::Conflict, refusal.to_string())
            }
        }
    }
}

/// A body that has the error any body may have.
type Boxed = actix_web::body::BoxBody;

fn boxed(body: impl MessageBody + 'static) -> Boxed {
    Boxed::new(body)
}

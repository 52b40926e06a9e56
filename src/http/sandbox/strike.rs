//! Faults that strike requests by their path: answered without being carried out, late, or never.

use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::RETRY_AFTER;
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::lost::LostAnswer;
use super::{Boxed, Found, boxed, is_left_alone};
use crate::http::Api;
use crate::http::auth::caller;
use crate::http::dmf;
use crate::http::problem::{Kind, Problem, Surface};
use crate::sandbox::Sandbox;
use crate::sandbox::faults::{Injected, Request};

/// Has faults strike a request on its canonical path.
///
/// # Errors
/// Those of the request's handler.
pub async fn strike(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Boxed>, Error> {
    let api = request.app_data::<web::Data<Api>>().cloned();
    let sandbox = api.as_ref().and_then(|api| api.context.sandbox.clone());
    let (Some(api), Some(sandbox), false) = (api, sandbox, is_left_alone(&request, request.path())) else {
        return Ok(next.call(request).await?.map_body(|_, body| boxed(body)));
    };
    let client = if sandbox.faults.ask_for_clients() {
        caller(&api, request.request()).await.ok().map(|caller| caller.name)
    } else {
        None
    };
    let (method, path) = (request.method().to_string(), request.path().to_owned());
    let asked = Request {
        method: &method,
        path: &path,
        client: client.as_deref(),
    };
    let delay = sandbox.faults.delay_of(asked);
    let pause = delay.as_ref().map(|(_, pause)| *pause).unwrap_or_default();
    note(&request, delay.map(|(name, _)| name));
    if let Some((name, injected)) = sandbox.faults.answer_of(asked) {
        let answer = answer(&path, &name, injected, request.method() == "HEAD");
        note(&request, Some(name));
        wait(pause).await;
        return Ok(request.into_response(answer));
    }
    let answer = next.call(request).await?;
    wait(pause).await;
    Ok(lose(&sandbox, asked, answer))
}

/// Whether the answer of what was carried out goes out, or the connection is closed.
fn lose(
    sandbox: &Sandbox,
    asked: Request<'_>,
    answer: ServiceResponse<impl MessageBody + 'static>,
) -> ServiceResponse<Boxed> {
    let lost = answer
        .status()
        .is_success()
        .then(|| sandbox.faults.loses_answer(asked))
        .flatten();
    let Some(name) = lost else {
        return answer.map_body(|_, body| boxed(body));
    };
    if let Some(found) = answer.request().extensions_mut().get_mut::<Found>() {
        found.faults.push(name);
        found.is_lost = true;
    }
    answer.map_body(|_, _| boxed(LostAnswer))
}

/// Notes that a fault struck; the journal looks for it in any case.
fn note(request: &ServiceRequest, name: Option<String>) {
    let mut extensions = request.extensions_mut();
    if extensions.get::<Found>().is_none() {
        extensions.insert(Found::default());
    }
    if let (Some(found), Some(name)) = (extensions.get_mut::<Found>(), name) {
        found.faults.push(name);
    }
}

async fn wait(pause: Duration) {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

/// The answer of a fault, in the form of the surface it strikes.
fn answer(path: &str, name: &str, injected: Injected, is_head: bool) -> HttpResponse {
    let detail = format!("the fault `{name}` of the sandbox struck; nothing was done");
    let mut answer = if path.starts_with(dmf::ROOT) {
        dmf::fault(injected.status, detail, is_head)
    } else {
        Problem::new(Kind::Fault(injected.status), detail).respond(Surface::of(path))
    };
    if let Some(seconds) = injected.retry_after_seconds {
        answer.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    answer
}

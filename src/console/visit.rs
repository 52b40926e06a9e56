//! A request of somebody who is signed in, and how it is answered: with a page, or with the page that says why not.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::answer::{self, see_other};
use super::cookie;
use super::form::{Form, TOKEN};
use super::frame::{self, Page};
use super::pages::trouble;
use super::session::{Session, comes_from_elsewhere, refuse_other_sites, session};
use super::sign_in;
use crate::auth::sessions::{form_token, is_form_token};
use crate::definitions::Definitions;
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::{Caller, base_url};
use crate::http::problem::{Kind, Problem};

/// The cookie that says light or dark, where the browser's own choice is not wanted.
pub(super) const THEME: &str = "tranship_theme";

/// Who looks, at what, when.
pub(super) struct Visit<'a> {
    pub api: &'a Api,
    pub request: &'a HttpRequest,
    pub caller: Caller,
    /// For the forms of the page.
    pub form_token: String,
    pub now: Timestamp,
    pub definitions: Arc<Definitions>,
    pub session_ends: Timestamp,
}

impl<'a> Visit<'a> {
    fn new(api: &'a Api, request: &'a HttpRequest, session: &Session) -> Self {
        Self {
            api,
            request,
            caller: session.caller.clone(),
            form_token: form_token(&session.secret),
            now: api.context.clock.now(),
            definitions: api.definitions(),
            session_ends: session.expires_at,
        }
    }

    /// `light` or `dark`, where the visitor chose.
    pub fn theme(&self) -> Option<&'static str> {
        theme(self.request)
    }

    /// What the service is called by whoever is looking.
    pub fn base(&self) -> String {
        base_url(self.api, self.request)
    }
}

/// `light` or `dark`, where the browser was told to.
pub(super) fn theme(request: &HttpRequest) -> Option<&'static str> {
    let chosen = cookie::sent(request, THEME)?;
    ["light", "dark"].into_iter().find(|theme| *theme == chosen)
}

/// Answers with a page, for somebody who is signed in.
pub(super) async fn show(
    api: &Api,
    request: &HttpRequest,
    make: impl AsyncFnOnce(&Visit<'_>) -> Result<Page, Problem>,
) -> HttpResponse {
    let page = async |visit: &Visit<'_>| {
        let page = make(visit).await?;
        Ok(answer::page(page.status, frame::whole(visit, &page)))
    };
    respond(api, request, page).await
}

/// The same with any answer.
pub(super) async fn respond(
    api: &Api,
    request: &HttpRequest,
    make: impl AsyncFnOnce(&Visit<'_>) -> Result<HttpResponse, Problem>,
) -> HttpResponse {
    let session = match session(api, request).await {
        Ok(Some(session)) => session,
        Ok(None) if comes_from_elsewhere(request) => return sign_in::once_more(request),
        Ok(None) => return sign_in::needed(request),
        Err(error) => return trouble::alone(request, &error.into()),
    };
    let visit = Visit::new(api, request, &session);
    match make(&visit).await {
        Ok(answer) => answer,
        Err(problem) => trouble::of(&visit, &problem),
    }
}

/// Does what a form asks for, and goes on to the page that shows it.
pub(super) async fn act(
    api: &Api,
    request: &HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    act: impl AsyncFnOnce(&Visit<'_>, &Form) -> Result<String, Problem>,
) -> HttpResponse {
    let act = async |visit: &Visit<'_>, form: &Form| Ok(see_other(&act(visit, form).await?));
    act_and_answer(api, request, body, act).await
}

/// The same with a page that tells what was done. Reloading it does the same again, so what is done must bear that.
pub(super) async fn act_and_show(
    api: &Api,
    request: &HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    act: impl AsyncFnOnce(&Visit<'_>, &Form) -> Result<Page, Problem>,
) -> HttpResponse {
    let act = async |visit: &Visit<'_>, form: &Form| {
        let page = act(visit, form).await?;
        Ok(answer::page(page.status, frame::whole(visit, &page)))
    };
    act_and_answer(api, request, body, act).await
}

async fn act_and_answer(
    api: &Api,
    request: &HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
    act: impl AsyncFnOnce(&Visit<'_>, &Form) -> Result<HttpResponse, Problem>,
) -> HttpResponse {
    if let Err(problem) = refuse_other_sites(api, request) {
        return trouble::alone(request, &problem);
    }
    let session = match session(api, request).await {
        Ok(Some(session)) => session,
        Ok(None) => return sign_in::needed(request),
        Err(error) => return trouble::alone(request, &error.into()),
    };
    let visit = Visit::new(api, request, &session);
    let done = async {
        let form = Form::read(body)?;
        if !form.get(TOKEN).is_some_and(|sent| is_form_token(&session.secret, sent)) {
            let detail = "the form is not of this session: it was opened before you signed in, or is not a page of this console. \
                          Nothing was done. Open the page again and repeat what you did";
            return Err(Problem::new(Kind::Forbidden, detail));
        }
        act(&visit, &form).await
    };
    match done.await {
        Ok(answer) => answer,
        Err(problem) => trouble::of(&visit, &problem),
    }
}

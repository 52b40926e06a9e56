//! Signing in, with a client's name and secret or by a link that is good once; and signing out.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::answer::{page, see_other};
use super::cookie;
use super::form::Form;
use super::frame::bare;
use super::pages::trouble;
use super::parts::{Tone, notice};
use super::session::{COOKIE, PATH, refuse_other_sites, session};
use super::visit::{act, theme};
use crate::auth::secrets::new_secret;
use crate::auth::sessions::digest;
use crate::auth::token_endpoint::{KnownClient, proved};
use crate::domain::audit::{Action, NewEntry, Surface};
use crate::http::Api;
use crate::http::auth::LOCAL_OPERATOR;
use crate::http::problem::{Kind, Problem};
use crate::http::query::Query;
use crate::storage::sessions::Visitor;

type Body = Result<web::Bytes, actix_web::Error>;

/// The page asked for, to come back to.
pub(super) fn here(request: &HttpRequest) -> String {
    request
        .uri()
        .path_and_query()
        .map_or_else(|| PATH.to_owned(), ToString::to_string)
}

/// Where to go on to: a page of ours, or the first one.
pub(super) fn safe(to: Option<&str>) -> &str {
    let ours = |to: &&str| {
        to.strip_prefix(PATH)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    to.filter(ours)
        .filter(|to| !to.contains(char::is_control))
        .unwrap_or(PATH)
}

/// `GET /console/sign-in`.
pub(super) async fn show(request: HttpRequest) -> HttpResponse {
    let to = Query::of(&request).get("to");
    form_page(&request, StatusCode::OK, safe(to.as_deref()), None)
}

/// What is answered where somebody has to sign in first.
pub(super) fn needed(request: &HttpRequest) -> HttpResponse {
    let was_signed_in = cookie::sent(request, COOKIE).is_some();
    let said = was_signed_in.then(|| {
        notice(
            Tone::Odd,
            &html! { "Your session is over: its time ran out, or the client was revoked or got a new secret." },
        )
    });
    let to = if request.method() == actix_web::http::Method::GET {
        here(request)
    } else {
        PATH.to_owned()
    };
    form_page(request, StatusCode::UNAUTHORIZED, safe(Some(&to)), said.as_ref())
}

/// A link on another site led here, and the browser kept the cookie back. It sends it when the page itself comes back.
pub(super) fn once_more(request: &HttpRequest) -> HttpResponse {
    let to = here(request);
    let to = safe(Some(&to));
    let body = html! {
        main #main.narrow {
            h1 { "One moment" }
            p { a href=(to) { "Go on to the console" } }
        }
    };
    let mut answer = page(StatusCode::OK, bare(theme(request), "One moment", &html! {}, &body));
    if let Ok(value) = HeaderValue::from_str(&format!("0;url={to}")) {
        answer.headers_mut().insert(HeaderName::from_static("refresh"), value);
    }
    answer
}

fn form_page(request: &HttpRequest, status: StatusCode, to: &str, said: Option<&Markup>) -> HttpResponse {
    let body = html! {
        main #main.narrow {
            h1 { "Sign in" }
            @if let Some(said) = said { (said) }
            form.stacked method="post" action="/console/sign-in" {
                input type="hidden" name="to" value=(to);
                label for="client" { "Client" }
                input #client name="client" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus;
                label for="secret" { "Secret" }
                input #secret name="secret" type="password" autocomplete="current-password" required;
                button.main { "Sign in" }
            }
            details {
                summary { "You have neither?" }
                p { "On the machine of the service, " code { "tranship console" } " prints a link that signs you in once. "
                    code { "tranship client add NAME --role operator" } " adds a client; its secret is shown once. "
                    "A viewer may look at everything, an operator may also act, any other client sees the jobs that list it." }
            }
        }
    };
    page(status, bare(theme(request), "Sign in", &html! {}, &body))
}

/// `POST /console/sign-in`.
pub(super) async fn by_secret(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    let signed_in = async {
        refuse_other_sites(&api, &request)?;
        let form = Form::read(body)?;
        let (name, secret) = (form.get("client").unwrap_or_default().trim(), form.owned("secret"));
        let to = safe(form.get("to")).to_owned();
        let Some(name) = prove(&api, name, secret.unwrap_or_default()).await? else {
            tracing::info!("no sign-in to the console: unknown client or wrong secret");
            let said = notice(
                Tone::Bad,
                &html! { "There is no client of this name with this secret. Check both; "
                code { "tranship client rotate NAME" } " gives a client a new secret." },
            );
            return Ok(form_page(&request, StatusCode::UNAUTHORIZED, &to, Some(&said)));
        };
        let secret = new_secret();
        let now = api.context.clock.now();
        let until = now.plus_seconds(api.server.session_seconds.into());
        let visitor = Visitor::Client(name.clone());
        let entry = NewEntry::new(now, &name, Surface::Console, Action::ConsoleSignIn, &name);
        api.context
            .store
            .audited(entry.with("by", "secret"))
            .begin_session(digest(&secret), &visitor, until, now)
            .await?;
        tracing::info!(client = %name, "signed in to the console");
        Ok(with_cookie(&api, &request, &secret, &to))
    };
    signed_in
        .await
        .unwrap_or_else(|problem| trouble::alone(&request, &problem))
}

/// The client's name as the store spells it, if this is its secret.
async fn prove(api: &Api, name: &str, secret: String) -> Result<Option<String>, Problem> {
    let client = api.context.store.client(name).await?;
    let busy = || Problem::new(Kind::Unavailable, "the secret could not be checked; try again");
    // Checking a secret is meant to be slow; so few are checked at once, and none on a thread that answers others.
    let turn = api.secret_checks.turn().await?;
    let checked = web::block(move || {
        let _turn = turn;
        let known = client.as_ref().map(|client| KnownClient {
            name: &client.name,
            secret_hash: &client.secret_hash,
            revoked: client.revoked_at.is_some(),
        });
        proved(&secret, known).map(|known| known.name.to_owned())
    });
    checked.await.map_err(|_| busy())
}

fn with_cookie(api: &Api, request: &HttpRequest, secret: &str, to: &str) -> HttpResponse {
    let mut answer = see_other(to);
    cookie::give(api, request, &mut answer, (COOKIE, secret), api.server.session_seconds);
    answer
}

/// `GET /console/sign-in/{link}`: asks, so that whatever looks at links does not use this one up.
pub(super) async fn show_link(request: HttpRequest) -> HttpResponse {
    let body = html! {
        main #main.narrow {
            h1 { "Sign in" }
            p { "This link signs this browser in, once." }
            form.stacked method="post" action=(request.path()) { button.main autofocus { "Sign in" } }
        }
    };
    page(StatusCode::OK, bare(theme(&request), "Sign in", &html! {}, &body))
}

/// `POST /console/sign-in/{link}`.
pub(super) async fn by_link(api: web::Data<Api>, request: HttpRequest, link: web::Path<String>) -> HttpResponse {
    let signed_in = async {
        refuse_other_sites(&api, &request)?;
        let secret = new_secret();
        let now = api.context.clock.now();
        let until = now.plus_seconds(api.server.session_seconds.into());
        let entry = NewEntry::new(
            now,
            LOCAL_OPERATOR,
            Surface::Console,
            Action::ConsoleSignIn,
            LOCAL_OPERATOR,
        );
        let store = api.context.store.audited(entry.with("by", "link"));
        if !store
            .follow_sign_in_link(digest(&link), digest(&secret), until, now)
            .await?
        {
            let said = notice(
                Tone::Odd,
                &html! { "This link was used, or is older than a quarter of an hour. " code { "tranship console" }
                " prints another one on the machine of the service." },
            );
            return Ok(form_page(&request, StatusCode::UNAUTHORIZED, PATH, Some(&said)));
        }
        tracing::info!("signed in to the console by a link");
        Ok(with_cookie(&api, &request, &secret, PATH))
    };
    signed_in
        .await
        .unwrap_or_else(|problem| trouble::alone(&request, &problem))
}

/// `POST /console/sign-out`.
pub(super) async fn sign_out(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    let mut answer = act(&api, &request, body, async |visit, _| {
        if let Some(session) = session(visit.api, visit.request).await? {
            visit.api.context.store.end_session(digest(&session.secret)).await?;
        }
        Ok("/console/sign-in".to_owned())
    })
    .await;
    if answer.status() == StatusCode::SEE_OTHER {
        cookie::give(&api, &request, &mut answer, (COOKIE, ""), 0);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn signing_in_leads_to_pages_of_the_console_only() {
        for ours in [
            "/console",
            "/console/jobs",
            "/console?x=1",
            "/console/messages?status=failed",
        ] {
            assert_eq!(safe(Some(ours)), ours);
        }
        for other in [
            "",
            "/",
            "/consolexyz",
            "//evil.test",
            "https://evil.test",
            "/console\r\nx",
            "/console.evil",
        ] {
            assert_eq!(safe(Some(other)), "/console", "{other}");
        }
    }
}

//! Try a message again, cancel it.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::{Body, asking};
use crate::console::frame::{Page, Place};
use crate::console::parts::status;
use crate::console::same::Same;
use crate::console::visit::{Visit, act, show};
use crate::domain::message::Message;
use crate::http::Api;
use crate::http::dead_letters::{Stopped, cancel_message, retry_message, usable};
use crate::http::problem::Problem;

fn at(message: &Message) -> String {
    format!("/console/messages/{}", message.id)
}

/// One of the two things to do about a message, and what it means.
struct Deed {
    action: &'static str,
    title: &'static str,
    button: &'static str,
    means: &'static str,
}

const RETRY: Deed = Deed {
    action: "retry",
    title: "Try the message again",
    button: "Try again",
    means: "It goes back into its queue, to the place it had, with its attempts counted from none. What it met before stays in its \
            history.",
};
const CANCEL: Deed = Deed {
    action: "cancel",
    title: "Cancel the message",
    button: "Cancel the message",
    means: "It ends as Cancelled. If a worker has it, it ends at the worker's next heartbeat, and what has landed by then stays \
            and is counted.",
};

/// `GET /console/messages/{id}/retry`.
pub(in crate::console) async fn ask_retry(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    show(&api, &request, async |visit| ask(visit, &id, &RETRY).await).await
}

/// `GET /console/messages/{id}/cancel`.
pub(in crate::console) async fn ask_cancel(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
) -> HttpResponse {
    show(&api, &request, async |visit| ask(visit, &id, &CANCEL).await).await
}

async fn ask(visit: &Visit<'_>, id: &str, deed: &Deed) -> Result<Page, Problem> {
    let (message, job) = usable(visit.api, &visit.definitions, &visit.caller, id).await?;
    let named: Markup = html! { p { (status(message.status)) " " (message.external_id.as_deref().unwrap_or_default()) " "
    code { (message.id) } ", of " (job.name) } p { (deed.means) } };
    let form = asking(
        visit,
        &format!("{}/{}", at(&message), deed.action),
        &at(&message),
        deed.button,
        &named,
    );
    let body = html! { h1 { (deed.title) } (form) };
    let call = format!("/api/v1/messages/{}/{}", message.id, deed.action);
    Ok(Page::new(Place::Messages, deed.title, body, Same::post(call, None)))
}

/// `POST /console/messages/{id}/retry`.
pub(in crate::console) async fn retry(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body,
) -> HttpResponse {
    act(&api, &request, body, async |visit, _| {
        let (message, _) = usable(visit.api, &visit.definitions, &visit.caller, &id).await?;
        retry_message(visit.api, &visit.definitions, &visit.caller, &message).await?;
        Ok(format!("{}?done=retried", at(&message)))
    })
    .await
}

/// `POST /console/messages/{id}/cancel`.
pub(in crate::console) async fn cancel(
    api: web::Data<Api>,
    request: HttpRequest,
    id: web::Path<String>,
    body: Body,
) -> HttpResponse {
    act(&api, &request, body, async |visit, _| {
        let (message, _) = usable(visit.api, &visit.definitions, &visit.caller, &id).await?;
        let word = match cancel_message(visit.api, &visit.caller, &message).await? {
            Stopped::Now => "cancelled",
            Stopped::Asked => "cancelling",
        };
        Ok(format!("{}?done={word}", at(&message)))
    })
    .await
}

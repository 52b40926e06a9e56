//! What visitors may do: each thing has a page that asks, and a form that does it as `/api/v1` would.

pub(super) mod bulk;
pub(super) mod client;
pub(super) mod job;
pub(super) mod message;
pub(super) mod repair;
pub(super) mod webhook;

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use super::cookie;
use super::frame::button_form;
use super::parts::{Tone, notice};
use super::sign_in::safe;
use super::visit::{THEME, Visit, act};
use crate::http::Api;
use crate::http::query::Query;

/// How long a choice of colours is remembered: a year.
const THEME_SECONDS: u32 = 365 * 86_400;

/// A form as it arrives.
type Body = Result<web::Bytes, actix_web::Error>;

/// What was done, as the page it led to says it. The word stands in the address, the sentence only here.
const DONE: &[(&str, &str)] = &[
    (
        "run",
        "A run was asked for. It begins as soon as a worker has room, and shows below.",
    ),
    ("offered", "What was waiting is offered to the workers now."),
    ("paused", "The job is paused."),
    ("resumed", "The job is resumed."),
    ("retried", "The message is back in its queue."),
    ("cancelled", "The message is cancelled."),
    (
        "corrected",
        "The corrected records are sent back: this is their message, and the page follows it.",
    ),
    (
        "cancelling",
        "A worker has the message; it ends at the worker's next heartbeat.",
    ),
    ("replayed", "The delivery is sent once more."),
    ("role", "The client has its new role."),
    ("revoked", "The client is locked out."),
];

/// The notice of what was just done.
pub(super) fn done(visit: &Visit<'_>) -> Markup {
    let word = Query::of(visit.request).get("done");
    let said = word.and_then(|word| DONE.iter().find(|(known, _)| *known == word));
    said.map_or_else(
        || html! {},
        |(_, said)| notice(Tone::Good, &html! { span role="status" { (said) } }),
    )
}

/// A page's form, with a way back.
fn asking(visit: &Visit<'_>, action: &str, back: &str, do_it: &str, inside: &Markup) -> Markup {
    let form = html! {
        (inside)
        div.buttons { button.main { (do_it) } a.button href=(back) { "Back" } }
    };
    html! { div.stacked { (button_form(visit, action, &form)) } }
}

/// `POST /console/theme`: light, dark, or as the system says.
pub(super) async fn theme(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    let mut chosen = None;
    let mut answer = act(&api, &request, body, async |_, form| {
        let theme = form
            .get("theme")
            .and_then(|asked| ["light", "dark"].into_iter().find(|theme| *theme == asked));
        chosen = Some(theme);
        Ok(safe(form.get("to")).to_owned())
    })
    .await;
    if let Some(theme) = chosen {
        let seconds = if theme.is_some() { THEME_SECONDS } else { 0 };
        cookie::give(&api, &request, &mut answer, (THEME, theme.unwrap_or_default()), seconds);
    }
    answer
}

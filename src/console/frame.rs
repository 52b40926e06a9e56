//! The frame around every page: head, navigation, foot.

use actix_web::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

use super::assets::{ICON, SCRIPT, STYLE};
use super::form::TOKEN;
use super::parts::time;
use super::same::Same;
use super::visit::Visit;
use crate::http::auth::Caller;

/// The places of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Jobs,
    Messages,
    DeadLetters,
    Entities,
    Webhooks,
    Clients,
    Audit,
}

impl Place {
    const ALL: &[(Self, &'static str, &'static str)] = &[
        (Self::Overview, "Overview", "/console"),
        (Self::Jobs, "Jobs", "/console/jobs"),
        (Self::Messages, "Messages", "/console/messages"),
        (Self::DeadLetters, "Dead letters", "/console/dead-letters"),
        (Self::Entities, "Entities", "/console/entities"),
        (Self::Webhooks, "Webhooks", "/console/webhooks"),
        (Self::Clients, "Clients", "/console/clients"),
        (Self::Audit, "Audit", "/console/audit"),
    ];

    /// Whether it is a place for this visitor.
    fn is_for(self, caller: &Caller) -> bool {
        match self {
            Self::Clients => caller.is_admin(),
            Self::Audit => caller.sees_all(),
            _ => true,
        }
    }
}

/// A page of somebody who is signed in.
pub(super) struct Page {
    pub status: StatusCode,
    pub title: String,
    /// Where in the navigation it belongs.
    pub place: Option<Place>,
    /// Whether it keeps up with what happens, where scripts run.
    pub live: bool,
    pub body: Markup,
    /// The call and the commands that do the same.
    pub same: Option<Same>,
}

impl Page {
    /// A page that stands still.
    pub fn new(place: Place, title: impl Into<String>, body: Markup, same: Same) -> Self {
        Self {
            status: StatusCode::OK,
            title: title.into(),
            place: Some(place),
            live: false,
            body,
            same: Some(same),
        }
    }

    /// The same, kept up to date.
    #[must_use]
    pub fn live(mut self, live: bool) -> Self {
        self.live = live;
        self
    }
}

/// The page in its frame.
pub(super) fn whole(visit: &Visit<'_>, page: &Page) -> Markup {
    let header = html! {
        nav aria-label="Pages" {
            ul {
                @for (place, name, path) in Place::ALL.iter().filter(|(place, ..)| place.is_for(&visit.caller)) {
                    li { a href=(path) aria-current=[(page.place == Some(*place)).then_some("page")] { (name) } }
                }
            }
        }
        div.who {
            span.name title={ "role: " (visit.caller.role()) } { (visit.caller.name) }
            (switch(visit))
            (button_form(visit, "/console/sign-out", &html! { button.quiet { "Sign out" } }))
        }
    };
    let foot = html! {
        @if let Some(same) = &page.same { (same.shown(&visit.base())) }
        footer {
            p { "Tranship " (env!("CARGO_PKG_VERSION")) " · shown " (time(visit.now, visit.now))
                " · your session ends " (time(visit.session_ends, visit.now)) }
        }
    };
    let body = html! {
        main #main tabindex="-1" data-live[page.live] { (page.body) }
        (foot)
    };
    bare(visit.theme(), &page.title, &header, &body)
}

/// Head and body, for whoever looks.
pub(super) fn bare(theme: Option<&str>, title: &str, header: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                meta name="color-scheme" content=(theme.unwrap_or("light dark"));
                title { (title) " · Tranship" }
                link rel="icon" type="image/svg+xml" href=(ICON.path);
                link rel="stylesheet" href=(STYLE.path);
                script src=(SCRIPT.path) defer {}
            }
            body {
                a.skip href="#main" { "Skip to the page" }
                header.top {
                    a.brand href="/console" { (mark()) "Tranship" }
                    (header)
                }
                (body)
            }
        }
    }
}

/// Two crates, one on its way.
fn mark() -> Markup {
    html! {
        svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false" {
            path d="M3 4h8v8H3z" fill="currentColor" opacity=".45" {}
            path d="M13 12h8v8h-8z" fill="currentColor" {}
            path d="M14 4h7v5M21 4l-7 6" fill="none" stroke="currentColor" stroke-width="2" {}
        }
    }
}

/// Light or dark, whatever the browser's own choice.
fn switch(visit: &Visit<'_>) -> Markup {
    let (now, other) = match visit.theme() {
        Some("dark") => ("dark", "light"),
        Some(_) => ("light", ""),
        None => ("as your system", "dark"),
    };
    let next = if other.is_empty() { "as your system" } else { other };
    button_form(
        visit,
        "/console/theme",
        &html! {
            input type="hidden" name="theme" value=(other);
            input type="hidden" name="to" value=(super::sign_in::here(visit.request));
            button.quiet title={ "Colours: " (now) ". Next: " (next) } aria-label={ "Colours: " (now) "; switch to " (next) } { "◐" }
        },
    )
}

/// A form of one button, or of more.
pub(super) fn button_form(visit: &Visit<'_>, action: &str, inside: &Markup) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name=(TOKEN) value=(visit.form_token);
            (inside)
        }
    }
}

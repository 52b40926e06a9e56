//! `/console/clients`: who may talk to the service, for admins.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};

use crate::console::actions::client::with_name;
use crate::console::actions::done;
use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, badge, empty, none, table, time};
use crate::console::same::Same;
use crate::console::visit::{Visit, show as answer};
use crate::http::Api;
use crate::http::clients::{MANAGE, jobs_of};
use crate::http::problem::Problem;
use crate::storage::clients::Client;

/// `GET /console/clients`.
pub(in crate::console) async fn show(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    answer(&api, &request, page).await
}

async fn page(visit: &Visit<'_>) -> Result<Page, Problem> {
    visit.caller.must_be_admin(MANAGE)?;
    let mut clients = visit.api.context.store.clients().await?;
    // Those that may still do something first.
    clients.sort_by_key(|client| client.revoked_at.is_some());
    let rows = html! { @for client in &clients { (row(visit, client)) } };
    let heads = ["Client", "Role", "Jobs that list it", "Added", "Last used", ""];
    let body = html! {
        h1 { "Clients" }
        (done(visit))
        p.buttons { a.button.main href="/console/clients/add" { "Add a client…" } }
        @if clients.is_empty() {
            (empty("There is no client yet.", &html! { "Whatever sends, collects or signs in here with a secret is a client." }))
        } @else { (table("Clients, by name", &heads, &rows)) }
        p.faint { "Which jobs a client uses is said by the jobs: in their files, under " code { "clients" } "." }
    };
    let same = Same::get("/api/v1/clients").command(&["client", "list"]);
    Ok(Page::new(Place::Clients, "Clients", body, same))
}

fn row(visit: &Visit<'_>, client: &Client) -> Markup {
    let jobs = jobs_of(&visit.definitions, client);
    let at = |action: &str| with_name(&format!("/console/clients/{action}"), &client.name);
    html! {
        tr {
            td.text { (client.name) @if client.name == visit.caller.name { " " span.faint { "you" } } }
            td { @if client.revoked_at.is_some() { (badge(Tone::Odd, "revoked")) } @else { (client.role) } }
            td.text { @if jobs.is_empty() { (none()) } @else { (jobs.join(", ")) } }
            td { (time(client.created_at, visit.now)) }
            td { @match client.last_used_at { Some(at) => { (time(at, visit.now)) } None => { span.faint { "never" } } } }
            td {
                @match client.revoked_at {
                    Some(at) => { "revoked " (time(at, visit.now)) }
                    None => {
                        a href=(at("rotate")) aria-label={ "New secret for " (client.name) } { "New secret" } " · "
                        a href=(at("role")) aria-label={ "Role of " (client.name) } { "Role" } " · "
                        a href=(at("revoke")) aria-label={ "Revoke " (client.name) } { "Revoke" }
                    }
                }
            }
        }
    }
}

//! Add a client, give it a new secret or another role, revoke it. Names stand in the query: they may hold what paths do not.

use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use serde_json::json;

use super::{Body, asking};
use crate::console::form::Form;
use crate::console::frame::{Page, Place};
use crate::console::parts::{Tone, notice};
use crate::console::same::{Same, encoded};
use crate::console::visit::{Visit, act, act_and_show, show};
use crate::domain::client::{NAME_CHARS_MAX, Role};
use crate::http::Api;
use crate::http::clients::{MANAGE, add_client, change_role, known, read_role, revoke_client, rotate_client};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::storage::clients::Client;

const BACK: &str = "/console/clients";

/// A path about the client of this name.
pub(in crate::console) fn with_name(path: &str, name: &str) -> String {
    format!("{path}?name={}", encoded(name))
}

fn call(client: &Client, action: &str) -> String {
    format!("/api/v1/clients/{}/{action}", encoded(&client.name))
}

fn page(title: &str, body: Markup, same: Same) -> Page {
    Page::new(Place::Clients, title, body, same)
}

/// The client a page asks about.
async fn named(visit: &Visit<'_>) -> Result<Client, Problem> {
    visit.caller.must_be_admin(MANAGE)?;
    known(visit.api, &Query::of(visit.request).get("name").unwrap_or_default()).await
}

/// The client a form is about.
async fn sent(visit: &Visit<'_>, form: &Form) -> Result<Client, Problem> {
    visit.caller.must_be_admin(MANAGE)?;
    known(visit.api, form.get("name").unwrap_or_default()).await
}

/// A page that asks, about a client.
fn ask(visit: &Visit<'_>, client: &Client, action: &str, button: &str, inside: &Markup) -> Markup {
    let inside = html! { input type="hidden" name="name" value=(client.name); (inside) };
    asking(visit, &format!("{BACK}/{action}"), BACK, button, &inside)
}

fn role_field(now: &str) -> Markup {
    html! {
        label for="role" { "Role" }
        select #role name="role" {
            @for role in Role::ALL { option value=(role.as_str()) selected[role.as_str() == now] { (role.as_str()) } }
        }
        ul.plain.faint { @for role in Role::ALL { li { strong { (role.as_str()) } ": " (role.means()) } } }
    }
}

/// The secret, which is shown this once.
fn secret_page(title: &str, name: &str, secret: &str, same: Same) -> Page {
    let said = html! { "The secret is shown this once. Who reloads this page asks for it all over again; "
    "closed without a copy, only a new secret helps." };
    let body = html! {
        h1 { (title) }
        (notice(Tone::Odd, &said))
        dl.facts {
            div { dt { "Client id" } dd { code { (name) } } }
            div { dt { "Client secret" } dd { code { (secret) } } }
        }
        p.buttons { a.button.main href=(BACK) { "All clients" } }
    };
    page(title, body, same)
}

/// `GET /console/clients/add`.
pub(in crate::console) async fn ask_add(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    show(&api, &request, async |visit| {
        visit.caller.must_be_admin(MANAGE)?;
        let inside = html! {
            label for="name" { "Name: what jobs list under " code { "clients" } ", and what it signs in with" }
            input #name name="name" required maxlength=(NAME_CHARS_MAX) autocomplete="off" autofocus;
            (role_field(Role::Client.as_str()))
        };
        let form = asking(visit, "/console/clients/add", BACK, "Add", &inside);
        let body = html! { h1 { "Add a client" } (form) };
        let same = Same::post("/api/v1/clients", Some(json!({ "name": "NAME", "role": "client" })));
        Ok(page(
            "Add a client",
            body,
            same.command(&["client", "add", "NAME", "--role", "client"]),
        ))
    })
    .await
}

/// `POST /console/clients/add`.
pub(in crate::console) async fn add(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    act_and_show(&api, &request, body, async |visit, form| {
        let (name, role) = (form.get("name").unwrap_or_default().trim(), form.get("role"));
        let role = read_role(role.unwrap_or(Role::Client.as_str()))?;
        let secret = add_client(visit.api, &visit.caller, name, role).await?;
        let same = Same::post("/api/v1/clients", Some(json!({ "name": name, "role": role.as_str() })));
        let same = same.command(&["client", "add", name, "--role", role.as_str()]);
        Ok(secret_page("The client is added", name, &secret, same))
    })
    .await
}

/// `GET /console/clients/rotate?name=`.
pub(in crate::console) async fn ask_rotate(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    show(&api, &request, async |visit| {
        let client = named(visit).await?;
        let inside = html! {
            p { "Its old secret is void at once, and so are its sessions of this console. Tokens it holds stay good until they end." }
            @if client.name == visit.caller.name { p { strong { "This is you: you sign in again with the new secret." } } }
        };
        let form = ask(visit, &client, "rotate", "Make a new secret", &inside);
        let body = html! { h1 { "New secret for " (client.name) } (form) };
        Ok(page("New secret", body, rotate_same(&client)))
    })
    .await
}

fn rotate_same(client: &Client) -> Same {
    Same::post(call(client, "rotate"), None).command(&["client", "rotate", &client.name])
}

/// `POST /console/clients/rotate`.
pub(in crate::console) async fn rotate(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    act_and_show(&api, &request, body, async |visit, form| {
        let client = sent(visit, form).await?;
        let secret = rotate_client(visit.api, &visit.caller, &client).await?;
        Ok(secret_page(
            "The client has a new secret",
            &client.name,
            &secret,
            rotate_same(&client),
        ))
    })
    .await
}

/// `GET /console/clients/role?name=`.
pub(in crate::console) async fn ask_role(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    show(&api, &request, async |visit| {
        let client = named(visit).await?;
        let inside = html! {
            (role_field(&client.role))
            p { "Within a second it may what its new role may. The last admin stays one." }
        };
        let form = ask(visit, &client, "role", "Change the role", &inside);
        let body = html! { h1 { "Role of " (client.name) } (form) };
        let same = Same::post(call(&client, "role"), Some(json!({ "role": client.role })));
        Ok(page(
            "Role",
            body,
            same.command(&["client", "role", &client.name, &client.role]),
        ))
    })
    .await
}

/// `POST /console/clients/role`.
pub(in crate::console) async fn role(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    act(&api, &request, body, async |visit, form| {
        let (client, role) = (
            sent(visit, form).await?,
            read_role(form.get("role").unwrap_or_default())?,
        );
        change_role(visit.api, &visit.caller, &client, role).await?;
        Ok(format!("{BACK}?done=role"))
    })
    .await
}

/// `GET /console/clients/revoke?name=`.
pub(in crate::console) async fn ask_revoke(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    show(&api, &request, async |visit| {
        let client = named(visit).await?;
        let inside = html! {
            p { "It is locked out for good, tokens and sessions included, and its name stays taken. "
                "Messages it sent and leases it holds stay as they are." }
        };
        let form = ask(visit, &client, "revoke", "Revoke", &inside);
        let body = html! { h1 { "Revoke " (client.name) } (form) };
        let same = Same::post(call(&client, "revoke"), None).command(&["client", "revoke", &client.name]);
        Ok(page("Revoke a client", body, same))
    })
    .await
}

/// `POST /console/clients/revoke`.
pub(in crate::console) async fn revoke(api: web::Data<Api>, request: HttpRequest, body: Body) -> HttpResponse {
    act(&api, &request, body, async |visit, form| {
        let client = sent(visit, form).await?;
        revoke_client(visit.api, &visit.caller, &client).await?;
        Ok(format!("{BACK}?done=revoked"))
    })
    .await
}

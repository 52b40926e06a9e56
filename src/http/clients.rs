//! `/api/v1/clients`: who may talk to the service. For admins alone.
//!
//! Which jobs a client uses is said by the jobs, in their files; it is shown here and changed there.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Caller, caller};
use super::body::read_json;
use super::problem::{Kind, Problem, Surface};
use super::{Api, at};
use crate::auth::DEV_CLIENT;
use crate::auth::secrets::{hash_secret, new_secret};
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::client::{Role, name_flaw};
use crate::storage::clients::{Change, Changed, Client, LastAdmin};

/// Longest body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// What only admins do.
pub(crate) const MANAGE: &str = "manage clients";

/// The routes.
pub(super) fn routes(service: &mut ServiceConfig) {
    service
        .service(at("/api/v1/clients", web::get().to(list)).route(web::post().to(add)))
        .service(at("/api/v1/clients/{name}/rotate", web::post().to(rotate)))
        .service(at("/api/v1/clients/{name}/role", web::post().to(role)))
        .service(at("/api/v1/clients/{name}/revoke", web::post().to(revoke)));
}

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

async fn admin(api: &Api, request: &HttpRequest) -> Result<Caller, Problem> {
    let caller = caller(api, request).await?;
    caller.must_be_admin(MANAGE)?;
    Ok(caller)
}

/// `GET /api/v1/clients`: all of them, revoked ones too, by name.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let listed = async {
        admin(&api, &request).await?;
        let definitions = api.definitions();
        let clients = api.context.store.clients().await?;
        let clients: Vec<Value> = clients.iter().map(|client| shown(&definitions, client)).collect();
        Ok(HttpResponse::Ok().json(json!({ "clients": clients })))
    };
    respond(listed.await)
}

fn shown(definitions: &Definitions, client: &Client) -> Value {
    json!({
        "name": client.name,
        "role": client.role,
        "created_at": client.created_at,
        "revoked_at": client.revoked_at,
        "last_used_at": client.last_used_at,
        "jobs": jobs_of(definitions, client),
    })
}

/// The names of the jobs whose files list a client.
#[must_use]
pub fn jobs_of<'d>(definitions: &'d Definitions, client: &Client) -> Vec<&'d str> {
    let jobs = definitions.jobs.iter().filter(|job| {
        let is_listed = job.clients.iter().any(|name| name.eq_ignore_ascii_case(&client.name));
        is_listed || (job.sample && client.name == DEV_CLIENT)
    });
    jobs.map(|job| job.name.as_str()).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddRequest {
    name: String,
    role: Option<String>,
}

/// `POST /api/v1/clients`: 201 with the secret, which is shown this once.
pub async fn add(api: web::Data<Api>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    let added = async {
        let caller = admin(&api, &request).await?;
        let asked: AddRequest = read_json(body, BODY_BYTES_MAX)
            .await?
            .ok_or_else(|| Problem::bad("body_empty", "send {\"name\":…,\"role\":\"client\"}"))?;
        let role = read_role(asked.role.as_deref().unwrap_or(Role::Client.as_str()))?;
        let secret = add_client(&api, &caller, &asked.name, role).await?;
        Ok(HttpResponse::Created().json(json!({
            "client_id": asked.name,
            "client_secret": secret,
            "role": role.as_str(),
        })))
    };
    respond(added.await)
}

/// `POST /api/v1/clients/{name}/rotate`: the new secret, which is shown this once; the old one is void.
pub async fn rotate(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let rotated = async {
        let caller = admin(&api, &request).await?;
        let client = known(&api, &name).await?;
        let secret = rotate_client(&api, &caller, &client).await?;
        Ok(HttpResponse::Ok().json(json!({ "client_id": client.name, "client_secret": secret })))
    };
    respond(rotated.await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleRequest {
    role: String,
}

/// `POST /api/v1/clients/{name}/role`: within a second it may what the role may.
pub async fn role(
    api: web::Data<Api>,
    request: HttpRequest,
    name: web::Path<String>,
    body: web::Payload,
) -> HttpResponse {
    let changed = async {
        let caller = admin(&api, &request).await?;
        let asked: RoleRequest = read_json(body, BODY_BYTES_MAX)
            .await?
            .ok_or_else(|| Problem::bad("body_empty", "send {\"role\":\"operator\"}"))?;
        let (role, client) = (read_role(&asked.role)?, known(&api, &name).await?);
        change_role(&api, &caller, &client, role).await?;
        Ok(HttpResponse::Ok().json(json!({ "name": client.name, "role": role.as_str() })))
    };
    respond(changed.await)
}

/// `POST /api/v1/clients/{name}/revoke`: locked out for good, within a second.
pub async fn revoke(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let revoked = async {
        let caller = admin(&api, &request).await?;
        let client = known(&api, &name).await?;
        revoke_client(&api, &caller, &client).await?;
        Ok(HttpResponse::Ok().json(json!({ "name": client.name, "revoked": true })))
    };
    respond(revoked.await)
}

/// The role of a word.
///
/// # Errors
/// 400 naming those there are.
pub(crate) fn read_role(word: &str) -> Result<Role, Problem> {
    Role::parse(word).ok_or_else(|| {
        let all = Role::ALL.map(Role::as_str).join(", ");
        Problem::bad("invalid_role", format!("`{word}` is no role; write one of {all}"))
    })
}

/// The client of this name that is not revoked.
///
/// # Errors
/// 404.
pub(crate) async fn known(api: &Api, name: &str) -> Result<Client, Problem> {
    let client = api.context.store.client(name).await?;
    client
        .filter(|client| client.revoked_at.is_none())
        .ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Problem {
    Problem::new(
        Kind::NotFound,
        format!("there is no client `{name}` that is not revoked"),
    )
}

/// Adds a client for an admin; its secret.
///
/// # Errors
/// 403 for others, 400 for what is no name, 409 for one that is taken.
pub(crate) async fn add_client(api: &Api, caller: &Caller, name: &str, role: Role) -> Result<String, Problem> {
    caller.must_be_admin(MANAGE)?;
    if let Some(flaw) = name_flaw(name) {
        return Err(Problem::bad("invalid_name", format!("a client's name has {flaw}")));
    }
    if let Some(other) = api.context.store.client(name).await? {
        let cure = if other.revoked_at.is_some() {
            "it was revoked for good, and its name stays taken"
        } else {
            "give it a new secret, or choose another name"
        };
        let detail = format!("there is a client `{}` already: {cure}", other.name);
        return Err(Problem::new(Kind::Conflict, detail));
    }
    let (secret, hash) = made_secret(api).await?;
    let client = Client {
        name: name.to_owned(),
        secret_hash: hash,
        role: role.as_str().to_owned(),
        created_at: api.context.clock.now(),
        revoked_at: None,
        last_used_at: None,
    };
    let store = api.audited(caller, Action::ClientAdd, name, json!({ "role": role.as_str() }));
    store.add_client(&client).await?;
    tracing::info!(client = name, role = role.as_str(), by = %caller.name, "client added");
    Ok(secret)
}

/// Gives a client a new secret, for an admin. What its old one began in the console ends.
///
/// # Errors
/// 403 for others, 404 for one that is revoked by now.
pub(crate) async fn rotate_client(api: &Api, caller: &Caller, client: &Client) -> Result<String, Problem> {
    caller.must_be_admin(MANAGE)?;
    let (secret, hash) = made_secret(api).await?;
    let store = api.audited(caller, Action::ClientRotate, &client.name, Value::Null);
    if !store.set_client_secret(&client.name, &hash).await? {
        return Err(unknown(&client.name));
    }
    tracing::info!(client = %client.name, by = %caller.name, "client got a new secret");
    Ok(secret)
}

/// Gives a client another role, for an admin.
///
/// # Errors
/// 403 for others, 404 for one that is revoked by now, 409 for the last admin.
pub(crate) async fn change_role(api: &Api, caller: &Caller, client: &Client, role: Role) -> Result<(), Problem> {
    caller.must_be_admin(MANAGE)?;
    let detail = json!({ "role": role.as_str(), "before": client.role });
    let store = api.audited(caller, Action::ClientRole, &client.name, detail);
    let changed = store.change_client(&client.name, Change::Role(role), LastAdmin::Stays);
    settled(&client.name, changed.await?)?;
    tracing::info!(client = %client.name, role = role.as_str(), by = %caller.name, "client got another role");
    Ok(())
}

/// Locks a client out for good, for an admin.
///
/// # Errors
/// 403 for others, 404 for one that is revoked already, 409 for the last admin.
pub(crate) async fn revoke_client(api: &Api, caller: &Caller, client: &Client) -> Result<(), Problem> {
    caller.must_be_admin(MANAGE)?;
    let store = api.audited(caller, Action::ClientRevoke, &client.name, Value::Null);
    let change = Change::Revoke(api.context.clock.now());
    let changed = store.change_client(&client.name, change, LastAdmin::Stays);
    settled(&client.name, changed.await?)?;
    tracing::info!(client = %client.name, by = %caller.name, "client revoked");
    Ok(())
}

fn settled(name: &str, changed: Changed) -> Result<(), Problem> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Unknown => Err(unknown(name)),
        Changed::LastAdmin => {
            let detail = format!(
                "`{name}` is the only admin: nobody could let others in any more. Make another client an admin first, or use \
                 `tranship client` where the service's store is at hand"
            );
            Err(Problem::new(Kind::Conflict, detail))
        }
    }
}

/// A new secret and its hash. Hashing is meant to be slow; so few are made at once, and none on a thread that answers others.
async fn made_secret(api: &Api) -> Result<(String, String), Problem> {
    let busy = || Problem::new(Kind::Unavailable, "the secret could not be made; try again");
    let turn = api.secret_checks.turn().await?;
    let made = web::block(move || {
        let _turn = turn;
        let secret = new_secret();
        let hash = hash_secret(&secret);
        (secret, hash)
    });
    made.await.map_err(|_| busy())
}

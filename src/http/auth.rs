//! Who is calling, and which jobs they may use.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::Api;
use super::problem::{Kind, Problem};
use crate::auth::{DEV_CLIENT, tokens};
use crate::definitions::Definitions;
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::storage::clients::Client;

/// An authenticated client.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its name.
    pub name: String,
    /// Its role.
    role: Role,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Uses the jobs that list it.
    Client,
    /// Sees every job.
    Viewer,
    /// Sees and uses every job.
    Operator,
}

impl Caller {
    fn of(client: &Client) -> Self {
        let role = match client.role.as_str() {
            "admin" | "operator" => Role::Operator,
            "viewer" => Role::Viewer,
            _ => Role::Client,
        };
        Self {
            name: client.name.clone(),
            role,
        }
    }

    /// Whether the job lists the caller (AUTH-12); the first start's `dev` is listed by sample jobs only.
    fn is_listed(&self, job: &Job) -> bool {
        let listed = job.clients.iter().any(|c| c.eq_ignore_ascii_case(&self.name));
        listed || (job.sample && self.name == DEV_CLIENT)
    }

    /// Whether the caller may enqueue to, dequeue from and run the job.
    #[must_use]
    pub fn may_use(&self, job: &Job) -> bool {
        self.role == Role::Operator || self.is_listed(job)
    }

    /// Whether the caller may look at the job and its messages.
    #[must_use]
    pub fn may_see(&self, job: &Job) -> bool {
        self.role == Role::Viewer || self.may_use(job)
    }

    /// Whether the caller sees everything, also messages of jobs whose file is gone.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.role != Role::Client
    }
}

/// The client behind the request's bearer token.
///
/// # Errors
/// 401 without a good token (AUTH-9); a revoked client's token is no longer good.
pub async fn caller(api: &Api, request: &HttpRequest) -> Result<Caller, Problem> {
    let refuse = |detail: &str| Problem::new(Kind::Unauthorized, detail);
    let header = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let audiences = audiences(api, request);
    let audiences: Vec<&str> = audiences.iter().map(String::as_str).collect();
    let claims = tokens::bearer(header)
        .and_then(|token| api.issuer.verify(token, api.context.clock.now(), &audiences))
        .map_err(|error| {
            refuse(&format!(
                "{error}; ask /{{tenant}}/oauth2/v2.0/token for one and send it as `Authorization: Bearer`"
            ))
        })?;
    let client = api.context.store.client(&claims.appid).await?;
    match client {
        Some(client) if client.revoked_at.is_none() => Ok(Caller::of(&client)),
        _ => Err(refuse(
            "the client of this token does not exist any more or was revoked",
        )),
    }
}

/// What a token's audience may be: the address the client used, or the public one (AUTH-8).
fn audiences(api: &Api, request: &HttpRequest) -> Vec<String> {
    let mut audiences = vec![base_url(api, request)];
    if let Some(url) = &api.server.public_url {
        audiences.push(url.as_str().to_owned());
    }
    audiences
}

/// The base URL the client used, without a trailing slash: the public one is for links where it is set; a trusted proxy
/// says what its client used (RI-14).
#[must_use]
pub fn base_url(api: &Api, request: &HttpRequest) -> String {
    let peer = request.peer_addr().map(|a| a.ip());
    let trusted = peer.is_some_and(|ip| api.server.trusted_proxies.contains(&ip));
    let forwarded = |name: &str| {
        let value = request.headers().get(name).filter(|_| trusted)?.to_str().ok()?;
        value
            .split(',')
            .next()
            .map(|first| first.trim().to_owned())
            .filter(|v| !v.is_empty())
    };
    let scheme = forwarded("x-forwarded-proto").unwrap_or_else(|| request.app_config().secure_scheme().to_owned());
    // Not `connection_info()`: that believes forwarding headers from anybody.
    let named = request.headers().get(header::HOST).and_then(|v| v.to_str().ok());
    let named = named
        .or_else(|| request.uri().authority().map(actix_web::http::uri::Authority::as_str))
        .unwrap_or_default();
    let host = forwarded("x-forwarded-host").unwrap_or_else(|| named.to_owned());
    format!("{scheme}://{host}")
}

trait SecureScheme {
    fn secure_scheme(&self) -> &'static str;
}

impl SecureScheme for actix_web::dev::AppConfig {
    fn secure_scheme(&self) -> &'static str {
        if self.secure() { "https" } else { "http" }
    }
}

/// The job of an activity id on the connector, if the caller may use it.
///
/// # Errors
/// Unknown activity: 500 (AUTH-13); a job that does not list the caller: 403 (AUTH-12).
pub fn connector_job<'a>(definitions: &'a Definitions, caller: &Caller, activity: &str) -> Result<&'a Job, Problem> {
    let unknown = || {
        Problem::new(
            Kind::UnknownActivity,
            format!("there is no recurring data job with the activity id {activity}"),
        )
    };
    let id: JobId = activity.parse().map_err(|_| unknown())?;
    let job = definitions.job(id).ok_or_else(unknown)?;
    if caller.may_use(job) {
        Ok(job)
    } else {
        Err(not_yours(caller))
    }
}

/// The job of this name or id on `/api/v1`, if the caller may see it. A job that is not the caller's does not exist for it.
///
/// # Errors
/// 404.
pub fn visible_job<'a>(definitions: &'a Definitions, caller: &Caller, name_or_id: &str) -> Result<&'a Job, Problem> {
    let job = definitions.find_job(name_or_id).filter(|job| caller.may_see(job));
    job.ok_or_else(|| {
        Problem::new(
            Kind::NotFound,
            format!("there is no job `{name_or_id}` that `{}` may see", caller.name),
        )
    })
}

/// The same, for using it.
///
/// # Errors
/// 404 when it is not there to see, 403 when it may only be looked at.
pub fn usable_job<'a>(definitions: &'a Definitions, caller: &Caller, name_or_id: &str) -> Result<&'a Job, Problem> {
    // A client that names a job it is not listed on learns that it is not listed: it knows the name already.
    let job = definitions
        .find_job(name_or_id)
        .ok_or_else(|| Problem::new(Kind::NotFound, format!("there is no job `{name_or_id}`")))?;
    if caller.may_use(job) {
        Ok(job)
    } else {
        Err(not_yours(caller))
    }
}

fn not_yours(caller: &Caller) -> Problem {
    Problem::new(
        Kind::Forbidden,
        format!(
            "the client `{}` may not use this job: it is not among the `clients` in the job's file",
            caller.name
        ),
    )
}

//! Who is calling, and which jobs they may use.

use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::header;

use sha2::{Digest as _, Sha256};

use super::Api;
use super::problem::{Kind, Problem, Surface as Answers};
use super::recent::Recent;
use super::sandbox::note_client;
use crate::auth::tokens::TokenError;
use crate::auth::{DEV_CLIENT, tokens};
use crate::definitions::Definitions;
use crate::domain::audit::Surface;
use crate::domain::client::Role;
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::domain::time::Timestamp;
use crate::storage::clients::Client;

/// How long a client is believed to be what it was: this long a revoked one may go on.
const BELIEVED_FOR: Duration = Duration::from_secs(1);
/// Tokens remembered.
const CALLERS_MAX: usize = 10_000;

/// Who called lately, by address and token: most requests come from a few clients, and neither the token need be verified
/// nor the store asked for each.
#[derive(Debug)]
pub struct Callers(Recent<[u8; 32], Known>);

#[derive(Debug, Clone)]
struct Known {
    caller: Caller,
    /// When the store was asked.
    asked: Instant,
    /// Seconds since 1970 from which the token is not valid.
    expires: i64,
}

impl Known {
    fn is_good(&self, now: Timestamp) -> bool {
        self.asked.elapsed() < BELIEVED_FOR && now.micros() < self.expires.saturating_mul(1_000_000)
    }
}

impl Default for Callers {
    fn default() -> Self {
        Self(Recent::new(CALLERS_MAX))
    }
}

/// An authenticated client.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its name.
    pub name: String,
    /// Its role.
    role: Role,
    /// From where it calls.
    pub(crate) surface: Surface,
}

/// What the operator who has the store at hand is called: in histories, beside clients.
pub const LOCAL_OPERATOR: &str = "local operator";

impl Caller {
    /// Somebody who has the store at hand, and so may do everything anyway.
    pub(crate) fn local_operator() -> Self {
        Self {
            name: LOCAL_OPERATOR.to_owned(),
            role: Role::Admin,
            surface: Surface::Console,
        }
    }

    pub(crate) fn of(client: &Client, surface: Surface) -> Self {
        Self {
            name: client.name.clone(),
            role: Role::parse(&client.role).unwrap_or(Role::Client),
            surface,
        }
    }

    /// The role, in a word.
    pub(crate) fn role(&self) -> &'static str {
        self.role.as_str()
    }

    /// Whether the job lists the caller (AUTH-12); the first start's `dev` is listed by sample jobs only.
    fn is_listed(&self, job: &Job) -> bool {
        let listed = job.clients.iter().any(|c| c.eq_ignore_ascii_case(&self.name));
        listed || (job.sample && self.name == DEV_CLIENT)
    }

    /// Whether the caller may enqueue to, dequeue from and run the job.
    #[must_use]
    pub fn may_use(&self, job: &Job) -> bool {
        self.role.operates() || self.is_listed(job)
    }

    /// Whether the caller may look at the job and its messages.
    #[must_use]
    pub fn may_see(&self, job: &Job) -> bool {
        self.role == Role::Viewer || self.may_use(job)
    }

    /// Whether the caller may upload what it will import: everybody may who does more than look.
    #[must_use]
    pub fn may_upload(&self) -> bool {
        self.role != Role::Viewer
    }

    /// Whether the caller may use everything, also what belongs to jobs whose file is gone.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.role.operates()
    }

    /// Whether the caller manages clients, and reads the whole audit log.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Refuses whoever is no admin. `what`: what only admins do.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn must_be_admin(&self, what: &str) -> Result<(), Problem> {
        if self.is_admin() {
            return Ok(());
        }
        let detail = format!(
            "the client `{}` may not {what}: that takes the role admin, and its role is {}",
            self.name,
            self.role()
        );
        Err(Problem::new(Kind::Forbidden, detail))
    }

    /// Whether the caller may set faults, move the clock and reset everything: an operator, and the first start's `dev`, which
    /// is there only where nobody else can reach the service.
    #[must_use]
    pub fn may_use_sandbox(&self) -> bool {
        self.role.operates() || self.name == DEV_CLIENT
    }

    /// Whether the caller sees everything, also messages of jobs whose file is gone.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        !matches!(self.role, Role::Client | Role::Integrator)
    }

    /// Whether the caller may create data projects, by the packages it imports: into any entity that takes part in data management.
    #[must_use]
    pub fn may_create_projects(&self) -> bool {
        self.role == Role::Integrator || self.role.operates()
    }
}

/// The client behind the request's bearer token.
///
/// # Errors
/// 401 without a good token (AUTH-9), 403 where its client is unknown or was revoked (AUTH-10), the latter within a second; 429 or 503
/// where it calls too fast.
pub async fn caller(api: &Api, request: &HttpRequest) -> Result<Caller, Problem> {
    let caller = authenticate(api, request).await?;
    if api.context.sandbox.is_some() {
        note_client(request, &caller.name);
    }
    api.pace.let_in(&caller.name, Answers::of(request.path())).await?;
    Ok(caller)
}

/// The same for what goes on after it was let in, which is no call more.
///
/// # Errors
/// 401 without a good token (AUTH-9), 403 where its client is unknown or was revoked (AUTH-10), the latter within a second.
pub(super) async fn authenticate(api: &Api, request: &HttpRequest) -> Result<Caller, Problem> {
    let header = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|v| v.to_str().ok());
    let denied = |error: TokenError| Problem::unauthorized(&error);
    let token = tokens::bearer(header).map_err(denied)?;
    let now = api.context.clock.now();
    let base = base_url(api, request);
    // A token names its audience, so whether it is good depends on the address too. Both are as long as the caller likes.
    let key: [u8; 32] = Sha256::new()
        .chain_update(&base)
        .chain_update("\n")
        .chain_update(token)
        .finalize()
        .into();
    if let Some(known) = api.callers.0.get(&key).filter(|known| known.is_good(now)) {
        return Ok(known.caller);
    }
    let own = own_addresses(api, request);
    let (name, expires) = if let Some(client) = static_token(api, token) {
        (client, i64::MAX)
    } else if let Some(outsider) = api.issuers.verify(token, now, &own).await? {
        (outsider.client, outsider.expires)
    } else {
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let verified = api.signers().issuer.verify(token, now, &own, Some(&base));
        let claims = verified.map_err(denied)?;
        (claims.appid, claims.exp)
    };
    let asked = Instant::now();
    let client = api.context.store.client(&name).await?;
    match client {
        Some(client) if client.revoked_at.is_none() => {
            api.last_uses.note(&client.name, now);
            let caller = Caller::of(&client, Surface::Api);
            let known = Known {
                caller: caller.clone(),
                asked,
                expires,
            };
            api.callers.0.put(key, known);
            Ok(caller)
        }
        _ => Err(Problem::new(
            Kind::Forbidden,
            "the token is good, but its client is not one of this service, or was revoked; `tranship client add` adds one",
        )),
    }
}

/// What tokens may be for, besides what the settings say of other issuers' (AUTH-8). Not the `Host` of the request: that is its sender's word,
/// and with it a token that its issuer gave to another service would open this one.
fn own_addresses(api: &Api, request: &HttpRequest) -> Vec<String> {
    if let Some(public) = &api.server.public_url {
        return vec![public.as_str().to_owned()];
    }
    let listener = request.app_config();
    let (address, scheme) = (listener.local_addr(), if listener.secure() { "https" } else { "http" });
    let mut own = Vec::new();
    if !address.ip().is_unspecified() {
        own.push(format!("{scheme}://{address}"));
    }
    if address.ip().is_loopback() {
        own.push(format!("{scheme}://localhost:{}", address.port()));
    }
    own
}

/// The client that a token written in the settings of the sandbox stands for (AUTH-14).
fn static_token(api: &Api, token: &str) -> Option<String> {
    api.context.sandbox.as_ref()?.tokens.get(token).cloned()
}

/// The base URL the client used, without a trailing slash: the public one is for links where it is set; a trusted proxy
/// says what its client used (RI-14).
#[must_use]
pub fn base_url(api: &Api, request: &HttpRequest) -> String {
    let scheme = scheme(api, request);
    // Not `connection_info()`: that believes forwarding headers from anybody.
    let named = request.headers().get(header::HOST).and_then(|v| v.to_str().ok());
    let named = named
        .or_else(|| request.uri().authority().map(actix_web::http::uri::Authority::as_str))
        .unwrap_or_default();
    let host = forwarded(api, request, "x-forwarded-host").unwrap_or_else(|| named.to_owned());
    format!("{scheme}://{host}")
}

/// The scheme the client used, as a trusted proxy says or as its own connection shows.
#[must_use]
pub fn scheme(api: &Api, request: &HttpRequest) -> String {
    let seen = || if request.app_config().secure() { "https" } else { "http" };
    forwarded(api, request, "x-forwarded-proto").unwrap_or_else(|| seen().to_owned())
}

/// What a trusted proxy says its client used; the first of several proxies met the client.
fn forwarded(api: &Api, request: &HttpRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name)?.to_str().ok()?;
    let first = value
        .split(',')
        .next()
        .map(str::trim)
        .filter(|first| !first.is_empty())?;
    // A socket for both families shows an IPv4 address as `::ffff:10.0.0.7`.
    let peer = request.peer_addr()?.ip().to_canonical();
    let is_trusted = api.server.trusted_proxies.iter().any(|proxies| proxies.contains(&peer));
    is_trusted.then(|| first.to_owned())
}

/// What links begin with: the public base URL where it is set, otherwise the one the client used; without a trailing slash.
#[must_use]
pub fn link_base(api: &Api, request: &HttpRequest) -> String {
    match &api.server.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => base_url(api, request),
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

/// The jobs a list is about: the one named, or all the caller may see (empty: every job, also those whose file is gone).
/// `None`: the caller may see none.
///
/// # Errors
/// 404 for a job that is not there to see.
pub fn listed_jobs(
    definitions: &Definitions,
    caller: &Caller,
    name: Option<&str>,
) -> Result<Option<Vec<JobId>>, Problem> {
    if let Some(name) = name {
        return Ok(Some(vec![visible_job(definitions, caller, name)?.id]));
    }
    if caller.sees_all() {
        return Ok(Some(Vec::new()));
    }
    let seen = definitions.jobs.iter().filter(|job| caller.may_see(job));
    let seen: Vec<JobId> = seen.map(|job| job.id).collect();
    Ok(Some(seen).filter(|seen| !seen.is_empty()))
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

/// The same for the job of a message that is known to be the caller's to name.
///
/// # Errors
/// 404 when the job's file is gone, 403 when it may only be looked at.
pub fn usable_job_of<'a>(definitions: &'a Definitions, caller: &Caller, id: JobId) -> Result<&'a Job, Problem> {
    let gone = || Problem::new(Kind::NotFound, format!("there is no job {id} any more"));
    let job = definitions.job(id).ok_or_else(gone)?;
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

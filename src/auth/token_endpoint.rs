//! The token endpoint's rules without its HTTP: form in, body out (AUTH-1, AUTH-3, AUTH-5).
//!
//! Refuses to look clients up: parse the request, look up [`TokenRequest::names`], then [`answer`].

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use url::form_urlencoded;

use super::secrets::{hash_secret, new_secret, verify_secret};
use super::tokens::{Grant, TokenIssuer};
use crate::domain::time::Timestamp;

/// Which of the two endpoints was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `/{tenant}/oauth2/token`
    V1,
    /// `/{tenant}/oauth2/v2.0/token`
    V2,
}

impl Version {
    /// As `ver` says it in a token.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1.0",
            Self::V2 => "2.0",
        }
    }
}

/// How a caller proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// `client_credentials`: `client_id` and `client_secret`.
    Client,
    /// `password`: `username`, which is a client's name, and `password`, which is its secret; `client_id` names the program (AUTH-4).
    User,
}

/// A well-formed request for a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// The endpoint.
    pub version: Version,
    /// By which grant.
    pub proof: Proof,
    /// Who asks.
    pub client_id: String,
    /// How it proves that.
    pub client_secret: String,
    /// `resource`, or the first `…/.default` of `scope`, as sent.
    pub audience: String,
}

/// What the store knows of the client that asks.
#[derive(Debug, Clone, Copy)]
pub struct KnownClient<'a> {
    /// Its name as stored; the token carries this spelling.
    pub name: &'a str,
    /// Hash of its secret.
    pub secret_hash: &'a str,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// The body of a 200. In v1 the numbers are strings, in v2 numbers (AUTH-1).
#[derive(Serialize)]
#[serde(untagged)]
pub enum TokenAnswer {
    /// From `/oauth2/token`.
    V1 {
        /// `Bearer`
        token_type: &'static str,
        /// Seconds the token is good for.
        expires_in: String,
        /// The same.
        ext_expires_in: String,
        /// Seconds since 1970.
        expires_on: String,
        /// Seconds since 1970.
        not_before: String,
        /// As asked for.
        resource: String,
        /// The token.
        access_token: String,
    },
    /// From `/oauth2/v2.0/token`.
    V2 {
        /// `Bearer`
        token_type: &'static str,
        /// Seconds the token is good for.
        expires_in: u32,
        /// The same.
        ext_expires_in: u32,
        /// The token.
        access_token: String,
    },
}

/// A request that gets no token (AUTH-5).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {description}")]
pub struct TokenRefusal {
    /// HTTP status: 400 or 401.
    pub status: u16,
    /// OAuth's word for it.
    pub error: &'static str,
    /// The number client libraries look for.
    pub code: u32,
    /// What to do about it.
    pub description: String,
}

/// The body of a refusal.
#[derive(Debug, Serialize)]
pub struct RefusalBody {
    error: &'static str,
    error_description: String,
    error_codes: [u32; 1],
    timestamp: String,
    trace_id: String,
    correlation_id: String,
}

impl TokenRefusal {
    /// The body to send, with the ids the server's log has too.
    #[must_use]
    pub fn body(&self, now: Timestamp, trace_id: &str, correlation_id: &str) -> RefusalBody {
        RefusalBody {
            error: self.error,
            // ADAL reads the number out of this text, too.
            error_description: format!("AADSTS{}: {}", self.code, self.description),
            error_codes: [self.code],
            timestamp: now.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string(),
            trace_id: trace_id.to_owned(),
            correlation_id: correlation_id.to_owned(),
        }
    }

    fn invalid_request(code: u32, description: impl Into<String>) -> Self {
        let description = description.into();
        Self {
            status: 400,
            error: "invalid_request",
            code,
            description,
        }
    }

    fn missing(parameter: &str) -> Self {
        Self::invalid_request(
            900_144,
            format!("The request body must contain the following parameter: '{parameter}'."),
        )
    }

    fn invalid_client() -> Self {
        // One answer for an unknown client, a revoked one and a wrong secret: names are not to be found out by asking.
        Self {
            status: 401,
            error: "invalid_client",
            code: 7_000_215,
            description:
                "Invalid client secret or unknown client. Check client_id and client_secret, or add the client \
                          with `tranship client add`."
                    .into(),
        }
    }

    fn invalid_password() -> Self {
        Self {
            status: 400,
            error: "invalid_grant",
            code: 50_126,
            description:
                "Invalid username or password: a user is a client by its name, its password the client's secret.".into(),
        }
    }
}

impl TokenRequest {
    /// Reads the form. `authorization` is the header of that name: HTTP Basic may carry id and secret instead.
    ///
    /// # Errors
    /// [`TokenRefusal`] with status 400 for what is missing, doubled or not offered; 401 for broken Basic credentials.
    pub fn parse(version: Version, form: &[u8], authorization: Option<&str>) -> Result<Self, TokenRefusal> {
        let mut form = parameters(form)?;
        let proof = match form.get("grant_type").map(String::as_str) {
            Some("client_credentials") => Proof::Client,
            Some("password") => Proof::User,
            None => return Err(TokenRefusal::missing("grant_type")),
            Some(_) => {
                return Err(TokenRefusal {
                    status: 400,
                    error: "unsupported_grant_type",
                    code: 70_003,
                    description: "The grant types offered are client_credentials and password.".into(),
                });
            }
        };
        if let Some((id, secret)) = basic_credentials(authorization)? {
            for (name, value) in [("client_id", id), ("client_secret", secret)] {
                match form.get(name) {
                    Some(sent) if *sent != value => {
                        let why = format!("The form's '{name}' differs from the Authorization header's.");
                        return Err(TokenRefusal::invalid_request(900_023, why));
                    }
                    _ => form.insert(name.to_owned(), value),
                };
            }
        }
        let audience = audience(&form).ok_or_else(|| {
            TokenRefusal::missing(match version {
                Version::V1 => "resource",
                Version::V2 => "scope",
            })
        })?;
        let mut take = |name| form.remove(name).ok_or_else(|| TokenRefusal::missing(name));
        let program = take("client_id")?;
        let (client_id, client_secret) = match proof {
            Proof::Client => (program, take("client_secret")?),
            Proof::User => (take("username")?, take("password")?),
        };
        Ok(Self {
            version,
            proof,
            client_id,
            client_secret,
            audience,
        })
    }

    /// The names by which the client is looked up, in turn: users are written with a domain, which no client needs to have.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let without_domain = self.client_id.rsplit_once('@').map(|(name, _)| name);
        let without_domain = without_domain.filter(|name| self.proof == Proof::User && !name.is_empty());
        [Some(self.client_id.as_str()), without_domain]
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Decides. Takes as long for an unknown client as for a wrong secret, some milliseconds in which the thread is blocked.
///
/// # Errors
/// [`TokenRefusal`] with status 401, of a password 400.
pub fn answer(
    request: &TokenRequest,
    client: Option<KnownClient<'_>>,
    issuer: &TokenIssuer,
    base_url: &str,
    now: Timestamp,
) -> Result<TokenAnswer, TokenRefusal> {
    let client = proved(&request.client_secret, client).ok_or_else(|| match request.proof {
        Proof::Client => TokenRefusal::invalid_client(),
        Proof::User => TokenRefusal::invalid_password(),
    })?;
    let grant = Grant {
        client: client.name,
        audience: &request.audience,
        base_url,
        version: request.version,
    };
    let token = issuer.issue(&grant, now);
    let seconds = |at: Timestamp| (at.micros() / 1_000_000).to_string();
    Ok(match request.version {
        Version::V1 => TokenAnswer::V1 {
            token_type: "Bearer",
            expires_in: token.life_seconds.to_string(),
            ext_expires_in: token.life_seconds.to_string(),
            expires_on: seconds(token.expires_at),
            not_before: seconds(token.issued_at),
            resource: request.audience.clone(),
            access_token: token.token,
        },
        Version::V2 => TokenAnswer::V2 {
            token_type: "Bearer",
            expires_in: token.life_seconds,
            ext_expires_in: token.life_seconds,
            access_token: token.token,
        },
    })
}

/// The client, if this is its secret and it was not revoked. Takes as long for an unknown client as for a wrong secret, some
/// milliseconds in which the thread is blocked.
#[must_use]
pub fn proved<'a>(secret: &str, client: Option<KnownClient<'a>>) -> Option<KnownClient<'a>> {
    let hash = match client {
        Some(known) => known.secret_hash,
        None => nobodys_hash(),
    };
    let is_right = verify_secret(secret, hash);
    client.filter(|client| is_right && !client.revoked)
}

/// The form's parameters; an empty one counts as left out (RFC 6749, 3.2).
fn parameters(form: &[u8]) -> Result<HashMap<String, String>, TokenRefusal> {
    let mut found = HashMap::new();
    for (name, value) in form_urlencoded::parse(form).filter(|(_, value)| !value.is_empty()) {
        if found.contains_key(name.as_ref()) {
            let name: String = name.chars().take(40).collect();
            let why = format!("The request body contains the parameter '{name}' more than once.");
            return Err(TokenRefusal::invalid_request(900_023, why));
        }
        found.insert(name.into_owned(), value.into_owned());
    }
    Ok(found)
}

/// Id and secret of an HTTP Basic header, each form-encoded (RFC 6749, 2.3.1). Other schemes are none of ours.
fn basic_credentials(authorization: Option<&str>) -> Result<Option<(String, String)>, TokenRefusal> {
    let Some((scheme, encoded)) = authorization.and_then(|value| value.trim().split_once(' ')) else {
        return Ok(None);
    };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let plain = STANDARD
        .decode(encoded.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = plain.as_deref().and_then(|text| text.split_once(':'));
    let (id, secret) = pair.ok_or_else(TokenRefusal::invalid_client)?;
    Ok(Some((form_decoded(id), form_decoded(secret))))
}

fn form_decoded(text: &str) -> String {
    // As the name of a parameter without a value: a `=` or `&` in it, unescaped, is no separator here.
    let escaped = text.replace('=', "%3D").replace('&', "%26");
    form_urlencoded::parse(escaped.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

/// What the token is for. Both spellings are taken at both endpoints; of several scopes the one that names a resource.
fn audience(form: &HashMap<String, String>) -> Option<String> {
    if let Some(resource) = form.get("resource") {
        return Some(resource.clone());
    }
    let scopes: Vec<&str> = form.get("scope")?.split_ascii_whitespace().collect();
    let named = scopes
        .iter()
        .find(|scope| scope.to_ascii_lowercase().ends_with("/.default"));
    named.or(scopes.first()).map(|&scope| scope.to_owned())
}

/// A hash of a secret nobody has, so that an unknown client costs what a known one does.
fn nobodys_hash() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash_secret(&new_secret()))
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("version", &self.version)
            .field("client_id", &self.client_id)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenAnswer(secret)")
    }
}

#[cfg(test)]
#[path = "token_endpoint_tests.rs"]
mod tests;

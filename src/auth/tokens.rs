//! Access tokens: signed with ES256 by keys of the store, checked claim by claim (AUTH-8).
//!
//! Refuses every other algorithm, and to read the clock: both are where token libraries went wrong before. Roles and rights
//! are not in a token; they are looked up with every request, so that taking one away works at once.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::signing::SigningKey;
use super::token_endpoint::Version;
use crate::domain::time::Timestamp;

/// The tenant in every token (`tid`, AUTH-2): constant, because one service is one tenant.
pub const TENANT: &str = "7472616e-7368-8970-8000-000000000001";

/// How far another process's clock may be ahead of ours when it issued a token.
pub(super) const SKEW_SECONDS: i64 = 60;

const ALGORITHM: Algorithm = Algorithm::ES256;

/// Issues and verifies access tokens.
#[derive(Clone)]
pub struct TokenIssuer {
    keys: Vec<SigningKey>,
    life_seconds: u32,
}

/// There is no key to sign with, or one is too short to be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("token keys must be there and hold at least 32 bytes each")]
pub struct WeakKeys;

/// What a token is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// The client, by the name the store knows.
    pub client: &'a str,
    /// What it wants to call: `resource` or `scope` as sent (AUTH-3).
    pub audience: &'a str,
    /// Scheme, host and port of the service, for `iss`.
    pub base_url: &'a str,
    /// The endpoint it asked at.
    pub version: Version,
}

/// A token with what its answer says about it.
#[derive(Clone)]
pub struct IssuedToken {
    /// The signed token.
    pub token: String,
    /// When it was issued, and from when it is valid.
    pub issued_at: Timestamp,
    /// From when it is not.
    pub expires_at: Timestamp,
    /// The time between the two.
    pub life_seconds: u32,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The environment it is for, normalised.
    pub aud: String,
    /// The tenant.
    pub tid: String,
    /// The client's name, where v1 tokens have it.
    pub appid: String,
    /// The client's name, where v2 tokens have it.
    pub azp: String,
    /// A GUID that stands for the client, the same in every token.
    pub oid: String,
    /// The same again: a client acts for itself.
    pub sub: String,
    /// Seconds since 1970 at which it was issued.
    pub iat: i64,
    /// Seconds since 1970 before which it is not valid.
    pub nbf: i64,
    /// Seconds since 1970 from which it is not valid.
    pub exp: i64,
    /// `1.0` or `2.0`: the endpoint it is from.
    pub ver: String,
}

/// Why a request is not let in: 401 in every case (AUTH-9).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No bearer token.
    #[error("the request has no bearer token")]
    Missing,
    /// Not a token, or one that lacks claims.
    #[error("the token is malformed")]
    Malformed,
    /// Not signed by this service, altered since, or signed with another algorithm.
    #[error("the token's signature is not this service's")]
    BadSignature,
    /// Its time is over.
    #[error("the token expired at {}", .at.wire())]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Its time has not come: clocks differ by more than a minute.
    #[error("the token is not valid before {}", .at.wire())]
    NotYetValid {
        /// When it will be.
        at: Timestamp,
    },
    /// For another tenant.
    #[error("the token is for another tenant")]
    WrongTenant,
    /// For another environment.
    #[error("the token is for {found:?}, not for this service")]
    WrongAudience {
        /// What it is for.
        found: String,
    },
}

impl TokenError {
    /// The `WWW-Authenticate` header of the 401 (AUTH-9).
    #[must_use]
    pub fn challenge(&self) -> &'static str {
        // Fixed texts: nothing a client sent gets into a header.
        match self {
            Self::Missing => "Bearer",
            Self::Malformed => r#"Bearer error="invalid_token", error_description="malformed""#,
            Self::BadSignature => r#"Bearer error="invalid_token", error_description="bad signature""#,
            Self::Expired { .. } => r#"Bearer error="invalid_token", error_description="expired""#,
            Self::NotYetValid { .. } => r#"Bearer error="invalid_token", error_description="not yet valid""#,
            Self::WrongTenant => r#"Bearer error="invalid_token", error_description="wrong tenant""#,
            Self::WrongAudience { .. } => r#"Bearer error="invalid_token", error_description="wrong audience""#,
        }
    }
}

impl TokenIssuer {
    /// With the secrets of keys, newest first: the first signs, all verify, so that tokens outlive a rotation.
    ///
    /// # Errors
    /// [`WeakKeys`] when there is no key, or one is shorter than 32 bytes.
    pub fn new(secrets: &[Vec<u8>], life_seconds: u32) -> Result<Self, WeakKeys> {
        let keys: Vec<_> = secrets
            .iter()
            .map(|secret| SigningKey::of(secret))
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            return Err(WeakKeys);
        }
        Ok(Self { keys, life_seconds })
    }

    /// The public halves of the keys as a JSON Web Key Set (RFC 7517), for whoever wants to check a token (AUTH-6).
    #[must_use]
    pub fn key_set(&self) -> serde_json::Value {
        let keys: Vec<_> = self.keys.iter().map(SigningKey::public).collect();
        serde_json::json!({ "keys": keys })
    }

    /// What `iss` is in tokens of an endpoint.
    #[must_use]
    pub fn issuer(base_url: &str, version: Version) -> String {
        let base_url = base_url.trim_end_matches('/');
        match version {
            Version::V1 => format!("{base_url}/{TENANT}/"),
            Version::V2 => format!("{base_url}/{TENANT}/v2.0"),
        }
    }

    /// Issues a token.
    ///
    /// # Panics
    /// Never: strings and numbers always become JSON, and the key is one of this algorithm.
    #[must_use]
    pub fn issue(&self, grant: &Grant<'_>, now: Timestamp) -> IssuedToken {
        let issued = whole_seconds(now);
        let expires = issued.saturating_add(i64::from(self.life_seconds));
        let oid = object_id(grant.client);
        let claims = Claims {
            iss: Self::issuer(grant.base_url, grant.version),
            aud: normalised_audience(grant.audience),
            tid: TENANT.to_owned(),
            appid: grant.client.to_owned(),
            azp: grant.client.to_owned(),
            sub: oid.clone(),
            oid,
            iat: issued,
            nbf: issued,
            exp: expires,
            ver: grant.version.as_str().to_owned(),
        };
        let newest = &self.keys[0];
        let mut header = Header::new(ALGORITHM);
        header.kid = Some(newest.id.clone());
        let token = jsonwebtoken::encode(&header, &claims, &newest.encoding)
            .expect("plain strings and numbers become JSON, and the key is of this algorithm");
        IssuedToken {
            token,
            issued_at: from_seconds(issued),
            expires_at: from_seconds(expires),
            life_seconds: self.life_seconds,
        }
    }

    /// Verifies a token: signature, times, tenant, audience (AUTH-8). `audiences` are the URLs this service is known to answer to,
    /// in any form of [`normalised_audience`]. `called` is the address its client says it called: that is its word, so it counts
    /// only for a token that was asked for at the same host, by whatever scheme and port (MSAL asks on 443). A token for another
    /// service, which has it in its hands, is none for this one, whatever address is named.
    ///
    /// # Errors
    /// [`TokenError`], the signature's first: nothing is said about claims that anybody could have written.
    pub fn verify(
        &self,
        token: &str,
        now: Timestamp,
        audiences: &[&str],
        called: Option<&str>,
    ) -> Result<Claims, TokenError> {
        let claims = self.signed_claims(token)?;
        let now = whole_seconds(now);
        if now >= claims.exp {
            return Err(TokenError::Expired {
                at: from_seconds(claims.exp),
            });
        }
        let valid_from = claims.nbf.max(claims.iat);
        if valid_from > now.saturating_add(SKEW_SECONDS) {
            return Err(TokenError::NotYetValid {
                at: from_seconds(valid_from),
            });
        }
        if claims.tid != TENANT {
            return Err(TokenError::WrongTenant);
        }
        if claims.appid.is_empty() || claims.azp != claims.appid || claims.oid != object_id(&claims.appid) {
            return Err(TokenError::Malformed);
        }
        let found = normalised_audience(&claims.aud);
        let is_asked_there =
            |called: &&str| host(called).is_some_and(|host_called| host(&claims.iss) == Some(host_called));
        let mut ours = audiences.iter().copied().chain(called.filter(is_asked_there));
        if !ours.any(|ours| normalised_audience(ours) == found) {
            return Err(TokenError::WrongAudience { found });
        }
        Ok(claims)
    }

    fn signed_claims(&self, token: &str) -> Result<Claims, TokenError> {
        // The algorithm is ours to say, never the token's. Times and audience are checked by `verify`: the library would
        // read the system's clock.
        let mut only_signature = Validation::new(ALGORITHM);
        only_signature.required_spec_claims.clear();
        only_signature.validate_exp = false;
        only_signature.validate_nbf = false;
        only_signature.validate_aud = false;
        for key in &self.keys {
            match jsonwebtoken::decode::<Claims>(token, &key.decoding, &only_signature) {
                Ok(found) => return Ok(found.claims),
                Err(cause) => match cause.kind() {
                    // Perhaps an older key's.
                    ErrorKind::InvalidSignature => {}
                    ErrorKind::InvalidAlgorithm => return Err(TokenError::BadSignature),
                    _ => return Err(TokenError::Malformed),
                },
            }
        }
        Err(TokenError::BadSignature)
    }
}

/// The token of an `Authorization` header.
///
/// # Errors
/// [`TokenError::Missing`] when there is none, or it is of another scheme.
pub fn bearer(authorization: Option<&str>) -> Result<&str, TokenError> {
    authorization
        .and_then(|value| value.trim().split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or(TokenError::Missing)
}

/// One form for every way clients write an environment's URL (AUTH-3): lower case, without `/.default`, trailing slashes
/// and the scheme's own port. What is no URL is compared as lower-case text.
#[must_use]
pub fn normalised_audience(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let text = text.strip_suffix("/.default").unwrap_or(&text).trim_end_matches('/');
    match url::Url::parse(text) {
        // `Url` leaves out a port that goes without saying.
        Ok(url) if matches!(url.scheme(), "http" | "https") => url.as_str().trim_end_matches('/').to_owned(),
        _ => text.to_owned(),
    }
}

/// The host of a URL, in lower case.
fn host(url: &str) -> Option<String> {
    url::Url::parse(url).ok()?.host_str().map(str::to_lowercase)
}

/// A GUID that stands for a client, the same for every spelling of its name (names are unique in any case).
#[must_use]
pub fn object_id(client: &str) -> String {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"tranship client\0")
        .chain_update(client.to_lowercase())
        .finalize()
        .into();
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(half)
        .into_uuid()
        .hyphenated()
        .to_string()
}

pub(super) fn whole_seconds(at: Timestamp) -> i64 {
    at.micros().div_euclid(1_000_000)
}

pub(super) fn from_seconds(seconds: i64) -> Timestamp {
    Timestamp(0).plus_seconds(seconds)
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("life_seconds", &self.life_seconds)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuedToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;

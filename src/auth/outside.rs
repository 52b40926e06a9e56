//! Tokens of other issuers (AUTH-8): an issuer's settings and published keys in, the client's name out.
//!
//! Refuses to fetch keys; whoever does comes again when a token names one that is not there.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::tokens::{SKEW_SECONDS, TokenError, from_seconds, normalised_audience, whole_seconds};
use crate::domain::time::Timestamp;

/// What a token of an issuer must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// `iss`, letter by letter.
    pub issuer: String,
    /// `tid`, where the issuer has many tenants; such tokens must have an `oid` too.
    pub tenant: Option<String>,
    /// `aud`, besides this service's own addresses.
    pub audiences: Vec<String>,
}

/// What a good token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// The client, by the name this service must know it by: `appid`, `azp` or `client_id`.
    pub client: String,
    /// Seconds since 1970 from which the token is not good.
    pub expires: i64,
}

/// Why a token is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// It is signed with a key that is not among those given; the issuer may have a new one.
    UnknownKey,
    /// It is no good.
    Bad(TokenError),
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    tid: Option<String>,
    oid: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
    client_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Who a token says it is from. Anybody could have written that: it only tells whose keys to try.
#[must_use]
pub fn named_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    let named = jsonwebtoken::dangerous::insecure_decode::<Named>(token).ok()?;
    Some(named.claims.iss)
}

impl Trust {
    /// Checks a token with the issuer's keys. `ours` are the URLs this service answers to.
    ///
    /// # Errors
    /// [`Doubt`]
    pub fn verify(&self, token: &str, keys: &JwkSet, now: Timestamp, ours: &[&str]) -> Result<Outsider, Doubt> {
        let claims = signed_claims(token, keys)?;
        self.check(claims, now, ours).map_err(Doubt::Bad)
    }

    fn check(&self, claims: Claims, now: Timestamp, ours: &[&str]) -> Result<Outsider, TokenError> {
        let seconds = whole_seconds(now);
        if seconds >= claims.exp {
            return Err(TokenError::Expired {
                at: from_seconds(claims.exp),
            });
        }
        if let Some(from) = claims.nbf.filter(|from| *from > seconds.saturating_add(SKEW_SECONDS)) {
            return Err(TokenError::NotYetValid { at: from_seconds(from) });
        }
        if claims.iss != self.issuer {
            return Err(TokenError::BadSignature);
        }
        if self.tenant.is_some() && (claims.tid != self.tenant || claims.oid.is_none()) {
            return Err(TokenError::WrongTenant);
        }
        let found = match claims.aud {
            Audience::One(one) => vec![one],
            Audience::Several(several) => several,
        };
        let expected = || self.audiences.iter().map(String::as_str).chain(ours.iter().copied());
        let is_ours = |found: &String| expected().any(|ours| normalised_audience(ours) == normalised_audience(found));
        if !found.iter().any(is_ours) {
            return Err(TokenError::WrongAudience {
                found: found.join(", "),
            });
        }
        let client = claims.appid.or(claims.azp).or(claims.client_id);
        let client = client
            .filter(|client| !client.is_empty())
            .ok_or(TokenError::Malformed)?;
        Ok(Outsider {
            client,
            expires: claims.exp,
        })
    }
}

fn signed_claims(token: &str, keys: &JwkSet) -> Result<Claims, Doubt> {
    let malformed = Doubt::Bad(TokenError::Malformed);
    let header = jsonwebtoken::decode_header(token).map_err(|_| malformed.clone())?;
    let candidates: Vec<&Jwk> = match &header.kid {
        Some(id) => keys.find(id).into_iter().collect(),
        None => keys.keys.iter().collect(),
    };
    let mut verdict = Doubt::UnknownKey;
    for key in candidates {
        // The algorithm is the key's to say, never the token's.
        let (Some(algorithm), Ok(decoding)) = (algorithm(key), DecodingKey::from_jwk(key)) else {
            continue;
        };
        let mut only_signature = Validation::new(algorithm);
        only_signature.required_spec_claims.clear();
        only_signature.validate_exp = false;
        only_signature.validate_nbf = false;
        only_signature.validate_aud = false;
        match jsonwebtoken::decode::<Claims>(token, &decoding, &only_signature) {
            Ok(found) => return Ok(found.claims),
            Err(cause) => match cause.kind() {
                ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {
                    verdict = Doubt::Bad(TokenError::BadSignature);
                }
                _ => return Err(malformed),
            },
        }
    }
    Err(verdict)
}

/// What a key signs with. Secrets are no public keys, whatever a set says, and a key for encryption signs nothing.
fn algorithm(key: &Jwk) -> Option<Algorithm> {
    if !matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let usual = match &key.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => Algorithm::ES256,
            EllipticCurve::P384 => Algorithm::ES384,
            _ => return None,
        },
        _ => return None,
    };
    let is_rsa = usual == Algorithm::RS256;
    match key.common.key_algorithm {
        None => Some(usual),
        Some(KeyAlgorithm::RS256) if is_rsa => Some(Algorithm::RS256),
        Some(KeyAlgorithm::RS384) if is_rsa => Some(Algorithm::RS384),
        Some(KeyAlgorithm::RS512) if is_rsa => Some(Algorithm::RS512),
        Some(KeyAlgorithm::PS256) if is_rsa => Some(Algorithm::PS256),
        Some(KeyAlgorithm::PS384) if is_rsa => Some(Algorithm::PS384),
        Some(KeyAlgorithm::PS512) if is_rsa => Some(Algorithm::PS512),
        Some(KeyAlgorithm::ES256) if usual == Algorithm::ES256 => Some(usual),
        Some(KeyAlgorithm::ES384) if usual == Algorithm::ES384 => Some(usual),
        Some(_) => None,
    }
}

#[cfg(test)]
#[path = "outside_tests.rs"]
mod tests;

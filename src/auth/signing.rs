//! The keys that sign access tokens: ES256, made from secrets of the store, their public halves published (AUTH-6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use p256::SecretKey;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tokens::WeakKeys;

/// The shortest secret that is taken: from an empty one anybody could make the key.
const SECRET_BYTES: usize = 32;

/// A key pair, and the name tokens call it by.
#[derive(Clone)]
pub(super) struct SigningKey {
    /// `kid`: a digest of the public half.
    pub(super) id: String,
    pub(super) encoding: EncodingKey,
    pub(super) decoding: DecodingKey,
    x: String,
    y: String,
}

impl SigningKey {
    /// The pair of a secret: always the same, so that every process on a store has it.
    pub(super) fn of(secret: &[u8]) -> Result<Self, WeakKeys> {
        if secret.len() < SECRET_BYTES {
            return Err(WeakKeys);
        }
        let key = private(secret).ok_or(WeakKeys)?;
        let point = key.public_key().to_encoded_point(false);
        let (x, y) = (point.x().ok_or(WeakKeys)?, point.y().ok_or(WeakKeys)?);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let der = key.to_pkcs8_der().map_err(|_| WeakKeys)?;
        let id: [u8; 32] = Sha256::digest(point.as_bytes()).into();
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(&id[..12]),
            encoding: EncodingKey::from_ec_der(der.as_bytes()),
            decoding: DecodingKey::from_ec_components(&x, &y).map_err(|_| WeakKeys)?,
            x,
            y,
        })
    }

    /// The public half as a JSON Web Key (RFC 7517).
    pub(super) fn public(&self) -> Value {
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": self.x, "y": self.y })
    }
}

/// Nearly every number of 256 bits is a key of the curve; of the few that are not the next one is.
fn private(secret: &[u8]) -> Option<SecretKey> {
    (0_u8..=255).find_map(|attempt| {
        let number = Sha256::new()
            .chain_update(b"tranship token ES256\0")
            .chain_update([attempt])
            .chain_update(secret)
            .finalize();
        SecretKey::from_slice(&number).ok()
    })
}

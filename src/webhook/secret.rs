//! The secrets deliveries are signed with, and the signature: Standard Webhooks, symmetric.
//!
//! A source may hold several secrets, in lines or separated by spaces, newest first: each signs, so that a receiver can
//! change from one to the other while both are there. They are read each time, so a new one needs no restart.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::webhook::SecretSource;
use crate::outgoing::read_secret;

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// Sizes the standard allows.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most secrets, so that the header stays short.
const SECRETS_MAX: usize = 8;

/// One or more secrets, all of which sign.
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// Reads them. Blocks the thread for a small file's time.
    ///
    /// # Errors
    /// What is wrong, without a letter of any secret.
    pub fn read(source: &SecretSource) -> Result<Self, String> {
        let (text, name) = read_secret(source)?;
        Self::parse(&text).map_err(|flaw| format!("{name}: {flaw}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let secrets = text.split_whitespace().map(parse_one).collect::<Result<Vec<_>, _>>()?;
        match secrets.len() {
            0 => Err(format!(
                "is empty; it should hold `{PREFIX}` and the secret's bytes in base64"
            )),
            1..=SECRETS_MAX => Ok(Self(secrets)),
            many => Err(format!(
                "holds {many} secrets; at most {SECRETS_MAX} can be valid at once"
            )),
        }
    }

    /// The header `webhook-signature`: one signature for each secret.
    #[must_use]
    pub fn signature(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = self.0.iter().map(|secret| {
            let mut hmac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
            hmac.update(format!("{id}.{timestamp}.").as_bytes());
            hmac.update(body.as_bytes());
            format!("v1,{}", STANDARD.encode(hmac.finalize().into_bytes()))
        });
        signed.collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} secret)", self.0.len())
    }
}

fn parse_one(word: &str) -> Result<Vec<u8>, String> {
    let base64 = word
        .strip_prefix(PREFIX)
        .ok_or_else(|| format!("holds a word that does not begin with `{PREFIX}`"))?;
    let bytes = STANDARD
        .decode(base64)
        .map_err(|_| format!("what follows `{PREFIX}` is not base64"))?;
    if BYTES.contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(format!(
            "holds a secret of {} bytes; a secret has {} to {} random bytes (`openssl rand -base64 32`)",
            bytes.len(),
            BYTES.start(),
            BYTES.end()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Secret, id, timestamp, body, signature, as published by the standard's libraries.
    const VECTORS: [(&str, &str, i64, &str, &str); 2] = [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1_649_367_553,
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ];

    #[test]
    fn signatures_are_those_of_the_published_vectors() {
        for (secret, id, timestamp, body, signature) in VECTORS {
            let secrets = Secrets::parse(secret).expect("a good secret");
            assert_eq!(secrets.signature(id, timestamp, body), signature);
        }
    }

    #[test]
    fn every_secret_of_a_source_signs_in_its_order() {
        let [(first, id, timestamp, body, signature), (second, ..)] = VECTORS;
        let secrets = Secrets::parse(&format!("{second}\n{first}\n")).expect("two good secrets");
        let both = secrets.signature(id, timestamp, body);
        let (new, old) = both.split_once(' ').expect("two signatures");
        assert_eq!(old, signature);
        assert_ne!(new, signature);
    }

    #[test]
    fn what_is_no_secret_is_refused_without_showing_it() {
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", STANDARD.encode([7; 65]));
        for (text, expected) in [
            ("", "is empty"),
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with"),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", "is not base64"),
            (&short, "23 bytes"),
            (&long, "65 bytes"),
            (&[VECTORS[0].0; 9].join(" "), "9 secrets"),
        ] {
            let flaw = Secrets::parse(text).expect_err("no secret");
            assert!(flaw.contains(expected) && !flaw.contains("MfKQ"), "{flaw}");
        }
    }

    #[test]
    fn a_source_that_is_not_there_is_named() {
        let missing = SecretSource::Variable("NOBODY_SETS_THIS".to_owned());
        let flaw = Secrets::read(&missing).expect_err("no secret");
        assert!(flaw.contains("NOBODY_SETS_THIS") && flaw.contains("not set"), "{flaw}");
        let missing = SecretSource::File("secrets/nobody-writes-this".into());
        let flaw = Secrets::read(&missing).expect_err("no secret");
        assert!(flaw.contains("secrets/nobody-writes-this"), "{flaw}");
    }
}

//! Shared access signatures: links that open one thing to whoever holds them, for a time, without a token (AUTH-15).
//!
//! They are spelled as those of Azure storage are (`sv`, `sr`, `sp`, `st`, `se`, `sig`), because clients take them for that, and signed our
//! own way: over the path as it reads once unescaped, since clients escape it anew (PKG-8), and each of the parameters. Nothing is
//! stored for a link; the keys are the store's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::time::Timestamp;

/// The version of the spelling, as `sv` has it.
const VERSION: &str = "2021-12-02";
/// What a link leads to, as `sr` has it: a blob.
const BLOB: &str = "b";
const PURPOSE: &[u8] = b"tranship sas 1";

/// What a link allows, a letter of `sp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To read.
    Read,
    /// To create what is not there.
    Create,
    /// To create and to write over.
    Write,
    /// To delete.
    Delete,
}

impl Permission {
    fn letter(self) -> char {
        match self {
            Self::Read => 'r',
            Self::Create => 'c',
            Self::Write => 'w',
            Self::Delete => 'd',
        }
    }
}

/// The parameters of a link as they came, unescaped; what is missing is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sas {
    /// `sv`
    pub version: String,
    /// `sr`
    pub resource: String,
    /// `sp`
    pub permissions: String,
    /// `st`: from when on, RFC 3339; empty: since ever.
    pub starts: String,
    /// `se`: until when, RFC 3339.
    pub expires: String,
    /// `sig`
    pub signature: String,
}

/// Why a link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasRefusal {
    /// No such link was ever made here.
    #[error("the signature is not one this service made for this address")]
    Unsigned,
    /// Its time has not come.
    #[error("the link is not good yet")]
    TooEarly,
    /// Its time is over.
    #[error("the link has expired; ask for a new one")]
    Expired,
    /// It is a good link, but not for this.
    #[error("the link does not allow this")]
    NotPermitted,
}

/// The secrets links are signed with: the first signs, all verify, so that keys can be rotated.
#[derive(Clone)]
pub struct SasKeys(Vec<Vec<u8>>);

impl SasKeys {
    /// Keys, newest first.
    #[must_use]
    pub fn new(keys: Vec<Vec<u8>>) -> Self {
        Self(keys)
    }

    /// The query of a link to `path` (unescaped) that allows this until then.
    ///
    /// # Panics
    /// When made without a key, which no start of the service does.
    #[must_use]
    pub fn sign(&self, path: &str, permissions: &[Permission], until: Timestamp) -> String {
        self.sign_from(path, permissions, None, until)
    }

    /// The same for a link that is good from a time on.
    ///
    /// # Panics
    /// As [`Self::sign`].
    #[must_use]
    pub fn sign_from(
        &self,
        path: &str,
        permissions: &[Permission],
        from: Option<Timestamp>,
        until: Timestamp,
    ) -> String {
        let key = self
            .0
            .first()
            .expect("the store creates a key before anything is answered");
        let mut sas = Sas {
            version: VERSION.to_owned(),
            resource: BLOB.to_owned(),
            permissions: permissions.iter().map(|permission| permission.letter()).collect(),
            starts: from.map(Timestamp::wire).unwrap_or_default(),
            expires: until.wire(),
            signature: String::new(),
        };
        sas.signature = STANDARD.encode(sas.signer(key, path).finalize().into_bytes());
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("sv", &sas.version)
            .append_pair("sr", &sas.resource)
            .append_pair("sp", &sas.permissions);
        if !sas.starts.is_empty() {
            query.append_pair("st", &sas.starts);
        }
        query
            .append_pair("se", &sas.expires)
            .append_pair("sig", &sas.signature)
            .finish()
    }

    /// Whether the link to `path` (unescaped) allows this now.
    ///
    /// # Errors
    /// [`SasRefusal`] when it does not.
    pub fn check(&self, path: &str, sas: &Sas, permission: Permission, now: Timestamp) -> Result<(), SasRefusal> {
        // A plus sign that some client wrote bare was read as a space.
        let signature = STANDARD.decode(sas.signature.replace(' ', "+"));
        let signature = signature.map_err(|_| SasRefusal::Unsigned)?;
        let is_ours = |key: &Vec<u8>| sas.signer(key, path).verify_slice(&signature).is_ok();
        if !self.0.iter().any(is_ours) {
            return Err(SasRefusal::Unsigned);
        }
        let until = DateTime::parse_from_rfc3339(&sas.expires).map_err(|_| SasRefusal::Expired)?;
        if now.micros() >= until.timestamp_micros() {
            return Err(SasRefusal::Expired);
        }
        if !sas.starts.is_empty() {
            let from = DateTime::parse_from_rfc3339(&sas.starts).map_err(|_| SasRefusal::TooEarly)?;
            if now.micros() < from.timestamp_micros() {
                return Err(SasRefusal::TooEarly);
            }
        }
        if !sas.permissions.contains(permission.letter()) {
            return Err(SasRefusal::NotPermitted);
        }
        Ok(())
    }
}

impl std::fmt::Debug for SasKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SasKeys({} secret)", self.0.len())
    }
}

impl Sas {
    /// Over everything but the signature, each part with its length, so that none can borrow from the next.
    fn signer(&self, key: &[u8], path: &str) -> Hmac<Sha256> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        hmac.update(PURPOSE);
        let parts = [
            &self.version,
            &self.resource,
            &self.permissions,
            &self.starts,
            &self.expires,
        ];
        for part in std::iter::once(path).chain(parts.map(String::as_str)) {
            hmac.update(&(part.len() as u64).to_be_bytes());
            hmac.update(part.as_bytes());
        }
        hmac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/dmf/errors/1/Sales order headers/error-keys";
    const NOW: Timestamp = Timestamp(1_767_600_000_000_000);

    fn keys(names: &[&str]) -> SasKeys {
        SasKeys::new(names.iter().map(|name| name.as_bytes().to_vec()).collect())
    }

    fn read(query: &str) -> Sas {
        let mut sas = Sas::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let member = match &*name {
                "sv" => &mut sas.version,
                "sr" => &mut sas.resource,
                "sp" => &mut sas.permissions,
                "st" => &mut sas.starts,
                "se" => &mut sas.expires,
                "sig" => &mut sas.signature,
                other => panic!("{other}"),
            };
            *member = value.into_owned();
        }
        sas
    }

    fn link(keys: &SasKeys) -> Sas {
        read(&keys.sign(PATH, &[Permission::Read], NOW.plus_seconds(60)))
    }

    #[test]
    fn a_link_opens_what_it_was_made_for_until_it_expires() {
        let keys = keys(&["k"]);
        let sas = link(&keys);
        assert_eq!(
            (sas.permissions.as_str(), sas.expires.as_str()),
            ("r", "2026-01-05T08:01:00Z")
        );
        let check = |path: &str, seconds: i64| keys.check(path, &sas, Permission::Read, NOW.plus_seconds(seconds));
        assert_eq!(check(PATH, 0), Ok(()));
        assert_eq!(check(PATH, 59), Ok(()));
        assert_eq!(check(PATH, 60), Err(SasRefusal::Expired));
        assert_eq!(
            check("/dmf/errors/2/Sales order headers/error-keys", 0),
            Err(SasRefusal::Unsigned)
        );
    }

    #[test]
    fn an_altered_link_is_nobodys() {
        let keys = keys(&["k"]);
        let good = link(&keys);
        let change: [fn(&mut Sas); 7] = [
            |sas| sas.starts = "2020-01-01T00:00:00Z".to_owned(),
            |sas| sas.version.push('1'),
            |sas| sas.resource = "c".to_owned(),
            |sas| sas.permissions = "rw".to_owned(),
            |sas| sas.expires = "2099-01-01T00:00:00Z".to_owned(),
            |sas| sas.signature = STANDARD.encode([0; 32]),
            |sas| sas.signature.clear(),
        ];
        for (at, change) in change.iter().enumerate() {
            let mut bad = good.clone();
            change(&mut bad);
            assert_eq!(
                keys.check(PATH, &bad, Permission::Read, NOW),
                Err(SasRefusal::Unsigned),
                "{at}"
            );
        }
        // What leaves one part may not come back in the next.
        let mut shifted = good.clone();
        shifted.version.push_str(&good.resource);
        shifted.resource.clear();
        assert_eq!(
            keys.check(PATH, &shifted, Permission::Read, NOW),
            Err(SasRefusal::Unsigned)
        );
        // Nor a part of a signature be enough.
        let mut short = good;
        short.signature = STANDARD.encode(&STANDARD.decode(&short.signature).expect("base64")[..16]);
        assert_eq!(
            keys.check(PATH, &short, Permission::Read, NOW),
            Err(SasRefusal::Unsigned)
        );
    }

    #[test]
    fn a_link_allows_what_its_letters_say_and_from_its_time_on() {
        let keys = keys(&["k"]);
        let allowed = [Permission::Read, Permission::Create];
        let until = NOW.plus_seconds(60);
        let sas = read(&keys.sign_from(PATH, &allowed, Some(NOW.plus_seconds(10)), until));
        assert_eq!(
            (sas.permissions.as_str(), sas.starts.as_str()),
            ("rc", "2026-01-05T08:00:10Z")
        );
        let check = |permission, seconds| keys.check(PATH, &sas, permission, NOW.plus_seconds(seconds));
        assert_eq!(check(Permission::Read, 9), Err(SasRefusal::TooEarly));
        assert_eq!(check(Permission::Read, 10), Ok(()));
        assert_eq!(check(Permission::Create, 10), Ok(()));
        assert_eq!(check(Permission::Write, 10), Err(SasRefusal::NotPermitted));
        assert_eq!(check(Permission::Delete, 10), Err(SasRefusal::NotPermitted));
        assert_eq!(check(Permission::Read, 60), Err(SasRefusal::Expired));
    }

    #[test]
    fn a_link_survives_one_rotation() {
        let (old, new) = (keys(&["old"]), keys(&["new", "old"]));
        assert_eq!(new.check(PATH, &link(&old), Permission::Read, NOW), Ok(()));
        assert_eq!(
            old.check(PATH, &link(&new), Permission::Read, NOW),
            Err(SasRefusal::Unsigned)
        );
    }

    #[test]
    fn a_plus_sign_may_come_as_a_space() {
        // Of enough signatures some have one.
        let with_plus = (0..200).map(|n| keys(&[&n.to_string()])).find_map(|keys| {
            let sas = link(&keys);
            sas.signature.contains('+').then_some((keys, sas))
        });
        let (keys, mut sas) = with_plus.expect("a plus sign");
        sas.signature = sas.signature.replace('+', " ");
        assert_eq!(keys.check(PATH, &sas, Permission::Read, NOW), Ok(()));
    }
}

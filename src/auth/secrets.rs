//! Client secrets: made here, shown once, kept as hashes.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Memory for one hash. Argon2's usual cost buys time against guessing; these secrets hold 256 random bits, which nobody
/// guesses at any speed. What is left to want is that a stolen hash is useless and that a burst of token requests is cheap.
const MEMORY_KIB: u32 = 4096;

/// The costliest hash that is verified. A hash tampered with in the store must not take the process's memory with it.
const MOST_MEMORY_KIB: u32 = 64 * 1024;
const MOST_PASSES: u32 = 8;
const MOST_LANES: u32 = 8;

/// A key of 256 random bits.
///
/// # Panics
/// When the operating system has no randomness to give, without which nothing here is secret.
#[must_use]
pub fn random_key() -> [u8; 32] {
    random()
}

/// A new client secret: 256 random bits in 43 characters that need no escaping in URLs, forms, shells and TOML.
///
/// # Panics
/// When the operating system has no randomness to give.
#[must_use]
pub fn new_secret() -> String {
    URL_SAFE_NO_PAD.encode(random::<32>())
}

/// The hash to keep, in PHC form: `$argon2id$v=19$m=4096,t=1,p=1$…`. Blocks the thread for some milliseconds.
///
/// # Panics
/// When the operating system has no randomness to give.
#[must_use]
pub fn hash_secret(secret: &str) -> String {
    let params = Params::new(MEMORY_KIB, 1, 1, None).expect("the parameters are within Argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_with_salt(secret.as_bytes(), &random::<16>())
        .expect("a form or argument is far shorter than the 4 GiB Argon2 takes")
        .to_string()
}

/// Whether the hash is this secret's, compared in constant time. A broken or absurdly costly hash is nobody's. Blocks the
/// thread for some milliseconds.
#[must_use]
pub fn verify_secret(secret: &str, hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    let Ok(cost) = Params::try_from(&hash) else {
        return false;
    };
    let bearable = cost.m_cost() <= MOST_MEMORY_KIB && cost.t_cost() <= MOST_PASSES && cost.p_cost() <= MOST_LANES;
    bearable && Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_random_and_need_no_escaping() {
        let (one, other) = (new_secret(), new_secret());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43);
        assert!(
            one.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{one}"
        );
        assert_ne!(random_key(), random_key());
    }

    #[test]
    fn only_the_secret_itself_matches_its_hash() {
        let secret = new_secret();
        let hash = hash_secret(&secret);
        assert!(hash.starts_with("$argon2id$v=19$m=4096,t=1,p=1$"), "{hash}");
        assert!(!hash.contains(&secret));
        assert_ne!(hash, hash_secret(&secret), "salted");
        assert!(verify_secret(&secret, &hash));
        for wrong in ["", "x", &secret[1..], &format!("{secret}x"), &secret.to_uppercase()] {
            assert!(!verify_secret(wrong, &hash), "{wrong}");
        }
    }

    #[test]
    fn a_broken_hash_is_nobodys() {
        let hash = hash_secret("s");
        let altered = hash.replace("m=4096", "m=4097");
        for broken in [
            "",
            "s",
            "$",
            "$argon2id$",
            "$argon2id$v=19$m=4096,t=1,p=1$",
            "$argon2id$v=19$m=4096,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=4294967295,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=8,t=4294967295,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=0,t=0,p=0$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$scrypt$ln=1,r=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            &hash[..hash.len() - 1],
            &altered,
        ] {
            assert!(!verify_secret("s", broken), "{broken}");
        }
    }
}

//! Secrets of the console's sessions: what a cookie or a one-time link holds, what of it is kept, and the token of its forms.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// How long a link that signs in once can be followed.
pub const LINK_SECONDS: i64 = 900;

/// Sets these apart from other keyed hashes.
const FORMS: &[u8] = b"tranship console form";

/// What is kept of a session's or a link's secret: whoever reads the store cannot sign in by it.
#[must_use]
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The token that every form of a session carries: only who holds the session's secret can make it.
#[must_use]
pub fn form_token(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(of_forms(secret).finalize().into_bytes())
}

/// Whether this is the token of the session's forms, compared in constant time.
#[must_use]
pub fn is_form_token(secret: &str, sent: &str) -> bool {
    let sent = URL_SAFE_NO_PAD.decode(sent);
    sent.is_ok_and(|sent| of_forms(secret).verify_slice(&sent).is_ok())
}

fn of_forms(secret: &str) -> Hmac<Sha256> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    hmac.update(FORMS);
    hmac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_is_good_for_its_own_session_only() {
        let token = form_token("one");
        assert!(is_form_token("one", &token));
        assert!(!is_form_token("other", &token));
        for wrong in ["", "x", &token[1..], &format!("{token}A")] {
            assert!(!is_form_token("one", wrong), "{wrong}");
        }
        assert_ne!(digest("one"), digest("other"));
    }
}

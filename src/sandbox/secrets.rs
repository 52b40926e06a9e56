//! What the journal does not show: whatever lets somebody in. It is cut before anything leaves the process.

use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

/// What stands where a secret was.
pub const CUT: &str = "***";

/// Headers that are nothing but secrets.
const HEADERS: [&str; 3] = ["proxy-authorization", "cookie", "set-cookie"];

/// Parameters of queries, forms and JSON whose values are secrets.
const PARAMETERS: [&str; 8] = [
    "sig",
    "client_secret",
    "password",
    "assertion",
    "client_assertion",
    "access_token",
    "refresh_token",
    "id_token",
];

/// `"access_token": "…`, up to the closing quote or the end of what was kept.
static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    let names = PARAMETERS.join("|");
    regex(&format!(r#"(?i-u)("(?:{names})"\s*:\s*")(?:[^"\\]|\\.)*"#))
});

/// `&sig=…` of a link, however the `&` is escaped.
static SIGNATURE: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"(?i-u)((?:[?&]|&amp;|\\u0026|%26)sig(?:=|%3D))[^&\s"'<>\\]*"#));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a test compiles it")
}

/// The value of a header as it may be shown: of an authorization the scheme stays.
#[must_use]
pub fn cut_header(name: &str, value: &str) -> String {
    if name.eq_ignore_ascii_case("authorization") {
        let scheme = value.split_once(' ').map(|(scheme, _)| scheme);
        return scheme.map_or_else(|| CUT.to_owned(), |scheme| format!("{scheme} {CUT}"));
    }
    if HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
        return CUT.to_owned();
    }
    String::from_utf8_lossy(&cut_signatures(value.as_bytes())).into_owned()
}

/// A query, or the body of a form, as it may be shown.
#[must_use]
pub fn cut_pairs(pairs: &str) -> String {
    let cut = pairs.split('&').map(|pair| {
        let Some((name, _)) = pair.split_once('=') else {
            return pair.to_owned();
        };
        let plain = url::form_urlencoded::parse(name.as_bytes()).next();
        let plain = plain.map(|(name, _)| name.trim().to_lowercase()).unwrap_or_default();
        if PARAMETERS.contains(&plain.as_str()) {
            format!("{name}={CUT}")
        } else {
            pair.to_owned()
        }
    });
    cut.collect::<Vec<_>>().join("&")
}

/// A body as it may be shown. `is_form`: it is pairs of names and values.
#[must_use]
pub fn cut_body(bytes: &[u8], is_form: bool) -> Vec<u8> {
    // What is sent where a form belongs may be something else, or no text.
    let pairs = is_form.then(|| cut_pairs(&String::from_utf8_lossy(bytes)));
    let bytes = pairs.as_ref().map_or(bytes, String::as_bytes);
    let members = MEMBER.replace_all(bytes, after);
    cut_signatures(&members)
}

fn cut_signatures(bytes: &[u8]) -> Vec<u8> {
    SIGNATURE.replace_all(bytes, after).into_owned()
}

/// What comes before a secret, and that there was one.
fn after(found: &Captures<'_>) -> Vec<u8> {
    [&found[1], CUT.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str, is_form: bool) -> String {
        String::from_utf8(cut_body(text.as_bytes(), is_form)).expect("text")
    }

    #[test]
    fn nothing_that_lets_somebody_in_is_shown() {
        assert_eq!(cut_header("Authorization", "Bearer abc.def"), "Bearer ***");
        assert_eq!(cut_header("authorization", "abc"), "***");
        assert_eq!(cut_header("Cookie", "a=b"), "***");
        assert_eq!(cut_header("location", "/dmf/a?sp=r&sig=x%2F1"), "/dmf/a?sp=r&sig=***");
        assert_eq!(cut_header("accept", "a/b"), "a/b");
        assert_eq!(
            cut_pairs("grant_type=x&Client%5FSecret=s&scope=y&password=a b"),
            "grant_type=x&Client%5FSecret=***&scope=y&password=***"
        );
        assert_eq!(cut_pairs("sv=1&se=2&sig=abc%3D"), "sv=1&se=2&sig=***");
        assert_eq!(
            body(
                r#"{"token_type":"Bearer","access_token" : "a\"b","refresh_token":"c"}"#,
                false
            ),
            r#"{"token_type":"Bearer","access_token" : "***","refresh_token":"***"}"#
        );
        assert_eq!(
            body(r#"{"value":"{\"BlobUrl\":\"http://h/dmf/a/b?sv=1&sig=q%3D\"}"}"#, false),
            r#"{"value":"{\"BlobUrl\":\"http://h/dmf/a/b?sv=1&sig=***\"}"}"#
        );
        assert_eq!(
            body("client_id=a&client_secret=b", true),
            "client_id=a&client_secret=***"
        );
        assert_eq!(body(r#"{"client_secret":"a b"}"#, true), r#"{"client_secret":"***"}"#);
        assert_eq!(
            cut_body(b"a=\xff&client_secret=b", true),
            "a=\u{fffd}&client_secret=***".as_bytes()
        );
        // Broken off in the middle of a secret.
        assert_eq!(body(r#"{"access_token":"abc"#, false), r#"{"access_token":"***"#);
    }

    #[test]
    fn what_is_no_secret_stays_as_it_was() {
        for text in ["order_id,password\n1,2\n", "{\"sigma\":\"x\"}", "a&b=c", "\u{0}\u{1}"] {
            assert_eq!(body(text, false), text);
        }
    }
}

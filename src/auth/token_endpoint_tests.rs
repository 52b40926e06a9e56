//! The endpoint's bodies, member by member, as client libraries read them.

use serde_json::{Value, json};

use super::*;
use crate::auth::tokens::Claims;

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const BASE: &str = "http://localhost:8080";
const FORM: &str =
    "grant_type=client_credentials&client_id=erp&client_secret=s%2Bcret&resource=http%3A%2F%2Flocalhost%3A8080";

fn issuer() -> TokenIssuer {
    TokenIssuer::new(&[vec![7; 32]], 3599).expect("a key")
}

fn parse(form: &str) -> Result<TokenRequest, TokenRefusal> {
    TokenRequest::parse(Version::V1, form.as_bytes(), None)
}

fn basic(credentials: &str) -> Result<TokenRequest, TokenRefusal> {
    let header = format!("Basic {}", STANDARD.encode(credentials));
    let form = format!("grant_type=client_credentials&scope={BASE}/.default");
    TokenRequest::parse(Version::V2, form.as_bytes(), Some(&header))
}

fn ask(request: &TokenRequest, client: Option<KnownClient<'_>>) -> Result<Value, TokenRefusal> {
    answer(request, client, &issuer(), BASE, NOW).map(|body| serde_json::to_value(body).expect("JSON"))
}

fn verified(body: &Value) -> Claims {
    let token = body["access_token"].as_str().expect("a token");
    issuer().verify(token, NOW, &[BASE], None).expect("a good token")
}

#[test]
fn v1_answers_with_numbers_as_strings_and_v2_with_numbers() {
    let hash = hash_secret("s+cret");
    let known = KnownClient {
        name: "ERP",
        secret_hash: &hash,
        revoked: false,
    };
    let request = parse(FORM).expect("well-formed");
    let body = ask(&request, Some(known)).expect("a token");
    let claims = verified(&body);
    assert_eq!((claims.appid.as_str(), claims.ver.as_str()), ("ERP", "1.0"));
    assert_eq!(
        body,
        json!({
            "token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599", "expires_on": "1700003599",
            "not_before": "1700000000", "resource": BASE, "access_token": body["access_token"],
        })
    );
    let request = TokenRequest {
        version: Version::V2,
        audience: format!("{BASE}//.default"),
        ..request
    };
    let body = ask(&request, Some(known)).expect("a token");
    let claims = verified(&body);
    assert_eq!((claims.aud.as_str(), claims.ver.as_str()), (BASE, "2.0"));
    assert_eq!(
        body,
        json!({
            "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599,
            "access_token": body["access_token"],
        })
    );
}

#[test]
fn unknown_revoked_and_wrong_secret_get_the_same_401() {
    let (right, other) = (hash_secret("s+cret"), hash_secret("other"));
    let client = |secret_hash, revoked| {
        Some(KnownClient {
            name: "erp",
            secret_hash,
            revoked,
        })
    };
    let request = parse(FORM).expect("well-formed");
    for refused in [
        None,
        client(&right, true),
        client(&other, false),
        client("broken", false),
    ] {
        let refusal = ask(&request, refused).expect_err("refused");
        assert_eq!((refusal.status, refusal.error), (401, "invalid_client"));
        let body = serde_json::to_value(refusal.body(NOW, "t", "c")).expect("JSON");
        assert_eq!(
            body,
            json!({
                "error": "invalid_client", "error_codes": [7_000_215], "timestamp": "2023-11-14 22:13:20Z",
                "trace_id": "t", "correlation_id": "c",
                "error_description": format!("AADSTS7000215: {}", refusal.description),
            })
        );
    }
    assert!(
        ask(&request, client(&right, false)).is_ok(),
        "the right secret is let in"
    );
}

#[test]
fn every_missing_parameter_is_named() {
    for name in ["grant_type", "client_id", "client_secret", "resource"] {
        let left_out: Vec<&str> = FORM.split('&').filter(|pair| !pair.starts_with(name)).collect();
        for form in [left_out.join("&"), format!("{}&{name}=", left_out.join("&"))] {
            let refusal = parse(&form).expect_err("refused");
            assert_eq!(
                (refusal.status, refusal.error, refusal.code),
                (400, "invalid_request", 900_144)
            );
            assert!(
                refusal.description.contains(&format!("'{name}'")),
                "{}",
                refusal.description
            );
        }
    }
}

#[test]
fn other_grants_and_doubled_parameters_are_refused() {
    let refusal = parse(&FORM.replace("client_credentials", "refresh_token")).expect_err("refused");
    assert_eq!((refusal.status, refusal.error), (400, "unsupported_grant_type"));
    let refusal = parse(&format!("{FORM}&client_id=admin")).expect_err("refused");
    assert_eq!((refusal.status, refusal.error), (400, "invalid_request"));
    for garbage in ["", "&&&", "%%%", "\u{0}", "{\"grant_type\":\"client_credentials\"}"] {
        assert_eq!(parse(garbage).expect_err("refused").status, 400, "{garbage}");
    }
}

#[test]
fn resource_and_scope_are_taken_at_both_endpoints() {
    let with = |audience: &str| {
        let form = format!("grant_type=client_credentials&client_id=a&client_secret=b&{audience}");
        parse(&form).map(|request| request.audience)
    };
    assert_eq!(with("resource=https://x/").as_deref(), Ok("https://x/"));
    assert_eq!(with("scope=https://x/.default").as_deref(), Ok("https://x/.default"));
    assert_eq!(
        with("scope=openid+https://x/.DEFAULT+profile").as_deref(),
        Ok("https://x/.DEFAULT")
    );
    assert_eq!(with("scope=https://x").as_deref(), Ok("https://x"));
    assert!(with("scope=+").is_err());
}

#[test]
fn basic_credentials_are_taken_in_place_of_the_forms() {
    let request = basic("erp%3A1:a%2Bb=&c").expect("well-formed");
    assert_eq!(
        (request.client_id.as_str(), request.client_secret.as_str()),
        ("erp:1", "a+b=&c")
    );
    let refusal = basic("no colon").expect_err("refused");
    assert_eq!((refusal.status, refusal.error), (401, "invalid_client"));
    let broken = TokenRequest::parse(Version::V1, FORM.as_bytes(), Some("Basic ***"));
    assert_eq!(broken.expect_err("refused").status, 401);
    // The same twice is no contradiction; two different clients are.
    let header = |credentials: &str| format!("basic {}", STANDARD.encode(credentials));
    assert!(TokenRequest::parse(Version::V1, FORM.as_bytes(), Some(&header("erp:s%2Bcret"))).is_ok());
    let refusal = TokenRequest::parse(Version::V1, FORM.as_bytes(), Some(&header("admin:s%2Bcret")));
    assert_eq!(refusal.expect_err("refused").error, "invalid_request");
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let request = parse(FORM).expect("well-formed");
    assert!(!format!("{request:?}").contains("s+cret"));
}

/// AUTH-4: the program's id is anybody's; the user is a client by its name, with a domain or without.
#[test]
fn a_user_is_a_client_whose_secret_is_the_password() {
    let form = |user: &str, password: &str| {
        format!("grant_type=password&client_id=native-app&username={user}&password={password}&resource={BASE}")
    };
    let hash = hash_secret("s+cret");
    let known = KnownClient {
        name: "ERP",
        secret_hash: &hash,
        revoked: false,
    };
    let request = parse(&form("erp@example.test", "s%2Bcret")).expect("well-formed");
    assert_eq!(request.names(), ["erp@example.test", "erp"]);
    let claims = verified(&ask(&request, Some(known)).expect("a token"));
    assert_eq!(claims.appid, "ERP");
    for (password, client) in [("wrong", Some(known)), ("s%2Bcret", None)] {
        let refusal = ask(&parse(&form("erp", password)).expect("well-formed"), client).expect_err("refused");
        assert_eq!(
            (refusal.status, refusal.error, refusal.code),
            (400, "invalid_grant", 50_126)
        );
    }
    for name in ["username", "password", "client_id"] {
        let without = form("erp", "x").replace(&format!("{name}="), "other=");
        let refusal = parse(&without).expect_err("refused");
        assert!(
            refusal.description.contains(&format!("'{name}'")),
            "{}",
            refusal.description
        );
    }
    // A client that signs in as itself has one name only.
    assert_eq!(
        parse(&FORM.replace("id=erp", "id=erp%40x"))
            .expect("well-formed")
            .names(),
        ["erp@x"]
    );
}

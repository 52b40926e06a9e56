//! Tokens that must be refused, one by one, beside the few that must not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use jsonwebtoken::EncodingKey;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_500_000);
const BASE: &str = "http://localhost:8080";

fn key(byte: u8) -> Vec<u8> {
    vec![byte; 32]
}

fn issuer() -> TokenIssuer {
    TokenIssuer::new(&[key(1)], 3600).expect("a key")
}

fn grant() -> Grant<'static> {
    Grant {
        client: "erp",
        audience: BASE,
        base_url: BASE,
        version: Version::V1,
    }
}

fn check(token: &str) -> Result<Claims, TokenError> {
    issuer().verify(token, NOW, &[BASE], None)
}

/// A token with claims of one's own, signed as the owner of `secret` would.
fn forged(secret: &[u8], change: impl FnOnce(&mut Value)) -> String {
    let key = SigningKey::of(secret).expect("a key");
    jsonwebtoken::encode(&Header::new(ALGORITHM), &claims(change), &key.encoding).expect("signed")
}

/// The same, signed with an algorithm for which one needs no secret but the bytes given.
fn confused(algorithm: Algorithm, bytes: &[u8]) -> String {
    jsonwebtoken::encode(
        &Header::new(algorithm),
        &claims(|_| {}),
        &EncodingKey::from_secret(bytes),
    )
    .expect("signed")
}

fn claims(change: impl FnOnce(&mut Value)) -> Value {
    let good = check(&issuer().issue(&grant(), NOW).token).expect("good");
    let mut claims = serde_json::to_value(good).expect("JSON");
    change(&mut claims);
    claims
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn an_issued_token_is_verified_and_says_what_the_contract_lists() {
    let issued = issuer().issue(&grant(), NOW);
    let claims = check(&issued.token).expect("good");
    assert_eq!(
        (claims.iat, claims.nbf, claims.exp),
        (1_700_000_000, 1_700_000_000, 1_700_003_600)
    );
    assert_eq!(issued.expires_at, Timestamp(1_700_003_600_000_000));
    assert_eq!(
        (claims.appid.as_str(), claims.azp.as_str(), claims.tid.as_str()),
        ("erp", "erp", TENANT)
    );
    assert_eq!((claims.aud.as_str(), claims.ver.as_str()), (BASE, "1.0"));
    assert_eq!(claims.iss, format!("{BASE}/{TENANT}/"));
    assert_eq!((claims.oid.clone(), claims.sub), (object_id("ERP"), object_id("erp")));
    assert_ne!(claims.oid, object_id("erp2"));
    let second = Grant {
        version: Version::V2,
        ..grant()
    };
    let claims = check(&issuer().issue(&second, NOW).token).expect("good");
    assert_eq!(
        (claims.iss, claims.ver),
        (format!("{BASE}/{TENANT}/v2.0"), "2.0".to_owned())
    );
}

#[test]
fn a_token_is_good_to_its_last_second_and_no_longer() {
    let token = issuer().issue(&grant(), NOW).token;
    let at = |seconds| issuer().verify(&token, NOW.plus_seconds(seconds), &[BASE], None);
    assert!(at(3599).is_ok());
    assert_eq!(
        at(3600),
        Err(TokenError::Expired {
            at: Timestamp(1_700_003_600_000_000)
        })
    );
    // Another process's clock may be a minute ahead, not two.
    assert!(at(-60).is_ok());
    assert!(matches!(at(-61), Err(TokenError::NotYetValid { .. })));
}

#[test]
fn a_token_without_algorithm_is_refused() {
    let good = issuer().issue(&grant(), NOW).token;
    let payload = good.split('.').nth(1).expect("a payload");
    for algorithm in ["none", "None", "NONE", ""] {
        let header = part(&json!({ "alg": algorithm, "typ": "JWT" }));
        assert_eq!(
            check(&format!("{header}.{payload}.")),
            Err(TokenError::Malformed),
            "{algorithm}"
        );
    }
}

#[test]
fn only_es256_is_taken_even_with_keys_everybody_knows() {
    // The classic confusion: what is public taken for a secret, under a header that says so.
    let public = issuer().key_set()["keys"][0].to_string();
    let point = URL_SAFE_NO_PAD
        .decode(issuer().key_set()["keys"][0]["x"].as_str().expect("x"))
        .expect("base64");
    for secret in [public.as_bytes(), &point, &key(1), b""] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(check(&confused(algorithm, secret)), Err(TokenError::BadSignature));
        }
    }
    let good = issuer().issue(&grant(), NOW).token;
    let parts: Vec<&str> = good.split('.').collect();
    for algorithm in ["RS256", "ES384", "EdDSA", "HS256"] {
        let header = part(&json!({ "alg": algorithm, "typ": "JWT" }));
        assert_eq!(
            check(&format!("{header}.{}.{}", parts[1], parts[2])),
            Err(TokenError::BadSignature),
            "{algorithm}"
        );
    }
    let signed = forged(&key(1), |_| {});
    assert!(
        check(&signed).is_ok(),
        "the forger's own token is good when nothing is wrong with it"
    );
}

#[test]
fn what_is_published_checks_what_is_issued() {
    let issuer = TokenIssuer::new(&[key(2), key(1)], 3600).expect("keys");
    let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(issuer.key_set()).expect("a key set");
    assert_eq!(set.keys.len(), 2);
    let token = issuer.issue(&grant(), NOW).token;
    let header = jsonwebtoken::decode_header(&token).expect("a header");
    let published = set.find(&header.kid.expect("a key id")).expect("published");
    let mut validation = Validation::new(header.alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoding = jsonwebtoken::DecodingKey::from_jwk(published).expect("a key");
    jsonwebtoken::decode::<Claims>(&token, &decoding, &validation).expect("signed by it");
    // A second process on the store has the same.
    assert_eq!(
        TokenIssuer::new(&[key(2), key(1)], 60).expect("keys").key_set(),
        issuer.key_set()
    );
    assert!(
        !issuer.key_set().to_string().contains("\"d\""),
        "nothing private is published"
    );
}

#[test]
fn an_altered_payload_or_signature_is_refused() {
    let good = issuer().issue(&grant(), NOW).token;
    let parts: Vec<&str> = good.split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).expect("base64")).expect("claims");
    claims["appid"] = json!("admin");
    assert_eq!(
        check(&format!("{}.{}.{}", parts[0], part(&claims), parts[2])),
        Err(TokenError::BadSignature)
    );
    assert_eq!(
        check(&format!("{}.{}.", parts[0], parts[1])),
        Err(TokenError::BadSignature)
    );
    let other = issuer()
        .issue(
            &Grant {
                client: "other",
                ..grant()
            },
            NOW,
        )
        .token;
    let signature = other.rsplit('.').next().expect("a signature");
    assert_eq!(
        check(&format!("{}.{}.{signature}", parts[0], parts[1])),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn a_token_of_another_key_is_refused() {
    assert_eq!(check(&forged(&key(2), |_| {})), Err(TokenError::BadSignature));
    // Even an expired one is told nothing but that.
    let expired = forged(&key(2), |claims| claims["exp"] = json!(1));
    assert_eq!(check(&expired), Err(TokenError::BadSignature));
}

#[test]
fn claims_that_lie_or_lack_are_refused_under_the_right_signature() {
    let with = |change: fn(&mut Value)| check(&forged(&key(1), change));
    assert_eq!(with(|c| c["tid"] = json!("other")), Err(TokenError::WrongTenant));
    assert_eq!(
        with(|c| c["oid"] = json!(object_id("other"))),
        Err(TokenError::Malformed)
    );
    assert_eq!(with(|c| c["azp"] = json!("other")), Err(TokenError::Malformed));
    assert_eq!(with(|c| c["exp"] = json!("never")), Err(TokenError::Malformed));
    assert!(matches!(
        with(|c| c["exp"] = json!(i64::MIN)),
        Err(TokenError::Expired { .. })
    ));
    assert!(matches!(
        with(|c| c["nbf"] = json!(i64::MAX)),
        Err(TokenError::NotYetValid { .. })
    ));
    for claim in [
        "iss", "aud", "tid", "appid", "azp", "oid", "sub", "iat", "nbf", "exp", "ver",
    ] {
        let token = forged(&key(1), |claims| {
            claims.as_object_mut().expect("an object").remove(claim);
        });
        assert_eq!(check(&token), Err(TokenError::Malformed), "without {claim}");
    }
}

#[test]
fn garbage_is_malformed_and_harms_nobody() {
    let long = "A".repeat(100_000);
    let dots = ".".repeat(1_000);
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        "mock-token-for-localhost",
        "e30.e30.e30",
        &long,
        &dots,
    ] {
        assert_eq!(
            check(text),
            Err(TokenError::Malformed),
            "{}",
            &text[..text.len().min(20)]
        );
    }
}

#[test]
fn the_audience_is_this_service_in_any_spelling_and_nothing_else() {
    let accepted = |asked, ours: &str| {
        let token = issuer()
            .issue(
                &Grant {
                    audience: asked,
                    ..grant()
                },
                NOW,
            )
            .token;
        issuer().verify(&token, NOW, &[ours], None).is_ok()
    };
    for asked in [
        "https://erp.example.test",
        "https://erp.example.test/",
        "HTTPS://ERP.Example.Test",
        "https://erp.example.test:443",
        "https://erp.example.test/.default",
        "https://erp.example.test//.default",
    ] {
        assert!(accepted(asked, "https://erp.example.test"), "{asked}");
        assert!(accepted(asked, "https://ERP.example.test/"), "{asked}");
    }
    for asked in [
        "http://erp.example.test",
        "https://erp.example.test:8443",
        "https://erp.example.test.evil.test",
        "https://evil.test/https://erp.example.test",
        "https://example.test",
        "erp.example.test",
        "",
    ] {
        assert!(!accepted(asked, "https://erp.example.test"), "{asked}");
    }
    assert!(accepted(
        "00000015-0000-0000-C000-000000000000",
        "00000015-0000-0000-c000-000000000000"
    ));
    let token = issuer().issue(&grant(), NOW).token;
    let nowhere = issuer().verify(&token, NOW, &[], None);
    assert_eq!(nowhere, Err(TokenError::WrongAudience { found: BASE.to_owned() }));
}

#[test]
fn tokens_outlive_a_rotation_but_not_two() {
    let old = issuer().issue(&grant(), NOW).token;
    let rotated = TokenIssuer::new(&[key(2), key(1)], 3600).expect("keys");
    assert!(
        rotated.verify(&old, NOW, &[BASE], None).is_ok(),
        "the older key still verifies"
    );
    let new = rotated.issue(&grant(), NOW).token;
    assert_eq!(check(&new), Err(TokenError::BadSignature), "the newer key signs");
    let again = TokenIssuer::new(&[key(3), key(2)], 3600).expect("keys");
    assert_eq!(again.verify(&old, NOW, &[BASE], None), Err(TokenError::BadSignature));
    assert!(again.verify(&new, NOW, &[BASE], None).is_ok());
}

#[test]
fn keys_that_are_no_secret_are_not_taken() {
    for keys in [vec![], vec![vec![]], vec![vec![1; 31]], vec![key(1), vec![]]] {
        assert_eq!(TokenIssuer::new(&keys, 1).err(), Some(WeakKeys));
    }
}

#[test]
fn the_bearer_is_found_in_the_header_clients_send() {
    assert_eq!(bearer(Some("Bearer abc")), Ok("abc"));
    assert_eq!(bearer(Some("bearer  abc ")), Ok("abc"));
    for none in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic abc"),
        Some("abc"),
    ] {
        assert_eq!(bearer(none), Err(TokenError::Missing), "{none:?}");
    }
    assert_eq!(TokenError::Missing.challenge(), "Bearer");
    assert!(
        TokenError::Malformed
            .challenge()
            .starts_with("Bearer error=\"invalid_token\"")
    );
}

#[test]
fn neither_keys_nor_tokens_show_in_debug_output() {
    let issued = issuer().issue(&grant(), NOW);
    assert!(!format!("{issued:?}").contains(&issued.token));
    assert_eq!(format!("{:?}", issuer()), "TokenIssuer { life_seconds: 3600, .. }");
}

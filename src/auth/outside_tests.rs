//! Tokens as Entra and others write them, and those that must be refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_500_000);
const ISSUER: &str = "https://login.example.test/7472616e/v2.0";
const OURS: &str = "https://erp.example.test";
/// Made for these tests: it opens nothing.
const PRIVATE: &str = "MIIEpAIBAAKCAQEAtCU9+4wNRqaLpcgvGE1EQilS2CDxs99ZAvGUGavHgL/sQRKNnys30fLlg1MkdV4ebJH+abZtS9U2WJV1VgUbBwbh/xXZtG///q9yp1hzjw6FOjhyeLHnyhfeDFsoKp5sNxS9ERybFIMrzfvcdGNmtIsziOOq35OVzUTHgubu/gh81YhrRsreH+otOD/4u/qRTYeQ/CC2ezGo50z5dc0u4BB3Gp49ghQhDiY2iJRPwNwrrNacjTQu+x5pL/1JVXXdCCUtUfIEbpRwlkqlW3XDr4hb9eTQpmwdI7Z3IB4iw3Ahq/DzvpyPemsLanRiQG4lsGM/2EX7Jv+GgMGr3+EtAQIDAQABAoIBAEgdHHnlL69XnlGIGGo3DBscJcDFN1yVDTHjeTDplhyRN8c44R6Vk2vlO0Fd+BtPyQgXTWwODiSsPmwpsGX190LR24hcu+DCcQ0IOPKKsv/ShTywOgrc1PgOo+H4X9TnxFQsZh9Cf0Yv2EpGB5ND82pUyxWCZfXIQ9B/NwrM3WEtYeLnxP9HDlIu8WjvktL4TOwj1QkTqII1ARBhHLOkukEttL4B9VK/CqueBM/6zlafADvfTEOZ1TuKRfer2EjxxLrJLmbx6356Yf06QkIcT2HtIFOniSsjnog5mwWTyLxNn7fOtNDc10uK3Al74X4xQIhcBBy4GP3K2HjmTHvr1+0CgYEA7MCXpxgTn1UkV418H+xtd2H5WimWUuWDV2ranq7VDKC+7v1GB+mxcUDcb/kDgbzCk1u+e3D4I4wCeRZvK92aSNeV8N+PXaw/dBPlbBKEZWC8vdKZ7+i91SWGJsqSbWyTItTqCJ/Mix1f2CAFOiBrwvt8626zs6rAwBKi2dC4gP8CgYEAwsqFGRYElLzid+xtLdiV+OeYn8om16WrUelm/twSULwzgdpR8Qdq8Bm0rfsDpJ5cNscIkuYYsXZGuzjUytwAzIRXmqsdbxYJdIk5OuuwtRU/bDVilOo/WKG7Ec2rB0GqXHkcwCuH0P5rWX/jm8GQhczPpcvce0gZrDuHEiC4Uf8CgYEApc5z5zg7ddkhLJgQGCNyvqtFANojR0cp5u0U0xFKcB+b2LBUfXIzLUfpmhnhVNknxB/6lWUWw35otPj7PtNiHCWwAxPuygG6JsdQY5HMW1uWk7KM0LJFUKOJAl3Ykv35RemrRgL0M3GNEEXMo1rVXabXY+MRw4CQoXPrzXQZ420CgYB2/MDa9xErTkpEmT6ED9ZkqgwYJ6McfY2uRpXsvr/NY3lPK+57/lz7d6hf0oKCL14C9AevvDB/TtGcEfYiSMuQIpNk3nvnXJ2/+wbjkA9sPiN01RN4BbNWT8z27hw4HYuUW0MNvEmFh7RJgo6lmVLP+LErBOGUyREtnVs/3o7ZPwKBgQCObtmXbEmKTvM9ZmHnh5HGg2hQQXwmn1ByGXntUO7OAJ2kF8EhzhjKDjlJ96V2da867iO+plFz1l/3VCM7WyqscH9YRIWy5mepW2a5Ge7se9+opJdmuzDaDlIQ1UJ0+y0pwZSjnmIU6KsIKFhUiAzMlvABYcik7DFYsJ2vwlG67A==";
const MODULUS: &str = "tCU9-4wNRqaLpcgvGE1EQilS2CDxs99ZAvGUGavHgL_sQRKNnys30fLlg1MkdV4ebJH-abZtS9U2WJV1VgUbBwbh_xXZtG___q9yp1hzjw6FOjhyeLHnyhfeDFsoKp5sNxS9ERybFIMrzfvcdGNmtIsziOOq35OVzUTHgubu_gh81YhrRsreH-otOD_4u_qRTYeQ_CC2ezGo50z5dc0u4BB3Gp49ghQhDiY2iJRPwNwrrNacjTQu-x5pL_1JVXXdCCUtUfIEbpRwlkqlW3XDr4hb9eTQpmwdI7Z3IB4iw3Ahq_DzvpyPemsLanRiQG4lsGM_2EX7Jv-GgMGr3-EtAQ";

fn trust() -> Trust {
    Trust {
        issuer: ISSUER.to_owned(),
        tenant: Some("7472616e".to_owned()),
        audiences: vec!["api://tranship".to_owned()],
    }
}

fn key(change: impl FnOnce(&mut Value)) -> JwkSet {
    let mut key = json!({ "kty": "RSA", "use": "sig", "kid": "k1", "n": MODULUS, "e": "AQAB" });
    change(&mut key);
    serde_json::from_value(json!({ "keys": [key] })).expect("a key set")
}

fn token_with(algorithm: Algorithm, kid: Option<&str>, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": OURS, "tid": "7472616e", "oid": "1", "azp": "carrier", "nbf": 1_700_000_000, "exp": 1_700_003_600,
    });
    change(&mut claims);
    let mut header = Header::new(algorithm);
    header.kid = kid.map(str::to_owned);
    let key = match algorithm {
        Algorithm::HS256 => EncodingKey::from_secret(MODULUS.as_bytes()),
        _ => EncodingKey::from_rsa_der(&STANDARD.decode(PRIVATE).expect("base64")),
    };
    jsonwebtoken::encode(&header, &claims, &key).expect("signed")
}

fn token(change: impl FnOnce(&mut Value)) -> String {
    token_with(Algorithm::RS256, Some("k1"), change)
}

fn check(token: &str) -> Result<Outsider, Doubt> {
    trust().verify(token, &key(|_| {}), NOW, &[OURS])
}

#[test]
fn a_good_token_tells_its_client_under_any_of_its_names() {
    let expected = |client: &str| {
        Ok(Outsider {
            client: client.to_owned(),
            expires: 1_700_003_600,
        })
    };
    assert_eq!(check(&token(|_| {})), expected("carrier"));
    assert_eq!(check(&token(|c| c["appid"] = json!("v1"))), expected("v1"));
    let keycloak = token(|c| {
        c["client_id"] = json!("kc");
        c.as_object_mut().expect("an object").remove("azp");
    });
    assert_eq!(check(&keycloak), expected("kc"));
    for audience in [
        json!("https://ERP.example.test/"),
        json!("api://tranship"),
        json!(["x", OURS]),
    ] {
        assert!(check(&token(|c| c["aud"] = audience.clone())).is_ok(), "{audience}");
    }
    assert_eq!(named_issuer(&token(|_| {})).as_deref(), Some(ISSUER));
    // A token that names no key is tried with all of them; an algorithm the set does not say is the usual one.
    assert!(check(&token_with(Algorithm::RS256, None, |_| {})).is_ok());
    let ps = key(|key| key["alg"] = json!("PS384"));
    let signed = token_with(Algorithm::PS384, Some("k1"), |_| {});
    assert!(trust().verify(&signed, &ps, NOW, &[OURS]).is_ok());
}

#[test]
fn what_a_token_lies_about_or_lacks_refuses_it() {
    let bad = |change: fn(&mut Value)| match check(&token(change)) {
        Err(Doubt::Bad(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(bad(|c| c["tid"] = json!("other")), TokenError::WrongTenant);
    assert_eq!(bad(|c| c["oid"] = Value::Null), TokenError::WrongTenant);
    assert_eq!(bad(|c| c["azp"] = Value::Null), TokenError::Malformed);
    assert_eq!(
        bad(|c| c["iss"] = json!("https://login.example.test")),
        TokenError::BadSignature
    );
    assert!(matches!(
        bad(|c| c["aud"] = json!("https://other.test")),
        TokenError::WrongAudience { .. }
    ));
    assert!(matches!(
        bad(|c| c["exp"] = json!(1_700_000_000)),
        TokenError::Expired { .. }
    ));
    assert!(matches!(
        bad(|c| c["nbf"] = json!(1_700_000_061)),
        TokenError::NotYetValid { .. }
    ));
    assert_eq!(bad(|c| c["exp"] = Value::Null), TokenError::Malformed);
    assert_eq!(bad(|c| c["aud"] = json!(7)), TokenError::Malformed);
}

#[test]
fn a_key_is_what_the_issuer_says_it_is() {
    let refused = |token: &str, keys: JwkSet| trust().verify(token, &keys, NOW, &[OURS]).expect_err("refused");
    let good = token(|_| {});
    assert_eq!(refused(&good, key(|key| key["kid"] = json!("k2"))), Doubt::UnknownKey);
    assert_eq!(refused(&good, key(|key| key["use"] = json!("enc"))), Doubt::UnknownKey);
    // A key for one algorithm checks no other, and what is public is no secret.
    let bad = Doubt::Bad(TokenError::BadSignature);
    assert_eq!(refused(&good, key(|key| key["alg"] = json!("RS512"))), bad);
    assert_eq!(
        refused(&token_with(Algorithm::HS256, Some("k1"), |_| {}), key(|_| {})),
        bad
    );
    let octets = json!({ "keys": [{ "kty": "oct", "kid": "k1", "k": MODULUS }] });
    let octets: JwkSet = serde_json::from_value(octets).expect("a key set");
    assert_eq!(
        refused(&token_with(Algorithm::HS256, Some("k1"), |_| {}), octets),
        Doubt::UnknownKey
    );
    for text in ["", "a.b.c", "e30.e30.e30"] {
        assert_eq!(refused(text, key(|_| {})), Doubt::Bad(TokenError::Malformed), "{text}");
        assert_eq!(named_issuer(text), None);
    }
}

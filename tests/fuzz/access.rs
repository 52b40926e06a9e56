//! What lets somebody in: tokens, receipts, links, the forms they are asked for with. Nothing damaged is taken for something else than it
//! was made for.

use tranship::auth::outside::{Trust, named_issuer};
use tranship::auth::sas::{Permission, Sas, SasKeys};
use tranship::auth::token_endpoint::{TokenRequest, Version};
use tranship::auth::tokens::{Grant, TokenIssuer, bearer, normalised_audience};
use tranship::domain::ids::MessageId;
use tranship::domain::message::Fence;
use tranship::domain::receipt::ReceiptKeys;
use tranship::domain::time::Timestamp;
use tranship::http::canonical::canonical_path;
use tranship::http::query::Query;

use crate::fuzz;

const NOW: Timestamp = Timestamp(1_767_600_000_000_000);
const OURS: &str = "https://tranship.test";

#[test]
fn tokens() {
    let issuer = TokenIssuer::new(&[vec![7; 32], vec![8; 32]], 3600).unwrap();
    let grant = Grant {
        client: "shop",
        audience: OURS,
        base_url: OURS,
        version: Version::V2,
    };
    let good = issuer.issue(&grant, NOW).token;
    let claims = issuer.verify(&good, NOW, &[OURS], None).unwrap();
    let trust = Trust {
        issuer: "https://login.test".to_owned(),
        tenant: None,
        audiences: vec![OURS.to_owned()],
    };
    let keys = serde_json::from_value(issuer.key_set()).unwrap();
    fuzz(
        "token",
        &[good.clone().into_bytes(), format!("Bearer {good}").into_bytes()],
        |bytes, _| {
            let text = String::from_utf8_lossy(bytes);
            let token = bearer(Some(&text)).unwrap_or(&text);
            // However it is written, it says what was signed.
            if let Ok(read) = issuer.verify(token, NOW, &[OURS], None) {
                assert_eq!(read, claims);
            }
            let _ = named_issuer(token);
            assert!(
                trust.verify(token, &keys, NOW, &[OURS]).is_err(),
                "it is of another issuer"
            );
        },
    );
}

#[test]
fn receipts() {
    let keys = ReceiptKeys::new(vec![vec![7; 32], vec![8; 32]]);
    let lease = Fence {
        message: MessageId::generate(),
        epoch: 3,
    };
    fuzz("receipt", &[keys.issue(lease).into_bytes()], |bytes, _| {
        if let Some(read) = keys.verify(&String::from_utf8_lossy(bytes)) {
            assert_eq!(read, lease);
        }
    });
}

#[test]
fn links() {
    const PATH: &str = "/dmf/packages/1/a package.zip";
    let keys = SasKeys::new(vec![vec![7; 32]]);
    let until = NOW.plus_seconds(60);
    let query = keys.sign_from(PATH, &[Permission::Read], Some(NOW), until);
    fuzz("link", &[query.into_bytes()], |bytes, _| {
        let query = Query::read(&String::from_utf8_lossy(bytes));
        let of = |name: &str| query.get(name).unwrap_or_default();
        let sas = Sas {
            version: of("sv"),
            resource: of("sr"),
            permissions: of("sp"),
            starts: of("st"),
            expires: of("se"),
            signature: of("sig"),
        };
        for (path, permission, at) in [
            (PATH, Permission::Write, NOW),
            (PATH, Permission::Read, until),
            ("/dmf/packages/2/a package.zip", Permission::Read, NOW),
        ] {
            assert!(keys.check(path, &sas, permission, at).is_err(), "{sas:?}");
        }
        if keys.check(PATH, &sas, Permission::Read, NOW).is_ok() {
            assert_eq!((sas.permissions.as_str(), sas.resource.as_str()), ("r", "b"));
        }
    });
}

#[test]
fn token_requests() {
    let form = "grant_type=client_credentials&client_id=shop&client_secret=abc%2Bdef&scope=https%3A%2F%2Ftranship.test%2F.default";
    let user = "grant_type=password&client_id=x&username=shop%40a.test&password=abc&resource=https://tranship.test";
    fuzz("token-request", &[form.into(), user.into()], |bytes, chance| {
        let version = if chance.one_in(2) { Version::V1 } else { Version::V2 };
        let text = String::from_utf8_lossy(bytes);
        let header = chance.one_in(3).then(|| format!("Basic {text}"));
        match TokenRequest::parse(version, bytes, header.as_deref()) {
            Ok(asked) => {
                assert!(!asked.audience.is_empty());
                let _ = (asked.names(), normalised_audience(&asked.audience));
            }
            Err(refusal) => assert!([400, 401].contains(&refusal.status) && !refusal.description.is_empty()),
        }
    });
}

#[test]
fn paths() {
    let seeds: [&[u8]; 3] = [
        b"/namespaces/AXSF/en-us/api/connector/dequeue/%7B6D31e09f%7D",
        b"//API/v1/Jobs/x/Messages/Batch/",
        b"/data/DataManagementDefinitionGroups('a')/Details",
    ];
    fuzz("path", &seeds.map(<[u8]>::to_vec), |bytes, _| {
        let path = String::from_utf8_lossy(bytes);
        let canonical = canonical_path(&path);
        let read = canonical.as_deref().unwrap_or(&path);
        // Nothing but letters, doubled slashes and what stands before is changed: no word comes to be that was not there.
        assert!(read.starts_with('/') && !read.contains("//"), "{path} became {read}");
        assert!(
            path.to_lowercase()
                .replace('/', "")
                .ends_with(&read.to_lowercase().replace('/', "")),
            "{path} became {read}"
        );
    });
}

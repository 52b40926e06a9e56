//! Destinations as people write them.

use super::{CUSTOMERS, Definitions, load};
use crate::domain::destination::{Auth, DestinationKind, Exists, HttpMethod};
use crate::domain::webhook::SecretSource;

fn with(export: &str) -> Result<Definitions, Vec<String>> {
    let job = format!(
        "id = \"6d31e09f-0249-459f-94f0-aad9c2c47b64\"\nname = \"Out\"\ndirection = \"export\"\nclients = [\"tester\"]\n\
         [export]\nformat = \"csv\"\n{export}"
    );
    load(&[("entities/customers.toml", CUSTOMERS), ("jobs/out.toml", &job)])
}

#[test]
fn destinations_are_read() {
    let definitions = with(
        r#"enqueue = false
[[export.entities]]
entity = "Customers"
[[export.destinations]]
name = "archive"
kind = "blob"
url = "s3://bucket/out"
path = "{job}/"
[[export.destinations]]
name = "erp"
kind = "http"
url = "https://erp.example.org/in"
method = "PUT"
headers = { X-Source = "us" }
[export.destinations.auth]
kind = "header"
header = "X-Api-Key"
secret_env = "ERP_KEY"
"#,
    )
    .expect("right");
    let export = definitions.jobs[0].export.as_ref().expect("an export");
    assert!(!export.enqueue);
    let [archive, erp] = export.destinations.as_slice() else {
        panic!("{:?}", export.destinations);
    };
    assert_eq!(archive.kind, DestinationKind::Blob { exists: Exists::Fail });
    let DestinationKind::Http(target) = &erp.kind else {
        panic!("{erp:?}");
    };
    assert_eq!(target.method, HttpMethod::Put);
    assert_eq!(target.headers["x-source"], "us");
    let auth = Auth::Header {
        name: "X-Api-Key".to_owned(),
        secret: SecretSource::Variable("ERP_KEY".to_owned()),
    };
    assert_eq!(target.auth, auth);
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let mistakes = with(
        r#"[[export.entities]]
entity = "Customers"
[[export.destinations]]
name = "archive"
kind = "blob"
url = "ftp://bucket/out"
path = "../{jbo}"
exists = "overwrite"
method = "PUT"
[[export.destinations]]
name = "archive"
kind = "http"
url = "https://us:pass@erp.example.org/in"
headers = { Authorization = "Bearer x" }
auth = { kind = "basic", secret = "hush" }
[[export.destinations]]
name = "no spaces"
kind = "http"
url = "https://erp.example.org/in"
auth = { kind = "oauth2", token_url = "here", secret_env = "X" }
[[export.destinations]]
url = "https://erp.example.org/in"
"#,
    )
    .expect_err("wrong");
    let told = mistakes.join("\n");
    for words in [
        "jobs/out.toml:12: `url` is not a place for blobs",
        "jobs/out.toml:13: `path` ",
        "jobs/out.toml:14: `exists` is `overwrite`, allowed are",
        "jobs/out.toml:15: unknown key `method`",
        "jobs/out.toml:17: two destinations are called `archive`",
        "jobs/out.toml:20: `Authorization` in `headers` is set by every delivery itself",
        "jobs/out.toml:21: [export.destinations.auth] lacks `username`",
        "jobs/out.toml:21: a secret does not belong into this file",
        "jobs/out.toml:23: a destination's `name` has at most",
        "jobs/out.toml:26: `token_url` is not a URL",
        "jobs/out.toml:26: [export.destinations.auth] lacks `client_id`",
        "jobs/out.toml:27: [[export.destinations]] lacks `name`",
        "jobs/out.toml:27: [[export.destinations]] lacks `kind`",
    ] {
        assert!(told.contains(words), "{words}\n\n{told}");
    }
    assert!(!told.contains("hush") && !told.contains("us:pass"), "{told}");
}

#[test]
fn what_is_exported_must_go_somewhere() {
    let mistakes = with("enqueue = false\n[[export.entities]]\nentity = \"Customers\"\n").expect_err("wrong");
    assert_eq!(
        mistakes,
        ["jobs/out.toml:7: `enqueue = false` and no [[export.destinations]]: what is exported would go nowhere"]
    );
}

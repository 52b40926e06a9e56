//! `msal`, `azure-identity` and `authlib` (Python) sign in over TLS with the development authority, and use what they get:
//! AUTH-1 to AUTH-6, GEN-12.

use crate::service::Service;
use crate::site::Site;
use crate::support::databases::TestDatabase;
use crate::{python, run_with};

/// What the script checks, each printed when it passed.
const CHECKS: usize = 7;
const JOB: &str = "00000000-0000-4000-8000-0000000000bc";

#[tokio::test]
async fn libraries_sign_in_on_sqlite() {
    on(TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn libraries_sign_in_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        on(store).await;
    }
}

async fn on(store: TestDatabase) {
    if python().is_none() {
        return;
    }
    let site = Site::on(store).await;
    let relay = format!(
        "id = \"{JOB}\"\nname = \"Documents\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"shop\"]\n"
    );
    site.write("jobs/documents.toml", &relay);
    let client = site.add_client("shop", "client");
    let data = site.data_dir("one");
    let mut command = site.serve_command("one");
    command.args(["--dev-tls", "--set", "server.tls_listen=127.0.0.1:0"]);
    let service = Service::start(command, &data).await;
    let address = std::fs::read_to_string(data.join("listening-tls")).expect("it listens for TLS");
    let port = address.trim().rsplit(':').next().expect("a port");
    let authority = data.join("dev-tls/ca.pem");
    let said = run_with(
        "sign_in.py",
        &[&format!("https://localhost:{port}"), &client.id, &client.secret, JOB],
        &[("REQUESTS_CA_BUNDLE", &authority), ("SSL_CERT_FILE", &authority)],
    )
    .expect("there is a Python");
    assert_eq!(said.matches("passed:").count(), CHECKS, "{said}");
    assert!(service.stop().await.success());
}

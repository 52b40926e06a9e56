//! The listener for TLS: with a development authority, and with a certificate from files that is replaced while it runs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use reqwest::{Certificate, Client, StatusCode};
use serde_json::Value;

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::wire::json;

const RELAY: &str = "id = \"00000000-0000-4000-8000-0000000000bb\"\nname = \"Documents\"\ndirection = \"relay\"\ndata_source = \"file\"\n\
                     clients = [\"tester\"]\n";

/// A client that trusts nobody but this authority.
fn trusting(authority: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let authority = Certificate::from_pem(authority.as_bytes()).expect("a certificate");
    Client::builder()
        .no_proxy()
        .tls_certs_only([authority])
        .pool_max_idle_per_host(0)
        .build()
        .expect("an HTTP client")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where the TLS listener of a running service is, by the name in its certificate.
fn base(site: &Site) -> String {
    let address = read(&site.data_dir("data").join("listening-tls"));
    let port = address.trim().rsplit(':').next().expect("a port");
    format!("https://localhost:{port}")
}

async fn token(http: &Client, base: &str, tester: &Credentials) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &tester.id),
        ("client_secret", &tester.secret),
        ("scope", &format!("{base}/.default")),
    ];
    let answer = http
        .post(format!("{base}/default/oauth2/v2.0/token"))
        .form(&form)
        .send();
    let body = json(answer.await.expect("an answer"), StatusCode::OK).await;
    body["access_token"].as_str().expect("a token").to_owned()
}

async fn start_for_development(site: &Site) -> Service {
    let mut command = site.serve_command("data");
    command.args(["--dev-tls", "--set", "server.tls_listen=127.0.0.1:0"]);
    Service::start(command, &site.data_dir("data")).await
}

/// GEN-12, RI-14
#[tokio::test]
async fn a_development_authority_is_trusted_once_and_for_every_start() {
    let site = Site::empty();
    site.write("jobs/documents.toml", RELAY);
    std::fs::create_dir_all(site.path("entities")).expect("made");
    let tester = {
        // The store has one owner, and each name of a site its own data folder.
        let mut command = site.command(&["client", "add", "tester", "--role", "operator", "--json"]);
        command.env("TRANSHIP_DATA_DIR", site.data_dir("data"));
        let output = command.output().expect("it runs");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let text = |member: &str| answer[member].as_str().expect("a text").to_owned();
        Credentials {
            id: text("client_id"),
            secret: text("client_secret"),
        }
    };
    let service = start_for_development(&site).await;
    let folder = site.data_dir("data").join("dev-tls");
    let authority = read(&folder.join("ca.pem"));
    let http = trusting(&authority);
    let base = base(&site);
    let token = token(&http, &base, &tester).await;
    let job = "/api/connector/enqueue/00000000-0000-4000-8000-0000000000bb";
    let sent = http
        .post(format!("{base}{job}"))
        .bearer_auth(&token)
        .body("bytes")
        .send()
        .await
        .expect("sent");
    assert_eq!(sent.status(), StatusCode::OK);
    assert!(
        !sent.headers().contains_key("strict-transport-security"),
        "browsers would remember it for localhost"
    );
    let dequeue = format!("{base}{}", job.replace("enqueue", "dequeue"));
    let delivery = json(
        http.get(dequeue).bearer_auth(&token).send().await.expect("an answer"),
        StatusCode::OK,
    )
    .await;
    let location = delivery["DownloadLocation"].as_str().expect("a location");
    assert!(
        location.starts_with(&format!("{base}/api/connector/download/")),
        "{location}"
    );
    let file = http.get(location).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(file.text().await.expect("a text"), "bytes");
    assert!(service.stop().await.success());

    // The key is for nobody else, and the same authority vouches for the next start.
    let mode = std::fs::metadata(folder.join("ca-key.pem"))
        .expect("a key")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let service = start_for_development(&site).await;
    assert_eq!(read(&folder.join("ca.pem")), authority);
    let again = http.get(self::base(&site)).send().await.expect("still trusted");
    assert_eq!(again.status(), StatusCode::OK);
    assert!(service.stop().await.success());
    assert!(!site.data_dir("data").join("listening-tls").exists());
}

/// Writes a certificate for localhost by an authority of its own, which is returned.
fn write_certificate(site: &Site) -> String {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let authority = params.self_signed(&key).expect("signed").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    site.write("cert.pem", &params.signed_by(&key, &issuer).expect("signed").pem());
    site.write("key.pem", &key.serialize_pem());
    authority
}

#[tokio::test]
async fn a_certificate_from_files_is_replaced_while_it_is_in_use() {
    let mut site = Site::empty();
    std::fs::create_dir_all(site.path("entities")).expect("made");
    std::fs::create_dir_all(site.path("jobs")).expect("made");
    site.set("TRANSHIP_SERVER__TLS_LISTEN", "127.0.0.1:0");
    site.set("TRANSHIP_SERVER__TLS_CERT", "cert.pem");
    site.set("TRANSHIP_SERVER__TLS_KEY", "key.pem");
    let first = write_certificate(&site);
    let service = site.start("data").await;
    let base = base(&site);
    let answer = trusting(&first).get(&base).send().await.expect("trusted");
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");

    // One that is no good changes nothing.
    let good = read(&site.path("key.pem"));
    site.write("key.pem", "no key");
    service.reload();
    wait_for(&service, "the TLS certificate stays what it was").await;
    trusting(&first).get(&base).send().await.expect("still the first");
    site.write("key.pem", &good);

    let second = write_certificate(&site);
    service.reload();
    wait_for(&service, "TLS certificate read again").await;
    trusting(&second).get(&base).send().await.expect("the second");
    assert!(trusting(&first).get(&base).send().await.is_err(), "the first is gone");
    assert!(service.stop().await.success());

    site.write("key.pem", &good);
    let refused = Service::try_start(site.serve_command("data"), &site.data_dir("data")).await;
    let why = refused.err().expect("the key is another's");
    assert!(
        why.contains("server.tls_key") && why.contains("server.tls_cert"),
        "{why}"
    );
}

/// What the command line says of a server whose certificate it does not take names the cure.
#[tokio::test]
async fn a_certificate_that_is_not_taken_is_explained() {
    let mut site = Site::empty();
    std::fs::create_dir_all(site.path("entities")).expect("made");
    std::fs::create_dir_all(site.path("jobs")).expect("made");
    site.set("TRANSHIP_SERVER__TLS_LISTEN", "127.0.0.1:0");
    site.set("TRANSHIP_SERVER__TLS_CERT", "cert.pem");
    site.set("TRANSHIP_SERVER__TLS_KEY", "key.pem");
    site.write("trusted.pem", &write_certificate(&site));
    let another = write_certificate(&site);
    let service = site.start("data").await;
    assert!(
        said(&site, &base(&site)).contains("SSL_CERT_FILE"),
        "{}",
        said(&site, &base(&site))
    );
    let by_number = base(&site).replace("localhost", "127.0.0.1");
    site.write("trusted.pem", &another);
    assert!(
        said(&site, &by_number).contains("another name"),
        "{}",
        said(&site, &by_number)
    );

    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let own = params.self_signed(&key).expect("signed").pem();
    for file in ["cert.pem", "trusted.pem"] {
        site.write(file, &own);
    }
    site.write("key.pem", &key.serialize_pem());
    service.reload();
    wait_for(&service, "TLS certificate read again").await;
    assert!(
        said(&site, &base(&site)).contains("of an authority"),
        "{}",
        said(&site, &base(&site))
    );
    assert!(service.stop().await.success());
}

/// What a command says that trusts `trusted.pem` and nobody else.
fn said(site: &Site, url: &str) -> String {
    let mut command = site.command(&["jobs", "list", "--url", url, "--client-id", "nobody"]);
    command
        .env("SSL_CERT_FILE", "trusted.pem")
        .env("TRANSHIP_CLIENT_SECRET", "none");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(6), "out of reach");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn wait_for(service: &Service, said: &str) {
    for _ in 0..200 {
        if service.log().contains(said) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{said:?} in {}", service.log());
}

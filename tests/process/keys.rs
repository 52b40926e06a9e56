//! `tranship keys rotate` beside running services: what was signed before stays good for one rotation, and no restart is needed.

use std::time::{Duration, Instant};

use base64::Engine as _;
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::service::Service;
use crate::site::{Credentials, Site};
use crate::support::databases::{TestDatabase, run};
use crate::wire::{Caller, http, in_path, json};

const WRITE_URL: &str = "/data/DataManagementDefinitionGroups/Microsoft.Dynamics.DataEntities.GetAzureWriteUrl";
const RELAY: &str = "7f0c8b62-0d7a-4e0f-8b46-1b7a3a7e4f10";
/// More than it takes any process to read keys again.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_on_sqlite_takes_new_keys_up() {
    what_was_signed_is_good_for_one_rotation(TestDatabase::sqlite(), &["one"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_postgres_take_new_keys_up() {
    if let Some(store) = TestDatabase::postgres().await {
        what_was_signed_is_good_for_one_rotation(store, &["one", "two"]).await;
    }
}

async fn what_was_signed_is_good_for_one_rotation(store: TestDatabase, processes: &[&str]) {
    let url = store.url.clone();
    let site = Site::on(store).await;
    site.write(
        "jobs/relay.toml",
        &format!(
            "id = \"{RELAY}\"\nname = \"Relay\"\ndirection = \"relay\"\ndata_source = \"file\"\nclients = [\"shop\"]\n"
        ),
    );
    let shop = site.add_client("shop", "client");
    let mut services = Vec::new();
    for name in processes {
        services.push(site.start(name).await);
    }
    let before = Signed::at(&services[0], &shop).await;
    for service in &services {
        before.assert_good(service, &shop).await;
    }

    site.run(&["keys", "rotate"]);
    let again = site.command(&["keys", "rotate", "--json"]).output().expect("it runs");
    assert_eq!(again.status.code(), Some(1));
    let refusal: Value = serde_json::from_slice(&again.stderr).expect("JSON");
    let cure = refusal["cure"].as_str().expect("a cure");
    assert!(cure.contains("keys rotate --force"), "{refusal}");
    for service in &services {
        known_keys(service, 2).await;
        // Nobody signs with it yet, for another process might not know it.
        let signer = key_id(Caller::new(service, &shop).await.token());
        assert_eq!(signer, key_id(&before.token), "the key of before signs");
    }
    // A minute later.
    run(&url, "update signing_keys set signs_from = created_at").await;
    for service in &services {
        another_signs(service, &shop, &key_id(&before.token)).await;
    }
    let after = Signed::at(&services[0], &shop).await;
    for service in &services {
        before.assert_good(service, &shop).await;
        after.assert_good(service, &shop).await;
    }

    let forced: Value =
        serde_json::from_slice(&site.run(&["keys", "rotate", "--force", "--json"]).stdout).expect("JSON");
    assert_eq!(forced["ended"], serde_json::json!(["token", "receipt", "url"]));
    for service in &services {
        before.ends(service, &shop).await;
        after.assert_good(service, &shop).await;
    }
    let listed: Value = serde_json::from_slice(&site.run(&["keys", "list", "--json"]).stdout).expect("JSON");
    let roles: Vec<&str> = listed["keys"]
        .as_array()
        .expect("keys")
        .iter()
        .map(|key| key["role"].as_str().expect("text"))
        .collect();
    assert_eq!(roles, ["signs", "checks", "signs", "checks", "signs", "checks"]);
    let told: Value = serde_json::from_slice(&site.run(&["audit", "list", "--action", "keys.rotate", "--json"]).stdout)
        .expect("JSON");
    assert_eq!(told["entries"].as_array().expect("entries").len(), 2, "{told}");
    for service in services {
        assert!(service.stop().await.success());
    }
}

/// Several rotations at once: one is done, the others would end what it left good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rotations_at_once_one_is_done_on_sqlite() {
    of_rotations_at_once_one_is_done(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_rotations_at_once_one_is_done_on_postgres() {
    if let Some(store) = TestDatabase::postgres().await {
        of_rotations_at_once_one_is_done(store).await;
    }
}

async fn of_rotations_at_once_one_is_done(store: TestDatabase) {
    let site = Site::on(store).await;
    let service = site.start("one").await;
    let running: Vec<_> = (0..4)
        .map(|_| site.command(&["keys", "rotate"]).spawn().expect("it runs"))
        .collect();
    let ended: Vec<_> = running
        .into_iter()
        .map(|mut child| child.wait().expect("it ends").code())
        .collect();
    assert_eq!(ended.iter().filter(|code| **code == Some(0)).count(), 1, "{ended:?}");
    let listed: Value = serde_json::from_slice(&site.run(&["keys", "list", "--json"]).stdout).expect("JSON");
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(6), "{listed}");
    assert!(service.stop().await.success());
}

/// A token, a receipt and a link of one service.
struct Signed {
    token: String,
    receipt: String,
    link: String,
    /// Where it is from: a token names the address it is for.
    host: String,
    http: Client,
}

impl Signed {
    async fn at(service: &Service, client: &Credentials) -> Self {
        let caller = Caller::new(service, client).await;
        let sent = caller
            .post(&format!("/api/v1/jobs/{RELAY}/messages"), "a message")
            .await;
        json(sent, StatusCode::CREATED).await;
        let leased = caller.post(&format!("/api/v1/jobs/{RELAY}/leases"), "{}").await;
        let leased = json(leased, StatusCode::OK).await;
        let receipt = leased["leases"][0]["receipt"].as_str();
        let receipt = receipt.unwrap_or_else(|| panic!("{leased}"));
        let answer = json(caller.post(WRITE_URL, "{}").await, StatusCode::OK).await;
        let inner: Value = serde_json::from_str(answer["value"].as_str().expect("a text")).expect("JSON");
        let link = inner["BlobUrl"].as_str().expect("a link");
        Self {
            token: caller.token().to_owned(),
            receipt: receipt.to_owned(),
            link: link.strip_prefix(&service.base).expect("a link to it").to_owned(),
            host: service.base.strip_prefix("http://").expect("plain").to_owned(),
            http: http(),
        }
    }

    /// What a service answers to the token, to the receipt (by another token) and to the link.
    async fn answers(&self, service: &Service, client: &Credentials) -> [StatusCode; 3] {
        let get = self.http.get(format!("{}/api/v1/jobs", service.base));
        let by_token = get.bearer_auth(&self.token).header("host", &self.host);
        let by_token = by_token.send().await.expect("an answer");
        let extend = format!("/api/v1/leases/{}/extend", in_path(&self.receipt));
        let by_receipt = Caller::new(service, client).await.post(&extend, "{}").await;
        let put = self.http.put(format!("{}{}", service.base, self.link));
        let by_link = put.header("x-ms-blob-type", "BlockBlob").body("bytes");
        let by_link = by_link.send().await.expect("an answer");
        [by_token.status(), by_receipt.status(), by_link.status()]
    }

    async fn assert_good(&self, service: &Service, client: &Credentials) {
        let answers = self.answers(service, client).await;
        assert_eq!(
            answers,
            [StatusCode::OK, StatusCode::OK, StatusCode::CREATED],
            "{}",
            service.base
        );
    }

    /// Waits until all three are void.
    async fn ends(&self, service: &Service, client: &Credentials) {
        let void = [StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN];
        let began = Instant::now();
        loop {
            let answers = self.answers(service, client).await;
            if answers == void {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "still {answers:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Which key signed a token: the `kid` of its header.
fn key_id(token: &str) -> String {
    let header = token.split('.').next().expect("a header");
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(header)
        .expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    header["kid"].as_str().expect("a key id").to_owned()
}

/// Waits until a service publishes so many keys.
async fn known_keys(service: &Service, wanted: usize) {
    let began = Instant::now();
    loop {
        let answer = http().get(format!("{}/common/discovery/keys", service.base)).send();
        let keys = json(answer.await.expect("an answer"), StatusCode::OK).await;
        if keys["keys"].as_array().map(Vec::len) == Some(wanted) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "still {keys}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until another key than this one signs.
async fn another_signs(service: &Service, client: &Credentials, than: &str) {
    let began = Instant::now();
    while key_id(Caller::new(service, client).await.token()) == than {
        assert!(began.elapsed() < PATIENCE, "the old key still signs");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

//! `TestApp`: the application on port 0 with a store, a business database, a blob folder and a clock of its own. Nothing
//! runs by itself: a test says when the worker works and when the second passes.

use std::path::{Path, PathBuf};

use argon2::password_hash::PasswordHasher as _;
use argon2::{Algorithm, Argon2, Params, Version};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tranship::app::{App, AppOptions, Background, FirstClient};
use tranship::auth::secrets;
use tranship::clock::Clock;
use tranship::config::{Config, Overrides};
use tranship::definitions::Definitions;
use tranship::destination;
use tranship::domain::time::Timestamp;
use tranship::http::Api;
use tranship::pipeline::Context;
use tranship::scheduler::Scheduler;
use tranship::storage::clients::Client;
use tranship::webhook;
use tranship::worker::Worker;

use crate::support::databases::TestDatabase;

/// 2026-01-05 08:00:00 UTC, a Monday.
pub const START: Timestamp = Timestamp(1_767_600_000_000_000);

/// Which databases a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// Declares one test per backend for each `async fn name(backend: Backend)`.
#[macro_export]
macro_rules! on_both_backends {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name($crate::app::Backend::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if $crate::support::databases::TestDatabase::postgres().await.is_some() {
                    super::$name($crate::app::Backend::Postgres).await;
                }
            }
        })+
    };
}

/// What a test changes before the application starts.
pub struct Setup {
    /// `key = value` pairs over the defaults.
    pub settings: Vec<(String, String)>,
    /// Extra files: name under `jobs/` or `entities/`, text.
    pub files: Vec<(String, String)>,
    /// Statements for the business database.
    pub statements: Vec<String>,
}

impl Setup {
    /// Sets one setting.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.settings.push((key.to_owned(), value.into()));
    }

    /// Runs a statement in the business database before the application starts.
    pub fn before(&mut self, sql: &str) {
        self.statements.push(sql.to_owned());
    }

    /// Adds a definition file, e.g. `jobs/relay.toml`.
    pub fn file(&mut self, name: &str, text: &str) {
        self.files.push((name.to_owned(), text.to_owned()));
    }
}

/// A running application.
pub struct TestApp {
    pub url: String,
    pub clock: Clock,
    pub api: Api,
    pub context: Context,
    pub worker: Worker,
    pub scheduler: Scheduler,
    pub webhooks: webhook::Sender,
    pub destinations: destination::Sender,
    pub definitions: Definitions,
    pub folder: PathBuf,
    pub business: TestDatabase,
    /// Token of the operator `tester`, who may use every job.
    pub token: String,
    secret: String,
    pub http: reqwest::Client,
    stop: CancellationToken,
    /// The service store.
    pub store: TestDatabase,
    _folder: tempfile::TempDir,
}

/// A hash that costs as little as Argon2 may: the tests of `/clients` and of the command line make the real ones.
fn cheap_hash(secret: &str) -> String {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).expect("the least there may be");
    let hash =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_with_salt(secret.as_bytes(), &[7; 16]);
    hash.expect("Argon2 takes it").to_string()
}

impl TestApp {
    /// The application with the shipped definitions.
    pub async fn spawn(backend: Backend) -> Self {
        Self::with(backend, |_| {}).await
    }

    /// The same, changed by the test.
    pub async fn with(backend: Backend, change: impl FnOnce(&mut Setup)) -> Self {
        let (store, business) = (database(backend).await, database(backend).await);
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = temporary.path().to_owned();
        let mut setup = Setup {
            settings: Vec::new(),
            files: Vec::new(),
            statements: Vec::new(),
        };
        for (key, value) in [
            ("server.listen", "127.0.0.1:0".to_owned()),
            // Each thread has routes of its own, which a build without optimisation takes a tenth of a second to make.
            ("server.workers", "1".to_owned()),
            ("data_dir", folder.join("data").display().to_string()),
            ("jobs_dir", folder.join("jobs").display().to_string()),
            ("entities_dir", folder.join("entities").display().to_string()),
            // The clock jumps about; tokens are asked for once.
            ("server.token_seconds", "86400".to_owned()),
            ("store.url", store.url.clone()),
            ("databases.main.url", business.url.clone()),
        ] {
            setup.set(key, value);
        }
        change(&mut setup);
        write_definitions(&folder, &setup.files);
        for sql in &setup.statements {
            crate::support::databases::run(&business.url, sql).await;
        }
        let overrides = Overrides {
            file: None,
            values: setup.settings,
        };
        let config = Config::load(&overrides, &[]).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let clock = Clock::settable(START);
        let options = AppOptions {
            clock: clock.clone(),
            first_client: FirstClient::Never,
            background: Background::Off,
        };
        let app = Box::pin(App::build(config, options))
            .await
            .expect("the application starts");
        let url = format!("http://{}", app.address());
        let definitions = Definitions::clone(&app.definitions());
        let (context, worker, scheduler, stop) = (app.context(), app.worker(), app.scheduler(), app.stop_handle());
        let (webhooks, destinations, api) = (app.webhooks(), app.destinations(), app.api());
        tokio::spawn(app.run());
        let http = reqwest::Client::builder()
            // Reading the system's certificates takes a build without optimisation longer than what it is about to ask.
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let mut app = Self {
            url,
            clock,
            api,
            context,
            worker,
            scheduler,
            webhooks,
            destinations,
            definitions,
            folder,
            business,
            token: String::new(),
            secret: String::new(),
            http,
            stop,
            store,
            _folder: temporary,
        };
        app.secret = app.add_client("tester", "operator").await;
        app.renew_token().await;
        app
    }

    /// A new token for `tester`, after the clock went past the old one.
    pub async fn renew_token(&mut self) {
        self.token = self.token_of("tester", &self.secret).await;
    }

    /// Adds a client and returns its secret.
    pub async fn add_client(&self, name: &str, role: &str) -> String {
        let secret = secrets::new_secret();
        let client = Client {
            name: name.to_owned(),
            secret_hash: cheap_hash(&secret),
            role: role.to_owned(),
            created_at: self.clock.now(),
            revoked_at: None,
            last_used_at: None,
        };
        self.context.store.add_client(&client).await.expect("a new client");
        secret
    }

    /// An access token from the token endpoint.
    pub async fn token_of(&self, name: &str, secret: &str) -> String {
        let scope = format!("{}/.default", self.url);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", name),
            ("client_secret", secret),
            ("scope", &scope),
        ];
        let answer = self
            .http
            .post(format!("{}/test/oauth2/v2.0/token", self.url))
            .form(&form)
            .send()
            .await;
        let body: Value = answer.expect("the token endpoint answers").json().await.expect("JSON");
        body["access_token"]
            .as_str()
            .unwrap_or_else(|| panic!("no token: {body}"))
            .to_owned()
    }

    /// A new client and its token.
    pub async fn client(&self, name: &str) -> String {
        let secret = self.add_client(name, "client").await;
        self.token_of(name, &secret).await
    }

    /// Stops the service as SIGTERM does.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// A request without a token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.url)
        };
        self.http.request(method, url)
    }

    /// A GET as `tester`.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path)
            .bearer_auth(&self.token)
            .send()
            .await
            .expect("an answer")
    }

    /// A POST as `tester`.
    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::POST, path)
            .bearer_auth(&self.token)
            .body(body)
            .send()
            .await
            .expect("an answer")
    }

    /// Activity id of a job by name.
    pub fn job(&self, name: &str) -> String {
        self.definitions
            .find_job(name)
            .unwrap_or_else(|| panic!("no job {name}"))
            .id
            .to_string()
    }

    /// Enqueues on the connector; the message id.
    pub async fn enqueue(&self, job: &str, entity: &str, body: impl Into<reqwest::Body>) -> String {
        let entity = entity.replace(' ', "+");
        let path = format!("/api/connector/enqueue/{}?entity={entity}", self.job(job));
        let answer = self.post(&path, body).await;
        assert_eq!(
            answer.status(),
            StatusCode::OK,
            "{}",
            answer.text().await.expect("text")
        );
        answer.json().await.expect("a JSON string")
    }

    /// Works until nothing is left to do.
    pub async fn run_until_idle(&self) {
        self.worker.run_until_idle().await.expect("claiming works");
    }

    /// The message as `/api/v1` shows it.
    pub async fn message(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/v1/messages/{id}")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.expect("JSON")
    }

    /// Enqueues, works, and returns the message.
    pub async fn import(&self, job: &str, entity: &str, body: impl Into<reqwest::Body>) -> Value {
        let id = self.enqueue(job, entity, body).await;
        self.run_until_idle().await;
        self.message(&id).await
    }

    /// How many messages the store has.
    pub async fn messages(&self) -> usize {
        let filter = tranship::storage::messages::MessageFilter {
            limit: 1000,
            ..Default::default()
        };
        self.context.store.messages(&filter).await.expect("a list").len()
    }

    /// Rows of the business database, every cell as text.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        crate::support::databases::rows(&self.business.url, sql).await
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop.cancel();
        if std::thread::panicking() {
            return;
        }
        let store = self.context.store.clone();
        // No test may leave a message in a worker's hands.
        let check = async move {
            for status in [
                tranship::domain::status::Status::PreProcessing,
                tranship::domain::status::Status::Processing,
            ] {
                let filter = tranship::storage::messages::MessageFilter {
                    status: Some(status),
                    limit: 1,
                    ..Default::default()
                };
                if let Ok(stuck) = store.messages(&filter).await {
                    assert!(stuck.is_empty(), "a message is stuck in {status}");
                }
            }
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(check));
    }
}

async fn database(backend: Backend) -> TestDatabase {
    match backend {
        Backend::Sqlite => TestDatabase::sqlite(),
        Backend::Postgres => TestDatabase::postgres().await.expect("checked by the macro"),
    }
}

/// The shipped definitions and the test's own.
fn write_definitions(folder: &Path, extra: &[(String, String)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for kind in ["jobs", "entities"] {
        let into = folder.join(kind);
        std::fs::create_dir_all(&into).expect("a folder");
        for file in std::fs::read_dir(root.join(kind)).expect("shipped definitions") {
            let file = file.expect("a file").path();
            if file.extension().is_some_and(|e| e == "toml") {
                std::fs::copy(&file, into.join(file.file_name().expect("a name"))).expect("a copy");
            }
        }
    }
    for (name, text) in extra {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder of its own")).expect("a folder");
        std::fs::write(file, text).expect("a definition");
    }
}

/// A file of the sample data.
pub fn sample(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples/northwind")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

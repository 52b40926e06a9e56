//! The service a bench loads: one that runs already, or one of its own in a temporary folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::http::Target;
use super::wire::read;
use crate::app::{App, AppOptions, Background, FirstClient};
use crate::cli::Failure;
use crate::cli::settings::{Settings, mistaken};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::ids::MessageId;

/// The job of a service of our own.
pub(super) const JOB: &str = "Bench relay";
const JOB_FILE: &str = "\
id = \"8c1d7f0e-5b0a-4f57-9e0c-3f2f6a2d9b41\"
name = \"Bench relay\"
direction = \"relay\"
clients = []
sample = true
";

/// A service of our own, and the folder it lives in.
pub(super) struct Embedded {
    pub(super) folder: PathBuf,
    pub(super) url: Url,
    pub(super) client: String,
    pub(super) secret: String,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Embedded {
    /// Starts the real service on a free port, in a new folder below `parent`, with a relay job.
    ///
    /// # Errors
    /// When the folder cannot be written or the service does not start.
    pub(super) async fn start(parent: &Path, store: Option<&str>) -> Result<Self, Failure> {
        let folder = new_folder(parent).await?;
        let jobs = folder.join("jobs");
        let write = async {
            tokio::fs::create_dir(&jobs).await?;
            tokio::fs::create_dir(folder.join("entities")).await?;
            tokio::fs::write(jobs.join("bench-relay.toml"), JOB_FILE).await
        };
        write.await.map_err(|error| Failure::file("write", &folder, &error))?;
        Self::start_in(folder, store, None).await
    }

    /// Starts it in a folder whose definitions are written.
    ///
    /// # Errors
    /// When the service does not start.
    pub(super) async fn start_in(
        folder: PathBuf,
        store: Option<&str>,
        business: Option<&str>,
    ) -> Result<Self, Failure> {
        let options = AppOptions {
            clock: Clock::system(),
            first_client: FirstClient::WhenLoopback,
            background: Background::On,
        };
        let broken = |error: anyhow::Error| Failure::failed(format!("{error:#}"));
        let app = App::build(config(&folder, store, business)?, options)
            .await
            .map_err(broken)?;
        let (client, secret) = app.first_client().ok_or_else(|| {
            Failure::failed("the service made no first client: the store is not empty")
                .cure("Name an empty database with --store.")
        })?;
        let url = Url::parse(&format!("http://{}", app.address()))
            .map_err(|error| Failure::failed(format!("the service's own address is no URL: {error}")))?;
        Ok(Self {
            folder,
            url,
            client,
            secret,
            stop: app.stop_handle(),
            running: tokio::spawn(app.run()),
        })
    }

    /// Stops it and removes its folder.
    ///
    /// # Errors
    /// When it did not end well.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        let ended = self.running.await;
        let _ = tokio::fs::remove_dir_all(&self.folder).await;
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failure::failed(format!("{error:#}"))),
            Err(error) => Err(Failure::failed(format!("the service broke: {error}"))),
        }
    }
}

/// Makes a folder for a service of our own.
///
/// # Errors
/// When it cannot be made.
pub(super) async fn new_folder(parent: &Path) -> Result<PathBuf, Failure> {
    let folder = parent.join(format!("tranship-bench-{}", MessageId::generate()));
    let made = tokio::fs::create_dir(&folder).await;
    made.map_err(|error| Failure::file("write", &folder, &error))?;
    Ok(folder)
}

/// The defaults, with every path in the folder and a free port. The environment has no say.
fn config(folder: &Path, store: Option<&str>, business: Option<&str>) -> Result<Config, Failure> {
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut values = vec![
        ("jobs_dir".to_owned(), at("jobs")),
        ("entities_dir".to_owned(), at("entities")),
    ];
    values.extend(store.map(|url| ("store.url".to_owned(), url.to_owned())));
    values.extend(business.map(|url| ("databases.main.url".to_owned(), url.to_owned())));
    let flags = Settings {
        values,
        data_dir: Some(folder.join("data")),
        listen: Some("127.0.0.1:0".to_owned()),
        ..Settings::default()
    };
    Config::load(&flags.overrides(), &[]).map_err(|mistakes| mistaken("settings", &mistakes))
}

/// Signs in; the target with its token.
///
/// # Errors
/// When the service cannot be reached or knows no such client.
pub(super) async fn sign_in(url: &Url, client: &str, secret: &str) -> Result<Target, Failure> {
    #[derive(Deserialize)]
    struct Token {
        access_token: String,
    }
    let target = Target::new(url)?;
    let scope = format!("{}/.default", url.as_str().trim_end_matches('/'));
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client)
        .append_pair("client_secret", secret)
        .append_pair("scope", &scope)
        .finish();
    let path = "/tenant/oauth2/v2.0/token";
    let mut connection = target.connect().await?;
    let answer = connection
        .ask("POST", path, "application/x-www-form-urlencoded", form.as_bytes())
        .await?;
    if answer.status != 200 {
        return Err(answer.refusal("signing in"));
    }
    let token: Token = read(answer.body, "signing in")?;
    Ok(target.signed_in(&token.access_token))
}

//! `tranship client`: who may talk to the service. Works on the store itself, so that the first client needs no other one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::actor::entry;
use super::screen::{Screen, plain};
use super::settings::Settings;
use super::shell::{program, quoted};
use super::store::{open, open_or_make, refusal};
use super::{Exit, Failure};
use crate::auth::secrets::{hash_secret, new_secret};
use crate::clock::Clock;
use crate::domain::audit::Action;
use crate::domain::client::{Role, name_flaw};
use crate::domain::time::Timestamp;
use crate::storage::clients::{Change, Changed, Client, LastAdmin};
use crate::storage::{Store, StoreError};

/// Say who may talk to the service
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Add a client and print its secret, once
    Add {
        /// Its name: what jobs list under `clients`
        #[arg(value_parser = client_name)]
        name: String,
        /// What it may do beyond its jobs
        #[arg(long, value_name = "ROLE", value_parser = roles(), default_value = "client")]
        role: Role,
        /// Print its name and secret as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// List all clients
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Give a client a new secret and print it, once; the old one is void
    Rotate {
        /// Its name
        name: String,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Give a client another role
    Role {
        /// Its name
        name: String,
        /// What it may do beyond its jobs
        #[arg(value_name = "ROLE", value_parser = roles())]
        role: Role,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Lock a client out for good
    Revoke {
        /// Its name
        name: String,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

impl ClientCommand {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::Add { json, .. }
            | Self::List { json, .. }
            | Self::Rotate { json, .. }
            | Self::Role { json, .. }
            | Self::Revoke { json, .. } => *json,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::Add {
                name, role, settings, ..
            } => add(screen, &name, role, &settings).await,
            Self::List { settings, .. } => list(screen, &settings).await,
            Self::Rotate { name, settings, .. } => rotate(screen, &name, &settings).await,
            Self::Role {
                name, role, settings, ..
            } => change_role(screen, &name, role, &settings).await,
            Self::Revoke { name, settings, .. } => revoke(screen, &name, &settings).await,
        }
    }
}

fn client_name(text: &str) -> Result<String, String> {
    name_flaw(text).map_or_else(|| Ok(text.to_owned()), Err)
}

/// The roles, as words to choose from.
fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(|role| PossibleValue::new(role.as_str()).help(role.means())))
        .map(|word| Role::parse(&word).unwrap_or(Role::Client))
}

async fn add(screen: &Screen, name: &str, role: Role, settings: &Settings) -> Result<Exit, Failure> {
    let secret = new_secret();
    let client = Client {
        name: name.to_owned(),
        secret_hash: hash_secret(&secret),
        role: role.as_str().to_owned(),
        created_at: Clock::system().now(),
        revoked_at: None,
        last_used_at: None,
    };
    let config = settings.load()?;
    let made = new_store_file(&config.store.url);
    let store = open_or_make(config).await?;
    let entry = entry(Action::ClientAdd, name).with("role", role.as_str());
    let added = match store.audited(entry).add_client(&client).await {
        Err(StoreError::Exists { .. }) => Err(taken(&store, name).await),
        other => other.map_err(|error| refusal(&error)),
    };
    store.close().await;
    if let Some(file) = &made {
        screen.note(format!("made a new store at {}", file.display()));
    }
    added?;
    print_secret(screen, name, &secret, made.as_deref());
    Ok(Exit::Ok)
}

/// The file of a SQLite store that does not exist yet: opening it makes it, and in the wrong folder nobody would notice.
fn new_store_file(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    let file = std::path::absolute(path).ok()?;
    (!file.exists()).then_some(file)
}

/// Why a name cannot be added: somebody has it, or had it.
async fn taken(store: &Store, name: &str) -> Failure {
    let name = plain(name);
    match store.client(&name).await {
        Ok(Some(client)) if client.revoked_at.is_some() => {
            Failure::failed(format!("`{name}` was revoked for good; choose another name"))
        }
        Err(error) => refusal(&error),
        Ok(_) => Failure::failed(format!("client `{name}` exists already")).cure(format!(
            "`{} client rotate {}` gives it a new secret.",
            program(),
            quoted(&name)
        )),
    }
}

async fn list(screen: &Screen, settings: &Settings) -> Result<Exit, Failure> {
    let store = open(settings.load()?).await?;
    let clients = store.clients().await;
    store.close().await;
    let clients = clients.map_err(|error| refusal(&error))?;
    if screen.is_json() {
        let list: Vec<_> = clients
            .iter()
            .map(|client| {
                serde_json::json!({"name": client.name, "role": client.role, "created_at": client.created_at,
                                   "revoked_at": client.revoked_at, "last_used_at": client.last_used_at})
            })
            .collect();
        screen.json(&serde_json::json!({"clients": list}));
    } else if clients.is_empty() {
        screen.note("There is no client yet: `tranship client add NAME` makes one.");
    } else {
        let mut rows = vec![
            ["name", "role", "added", "last used", "revoked"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(clients.iter().map(|client| {
            let revoked = client.revoked_at.map_or_else(|| "-".to_owned(), Timestamp::wire);
            vec![
                plain(&client.name),
                client.role.clone(),
                client.created_at.wire(),
                client.last_used_at.map_or_else(|| "never".to_owned(), Timestamp::wire),
                revoked,
            ]
        }));
        screen.table(&rows);
    }
    Ok(Exit::Ok)
}

async fn rotate(screen: &Screen, name: &str, settings: &Settings) -> Result<Exit, Failure> {
    let secret = new_secret();
    let hash = hash_secret(&secret);
    let store = open(settings.load()?).await?;
    let store = store.audited(entry(Action::ClientRotate, &written(&store, name).await?));
    let found = store.set_client_secret(name, &hash).await;
    store.close().await;
    if !found.map_err(|error| refusal(&error))? {
        return Err(unknown(name));
    }
    print_secret(screen, name, &secret, None);
    Ok(Exit::Ok)
}

async fn change_role(screen: &Screen, name: &str, role: Role, settings: &Settings) -> Result<Exit, Failure> {
    let store = open(settings.load()?).await?;
    let entry = entry(Action::ClientRole, &written(&store, name).await?).with("role", role.as_str());
    // Whoever has the store at hand can add another admin.
    let audited = store.audited(entry);
    let changed = audited.change_client(name, Change::Role(role), LastAdmin::MayGo).await;
    store.close().await;
    if changed.map_err(|error| refusal(&error))? != Changed::Done {
        return Err(unknown(name));
    }
    if screen.is_json() {
        screen.json(&serde_json::json!({"name": name, "role": role.as_str()}));
    } else {
        screen.line(format!(
            "{} is {} now: it {}.",
            plain(name),
            role.as_str(),
            role.means()
        ));
    }
    Ok(Exit::Ok)
}

/// A client's name as it is written in the store.
async fn written(store: &Store, name: &str) -> Result<String, Failure> {
    let client = store.client(name).await.map_err(|error| refusal(&error))?;
    Ok(client.map_or_else(|| name.to_owned(), |client| client.name))
}

async fn revoke(screen: &Screen, name: &str, settings: &Settings) -> Result<Exit, Failure> {
    let store = open(settings.load()?).await?;
    let store = store.audited(entry(Action::ClientRevoke, &written(&store, name).await?));
    let found = store.revoke_client(name, Clock::system().now()).await;
    store.close().await;
    if !found.map_err(|error| refusal(&error))? {
        return Err(unknown(name));
    }
    if screen.is_json() {
        screen.json(&serde_json::json!({"name": name, "revoked": true}));
    } else {
        screen.line(format!(
            "{} is locked out; tokens it holds stopped working at once.",
            plain(name)
        ));
    }
    Ok(Exit::Ok)
}

fn print_secret(screen: &Screen, name: &str, secret: &str, made: Option<&Path>) {
    if screen.is_json() {
        let mut answer = serde_json::json!({"client_id": name, "client_secret": secret});
        if let Some(file) = made {
            answer["made_store"] = file.to_string_lossy().into();
        }
        screen.json(&answer);
        return;
    }
    screen.line(format!("export TRANSHIP_CLIENT_ID={}", quoted(name)));
    screen.line(format!("export TRANSHIP_CLIENT_SECRET={}", quoted(secret)));
    screen.note(format!(
        "The secret is shown this once. Jobs that list `{}` under `clients` are open to it.",
        plain(name)
    ));
}

pub(super) fn unknown(name: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("there is no client `{}` that is not revoked", plain(name)),
    )
    .cure("`tranship client list` shows them all.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_store_is_noticed_and_a_revoked_name_stays_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = Settings {
            data_dir: Some(folder.path().join("data")),
            ..Settings::default()
        };
        let url = settings.load().expect("settings").store.url;
        let screen = Screen::detect(true);
        assert!(new_store_file(&url).is_some());
        let added = add(&screen, "shop", Role::Client, &settings).await;
        assert_eq!(added, Ok(Exit::Ok));
        assert_eq!(new_store_file(&url), None);

        let twice = add(&screen, "shop", Role::Client, &settings).await.expect_err("taken");
        assert_eq!(twice.exit, Exit::Failed);
        assert!(twice.what.contains("exists already"), "{twice}");
        assert_eq!(revoke(&screen, "shop", &settings).await, Ok(Exit::Ok));
        let again = add(&screen, "shop", Role::Client, &settings)
            .await
            .expect_err("revoked");
        assert_eq!(again.exit, Exit::Failed);
        assert!(again.what.contains("revoked for good"), "{again}");
    }
}

//! `tranship client`: who may talk to the service. Works on the store itself, so that the first client needs no other one.

use clap::Subcommand;

use super::screen::{Screen, plain};
use super::settings::Settings;
use super::{Exit, Failure};
use crate::auth::secrets::{hash_secret, new_secret};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::storage::clients::Client;
use crate::storage::{Sharing, Store, StoreError, StoreSettings};

/// Longest client name.
const NAME_CHARS_MAX: usize = 100;

/// Say who may talk to the service
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Add a client and print its secret, once
    Add {
        /// Its name: what jobs list under `clients`
        #[arg(value_parser = client_name)]
        name: String,
        /// What it may do beyond its jobs
        #[arg(long, value_enum, default_value_t = Role::Client)]
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

/// What a client may do beyond the jobs that list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Use the jobs that list it
    Client,
    /// Look at everything
    Viewer,
    /// Look at everything, run and repair
    Operator,
    /// All of it, clients included
    Admin,
}

impl Role {
    /// The word in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl ClientCommand {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::Add { json, .. }
            | Self::List { json, .. }
            | Self::Rotate { json, .. }
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
            Self::Revoke { name, settings, .. } => revoke(screen, &name, &settings).await,
        }
    }
}

fn client_name(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&text.chars().count());
    if !fits || text.trim() != text || text.chars().any(char::is_control) {
        return Err(format!("1 to {NAME_CHARS_MAX} characters, no space at the ends"));
    }
    Ok(text.to_owned())
}

async fn add(screen: &Screen, name: &str, role: Role, settings: &Settings) -> Result<Exit, Failure> {
    let secret = new_secret();
    let client = Client {
        name: name.to_owned(),
        secret_hash: hash_secret(&secret),
        role: role.as_str().to_owned(),
        created_at: Clock::system().now(),
        revoked_at: None,
    };
    let store = open(settings).await?;
    let added = store.add_client(&client).await;
    store.close().await;
    added.map_err(|error| refusal(&error))?;
    print_secret(screen, name, &secret);
    Ok(Exit::Ok)
}

async fn list(screen: &Screen, settings: &Settings) -> Result<Exit, Failure> {
    let store = open(settings).await?;
    let clients = store.clients().await;
    store.close().await;
    let clients = clients.map_err(|error| refusal(&error))?;
    if screen.is_json() {
        let list: Vec<_> = clients
            .iter()
            .map(|client| {
                serde_json::json!({"name": client.name, "role": client.role, "created_at": client.created_at,
                                   "revoked_at": client.revoked_at})
            })
            .collect();
        screen.json(&serde_json::json!({"clients": list}));
    } else if clients.is_empty() {
        screen.note("There is no client yet: `tranship client add NAME` makes one.");
    } else {
        let mut rows = vec![["name", "role", "added", "revoked"].map(str::to_owned).to_vec()];
        rows.extend(clients.iter().map(|client| {
            let revoked = client.revoked_at.map_or_else(|| "-".to_owned(), Timestamp::wire);
            vec![
                plain(&client.name),
                client.role.clone(),
                client.created_at.wire(),
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
    let store = open(settings).await?;
    let found = store.set_client_secret(name, &hash).await;
    store.close().await;
    if !found.map_err(|error| refusal(&error))? {
        return Err(unknown(name));
    }
    print_secret(screen, name, &secret);
    Ok(Exit::Ok)
}

async fn revoke(screen: &Screen, name: &str, settings: &Settings) -> Result<Exit, Failure> {
    let store = open(settings).await?;
    let found = store.revoke_client(name, Clock::system().now()).await;
    store.close().await;
    if !found.map_err(|error| refusal(&error))? {
        return Err(unknown(name));
    }
    if screen.is_json() {
        screen.json(&serde_json::json!({"name": name, "revoked": true}));
    } else {
        screen.line(format!(
            "{} is locked out. Tokens it holds end by themselves.",
            plain(name)
        ));
    }
    Ok(Exit::Ok)
}

/// Opens the store beside the service that may be running on it.
async fn open(settings: &Settings) -> Result<Store, Failure> {
    let config = settings.load()?;
    let settings = StoreSettings {
        url: config.store.url,
        max_connections: config.store.max_connections,
        sharing: Sharing::Beside,
    };
    Store::connect(&settings).await.map_err(|error| refusal(&error))
}

fn print_secret(screen: &Screen, name: &str, secret: &str) {
    if screen.is_json() {
        screen.json(&serde_json::json!({"client_id": name, "client_secret": secret}));
        return;
    }
    screen.line(format!("export TRANSHIP_CLIENT_ID={}", quoted(name)));
    screen.line(format!("export TRANSHIP_CLIENT_SECRET={}", quoted(secret)));
    screen.note(format!(
        "The secret is shown this once. Jobs that list `{}` under `clients` are open to it.",
        plain(name)
    ));
}

/// A text as a POSIX shell takes it as one word.
pub(super) fn quoted(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn unknown(name: &str) -> Failure {
    Failure::new(
        Exit::Refused,
        format!("there is no client `{}` that is not revoked", plain(name)),
    )
    .cure("`tranship client list` shows them all.")
}

fn refusal(error: &StoreError) -> Failure {
    match error {
        StoreError::Exists { .. } => {
            Failure::new(Exit::Refused, error.to_string()).cure("`tranship client rotate NAME` gives it a new secret.")
        }
        StoreError::Locked { .. } => Failure::failed(error.to_string()).cure("Try again: a start takes a moment."),
        StoreError::Settings(_) | StoreError::Migration(_) => Failure::usage(error.to_string()),
        _ => Failure::failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("shop-middleware"), "shop-middleware");
        assert_eq!(quoted("it's; rm -rf $HOME"), r"'it'\''s; rm -rf $HOME'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn a_client_name_has_no_space_at_its_ends() {
        assert!(client_name("shop middleware").is_ok());
        for bad in ["", " a", "a ", "a\nb", &"x".repeat(101)] {
            assert!(client_name(bad).is_err(), "{bad:?}");
        }
    }
}

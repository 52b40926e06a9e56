//! `tranship console`: a link that signs in to the console, once. Works on the store itself, so that it needs no client.

use std::net::SocketAddr;

use super::actor::entry;
use super::client::unknown;
use super::screen::{Screen, Tone};
use super::settings::Settings;
use super::store::{open, refusal};
use super::{Exit, Failure};
use crate::auth::sessions::LINK_SECONDS;
use crate::clock::Clock;
use crate::config::Config;
use crate::console::link::new_link;
use crate::domain::audit::Action;
use crate::http::auth::LOCAL_OPERATOR;
use crate::storage::sessions::Visitor;

/// Print a link that signs in to the web console, once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Whoever opens the link within a quarter of an hour is an operator: it is for those who have the service's store at hand, and
may do everything anyway. Others sign in with the name and secret of a client.

Examples:
  tranship console
  tranship console --client auditor --url https://integration.example.com")]
pub struct Console {
    /// Sign in as this client, with its role, instead of as the local operator
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Where browsers reach the service, instead of what the settings and the running service say
    #[arg(long, value_name = "URL")]
    url: Option<url::Url>,
    /// Print it as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Console {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let config = self.settings.load()?;
        let base = self.url.as_ref().map_or_else(|| address(&config), ToString::to_string);
        let store = open(config).await?;
        let now = Clock::system().now();
        let linked = async {
            let visitor = match &self.client {
                None => Visitor::Local,
                Some(name) => {
                    let client = store.client(name).await.map_err(|error| refusal(&error))?;
                    let client = client.filter(|client| client.revoked_at.is_none());
                    Visitor::Client(client.ok_or_else(|| unknown(name))?.name)
                }
            };
            let target = match &visitor {
                Visitor::Local => LOCAL_OPERATOR,
                Visitor::Client(name) => name.as_str(),
            };
            let store = store.audited(entry(Action::ConsoleLink, target));
            let link = new_link(&store, &base, &visitor, now).await;
            link.map_err(|error| refusal(&error))
        };
        let linked = linked.await;
        store.close().await;
        let link = linked?;
        if screen.is_json() {
            screen.json(&serde_json::json!({ "url": link, "expires_at": now.plus_seconds(LINK_SECONDS) }));
        } else {
            screen.line(screen.paint(Tone::Strong, &link));
            screen.note("It signs in once, within a quarter of an hour.");
        }
        Ok(Exit::Ok)
    }
}

/// Where the service is reached, as far as this machine knows.
fn address(config: &Config) -> String {
    if let Some(url) = &config.server.public_url {
        return url.to_string();
    }
    let written = |file: &str| {
        let text = std::fs::read_to_string(config.data_dir.join(file)).ok()?;
        text.trim().parse::<SocketAddr>().ok()
    };
    let (scheme, mut address) = match written("listening-tls") {
        Some(address) => ("https", address),
        None => ("http", written("listening").unwrap_or(config.server.listen)),
    };
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("{scheme}://{address}")
}

//! `sandbox.*`: what `tranship serve --sandbox` plays with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Server;
use super::reader::Reader;

/// `sandbox.*`. `Debug` hides tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// `reachable`: others than this machine may reach it.
    pub reachable: bool,
    /// `tokens`: access tokens and the clients they stand for (AUTH-14).
    pub tokens: BTreeMap<String, String>,
    /// `seed`: the folder of files that are pushed into an empty store, and after each reset.
    pub seed: Option<PathBuf>,
}

impl Sandbox {
    /// As it is written; `None` unless it is enabled.
    pub(super) fn read(reader: &Reader<'_>) -> Option<Self> {
        let enabled = reader.truth("sandbox.enabled");
        let reachable = reader.truth("sandbox.reachable");
        let seed = reader.text("sandbox.seed").map(PathBuf::from);
        let mut tokens = BTreeMap::new();
        for token in reader.keys_below("sandbox.tokens") {
            let key = format!("sandbox.tokens.{token}");
            if let Some(client) = reader.text(&key) {
                tokens.insert(token, client);
            }
        }
        enabled.then_some(Self {
            reachable,
            tokens,
            seed,
        })
    }

    /// Whoever reaches a sandbox can break what others do with it, so it is for this machine unless that is said, too.
    pub(super) fn check(&self, server: &Server, reader: &Reader<'_>) {
        let open = |address: std::net::SocketAddr| !address.ip().is_loopback();
        let why = if self.reachable {
            None
        } else if server.public_url.is_some() {
            Some("server.public_url")
        } else if open(server.listen) {
            Some("server.listen")
        } else if server.tls.as_ref().is_some_and(|tls| open(tls.listen)) {
            Some("server.tls_listen")
        } else if !server.trusted_proxies.is_empty() {
            Some("server.trusted_proxies")
        } else {
            None
        };
        if let Some(setting) = why {
            reader.blame(
                "sandbox.enabled",
                format!(
                    "a sandbox is for this machine, and `{setting}` lets others in, who could break what you test, or reset it. Listen on \
                     127.0.0.1, or say that it is meant: --sandbox-reachable (`sandbox.reachable = true`)"
                ),
            );
        }
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("reachable", &self.reachable)
            .field("clients", &self.tokens.values())
            .field("seed", &self.seed)
            .finish()
    }
}

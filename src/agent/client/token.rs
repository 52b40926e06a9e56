//! Signing in (contract section 2): either version of the token endpoint, as a program or as a user.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::super::config::TokenVersion;
use super::super::trouble::{Kind, Trouble};
use super::{Client, read};
use crate::outgoing::read_secret;

/// A token this close to its end is not used any more.
const MARGIN_SECONDS: u64 = 60;

/// An access token.
pub(super) struct Token {
    header: String,
    good_until: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// A number, or in version 1 a text that holds one (AUTH-1).
    #[serde(default)]
    expires_in: Value,
}

impl Client {
    /// The bearer header; asks for a token when there is none or it is about to end.
    pub(super) async fn sign_in(&self) -> Result<String, Trouble> {
        let mut token = self.token.lock().await;
        if let Some(token) = token.as_ref().filter(|token| Instant::now() < token.good_until) {
            return Ok(token.header.clone());
        }
        let asked = Instant::now();
        let fresh = self.ask_for_token().await.map_err(|trouble| Trouble {
            // Whatever is wrong with a sign-in, it is not a file's fault.
            kind: match trouble.kind {
                Kind::Refused => Kind::NotAllowed,
                other => other,
            },
            what: format!("cannot sign in: {}", trouble.what),
            ..trouble
        })?;
        let lifetime = seconds(&fresh.expires_in).saturating_sub(MARGIN_SECONDS);
        let header = format!("Bearer {}", fresh.access_token);
        *token = Some(Token {
            header: header.clone(),
            good_until: asked + Duration::from_secs(lifetime),
        });
        Ok(header)
    }

    async fn ask_for_token(&self) -> Result<Answer, Trouble> {
        let server = &self.server;
        let source = server.secret.clone();
        let secret = tokio::task::spawn_blocking(move || read_secret(&source)).await;
        let secret = secret.map_err(|error| Trouble::new(Kind::Local, error.to_string()))?;
        let (secret, _) = secret.map_err(|why| Trouble::new(Kind::NotAllowed, why))?;
        let secret = secret.trim_end_matches(['\r', '\n']);
        let mut form = vec![("client_id", server.client_id.as_str())];
        match &server.username {
            None => form.extend([("grant_type", "client_credentials"), ("client_secret", secret)]),
            // AUTH-4
            Some(user) => form.extend([
                ("grant_type", "password"),
                ("username", user.as_str()),
                ("password", secret),
            ]),
        }
        // AUTH-3
        let scope = format!("{}/.default", server.resource.trim_end_matches('/'));
        form.push(match server.token_version {
            TokenVersion::V1 => ("resource", server.resource.as_str()),
            TokenVersion::V2 => ("scope", scope.as_str()),
        });
        read(
            self.send_unsigned(self.http.post(server.token_url.clone()).form(&form))
                .await?,
        )
        .await
    }

    /// Sends a request that carries no token. (`send` would forget one that is being asked for.)
    async fn send_unsigned(&self, request: reqwest::RequestBuilder) -> Result<reqwest::Response, Trouble> {
        let sent = tokio::time::timeout(super::CONNECT_PATIENCE * 6, request.send());
        let answered = sent.await.map_err(|_| Trouble::new(Kind::Away, "no answer in time"))?;
        let response = answered.map_err(Trouble::unanswered)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Trouble::of(response, &self.clock).await)
    }
}

/// A lifetime in either form; without one the token is used for this request only.
fn seconds(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

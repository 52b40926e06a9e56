//! Other issuers of access tokens: fetches the keys they publish, keeps them, and asks [`crate::auth::outside`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use reqwest::Method;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::problem::{Kind, Problem};
use crate::auth::outside::{Doubt, Outsider, Trust, named_issuer};
use crate::config;
use crate::domain::time::Timestamp;
use crate::outgoing::{Answer, Client};

/// Longest discovery document or key set.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Keys older than this are fetched again.
const KEPT_FOR: Duration = Duration::from_hours(1);
/// Between two fetches of one issuer's keys: a token can name any key it likes.
const ASKED_AGAIN_AFTER: Duration = Duration::from_mins(1);

/// The issuers besides the service itself.
#[derive(Debug)]
pub struct Issuers {
    issuers: Vec<Issuer>,
    client: Client,
}

#[derive(Debug)]
struct Issuer {
    trust: Trust,
    jwks_url: Option<String>,
    /// Held while the keys are fetched: of many requests one asks.
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    known: Option<(Arc<JwkSet>, Instant)>,
    asked: Option<Instant>,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl Issuers {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &[config::Issuer]) -> Self {
        let issuer = |settings: &config::Issuer| Issuer {
            trust: Trust {
                issuer: settings.issuer.clone(),
                tenant: settings.tenant.clone(),
                audiences: settings.audiences.clone(),
            },
            jwks_url: settings.jwks_url.clone(),
            keys: Mutex::default(),
        };
        Self {
            issuers: settings.iter().map(issuer).collect(),
            client: Client::new(&config::Outgoing::for_issuers()),
        }
    }

    /// Who sends a token that says it is from one of these issuers; nothing for tokens of the service itself.
    ///
    /// # Errors
    /// 401 for a token that is no good; 503 while the issuer's keys cannot be fetched.
    pub async fn verify(&self, token: &str, now: Timestamp, ours: &[String]) -> Result<Option<Outsider>, Problem> {
        if self.issuers.is_empty() {
            return Ok(None);
        }
        let named = named_issuer(token);
        let Some(issuer) = self
            .issuers
            .iter()
            .find(|one| Some(&one.trust.issuer) == named.as_ref())
        else {
            return Ok(None);
        };
        let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
        let mut verdict = issuer.check(issuer.keys(&self.client, Keys::are_old).await, token, now, &ours)?;
        if verdict == Err(Doubt::UnknownKey) {
            verdict = issuer.check(issuer.keys(&self.client, |_| true).await, token, now, &ours)?;
        }
        match verdict {
            Ok(outsider) => Ok(Some(outsider)),
            Err(Doubt::Bad(error)) => Err(Problem::unauthorized(&error)),
            Err(Doubt::UnknownKey) => Err(Problem::new(
                Kind::Unauthorized,
                format!(
                    "the token is signed with a key that {} does not publish",
                    issuer.trust.issuer
                ),
            )),
        }
    }
}

impl Keys {
    fn are_old(&self) -> bool {
        self.known
            .as_ref()
            .is_none_or(|(_, fetched)| fetched.elapsed() > KEPT_FOR)
    }
}

impl Issuer {
    fn check(
        &self,
        keys: Option<Arc<JwkSet>>,
        token: &str,
        now: Timestamp,
        ours: &[&str],
    ) -> Result<Result<Outsider, Doubt>, Problem> {
        let keys = keys.ok_or_else(|| {
            let detail = format!(
                "the keys of {} cannot be fetched; try again in a minute",
                self.trust.issuer
            );
            Problem::new(Kind::Unavailable, detail)
        })?;
        Ok(self.trust.verify(token, &keys, now, ours))
    }

    /// The keys as they are known, fetched before that where they are wanted anew and were not asked for a moment ago; those known before
    /// stay where it fails.
    async fn keys(&self, client: &Client, are_wanted: impl FnOnce(&Keys) -> bool) -> Option<Arc<JwkSet>> {
        let mut keys = self.keys.lock().await;
        let was_asked = keys.asked.is_some_and(|asked| asked.elapsed() < ASKED_AGAIN_AFTER);
        if are_wanted(&keys) && !was_asked {
            keys.asked = Some(Instant::now());
            match self.fetch(client).await {
                Ok(found) => keys.known = Some((Arc::new(found), Instant::now())),
                Err(why) => {
                    tracing::warn!(issuer = %self.trust.issuer, "cannot fetch the keys of an issuer of tokens: {why}");
                }
            }
        }
        keys.known.as_ref().map(|(known, _)| Arc::clone(known))
    }

    async fn fetch(&self, client: &Client) -> Result<JwkSet, String> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover(client).await?,
        };
        document(client, &url).await
    }

    /// Where the issuer says its keys are.
    async fn discover(&self, client: &Client) -> Result<String, String> {
        let base = self.trust.issuer.trim_end_matches('/');
        let url = format!("{base}/.well-known/openid-configuration");
        let found: Configuration = document(client, &url).await?;
        if found.issuer != self.trust.issuer {
            return Err(format!("{url} says that the issuer is {}", found.issuer));
        }
        if !config::is_fit_for_keys(&found.jwks_uri) {
            return Err(format!("{url} names keys at {}, which is not https://", found.jwks_uri));
        }
        Ok(found.jwks_uri)
    }
}

async fn document<T: serde::de::DeserializeOwned>(client: &Client, url: &str) -> Result<T, String> {
    let said = |answer: Answer| format!("{url}: {answer:?}");
    let request = client.request(Method::GET, url).await.map_err(said)?;
    let (status, bytes) = Client::fetch(request, DOCUMENT_BYTES_MAX).await.map_err(said)?;
    if status != 200 {
        return Err(format!("{url} answered {status}"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("{url}: {error}"))
}

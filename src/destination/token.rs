//! Access tokens by OAuth 2.0 client credentials (RFC 6749, 4.4): asked for when one is needed, and kept while they are good.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde::Deserialize;

use crate::domain::time::Timestamp;
use crate::outgoing::{Answer, Client};

/// Longest answer of a token endpoint.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// A token this close to its end is not used any more.
const MARGIN_SECONDS: i64 = 60;
/// How long a token is good for whose answer does not say.
const UNSAID_SECONDS: i64 = 300;
/// Tokens kept; past it all are forgotten, and asked for again.
const KEPT_MAX: usize = 1000;

/// The tokens that are good now.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<Key, Kept>>);

/// Of whom, for what, by which secret: a new secret is used at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    token_url: String,
    client_id: String,
    scope: Option<String>,
    secret: [u8; 32],
}

struct Kept {
    token: String,
    good_until: Timestamp,
}

/// A token, and where it came from.
pub(super) struct Asked {
    key: Key,
    /// The token.
    pub token: String,
    /// Whether it was kept from before.
    pub was_kept: bool,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

impl Tokens {
    /// A token of this client at this endpoint for this scope.
    ///
    /// # Errors
    /// [`Answer::Refused`] when the endpoint refuses the client; [`Answer::Failed`] when it gives no token now.
    pub async fn token(
        &self,
        client: &Client,
        (token_url, client_id, scope): (&str, &str, Option<&str>),
        secret: &str,
        now: Timestamp,
    ) -> Result<Asked, Answer> {
        use sha2::Digest as _;
        let key = Key {
            token_url: token_url.to_owned(),
            client_id: client_id.to_owned(),
            scope: scope.map(str::to_owned),
            secret: sha2::Sha256::digest(secret).into(),
        };
        if let Some(token) = self.kept(&key, now) {
            return Ok(Asked {
                key,
                token,
                was_kept: true,
            });
        }
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret),
        ];
        form.extend(scope.map(|scope| ("scope", scope)));
        let request = client.request(Method::POST, token_url).await.map_err(of_endpoint)?;
        let request = request.header(ACCEPT, "application/json").form(&form);
        let (code, body) = Client::fetch(request, ANSWER_BYTES_MAX).await.map_err(of_endpoint)?;
        if !(200..300).contains(&code) {
            return Err(refusal(code, &body));
        }
        let answer: TokenAnswer = serde_json::from_slice(&body)
            .map_err(|_| Answer::Failed("the token endpoint's answer holds no access_token".to_owned()))?;
        self.keep(&key, &answer, now);
        Ok(Asked {
            key,
            token: answer.access_token,
            was_kept: false,
        })
    }

    /// Keeps a token no longer that its receiver did not take.
    pub fn forget(&self, asked: &Asked) {
        self.with(|tokens| {
            if tokens.get(&asked.key).is_some_and(|kept| kept.token == asked.token) {
                tokens.remove(&asked.key);
            }
        });
    }

    fn kept(&self, key: &Key, now: Timestamp) -> Option<String> {
        self.with(|tokens| {
            let kept = tokens.get(key).filter(|kept| now < kept.good_until)?;
            Some(kept.token.clone())
        })
    }

    fn keep(&self, key: &Key, answer: &TokenAnswer, now: Timestamp) {
        // Some endpoints write the number as a text.
        let said = answer.expires_in.as_ref().and_then(|said| match said {
            serde_json::Value::String(text) => text.parse().ok(),
            said => said.as_i64(),
        });
        let seconds = said.unwrap_or(UNSAID_SECONDS).clamp(0, 86_400);
        let kept = Kept {
            token: answer.access_token.clone(),
            good_until: now.plus_seconds(seconds - MARGIN_SECONDS),
        };
        self.with(|tokens| {
            if tokens.len() >= KEPT_MAX {
                tokens.clear();
            }
            tokens.insert(key.clone(), kept);
        });
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Key, Kept>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says that it was the token endpoint that gave no answer.
fn of_endpoint(answer: Answer) -> Answer {
    match answer {
        Answer::Failed(why) => Answer::Failed(format!("token endpoint: {why}")),
        Answer::Refused(why) => Answer::Refused(format!("token endpoint: {why}")),
        answer @ Answer::Status { .. } => answer,
    }
}

/// What the endpoint says of why (RFC 6749, 5.2), and nothing else of its answer.
fn refusal(code: u16, body: &[u8]) -> Answer {
    let said: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let words: Vec<String> = [said.error, said.error_description]
        .into_iter()
        .filter(|words| !words.is_empty())
        .map(|words| words.replace(char::is_control, " ").chars().take(500).collect())
        .collect();
    let why = format!("token endpoint: HTTP {code} {}", words.join(": "));
    let why = why.trim_end().to_owned();
    match code {
        408 | 429 | 500..=599 => Answer::Failed(why),
        _ => Answer::Refused(why),
    }
}

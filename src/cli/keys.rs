//! `tranship keys`: what tokens, receipts and links are signed with. Works on the store itself, beside the services on it.

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::actor::entry;
use super::screen::Screen;
use super::settings::Settings;
use super::shell::program;
use super::store::{open, refusal};
use super::{Exit, Failure};
use crate::auth::secrets::random_key;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::audit::Action;
use crate::domain::message::Digest as Hash;
use crate::domain::time::Timestamp;
use crate::http::leases::LEASE_SECONDS_MAX;
use crate::storage::keys::{KeyPurpose, NewKey, Pace, Rotated, StoredKey, done_with_oldest, signer};

/// List and rotate what tokens, receipts and links are signed with
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys, never their secrets
    List {
        /// Print them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Make new keys; those before them stay good for checking, those before these end
    #[command(after_help = "\
Running services know a new key within ten seconds and sign with it from a minute on. At most two keys of a purpose are good: a second
rotation ends the oldest, and is refused while something it signed may still be good. With --force it is not, and the new key signs at
once: twice in a row, for a key that leaked. Whoever holds a token of before asks for a new one; receipts and links of before are void.

Examples:
  tranship keys rotate
  tranship keys rotate --purpose token --force")]
    Rotate {
        /// Only these; all of them unless given
        #[arg(long, value_name = "PURPOSE", value_parser = purposes())]
        purpose: Vec<KeyPurpose>,
        /// Sign with the new keys at once, and end the oldest whatever it signed
        #[arg(long)]
        force: bool,
        /// Print what became of them as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: Settings,
    },
}

impl KeysCommand {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::List { json, .. } | Self::Rotate { json, .. } => *json,
        }
    }

    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        match self {
            Self::List { settings, .. } => list(screen, &settings).await,
            Self::Rotate {
                purpose,
                force,
                settings,
                ..
            } => {
                let pace = if force { Pace::Forced } else { Pace::Orderly };
                rotate(screen, &purpose, pace, &settings).await
            }
        }
    }
}

fn purposes() -> impl TypedValueParser<Value = KeyPurpose> {
    PossibleValuesParser::new(KeyPurpose::ALL.map(KeyPurpose::as_str))
        .map(|word| KeyPurpose::parse(&word).unwrap_or(KeyPurpose::Token))
}

/// How long what such a key signs may be good, in seconds.
fn life_seconds(config: &Config, purpose: KeyPurpose) -> u32 {
    match purpose {
        KeyPurpose::Token => config.server.token_seconds,
        // A lease that its holder extends is as long again, from then on.
        KeyPurpose::Receipt => LEASE_SECONDS_MAX,
        KeyPurpose::Url => config.server.link_seconds.max(config.blobs.upload_link_seconds),
    }
}

/// What a key does at a time, in a word.
fn role(key: &StoredKey, of_purpose: &[&StoredKey], now: Timestamp) -> &'static str {
    match signer(of_purpose, now) {
        Some(signer) if signer == key => "signs",
        Some(signer) if signer.created_at < key.created_at => "signs soon",
        _ => "checks",
    }
}

/// A name for a key that says nothing of its secret.
fn id(key: &StoredKey) -> String {
    let hash = Sha256::new()
        .chain_update(b"tranship key id\0")
        .chain_update(&key.secret);
    let mut id = Hash(hash.finalize().into()).hex();
    id.truncate(12);
    id
}

async fn list(screen: &Screen, settings: &Settings) -> Result<Exit, Failure> {
    let config = settings.load()?;
    let lives = KeyPurpose::ALL.map(|purpose| life_seconds(&config, purpose));
    let store = open(config).await?;
    let keys = store.stored_keys().await;
    store.close().await;
    let (keys, now) = (keys.map_err(|error| refusal(&error))?, Clock::system().now());
    let mut rows = vec![
        ["purpose", "key", "made", "signs from", "it", "may end"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut listed = Vec::new();
    for (purpose, life) in KeyPurpose::ALL.into_iter().zip(lives) {
        let of_purpose: Vec<&StoredKey> = keys.iter().filter(|key| key.purpose == purpose).collect();
        for (at, key) in of_purpose.iter().enumerate() {
            let ends = (at == 1).then(|| done_with_oldest(&of_purpose, life)).flatten();
            let role = role(key, &of_purpose, now);
            listed.push(json!({
                "purpose": purpose.as_str(), "id": id(key), "created_at": key.created_at, "signs_from": key.signs_from,
                "role": role, "may_end_at": ends,
            }));
            rows.push(vec![
                purpose.as_str().to_owned(),
                id(key),
                key.created_at.wire(),
                key.signs_from.wire(),
                role.to_owned(),
                ends.map_or_else(|| "-".to_owned(), Timestamp::wire),
            ]);
        }
    }
    if screen.is_json() {
        screen.json(&json!({ "keys": listed }));
    } else if listed.is_empty() {
        screen.note("There is no key yet: the first start of the service makes them.");
    } else {
        screen.table(&rows);
    }
    Ok(Exit::Ok)
}

async fn rotate(screen: &Screen, wanted: &[KeyPurpose], pace: Pace, settings: &Settings) -> Result<Exit, Failure> {
    let config = settings.load()?;
    let purposes: Vec<KeyPurpose> = KeyPurpose::ALL
        .into_iter()
        .filter(|purpose| wanted.is_empty() || wanted.contains(purpose))
        .collect();
    let new = purposes.iter().map(|purpose| NewKey {
        purpose: *purpose,
        secret: random_key(),
        life_seconds: life_seconds(&config, *purpose),
    });
    let new: Vec<NewKey> = new.collect();
    let words: Vec<&str> = purposes.iter().map(|purpose| purpose.as_str()).collect();
    let store = open(config).await?;
    let entry = entry(Action::KeysRotate, "keys")
        .with("purposes", words.clone())
        .with("forced", pace == Pace::Forced);
    let rotated = store.audited(entry).rotate_keys(new, pace, Clock::system().now()).await;
    store.close().await;
    match rotated.map_err(|error| refusal(&error))? {
        Rotated::TooSoon(good) => Err(too_soon(&good)),
        Rotated::Done { ended, signs_from } => {
            let ended: Vec<&str> = ended.iter().map(|purpose| purpose.as_str()).collect();
            say(screen, &words, &ended, signs_from, pace);
            Ok(Exit::Ok)
        }
    }
}

fn say(screen: &Screen, words: &[&str], ended: &[&str], signs_from: Timestamp, pace: Pace) {
    if screen.is_json() {
        screen.json(&json!({ "rotated": words, "ended": ended, "signs_from": signs_from }));
        return;
    }
    let when = match pace {
        Pace::Orderly => format!("from {} on", signs_from.wire()),
        Pace::Forced => "within ten seconds".to_owned(),
    };
    screen.line(format!(
        "New keys for {}: services sign with them {when}.",
        words.join(", ")
    ));
    if ended.is_empty() {
        screen.note("What was signed before stays good until it ends by itself, or until the next rotation.");
    } else {
        screen.note(format!(
            "The oldest key for {} ended: what it signed is void.",
            ended.join(", ")
        ));
    }
}

fn too_soon(good: &[(KeyPurpose, Timestamp)]) -> Failure {
    let list: Vec<String> = good
        .iter()
        .map(|(purpose, until)| format!("{} until {}", purpose.as_str(), until.wire()))
        .collect();
    Failure::failed(format!(
        "the keys were rotated lately, and another rotation would end the oldest, while what it signed may still be good: {}",
        list.join(", ")
    ))
    .cure(format!(
        "Wait until then. If a key leaked: `{} keys rotate --force`, and what it signed is void at once.",
        program()
    ))
}

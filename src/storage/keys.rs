//! Signing keys, created by unique insert so that many processes starting at once agree (design section 3), and rotated.
//!
//! Of each purpose there are two at most. A new key checks from the moment a process has read it, and signs from a while later
//! (`signs_from`), when every process has: processes read them again every few seconds. See `docs/adr/0012-keys-check-before-they-sign.md`.

use super::dialect::lock_keys;
use super::pool::{Tx, execute, fetch_all};
use super::{Store, StoreError};
use crate::domain::time::Timestamp;

/// Seconds between the making of a key and its first signature: several times what any process takes to read it, and as far apart
/// as clocks may be.
pub const SIGNS_AFTER_SECONDS: i64 = 60;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// Access tokens.
    Token,
    /// Receipts.
    Receipt,
    /// Blob and download URLs.
    Url,
}

impl KeyPurpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Token, Self::Receipt, Self::Url];

    /// The word in the column.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Receipt => "receipt",
            Self::Url => "url",
        }
    }

    /// The purpose of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == word)
    }
}

/// A key as stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What it signs.
    pub purpose: KeyPurpose,
    /// Its bytes.
    pub secret: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it signs.
    pub signs_from: Timestamp,
}

impl std::fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredKey({} secret)", self.purpose.as_str())
    }
}

/// Keys by purpose: the one that signs, then those that only check.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SigningKeys {
    /// For access tokens.
    pub token: Vec<Vec<u8>>,
    /// For receipts.
    pub receipt: Vec<Vec<u8>>,
    /// For URLs.
    pub url: Vec<Vec<u8>>,
}

impl SigningKeys {
    fn of(keys: &[StoredKey], now: Timestamp) -> Self {
        let secrets = |purpose| {
            let of_purpose: Vec<&StoredKey> = keys.iter().filter(|key| key.purpose == purpose).collect();
            let signer = signer(&of_purpose, now);
            let (first, rest): (Vec<_>, Vec<_>) = of_purpose.into_iter().partition(|key| Some(*key) == signer);
            first.into_iter().chain(rest).map(|key| key.secret.clone()).collect()
        };
        Self {
            token: secrets(KeyPurpose::Token),
            receipt: secrets(KeyPurpose::Receipt),
            url: secrets(KeyPurpose::Url),
        }
    }

    fn complete(&self) -> bool {
        [&self.token, &self.receipt, &self.url]
            .into_iter()
            .all(|keys| !keys.is_empty())
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys(secret)")
    }
}

/// Which of one purpose's keys, newest first, signs: the newest whose time has come, or else the oldest.
#[must_use]
pub fn signer<'k>(keys: &[&'k StoredKey], now: Timestamp) -> Option<&'k StoredKey> {
    let due = keys.iter().find(|key| key.signs_from <= now);
    due.or(keys.last()).copied()
}

/// From when on the older of two keys, newest first, has signed nothing that is still good, where such a thing lives that long.
/// A process whose clock is late signs with it for as long as clocks may be apart. `None`: there are no two.
#[must_use]
pub fn done_with_oldest(keys: &[&StoredKey], life_seconds: u32) -> Option<Timestamp> {
    let [newest, _, ..] = keys else { return None };
    let last_signed = newest.signs_from.plus_seconds(SIGNS_AFTER_SECONDS);
    Some(last_signed.plus_seconds(i64::from(life_seconds)))
}

/// One purpose's new key.
#[derive(Clone)]
pub struct NewKey {
    /// What it signs.
    pub purpose: KeyPurpose,
    /// 32 random bytes.
    pub secret: [u8; 32],
    /// How long what such keys sign stays good.
    pub life_seconds: u32,
}

/// How a rotation goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The new key signs once every process knows it, and no key ends while what it signed may be good.
    Orderly,
    /// The new key signs at once, and the oldest ends, whatever it signed.
    Forced,
}

/// What became of a rotation: all of the purposes or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// Each has a new key; of these the oldest ended.
    Done {
        /// Whose.
        ended: Vec<KeyPurpose>,
        /// From when on the new ones sign.
        signs_from: Timestamp,
    },
    /// What the oldest key of these signed may still be good, until then.
    TooSoon(Vec<(KeyPurpose, Timestamp)>),
}

impl Store {
    /// The valid keys of every purpose, at most two each; creates what is missing from `fresh` (32 random bytes per purpose, in
    /// the order token, receipt, url) in one transaction and returns what won.
    pub async fn signing_keys(&self, fresh: [[u8; 32]; 3], now: Timestamp) -> Result<SigningKeys, StoreError> {
        let present = self.current_keys(now).await?;
        if present.complete() {
            return Ok(present);
        }
        self.write(move |tx| Box::pin(async move {
            for (purpose, secret) in KeyPurpose::ALL.into_iter().zip(fresh) {
                // A purpose that has a key in either slot keeps it; of processes that start together one fills slot 0.
                let text = "insert into signing_keys (purpose, slot, secret, created_at, signs_from) select $1, 0, $2, $3, $3 \
                    where not exists (select 1 from signing_keys where purpose = $1) on conflict (purpose, slot) do nothing";
                execute!(tx.db(), text, purpose.as_str(), secret.to_vec(), now.micros())?;
            }
            Ok(())
        }))
        .await?;
        self.current_keys(now).await
    }

    /// The keys as they are now.
    pub async fn current_keys(&self, now: Timestamp) -> Result<SigningKeys, StoreError> {
        Ok(SigningKeys::of(&self.stored_keys().await?, now))
    }

    /// Every key, purpose by purpose, newest first.
    pub async fn stored_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let rows: Vec<KeyRow> = fetch_all!(self.reader(), KeyRow, KEYS)?;
        Ok(stored(rows))
    }

    /// Gives each of these purposes a new key. Of two that are there the older one ends. An audited store tells of it.
    pub async fn rotate_keys(&self, new: Vec<NewKey>, pace: Pace, now: Timestamp) -> Result<Rotated, StoreError> {
        self.write_audited(
            |rotated, entry| {
                let Rotated::Done { ended, .. } = rotated else {
                    return false;
                };
                let ended: Vec<&str> = ended.iter().map(|purpose| purpose.as_str()).collect();
                entry.add("ended", ended);
                true
            },
            move |tx| Box::pin(async move { rotate(tx, &new, pace, now).await }),
        )
        .await
    }
}

type KeyRow = (String, i64, Vec<u8>, i64, i64);

const KEYS: &str = "select purpose, cast(slot as bigint), secret, created_at, signs_from from signing_keys \
    order by purpose, created_at desc, slot desc";

fn stored(rows: Vec<KeyRow>) -> Vec<StoredKey> {
    let keys = rows
        .into_iter()
        .filter_map(|(word, _, secret, created_at, signs_from)| {
            Some(StoredKey {
                purpose: KeyPurpose::parse(&word)?,
                secret,
                created_at: Timestamp(created_at),
                signs_from: Timestamp(signs_from),
            })
        });
    keys.collect()
}

async fn rotate(tx: &mut Tx, new: &[NewKey], pace: Pace, now: Timestamp) -> Result<Rotated, StoreError> {
    lock_keys(tx).await?;
    let rows: Vec<KeyRow> = fetch_all!(tx.db(), KeyRow, KEYS)?;
    let keys = stored(rows.clone());
    let of = |purpose| -> Vec<&StoredKey> { keys.iter().filter(|key| key.purpose == purpose).collect() };
    if pace == Pace::Orderly {
        let good = new.iter().filter_map(|key| {
            let done = done_with_oldest(&of(key.purpose), key.life_seconds)?;
            (done > now).then_some((key.purpose, done))
        });
        let good: Vec<_> = good.collect();
        if !good.is_empty() {
            return Ok(Rotated::TooSoon(good));
        }
    }
    let signs_from = match pace {
        Pace::Orderly => now.plus_seconds(SIGNS_AFTER_SECONDS),
        Pace::Forced => now,
    };
    let mut ended = Vec::new();
    for key in new {
        let slots: Vec<i64> = rows
            .iter()
            .filter(|(word, ..)| word == key.purpose.as_str())
            .map(|(_, slot, ..)| *slot)
            .collect();
        let slot = match slots.as_slice() {
            [_, oldest, ..] => {
                ended.push(key.purpose);
                *oldest
            }
            [only] => 1 - *only,
            [] => 0,
        };
        let text = "insert into signing_keys (purpose, slot, secret, created_at, signs_from) values ($1, $2, $3, $4, $5) \
            on conflict (purpose, slot) do update set secret = excluded.secret, created_at = excluded.created_at, \
            signs_from = excluded.signs_from";
        let (secret, at) = (key.secret.to_vec(), now.micros());
        execute!(
            tx.db(),
            text,
            key.purpose.as_str(),
            slot,
            secret,
            at,
            signs_from.micros()
        )?;
    }
    Ok(Rotated::Done { ended, signs_from })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(made: i64, signs_from: i64) -> StoredKey {
        StoredKey {
            purpose: KeyPurpose::Token,
            secret: vec![u8::try_from(made).expect("small")],
            created_at: Timestamp(made),
            signs_from: Timestamp(signs_from),
        }
    }

    #[test]
    fn a_key_signs_when_its_time_has_come_and_the_older_one_until_then() {
        let keys = [key(20, 80), key(10, 0)];
        let secrets = |now| SigningKeys::of(&keys, Timestamp(now)).token;
        assert_eq!(secrets(79), [[10], [20]]);
        assert_eq!(secrets(80), [[20], [10]]);
        // Somebody has to sign.
        let alone = [key(20, 80)];
        assert_eq!(SigningKeys::of(&alone, Timestamp(0)).token, [[20]]);
    }

    #[test]
    fn the_older_key_is_done_with_when_the_last_it_signed_has_ended() {
        let (new, old) = (key(20, 60_000_000), key(10, 0));
        assert_eq!(
            done_with_oldest(&[&new, &old], 3600),
            Some(Timestamp((60 + 60 + 3600) * 1_000_000))
        );
        assert_eq!(done_with_oldest(&[&old], 3600), None);
    }
}

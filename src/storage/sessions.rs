//! Who is signed in to the console: sessions, and the links that begin one, once.
//!
//! Kept here, not in a signed cookie: signing out and revoking work at once, and in every process on the store.

use super::clients::{COLUMNS as CLIENT_COLUMNS, Client, ClientRow, name_key};
use super::dialect::sql;
use super::pool::{Tx, execute, fetch_optional};
use super::{Store, StoreError};
use crate::domain::audit::NewEntry;
use crate::domain::time::Timestamp;

/// Who a session or link stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitor {
    /// The operator who has the store at hand, and so may do everything anyway.
    Local,
    /// A client, by any case of its name.
    Client(String),
}

impl Visitor {
    fn key(&self) -> Option<String> {
        match self {
            Self::Local => None,
            Self::Client(name) => Some(name_key(name)),
        }
    }
}

/// A session as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is; `None`: the local operator's.
    pub client: Option<Client>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// SHA-256 of what a cookie or a link holds.
pub type SecretDigest = [u8; 32];

#[derive(Debug, sqlx::FromRow)]
struct SessionRow {
    client: Option<String>,
    expires_at: i64,
}

#[derive(Debug, sqlx::FromRow)]
struct LinkRow {
    client: Option<String>,
}

impl Store {
    /// Begins a session. Those that are over are forgotten.
    pub async fn begin_session(
        &self,
        digest: SecretDigest,
        visitor: &Visitor,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let client = visitor.key();
        self.write_audited(
            |(), _| true,
            move |tx| Box::pin(async move { begin(tx, digest, client, expires_at, now).await }),
        )
        .await
    }

    /// Adds a link that signs in once. Those that are over are forgotten.
    pub async fn add_sign_in_link(
        &self,
        digest: SecretDigest,
        visitor: &Visitor,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let client = visitor.key();
        self.write_audited(
            |(), _| true,
            move |tx| {
                Box::pin(async move {
                    execute!(
                        tx.db(),
                        "delete from console_links where expires_at <= $1",
                        now.micros()
                    )?;
                    let text = "insert into console_links (digest, client, expires_at) values ($1, $2, $3)";
                    execute!(tx.db(), text, digest.to_vec(), client.as_deref(), expires_at.micros())?;
                    Ok(())
                })
            },
        )
        .await
    }

    /// Begins a session by a link, which is used up by it; an entry of the audit log is the one's whom the link stands for.
    /// `false`: there is no such link, any more.
    pub async fn follow_sign_in_link(
        &self,
        link: SecretDigest,
        session: SecretDigest,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let effect = |followed: &Option<Option<String>>, entry: &mut NewEntry| {
            if let Some(Some(client)) = followed {
                entry.actor.clone_from(client);
                entry.target.clone_from(client);
            }
            followed.is_some()
        };
        let followed = self.write_audited(effect, move |tx| {
            Box::pin(async move {
                let text = "delete from console_links where digest = $1 and expires_at > $2 returning client";
                let link = fetch_optional!(tx.db(), LinkRow, text, link.to_vec(), now.micros())?;
                let Some(LinkRow { client }) = link else {
                    return Ok(None);
                };
                let name = name_of(tx, client.as_deref()).await?;
                begin(tx, session, client, expires_at, now).await?;
                Ok(Some(name))
            })
        });
        Ok(followed.await?.is_some())
    }

    /// The session of this digest, unless it is over or its client was revoked.
    pub async fn session(&self, digest: SecretDigest, now: Timestamp) -> Result<Option<Session>, StoreError> {
        let text = "select client, expires_at from console_sessions where digest = $1 and expires_at > $2";
        let row = fetch_optional!(self.reader(), SessionRow, text, digest.to_vec(), now.micros())?;
        let Some(SessionRow { client, expires_at }) = row else {
            return Ok(None);
        };
        let expires_at = Timestamp(expires_at);
        let Some(name_key) = client else {
            return Ok(Some(Session {
                client: None,
                expires_at,
            }));
        };
        let text = format!("select {CLIENT_COLUMNS} from clients where name_key = $1 and revoked_at is null");
        let client = fetch_optional!(self.reader(), ClientRow, sql(text), name_key)?.map(Client::from);
        Ok(client.map(|client| Session {
            client: Some(client),
            expires_at,
        }))
    }

    /// Ends a session.
    pub async fn end_session(&self, digest: SecretDigest) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                execute!(
                    tx.db(),
                    "delete from console_sessions where digest = $1",
                    digest.to_vec()
                )?;
                Ok(())
            })
        })
        .await
    }
}

/// How a client writes its name.
async fn name_of(tx: &mut Tx, name_key: Option<&str>) -> Result<Option<String>, StoreError> {
    let Some(key) = name_key else { return Ok(None) };
    let text = "select name from clients where name_key = $1";
    let name: Option<(String,)> = fetch_optional!(tx.db(), (String,), text, key)?;
    Ok(Some(name.map_or_else(|| key.to_owned(), |(name,)| name)))
}

async fn begin(
    tx: &mut Tx,
    digest: SecretDigest,
    client: Option<String>,
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    execute!(
        tx.db(),
        "delete from console_sessions where expires_at <= $1",
        now.micros()
    )?;
    let text = "insert into console_sessions (digest, client, begun_at, expires_at) values ($1, $2, $3, $4)";
    execute!(
        tx.db(),
        text,
        digest.to_vec(),
        client.as_deref(),
        now.micros(),
        expires_at.micros()
    )?;
    Ok(())
}

/// Ends what a client's old secret began.
pub(super) async fn end_sessions_of(tx: &mut Tx, name_key: &str) -> Result<(), StoreError> {
    execute!(tx.db(), "delete from console_sessions where client = $1", name_key)?;
    execute!(tx.db(), "delete from console_links where client = $1", name_key)?;
    Ok(())
}

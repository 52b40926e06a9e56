//! Clients: who may talk to the service. Secrets are kept as hashes only.

use super::dialect::sql;
use super::error::taken;
use super::pool::{Tx, execute, fetch_all, fetch_optional};
use super::sessions::end_sessions_of;
use super::{Store, StoreError};
use crate::domain::client::Role;
use crate::domain::time::Timestamp;

/// A client as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name: what jobs list and what it signs in with.
    pub name: String,
    /// Hash of its secret, in PHC form.
    pub secret_hash: String,
    /// `client`, `integrator`, `viewer`, `operator` or `admin`.
    pub role: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last let in, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A row of `clients`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct ClientRow {
    name: String,
    secret_hash: String,
    role: String,
    created_at: i64,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl From<ClientRow> for Client {
    fn from(row: ClientRow) -> Self {
        Self {
            name: row.name,
            secret_hash: row.secret_hash,
            role: row.role,
            created_at: Timestamp(row.created_at),
            revoked_at: row.revoked_at.map(Timestamp),
            // Kept to the minute, which may have begun before the client was.
            last_used_at: row.last_used_at.map(|at| Timestamp(at.max(row.created_at))),
        }
    }
}

pub(super) const COLUMNS: &str = "name, secret_hash, role, created_at, revoked_at, last_used_at";

/// What a name is compared by. In the program, because the databases fold letters beyond ASCII differently.
pub(super) fn name_key(name: &str) -> String {
    name.to_lowercase()
}

/// A change of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has this role from now on.
    Role(Role),
    /// It is locked out for good.
    Revoke(Timestamp),
}

impl Change {
    /// Whether an admin is none afterwards.
    fn takes_admin(self) -> bool {
        self != Self::Role(Role::Admin)
    }
}

/// Whether the last admin may be made none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastAdmin {
    /// Nobody could let others in any more: it stays.
    Stays,
    /// Whoever asks has the store at hand, and can add another.
    MayGo,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// There is no such client, or it is revoked.
    Unknown,
    /// It is the last admin: nothing was changed.
    LastAdmin,
}

/// Whether this client is the only admin there is. Locks all of them, in one order, so that two do not demote each other.
async fn is_last_admin(tx: &mut Tx, key: &str) -> Result<bool, StoreError> {
    let text = format!(
        "select name_key from clients where role = 'admin' and revoked_at is null order by name_key{}",
        tx.dialect().lock_row()
    );
    let admins: Vec<(String,)> = fetch_all!(tx.db(), (String,), sql(text))?;
    Ok(admins.len() == 1 && admins[0].0 == key)
}

impl Store {
    /// Adds a client.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the name is taken, in any case.
    pub async fn add_client(&self, client: &Client) -> Result<(), StoreError> {
        let client = client.clone();
        self.write_audited(
            |(), _| true,
            move |tx| {
                Box::pin(async move {
                    let text = "insert into clients (name, name_key, secret_hash, role, created_at, revoked_at) \
                values ($1, $2, $3, $4, $5, $6)";
                    execute!(
                        tx.db(),
                        text,
                        client.name.as_str(),
                        name_key(&client.name),
                        client.secret_hash.as_str(),
                        client.role.as_str(),
                        client.created_at.micros(),
                        client.revoked_at.map(Timestamp::micros)
                    )
                    .map_err(|e| taken(e, "client", &client.name))?;
                    Ok(())
                })
            },
        )
        .await
    }

    /// Adds the `dev` client unless any client was ever added: `false` when there was one.
    pub async fn add_first_client(&self, client: &Client) -> Result<bool, StoreError> {
        let client = client.clone();
        let work = self.write_audited(
            |added, _| *added,
            move |tx| {
                Box::pin(async move {
                    // Of processes that start together each sees an empty table; the name lets one of them in.
                    let text = "insert into clients (name, name_key, secret_hash, role, created_at) \
                select $1, $2, $3, $4, $5 where not exists (select 1 from clients) on conflict (name_key) do nothing";
                    let rows = execute!(
                        tx.db(),
                        text,
                        client.name.as_str(),
                        name_key(&client.name),
                        client.secret_hash.as_str(),
                        client.role.as_str(),
                        client.created_at.micros()
                    )?;
                    Ok(rows == 1)
                })
            },
        );
        work.await
    }

    /// The client of this name, any case.
    pub async fn client(&self, name: &str) -> Result<Option<Client>, StoreError> {
        if name.contains('\0') {
            // PostgreSQL has no such text; nobody is called that.
            return Ok(None);
        }
        let text = format!("select {COLUMNS} from clients where name_key = $1");
        Ok(fetch_optional!(self.reader(), ClientRow, sql(text), name_key(name))?.map(Client::from))
    }

    /// All clients, by name.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        let text = format!("select {COLUMNS} from clients");
        let rows: Vec<ClientRow> = fetch_all!(self.reader(), ClientRow, sql(text))?;
        let mut clients: Vec<Client> = rows.into_iter().map(Client::from).collect();
        // Here, because the databases collate differently.
        clients.sort_by_key(|client| name_key(&client.name));
        Ok(clients)
    }

    /// Writes when clients were last let in; of two processes the later one counts.
    pub async fn note_client_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        // In one order, for another process writes the same rows.
        let mut uses: Vec<(String, i64)> = uses.iter().map(|(name, at)| (name_key(name), at.micros())).collect();
        uses.sort_unstable();
        self.write(move |tx| {
            Box::pin(async move {
                for (key, at) in &uses {
                    let text =
                        "update clients set last_used_at = $2 where name_key = $1 and coalesce(last_used_at, 0) < $2";
                    execute!(tx.db(), text, key.as_str(), *at)?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Gives a client a new secret. `false` when there is no such client, or it is revoked.
    pub async fn set_client_secret(&self, name: &str, secret_hash: &str) -> Result<bool, StoreError> {
        let (key, hash) = (name_key(name), secret_hash.to_owned());
        self.write_audited(
            |set, _| *set,
            move |tx| {
                Box::pin(async move {
                    let text = "update clients set secret_hash = $2 where name_key = $1 and revoked_at is null";
                    let rows = execute!(tx.db(), text, key.as_str(), hash.as_str())?;
                    // What the old secret began ends with it.
                    end_sessions_of(tx, &key).await?;
                    Ok(rows == 1)
                })
            },
        )
        .await
    }

    /// Revokes a client. `false` when there is no such client, or it was revoked before.
    pub async fn revoke_client(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        let done = self.change_client(name, Change::Revoke(now), LastAdmin::MayGo).await?;
        Ok(done == Changed::Done)
    }

    /// Changes what a client may do, or whether it may do anything.
    pub async fn change_client(&self, name: &str, to: Change, last: LastAdmin) -> Result<Changed, StoreError> {
        let key = name_key(name);
        self.write_audited(
            |changed, _| *changed == Changed::Done,
            move |tx| {
                Box::pin(async move {
                    if last == LastAdmin::Stays && to.takes_admin() && is_last_admin(tx, &key).await? {
                        return Ok(Changed::LastAdmin);
                    }
                    let rows = match to {
                        Change::Revoke(now) => {
                            let text = "update clients set revoked_at = $2 where name_key = $1 and revoked_at is null";
                            execute!(tx.db(), text, key.as_str(), now.micros())?
                        }
                        Change::Role(role) => {
                            let text = "update clients set role = $2 where name_key = $1 and revoked_at is null";
                            execute!(tx.db(), text, key.as_str(), role.as_str())?
                        }
                    };
                    Ok(if rows == 1 { Changed::Done } else { Changed::Unknown })
                })
            },
        )
        .await
    }
}

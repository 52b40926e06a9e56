//! Looking at entries, newest first.

use super::chain::{Link, hex};
use crate::domain::audit::Action;
use crate::domain::time::Timestamp;
use crate::storage::dialect::sql;
use crate::storage::pool::{fetch_all, fetch_optional, with_pool};
use crate::storage::{Store, StoreError};

/// Which entries, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<Action>,
    /// About this: an id or a name, as it was written.
    pub target: Option<String>,
    /// At this time or later.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Before the entry of this number: the next page.
    pub before: Option<i64>,
    /// Without what is about who may do what.
    pub without_access: bool,
}

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// What of it is hashed.
    pub link: Link,
    /// Its hash.
    pub hash: Vec<u8>,
}

impl AuditEntry {
    /// When.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        Timestamp(self.link.at)
    }

    /// Its details; as a text where they are no JSON.
    #[must_use]
    pub fn detail(&self) -> serde_json::Value {
        serde_json::from_str(&self.link.detail).unwrap_or_else(|_| self.link.detail.clone().into())
    }

    /// Its hash in hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.hash)
    }

    /// The hash of the entry before, in hexadecimal digits.
    #[must_use]
    pub fn previous_hex(&self) -> String {
        hex(&self.link.previous)
    }
}

pub(super) const COLUMNS: &str = "seq, at, actor, surface, action, target, outcome, detail, previous, hash";

/// A row of `audit`.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct AuditRow {
    seq: i64,
    at: i64,
    actor: String,
    surface: String,
    action: String,
    target: String,
    outcome: String,
    detail: String,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        Self {
            link: Link {
                previous: row.previous,
                seq: row.seq,
                at: row.at,
                actor: row.actor,
                surface: row.surface,
                action: row.action,
                target: row.target,
                outcome: row.outcome,
                detail: row.detail,
            },
            hash: row.hash,
        }
    }
}

impl Store {
    /// Entries, newest first. Whatever is filtered by has an index that ends in the order of the list.
    pub async fn audit_entries(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let last = match filter.before {
            None => None,
            Some(seq) => match self.audit_time(seq).await? {
                None => return Ok(Vec::new()),
                at => at.map(|at| (at, seq)),
            },
        };
        let optional = [
            (filter.actor.is_some(), "actor = $2"),
            (filter.target.is_some(), "target = $3"),
            (filter.from.is_some(), "at >= $4"),
            (filter.to.is_some(), "at < $5"),
            (last.is_some(), "(at, seq) < ($6, $7)"),
        ];
        let mut wanted: Vec<String> = optional
            .into_iter()
            .filter(|(given, _)| *given)
            .map(|(_, text)| text.to_owned())
            .collect();
        if let Some(action) = filter.action {
            // In the text, so that the planner knows how rare it is: plans are made once for all values.
            wanted.push(format!("action = '{}'", action.as_str()));
        }
        if filter.without_access {
            let hidden = Action::ALL.iter().filter(|action| action.is_about_access());
            let hidden: Vec<String> = hidden.map(|action| format!("'{}'", action.as_str())).collect();
            wanted.push(format!("action not in ({})", hidden.join(", ")));
        }
        let wanted = if wanted.is_empty() {
            "1 = 1".to_owned()
        } else {
            wanted.join(" and ")
        };
        let text = format!("select {COLUMNS} from audit where {wanted} order by at desc, seq desc limit $1");
        let rows = with_pool!(self.reader(), db: Db => {
            sqlx::query_as::<Db, AuditRow>(sql(text))
                .bind(i64::from(limit))
                .bind(filter.actor.as_deref())
                .bind(filter.target.as_deref())
                .bind(filter.from.map(Timestamp::micros))
                .bind(filter.to.map(Timestamp::micros))
                .bind(last.map(|(at, _)| at))
                .bind(last.map(|(_, seq)| seq))
                .fetch_all(db)
                .await
        })?;
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }

    /// When the entry of this number was written.
    async fn audit_time(&self, seq: i64) -> Result<Option<i64>, StoreError> {
        let at: Option<(i64,)> = fetch_optional!(self.reader(), (i64,), "select at from audit where seq = $1", seq)?;
        Ok(at.map(|(at,)| at))
    }

    /// Entries after this number, oldest first.
    pub(super) async fn audit_after(&self, seq: i64, limit: i64) -> Result<Vec<AuditEntry>, StoreError> {
        let text = format!("select {COLUMNS} from audit where seq > $1 order by seq limit $2");
        let rows: Vec<AuditRow> = fetch_all!(self.reader(), AuditRow, sql(text), seq, limit)?;
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }
}

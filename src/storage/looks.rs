//! Looks at single messages that need less than all of them: whether one is there already, how some stand.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::dialect::{placeholders, sql};
use super::enqueue::{Identity, IdentityKind};
use super::pool::{fetch_optional, with_pool};
use super::rows::{MessageRow, corrupt, messages};
use super::{Store, StoreError};
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::{Digest, Message};

/// A message known by an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The message.
    pub message: MessageId,
    /// Its payload's digest.
    pub digest: Digest,
    /// By which kind of identity it is known.
    pub kind: IdentityKind,
}

impl Store {
    /// The message of this job that one of these identities stands for.
    pub async fn known_as(&self, job: JobId, identities: &[Identity]) -> Result<Option<Known>, StoreError> {
        let text =
            "select message, digest from identities where job = $1 and kind = $2 and key = $3 and created_at >= $4";
        for identity in identities {
            let (kind, key, since) = (identity.kind.as_str(), identity.key.as_str(), identity.since.micros());
            let found: Option<(Uuid, Vec<u8>)> =
                fetch_optional!(self.reader(), (Uuid, Vec<u8>), text, job.0, kind, key, since)?;
            if let Some((message, digest)) = found {
                let digest = digest.try_into().map(Digest);
                return Ok(Some(Known {
                    message: MessageId(message),
                    digest: digest.map_err(|_| corrupt("identities", "digest", &key, "not 32 bytes"))?,
                    kind: identity.kind,
                }));
            }
        }
        Ok(None)
    }

    /// These messages, as far as they are kept, in the order of their ids. A few hundred at most.
    pub async fn messages_by_id(&self, ids: &[MessageId]) -> Result<Vec<Message>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let messages = messages(self.dialect());
        let text = format!(
            "{messages} where m.id in ({}) order by m.id",
            placeholders(1, ids.len())
        );
        let rows = with_pool!(self.reader(), db: Db => {
            let mut select = sqlx::query_as::<Db, MessageRow>(sql(text));
            for id in ids {
                select = select.bind(id.0);
            }
            select.fetch_all(db).await
        })?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// Those of these messages that have record errors with this code. A few hundred at most.
    pub async fn with_record_error(&self, ids: &[MessageId], code: &str) -> Result<BTreeSet<MessageId>, StoreError> {
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let text = format!(
            "select distinct message from error_groups where code = $1 and message in ({})",
            placeholders(2, ids.len())
        );
        let rows = with_pool!(self.reader(), db: Db => {
            let mut select = sqlx::query_as::<Db, (Uuid,)>(sql(text)).bind(code);
            for id in ids {
                select = select.bind(id.0);
            }
            select.fetch_all(db).await
        })?;
        Ok(rows.into_iter().map(|(id,)| MessageId(id)).collect())
    }
}

//! How deliveries come to be: in the transaction that ends a message, so that no end goes untold and none is told that did
//! not happen.
//!
//! Which jobs tell somebody is kept in memory: ending a message of any other job costs no statement.

use std::collections::HashMap;

use uuid::Uuid;

use super::{NewDelivery, insert_deliveries};
use crate::domain::ids::{DeliveryId, JobId, MessageId};
use crate::domain::message::Message;
use crate::domain::status::Status;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{EventType, finished_body};
use crate::storage::StoreError;
use crate::storage::dialect::{placeholders, sql};
use crate::storage::pool::{Tx, execute, with_pool};
use crate::storage::rows::{MessageRow, messages};

/// Messages per statement.
const MESSAGES_PER_STATEMENT: usize = 500;

/// Which jobs tell somebody how their messages end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// What links begin with: the service's public address, or nothing.
    pub base_url: String,
    /// The jobs that do.
    pub jobs: HashMap<JobId, Rule>,
}

/// What one job tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The job's name.
    pub job_name: String,
    /// To whom; `None`: to nobody but those whom messages name.
    pub url: Option<String>,
    /// Which ends.
    pub on: Vec<Status>,
    /// Whether messages may name a webhook of their own.
    pub per_message: bool,
}

/// A message that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its job.
    pub job: JobId,
    /// The message.
    pub message: MessageId,
    /// The final status it has now.
    pub status: Status,
}

/// Inserts a delivery for every one of these messages whose job tells of such ends. Belongs into the transaction that ended
/// them, after the statement that did: it reads them as they are now.
pub(in crate::storage) async fn note_outcomes(
    tx: &mut Tx,
    rules: &Rules,
    ended: &[Ended],
    now: Timestamp,
) -> Result<(), StoreError> {
    let told = |end: &&Ended| {
        rules
            .jobs
            .get(&end.job)
            .is_some_and(|rule| rule.on.contains(&end.status))
    };
    let told: Vec<Ended> = ended.iter().filter(told).copied().collect();
    for told in told.chunks(MESSAGES_PER_STATEMENT) {
        let named = named_webhooks(tx, rules, told).await?;
        let mut deliveries = Vec::new();
        for message in read_messages(tx, told).await? {
            let rule = &rules.jobs[&message.job];
            if let Some(url) = named.get(&message.id).or(rule.url.as_ref()) {
                deliveries.push(NewDelivery {
                    id: DeliveryId::generate(),
                    job: message.job,
                    message: Some(message.id),
                    event: EventType::Finished,
                    url: url.clone(),
                    body: finished_body(&message, &rule.job_name, &rules.base_url),
                });
            }
        }
        insert_deliveries(tx, &deliveries, now).await?;
    }
    Ok(())
}

/// Keeps the webhook a message names. Belongs into the transaction that inserts the message.
pub(in crate::storage) async fn name_webhook(
    tx: &mut Tx,
    message: MessageId,
    url: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = "insert into message_webhooks (message, url, created_at) values ($1, $2, $3)";
    execute!(tx.db(), text, message.0, url, now.micros())?;
    Ok(())
}

/// The webhooks that these messages name, of jobs that let them.
async fn named_webhooks(tx: &mut Tx, rules: &Rules, ended: &[Ended]) -> Result<HashMap<MessageId, String>, StoreError> {
    let may_name = ended.iter().filter(|end| rules.jobs[&end.job].per_message);
    let ids: Vec<MessageId> = may_name.map(|end| end.message).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let text = format!(
        "select message, url from message_webhooks where message in ({})",
        placeholders(1, ids.len())
    );
    let rows = with_pool!(tx.db(), db: Db => {
        let mut select = sqlx::query_as::<Db, (Uuid, String)>(sql(text));
        for id in &ids {
            select = select.bind(id.0);
        }
        select.fetch_all(db).await
    })?;
    Ok(rows
        .into_iter()
        .map(|(message, url)| (MessageId(message), url))
        .collect())
}

async fn read_messages(tx: &mut Tx, ended: &[Ended]) -> Result<Vec<Message>, StoreError> {
    let messages = messages(tx.dialect());
    let text = format!("{messages} where m.id in ({})", placeholders(1, ended.len()));
    let rows = with_pool!(tx.db(), db: Db => {
        let mut select = sqlx::query_as::<Db, MessageRow>(sql(text));
        for end in ended {
            select = select.bind(end.message.0);
        }
        select.fetch_all(db).await
    })?;
    rows.into_iter().map(Message::try_from).collect()
}

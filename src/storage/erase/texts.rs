//! Texts of the service that may quote a person: notes of runs, and what webhooks were told of failures.

use uuid::Uuid;

use super::super::pool::{Tx, execute, fetch_all};
use super::super::{Store, StoreError};
use super::{ERASED, overwrite_what_is_deleted};
use crate::domain::ids::JobId;

/// Rows looked at and changed by one transaction.
const PORTION: i64 = 200;

impl Store {
    /// Blanks notes of a job's runs, and what its webhooks were told of failures, where they hold one of these texts; how many do.
    /// `only_count`: changes nothing.
    pub async fn blank_quotes(&self, job: JobId, texts: &[String], only_count: bool) -> Result<u64, StoreError> {
        let mut found = 0;
        for text in texts {
            let mut after = i64::MIN;
            loop {
                let text = text.clone();
                let next =
                    self.write(move |tx| Box::pin(async move { notes(tx, job, after, &text, only_count).await }));
                let Some((last, held)) = next.await? else { break };
                (after, found) = (last, found + held);
            }
            let mut after = Uuid::nil();
            loop {
                let text = text.clone();
                let next = self.write(move |tx| Box::pin(async move { told(tx, job, after, &text, only_count).await }));
                let Some((last, held)) = next.await? else { break };
                (after, found) = (last, found + held);
            }
        }
        Ok(found)
    }
}

/// The next notes that hold the text: the due time of the last of them, and how many.
async fn notes(
    tx: &mut Tx,
    job: JobId,
    after: i64,
    held: &str,
    only_count: bool,
) -> Result<Option<(i64, u64)>, StoreError> {
    let text = "select due_at from occurrences where job = $1 and due_at > $2 and replace(note, $3, '') <> note \
        order by due_at limit $4";
    let rows: Vec<(i64,)> = fetch_all!(tx.db(), (i64,), text, job.0, after, held, PORTION)?;
    if !only_count && !rows.is_empty() {
        overwrite_what_is_deleted(tx).await?;
        for (due,) in &rows {
            let text = "update occurrences set note = $3 where job = $1 and due_at = $2";
            execute!(tx.db(), text, job.0, *due, ERASED)?;
        }
    }
    Ok(rows.last().map(|(last,)| (*last, rows.len() as u64)))
}

/// The next deliveries whose body holds the text: the id of the last of them, and how many tell it of a failure. An id or a count that
/// happens to hold it stays.
async fn told(
    tx: &mut Tx,
    job: JobId,
    after: Uuid,
    held: &str,
    only_count: bool,
) -> Result<Option<(Uuid, u64)>, StoreError> {
    let text = "select id, body from webhook_deliveries where job = $1 and id > $2 and event = 'message.finished' \
        order by id limit $3";
    let rows: Vec<(Uuid, String)> = fetch_all!(tx.db(), (Uuid, String), text, job.0, after, PORTION)?;
    let mut quoting = 0;
    for (id, body) in &rows {
        let Some(blanked) = without(body, held) else { continue };
        quoting += 1;
        if !only_count {
            overwrite_what_is_deleted(tx).await?;
            let text = "update webhook_deliveries set body = $2 where id = $1";
            execute!(tx.db(), text, *id, blanked)?;
        }
    }
    Ok(rows.last().map(|(last, _)| (*last, quoting)))
}

/// The body with its failure's detail blanked, if that holds the text.
fn without(body: &str, held: &str) -> Option<String> {
    let mut body: serde_json::Value = serde_json::from_str(body).ok()?;
    let detail = body.pointer_mut("/data/failure/detail")?;
    detail.as_str().filter(|detail| detail.contains(held))?;
    *detail = ERASED.into();
    Some(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn a_body_loses_the_detail_that_quotes_and_nothing_else() {
        let body = r#"{"data":{"failure":{"code":"c","detail":"key P-1 twice"},"id":"P-1"}}"#;
        let blanked = r#"{"data":{"failure":{"code":"c","detail":"erased"},"id":"P-1"}}"#;
        assert_eq!(without(body, "P-1").as_deref(), Some(blanked));
        assert_eq!(without(body, "P-2"), None);
        assert_eq!(without(r#"{"data":{"failure":null,"id":"P-1"}}"#, "P-1"), None);
    }
}

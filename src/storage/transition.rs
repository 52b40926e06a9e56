//! SQL from the state machine: which statuses an event may start from and which one it leads to.
//!
//! [`Status::next`] stays the only place that knows; the statements only carry what it says.

use super::StoreError;
use super::dialect::sql;
use super::pool::{Tx, execute, fetch_optional};
use super::steps::standing;
use crate::domain::ids::{JobId, MessageId};
use crate::domain::message::Fence;
use crate::domain::status::{Event, Status};
use crate::domain::time::Timestamp;

/// The statuses a worker's lease lives in. The index `queue_worked` is on exactly these, for who says [`WALKED`] too.
pub(super) const WORKED: &str = "status in ('PreProcessing', 'Processing')";

/// Always true, and said by the indexes of deadlines and of work, and by the statements that walk them: so no statement that
/// has an id can be planned to walk one instead, whatever else it asks of the row.
pub(super) const WALKED: &str = "attempt >= 0";

/// Every status that `event` moves to another one, with that one.
fn arrows(event: Event) -> impl Iterator<Item = (Status, Status)> {
    Status::ALL
        .into_iter()
        .filter_map(move |from| from.next(event).ok().map(|to| (from, to)))
        .filter(|(from, to)| from != to)
}

/// `status in ('…', …)`: the guard of a statement that carries out `event`.
pub(super) fn guard(event: Event) -> String {
    let from: Vec<String> = arrows(event).map(|(from, _)| format!("'{from}'")).collect();
    match from.as_slice() {
        // The planners match a partial index by its words, and the waiting index says `=`.
        [one] => format!("status = {one}"),
        several => format!("status in ({})", several.join(", ")),
    }
}

/// The right side of `status = …` for a statement that carries out `event` under its [`guard`].
pub(super) fn target(event: Event) -> String {
    let to: Vec<(Status, Status)> = arrows(event).collect();
    match to.as_slice() {
        [] => unreachable!("every event has an arrow"),
        [(_, first), rest @ ..] if rest.iter().all(|(_, to)| to == first) => format!("'{first}'"),
        several => {
            let arms: Vec<String> = several
                .iter()
                .map(|(from, to)| format!("when '{from}' then '{to}'"))
                .collect();
            format!("case status {} end", arms.join(" "))
        }
    }
}

/// Writes one line of history for a live message, with the status and epoch it has now.
pub(super) async fn note_status(
    tx: &mut Tx,
    id: MessageId,
    note: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let text = "insert into message_events (message, at, status, epoch, note) \
        select message, $2, status, epoch, $3 from queue where message = $1";
    execute!(tx.db(), text, id.0, now.micros(), note)?;
    Ok(())
}

/// Makes sure the caller's lease is the current one and stays it until the transaction ends.
pub(super) async fn hold_worker_lease(tx: &mut Tx, fence: Fence) -> Result<(), StoreError> {
    let text = format!(
        "select 1 from queue where message = $1 and epoch = $2 and {WORKED}{}",
        tx.dialect().lock_row()
    );
    let held: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), sql(text), fence.message.0, fence.epoch)?;
    match held {
        Some(_) => Ok(()),
        None => Err(message_conflict(tx, fence.message).await?),
    }
}

/// The conflict to report after a guarded statement on this message touched no row.
pub(super) async fn message_conflict(tx: &mut Tx, id: MessageId) -> Result<StoreError, StoreError> {
    let state = standing(tx, id).await?.map_or_else(
        || "unknown".to_owned(),
        |standing| format!("{}, lease {}", standing.status, standing.epoch),
    );
    Ok(StoreError::Conflict {
        what: "message",
        id: id.to_string(),
        state,
    })
}

/// `Ok` when the guarded statement on this message touched its row, the conflict otherwise.
pub(super) async fn must_touch(tx: &mut Tx, rows: u64, id: MessageId) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(message_conflict(tx, id).await?)
    }
}

/// Carries out an event that changes nothing but the status.
pub(super) async fn plain_step(tx: &mut Tx, fence: Fence, event: Event) -> Result<(), StoreError> {
    let text = format!(
        "update queue set status = {} where message = $1 and epoch = $2 and {} returning job",
        target(event),
        guard(event)
    );
    let moved: Option<(uuid::Uuid,)> =
        fetch_optional!(tx.db(), (uuid::Uuid,), sql(text), fence.message.0, fence.epoch)?;
    match moved {
        Some((job,)) => {
            tx.moved(JobId(job), fence.message);
            Ok(())
        }
        None => Err(message_conflict(tx, fence.message).await?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_statuses_are_those_a_worker_can_promote_or_finish_from() {
        let worked = Status::ALL.into_iter().filter(|s| s.next(Event::Fail).is_ok());
        let words: Vec<String> = worked.map(|s| format!("'{s}'")).collect();
        assert_eq!(WORKED, format!("status in ({})", words.join(", ")));
    }

    #[test]
    fn guards_and_targets_say_what_the_state_machine_says() {
        assert_eq!(guard(Event::Claim), "status = 'Enqueued'");
        assert_eq!(target(Event::Claim), "'PreProcessing'");
        assert_eq!(guard(Event::Ack), "status in ('Enqueued', 'Dequeued', 'Downloaded')");
        assert_eq!(
            target(Event::Fail),
            "case status when 'PreProcessing' then 'PreProcessingError' when 'Processing' then 'PostProcessingFailed' end"
        );
    }
}

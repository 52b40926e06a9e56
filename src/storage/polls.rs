//! Polls: messages that many ask for at once are read by one statement.
//!
//! As with commits: asked while nothing is under way, a message is read at once; what is asked for meanwhile is read together by
//! the next statement. So a thousand pollers cost as many statements as there is time for, and no connection waits for one.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::StoreError;
use super::dialect::{portions, sql};
use super::pool::{Pool, with_pool};
use super::rows::{MessageRow, messages};
use crate::domain::ids::MessageId;
use crate::domain::message::Message;

/// Readers: one reads while the other gathers.
const READERS: usize = 2;
/// Most messages in one statement.
const TOGETHER_MAX: usize = 256;
/// Polls that wait; who comes later waits for room.
const WAITING_MAX: usize = 4096;

type Answer = Result<Option<Message>, StoreError>;
type Poll = (MessageId, oneshot::Sender<Answer>);

/// Where polls are sent.
#[derive(Debug)]
pub(super) struct Polls(mpsc::Sender<Poll>);

impl Polls {
    /// Starts the readers.
    pub(super) fn start(
        pool: &Pool,
        closing: &CancellationToken,
        mut spawn: impl FnMut(BoxFuture<'static, ()>),
    ) -> Self {
        let (sender, polls) = mpsc::channel(WAITING_MAX);
        let polls = Arc::new(Mutex::new(polls));
        for _ in 0..READERS {
            spawn(Box::pin(read_polls(pool.clone(), Arc::clone(&polls), closing.clone())));
        }
        Self(sender)
    }

    /// The message of this id.
    pub(super) async fn message(&self, id: MessageId) -> Answer {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send((id, answer)).await;
        sent.map_err(|_| StoreError::closed())?;
        answered.await.map_err(|_| StoreError::closed())?
    }
}

async fn read_polls(pool: Pool, polls: Arc<Mutex<mpsc::Receiver<Poll>>>, closing: CancellationToken) {
    loop {
        let mut together = Vec::new();
        {
            let mut polls = tokio::select! {
                polls = polls.lock() => polls,
                () = closing.cancelled() => return,
            };
            tokio::select! {
                received = polls.recv_many(&mut together, TOGETHER_MAX) => if received == 0 { return },
                () = closing.cancelled() => return,
            }
        }
        let ids: Vec<MessageId> = together.iter().map(|(id, _)| *id).collect();
        let found = read(&pool, &ids).await;
        for (id, answer) in together {
            let message = match &found {
                Ok(rows) => rows.get(&id).cloned().transpose(),
                Err(error) => Err(error.clone()),
            };
            // Who asked may have gone.
            let _ = answer.send(message);
        }
    }
}

/// Each message that is there, or what is wrong with its row: one bad row is one poll's.
async fn read(pool: &Pool, ids: &[MessageId]) -> Result<HashMap<MessageId, Result<Message, StoreError>>, StoreError> {
    let messages = messages(pool.dialect());
    let mut found = HashMap::with_capacity(ids.len());
    for portion in portions(pool.dialect(), ids) {
        let text = format!("{messages} where m.id in ({})", portion.list());
        let rows = with_pool!(pool.reader(), db: Db => {
            let mut select = sqlx::query_as::<Db, MessageRow>(sql(text));
            for (id, _) in portion.filled() {
                select = select.bind(id.0);
            }
            select.fetch_all(db).await
        })?;
        found.extend(rows.into_iter().map(|row| (MessageId(row.id), Message::try_from(row))));
    }
    Ok(found)
}

//! How a transaction runs: on a task of its own, under the fence, ended whatever happens.
//!
//! A caller that is dropped half-way (a client that disconnects, a worker that gives up) cannot leave a connection in the
//! middle of a transaction, because the transaction is not the caller's: it awaits its task.

use std::io;
use std::panic::resume_unwind;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::dialect::{FaultKind, Purpose};
use super::session::{Fault, Pool, Session, Value, message_of};
use super::tables::{OWN_PREFIX, OWN_SUFFIXES};
use super::{BusinessError, Database};
use crate::domain::message::Fence;

/// Longest unit of work. Each one is small (a batch, a range, a chunk), so what takes longer waits for a host that is gone
/// without a word, and would hold its worker for ever.
pub(super) const WORK_MAX: Duration = Duration::from_mins(10);

/// Work inside a transaction: a boxed future that borrows the session.
pub(super) type Work<'s, T> = BoxFuture<'s, Result<T, Fault>>;

impl Database {
    /// One writing transaction under the fence.
    pub(super) async fn fenced<T, W>(&self, fence: Fence, work: W) -> Result<T, BusinessError>
    where
        T: Send + 'static,
        W: for<'s> FnOnce(&'s mut Session) -> Work<'s, T> + Send + 'static,
    {
        self.ensure_control_tables().await?;
        self.write(move |session| {
            Box::pin(async move {
                let taken = session
                    .execute(
                        "update tranship_fence set epoch = $2 where message = $1 and epoch <= $2",
                        vec![Value::Id(fence.message.0), Value::Int(fence.epoch)],
                    )
                    .await?;
                if taken == 0 {
                    return Err(BusinessError::Fenced(fence.message).into());
                }
                work(session).await
            })
        })
        .await
    }

    /// One reading transaction under the fence. It looks at the fence without taking it: what only reads can do no harm,
    /// and a write would cost a sync.
    pub(super) async fn fenced_read<T, W>(&self, fence: Fence, work: W) -> Result<T, BusinessError>
    where
        T: Send + 'static,
        W: for<'s> FnOnce(&'s mut Session) -> Work<'s, T> + Send + 'static,
    {
        self.ensure_control_tables().await?;
        self.read(move |session| {
            Box::pin(async move {
                let valid = session
                    .row(
                        "select epoch from tranship_fence where message = $1 and epoch <= $2",
                        vec![Value::Id(fence.message.0), Value::Int(fence.epoch)],
                    )
                    .await?;
                if valid.is_none() {
                    return Err(BusinessError::Fenced(fence.message).into());
                }
                work(session).await
            })
        })
        .await
    }

    /// One writing transaction. Only what belongs to no message (tables) and the fence itself come here directly.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T, BusinessError>
    where
        T: Send + 'static,
        W: for<'s> FnOnce(&'s mut Session) -> Work<'s, T> + Send + 'static,
    {
        let database = self.clone();
        on_own_task(async move {
            let pool = database.writer().await?;
            database
                .bounded(WORK_MAX, Box::pin(database.transaction(&pool, Purpose::Write, work)))
                .await
        })
        .await
    }

    /// One reading transaction.
    pub(super) async fn read<T, W>(&self, work: W) -> Result<T, BusinessError>
    where
        T: Send + 'static,
        W: for<'s> FnOnce(&'s mut Session) -> Work<'s, T> + Send + 'static,
    {
        let database = self.clone();
        on_own_task(async move {
            let pool = database.reader().await?;
            database
                .bounded(WORK_MAX, Box::pin(database.transaction(&pool, Purpose::Snapshot, work)))
                .await
        })
        .await
    }

    /// Gives up on work that takes longer. Its session is dropped with it, which closes the connection.
    async fn bounded<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, BusinessError>>,
    ) -> Result<T, BusinessError> {
        match timeout(limit, work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.driver(timed_out(limit))),
        }
    }

    async fn transaction<T, W>(&self, pool: &Pool, purpose: Purpose, work: W) -> Result<T, BusinessError>
    where
        W: for<'s> FnOnce(&'s mut Session) -> Work<'s, T>,
    {
        let mut session = Session::begin(pool, purpose)
            .await
            .map_err(|error| self.settle(error.into()))?;
        if purpose == Purpose::Snapshot {
            session.discard();
        }
        let outcome = work(&mut session).await;
        session.end(outcome).await.map_err(|fault| self.settle(fault))
    }

    /// Says what a fault means to the caller.
    pub(super) fn settle(&self, fault: Fault) -> BusinessError {
        let error = match fault {
            Fault::Business(error) => return error,
            Fault::Driver(error) => error,
        };
        if self.is_own_table_missing(&error) {
            // The database was recreated under a running service: the retry finds nothing remembered and makes them again.
            self.forget_tables();
            return self.driver(error);
        }
        // A record's fault that reaches this place was not isolated (a value staging cannot hold, a constraint asked at the
        // commit): the same statement would meet it again.
        if self.dialect().kind(&error) != FaultKind::Other {
            // Somebody may have changed the tables: look again before the next load.
            self.forget_checked();
            return BusinessError::Definition(format!("business database `{}`: {}", self.name(), message_of(&error)));
        }
        self.driver(error)
    }

    fn driver(&self, source: sqlx::Error) -> BusinessError {
        BusinessError::Driver {
            database: self.name().to_owned(),
            source,
        }
    }

    /// Control tables and staging are ours to make; a missing target is the operator's.
    fn is_own_table_missing(&self, error: &sqlx::Error) -> bool {
        error.as_database_error().is_some_and(|error| {
            let names_ours = OWN_SUFFIXES
                .iter()
                .chain([&OWN_PREFIX])
                .any(|part| error.message().contains(part));
            names_ours && self.dialect().is_missing_table(error)
        })
    }

    pub(super) fn corrupt(&self, detail: impl Into<String>) -> BusinessError {
        BusinessError::Corrupt {
            database: self.name().to_owned(),
            detail: detail.into(),
        }
    }
}

/// The driver's error for something that took longer than this.
pub(super) fn timed_out(limit: Duration) -> sqlx::Error {
    let detail = format!("no answer within {} s", limit.as_secs());
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, detail))
}

async fn on_own_task<T: Send + 'static>(
    work: impl Future<Output = Result<T, BusinessError>> + Send + 'static,
) -> Result<T, BusinessError> {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
        // The runtime is going down and took the task along; its connection is closed, its transaction is not.
        Err(_) => Err(BusinessError::Driver {
            database: String::new(),
            source: sqlx::Error::WorkerCrashed,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::business::DatabaseSettings;

    #[tokio::test]
    async fn work_that_takes_too_long_gives_its_connection_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = DatabaseSettings {
            url: format!("sqlite://{}/test.db", folder.path().display()),
            max_connections: 1,
        };
        let database = Database::new("main", &settings).expect("a database");
        let pool = database.writer().await.expect("a pool");
        let hang = database.transaction::<(), _>(&pool, Purpose::Write, |session| {
            Box::pin(async move {
                session.run("create table half_done (a int)").await?;
                std::future::pending().await
            })
        });
        let outcome = database.bounded(Duration::from_millis(50), hang).await;
        let timed_out = matches!(&outcome, Err(BusinessError::Driver { source: sqlx::Error::Io(error), .. })
            if error.kind() == io::ErrorKind::TimedOut);
        assert!(timed_out, "{outcome:?}");

        // The one connection of the pool is free again, and what was half done is undone.
        let again =
            database.write(|session| Box::pin(async move { Ok(session.run("create table half_done (a int)").await?) }));
        timeout(Duration::from_secs(20), again)
            .await
            .expect("a connection")
            .expect("nothing left of the table");
    }
}

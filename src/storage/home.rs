//! Reads of the PostgreSQL pool, on the runtime that opened the store, whoever asks.
//!
//! A connection belongs to the runtime in whose context it was made: its socket is that runtime's. Every thread of the HTTP
//! server has a runtime of its own, which ends before the worker hands its leases back; a connection that such a thread had
//! made for a read would be dead when the worker gets it from the pool. So every poll of a read runs in the store's context.
//!
//! A server that is gone without a word answers nothing, for as long as the system keeps the connection up: a quarter of an hour and more. So
//! nothing is waited for longer than [`ANSWER_MAX`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::{Database, Either, Error, Execute, Executor, PgPool, Postgres, SqlStr};
use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::context::TokioContext;

/// Longest wait for a connection and the next word of the server on it.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Waits for an answer, but no longer than this.
pub(super) async fn answered<T, E: From<Error>>(
    longest: Duration,
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let answer = timeout(longest, asking).await;
    answer.unwrap_or_else(|_| Err(silent(longest).into()))
}

fn silent(waited: Duration) -> Error {
    let words = format!("the server gave no answer within {} s", waited.as_secs());
    Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, words))
}

/// A pool whose reads run at home.
#[derive(Debug, Clone)]
pub(super) struct HomePool {
    pool: PgPool,
    home: Handle,
}

impl HomePool {
    /// The current runtime is the pool's home.
    pub(super) fn here(pool: PgPool) -> Self {
        let home = Handle::current();
        Self { pool, home }
    }

    /// The pool itself, for tasks that run on its home.
    pub(super) fn at_home(&self) -> &PgPool {
        &self.pool
    }
}

type Rows<'e> = BoxStream<'e, Result<Either<<Postgres as Database>::QueryResult, <Postgres as Database>::Row>, Error>>;

impl<'p> Executor<'p> for &'p HomePool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> Rows<'e>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(AtHome {
            rows: self.pool.fetch_many(query),
            home: self.home.clone(),
            patience: None,
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<<Postgres as Database>::Row>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(TokioContext::new(
            answered(ANSWER_MAX, self.pool.fetch_optional(query)),
            self.home.clone(),
        ))
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<Postgres as Database>::TypeInfo],
    ) -> BoxFuture<'e, Result<<Postgres as Database>::Statement, Error>>
    where
        'p: 'e,
    {
        Box::pin(TokioContext::new(
            answered(ANSWER_MAX, self.pool.prepare_with(sql, parameters)),
            self.home.clone(),
        ))
    }
}

/// Rows that are polled in the context of a runtime.
struct AtHome<'e> {
    rows: Rows<'e>,
    home: Handle,
    /// While a row is waited for.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Stream for AtHome<'_> {
    type Item = Result<Either<<Postgres as Database>::QueryResult, <Postgres as Database>::Row>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let _entered = this.home.enter();
        let row = this.rows.as_mut().poll_next(cx);
        if row.is_ready() {
            this.patience = None;
            return row;
        }
        let patience = this.patience.get_or_insert_with(|| Box::pin(sleep(ANSWER_MAX)));
        patience.as_mut().poll(cx).map(|()| Some(Err(silent(ANSWER_MAX))))
    }
}

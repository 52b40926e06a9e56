//! Transactions of the other databases of a PostgreSQL server. A snapshot counts them among the open ones, but nothing they do is a
//! change here, and whoever leaves one open there must not hold back what is exported from here.

use std::collections::BTreeSet;

use super::super::dialect::Dialect;
use super::super::session::Fault;
use super::super::{BusinessError, Database};

/// Numbers are those of the server's views, which leave out how often they wrapped around.
const OPEN_ELSEWHERE: &str = "select backend_xid::text::bigint from pg_stat_activity \
       where backend_xid is not null and datid <> (select oid from pg_database where datname = current_database()) \
     union select transaction::text::bigint from pg_prepared_xacts where database <> current_database()";

/// Transactions that were open in other databases before a snapshot was taken.
#[derive(Debug, Default)]
pub(in crate::business) struct Elsewhere(BTreeSet<i64>);

impl Elsewhere {
    /// Their numbers modulo 2^32, with commas between.
    pub(super) fn listed(&self) -> String {
        let numbers: Vec<_> = self.0.iter().map(i64::to_string).collect();
        numbers.join(",")
    }
}

impl Database {
    /// What is open elsewhere; nothing, where that cannot be seen. To be asked before the snapshot: what begins between has a higher number than any earlier snapshot saw,
    /// so horizons never move back.
    ///
    /// It is asked twice, because the server reads the database and the transaction of a session one after the other, and another session
    /// may take the place of one that ends in between. Whose transaction that is, is certain the second time.
    pub(in crate::business) async fn elsewhere(&self) -> Elsewhere {
        if self.dialect() == Dialect::Sqlite {
            return Elsewhere::default();
        }
        // A server may hide its sessions; then whatever is open holds changes back. One that is away is met again at once.
        let seen = self.open_elsewhere().await.unwrap_or_default();
        if seen.is_empty() {
            return Elsewhere::default();
        }
        let again = self.open_elsewhere().await.unwrap_or_default();
        Elsewhere(seen.intersection(&again).copied().collect())
    }

    /// In a transaction of its own: within one, the view of the sessions does not change.
    async fn open_elsewhere(&self) -> Result<BTreeSet<i64>, BusinessError> {
        self.read(|session| {
            Box::pin(async move {
                let rows = session.rows(OPEN_ELSEWHERE, Vec::new()).await?;
                let numbers: Result<_, _> = rows.iter().map(|row| row.int(0)).collect();
                numbers.map_err(Fault::from)
            })
        })
        .await
    }
}

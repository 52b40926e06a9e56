//! Staging that a crash of the database emptied: noticed before a record would go missing, and filled again from the source.

use super::control::LoadKey;
use super::session::Fault;
use super::staging::Load;
use super::{BusinessError, Database};
use crate::domain::message::Fence;

impl Database {
    /// Whether all rows that were staged are there. Asked once, when the last one is.
    pub(super) async fn check_staged(&self, load: Load<'_>) -> Result<(), BusinessError> {
        if !self.dialect().may_lose_staging() {
            return Ok(());
        }
        let key = LoadKey::new(load);
        let sql = format!(
            "select staged_rows, (select count(*) from {} where tranship_message = $1 and tranship_entity_no = $2) \
             from tranship_loads where message = $1 and entity_no = $2",
            key.staging
        );
        let whole = self.fenced_read(load.fence, move |session| {
            Box::pin(async move {
                let row = session.row(sql, key.with([])).await?.ok_or(sqlx::Error::RowNotFound)?;
                Ok(row.count(0)? == row.count(1)?)
            })
        });
        if whole.await? {
            return Ok(());
        }
        Err(self.send_back(load).await)
    }

    /// Sends a load whose staging is lost back to the beginning of its source, and says so. Chunks that have landed stay, and so
    /// do the ranges of all: what is staged again falls into the same ones.
    pub(super) async fn send_back(&self, load: Load<'_>) -> BusinessError {
        let key = LoadKey::new(load);
        let sent_back = self.fenced(load.fence, move |session| {
            Box::pin(async move {
                let sql = format!(
                    "delete from {} where tranship_message = $1 and tranship_entity_no = $2",
                    key.staging
                );
                session.execute(sql, key.with([])).await?;
                // They are found again, or not, as the case may be by then.
                let sql = "delete from tranship_rejects where message = $1 and entity_no = $2 and not exists ( \
                     select 1 from tranship_chunks c where c.message = $1 and c.entity_no = $2 and c.done \
                       and tranship_rejects.record between c.first_record and c.last_record)";
                session.execute(sql, key.with([])).await?;
                let sql = "update tranship_loads set records = 0, line = 0, byte = 0, staged_rows = 0, staged = false \
                     where message = $1 and entity_no = $2";
                session.execute(sql, key.with([])).await?;
                Ok(())
            })
        });
        match sent_back.await {
            Ok(()) => self.staging_lost(load.fence),
            Err(error) => error,
        }
    }

    pub(super) fn staging_lost(&self, fence: Fence) -> BusinessError {
        BusinessError::StagingLost {
            database: self.name().to_owned(),
            message: fence.message,
        }
    }

    /// What it means that a chunk has fewer good records than it should.
    pub(super) fn short(&self, fence: Fence, problem: String) -> Fault {
        if self.dialect().may_lose_staging() {
            self.staging_lost(fence).into()
        } else {
            self.corrupt(problem).into()
        }
    }
}

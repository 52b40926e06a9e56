//! The rejects of a message as the store keeps them, record by record.

use super::{Halt, Of};
use crate::storage::executions::StoredError;

/// Rejects read from the store at a time.
const REJECTS_PER_PAGE: u32 = 500;

/// Whole records of one entity that are wanted, a page at a time, in the order of the file.
pub(super) struct Pages<'a> {
    of: Of<'a>,
    entity_no: i32,
    after: (u64, i32),
}

impl<'a> Pages<'a> {
    pub fn new(of: Of<'a>, entity_no: i32) -> Self {
        Self {
            of,
            entity_no,
            // Records count from 1.
            after: (0, i32::MAX),
        }
    }

    /// Whether there are any.
    pub async fn has_any(of: Of<'a>, entity_no: i32) -> Result<bool, Halt> {
        Ok(!Self::new(of, entity_no).next().await?.is_empty())
    }

    /// The next records, each by its first error and with all that is wrong with it; none: that was all.
    pub async fn next(&mut self) -> Result<Vec<(StoredError, String)>, Halt> {
        let Of {
            context,
            message,
            selection,
        } = self.of;
        if !selection.takes(self.entity_no) {
            return Ok(Vec::new());
        }
        let of_entity = (message.id, self.entity_no);
        let page = context
            .store
            .record_errors_of(of_entity, selection.phase, self.after, REJECTS_PER_PAGE)
            .await?;
        let page = whole_records(page);
        if let Some(last) = page.last() {
            self.after = (last.reject.record, last.ordinal);
        }
        let firsts = page.iter().filter(|error| error.ordinal == 0);
        Ok(firsts.map(|first| (first.clone(), reasons(&page, first))).collect())
    }
}

/// Leaves a record that a full page may have cut to the next page.
fn whole_records(mut page: Vec<StoredError>) -> Vec<StoredError> {
    if page.len() == REJECTS_PER_PAGE as usize
        && let (Some(first), Some(last)) = (page.first().map(|e| e.reject), page.last().map(|e| e.reject))
        && first != last
    {
        page.retain(|e| e.reject != last);
    }
    page
}

/// What is wrong with one record, in one cell. The code goes first, so no spreadsheet takes the cell for a formula.
fn reasons(page: &[StoredError], first: &StoredError) -> String {
    let of_record = page.iter().filter(|e| e.reject == first.reject);
    of_record
        .map(|e| format!("{}: {}", e.error.code, e.error.reason))
        .collect::<Vec<_>>()
        .join("; ")
}

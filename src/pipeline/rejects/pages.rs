//! The rejects of a message as the store keeps them, record by record.

use super::corrections::Correction;
use super::{Halt, Of};
use crate::storage::executions::StoredError;

/// Rejects read from the store at a time.
const REJECTS_PER_PAGE: u32 = 500;

/// Whole records of one entity that are wanted, a page at a time, in the order of the file.
pub(super) struct Pages<'a> {
    of: Of<'a>,
    entity_no: i32,
    after: (u64, i32),
    /// The last one that is wanted.
    last: u64,
}

impl<'a> Pages<'a> {
    pub fn new(of: Of<'a>, entity_no: i32) -> Self {
        // Records count from 1.
        let (first, last) = match &of.selection.corrections {
            None => (1, u64::MAX),
            Some(wanted) => wanted.span(entity_no).unwrap_or((1, 0)),
        };
        Self {
            of,
            entity_no,
            after: (first - 1, i32::MAX),
            last,
        }
    }

    /// Passes over the records up to this one.
    pub fn skip_to(&mut self, record: u64) {
        if record > self.after.0 {
            self.after = (record, i32::MAX);
        }
    }

    /// What is to be written differently in this one.
    pub fn corrections(&self, reject: &StoredError) -> &'a [Correction] {
        let selection = self.of.selection;
        let corrections = selection.corrections.as_ref();
        corrections.map_or(&[], |corrections| corrections.of(reject.reject))
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
        let is_wanted = |reject| selection.corrections.as_ref().is_none_or(|wanted| wanted.has(reject));
        while self.after.0 < self.last {
            let page = context
                .store
                .record_errors_of(of_entity, selection.phase, self.after, REJECTS_PER_PAGE)
                .await?;
            let page = whole_records(page);
            let Some(last) = page.last() else { break };
            self.after = (last.reject.record, last.ordinal);
            let firsts = page
                .iter()
                .filter(|error| error.ordinal == 0 && is_wanted(error.reject));
            let found: Vec<_> = firsts.map(|first| (first.clone(), reasons(&page, first))).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
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

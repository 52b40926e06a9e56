//! Whether the chain is whole.

use super::chain::{BEGINNING, Head, hex};
use super::listing::AuditEntry;
use crate::domain::audit::Action;
use crate::storage::pool::fetch_optional;
use crate::storage::{Store, StoreError};

/// Entries read by one statement.
const PORTION: i64 = 1000;

/// What a look at the chain found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Entries looked at that fit.
    pub checked: u64,
    /// The first of them.
    pub first: Option<i64>,
    /// The last of them.
    pub head: Option<Head>,
    /// The first that does not fit: nothing after it was looked at.
    pub fault: Option<Fault>,
    /// Where to go on, if there may be more.
    pub next: Option<i64>,
}

/// An entry that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its number.
    pub seq: i64,
    /// What does not fit.
    pub what: String,
}

impl Store {
    /// Recomputes the chain: from the entry after `after`, which is taken for good, or from the first one there is; at most
    /// `most` entries.
    pub async fn verify_audit(&self, after: Option<i64>, most: u64) -> Result<Verified, StoreError> {
        let mut done = Verified::default();
        let mut last = match after {
            None => None,
            Some(seq) => match self.audit_after(seq - 1, 1).await?.pop() {
                Some(entry) if entry.link.seq == seq => Some(Head { seq, hash: entry.hash }),
                _ => {
                    done.fault = Some(fault(seq, "is not there"));
                    return Ok(done);
                }
            },
        };
        loop {
            let left = i64::try_from(most - done.checked).unwrap_or(PORTION).min(PORTION);
            let entries = self.audit_after(last.as_ref().map_or(0, |head| head.seq), left).await?;
            let count = entries.len();
            for entry in entries {
                let misfit = match &last {
                    Some(head) => misfit(head, &entry),
                    None => self.misfit_of_first(&entry).await?,
                };
                if let Some(what) = misfit.or_else(|| changed(&entry)) {
                    done.fault = Some(fault(entry.link.seq, &what));
                    return Ok(done);
                }
                let seq = entry.link.seq;
                done.checked += 1;
                done.first.get_or_insert(seq);
                last = Some(Head { seq, hash: entry.hash });
                done.head.clone_from(&last);
            }
            if i64::try_from(count).unwrap_or(0) < left {
                return Ok(done);
            }
            if done.checked >= most {
                done.next = last.map(|head| head.seq);
                return Ok(done);
            }
        }
    }

    /// The first entry there is begins the chain, or a later one says that those before it were pruned and how they ended.
    async fn misfit_of_first(&self, entry: &AuditEntry) -> Result<Option<String>, StoreError> {
        let (seq, previous) = (entry.link.seq, &entry.link.previous);
        if seq == 1 {
            let begins = previous.as_slice() == BEGINNING;
            return Ok((!begins).then(|| "is the first, but names one before it".to_owned()));
        }
        let text = "select detail from audit where action = $1 and target = $2 order by at, seq limit 1";
        let pruned: Option<(String,)> = fetch_optional!(
            self.reader(),
            (String,),
            text,
            Action::AuditPrune.as_str(),
            (seq - 1).to_string()
        )?;
        let said = pruned.and_then(|(detail,)| serde_json::from_str::<serde_json::Value>(&detail).ok());
        let fits = said.is_some_and(|said| said["hash"] == hex(previous));
        Ok((!fits).then(|| {
            format!(
                "is the first there is, and no entry says that those up to {} were pruned",
                seq - 1
            )
        }))
    }

    /// Whether the chain still holds the entry of this number with this hash, in hexadecimal digits: what somebody wrote down
    /// elsewhere shows whether the end was cut off.
    pub async fn audit_holds(&self, seq: i64, hash: &str) -> Result<bool, StoreError> {
        let found = self.audit_after(seq - 1, 1).await?.pop();
        Ok(found.is_some_and(|entry| entry.link.seq == seq && entry.hex().eq_ignore_ascii_case(hash)))
    }
}

fn fault(seq: i64, what: &str) -> Fault {
    Fault {
        seq,
        what: what.to_owned(),
    }
}

/// Why an entry does not follow the one before it.
fn misfit(head: &Head, entry: &AuditEntry) -> Option<String> {
    if entry.link.seq != head.seq + 1 {
        return Some(format!("follows entry {}: those between are missing", head.seq));
    }
    (entry.link.previous != head.hash).then(|| format!("does not name the hash of entry {}", head.seq))
}

/// Whether its own hash is another one.
fn changed(entry: &AuditEntry) -> Option<String> {
    (entry.link.hash().as_slice() != entry.hash).then(|| "was changed: its hash is another one".to_owned())
}

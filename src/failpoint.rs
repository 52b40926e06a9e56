//! Named places where a test has the process killed, to see what a crash right there leaves behind.
//!
//! Only builds with debug assertions have them. `FAILPOINT=export.payload_stored` kills the process, as `kill -9` would, when it comes to
//! that place; `FAILPOINT=export.payload_stored:2` when it comes there the second time.

/// All places of an export, in the order it comes to them; those of an upload are other uploads' too.
pub const EXPORT: [&str; 9] = [
    "export.snapshot_open",
    "upload.begun",
    "export.file_written",
    "upload.stored",
    "export.payload_stored",
    "export.all_stored",
    "export.messages_inserted",
    "export.positions_inserted",
    "export.queued",
];

/// All places of the agent, in the order it comes to them: a file sent to a queue, a package sent, a file collected, a package
/// exported.
pub const AGENT: [&str; 15] = [
    "agent.picked",
    "agent.held",
    "agent.sending",
    "agent.uploaded",
    "agent.submitted",
    "agent.answered",
    "agent.sent",
    "agent.ended",
    "agent.reasons_written",
    "agent.moving",
    "agent.moved",
    "agent.fetched",
    "agent.storing",
    "agent.stored",
    "agent.acknowledged",
];

/// Both sides of every commit, whatever it is of: of the store, and of a business database. To be counted: `store.committed:7`.
pub const COMMITS: [&str; 4] = [
    "store.committing",
    "store.committed",
    "business.committing",
    "business.committed",
];

/// All places of an enqueue, in the order it comes to them; a payload that is kept inline has no upload.
pub const ENQUEUE: [&str; 4] = [
    "upload.begun",
    "upload.stored",
    "enqueue.payload_durable",
    "enqueue.committed",
];

/// All places of an import that is staged, in the order it comes to them.
pub const IMPORT: [&str; 13] = [
    "import.claimed",
    "import.execution_begun",
    "import.fence_raised",
    "import.load_begun",
    "import.batch_staged",
    "import.ranges_fixed",
    "import.processing",
    "import.chunk_promoted",
    "import.rejects_copied",
    "import.staging_cleared",
    "import.counted",
    "import.finished",
    "import.rejects_forgotten",
];

/// Places of their own of an import with `skip_staging`, of one with `atomicity = "file"`, and of one that is given up.
pub const OTHER_IMPORTS: [&str; 4] = [
    "import.batch_landed",
    "import.landing_ended",
    "import.file_promoted",
    "import.load_stopped",
];

/// All places of a message handed out, in the order it comes to them.
pub const HANDED_OUT: [&str; 3] = ["lease.committed", "download.marked", "ack.committed"];

/// All places of what is brought to others, in the order it comes to them.
pub const OUTGOING: [&str; 4] = [
    "webhook.sent",
    "webhook.recorded",
    "destination.sent",
    "destination.recorded",
];

/// All places of housekeeping, in the order it comes to them.
pub const HOUSEKEEPING: [&str; 5] = [
    "retention.blobs_released",
    "retention.rows_deleted",
    "sweep.marked_dead",
    "sweep.blob_deleted",
    "sweep.row_deleted",
];

/// All places of an import by the package API, before its load.
pub const PACKAGE_IMPORT: [&str; 1] = ["package_import.queued"];

/// All places of an erasure of one message.
pub const ERASE: [&str; 2] = ["erase.blanked", "erase.withdrawn"];

/// All of them.
pub const LISTS: [&[&str]; 11] = [
    &COMMITS,
    &ENQUEUE,
    &IMPORT,
    &OTHER_IMPORTS,
    &EXPORT,
    &HANDED_OUT,
    &OUTGOING,
    &HOUSEKEEPING,
    &PACKAGE_IMPORT,
    &AGENT,
    &ERASE,
];

/// Kills the process if that is asked of it here.
#[inline]
pub fn reached(name: &str) {
    #[cfg(debug_assertions)]
    armed::reached(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    /// Where, and how often it is still passed.
    struct Armed {
        name: String,
        left: AtomicU32,
    }

    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

    pub(super) fn reached(name: &str) {
        let known = super::LISTS.iter().any(|list| list.contains(&name));
        debug_assert!(known, "{name} is on no list of failpoints");
        let Some(armed) = ARMED.get_or_init(asked) else { return };
        if armed.name == name && armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "no setting: builds for users have no failpoints"
    )]
    fn asked() -> Option<Armed> {
        let asked = std::env::var("FAILPOINT").ok()?;
        let (name, times) = asked.split_once(':').unwrap_or((&asked, "1"));
        Some(Armed {
            name: name.to_owned(),
            left: AtomicU32::new(times.parse().ok()?),
        })
    }
}

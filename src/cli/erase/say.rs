//! What an erasure says when it is over.

use super::Erase;
use crate::cli::Failure;
use crate::cli::screen::{Screen, Tone, count, counted, plain};
use crate::pipeline::erase::{Report, Told};

/// Where nothing of this reaches.
pub(super) const NOT_REACHED: [&str; 6] = [
    "backups of the store: erase again after a restore",
    "files that agents keep in their folders",
    "files that were collected, or sent to destinations",
    "uploads and exported packages in the blob host, until their time is over (blobs.retention_days)",
    "file names and idempotency keys that senders chose",
    "on PostgreSQL, deleted rows until VACUUM; on SQLite, pages that were free before, until --vacuum",
];

/// For people.
pub(super) fn say_report(screen: &Screen, erase: &Erase, report: &Report) {
    let verb = if erase.dry_run { "would be " } else { "" };
    let line = |number: u64, what: &str| {
        if number > 0 {
            screen.line(format!("  {}  {what}", count(number)));
        }
    };
    let heading = format!("{} looked at", counted(report.looked_at, "message"));
    screen.line(screen.paint(Tone::Strong, &heading));
    line(report.withdrawn.count, &format!("payloads {verb}withdrawn"));
    line(report.record_errors, &format!("record errors {verb}blanked"));
    line(report.notes, &format!("notes of runs and failures {verb}blanked"));
    line(report.staging_rows, &format!("rows of staging {verb}deleted"));
    line(report.last_writes, &format!("notes of last writes {verb}deleted"));
    let target = if erase.target {
        format!("rows of the target {verb}deleted")
    } else {
        "rows in the target, which stay without --target".to_owned()
    };
    line(report.target_rows, &target);
    line(
        report.tracked_changes,
        "tracked changes name the key; they go once every export went on past them",
    );
    let withdrawn = if erase.dry_run {
        "would lose their payload"
    } else {
        "lost their payload"
    };
    name(screen, withdrawn, &report.withdrawn);
    name(screen, "have not ended and were left alone", &report.waiting);
    name(screen, "cannot be read to the end", &report.unclear);
    name(screen, "have record errors of nobody knows whom", &report.unmatched);
    if !report.relay_jobs.is_empty() {
        screen.line(format!(
            "not looked into: messages of {}",
            plain(&report.relay_jobs.join(", "))
        ));
    }
    for id in &report.unknown_jobs {
        screen.line(format!(
            "not looked into: messages of {id}, a job that has no file any more"
        ));
    }
    if !erase.dry_run && !report.logs_emptied {
        screen.line(
            "Somebody reads, so SQLite's log still holds what was deleted: run this again, or restart the service.",
        );
    }
    if report.blobs_left {
        screen.line("Some blobs could not be deleted yet; a running service tries again every minute.");
    }
    screen.note(format!("Not reached: {}.", NOT_REACHED.join("; ")));
}

fn name(screen: &Screen, what: &str, told: &Told) {
    const SHOWN: usize = 20;
    if told.count == 0 {
        return;
    }
    screen.line(format!("{} {what}:", counted(told.count, "message")));
    for message in told.messages.iter().take(SHOWN) {
        let why = message
            .why
            .as_ref()
            .map_or_else(String::new, |why| format!("  {}", plain(why)));
        screen.line(format!(
            "  {}  {}  {}{why}",
            message.id,
            message.status,
            plain(&message.job)
        ));
    }
    if told.count > SHOWN as u64 {
        screen.line("  and more; --json names a thousand");
    }
}

/// What is left, and what to do about it.
pub(super) fn left(report: &Report) -> Failure {
    let mut cures = Vec::new();
    if report.waiting.count > 0 {
        cures.push(
            "Let the messages that have not ended end, or cancel them (`tranship messages cancel`), and run it again.",
        );
    }
    if report.unclear.count > 0 {
        cures.push("--unclear withdraws payloads that cannot be read to the end.");
    }
    if report.unmatched.count > 0 {
        cures.push("--unmatched blanks record errors whose payload is gone; by themselves they go after queue.idempotency_days.");
    }
    let what = format!(
        "not all could be erased: {} have not ended, {} cannot be read to the end, {} have record errors of nobody knows whom",
        counted(report.waiting.count, "message"),
        report.unclear.count,
        report.unmatched.count
    );
    Failure::failed(what).cure(cures.join("\n"))
}

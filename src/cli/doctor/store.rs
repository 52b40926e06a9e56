//! The service store: whether it answers, keeps what it commits, and can clean up; its clock; leases nobody took over.

mod vacuum;

use serde_json::json;

use super::blobs::examine_identity;
use super::chart::{Chart, Finding, Verdict};
use super::words::{age, size, span};
use crate::cli::screen::counted;
use crate::clock::Clock;
use crate::config::{Config, redacted};
use crate::domain::time::Timestamp;
use crate::storage::StoreError;
use crate::storage::doctor::{ClockOffset, Examination, LapsedLeases, LogSize, Schema, Setting};

/// SQLite cuts its log back far below this unless somebody reads for very long; PostgreSQL's log is judged by its settings.
const LOG_WARN_BYTES: u64 = 256 << 20;
const LOG_BAD_BYTES: u64 = 4 << 30;
/// A clock that is off by less harms nothing.
const CLOCK_WARN_MICROS: u64 = 1_000_000;
/// What to do about a look that failed.
const LOOK_AGAIN: &str = "Look again; if it stays, see the server's log.";

/// Looks at all of it.
pub(super) async fn examine(config: &Config, clock: &Clock, deep: bool, chart: &mut Chart) {
    let url = redacted(&config.store.url);
    let mut store = match Examination::open(&config.store.url).await {
        Ok(Some(store)) => store,
        Ok(None) => {
            chart.add(Finding::ok(
                "store",
                format!("{url} is not there yet; the first start makes it"),
            ));
            return;
        }
        Err(error) => {
            let cure = "Start it, or correct store.url. A running service answers 503 until then.";
            chart.add(Finding::bad("store", format!("{url}: {error}"), cure));
            return;
        }
    };
    let has_schema = look_at_schema(&url, &mut store, chart).await;
    add(chart, "durability", store.durability().await, |found| {
        durability(&found)
    });
    add(chart, "write_ahead_log", store.log_size().await, log_size);
    match store.vacuum().await {
        Ok(Some(found)) => vacuum::judge(&found, chart),
        Ok(None) => {}
        Err(error) => chart.add(failed(vacuum::CHECK, &error)),
    }
    if has_schema {
        let now = clock.now();
        add(chart, "leases", store.lapsed_leases(now).await, |found| {
            leases(config, now, &found)
        });
        examine_identity(config, &mut store, chart).await;
    }
    match store.clock_offset(clock).await {
        Ok(Some(offset)) => chart.add(server_clock(config, offset)),
        Ok(None) => {}
        Err(error) => chart.add(failed("server_clock", &error)),
    }
    if deep {
        look_for_damage(&mut store, chart).await;
    }
    store.close().await;
}

/// Adds what was found, or that it could not be looked at: the rest is looked at all the same.
fn add<T>(chart: &mut Chart, check: &'static str, found: Result<T, StoreError>, judge: impl FnOnce(T) -> Finding) {
    chart.add(match found {
        Ok(found) => judge(found),
        Err(error) => failed(check, &error),
    });
}

fn failed(check: &'static str, error: &StoreError) -> Finding {
    Finding::warn(check, format!("it could not be looked at: {error}"), LOOK_AGAIN)
}

/// Whether there is a schema to look further into.
async fn look_at_schema(url: &str, store: &mut Examination, chart: &mut Chart) -> bool {
    let found = async {
        let version = store.version().await?;
        Ok::<_, StoreError>((version, store.is_standby().await?, store.schema().await?))
    };
    match found.await {
        Ok((version, is_standby, found)) => {
            chart.add(schema(&format!("{url} ({version})"), is_standby, found));
            found.found.is_some()
        }
        Err(error) => {
            chart.add(Finding::bad("store", format!("{url}: {error}"), LOOK_AGAIN));
            false
        }
    }
}

fn schema(title: &str, is_standby: bool, schema: Schema) -> Finding {
    if is_standby {
        let found = format!("{title} only follows another server");
        return Finding::bad("store", found, "Let store.url name the server that is written to.");
    }
    match schema.found {
        None => Finding::ok(
            "store",
            format!("{title} answers and is empty; the first start makes the tables"),
        ),
        Some(found) if found > schema.known && !schema.is_beyond => Finding::warn(
            "store",
            format!(
                "{title} was used by a newer version: step {found}, and this program knows {}",
                schema.known
            ),
            "This one works beside it. Bring all processes to the newer version.",
        ),
        Some(found) if found > schema.known => Finding::bad(
            "store",
            format!(
                "{title} is of a newer version: step {found}, and this program knows {}",
                schema.known
            ),
            "Use the newer program; this one does not start on it.",
        ),
        Some(found) if found < schema.known => Finding::warn(
            "store",
            format!("{title} is of an older version: step {found} of {}", schema.known),
            "The next start brings it up to date. Make a backup before.",
        ),
        Some(found) => Finding::ok(
            "store",
            format!("{title} answers; its schema is at step {found}, the newest"),
        ),
    }
}

fn durability(settings: &[Setting]) -> Finding {
    let list = |settings: &mut dyn Iterator<Item = &Setting>| {
        let pairs: Vec<_> = settings.map(|s| format!("{} = {}", s.name, s.value)).collect();
        pairs.join(", ")
    };
    let weak = list(&mut settings.iter().filter(|setting| setting.is_weak));
    if weak.is_empty() {
        return Finding::ok("durability", list(&mut settings.iter()));
    }
    let found = format!("{weak}: a power cut may lose what was committed");
    let cure = "Turn it on in the database. Until then every answer of the service says `durability: relaxed`.";
    Finding::bad("durability", found, cure)
}

fn log_size(log: LogSize) -> Finding {
    let judged = |bytes: u64, warn: u64, bad: u64| match bytes {
        bytes if bytes > bad => Verdict::Bad,
        bytes if bytes > warn => Verdict::Warn,
        _ => Verdict::Ok,
    };
    match log {
        LogSize::File { bytes, database_bytes } => {
            let found = format!("{}, beside a database of {}", size(bytes), size(database_bytes));
            let cure = "Something reads for very long and keeps the log from being written back: end it (a backup tool, a shell \
                        on the file).";
            Finding::ok("write_ahead_log", found)
                .measured(json!({"bytes": bytes, "database_bytes": database_bytes}))
                .judged(judged(bytes, LOG_WARN_BYTES, LOG_BAD_BYTES), cure)
        }
        LogSize::Folder { bytes, expected_bytes } => {
            let expected = size(expected_bytes);
            let found = format!("{}; by the server's settings it grows to {expected}", size(bytes));
            let cure = "A replication slot, an archive command that fails, or a load too heavy for the checkpoints holds it: see \
                        pg_replication_slots, pg_stat_archiver and max_wal_size.";
            Finding::ok("write_ahead_log", found)
                .measured(json!({"bytes": bytes, "expected_bytes": expected_bytes}))
                .judged(
                    judged(
                        bytes,
                        expected_bytes.saturating_mul(2),
                        expected_bytes.saturating_mul(8),
                    ),
                    cure,
                )
        }
        LogSize::Written { bytes } => {
            let found = format!(
                "{} written since the server's counters began; its size is not shown to this role (pg_monitor may see it)",
                size(bytes)
            );
            Finding::ok("write_ahead_log", found).measured(json!({"written_bytes": bytes}))
        }
    }
}

/// A lease that has just ended is taken over within the next heartbeats; one that ended longer ago is not.
fn leases(config: &Config, now: Timestamp, lapsed: &[LapsedLeases]) -> Finding {
    let lease_seconds = i64::from(config.worker.heartbeat_seconds) * 3;
    let overdue: Vec<_> = lapsed
        .iter()
        .filter(|lapsed| now.seconds_since(lapsed.since) >= lease_seconds)
        .collect();
    if overdue.is_empty() {
        return Finding::ok("leases", "no lease of a dead worker waits to be taken over");
    }
    let count: u64 = overdue.iter().map(|lapsed| lapsed.count).sum();
    let owners: Vec<_> = overdue
        .iter()
        .take(5)
        .map(|lapsed| format!("{} ({} ago)", lapsed.owner, age(now.seconds_since(lapsed.since))))
        .collect();
    let found = format!(
        "{} of dead workers ended and nobody took over: {}",
        counted(count, "lease"),
        owners.join(", ")
    );
    let numbers: Vec<_> = overdue
        .iter()
        .map(|lapsed| json!({"owner": lapsed.owner, "leases": lapsed.count, "ended_at": lapsed.since}))
        .collect();
    let cure = "Start the service: it takes them over. If it runs, all its workers are busy (worker.concurrency) or its log says \
                why they cannot.";
    Finding::warn("leases", found, cure).measured(json!({"lapsed": numbers}))
}

fn server_clock(config: &Config, offset: ClockOffset) -> Finding {
    // A worker's lease is three heartbeats: past a third of it, a living worker may look dead to another process.
    let bad = u64::from(config.worker.heartbeat_seconds) * 1_000_000;
    let off = offset.micros.unsigned_abs();
    let direction = if offset.micros < 0 { "behind" } else { "ahead of" };
    let found = format!(
        "the database server's clock is {} {direction} this machine's (round trip {})",
        span(std::time::Duration::from_micros(off)),
        span(offset.round_trip)
    );
    let verdict = match off {
        off if off > bad => Verdict::Bad,
        off if off > CLOCK_WARN_MICROS => Verdict::Warn,
        _ => Verdict::Ok,
    };
    Finding::ok("server_clock", found)
        .measured(json!({"offset_microseconds": offset.micros, "bad_above_microseconds": bad}))
        .judged(
            verdict,
            "Let both follow one time server. Leases and schedules go by the clocks of the service's machines.",
        )
}

async fn look_for_damage(store: &mut Examination, chart: &mut Chart) {
    let found = match store.damage().await {
        Ok(found) => found,
        Err(error) => Some(vec![error.to_string()]),
    };
    chart.add(match found {
        None => Finding::ok(
            "damage",
            "only a SQLite store is read through; for PostgreSQL see pg_amcheck",
        ),
        Some(sentences) if sentences.is_empty() => Finding::ok("damage", "the whole store was read and is sound"),
        Some(sentences) => Finding::bad(
            "damage",
            sentences.join("; "),
            "Stop the service, keep a copy of the file with its -wal, and restore a backup.",
        ),
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Overrides;

    fn config() -> Config {
        Config::load(&Overrides::default(), &[]).expect("the defaults are sound")
    }

    #[test]
    fn a_clock_off_by_a_third_of_a_lease_is_bad_in_either_direction() {
        let verdict = |micros| {
            let round_trip = Duration::from_micros(300);
            server_clock(&config(), ClockOffset { micros, round_trip }).verdict()
        };
        assert_eq!(verdict(900_000), Verdict::Ok);
        assert_eq!(verdict(-1_100_000), Verdict::Warn);
        assert_eq!(verdict(5_100_000), Verdict::Bad);
        assert_eq!(verdict(-5_100_000), Verdict::Bad);
    }

    #[test]
    fn a_setting_that_loses_commits_is_named() {
        let setting = |value: &str, is_weak| Setting {
            name: "fsync",
            value: value.to_owned(),
            is_weak,
        };
        assert_eq!(durability(&[setting("on", false)]).verdict(), Verdict::Ok);
        let weak = durability(&[setting("off", true)]);
        assert_eq!(weak.verdict(), Verdict::Bad);
        assert!(weak.text().contains("fsync = off"), "{}", weak.text());
    }

    #[test]
    fn a_log_is_judged_by_its_own_measure() {
        let file = |bytes| {
            log_size(LogSize::File {
                bytes,
                database_bytes: 1,
            })
            .verdict()
        };
        assert_eq!(
            [file(4 << 20), file(1 << 30), file(5 << 30)],
            [Verdict::Ok, Verdict::Warn, Verdict::Bad]
        );
        let folder = |bytes| {
            let expected_bytes = 1 << 30;
            log_size(LogSize::Folder { bytes, expected_bytes }).verdict()
        };
        assert_eq!(
            [folder(1 << 30), folder(3 << 30), folder(9 << 30)],
            [Verdict::Ok, Verdict::Warn, Verdict::Bad]
        );
    }

    #[test]
    fn a_schema_of_another_version_is_told_from_the_programs_own() {
        let of = |found, is_beyond| Schema {
            found,
            known: 4,
            is_beyond,
        };
        let verdict = |found, is_beyond| schema("store", false, of(found, is_beyond)).verdict();
        assert_eq!(verdict(None, false), Verdict::Ok);
        assert_eq!(verdict(Some(4), false), Verdict::Ok);
        assert_eq!(verdict(Some(3), false), Verdict::Warn);
        assert_eq!(verdict(Some(5), false), Verdict::Warn);
        assert_eq!(verdict(Some(5), true), Verdict::Bad);
        assert_eq!(schema("store", true, of(Some(4), false)).verdict(), Verdict::Bad);
    }

    #[test]
    fn a_lease_that_has_only_just_ended_worries_nobody() {
        let now = Timestamp(1_000_000_000);
        let lapsed = |seconds: i64| {
            leases(
                &config(),
                now,
                &[LapsedLeases {
                    owner: "one".to_owned(),
                    count: 2,
                    since: now.plus_seconds(-seconds),
                }],
            )
        };
        assert_eq!(lapsed(14).verdict(), Verdict::Ok);
        assert_eq!(lapsed(15).verdict(), Verdict::Warn);
        assert!(lapsed(15).text().contains("one (15 s ago)"), "{}", lapsed(15).text());
    }
}

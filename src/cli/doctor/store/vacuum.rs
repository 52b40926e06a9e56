//! PostgreSQL's clean-up of dead rows: who holds it up, and how far behind it is.

use serde_json::{Value, json};

use crate::cli::doctor::chart::{Chart, Finding, Verdict};
use crate::cli::doctor::words::{age, size};
use crate::cli::screen::count;
use crate::storage::doctor::{Pin, PinKind, TableRows, Vacuum};

/// What the first of the two checks is called.
pub(super) const CHECK: &str = "vacuum_horizon";
/// A session that sits in a transaction and asks nothing for this long was forgotten.
const IDLE_WARN_SECONDS: i64 = 10;
/// No statement of a queue takes that long; a backup may.
const WORKING_WARN_SECONDS: i64 = 300;
/// Whatever it is, by now dead rows pile up.
const BAD_SECONDS: i64 = 3600;
/// So many transactions of others happened since.
const TRANSACTIONS_WARN: i64 = 1_000_000;
/// A slot that holds back this much of the log will fill the disk.
const SLOT_WARN_BYTES: i64 = 1 << 30;
/// Fewer dead rows than this cost nothing.
const DEAD_ROWS_MIN: u64 = 10_000;
/// Dead rows in a hundred rows: the server begins at 20 by its defaults.
const DEAD_WARN_PERCENT: u64 = 40;
/// Characters of a statement that are shown.
const QUERY_CHARS: usize = 80;

/// So many of those that hold it up are named; the numbers name all.
const NAMED_MAX: usize = 5;

/// Who holds up the clean-up, and how far behind it is.
pub(super) fn judge(vacuum: &Vacuum, chart: &mut Chart) {
    for finding in horizon(vacuum) {
        chart.add(finding);
    }
    chart.add(dead_rows(vacuum));
}

/// One finding for each that should not be there; else one that names the oldest there is.
fn horizon(vacuum: &Vacuum) -> Vec<Finding> {
    let blind = if vacuum.sees_all_sessions {
        ""
    } else {
        "; sessions of other roles are not shown to this one (pg_read_all_stats may see them)"
    };
    let numbers = json!({"held_by": vacuum.pins.iter().map(as_json).collect::<Vec<_>>()});
    let judged = vacuum.pins.iter().map(|pin| (pin_verdict(pin), pin));
    let troublesome: Vec<_> = judged
        .filter(|(verdict, _)| *verdict != Verdict::Ok)
        .take(NAMED_MAX)
        .map(|(verdict, pin)| Finding::ok(CHECK, format!("{}{blind}", described(pin))).judged(verdict, cure(pin)))
        .map(|finding| finding.measured(numbers.clone()))
        .collect();
    if !troublesome.is_empty() {
        return troublesome;
    }
    let found = vacuum.pins.first().map_or_else(
        || "nothing holds up the clean-up of dead rows".to_owned(),
        |oldest| format!("no longer than it may: {}", described(oldest)),
    );
    vec![Finding::ok(CHECK, format!("{found}{blind}")).measured(numbers)]
}

fn pin_verdict(pin: &Pin) -> Verdict {
    let seconds = pin.seconds.unwrap_or(0);
    let old = pin
        .transactions
        .is_some_and(|transactions| transactions > TRANSACTIONS_WARN);
    match pin.kind {
        PinKind::Session | PinKind::Prepared if seconds > BAD_SECONDS => Verdict::Bad,
        PinKind::Prepared if seconds > IDLE_WARN_SECONDS => Verdict::Warn,
        PinKind::Session if pin.state.starts_with("idle") && seconds > IDLE_WARN_SECONDS => Verdict::Warn,
        PinKind::Session if seconds > WORKING_WARN_SECONDS => Verdict::Warn,
        PinKind::Slot if pin.state == "inactive" || pin.log_bytes.is_some_and(|bytes| bytes > SLOT_WARN_BYTES) => {
            Verdict::Warn
        }
        _ if old => Verdict::Warn,
        _ => Verdict::Ok,
    }
}

fn described(pin: &Pin) -> String {
    let name = &pin.name;
    let pid = pin.pid.map_or_else(String::new, |pid| format!("pid {pid}, "));
    let since = pin
        .seconds
        .map_or_else(String::new, |seconds| format!(", {} old", age(seconds)));
    match pin.kind {
        PinKind::Session => {
            let query = pin
                .query
                .as_deref()
                .map_or_else(String::new, |query| format!(": {}", excerpt(query)));
            format!("a transaction is open ({pid}{name}, {}{since}){query}", pin.state)
        }
        PinKind::Prepared => format!("the prepared transaction `{name}` was never finished{since}"),
        PinKind::Slot => {
            let held = pin.log_bytes.and_then(|bytes| u64::try_from(bytes).ok());
            let log = held.map_or_else(String::new, |bytes| {
                format!(" and holds back {} of the log", size(bytes))
            });
            format!("the replication slot `{name}` is {}{log}", pin.state)
        }
        PinKind::Standby => format!("the standby `{name}` ({pid}{}) still reads old rows", pin.state),
    }
}

fn cure(pin: &Pin) -> String {
    let name = &pin.name;
    match (pin.kind, pin.pid) {
        (PinKind::Session, Some(pid)) => format!(
            "Dead rows stay as long as it is open, and every claim walks over them. Let its program end it, or `select \
             pg_terminate_backend({pid})`."
        ),
        (PinKind::Prepared, _) => format!("`commit prepared '{name}'` or `rollback prepared '{name}'`."),
        (PinKind::Slot, _) => {
            format!("Let its consumer go on, or, if nobody needs it, `select pg_drop_replication_slot('{name}')`.")
        }
        _ => "See hot_standby_feedback and max_standby_streaming_delay of the standby.".to_owned(),
    }
}

/// The beginning of a statement, on one line.
fn excerpt(query: &str) -> String {
    let line = query.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUERY_CHARS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn as_json(pin: &Pin) -> Value {
    let kind = match pin.kind {
        PinKind::Session => "session",
        PinKind::Prepared => "prepared_transaction",
        PinKind::Slot => "replication_slot",
        PinKind::Standby => "standby",
    };
    json!({
        "kind": kind, "pid": pin.pid, "name": pin.name, "state": pin.state, "query": pin.query.as_deref().map(excerpt),
        "seconds": pin.seconds, "transactions": pin.transactions, "log_bytes": pin.log_bytes,
    })
}

fn dead_rows(vacuum: &Vacuum) -> Finding {
    if !vacuum.is_automatic {
        let found = "autovacuum is off: dead rows are never cleaned up";
        return Finding::bad("dead_rows", found, "Set `autovacuum = on`.");
    }
    let percent = |table: &TableRows| table.dead * 100 / (table.dead + table.live).max(1);
    let crowded = |table: &&TableRows| table.dead >= DEAD_ROWS_MIN && percent(table) > DEAD_WARN_PERCENT;
    let shown = |table: &TableRows| {
        let vacuumed = table.vacuumed_seconds_ago.map_or_else(
            || "never vacuumed".to_owned(),
            |seconds| format!("vacuumed {} ago", age(seconds)),
        );
        let (dead, live) = (count(table.dead), count(table.live));
        format!("{} has {dead} dead rows beside {live}, {vacuumed}", table.table)
    };
    let numbers: Vec<_> = vacuum
        .tables
        .iter()
        .filter(|table| table.dead > 0)
        .map(|table| {
            json!({"table": table.table, "live": table.live, "dead": table.dead,
                   "vacuumed_seconds_ago": table.vacuumed_seconds_ago})
        })
        .collect();
    let crowd: Vec<_> = vacuum.tables.iter().filter(crowded).map(shown).collect();
    let finding = if crowd.is_empty() {
        let most = vacuum.tables.first().filter(|table| table.dead > 0);
        Finding::ok("dead_rows", most.map_or_else(|| "there are none".to_owned(), shown))
    } else {
        let cure = "Autovacuum does not keep up: see what holds it up above, or let it begin earlier and work faster \
                    (autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay of the table).";
        Finding::warn("dead_rows", crowd.join("; "), cure)
    };
    finding.measured(json!({"tables": numbers}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(state: &str, seconds: i64) -> Pin {
        Pin {
            kind: PinKind::Session,
            pid: Some(4711),
            name: "shop, psql".to_owned(),
            state: state.to_owned(),
            query: Some(format!("select\n  1 from {}", "x".repeat(200))),
            seconds: Some(seconds),
            transactions: Some(3),
            log_bytes: None,
        }
    }

    fn slot(state: &str, log_bytes: i64) -> Pin {
        Pin {
            kind: PinKind::Slot,
            name: "warehouse".to_owned(),
            seconds: None,
            transactions: None,
            log_bytes: Some(log_bytes),
            query: None,
            ..session(state, 0)
        }
    }

    fn vacuum(pins: Vec<Pin>, dead: u64) -> Vacuum {
        Vacuum {
            sees_all_sessions: true,
            is_automatic: true,
            pins,
            tables: vec![TableRows {
                table: "queue".to_owned(),
                live: 10_000,
                dead,
                vacuumed_seconds_ago: None,
            }],
        }
    }

    #[test]
    fn a_forgotten_transaction_is_worse_than_a_working_one() {
        let verdict = |state: &str, seconds| pin_verdict(&session(state, seconds));
        assert_eq!(verdict("idle in transaction", 9), Verdict::Ok);
        assert_eq!(verdict("idle in transaction", 11), Verdict::Warn);
        assert_eq!(verdict("active", 299), Verdict::Ok);
        assert_eq!(verdict("active", 301), Verdict::Warn);
        assert_eq!(verdict("active", 3601), Verdict::Bad);
        assert_eq!(pin_verdict(&slot("active", 1)), Verdict::Ok);
        assert_eq!(pin_verdict(&slot("inactive", 1)), Verdict::Warn);
        assert_eq!(pin_verdict(&slot("active", 2 << 30)), Verdict::Warn);
    }

    #[test]
    fn each_that_holds_it_up_too_long_is_named_with_its_pid_its_statement_and_what_to_do() {
        let pins = vec![
            session("active", 20),
            session("idle in transaction", 15),
            slot("inactive", 3),
        ];
        let found = horizon(&vacuum(pins, 0));
        assert!(found.iter().all(|finding| finding.verdict() == Verdict::Warn));
        let [forgotten, unused] = &found[..] else {
            panic!("{found:?}");
        };
        let text = forgotten.text();
        for word in [
            "pid 4711",
            "idle in transaction",
            "select 1 from xxx",
            "pg_terminate_backend(4711)",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(!text.contains(&"x".repeat(QUERY_CHARS)), "only an excerpt: {text}");
        assert!(
            unused.text().contains("pg_drop_replication_slot('warehouse')"),
            "{}",
            unused.text()
        );
    }

    #[test]
    fn the_oldest_is_named_also_when_it_may_be_there() {
        let found = horizon(&vacuum(vec![session("active", 20)], 0));
        assert_eq!((found.len(), found[0].verdict()), (1, Verdict::Ok));
        assert!(found[0].text().contains("pid 4711"), "{}", found[0].text());
    }

    #[test]
    fn dead_rows_count_once_they_are_many_and_outweigh_the_living() {
        let verdict = |dead| dead_rows(&vacuum(Vec::new(), dead)).verdict();
        assert_eq!(verdict(6_000), Verdict::Ok);
        assert_eq!(verdict(10_000), Verdict::Warn);
        let off = Vacuum {
            is_automatic: false,
            ..vacuum(Vec::new(), 0)
        };
        assert_eq!(dead_rows(&off).verdict(), Verdict::Bad);
    }

    #[test]
    fn a_role_that_does_not_see_all_sessions_says_so() {
        let blind = Vacuum {
            sees_all_sessions: false,
            ..vacuum(Vec::new(), 0)
        };
        assert!(horizon(&blind)[0].text().contains("pg_read_all_stats"));
    }
}

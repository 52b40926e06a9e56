//! Runs of a schedule.

use super::plain;
use crate::checker::{Rule, check};
use crate::history::{Run, Runs};

/// Due every two seconds from 100 to 106, each done with one message.
fn good() -> Runs {
    let run = |due| Run {
        due,
        state: "done".to_owned(),
        taken: 1,
        messages: 1,
    };
    Runs {
        first: 100,
        every: 2,
        until: 107,
        rows: [100, 102, 104, 106].map(run).to_vec(),
        strays: 0,
    }
}

/// Whether the checker objects, and to nothing else.
fn is_seen(change: impl FnOnce(&mut Runs)) -> bool {
    let mut history = plain().end();
    history.runs = good();
    change(&mut history.runs);
    let found = check(&history);
    assert!(
        found.iter().all(|one| one.rule == Rule::EachDueTimeRunsOnce),
        "{found:?}"
    );
    !found.is_empty()
}

#[test]
fn due_times_that_ran_once_each_are_good() {
    assert!(!is_seen(|_| {}));
    assert!(!is_seen(|runs| runs.rows.reverse()), "their order says nothing");
    assert!(
        !is_seen(|runs| runs.rows[1].taken = 3),
        "a worker that died costs an attempt"
    );
    assert!(
        !is_seen(|runs| runs.until = 105),
        "the last one may come after the look at the clock"
    );
    assert!(!is_seen(|runs| *runs = Runs::default()), "where there is no schedule");
}

#[test]
fn a_due_time_that_is_left_out_is_seen() {
    assert!(is_seen(|runs| drop(runs.rows.remove(1))));
    assert!(is_seen(|runs| drop(runs.rows.pop())), "also the last one");
    assert!(is_seen(|runs| runs.rows.clear()));
}

#[test]
fn a_due_time_that_ran_twice_is_seen() {
    assert!(is_seen(|runs| runs.rows[2].messages = 2));
    assert!(is_seen(|runs| runs.rows.push(runs.rows[2].clone())));
    assert!(is_seen(|runs| runs.strays = 1));
}

#[test]
fn a_due_time_that_did_not_run_is_seen() {
    assert!(is_seen(|runs| runs.rows[2].messages = 0));
    assert!(is_seen(|runs| runs.rows[2].state = "running".to_owned()));
    assert!(is_seen(|runs| runs.rows[2].state = "skipped".to_owned()));
}

#[test]
fn what_was_never_due_is_seen() {
    let stray = Run {
        due: 103,
        ..good().rows.remove(0)
    };
    assert!(is_seen(|runs| runs.rows.push(stray)));
}

//! Every policy on its own, and where they meet.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::schedule::Recurrence;
use crate::domain::schedule::calendar::Calendar;
use crate::domain::schedule::elapsed::Elapsed;

/// The clock of every test.
const NOW: i64 = 1_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000)
}

fn schedule(missed: Missed, overlap: Overlap) -> Schedule {
    let minutely = Recurrence::Every(Elapsed::parse("1m").expect("a length"));
    Schedule {
        missed,
        overlap,
        ..Schedule::new(minutely, chrono_tz::UTC)
    }
}

/// What becomes of due times so many seconds ago: `run`, or the reason.
fn outcome(schedule: &Schedule, pause: Option<&Pause>, open: u32, ages: &[i64]) -> Vec<&'static str> {
    let due: Vec<Timestamp> = ages.iter().map(|age| at(NOW - age)).collect();
    words(&decide(&found(schedule, pause, open, &due)))
}

fn found<'a>(schedule: &'a Schedule, pause: Option<&'a Pause>, open: u32, due: &'a [Timestamp]) -> Found<'a> {
    Found {
        job: JobId(uuid::Uuid::nil()),
        schedule,
        due,
        following: &[],
        now: at(NOW),
        pause,
        open,
    }
}

fn words(decided: &Decided) -> Vec<&'static str> {
    let word = |decision: &DueDecision| decision.skip.as_ref().map_or("run", |skip| skip.reason.as_str());
    decided.decisions.iter().map(word).collect()
}

fn pause(from: i64, to: i64, missed: Option<Missed>) -> Pause {
    Pause {
        at: at(NOW - from),
        by: "operator".to_owned(),
        note: Some("stocktaking".to_owned()),
        resumed_at: Some(at(NOW - to)),
        resumed_by: Some("operator".to_owned()),
        missed,
    }
}

#[test]
fn what_was_missed_follows_the_policy() {
    let ages = [9000, 5000, 10];
    let run = |missed| outcome(&schedule(missed, Overlap::Skip), None, 0, &ages);
    assert_eq!(run(Missed::Skip), ["missed", "missed", "run"]);
    assert_eq!(run(Missed::Once), ["missed", "missed", "run"]);
    assert_eq!(run(Missed::All), ["run", "run", "run"]);
    // A minute late is late, not missed.
    assert_eq!(
        outcome(&schedule(Missed::Skip, Overlap::Skip), None, 0, &[61, 60]),
        ["missed", "run"]
    );
}

#[test]
fn when_all_were_missed_once_runs_the_latest() {
    let once = schedule(Missed::Once, Overlap::Skip);
    let due = [at(NOW - 9000), at(NOW - 100)];
    let mut found = found(&once, None, 0, &due);
    assert_eq!(words(&decide(&found)), ["missed", "run"]);
    let following = [at(NOW - 100)];
    found.following = &following;
    assert_eq!(
        words(&decide(&found)),
        ["missed", "missed"],
        "the latest is among those that follow"
    );
}

#[test]
fn once_is_once_for_what_is_merely_late_too() {
    let once = schedule(Missed::Once, Overlap::Skip);
    assert_eq!(
        outcome(&once, None, 0, &[90, 50, 30, 10]),
        ["missed", "missed", "missed", "run"]
    );
    assert_eq!(
        outcome(&once, None, 0, &[50, 30, 10]),
        ["run", "run", "run"],
        "nothing was missed"
    );
    let skip = schedule(Missed::Skip, Overlap::Skip);
    assert_eq!(outcome(&skip, None, 0, &[90, 30, 10]), ["missed", "run", "run"]);
}

#[test]
fn the_window_and_the_number_bound_what_is_made_up_for() {
    let mut all = schedule(Missed::All, Overlap::Skip);
    all.missed_window_seconds = Some(1000);
    assert_eq!(outcome(&all, None, 0, &[1001, 1000, 500]), ["missed", "run", "run"]);
    all.missed_window_seconds = None;
    all.missed_max = 2;
    assert_eq!(outcome(&all, None, 0, &[9000, 5000, 500]), ["missed", "run", "run"]);
    let due = [at(NOW - 9000), at(NOW - 5000), at(NOW - 500)];
    let mut found = found(&all, None, 0, &due);
    let following = [at(NOW - 100)];
    found.following = &following;
    assert_eq!(words(&decide(&found)), ["missed", "missed", "run"]);
    let mut once = schedule(Missed::Once, Overlap::Skip);
    once.missed_window_seconds = Some(1000);
    assert_eq!(
        outcome(&once, None, 0, &[5000, 2000]),
        ["missed", "missed"],
        "not even once"
    );
}

#[test]
fn what_is_merely_late_does_not_count_for_missed_max() {
    let mut all = schedule(Missed::All, Overlap::Queue);
    all.missed_max = 2;
    // Down for a little less than four minutes of a job of every minute.
    let late = [186, 126, 66, 6];
    assert_eq!(outcome(&all, None, 0, &late), ["missed", "run", "run", "run"]);
    // The same where what is late comes with the next look.
    let due = [at(NOW - 186), at(NOW - 126), at(NOW - 66)];
    let following = [at(NOW - 6)];
    let mut found = found(&all, None, 0, &due);
    found.following = &following;
    assert_eq!(words(&decide(&found)), ["missed", "run", "run"]);
    // What a pause held up was missed, however late it is, and counts.
    let short = pause(70, 1, None);
    let outcome = outcome(&all, Some(&short), 0, &[66, 36, 6]);
    assert_eq!(outcome, ["paused", "run", "run"]);
}

#[test]
fn what_was_due_in_a_pause_was_missed_however_late_it_is() {
    let once = schedule(Missed::Once, Overlap::Skip);
    let short = pause(40, 10, None);
    assert_eq!(
        outcome(&once, Some(&short), 0, &[41, 40, 30, 10, 5]),
        ["run", "run", "paused", "paused", "run"]
    );
    let skip = schedule(Missed::Skip, Overlap::Skip);
    assert_eq!(outcome(&skip, Some(&short), 0, &[30]), ["paused"]);
    assert_eq!(
        outcome(&once, Some(&short), 0, &[30, 20]),
        ["paused", "run"],
        "once for all of it"
    );
    // Who resumes it may say otherwise, for what was due meanwhile only.
    let all = pause(5000, 1000, Some(Missed::All));
    assert_eq!(
        outcome(&skip, Some(&all), 0, &[6000, 4000, 2000, 500]),
        ["missed", "run", "run", "missed"]
    );
    let due = [at(NOW - 30), at(NOW - 5)];
    let decided = decide(&found(&once, Some(&short), 0, &due));
    let note = decided.decisions[0].skip.as_ref().map(|skip| skip.note.as_str());
    assert_eq!(
        note,
        Some("paused by operator: stocktaking (a later one runs for it: missed = once)")
    );
}

#[test]
fn an_excluded_day_does_not_run_and_counts_for_no_policy() {
    let day = at(NOW).to_utc().date_naive();
    let calendar = |name: &str| {
        let days = ["1970-01-12".parse().expect("a day")];
        Arc::new(Calendar::new(Some(name.to_owned()), days))
    };
    assert_eq!(day.to_string(), "1970-01-12");
    let mut once = schedule(Missed::Once, Overlap::Skip);
    once.except = vec![calendar("feasts")];
    let yesterday = NOW - 11 * 86_400 + 1;
    assert_eq!(
        outcome(&once, None, 0, &[yesterday + 60, yesterday, 500, 10]),
        ["missed", "run", "calendar", "calendar"],
        "the latest that may run runs for those before it"
    );
    once.except = vec![Arc::new(Calendar::new(None, ["1970-01-11".parse().expect("a day")]))];
    assert_eq!(
        outcome(&once, None, 0, &[86_400, 30, 10]),
        ["calendar", "run", "run"],
        "nothing was missed"
    );
    once.except = vec![calendar("feasts")];
    let due = [at(NOW)];
    let decided = decide(&found(&once, None, 0, &due));
    let note = decided.decisions[0].skip.as_ref().map(|skip| skip.note.as_str());
    assert_eq!(note, Some("the calendar `feasts` excludes the day"));
}

#[test]
fn a_run_in_the_way_follows_the_policy() {
    let skip = schedule(Missed::All, Overlap::Skip);
    assert_eq!(outcome(&skip, None, 1, &[5000, 10]), ["overlap", "overlap"]);
    let mut queue = schedule(Missed::All, Overlap::Queue);
    queue.queue_max = 3;
    assert_eq!(outcome(&queue, None, 1, &[20, 15, 10]), ["run", "run", "overlap"]);
    assert_eq!(
        outcome(&queue, None, 9, &[5000, 10]),
        ["run", "overlap"],
        "what was missed has its own bound"
    );
    let cancel = schedule(Missed::Once, Overlap::CancelPrevious);
    let due = [at(NOW - 20), at(NOW - 10)];
    let decided = decide(&found(&cancel, None, 1, &due));
    assert_eq!(words(&decided), ["overlap", "run"]);
    assert!(decided.cancels_previous);
    assert!(
        !decide(&found(&cancel, None, 0, &due)).cancels_previous,
        "there is none"
    );
    let skipped = schedule(Missed::Skip, Overlap::CancelPrevious);
    let old = [at(NOW - 5000)];
    assert!(
        !decide(&found(&skipped, None, 1, &old)).cancels_previous,
        "nothing runs in its place"
    );
}

#[test]
fn long_stretches_are_counted_and_short_ones_are_rows() {
    let skip = schedule(Missed::Skip, Overlap::Skip);
    let stretch = |count: i64| -> Vec<Timestamp> { (0..count).map(|n| at(NOW - 90_000 + n * 60)).collect() };
    let short = stretch(100);
    let decided = decide(&found(&skip, None, 0, &short));
    assert_eq!((decided.decisions.len(), decided.missed.len()), (100, 0));
    let mut long = stretch(101);
    long.push(at(NOW));
    let decided = decide(&found(&skip, None, 0, &long));
    assert_eq!(words(&decided), ["run"]);
    let range = &decided.missed[0];
    assert_eq!(
        (range.first_due, range.last_due, range.occurrences),
        (long[0], long[100], 101)
    );
    assert_eq!(range.reason, "missed");
}

#[test]
fn the_jitter_puts_the_run_off_and_leaves_the_due_time() {
    let mut once = schedule(Missed::Once, Overlap::Skip);
    once.jitter_seconds = 30;
    let due = [at(NOW)];
    let decided = decide(&found(&once, None, 0, &due));
    let not_before = decided.decisions[0].not_before.expect("put off");
    assert_eq!(decided.decisions[0].due_at, at(NOW));
    assert!(at(NOW) < not_before && not_before < at(NOW + 30), "{not_before}");
}

proptest! {
    /// However the look at what is due is cut in two, each due time gets one decision, and of what was missed no more runs
    /// than the policy allows.
    #[test]
    fn cuts_change_neither_what_is_recorded_nor_how_much_runs(
        policy in prop::sample::select(vec![(Missed::Skip, 0), (Missed::Once, 1), (Missed::All, 4)]),
        count in 1..40_u32,
        cut in 0..40_usize,
    ) {
        let (missed, allowed) = policy;
        let mut schedule = schedule(missed, Overlap::Queue);
        schedule.missed_max = 4;
        let due: Vec<Timestamp> = (0..count).map(|n| at(NOW - 10_000 + i64::from(n))).collect();
        let count = due.len();
        let cut = cut.min(count);
        let (first, rest) = due.split_at(cut);
        let mut seen = Vec::new();
        for (part, following) in [(first, rest), (rest, &[][..])] {
            if !part.is_empty() {
                let mut found = found(&schedule, None, 0, part);
                found.following = following;
                seen.extend(decide(&found).decisions);
            }
        }
        let times: Vec<Timestamp> = seen.iter().map(|decision| decision.due_at).collect();
        prop_assert_eq!(&times, &due);
        let runs: Vec<bool> = seen.iter().map(|decision| decision.skip.is_none()).collect();
        let wanted: Vec<bool> = (0..count).map(|n| n + allowed >= count).collect();
        prop_assert_eq!(runs, wanted, "the latest run");
    }
}

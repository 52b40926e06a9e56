//! What bounds a schedule and moves its runs: start and end, calendars, jitter; and what a preview says of it.

use chrono_tz::Europe;

use super::super::preview::Reason;
use super::*;

#[test]
fn fixed_intervals_go_by_elapsed_time_from_their_start() {
    let mut every = Schedule::new(
        Recurrence::Every(Elapsed::parse("90m").expect("a length")),
        Europe::Berlin,
    );
    let between = |every: &Schedule, from: &str, to: &str| -> Vec<String> {
        let due = every.due_between(at(from), at(to), 100);
        due.iter().map(ToString::to_string).collect()
    };
    // Through the skipped hour and the doubled one alike, counted from 1970.
    for (from, to) in [
        ("2026-03-28T23:59:59Z", "2026-03-29T04:30:00Z"),
        ("2026-10-24T23:59:59Z", "2026-10-25T04:30:00Z"),
    ] {
        let day = &to[..10];
        let wanted = ["00:00", "01:30", "03:00", "04:30"].map(|time| format!("{day}T{time}:00Z"));
        assert_eq!(between(&every, from, to), wanted);
    }
    every.start = Some(at("2026-03-28T23:10:00Z"));
    every.end = Some(at("2026-03-29T02:10:00Z"));
    assert_eq!(
        between(&every, "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ["2026-03-28T23:10:00Z", "2026-03-29T00:40:00Z", "2026-03-29T02:10:00Z"],
        "what is due at the start and at the end counts"
    );
    assert!(every.next(at("2026-03-29T02:10:00Z"), 5).is_empty(), "it is over");
}

#[test]
fn nothing_is_due_before_the_start_or_after_the_end() {
    let mut daily = schedule("30 2 * * *", Europe::Berlin);
    let day = |text: &str| Moment::parse(text).expect("a moment in the test");
    daily.start = Some(day("2026-03-28").first(Europe::Berlin));
    daily.end = Some(day("2026-03-30").last(Europe::Berlin));
    let due: Vec<String> = daily.next(Timestamp(0), 10).iter().map(ToString::to_string).collect();
    assert_eq!(
        due,
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    daily.start = Some(at("2026-03-29T01:00:00Z"));
    assert_eq!(daily.next(Timestamp(0), 10).len(), 2, "due at the start itself");
}

/// A schedule with a calendar of these days, and one of its own.
fn excepting(cron: &str, named: &[&str], own: &[&str]) -> Schedule {
    let calendar = |name: Option<&str>, days: &[&str]| {
        let days = days.iter().map(|day| day.parse().expect("a day in the test"));
        Arc::new(Calendar::new(name.map(str::to_owned), days))
    };
    let mut schedule = schedule(cron, Europe::Berlin);
    schedule.except = vec![calendar(None, own), calendar(Some("feasts"), named)];
    schedule
}

#[test]
fn an_excluded_day_is_a_day_of_the_schedules_zone() {
    let hourly = excepting("0 * * * *", &["12-25"], &["2026-12-27"]);
    let due = hourly.due_between(at("2026-12-24T21:30:00Z"), at("2026-12-25T23:30:00Z"), 100);
    let excluded: Vec<bool> = due.iter().map(|due| hourly.excluded(*due).is_some()).collect();
    // 22:00 and 23:00 UTC are 23:00 and midnight in Berlin.
    assert!(
        !excluded[0] && excluded[1] && excluded[24] && !excluded[25],
        "{excluded:?}"
    );
    assert_eq!(due.len(), 26);
    let next: Vec<String> = hourly
        .next(at("2026-12-24T21:30:00Z"), 3)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        next,
        ["2026-12-24T22:00:00Z", "2026-12-25T23:00:00Z", "2026-12-26T00:00:00Z"]
    );
    let name = |text: &str| {
        hourly
            .excluded(at(text))
            .map(|calendar| calendar.name().map(str::to_owned))
    };
    assert_eq!(name("2026-12-25T12:00:00Z"), Some(Some("feasts".to_owned())));
    assert_eq!(name("2026-12-27T12:00:00Z"), Some(None));
}

#[test]
fn a_calendar_of_every_day_ends_the_search() {
    let mut texts = Vec::new();
    for month in 1..=12 {
        for day in 1..=31 {
            texts.push(format!("{month:02}-{day:02}"));
        }
    }
    let days = texts.iter().filter_map(|text| text.parse().ok());
    let mut secondly = schedule("* * * * * *", Europe::Berlin);
    secondly.except = vec![Arc::new(Calendar::new(None, days))];
    assert!(secondly.next(at("2026-01-01T00:00:00Z"), 3).is_empty());
    let preview = secondly.preview(JobId(uuid::Uuid::nil()), at("2026-01-01T00:00:00Z"), 3);
    assert!(preview.iter().all(|upcoming| upcoming.begins_at.is_none()));
    assert_eq!(preview.len(), 15, "a few days that do not run stand for all");
}

#[test]
fn a_preview_says_what_is_special_about_a_due_time() {
    let preview = |schedule: &Schedule, from: &str, n| -> Vec<(String, bool, Option<String>)> {
        let upcoming = schedule.preview(JobId(uuid::Uuid::nil()), at(from), n);
        let shown = upcoming.into_iter().map(|one| {
            let note = one.reason.as_ref().map(Reason::to_string);
            (one.due_at.to_string(), one.begins_at.is_some(), note)
        });
        shown.collect()
    };
    let line = |due: &str, runs: bool, note: Option<&str>| (due.to_owned(), runs, note.map(str::to_owned));
    let nightly = schedule("30 2 * * *", Europe::Berlin);
    assert_eq!(
        preview(&nightly, "2026-03-28T00:00:00Z", 3),
        [
            line("2026-03-28T01:30:00Z", true, None),
            line(
                "2026-03-29T01:00:00Z",
                true,
                Some("the clock skips 02:30:00: it runs at the first valid instant after it")
            ),
            line("2026-03-30T00:30:00Z", true, None),
        ]
    );
    assert_eq!(
        preview(&nightly, "2026-10-24T12:00:00Z", 1),
        [line(
            "2026-10-25T00:30:00Z",
            true,
            Some("the clock shows 02:30:00 twice: it runs at the first")
        )]
    );
    // Days in a row that do not run are one line.
    let feasts = excepting("30 2 * * *", &["2026-12-24..2026-12-26"], &["2026-12-28"]);
    assert_eq!(
        preview(&feasts, "2026-12-23T12:00:00Z", 2),
        [
            line(
                "2026-12-24T01:30:00Z",
                false,
                Some("the calendar `feasts` excludes the day")
            ),
            line("2026-12-27T01:30:00Z", true, None),
            line(
                "2026-12-28T01:30:00Z",
                false,
                Some("the schedule excludes the day (`except`)")
            ),
            line("2026-12-29T01:30:00Z", true, None),
        ]
    );
    let quarterly = schedule("*/15 * * * *", Europe::Berlin);
    let edges = [("2026-03-29T00:30:00Z", 6), ("2026-10-25T00:00:00Z", 8)];
    for (edge, n) in edges {
        assert!(
            preview(&quarterly, edge, n)
                .iter()
                .all(|(_, runs, note)| *runs && note.is_none())
        );
    }
    let everything = [Reason::Excluded(None), Reason::Excluded(Some("feasts".to_owned()))];
    assert_eq!(everything.map(|reason| reason.code()), ["calendar"; 2]);
}

#[test]
fn another_schedule_has_another_identity_and_policies_are_none_of_it() {
    let daily = schedule("@daily", Europe::Berlin);
    assert_eq!(daily.identity(), "@daily Europe/Berlin");
    let mut other = daily.clone();
    other.missed = Missed::All;
    other.overlap = Overlap::Queue;
    other.jitter_seconds = 5;
    other.except = excepting("@daily", &["12-25"], &[]).except;
    assert_eq!(other.identity(), daily.identity());
    let every = |text: &str| Schedule::new(Recurrence::Every(Elapsed::parse(text).expect("a length")), Tz::UTC);
    assert_eq!(every("90m").identity(), every("1h30m").identity());
    let mut others = vec![
        schedule("@daily", Tz::UTC),
        schedule("@hourly", Europe::Berlin),
        every("24h"),
    ];
    for bound in ["start", "end"] {
        let mut bounded = daily.clone();
        let at = Some(Timestamp(0));
        (bounded.start, bounded.end) = if bound == "start" { (at, None) } else { (None, at) };
        others.push(bounded);
    }
    let mut identities: Vec<String> = others.iter().map(Schedule::identity).collect();
    identities.push(daily.identity());
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), 6, "{identities:?}");
}

#[test]
fn jitter_is_the_same_for_everybody_and_spreads_jobs() {
    let mut daily = schedule("@daily", Europe::Berlin);
    let due = at("2026-01-01T00:00:00Z");
    let job = |n: u128| JobId(uuid::Uuid::from_u128(n));
    assert_eq!(daily.begins_at(job(1), due), due);
    daily.jitter_seconds = 600;
    // Written down: a new version must agree with an old one beside it.
    assert_eq!(daily.begins_at(job(1), due).to_string(), "2026-01-01T00:09:53.729Z");
    let waits: Vec<i64> = (0..1000).map(|n| daily.begins_at(job(n), due).0 - due.0).collect();
    assert!(waits.iter().all(|wait| (0..600_000_000).contains(wait)));
    let early = waits.iter().filter(|wait| **wait < 300_000_000).count();
    assert!((400..600).contains(&early), "{early} of 1000 in the first half");
    assert_ne!(
        daily.begins_at(job(1), due).0 - due.0,
        daily.begins_at(job(1), at("2026-01-02T00:00:00Z")).0 - at("2026-01-02T00:00:00Z").0
    );
}

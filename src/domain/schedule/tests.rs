//! Every edge of promise 6, in zones with an hour's and a half hour's change.

mod bounds;

use chrono_tz::{America, Australia, Europe};
use proptest::prelude::*;

use super::elapsed::Elapsed;
use super::moment::Moment;
use super::pattern::Pattern;
use super::*;

fn schedule(cron: &str, time_zone: Tz) -> Schedule {
    Schedule::new(
        Recurrence::Cron(Pattern::parse(cron).expect("a pattern").into()),
        time_zone,
    )
}

/// A cron pattern, or `@every` and a distance.
fn recurring(text: &str, zone: Tz) -> Schedule {
    match text.strip_prefix("@every ") {
        Some(every) => Schedule::new(Recurrence::Every(Elapsed::parse(every).expect("a length")), zone),
        None => schedule(text, zone),
    }
}

fn at(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text)
        .expect("a time in the test")
        .to_utc()
        .into()
}

/// Due times of one wall-clock stretch, as UTC text.
fn due(cron: &str, zone: Tz, from: &str, to: &str) -> Vec<String> {
    schedule(cron, zone)
        .due_between(at(from), at(to), 1000)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_fixed_time_in_the_skipped_hour_fires_once_right_after_it() {
    // Berlin, 2026-03-29: 02:00 CET is 03:00 CEST, 01:00 UTC.
    for cron in [
        "0 2 * * *",
        "30 2 * * *",
        "0 0 2 * * *",
        "0,30 2 * * *",
        "0 2,3 * * *",
        "10-20 2 * * *",
    ] {
        let fired = due(cron, Europe::Berlin, "2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z");
        assert_eq!(fired, ["2026-03-29T01:00:00Z"], "{cron}");
    }
    let fired = due(
        "30 2 * * *",
        America::New_York,
        "2026-03-08T00:00:00-05:00",
        "2026-03-08T12:00:00-04:00",
    );
    assert_eq!(fired, ["2026-03-08T07:00:00Z"]);
    // Lord Howe skips half an hour: 02:00 to 02:30 on 2026-10-04.
    let fired = due(
        "15 2 * * *",
        Australia::Lord_Howe,
        "2026-10-03T13:00:00Z",
        "2026-10-04T02:00:00Z",
    );
    assert_eq!(fired, ["2026-10-03T15:30:00Z"]);
    let fired = due(
        "45 2 * * *",
        Australia::Lord_Howe,
        "2026-10-03T13:00:00Z",
        "2026-10-04T02:00:00Z",
    );
    assert_eq!(fired, ["2026-10-03T15:45:00Z"]);
}

#[test]
fn a_fixed_time_in_the_doubled_hour_fires_once_at_the_first_pass() {
    // Berlin, 2026-10-25: 03:00 CEST is 02:00 CET, 01:00 UTC.
    let day = ("2026-10-24T22:00:00Z", "2026-10-25T12:00:00Z");
    assert_eq!(due("0 2 * * *", Europe::Berlin, day.0, day.1), ["2026-10-25T00:00:00Z"]);
    assert_eq!(
        due("30 2 * * *", Europe::Berlin, day.0, day.1),
        ["2026-10-25T00:30:00Z"]
    );
    assert_eq!(due("0 3 * * *", Europe::Berlin, day.0, day.1), ["2026-10-25T02:00:00Z"]);
    assert_eq!(
        due("0 2,14 * * *", Europe::Berlin, day.0, "2026-10-25T22:00:00Z"),
        ["2026-10-25T00:00:00Z", "2026-10-25T13:00:00Z"]
    );
    // Asked from within the second pass, the first one is over.
    assert!(
        due(
            "30 2 * * *",
            Europe::Berlin,
            "2026-10-25T01:10:00Z",
            "2026-10-25T12:00:00Z"
        )
        .is_empty()
    );
    let fired = due(
        "30 1 * * *",
        America::New_York,
        "2026-11-01T00:00:00-04:00",
        "2026-11-01T12:00:00-05:00",
    );
    assert_eq!(fired, ["2026-11-01T05:30:00Z"]);
    // Lord Howe repeats 01:30 to 02:00 on 2026-04-05.
    let fired = due(
        "45 1 * * *",
        Australia::Lord_Howe,
        "2026-04-04T13:00:00Z",
        "2026-04-05T02:00:00Z",
    );
    assert_eq!(fired, ["2026-04-04T14:45:00Z"]);
}

#[test]
fn intervals_fire_by_elapsed_time_through_both_passes() {
    let fired = due(
        "*/30 * * * *",
        Europe::Berlin,
        "2026-10-24T23:30:00Z",
        "2026-10-25T02:00:00Z",
    );
    assert_eq!(
        fired,
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z",
            "2026-10-25T02:00:00Z"
        ]
    );
    let fired = due(
        "*/30 2 * * *",
        Europe::Berlin,
        "2026-10-24T22:00:00Z",
        "2026-10-25T12:00:00Z",
    );
    assert_eq!(fired.len(), 4, "both passes: {fired:?}");
    let fired = due(
        "*/15 1 * * *",
        Australia::Lord_Howe,
        "2026-04-04T13:00:00Z",
        "2026-04-05T02:00:00Z",
    );
    assert_eq!(fired.len(), 6, "four quarters and two of them again: {fired:?}");
    // Starting in the middle of the first pass, the second is still ahead.
    let fired = due(
        "*/30 * * * *",
        Europe::Berlin,
        "2026-10-25T00:45:00Z",
        "2026-10-25T01:45:00Z",
    );
    assert_eq!(fired, ["2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"]);
}

#[test]
fn intervals_do_nothing_in_the_skipped_hour() {
    let fired = due(
        "*/30 * * * *",
        Europe::Berlin,
        "2026-03-29T00:00:00Z",
        "2026-03-29T02:00:00Z",
    );
    assert_eq!(
        fired,
        [
            "2026-03-29T00:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-29T02:00:00Z"
        ]
    );
    assert!(
        due(
            "*/10 2 * * *",
            Europe::Berlin,
            "2026-03-29T00:00:00Z",
            "2026-03-29T12:00:00Z"
        )
        .is_empty()
    );
    assert_eq!(
        due(
            "@hourly",
            America::New_York,
            "2026-03-08T05:30:00Z",
            "2026-03-08T08:00:00Z"
        ),
        ["2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"]
    );
}

#[test]
fn the_interval_is_open_at_its_start_and_closed_at_its_end() {
    let daily = schedule("@daily", Tz::UTC);
    let (first, second) = (at("2026-01-01T00:00:00Z"), at("2026-01-02T00:00:00Z"));
    assert_eq!(daily.due_between(first, second, 10), [second]);
    assert!(daily.due_between(second, second, 10).is_empty());
    assert!(
        daily.due_between(second, first, 10).is_empty(),
        "a clock that went back"
    );
    assert_eq!(daily.due_between(Timestamp(first.0 - 1), first, 10), [first]);
    assert_eq!(daily.due_between(Timestamp(first.0 + 1), second, 10), [second]);
}

#[test]
fn leap_days_and_the_31st_come_when_the_calendar_has_them() {
    let texts = |cron: &str, n| -> Vec<String> {
        schedule(cron, Europe::Berlin)
            .next(at("2026-01-31T23:30:00Z"), n)
            .iter()
            .map(|due| due.to_string()[..10].to_owned())
            .collect()
    };
    assert_eq!(texts("0 12 29 2 *", 2), ["2028-02-29", "2032-02-29"]);
    assert_eq!(texts("0 12 31 * *", 3), ["2026-03-31", "2026-05-31", "2026-07-31"]);
    assert_eq!(texts("0 12 L * *", 2), ["2026-02-28", "2026-03-31"]);
    // Either day field may match: Fridays, and the 13th.
    assert_eq!(texts("0 12 13 * FRI", 3), ["2026-02-06", "2026-02-13", "2026-02-20"]);
}

#[test]
fn the_limit_is_kept_and_the_far_ends_of_time_are_harmless() {
    let secondly = schedule("* * * * * *", Europe::Berlin);
    assert_eq!(
        secondly
            .due_between(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"), 7)
            .len(),
        7
    );
    assert!(
        secondly
            .due_between(at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"), 0)
            .is_empty()
    );
    assert_eq!(secondly.next(Timestamp(i64::MIN), 1), [Timestamp(1_000_000)]);
    assert!(secondly.next(at("6000-01-01T00:00:00Z"), 1).is_empty());
    assert!(secondly.next(Timestamp(i64::MAX), 1).is_empty());
}

#[test]
fn what_is_no_schedule_is_refused_with_a_reason() {
    for (cron, expected) in [
        (
            "",
            "`` is not a schedule: it has 0 fields, expected five (minute hour day month weekday) or six (second first)",
        ),
        (
            "0 2 * *",
            "`0 2 * *` is not a schedule: it has 4 fields, expected five (minute hour day month weekday) or six (second first)",
        ),
        (
            "0 0 2 * * * 2026",
            "`0 0 2 * * * 2026` is not a schedule: it has 7 fields, expected five (minute hour day month weekday) or six \
             (second first)",
        ),
        (
            "@nightly",
            "`@nightly` is not a schedule: the names are @yearly, @annually, @monthly, @weekly, @daily, @hourly",
        ),
        ("0 0 30 2 *", "`0 0 30 2 *` is not a schedule: no date ever matches it"),
    ] {
        assert_eq!(Pattern::parse(cron).expect_err(cron).to_string(), expected);
    }
    for cron in [
        "60 * * * *",
        "* 24 * * *",
        "a b c d e",
        "*/0 * * * *",
        "5-1 * * * *",
        "* * 0 * *",
        "é * * * *",
    ] {
        assert!(Pattern::parse(cron).is_err(), "{cron}");
    }
    for cron in [
        "@daily",
        "@Yearly",
        "0 2 * * *",
        "0 0 2 * * *",
        "*/5 8-18 * * MON-FRI",
        " 0 2 L * ? ",
    ] {
        assert!(Pattern::parse(cron).is_ok(), "{cron}");
    }
}

proptest! {
    #[test]
    fn splitting_an_interval_anywhere_gives_the_same_occurrences_none_twice(
        cron in prop::sample::select(vec![
            "0 2 * * *", "30 2 * * *", "*/20 * * * *", "15,45 1-3 * * *", "0 */2 * * *", "*/30 2 * * *", "0 30 1 * * *",
            "@every 7m", "@every 90m", "@every 1h",
        ]),
        zone in prop::sample::select(vec![Europe::Berlin, America::New_York, Australia::Lord_Howe, Tz::UTC]),
        // Around both edges of 2026 in each zone, to the second.
        edge in prop::sample::select(vec![
            1_774_746_000_i64, 1_792_890_000, 1_772_953_200, 1_793_512_800, 1_791_041_400, 1_775_314_800,
        ]),
        before in 0..90_000_i64,
        cuts in prop::collection::vec(0..180_000_i64, 0..4),
    ) {
        let schedule = recurring(cron, zone);
        let start = edge - before;
        let moment = |seconds: i64| Timestamp(seconds * 1_000_000);
        let whole = schedule.due_between(moment(start), moment(start + 180_000), usize::MAX);
        prop_assert!(whole.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice");

        let mut marks = cuts.iter().map(|cut| start + cut).collect::<Vec<_>>();
        marks.extend([start, start + 180_000]);
        marks.sort_unstable();
        let parts = marks
            .windows(2)
            .flat_map(|pair| schedule.due_between(moment(pair[0]), moment(pair[1]), usize::MAX))
            .collect::<Vec<_>>();
        prop_assert_eq!(&parts, &whole);

        let stepped = std::iter::successors(schedule.next(moment(start), 1).first().copied(), |&last| {
            schedule.next(last, 1).first().copied()
        });
        let stepped = stepped.take_while(|&due| due <= moment(start + 180_000)).collect::<Vec<_>>();
        prop_assert_eq!(&stepped, &whole);
    }

    /// Promise 6 for a fixed time, said without the code under test: every day of the zone has exactly one due time, which is
    /// the first instant from midnight on at which the clock shows that time or a later one.
    #[test]
    fn a_fixed_time_is_due_once_a_day_at_the_first_instant_that_reaches_it(
        zone in prop::sample::select(vec![
            Europe::Berlin, America::New_York, Australia::Lord_Howe, Tz::UTC, America::St_Johns, Tz::Africa__Casablanca,
        ]),
        (hour, minute) in (0..24_u32, 0..60_u32),
        // Days from 2024-01-01 on: leap day, both edges of three years.
        first_day in 0..1000_i64,
    ) {
        use chrono::{Days, NaiveDate, TimeZone as _, Timelike as _};
        let daily = schedule(&format!("{minute} {hour} * * *"), zone);
        let date = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() + Days::new(first_day.unsigned_abs());
        let midnight = |date: NaiveDate| Moment::Date(date).first(zone);
        let after = date.checked_add_days(Days::new(1)).unwrap();
        let due = daily.due_between(Timestamp(midnight(date).0 - 1), Timestamp(midnight(after).0 - 1), 10);
        // Minute by minute through the day, as somebody would who looks at the clock.
        let reached = (0..26 * 60).map(|minutes| Timestamp(midnight(date).0 + minutes * 60_000_000)).find(|at| {
            let shown = zone.from_utc_datetime(&at.to_utc().naive_utc());
            shown.date_naive() > date || (shown.hour(), shown.minute()) >= (hour, minute)
        });
        prop_assert_eq!(due, Vec::from_iter(reached), "{} {:02}:{:02} in {}", date, hour, minute, zone);
    }
}

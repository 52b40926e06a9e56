//! Schedules and calendars as people write them.

use chrono_tz::Europe::Berlin;

use super::{CUSTOMERS, load};
use crate::domain::schedule::{Missed, Overlap, Recurrence, Schedule};
use crate::domain::time::Timestamp;

const EXPORT: &str = r#"
id = "c03bb937-09ed-46de-86ee-4520d7d7e373"
name = "Nightly"
direction = "export"
clients = ["warehouse"]
[export]
format = "csv"
[[export.entities]]
entity = "Customers"
"#;

const IMPORT: &str = r#"
id = "c03bb937-09ed-46de-86ee-4520d7d7e373"
name = "Nightly"
direction = "import"
clients = ["shop"]
[import]
format = "csv"
[[import.entities]]
entity = "Customers"
"#;

const FEASTS: (&str, &str) = (
    "jobs/calendars/feasts.toml",
    "days = [\"12-25\", \"2026-04-03..2026-04-06\"]\n",
);

fn with(job: &str, schedule: &str, calendars: &[(&str, &str)]) -> Result<Schedule, Vec<String>> {
    let job = format!("{job}[schedule]\n{schedule}\n");
    let files = [("entities/customers.toml", CUSTOMERS), ("jobs/j.toml", job.as_str())];
    let mut loaded = load(&[&files, calendars].concat())?;
    let schedule = loaded.jobs.remove(0).schedule;
    Ok(schedule.expect("its schedule"))
}

fn export(schedule: &str) -> Result<Schedule, Vec<String>> {
    with(EXPORT, schedule, &[FEASTS])
}

/// What is complained of, without the place.
fn complaints(schedule: &str) -> Vec<String> {
    let errors = export(schedule).expect_err(schedule);
    let said = errors.iter().map(|error| {
        error
            .split_once(": ")
            .map_or(error.as_str(), |(_, said)| said)
            .to_owned()
    });
    said.collect()
}

#[test]
fn everything_a_schedule_may_say_is_read() {
    let schedule = export(
        r#"
every = "1h30m"
time_zone = "Europe/Berlin"
start = 2026-01-01
end = "2026-12-31T12:00"
except = ["feasts", "2026-05-01", "2026-08-01..2026-08-14"]
missed = "all"
missed_window = "2d"
missed_max = 7
overlap = "queue"
queue_max = 3
jitter = "5m"
"#,
    )
    .expect("a schedule");
    let Recurrence::Every(every) = &schedule.recurrence else {
        panic!("{schedule:?}");
    };
    assert_eq!((every.text(), every.seconds()), ("1h30m", 5400));
    let texts = (
        schedule.start.map(|at| at.to_string()),
        schedule.end.map(|at| at.to_string()),
    );
    assert_eq!(
        texts,
        (
            Some("2025-12-31T23:00:00Z".to_owned()),
            Some("2026-12-31T11:00:00Z".to_owned())
        )
    );
    assert_eq!(
        (schedule.missed, schedule.missed_window_seconds, schedule.missed_max),
        (Missed::All, Some(172_800), 7)
    );
    assert_eq!(
        (schedule.overlap, schedule.queue_max, schedule.jitter_seconds),
        (Overlap::Queue, 3, 300)
    );
    let excluded = |text: &str| {
        let at = chrono::DateTime::parse_from_rfc3339(text).expect("a time");
        let calendar = schedule.excluded(at.to_utc().into());
        calendar.map(|calendar| calendar.name().map(str::to_owned))
    };
    assert_eq!(excluded("2031-12-25T10:00:00Z"), Some(Some("feasts".to_owned())));
    assert_eq!(excluded("2026-04-05T10:00:00Z"), Some(Some("feasts".to_owned())));
    assert_eq!(excluded("2026-08-14T10:00:00Z"), Some(None));
    assert_eq!(excluded("2026-08-15T10:00:00Z"), None);
}

#[test]
fn what_is_left_out_has_its_default() {
    let schedule = export("cron = \"0 2 * * *\"\ntime_zone = \"Europe/Berlin\"").expect("a schedule");
    let Recurrence::Cron(pattern) = &schedule.recurrence else {
        panic!("{schedule:?}");
    };
    assert_eq!(schedule, Schedule::new(Recurrence::Cron(pattern.clone()), Berlin));
    let every = export("cron = \"@every 90m\"").expect("a distance");
    assert_eq!(
        every.recurrence,
        export("every = \"90m\"").expect("a distance").recurrence
    );
    let offset = export("cron = \"@daily\"\nstart = 2026-03-29T02:30:00+02:00").expect("an instant");
    assert_eq!(offset.start, Some(Timestamp(1_774_744_200_000_000)));
}

#[test]
fn every_mistake_of_a_schedule_is_told_with_what_to_write() {
    for (schedule, expected) in [
        (
            "time_zone = \"UTC\"",
            "[schedule] lacks `cron` (times on a clock, such as \"0 2 * * *\") or `every` (a distance, such as \"90m\")",
        ),
        (
            "cron = \"@daily\"\nevery = \"1d\"",
            "`cron` and `every` both say when the job runs; leave one of them out",
        ),
        (
            "every = \"soon\"",
            "`every`: `soon` is not a length of time from 1s to 366d; write it as 90s, 15m, 1h30m or 2d",
        ),
        (
            "cron = \"@every soon\"",
            "`cron`: `soon` is not a length of time from 1s to 366d; write it as 90s, 15m, 1h30m or 2d",
        ),
        (
            "cron = \"@daily\"\nstart = \"tomorrow\"",
            "`start` is `tomorrow`; write a date (2026-03-29), a time in the schedule's zone (2026-03-29T02:30) or one with its \
             offset (2026-03-29T02:30:00+02:00)",
        ),
        (
            "cron = \"@daily\"\nend = 5",
            "`end` must be a date or a time, not an integer",
        ),
        (
            "cron = \"@daily\"\nstart = 2026-01-02\nend = 2026-01-01",
            "`end` lies before `start`",
        ),
        (
            "cron = \"@daily\"\nexcept = [\"feats\"]",
            "there is no calendar `feats`; did you mean `feasts`?",
        ),
        (
            "cron = \"@daily\"\nexcept = [\"stocktaking\"]",
            "there is no calendar `stocktaking`; write a day (2026-12-25), days (2026-12-24..2027-01-01), 12-25 for every year, or \
             make `calendars/stocktaking.toml` in the jobs folder",
        ),
        (
            "cron = \"@daily\"\nexcept = [\"2026-12-25..2026-12-24\"]",
            "`2026-12-25..2026-12-24` ends before it begins",
        ),
        (
            "cron = \"@daily\"\nmissed = \"all\"\noverlap = \"cancel_previous\"",
            "`overlap = \"cancel_previous\"` keeps one run, `missed = \"all\"` runs each; write `missed = \"once\"`",
        ),
        (
            "cron = \"@daily\"\nmissed_max = 5",
            "`missed_max` says nothing without `missed = \"all\"`",
        ),
        (
            "cron = \"@daily\"\nqueue_max = 5",
            "`queue_max` says nothing without `overlap = \"queue\"`",
        ),
        (
            "cron = \"@daily\"\nmissed = \"skip\"\nmissed_window = \"1d\"",
            "`missed_window` says nothing without `missed = \"once\"` or `\"all\"`",
        ),
        (
            "cron = \"@daily\"\nmissed = \"all\"\nmissed_max = 1001",
            "`missed_max` must be from 1 to 1000",
        ),
        ("cron = \"@daily\"\njitter = \"25h\"", "`jitter` is at most 1d"),
        (
            "every = \"1m\"\njitter = \"2m\"",
            "`jitter` is longer than `every`: runs would be due before those before them begin",
        ),
        (
            "cron = \"@daily\"\nevry = \"1m\"",
            "unknown key `evry` in [schedule]; did you mean `every`?",
        ),
    ] {
        assert_eq!(complaints(schedule), [expected], "{schedule}");
    }
    let several = complaints("cron = \"60 * * * *\"\ntime_zone = \"Berlin\"\nmissed = \"never\"\njitter = \"x\"");
    assert_eq!(several.len(), 4, "all at once: {several:#?}");
}

#[test]
fn an_imports_schedule_says_when_and_nothing_of_runs() {
    let import = |schedule: &str| with(IMPORT, schedule, &[FEASTS]);
    assert!(
        import(
            "every = \"90m\"\nstart = 2026-01-01\nexcept = [\"feasts\"]\njitter = \"5m\"\ntime_zone = \"Europe/Berlin\""
        )
        .is_ok()
    );
    let mut errors = import(
        "cron = \"@daily\"\nend = 2026-01-01\nmissed = \"all\"\nmissed_window = \"1d\"\nmissed_max = 5\noverlap = \"queue\"\n\
         queue_max = 5",
    )
    .expect_err("they are for exports");
    for error in &mut errors {
        error.truncate(40);
    }
    assert_eq!(
        errors,
        [
            "jobs/j.toml:12: `end` is for exports: me",
            "jobs/j.toml:13: `missed` is for exports:",
            "jobs/j.toml:14: `missed_window` is for e",
            "jobs/j.toml:15: `missed_max` is for expo",
            "jobs/j.toml:16: `overlap` is for exports",
            "jobs/j.toml:17: `queue_max` is for expor",
        ]
    );
}

#[test]
fn mistakes_of_a_calendar_are_told_once_and_in_its_file() {
    let schedule = "cron = \"@daily\"\nexcept = [\"feasts\"]";
    let wrong = "days = [\"christmas\", \"2026-02-30\"]\nname = \"x\"\n";
    assert_eq!(
        with(EXPORT, schedule, &[("jobs/calendars/feasts.toml", wrong)]).expect_err("mistakes"),
        [
            "jobs/calendars/feasts.toml:1: `2026-02-30` is no day; write 2026-12-25, 2026-12-24..2027-01-01, or 12-25 for every year",
            "jobs/calendars/feasts.toml:1: `christmas` is no day; write 2026-12-25, 2026-12-24..2027-01-01, or 12-25 for every year",
            "jobs/calendars/feasts.toml:2: unknown key `name` in the calendar",
        ]
    );
    assert_eq!(
        with(EXPORT, schedule, &[("jobs/calendars/feasts.toml", "")]).expect_err("nothing in it"),
        ["jobs/calendars/feasts.toml:1: the calendar lacks `days`"]
    );
    let broken = with(EXPORT, schedule, &[("jobs/calendars/feasts.toml", "days = [")]).expect_err("no TOML");
    assert!(
        broken
            .iter()
            .all(|error| error.starts_with("jobs/calendars/feasts.toml:1: ")),
        "{broken:?}"
    );
}

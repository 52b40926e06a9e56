//! `[schedule]` of a job file.

use std::ops::Range;

use chrono_tz::{TZ_VARIANTS, Tz};

use super::calendar_file::{Calendars, read_days};
use super::read::{Placed, Table};
use crate::domain::job::Direction;
use crate::domain::schedule::elapsed::Elapsed;
use crate::domain::schedule::moment::Moment;
use crate::domain::schedule::pattern::Pattern;
use crate::domain::schedule::{Missed, Overlap, Recurrence, Schedule};
use crate::domain::time::Timestamp;
use crate::hints::nearest;

/// Most missed occurrences one catch-up may run, and most that may wait.
const RUNS_MAX: u32 = 1000;
/// Longest jitter, in seconds: a day.
const JITTER_SECONDS_MAX: u32 = 86_400;
/// What says how exports meet missed and overlapping runs. An import has none: its messages wait for a due time.
const FOR_EXPORTS: [&str; 5] = ["missed", "missed_window", "missed_max", "overlap", "queue_max"];

/// Reads a schedule. `None` when it cannot run.
pub(super) fn read(table: Table<'_>, direction: Option<Direction>, calendars: &Calendars) -> Option<Schedule> {
    let recurrence = read_recurrence(&table);
    let zone = match table.text("time_zone") {
        Some(zone) => read_zone(&table, &zone),
        None => Some(Tz::UTC),
    };
    let time_zone = zone.unwrap_or(Tz::UTC);
    let start = moment(&table, "start").map(|start| start.with(start.value.first(time_zone)));
    let end = moment(&table, "end").map(|end| end.with(end.value.last(time_zone)));
    check_order(&table, start.as_ref(), end.as_ref());
    if direction == Some(Direction::Import) {
        refuse_for_imports(&table);
    }
    let except = read_days(&table, "except", calendars);
    let jitter_seconds = read_jitter(&table, recurrence.as_ref());
    let policies = read_policies(&table);
    table.finish();
    Some(Schedule {
        start: start.map(|start| start.value),
        end: end.map(|end| end.value),
        except,
        jitter_seconds,
        ..policies(Schedule::new(recurrence?.value, zone?))
    })
}

/// What happens to missed and to overlapping occurrences: what it makes of a schedule without policies.
fn read_policies(table: &Table<'_>) -> impl FnOnce(Schedule) -> Schedule + use<> {
    let missed = table.choice("missed", &Missed::WORDS);
    let overlap = table.choice("overlap", &Overlap::WORDS);
    let missed_window = elapsed(table, "missed_window").map(|window| window.value.seconds());
    let number = |key| table.number(key, 1..=RUNS_MAX).map(|number| number.value);
    let (missed_max, queue_max) = (number("missed_max"), number("queue_max"));
    check_policies(table, missed.as_ref().map(|missed| missed.value), overlap.as_ref());
    move |default| Schedule {
        missed: missed.map_or(default.missed, |missed| missed.value),
        missed_window_seconds: missed_window,
        missed_max: missed_max.unwrap_or(default.missed_max),
        overlap: overlap.map_or(default.overlap, |overlap| overlap.value),
        queue_max: queue_max.unwrap_or(default.queue_max),
        ..default
    }
}

/// `cron` or `every`, one of them.
pub(crate) fn read_recurrence(table: &Table<'_>) -> Option<Placed<Recurrence>> {
    let every = elapsed(table, "every").map(|every| every.with(Recurrence::Every(every.value.clone())));
    if table.has("every") {
        if let Some(cron) = table.text("cron") {
            let message = "`cron` and `every` both say when the job runs; leave one of them out";
            table.findings().at(&cron.span, message);
        }
        return every;
    }
    if !table.has("cron") {
        let message = "[schedule] lacks `cron` (times on a clock, such as \"0 2 * * *\") or `every` (a distance, such as \"90m\")";
        table.findings().at(table.span(), message);
    }
    let cron = table.text("cron")?;
    let read = match cron.value.trim().strip_prefix("@every ") {
        Some(every) => Elapsed::parse(every)
            .map(Recurrence::Every)
            .map_err(|error| error.to_string()),
        None => Pattern::parse(&cron.value)
            .map(|pattern| Recurrence::Cron(Box::new(pattern)))
            .map_err(|error| error.to_string()),
    };
    match read {
        Ok(recurrence) => Some(cron.with(recurrence)),
        Err(error) => {
            table.findings().at(&cron.span, format!("`cron`: {error}"));
            None
        }
    }
}

fn elapsed(table: &Table<'_>, key: &'static str) -> Option<Placed<Elapsed>> {
    let text = table.text(key)?;
    match Elapsed::parse(&text.value) {
        Ok(elapsed) => Some(text.with(elapsed)),
        Err(error) => {
            table.findings().at(&text.span, format!("`{key}`: {error}"));
            None
        }
    }
}

fn moment(table: &Table<'_>, key: &'static str) -> Option<Placed<Moment>> {
    let text = table.moment_text(key)?;
    let moment = Moment::parse(&text.value);
    if moment.is_none() {
        let message = format!(
            "`{key}` is `{}`; write a date (2026-03-29), a time in the schedule's zone (2026-03-29T02:30) or one with its \
             offset (2026-03-29T02:30:00+02:00)",
            text.value
        );
        table.findings().at(&text.span, message);
    }
    moment.map(|moment| text.with(moment))
}

fn check_order(table: &Table<'_>, start: Option<&Placed<Timestamp>>, end: Option<&Placed<Timestamp>>) {
    if let (Some(start), Some(end)) = (start, end)
        && end.value < start.value
    {
        table.findings().at(&end.span, "`end` lies before `start`");
    }
}

fn read_jitter(table: &Table<'_>, recurrence: Option<&Placed<Recurrence>>) -> u32 {
    let Some(jitter) = elapsed(table, "jitter") else {
        return 0;
    };
    let blame = |span: &Range<usize>, message: &str| table.findings().at(span, message);
    if jitter.value.seconds() > JITTER_SECONDS_MAX {
        blame(&jitter.span, "`jitter` is at most 1d");
    }
    if let Some(Recurrence::Every(every)) = recurrence.map(|recurrence| &recurrence.value)
        && jitter.value.seconds() > every.seconds()
    {
        blame(
            &jitter.span,
            "`jitter` is longer than `every`: runs would be due before those before them begin",
        );
    }
    jitter.value.seconds()
}

fn refuse_for_imports(table: &Table<'_>) {
    for key in FOR_EXPORTS {
        if let Some(span) = table.span_of(key) {
            let message = format!(
                "`{key}` is for exports: an import's messages wait for the next due time, and what waited too long is processed at once"
            );
            table.findings().at(&span, message);
        }
    }
    if let Some(span) = table.span_of("end") {
        let message =
            "`end` is for exports: messages of an import that come after it would wait for a due time that never comes";
        table.findings().at(&span, message);
    }
}

/// Policies that contradict each other, or say nothing.
fn check_policies(table: &Table<'_>, missed: Option<Missed>, overlap: Option<&Placed<Overlap>>) {
    let findings = table.findings();
    let (is_all, is_skip) = (missed == Some(Missed::All), missed == Some(Missed::Skip));
    if let Some(overlap) = overlap.filter(|overlap| is_all && overlap.value == Overlap::CancelPrevious) {
        let message =
            "`overlap = \"cancel_previous\"` keeps one run, `missed = \"all\"` runs each; write `missed = \"once\"`";
        findings.at(&overlap.span, message);
    }
    let is_queue = overlap.is_some_and(|overlap| overlap.value == Overlap::Queue);
    for (key, is_idle, with) in [
        ("missed_max", !is_all, "missed = \"all\""),
        ("queue_max", !is_queue, "overlap = \"queue\""),
        ("missed_window", is_skip, "missed = \"once\"` or `\"all\""),
    ] {
        if let Some(span) = table.span_of(key).filter(|_| is_idle) {
            findings.at(&span, format!("`{key}` says nothing without `{with}`"));
        }
    }
}

/// An IANA zone.
pub(crate) fn read_zone(table: &Table<'_>, zone: &Placed<String>) -> Option<Tz> {
    if let Ok(found) = zone.value.parse::<Tz>() {
        return Some(found);
    }
    // Half the slips leave out the continent.
    let city = zone.value.trim().replace(' ', "_").to_lowercase();
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let meant = names()
        .find(|name| name.to_lowercase().rsplit('/').next() == Some(city.as_str()))
        .or_else(|| nearest(&zone.value, names()));
    let hint = meant.map_or_else(
        || "write an IANA name such as `Europe/Berlin`".to_owned(),
        |name| format!("did you mean `{name}`?"),
    );
    table
        .findings()
        .at(&zone.span, format!("`{}` is not a time zone; {hint}", zone.value));
    None
}

//! `[schedule]` of a job file.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::read::{Placed, Table};
use crate::domain::job::{Missed, Overlap, Schedule};
use crate::domain::schedule::Pattern;
use crate::hints::nearest;

/// Reads a schedule. `None` when it cannot run.
pub(super) fn read(table: Table<'_>) -> Option<Schedule> {
    let cron = table
        .required_text("cron")
        .and_then(|cron| match Pattern::parse(&cron.value) {
            Ok(_) => Some(cron.value),
            Err(error) => {
                table.findings().at(&cron.span, format!("`cron`: {error}"));
                None
            }
        });
    let time_zone = match table.text("time_zone") {
        Some(zone) => read_zone(&table, &zone),
        None => Some(Tz::UTC),
    };
    let missed = [("skip", Missed::Skip), ("once", Missed::Once), ("all", Missed::All)];
    let missed = table
        .choice("missed", &missed)
        .map_or(Missed::Once, |missed| missed.value);
    let overlap = [("skip", Overlap::Skip), ("queue", Overlap::Queue)];
    let overlap = table
        .choice("overlap", &overlap)
        .map_or(Overlap::Skip, |overlap| overlap.value);
    table.finish();
    Some(Schedule {
        cron: cron?,
        time_zone: time_zone?,
        missed,
        overlap,
    })
}

/// An IANA zone.
pub(super) fn read_zone(table: &Table<'_>, zone: &Placed<String>) -> Option<Tz> {
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

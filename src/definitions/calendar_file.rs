//! One file of `jobs/calendars/`: days on which schedules that name it do not run; and the lists that name one.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::read::{Findings, Placed, Table};
use crate::domain::schedule::calendar::{Calendar, ExceptDays};
use crate::hints::did_you_mean;

/// The folder beside the job files.
pub(super) const FOLDER: &str = "calendars";

/// The calendars there are, by the names of their files. Without the calendar: its file has mistakes.
#[derive(Default)]
pub(super) struct Calendars {
    known: BTreeMap<String, Option<Arc<Calendar>>>,
    /// Some file was not readable at all, so that a missing one may stand in it.
    incomplete: bool,
}

impl Calendars {
    /// Of these files, in the order of their names.
    pub fn of(files: impl IntoIterator<Item = (String, Option<Calendar>)>, incomplete: bool) -> Self {
        let known = files.into_iter().map(|(name, calendar)| (name, calendar.map(Arc::new)));
        Self {
            known: known.collect(),
            incomplete,
        }
    }
}

/// Reads a calendar.
pub(super) fn read(table: Table<'_>, findings: &Rc<Findings>) -> Option<Calendar> {
    table.require("days");
    let days = table.texts("days")?;
    let read = days.value.iter().filter_map(|text| day(&table, text));
    let calendar = Calendar::new(Some(findings.name()), read.collect::<Vec<_>>());
    table.finish();
    Some(calendar)
}

/// A list of days and of names of calendars.
pub(super) fn read_days(table: &Table<'_>, key: &'static str, calendars: &Calendars) -> Vec<Arc<Calendar>> {
    let (mut days, mut named) = (Vec::new(), Vec::new());
    for text in table.texts(key).into_iter().flat_map(|texts| texts.value) {
        if text.value.trim().starts_with(|first: char| first.is_ascii_digit()) {
            days.extend(day(table, &text));
            continue;
        }
        match calendars.known.get(text.value.trim()) {
            Some(calendar) => named.extend(calendar.clone()),
            None if calendars.incomplete => {}
            None => {
                let name = &text.value;
                let mut hint = did_you_mean(name, calendars.known.keys().map(String::as_str));
                if hint.is_empty() {
                    hint = format!(
                        "; write a day (2026-12-25), days (2026-12-24..2027-01-01), 12-25 for every year, or make \
                         `{FOLDER}/{name}.toml` in the jobs folder"
                    );
                }
                table
                    .findings()
                    .at(&text.span, format!("there is no calendar `{name}`{hint}"));
            }
        }
    }
    if !days.is_empty() {
        named.insert(0, Arc::new(Calendar::new(None, days)));
    }
    named
}

fn day(table: &Table<'_>, text: &Placed<String>) -> Option<ExceptDays> {
    match text.value.parse() {
        Ok(days) => Some(days),
        Err(error) => {
            table.findings().at(&text.span, format!("{error}"));
            None
        }
    }
}

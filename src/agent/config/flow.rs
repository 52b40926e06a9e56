//! `[[upload]]`, `[[import]]`, `[[download]]` and `[[export]]`.

use std::time::Duration;

use chrono_tz::Tz;
use regex::RegexBuilder;

use super::file::{SECONDS_MAX, Shared};
use super::{CollectFolder, Folders, Order, PLACEHOLDERS, ProjectExport, Ready, SendFolder, Source, Target};
use crate::definitions::read::Table;
use crate::definitions::schedule_file::{read_recurrence, read_zone};
use crate::domain::ids::JobId;
use crate::domain::schedule::Schedule;
use crate::hints::one_of;

/// How long a file must not have changed, unless the job says so.
const STABLE_SECONDS: u32 = 5;
/// Most files sent and not ended, unless the job says so.
const IN_FLIGHT: u32 = 4;

/// `[[upload]]`: files into a job's queue.
pub(super) fn read_upload(table: Table<'_>, shared: &Shared) -> Option<SendFolder> {
    let job = read_job(&table);
    let entity = table.text("entity").map(|entity| entity.value);
    let company = table.text("company").map(|company| company.value);
    let until = table.choice("success_when", &[("processed", false), ("enqueued", true)]);
    let until_enqueued = until.as_ref().is_some_and(|until| until.value);
    let stop = table.truth("stop_at_failure").is_some_and(|stop| stop.value);
    if let Some(until) = until.filter(|until| until.value && stop) {
        let message = "`success_when = \"enqueued\"` never learns of a failure; leave it or `stop_at_failure` out";
        table.findings().at(&until.span, message);
    }
    let to = job.map(|job| Target::Queue {
        job,
        entity,
        company,
        until_enqueued,
    });
    read_send(table, shared, to, stop, None)
}

/// `[[import]]`: packages into a project.
pub(super) fn read_import(table: Table<'_>, shared: &Shared) -> Option<SendFolder> {
    let project = table.required_text("project");
    let legal_entity = read_legal_entity(&table);
    let is_set = |key, default| table.truth(key).map_or(default, |truth| truth.value);
    let (overwrite, execute) = (is_set("overwrite", true), is_set("execute", true));
    let stop = is_set("stop_at_failure", false);
    let schedule = read_schedule(&table);
    let to = project.map(|project| Target::Project {
        project: project.value,
        legal_entity,
        overwrite,
        execute,
    });
    read_send(table, shared, to, stop, schedule)
}

/// What both have in common.
fn read_send(
    table: Table<'_>,
    shared: &Shared,
    to: Option<Target>,
    stop: bool,
    schedule: Option<Schedule>,
) -> Option<SendFolder> {
    let name = read_name(&table, shared);
    let folders = read_folders(&table, shared, name.as_deref().unwrap_or("another"));
    let patterns = read_patterns(&table);
    let orders = [("name", Order::Name), ("modified", Order::Modified)];
    let order = table.choice("order", &orders).map_or(Order::Name, |order| order.value);
    let done_file = table.truth("done_file").is_some_and(|done| done.value);
    let stable = table
        .number("stable_seconds", 0..=SECONDS_MAX)
        .map(|stable| stable.value);
    let stable = stable.unwrap_or(if done_file { 0 } else { STABLE_SECONDS });
    let in_flight = table.number("in_flight", 1..=1000);
    if let Some(written) = in_flight.as_ref().filter(|written| stop && written.value > 1) {
        let message = "`stop_at_failure` sends one file at a time, so that nothing overtakes it; leave `in_flight` out";
        table.findings().at(&written.span, message);
    }
    let in_flight = in_flight.map_or(if stop { 1 } else { IN_FLIGHT }, |written| written.value);
    let poll = read_poll(&table, shared);
    table.finish();
    Some(SendFolder {
        name: name?,
        folders: folders?,
        patterns,
        order,
        ready: Ready {
            stable: Duration::from_secs(stable.into()),
            done_file,
        },
        in_flight: usize::try_from(in_flight).unwrap_or(1),
        stop_at_failure: stop,
        poll,
        to: to?,
        schedule,
    })
}

/// `[[download]]`: files from a job's queue.
pub(super) fn read_download(table: Table<'_>, shared: &Shared) -> Option<CollectFolder> {
    let job = read_job(&table);
    read_collect(table, shared, job.map(|job| Source::Queue { job }))
}

/// `[[export]]`: packages of a project.
pub(super) fn read_export(table: Table<'_>, shared: &Shared) -> Option<CollectFolder> {
    let project = table.required_text("project");
    let legal_entity = read_legal_entity(&table);
    let package_name = table.text("package_name").map(|name| name.value);
    let entities = table.texts("entities").map(|list| list.value).unwrap_or_default();
    for entity in entities.iter().filter(|entity| entity.value.contains(',')) {
        let message = "a comma separates entities on the wire (PKG-22); write each as a text of its own";
        table.findings().at(&entity.span, message);
    }
    let schedule = read_schedule(&table);
    let from = project.map(|project| {
        Source::Project(Box::new(ProjectExport {
            package_name: package_name.unwrap_or_else(|| project.value.clone()),
            project: project.value,
            legal_entity,
            entities: entities.into_iter().map(|entity| entity.value).collect(),
            schedule,
        }))
    });
    read_collect(table, shared, from)
}

/// What both have in common.
fn read_collect(table: Table<'_>, shared: &Shared, from: Option<Source>) -> Option<CollectFolder> {
    let name = read_name(&table, shared);
    let folder = table.required_text("folder").map(|folder| shared.path(&folder.value));
    let file_name = table.text("file_name");
    if let Some(written) = &file_name
        && let Err(message) = check_file_name(&written.value)
    {
        table.findings().at(&written.span, message);
    }
    let unzip = table.truth("unzip").is_some_and(|unzip| unzip.value);
    let poll = read_poll(&table, shared);
    table.finish();
    Some(CollectFolder {
        name: name?,
        folder: folder?,
        file_name: file_name.map_or_else(|| "{original_name}".to_owned(), |name| name.value),
        unzip,
        poll,
        from: from?,
    })
}

fn read_name(table: &Table<'_>, shared: &Shared) -> Option<String> {
    table.required_text("name").map(|name| shared.named(table, name))
}

fn read_job(table: &Table<'_>) -> Option<JobId> {
    let text = table.required_text("job")?;
    let job = text.value.parse().ok();
    if job.is_none() {
        let message = format!("`job` is `{}`; write the job's activity id, a GUID", text.value);
        table.findings().at(&text.span, message);
    }
    job
}

/// PKG-11d: four characters at most.
fn read_legal_entity(table: &Table<'_>) -> String {
    let Some(text) = table.text("legal_entity") else {
        return String::new();
    };
    if text.value.chars().count() > 4 {
        table
            .findings()
            .at(&text.span, "`legal_entity` has four characters at most");
    }
    text.value
}

fn read_poll(table: &Table<'_>, shared: &Shared) -> Duration {
    let written = table.number("poll_seconds", 1..=SECONDS_MAX);
    written.map_or(shared.poll, |seconds| Duration::from_secs(seconds.value.into()))
}

/// `cron` in a `time_zone`, or `every`; neither is no schedule.
fn read_schedule(table: &Table<'_>) -> Option<Schedule> {
    let zone = table.text("time_zone");
    if !table.has("cron") && !table.has("every") {
        if let Some(zone) = zone {
            table
                .findings()
                .at(&zone.span, "`time_zone` says nothing without `cron`");
        }
        return None;
    }
    let recurrence = read_recurrence(table);
    let zone = zone.map_or(Some(Tz::UTC), |zone| read_zone(table, &zone));
    Some(Schedule::new(recurrence?.value, zone?))
}

fn read_folders(table: &Table<'_>, shared: &Shared, name: &str) -> Option<Folders> {
    let folder = table.required_text("folder");
    let folder = folder.map(|folder| shared.path(&folder.value));
    let below = |key, default: &str| {
        let written = table.text(key);
        let inside = written.as_ref().map_or(default, |written| &written.value);
        folder.as_ref().map(|folder| folder.join(inside))
    };
    let folders = Folders {
        incoming: below("in", "in")?,
        processing: below("processing", "processing")?,
        success: below("success", "success")?,
        error: below("error", "error")?,
    };
    for (_, path) in folders.each().into_iter().take(2) {
        shared.claimed(table, path, name);
    }
    let each = folders.each();
    for (at, (word, path)) in each.iter().enumerate() {
        if let Some((other, _)) = each[..at].iter().find(|(_, other)| other == path) {
            let message = format!("`{word}` and `{other}` are the same folder, {}", path.display());
            table.findings().at(table.span(), message);
        }
    }
    Some(folders)
}

/// `pattern`: a text or a list of texts with `*` and `?`, in any case of letters.
fn read_patterns(table: &Table<'_>) -> Vec<regex::Regex> {
    let written = if table.has("patterns") {
        table.texts("patterns").map(|list| list.value).unwrap_or_default()
    } else {
        table.text("pattern").into_iter().collect()
    };
    if let Some(pattern) = table.span_of("pattern").filter(|_| table.has("patterns")) {
        let message = "`pattern` and `patterns` both say which files; leave one of them out";
        table.findings().at(&pattern, message);
    }
    let mut patterns = Vec::new();
    for text in written {
        if text.value.contains(['/', '\\']) {
            let message = format!("`{}` names a folder; files in folders below are not taken", text.value);
            table.findings().at(&text.span, message);
        }
        let body = regex::escape(&text.value).replace("\\*", ".*").replace("\\?", ".");
        let built = RegexBuilder::new(&format!("^{body}$"))
            .case_insensitive(true)
            .dot_matches_new_line(true)
            .build();
        match built {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => table.findings().at(&text.span, error.to_string()),
        }
    }
    patterns
}

/// A name of one segment, of literals and known words in braces.
fn check_file_name(text: &str) -> Result<(), String> {
    if text.contains(['/', '\\']) {
        return Err("`file_name` is a name, not a path: `folder` says where it goes".to_owned());
    }
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let (word, behind) = after.split_once('}').ok_or("`file_name` has a `{` without its `}`")?;
        if !PLACEHOLDERS.contains(&word) {
            return Err(format!(
                "`file_name` has `{{{word}}}`, allowed are {}",
                one_of(PLACEHOLDERS)
            ));
        }
        rest = behind;
    }
    if text.starts_with('.') {
        return Err("`file_name` begins with a dot: such files are hidden, and the agent's own".to_owned());
    }
    Ok(())
}

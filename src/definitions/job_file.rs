//! One file of `jobs/`.

use std::rc::Rc;

use super::calendar_file::Calendars;
use super::export_file::{self, ExportDraft};
use super::flow_file::{self, ImportPlaces};
use super::names;
use super::queue_file;
use super::read::{Findings, Placed, Table};
use super::schedule_file;
use super::webhook_file;
use crate::domain::ids::JobId;
use crate::domain::job::{DataSource, Direction, Job, Order, Origin};

/// A job as one file gives it, with the places later checks need.
pub(super) struct JobDraft {
    pub findings: Rc<Findings>,
    pub job: Job,
    pub id: Placed<JobId>,
    pub name: Placed<String>,
    pub company: Option<Placed<String>>,
    /// In the order of the job's `[[import.entities]]`.
    pub imports: Vec<ImportPlaces>,
    /// What its `[export]` says.
    pub export: Option<ExportDraft>,
}

/// Reads a job. `None` when it lacks what identifies it.
pub(super) fn read(table: Table<'_>, findings: &Rc<Findings>, calendars: &Calendars) -> Option<JobDraft> {
    let id = read_id(&table);
    let name = read_name(&table);
    table.require("direction");
    let directions = [
        ("import", Direction::Import),
        ("export", Direction::Export),
        ("relay", Direction::Relay),
    ];
    let direction = table.choice("direction", &directions);
    let data_source = read_data_source(&table, direction.as_ref());
    let sample = table.truth("sample").is_some_and(|sample| sample.value);
    let clients = read_clients(&table, sample);
    let company = table.text("company");
    let mut queue = table
        .table("queue", "[queue]")
        .map(queue_file::read)
        .unwrap_or_default();

    let import = table.table("import", "[import]").map(flow_file::read_import);
    let export = table.table("export", "[export]").map(export_file::read);
    let schedule = table.table("schedule", "[schedule]");
    let schedule_span = schedule.as_ref().map(|schedule| schedule.span().clone());
    let flow = direction.as_ref().map(|direction| direction.value);
    let schedule = schedule.and_then(|schedule| schedule_file::read(schedule, flow, calendars));
    if let Some(direction) = &direction {
        queue_file::check(&table, direction.value, &queue);
        check_sections(&table, direction, schedule_span);
    }
    let webhook = table.table("webhook", "[webhook]").and_then(webhook_file::read);
    table.finish();

    let (import, imports) = import.unzip();
    let import = import.map(|(import, order)| {
        // `[import]` may say it too: there it stands beside what is kept in order.
        if order != Order::None {
            queue.order = order;
        }
        import
    });
    let (id, name, direction) = (id?, name?, direction?);
    Some(JobDraft {
        findings: Rc::clone(findings),
        job: Job {
            id: id.value,
            name: name.value.clone(),
            origin: Origin::File,
            direction: direction.value,
            data_source,
            clients,
            sample,
            company: company.as_ref().map(|company| company.value.trim().to_lowercase()),
            queue,
            schedule,
            import,
            export: export.as_ref().map(|export| export.spec.clone()),
            webhook,
        },
        id,
        name,
        company,
        imports: imports.unwrap_or_default(),
        export,
    })
}

fn read_id(table: &Table<'_>) -> Option<Placed<JobId>> {
    let id = table.required_text("id")?;
    match id.value.parse::<JobId>() {
        Ok(parsed) if parsed.0.is_nil() => {
            table.findings().at(
                &id.span,
                "`id` is the empty GUID; give every job its own, `uuidgen` makes one",
            );
            None
        }
        Ok(parsed) => Some(id.with(parsed)),
        Err(error) => {
            let message = format!("`id`: {error}; it is the activity id clients put in the URL, `uuidgen` makes one");
            table.findings().at(&id.span, message);
            None
        }
    }
}

fn read_name(table: &Table<'_>) -> Option<Placed<String>> {
    let name = table.required_text("name")?;
    if let Some(flaw) = names::title_flaw(&name.value) {
        table
            .findings()
            .at(&name.span, format!("job name `{}` {flaw}", name.value));
    }
    Some(name)
}

/// Exports are packages unless they say otherwise (RI-17), everything else is plain files.
fn read_data_source(table: &Table<'_>, direction: Option<&Placed<Direction>>) -> DataSource {
    let written = table.choice(
        "data_source",
        &[("file", DataSource::File), ("package", DataSource::Package)],
    );
    let direction = direction.map(|direction| direction.value);
    let default = if direction == Some(Direction::Export) {
        DataSource::Package
    } else {
        DataSource::File
    };
    written.map_or(default, |written| written.value)
}

fn read_clients(table: &Table<'_>, sample: bool) -> Vec<String> {
    let written = table.texts("clients");
    let span = written
        .as_ref()
        .map_or_else(|| table.span().clone(), |clients| clients.span.clone());
    let mut clients: Vec<String> = Vec::new();
    for client in written.into_iter().flat_map(|clients| clients.value) {
        if client.value.trim().is_empty() || client.value.trim() != client.value {
            table
                .findings()
                .at(&client.span, "a client's name may not be empty or have outer spaces");
        } else if clients.contains(&client.value) {
            table
                .findings()
                .at(&client.span, format!("client `{}` is listed twice", client.value));
        } else {
            clients.push(client.value);
        }
    }
    if clients.is_empty() && !sample {
        let message =
            "nobody may use this job: list its `clients`, or set `sample = true` to let the `dev` client try it";
        table.findings().at(&span, message);
    }
    clients
}

/// Which sections go with which direction.
fn check_sections(table: &Table<'_>, direction: &Placed<Direction>, schedule: Option<std::ops::Range<usize>>) {
    let findings = table.findings();
    let word = direction.value.as_str();
    for (section, owner) in [("import", Direction::Import), ("export", Direction::Export)] {
        if direction.value == owner && !table.has(section) {
            findings.at(
                &direction.span,
                format!("direction is `{word}` but there is no [{section}] section"),
            );
        } else if direction.value != owner && table.has(section) {
            findings.at(
                &direction.span,
                format!("direction is `{word}`, which takes no [{section}] section"),
            );
        }
    }
    if let (Direction::Relay, Some(span)) = (direction.value, schedule) {
        findings.at(&span, "direction is `relay`, which takes no [schedule] section");
    }
}

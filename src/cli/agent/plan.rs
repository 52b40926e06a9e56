//! `tranship agent --check`: what the agent would do, and what would keep it from it.

use std::path::Path;

use serde_json::json;

use crate::agent::client::Client;
use crate::agent::config::{AgentConfig, CollectFolder, Order, Product, SendFolder, Source, Target, TokenVersion};
use crate::agent::folder::waiting;
use crate::cli::screen::{Screen, Tone, plain};
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::domain::schedule::{Recurrence, Schedule};
use crate::outgoing::read_secret;

/// Files that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// What one folder would do.
struct Plan {
    name: String,
    does: String,
    next: Vec<String>,
}

/// Prints it.
///
/// # Errors
/// [`Exit::Usage`] when something would keep the agent from working.
pub(super) fn print(screen: &Screen, config: &AgentConfig) -> Result<Exit, Failure> {
    let plans: Vec<Plan> = config
        .sends
        .iter()
        .map(sends)
        .chain(config.collects.iter().map(collects))
        .collect();
    let problems = problems(config);
    let server = server(config);
    if screen.is_json() {
        let folders: Vec<_> = plans
            .iter()
            .map(|plan| json!({"name": plan.name, "does": plan.does, "next": plan.next}))
            .collect();
        screen.json(&json!({"server": server, "folders": folders, "problems": problems}));
        return Ok(if problems.is_empty() { Exit::Ok } else { Exit::Usage });
    }
    screen.line(plain(&server));
    for plan in &plans {
        screen.line(format!(
            "{}  {}",
            screen.paint(Tone::Strong, &plain(&plan.name)),
            plain(&plan.does)
        ));
        if let Some((first, rest)) = plan.next.split_first_chunk::<NAMED_MAX>() {
            screen.line(format!("  next: {}, and {} more", plain(&first.join(", ")), rest.len()));
        } else if !plan.next.is_empty() {
            screen.line(format!("  next: {}", plain(&plan.next.join(", "))));
        }
    }
    if problems.is_empty() {
        return Ok(Exit::Ok);
    }
    Err(Failure::usage("the agent could not work like this").cure(problems.join("\n")))
}

fn server(config: &AgentConfig) -> String {
    let server = &config.server;
    let version = match server.token_version {
        TokenVersion::V1 => 1,
        TokenVersion::V2 => 2,
    };
    let who = match &server.username {
        Some(user) => format!("{user} (through {})", server.client_id),
        None => server.client_id.clone(),
    };
    let again = match server.product {
        Product::Tranship => "a file that is sent again after a crash is the same message there",
        Product::Dynamics => "a file that is sent again after a crash is another message there: at least once (RI-6)",
    };
    format!(
        "{} as {who}, token version {version} from {}; {again}",
        server.url, server.token_url
    )
}

fn sends(send: &SendFolder) -> Plan {
    let folders = &send.folders;
    let order = match send.order {
        Order::Name => "by name",
        Order::Modified => "oldest first",
    };
    let ready = match (send.ready.done_file, send.ready.stable.as_secs()) {
        (true, 0) => "once their done-file is there".to_owned(),
        (true, seconds) => format!("once their done-file is there and they have not changed for {seconds} s"),
        (false, seconds) => format!("once they have not changed for {seconds} s"),
    };
    let to = match &send.to {
        Target::Queue {
            job,
            entity,
            company,
            until_enqueued,
        } => {
            let entity = entity
                .as_ref()
                .map_or_else(String::new, |entity| format!(", entity {entity}"));
            let company = company
                .as_ref()
                .map_or_else(String::new, |company| format!(", company {company}"));
            let until = if *until_enqueued { "enqueued" } else { "processed" };
            format!("job {job}{entity}{company}, until they are {until}")
        }
        Target::Project {
            project,
            legal_entity,
            overwrite,
            execute,
        } => {
            format!("project {project} as packages, company {legal_entity:?}, overwrite {overwrite}, execute {execute}")
        }
    };
    let stop = if send.stop_at_failure {
        "; nothing is sent while one that failed lies in the error folder"
    } else {
        ""
    };
    let when = schedule(send.schedule.as_ref());
    Plan {
        name: send.name.clone(),
        does: format!(
            "sends files of {} {order}{when}, {ready}, {} in flight, to {to}{stop}",
            folders.incoming.display(),
            send.in_flight
        ),
        next: waiting(send).unwrap_or_default(),
    }
}

fn collects(collect: &CollectFolder) -> Plan {
    let from = match &collect.from {
        Source::Queue { job } => format!("from job {job} every {} s", collect.poll.as_secs()),
        Source::Project(export) => {
            let what = if export.entities.is_empty() {
                "all entities".to_owned()
            } else {
                export.entities.join(", ")
            };
            let when = match &export.schedule {
                None => " (only with --once: it has no cron and no every)".to_owned(),
                some => schedule(some.as_ref()),
            };
            format!(
                "exports of project {} ({what}), company {:?}{when}",
                export.project, export.legal_entity
            )
        }
    };
    let unzip = if collect.unzip { ", packages unpacked" } else { "" };
    Plan {
        name: collect.name.clone(),
        does: format!(
            "collects {from} into {} as {}{unzip}",
            collect.folder.display(),
            collect.file_name
        ),
        next: Vec::new(),
    }
}

fn schedule(schedule: Option<&Schedule>) -> String {
    schedule.map_or_else(String::new, |schedule| match &schedule.recurrence {
        Recurrence::Cron(pattern) => format!(" at {} ({})", pattern.text(), schedule.time_zone.name()),
        Recurrence::Every(every) => format!(" every {}", every.text()),
    })
}

/// What would keep it from working, as far as this machine can tell.
fn problems(config: &AgentConfig) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(read_secret(&config.server.secret).err());
    problems.extend(Client::new(&config.server, Clock::system()).err());
    let sends = config
        .sends
        .iter()
        .flat_map(|send| send.folders.each())
        .map(|(_, path)| path);
    let folders = sends.chain(config.collects.iter().map(|collect| collect.folder.as_path()));
    problems.extend(folders.chain([config.state_dir.as_path()]).filter_map(unusable));
    problems
}

/// Why a folder cannot be worked in. One that is missing is made, where the nearest one that is there allows it.
fn unusable(folder: &Path) -> Option<String> {
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    if !there.is_dir() {
        return Some(format!("{} is not a folder", there.display()));
    }
    let writable = rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    writable
        .err()
        .map(|error| format!("{}: cannot write into {}: {error}", folder.display(), there.display()))
}

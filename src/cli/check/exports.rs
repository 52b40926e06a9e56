//! Whether the databases take what the exports select, so that a broken filter is not found by the nightly run.

use super::{Verdict, mistake_or_outage};
use crate::business::snapshot::Selection;
use crate::business::{Database, Databases};
use crate::cli::Failure;
use crate::config::Mistake;
use crate::definitions::Definitions;
use crate::domain::entity::Entity;
use crate::domain::job::{ExportEntity, Job};

/// The mistakes the databases find in the export jobs. `verdicts` say which tables are there to be asked about.
///
/// # Errors
/// When a database is out of reach.
pub(super) async fn refused(
    databases: &Databases,
    definitions: &Definitions,
    verdicts: &[Verdict<'_>],
) -> Result<Vec<Mistake>, Failure> {
    let mut mistakes = Vec::new();
    for job in &definitions.jobs {
        let wanted = job.export.iter().flat_map(|spec| &spec.entities);
        // An entity without a verdict is a mistake already.
        let parts: Vec<_> = wanted
            .filter_map(|wanted| {
                let verdict = verdicts.iter().find(|verdict| verdict.entity.name == wanted.entity)?;
                Some((wanted, verdict))
            })
            .collect();
        if let Some(message) = apart(parts.iter().map(|(_, verdict)| verdict.entity)) {
            mistakes.push(Mistake {
                place: place(job),
                message,
            });
            continue;
        }
        for (wanted, verdict) in parts {
            let Some(database) = databases.get(&verdict.entity.database) else {
                continue;
            };
            mistakes.extend(ask(database, job, wanted, verdict).await?);
        }
    }
    Ok(mistakes)
}

fn place(job: &Job) -> String {
    format!("job `{}`", job.name)
}

/// One snapshot cannot span two databases.
fn apart<'a>(entities: impl Iterator<Item = &'a Entity>) -> Option<String> {
    let mut names = entities.map(|entity| entity.database.as_str());
    let first = names.next()?;
    let other = names.find(|name| *name != first)?;
    Some(format!(
        "one export reads one database, but its entities live in `{first}` and `{other}`; use two jobs"
    ))
}

async fn ask(
    database: &Database,
    job: &Job,
    wanted: &ExportEntity,
    verdict: &Verdict<'_>,
) -> Result<Option<Mistake>, Failure> {
    // What the service is about to add may be what the filter names.
    if verdict.differences.iter().any(|difference| difference.additive) {
        return Ok(None);
    }
    let entity = verdict.entity;
    let all: Vec<String>;
    let fields = if wanted.fields.is_empty() {
        all = entity.fields.iter().map(|field| field.name.clone()).collect();
        &all
    } else {
        &wanted.fields
    };
    let selection = Selection {
        entity,
        fields,
        filter: wanted.filter.as_deref(),
        order_by: &wanted.order_by,
        company: job.company.as_deref(),
    };
    let Err(error) = database.check_selection(selection).await else {
        return Ok(None);
    };
    // A table that does not fit is reported already; the filter is at fault only where the rest is fine.
    let bare = Selection {
        filter: None,
        ..selection
    };
    if !verdict.differences.is_empty() && database.check_selection(bare).await.is_err() {
        return Ok(None);
    }
    mistake_or_outage(place(job), &error).map(Some)
}

//! Whether the databases take what the exports select, so that a broken filter is not found by the nightly run.

use super::{Verdict, mistake_or_outage};
use crate::business::{Database, Databases};
use crate::cli::Failure;
use crate::config::Mistake;
use crate::definitions::Definitions;
use crate::domain::entity::Entity;
use crate::domain::job::Job;
use crate::pipeline::export::parts::{Part, Source, parts};

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
        let Some(spec) = &job.export else { continue };
        // An entity that is not there is a mistake already.
        let Ok(parts) = parts(definitions, spec) else { continue };
        let sources = || parts.iter().flat_map(|part| &part.sources);
        if let Some(message) = apart(sources().map(|source| source.entity)) {
            mistakes.push(Mistake {
                place: place(job),
                message,
            });
            continue;
        }
        let companies = spec.companies(job.company.as_deref());
        for part in &parts {
            mistakes.extend(ask(databases, job, &companies, part, verdicts).await?);
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
    databases: &Databases,
    job: &Job,
    companies: &[String],
    part: &Part<'_>,
    verdicts: &[Verdict<'_>],
) -> Result<Option<Mistake>, Failure> {
    let verdict_on = |source: &Source<'_>| {
        verdicts
            .iter()
            .find(|verdict| verdict.entity.name == source.entity.name)
    };
    // An entity without a verdict is a mistake already.
    let Some(found) = part.sources.iter().map(verdict_on).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let Some(database) = found
        .first()
        .and_then(|verdict| databases.get(&verdict.entity.database))
    else {
        return Ok(None);
    };
    let differences = || found.iter().flat_map(|verdict| &verdict.differences);
    // What the service is about to add may be what the filter names.
    if differences().any(|difference| difference.additive) {
        return Ok(None);
    }
    let Err(error) = part.check(database, companies, true).await else {
        return Ok(None);
    };
    // A table that does not fit is reported already; the filter is at fault only where the rest is fine.
    if differences().next().is_some() && part.check(database, companies, false).await.is_err() {
        return Ok(None);
    }
    let place = filter_at_fault(database, companies, part)
        .await
        .unwrap_or_else(|| place(job));
    mistake_or_outage(place, &error).map(Some)
}

/// File and line of the filter that the database does not take, where one is why.
async fn filter_at_fault(database: &Database, companies: &[String], part: &Part<'_>) -> Option<String> {
    if part.check(database, companies, false).await.is_err() {
        return None;
    }
    for source in &part.sources {
        if source.wanted.filter.is_some() && database.check_selection(source.selection(companies)).await.is_err() {
            return source.wanted.filter_place.clone();
        }
    }
    None
}

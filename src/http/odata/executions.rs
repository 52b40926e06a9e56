//! Executions and how far each of their entities has come (PKG-27). They are read from the store in the order of their ids, a
//! bounded number at a time: an answer may have few rows or none, and a link to where it goes on.

use std::sync::Arc;

use serde_json::{Value, json};

use super::filter::seconds;
use super::options::{Options, unsupported};
use super::page::{Filling, Page};
use super::table::{Row, Table, int, of, text, time};
use crate::definitions::Definitions;
use crate::domain::ids::ExecutionId;
use crate::domain::time::Timestamp;
use crate::http::Api;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::storage::executions::{EntityRun, Execution};

/// Executions read at once.
const PORTION: u32 = 500;
/// Executions looked at for one answer.
const LOOKED_AT_MAX: usize = 10_000;
/// What stands for no time (OD-8).
const NO_TIME: &str = "1900-01-01T00:00:00Z";

/// `DataManagementExecutionJobs`
pub(super) static JOBS: Table = Table {
    set: "DataManagementExecutionJobs",
    entity: "DataManagementExecutionJob",
    columns: &[text("JobId"), text("Description")],
    keys: 1,
    details: Some(&DETAILS),
};

/// `DataManagementExecutionJobDetails`
pub(super) static DETAILS: Table = Table {
    set: "DataManagementExecutionJobDetails",
    entity: "DataManagementExecutionJobDetail",
    columns: &[
        text("JobId"),
        text("EntityName"),
        text("DefinitionGroupId"),
        of("DMFBatchJobStatus", "StagingStatus"),
        of("DMFBatchJobStatus", "TargetStatus"),
        time("StagingStartDateTime"),
        time("StagingEndDateTime"),
        time("TargetStartDateTime"),
        time("TargetEndDateTime"),
        int("StagingRecordsCreatedCount"),
        int("StagingRecordsToBeProcessedCount"),
        int("StagingErrorCount"),
        int("TargetRecordsCreatedCount"),
        int("TargetRecordsUpdatedCount"),
        int("TargetErrorCount"),
        text("SourceFormat"),
        text("FilePath"),
        int("SequenceNumber"),
        int("ExecutionUnit"),
    ],
    keys: 2,
    details: None,
};

/// Where `JobId` stands in both.
const JOB_ID: usize = 0;

/// A page of either set.
///
/// # Errors
/// 400 for another order than by `JobId`, and for a count of more than one execution.
pub(super) async fn page(
    api: &Api,
    caller: &Caller,
    table: &'static Table,
    options: &Options,
) -> Result<Page, Problem> {
    if !matches!(options.order.as_slice(), [] | [(JOB_ID, false)]) {
        let detail = format!("$orderby: {} is ordered by JobId, and by nothing else", table.set);
        return Err(unsupported(detail));
    }
    let sight = Sight {
        definitions: api.definitions(),
        caller,
        table,
    };
    let mut filling = Filling::new(options);
    if let Some(id) = options.filter.as_ref().and_then(|filter| filter.wanted(JOB_ID)) {
        let found = api.context.store.execution(&ExecutionId(id.to_owned())).await?;
        if let Some(execution) = found.filter(|_| options.token.is_none()) {
            sight.offer(&execution, &mut filling);
        }
        let mut page = filling.page(None);
        page.count = options.count.then_some(page.rows.len());
        return Ok(page);
    }
    if options.count {
        let detail = format!(
            "$count: {} is counted for one JobId (`$filter=JobId eq '…'`) only",
            table.set
        );
        return Err(unsupported(detail));
    }
    let (mut after, mut looked_at) = (options.token.clone().unwrap_or_default(), 0);
    while looked_at < LOOKED_AT_MAX {
        let portion = api.context.store.executions_after(&after, PORTION).await?;
        for execution in &portion {
            // More rows than a page has only where one execution brings them.
            if filling.is_full() {
                return Ok(filling.page(Some(after)));
            }
            after.clone_from(&execution.id.0);
            sight.offer(execution, &mut filling);
        }
        if portion.len() < PORTION as usize {
            return Ok(filling.page(None));
        }
        looked_at += portion.len();
    }
    Ok(filling.page(Some(after)))
}

/// What a client sees of executions in a set.
struct Sight<'a> {
    definitions: Arc<Definitions>,
    caller: &'a Caller,
    table: &'static Table,
}

impl Sight<'_> {
    fn offer(&self, execution: &Execution, filling: &mut Filling<'_>) {
        let job = self.definitions.job(execution.job);
        if job.map_or(self.caller.sees_all(), |job| self.caller.may_see(job)) {
            for row in rows(&self.definitions, self.table, execution) {
                filling.offer(row);
            }
        }
    }
}

/// The entities of one execution that was found before.
pub(super) async fn details_of(api: &Api, id: &str) -> Result<Vec<Row>, Problem> {
    let execution = api.context.store.execution(&ExecutionId(id.to_owned())).await?;
    let definitions = api.definitions();
    Ok(execution
        .map(|execution| rows(&definitions, &DETAILS, &execution))
        .unwrap_or_default())
}

fn rows(definitions: &Definitions, table: &'static Table, execution: &Execution) -> Vec<Row> {
    let job = definitions.job(execution.job);
    let project = job.map_or_else(|| execution.job.to_string(), |job| job.name.clone());
    if table.set == JOBS.set {
        return vec![vec![execution.id.0.clone().into(), project.into()]];
    }
    let format = job.map(|job| match (&job.import, &job.export) {
        (Some(import), _) => import.format.source_format(import.encoding.as_deref()),
        (None, Some(export)) => export.format.source_format(export.encoding.as_deref()),
        (None, None) => String::new(),
    });
    let format = format.unwrap_or_default();
    let row = |run: &EntityRun| detail(execution, &project, &format, run);
    execution.entities.iter().map(row).collect()
}

fn detail(execution: &Execution, project: &str, format: &str, run: &EntityRun) -> Row {
    let at = |time: Option<Timestamp>| -> Value {
        time.map_or_else(|| NO_TIME.into(), |time| seconds(time.to_utc()).into())
    };
    let (begun, ended) = (at(run.started_at), at(run.finished_at));
    let staged = run.staging_records.saturating_sub(run.staging_errors);
    vec![
        execution.id.0.clone().into(),
        run.label.clone().into(),
        project.into(),
        run.staging_status.clone().into(),
        run.target_status.clone().into(),
        begun.clone(),
        ended.clone(),
        begun,
        ended,
        json!(run.staging_records),
        json!(staged),
        json!(run.staging_errors),
        json!(run.counts.inserted),
        json!(run.counts.updated),
        json!(run.target_errors),
        format.into(),
        "".into(),
        json!(run.entity_no + 1),
        1.into(),
    ]
}

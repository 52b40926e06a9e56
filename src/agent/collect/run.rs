//! Exports of a project: started, waited for, fetched (contract 4.5).

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Collector, arrive};
use crate::agent::client::{ExportRequest, RunStatus};
use crate::agent::config::ProjectExport;
use crate::agent::pace::Passed;
use crate::agent::record::{Arrival, ArrivalStage, Record, Run, RunStage};
use crate::agent::trouble::{Kind, Trouble};
use crate::failpoint;

/// For so long a server may not know an export it has just taken (PKG-13).
const UNKNOWN_PATIENCE: Duration = Duration::from_mins(5);
/// How often the package's URL may be empty after the export has ended (PKG-20).
const EMPTY_URLS_MAX: u32 = 100;

/// What is known of exports that were started in this life.
#[derive(Debug, Default)]
pub(super) struct Started {
    since: HashMap<String, Instant>,
    empty_urls: HashMap<String, u32>,
    /// There was one: enough for `--once`.
    any: bool,
}

impl Collector {
    /// Starts what is due and goes on with what was started.
    pub(super) async fn export(&mut self, export: &ProjectExport, passed: &mut Passed) -> Result<(), Trouble> {
        let live = self.shared.live(&self.folder.name);
        let runs: Vec<Run> = live
            .into_iter()
            .filter_map(|record| if let Record::Run(run) = record { Some(run) } else { None })
            .collect();
        self.runs.any |= !runs.is_empty();
        let mut running = false;
        for run in runs.iter().cloned() {
            match self.go_on(export, run).await? {
                RunStage::Over => passed.moved = true,
                RunStage::Asked => running = true,
            }
        }
        passed.left = running;
        let seen_to = runs.iter().map(|run| run.until).max();
        if running || self.shared.stopping.is_cancelled() || !self.is_due(export, seen_to).await? {
            return Ok(());
        }
        let now = self.shared.clock.now();
        let id = crate::domain::ids::ParcelId::generate().to_string();
        let run = Run {
            execution: crate::agent::execution_id(&export.project, now, &id),
            flow: self.folder.name.clone(),
            until: now,
            stage: RunStage::Asked,
        };
        self.shared.note(Record::Run(run.clone())).await?;
        failpoint::reached("agent.picked");
        self.runs.any = true;
        passed.moved = true;
        passed.left = self.go_on(export, run).await? == RunStage::Asked;
        Ok(())
    }

    async fn is_due(
        &self,
        export: &ProjectExport,
        seen_to: Option<crate::domain::time::Timestamp>,
    ) -> Result<bool, Trouble> {
        if self.shared.once {
            return Ok(!self.runs.any && seen_to.is_none());
        }
        self.shared
            .is_due(&self.folder.name, export.schedule.as_ref(), seen_to)
            .await
    }

    /// Takes a run as far as it goes now.
    async fn go_on(&mut self, export: &ProjectExport, run: Run) -> Result<RunStage, Trouble> {
        let key = format!("delivery {} {}", run.flow, run.execution);
        if let Some(Record::Delivery(arrival)) = self.shared.known(&key) {
            let arrival = arrive::put_in_place(&self.shared, arrival).await?;
            return self.arrived(run, arrival).await;
        }
        match self.shared.client.run_status(&run.execution).await? {
            RunStatus::Running => Ok(RunStage::Asked),
            RunStatus::Unknown => self.start(export, run).await,
            RunStatus::Ended(status) if matches!(status.as_str(), "Succeeded" | "PartiallySucceeded") => {
                self.fetch(export, run).await
            }
            RunStatus::Ended(status) => {
                let errors = self.shared.client.errors(&run.execution).await;
                let errors = errors.map_or_else(|trouble| trouble.what, |errors| errors.to_string());
                self.give_up(run, &format!("ended {status}: {errors}")).await
            }
        }
    }

    async fn start(&mut self, export: &ProjectExport, run: Run) -> Result<RunStage, Trouble> {
        if self
            .runs
            .since
            .get(&run.execution)
            .is_some_and(|since| since.elapsed() < UNKNOWN_PATIENCE)
        {
            return Ok(RunStage::Asked);
        }
        let request = ExportRequest {
            project: &export.project,
            package_name: &export.package_name,
            execution: &run.execution,
            legal_entity: &export.legal_entity,
            entities: &export.entities,
        };
        let started = self.shared.client.export(&request).await;
        failpoint::reached("agent.submitted");
        match started {
            Ok(()) => {
                self.runs.since.insert(run.execution, Instant::now());
                Ok(RunStage::Asked)
            }
            // An attempt before this one may have come through although nobody heard of it.
            Err(trouble) if trouble.kind == Kind::Refused => match self.shared.client.run_status(&run.execution).await?
            {
                RunStatus::Unknown => self.give_up(run, &trouble.what).await,
                RunStatus::Running | RunStatus::Ended(_) => Ok(RunStage::Asked),
            },
            Err(trouble) => Err(trouble),
        }
    }

    async fn fetch(&mut self, export: &ProjectExport, run: Run) -> Result<RunStage, Trouble> {
        let url = self.shared.client.exported_url(&run.execution).await?;
        if url.is_empty() {
            let times = self.runs.empty_urls.entry(run.execution.clone()).or_default();
            *times += 1;
            if *times < EMPTY_URLS_MAX {
                return Ok(RunStage::Asked);
            }
            return self
                .give_up(run, "ended, but its package did not appear (PKG-20)")
                .await;
        }
        let response = self.shared.client.get_blob(&url).await?;
        let id = file_id(&run.execution);
        let fetched = arrive::fetch(&self.folder.folder, &id, response).await?;
        failpoint::reached("agent.fetched");
        let arrival = arrive::store_run(
            &self.shared,
            &self.folder,
            (&run.execution, &export.package_name),
            fetched,
        )
        .await?;
        self.arrived(run, arrival).await
    }

    /// The package is in its place. Nobody is to be told: the run is over.
    async fn arrived(&mut self, run: Run, arrival: Arrival) -> Result<RunStage, Trouble> {
        let what = format!(
            "collected {:?}, execution {}",
            arrival.file.display().to_string(),
            run.execution
        );
        if arrival.stage != ArrivalStage::Acknowledged {
            self.note(arrival, ArrivalStage::Acknowledged).await?;
        }
        self.over(run).await?;
        self.shared.done(&self.folder.name, what);
        Ok(RunStage::Over)
    }

    async fn give_up(&mut self, run: Run, why: &str) -> Result<RunStage, Trouble> {
        self.failed += 1;
        let what = format!("execution {} {why}", run.execution);
        self.over(run).await?;
        self.shared.failed(&self.folder.name, what);
        Ok(RunStage::Over)
    }

    async fn over(&mut self, run: Run) -> Result<(), Trouble> {
        self.runs.since.remove(&run.execution);
        self.runs.empty_urls.remove(&run.execution);
        // First what outlives the run: else a due time would come twice.
        self.shared.see_to(&run.flow, run.until).await?;
        let stage = RunStage::Over;
        self.shared.note(Record::Run(Run { stage, ..run })).await
    }
}

/// An execution's id as a part of a file's name.
fn file_id(execution: &str) -> String {
    execution
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' })
        .collect()
}

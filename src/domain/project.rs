//! Data projects that the store keeps: which entities a package brought along, and how their files look (PKG-11).
//!
//! Projects of jobs from files are those jobs. A kept one becomes a job, too: whatever is done to a job can be done to it.

use serde::{Deserialize, Serialize};

use super::ids::JobId;
use super::job::{DataSource, Direction, FileFormat, ImportEntity, ImportSpec, Job, Origin, QueueSpec};

/// A data project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// The activity id of its job.
    pub id: JobId,
    /// Its name, unique among projects in any case.
    pub name: String,
    /// Which way it goes.
    pub direction: Direction,
    /// Who created it, and may use it.
    pub client: String,
    /// Its entities, in the order of the package.
    pub entities: Vec<ProjectEntity>,
}

/// One entity of a project: a line of its package's manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectEntity {
    /// Technical name.
    pub entity: String,
    /// `SourceFormat`, as the manifest writes it (FMT-8).
    pub source_format: String,
    /// `ExcelSheetName`.
    pub sheet: String,
    /// Column of the file and field, in the manifest's order; none: by name.
    pub fields: Vec<(String, String)>,
    /// `DefaultRefreshType`: whether an export takes only what changed.
    pub incremental: bool,
    /// `SkipStaging` (DMF-3).
    pub skip_staging: bool,
    /// `ExecutionUnit` (DMF-5).
    pub execution_unit: u32,
    /// `LevelInExecutionUnit`.
    pub level: u32,
    /// `SequenceInLevel`.
    pub sequence: u32,
}

impl Project {
    /// Its job, if it imports: packages that say themselves what their files look like.
    #[must_use]
    pub fn import_job(&self) -> Option<Job> {
        let entities = self.entities.iter().map(|listed| ImportEntity {
            entity: listed.entity.clone(),
            ..ImportEntity::default()
        });
        (self.direction == Direction::Import).then(|| Job {
            id: self.id,
            name: self.name.clone(),
            origin: Origin::Project,
            direction: self.direction,
            data_source: DataSource::Package,
            clients: vec![self.client.clone()],
            sample: false,
            company: None,
            queue: QueueSpec::default(),
            schedule: None,
            import: Some(ImportSpec {
                format: FileFormat::Csv { delimiter: b',' },
                encoding: None,
                entities: entities.collect(),
                max_errors: None,
                atomicity: super::job::Atomicity::Record,
                skip_staging: false,
            }),
            export: None,
            webhook: None,
        })
    }
}

//! Data projects that the store keeps: which entities a package brought along, and how their files look (PKG-11).
//!
//! Projects of jobs from files are those jobs. A kept one becomes a job, too: whatever is done to a job can be done to it.

use serde::{Deserialize, Serialize};

use super::export::{ExportEntity, ExportSpec};
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
            import: Some(ImportSpec {
                format: FileFormat::Csv { delimiter: b',' },
                encoding: None,
                entities: entities.collect(),
                max_errors: None,
                atomicity: super::job::Atomicity::Record,
                skip_staging: false,
            }),
            ..self.job()
        })
    }

    /// Its job, if it exports: these entities, in the format of the first one.
    #[must_use]
    pub fn export_job(&self, entities: Vec<ExportEntity>) -> Option<Job> {
        let first = self.entities.first();
        let format = first.and_then(|first| FileFormat::of_source_format(&first.source_format, &first.sheet));
        let (format, encoding) = format.unwrap_or((FileFormat::Csv { delimiter: b',' }, None));
        (self.direction == Direction::Export).then(|| Job {
            export: Some(ExportSpec {
                format,
                encoding,
                header: true,
                compression: None,
                file_name: None,
                sidecar: false,
                split_records: None,
                split_bytes: None,
                prevent_upload_when_zero_records: false,
                companies: Vec::new(),
                destinations: Vec::new(),
                enqueue: true,
                entities,
            }),
            ..self.job()
        })
    }

    /// What its job is whichever way it goes.
    fn job(&self) -> Job {
        Job {
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
            import: None,
            export: None,
            webhook: None,
        }
    }
}

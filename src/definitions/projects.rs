//! Data projects that the store keeps, beside the jobs from files.

use super::Definitions;
use super::names::title_flaw;
use crate::domain::entity::{Entity, Field};
use crate::domain::export::{ExportEntity, Refresh};
use crate::domain::job::{FileFormat, Job, Origin};
use crate::domain::project::{Project, ProjectEntity};

impl Definitions {
    /// These definitions, and the projects as jobs. Files are the truth for jobs: a project whose name a file has taken is found by its
    /// id only, so that what waits for it is still worked on.
    #[must_use]
    pub fn with_projects(&self, projects: &[Project]) -> Self {
        let mut all = self.clone();
        all.jobs.retain(|job| job.origin == Origin::File);
        let files = all.jobs.len();
        for mut job in projects.iter().filter_map(|project| self.job_of(project)) {
            if let Some(file) = all.jobs[..files].iter().find(|file| is_called(file, &job.name)) {
                tracing::warn!(
                    project = %job.name,
                    "a job from a file has the name of a data project in the store: packages for `{}` go to the file's job; \
                     `tranship jobs delete {}` deletes the project",
                    file.name,
                    job.id
                );
                job.name = format!("{} ({})", job.name, job.id);
            }
            all.jobs.push(job);
        }
        all.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The job of a project.
    #[must_use]
    pub fn job_of(&self, project: &Project) -> Option<Job> {
        let exported = |listed: &ProjectEntity| {
            let entity = self.entity(&listed.entity);
            let field =
                |name: &str| field_of(entity, name).map_or_else(|| name.to_lowercase(), |field| field.name.clone());
            let fields = listed.fields.iter().map(|(column, name)| (field(name), column.clone()));
            ExportEntity {
                entity: listed.entity.clone(),
                fields: fields.clone().map(|(field, _)| field).collect(),
                map: fields.collect(),
                refresh: if listed.incremental && entity.is_some() {
                    Refresh::Tracked { tells_deleted: false }
                } else {
                    Refresh::Full
                },
                ..ExportEntity::default()
            }
        };
        let export = || project.export_job(project.entities.iter().map(exported).collect());
        project.import_job().or_else(export)
    }

    /// What keeps a project from exporting, in a sentence.
    #[must_use]
    pub fn export_flaw(&self, project: &Project) -> Option<String> {
        let format = |listed: &ProjectEntity| FileFormat::of_source_format(&listed.source_format, &listed.sheet);
        let first = project.entities.first();
        project.entities.iter().find_map(|listed| {
            let label = self.label(&listed.entity).unwrap_or(&listed.entity);
            let wanted = format(listed).filter(|(format, _)| cfg!(feature = "parquet") || *format != FileFormat::Parquet);
            let Some((wanted, encoding)) = wanted else {
                return Some(format!(
                    "the source format `{}` of `{label}` is unknown: use CSV, CSV-Unicode, TAB, EXCEL, XML-Element, XML-Attribute, JSON \
                     or JSONL (FMT-8)",
                    listed.source_format
                ));
            };
            let alike = (wanted.source_format(encoding.as_deref()), first.and_then(format));
            if alike.1.is_some_and(|(format, encoding)| format.source_format(encoding.as_deref()) != alike.0) {
                return Some("the files of an export have one source format, but the entities have several".to_owned());
            }
            if self.composite(&listed.entity).is_some() && !wanted.is_xml() {
                return Some(format!("the composite entity `{label}` is exported as XML only (DMF1963)"));
            }
            let entity = self.entity(&listed.entity)?;
            let unknown = listed.fields.iter().find(|(_, name)| field_of(Some(entity), name).is_none());
            unknown.map(|(_, name)| format!("the entity `{label}` has no field `{name}` (DMF2022)"))
        })
    }

    /// What is wrong with a name for a project, as a sentence without its subject.
    #[must_use]
    pub fn project_name_flaw(name: &str) -> Option<String> {
        title_flaw(name)
    }
}

/// The field that a manifest calls so, usually in upper case.
fn field_of<'a>(entity: Option<&'a Entity>, name: &str) -> Option<&'a Field> {
    let wanted = name.to_uppercase();
    entity?.fields.iter().find(|field| field.name.to_uppercase() == wanted)
}

fn is_called(job: &Job, name: &str) -> bool {
    job.name.to_lowercase() == name.to_lowercase()
}

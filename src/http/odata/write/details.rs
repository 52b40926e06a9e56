//! Entities of projects as rows. Nobody needs a mapping: columns are found by their names (PKG-24).

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::{Write, done, key_of, missing, refused};
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::job::{Direction, Job};
use crate::domain::project::{Project, ProjectEntity};
use crate::http::odata::projects;
use crate::http::problem::Problem;
use crate::pipeline::package_import::project::technical_name;

impl Write<'_> {
    pub(super) async fn create_detail(&self) -> Result<HttpResponse, Problem> {
        let name = self.text("DefinitionGroupId")?.unwrap_or_default();
        let job = self.kept(&name).await?;
        let label = self.text("EntityName")?.unwrap_or_default();
        let definitions = self.api.definitions();
        let entity = Self::entity(&definitions, &label)?;
        let fresh = ProjectEntity {
            entity: entity.clone(),
            source_format: "CSV".to_owned(),
            execution_unit: 1,
            level: 1,
            ..ProjectEntity::default()
        };
        let (said, called) = (self.said()?, label.clone());
        self.edit(&job, move |project| {
            if project.entities.iter().any(|listed| listed.entity == entity) {
                return Err(format!(
                    "the data project `{}` has the entity `{called}` already",
                    project.name
                ));
            }
            let last = project.entities.iter().map(|listed| listed.sequence).max().unwrap_or(0);
            let mut listed = ProjectEntity {
                sequence: last + 1,
                ..fresh
            };
            said.apply(&mut listed);
            project.entities.push(listed);
            Ok(())
        })
        .await?;
        let row = self.detail(&job, &label).await?;
        let key = key_of(&[
            ("DefinitionGroupId", &job.name),
            ("EntityName", row[1].as_str().unwrap_or_default()),
        ]);
        Ok(self.created(&projects::DETAILS, row, &key))
    }

    pub(super) async fn change_detail(&self) -> Result<HttpResponse, Problem> {
        let job = self.kept(&self.key[0]).await?;
        let entity = Self::entity(&self.api.definitions(), &self.key[1])?;
        let (said, missing) = (self.said()?, missing(&self.key).detail);
        self.edit(&job, move |project| {
            let listed = project.entities.iter_mut().find(|listed| listed.entity == entity);
            said.apply(listed.ok_or(missing)?);
            Ok(())
        })
        .await?;
        Ok(done())
    }

    pub(super) async fn remove_detail(&self) -> Result<HttpResponse, Problem> {
        let job = self.kept(&self.key[0]).await?;
        let entity = Self::entity(&self.api.definitions(), &self.key[1])?;
        let missing = missing(&self.key).detail;
        self.edit(&job, move |project| {
            let before = project.entities.len();
            project.entities.retain(|listed| listed.entity != entity);
            if project.entities.len() == before {
                Err(missing)
            } else {
                Ok(())
            }
        })
        .await?;
        Ok(done())
    }

    /// The technical name of an entity that takes part in data management.
    fn entity(definitions: &Definitions, label: &str) -> Result<String, Problem> {
        let name = technical_name(definitions, label);
        let name = name.ok_or_else(|| refused(format!("there is no entity `{label}`")))?;
        if definitions.entity(name).is_some_and(|entity| !entity.data_management) {
            return Err(refused(format!(
                "the entity `{label}` takes no part in data management"
            )));
        }
        Ok(name.to_owned())
    }

    /// Edits the project in the store, and makes sure that it can be exported then, if that is what it is for.
    async fn edit<E>(&self, job: &Job, edit: E) -> Result<(), Problem>
    where
        E: FnOnce(&mut Project) -> Result<(), String> + Send + 'static,
    {
        let (definitions, now) = (self.api.definitions(), self.api.context.clock.now());
        let store = (self.api).audited(&self.caller, Action::ProjectChange, job.id, json!({ "job": job.name }));
        let edited = store.edit_project(
            job.id,
            move |project: &mut Project| {
                edit(project)?;
                let flaw = (project.direction == Direction::Export).then(|| definitions.export_flaw(project));
                flaw.flatten().map_or(Ok(()), Err)
            },
            now,
        );
        edited.await?.ok_or_else(|| missing(&self.key))?.map_err(refused)?;
        self.api.projects.refresh().await?;
        tracing::info!(project = %job.name, client = %self.caller.name, "data project changed");
        Ok(())
    }

    /// What the client says of an entity.
    fn said(&self) -> Result<Said, Problem> {
        let said = Said {
            source_format: self.text("SourceFormat")?,
            sheet: self.text("ExcelSheetName")?,
            incremental: self.either("DefaultRefreshType", ["FullPush", "IncrementalPush"])?,
            skip_staging: self.either("SkipStaging", ["No", "Yes"])?,
            execution_unit: self.number("ExecutionUnit")?,
            level: self.number("LevelInExecutionUnit")?,
            sequence: self.number("SequenceInLevel")?,
        };
        for (name, is) in [
            ("Disable", "No"),
            ("RunBusinessLogic", "Yes"),
            ("RunBusinessValidation", "Yes"),
            ("FailExecutionUnitOnError", "No"),
            ("FailLevelOnError", "No"),
        ] {
            if let Some(said) = self.text(name)?.filter(|said| !said.eq_ignore_ascii_case(is)) {
                return Err(refused(format!("`{name}` is `{is}` and cannot be `{said}` here")));
            }
        }
        Ok(said)
    }

    /// The row of an entity as it is now.
    async fn detail(&self, job: &Job, label: &str) -> Result<Vec<Value>, Problem> {
        let (definitions, kept) = (
            self.api.projects.refresh().await?,
            self.api.context.store.projects().await?,
        );
        let entity = Self::entity(&definitions, label)?;
        let label = definitions.label(&entity).unwrap_or(&entity);
        let rows = projects::details(&definitions, &self.caller, &kept);
        let found = rows
            .into_iter()
            .find(|row| row[0] == job.name.as_str() && row[1] == label);
        found.ok_or_else(|| missing(&[job.name.clone(), label.to_owned()]))
    }
}

/// What a client says of an entity of a project; none: it stays.
struct Said {
    source_format: Option<String>,
    sheet: Option<String>,
    incremental: Option<bool>,
    skip_staging: Option<bool>,
    execution_unit: Option<u32>,
    level: Option<u32>,
    sequence: Option<u32>,
}

impl Said {
    fn apply(self, listed: &mut ProjectEntity) {
        let set = |into: &mut String, said: Option<String>| {
            if let Some(said) = said {
                *into = said;
            }
        };
        set(&mut listed.source_format, self.source_format);
        set(&mut listed.sheet, self.sheet);
        listed.incremental = self.incremental.unwrap_or(listed.incremental);
        listed.skip_staging = self.skip_staging.unwrap_or(listed.skip_staging);
        listed.execution_unit = self.execution_unit.unwrap_or(listed.execution_unit);
        listed.level = self.level.unwrap_or(listed.level);
        listed.sequence = self.sequence.unwrap_or(listed.sequence);
    }
}

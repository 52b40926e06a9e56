//! Projects as rows.

use actix_web::HttpResponse;
use serde_json::json;

use super::{Write, done, key_of, missing, refused};
use crate::definitions::Definitions;
use crate::domain::audit::Action;
use crate::domain::ids::JobId;
use crate::domain::job::Direction;
use crate::domain::project::Project;
use crate::http::odata::projects;
use crate::http::problem::Problem;
use crate::storage::projects::{Deleted, ProjectChange};

impl Write<'_> {
    pub(super) async fn create_group(&self) -> Result<HttpResponse, Problem> {
        let name = self.text("Name")?.unwrap_or_default();
        if name.is_empty() {
            return Err(refused("a data project needs a `Name`"));
        }
        if let Some(flaw) = Definitions::project_name_flaw(&name) {
            return Err(refused(format!("the data project's name `{name}` {flaw}")));
        }
        let imports = self.either("OperationType", ["Export", "Import"])?.unwrap_or(false);
        let project = Project {
            id: JobId::generate(),
            name,
            direction: if imports { Direction::Import } else { Direction::Export },
            client: self.caller.name.clone(),
            entities: Vec::new(),
        };
        let definitions = self.api.projects.refresh().await?;
        let job = definitions
            .job_of(&project)
            .ok_or_else(|| refused("a project imports or exports"))?;
        let row = projects::group(&job);
        self.must_agree(&projects::GROUPS, &row, &["Name", "OperationType"])?;
        let detail = json!({ "job": project.name });
        let store = self
            .api
            .audited(&self.caller, Action::ProjectCreate, project.id, detail);
        let now = self.api.context.clock.now();
        let is_free = definitions.find_job(&project.name).is_none();
        let (name, created) = (project.name.clone(), ProjectChange::Create(project));
        if !is_free || !store.change_project(created, now).await? {
            return Err(refused(format!("the data project `{name}` exists already")));
        }
        self.api.projects.refresh().await?;
        tracing::info!(project = %name, client = %self.caller.name, "data project created");
        Ok(self.created(&projects::GROUPS, row, &key_of(&[("", &name)])))
    }

    pub(super) async fn change_group(&self) -> Result<HttpResponse, Problem> {
        let job = self.kept(&self.key[0]).await?;
        self.must_agree(&projects::GROUPS, &projects::group(&job), &[])?;
        Ok(done())
    }

    pub(super) async fn remove_group(&self) -> Result<HttpResponse, Problem> {
        let job = self.kept(&self.key[0]).await?;
        let store = (self.api).audited(&self.caller, Action::ProjectDelete, job.id, json!({ "job": job.name }));
        match store.delete_project(job.id).await? {
            Deleted::Done => {}
            Deleted::Missing => return Err(missing(&self.key)),
            Deleted::Busy => {
                let detail = format!(
                    "messages or runs of `{}` wait or are worked on: let them end first",
                    job.name
                );
                return Err(refused(detail));
            }
        }
        self.api.projects.refresh().await?;
        tracing::info!(project = %job.name, client = %self.caller.name, "data project deleted");
        Ok(done())
    }
}

//! Data projects that packages brought along. Every change raises the number of changes, by which other processes see that theirs are
//! old.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::dialect::sql;
use super::pool::{Tx, execute, fetch_all, fetch_optional};
use super::rows::corrupt;
use super::{Store, StoreError};
use crate::domain::audit::{Action, NewEntry};
use crate::domain::ids::JobId;
use crate::domain::job::Direction;
use crate::domain::project::{Project, ProjectEntity};
use crate::domain::time::Timestamp;

/// What `projects.holds` holds.
#[derive(Debug, Serialize, Deserialize)]
struct Holds {
    entities: Vec<ProjectEntity>,
}

/// A change of a project that goes with something else, in its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectChange {
    /// It is used as it is.
    Keep(JobId),
    /// It is new.
    Create(Project),
    /// Its entities are these from now on.
    Rebuild(Project),
}

/// What the audit log tells of a change.
#[derive(Debug, Clone, Copy)]
pub(super) enum ToldChange {
    /// Nothing.
    Kept,
    /// What was done, to which project.
    Did(Action, JobId),
}

impl ToldChange {
    pub(super) fn of(change: &ProjectChange) -> Self {
        match change {
            ProjectChange::Keep(_) => Self::Kept,
            ProjectChange::Create(project) => Self::Did(Action::ProjectCreate, project.id),
            ProjectChange::Rebuild(project) => Self::Did(Action::ProjectChange, project.id),
        }
    }
}

/// Makes an entry tell of a change that went with something else; `false`: there is nothing to tell.
pub(super) fn tell(change: Option<ToldChange>, entry: &mut NewEntry) -> bool {
    let Some(ToldChange::Did(action, project)) = change else {
        return false;
    };
    (entry.action, entry.target) = (action, project.to_string());
    true
}

/// What became of a wish to delete a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Done,
    /// Messages or runs of it wait or are worked on.
    Busy,
    /// There was none.
    Missing,
}

impl Store {
    /// How often projects were changed.
    pub async fn project_changes(&self) -> Result<i64, StoreError> {
        let text = "select number from project_changes";
        let number: Option<(i64,)> = fetch_optional!(self.reader(), (i64,), text)?;
        Ok(number.map_or(0, |(number,)| number))
    }

    /// All projects. Ask for the number of changes first: what changes in between is then seen next time.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        let text = "select id, name, direction, client, holds from projects order by name_key";
        let rows: Vec<ProjectRow> = fetch_all!(self.reader(), ProjectRow, text)?;
        rows.into_iter().map(ProjectRow::read).collect()
    }

    /// The project of this id.
    pub async fn project(&self, id: JobId) -> Result<Option<Project>, StoreError> {
        let text = "select id, name, direction, client, holds from projects where id = $1";
        let row = fetch_optional!(self.reader(), ProjectRow, text, id.0)?;
        row.map(ProjectRow::read).transpose()
    }

    /// Carries out a change alone. `false`: others were here first, look again.
    pub async fn change_project(&self, wanted: ProjectChange, now: Timestamp) -> Result<bool, StoreError> {
        let told = ToldChange::of(&wanted);
        let effect = move |changed: &bool, entry: &mut NewEntry| *changed && tell(Some(told), entry);
        self.write_audited(effect, move |tx| {
            Box::pin(async move { change(tx, &wanted, now).await })
        })
        .await
    }

    /// Changes a project as it is now, which nobody else does meanwhile. `None`: there is none of this id. An edit that cannot be made says why.
    pub async fn edit_project<E>(
        &self,
        id: JobId,
        edit: E,
        now: Timestamp,
    ) -> Result<Option<Result<(), String>>, StoreError>
    where
        E: FnOnce(&mut Project) -> Result<(), String> + Send + 'static,
    {
        let effect = |edited: &Option<Result<(), String>>, _: &mut NewEntry| matches!(edited, Some(Ok(())));
        self.write_audited(effect, move |tx| {
            Box::pin(async move {
                if !lock(tx, id).await? {
                    return Ok(None);
                }
                let text = "select id, name, direction, client, holds from projects where id = $1";
                let row = fetch_optional!(tx.db(), ProjectRow, text, id.0)?;
                let Some(mut project) = row.map(ProjectRow::read).transpose()? else {
                    return Ok(None);
                };
                if let Err(why) = edit(&mut project) {
                    return Ok(Some(Err(why)));
                }
                change(tx, &ProjectChange::Rebuild(project), now).await?;
                Ok(Some(Ok(())))
            })
        })
        .await
    }

    /// Deletes a project that nothing waits for.
    pub async fn delete_project(&self, id: JobId) -> Result<Deleted, StoreError> {
        self.write_audited(
            |deleted, _| *deleted == Deleted::Done,
            move |tx| {
                Box::pin(async move {
                    if !lock(tx, id).await? {
                        return Ok(Deleted::Missing);
                    }
                    let text = "select 1 where exists (select 1 from queue where job = $1) \
                    or exists (select 1 from occurrences where job = $1 and state in ('due', 'running'))";
                    let waiting: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), text, id.0)?;
                    if waiting.is_some() {
                        return Ok(Deleted::Busy);
                    }
                    execute!(tx.db(), "delete from projects where id = $1", id.0)?;
                    count_change(tx).await?;
                    Ok(Deleted::Done)
                })
            },
        )
        .await
    }
}

/// Carries out a change. `false`: others were here first, look again.
pub(super) async fn change(tx: &mut Tx, change: &ProjectChange, now: Timestamp) -> Result<bool, StoreError> {
    let (project, is_new) = match change {
        ProjectChange::Keep(id) => return lock(tx, *id).await,
        ProjectChange::Create(project) => (project, true),
        ProjectChange::Rebuild(project) => (project, false),
    };
    let holds = Holds {
        entities: project.entities.clone(),
    };
    let holds = serde_json::json!(holds).to_string();
    let done = if is_new {
        let text = "insert into projects (id, name, name_key, direction, client, holds, created_at, changed_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (name_key) do nothing";
        let (name, key, direction) = (
            project.name.as_str(),
            project.name.to_lowercase(),
            project.direction.as_str(),
        );
        let client = project.client.as_str();
        execute!(
            tx.db(),
            text,
            project.id.0,
            name,
            key,
            direction,
            client,
            holds,
            now.micros()
        )?
    } else {
        let text = "update projects set holds = $2, changed_at = $3 where id = $1";
        execute!(tx.db(), text, project.id.0, holds, now.micros())?
    };
    if done == 1 {
        count_change(tx).await?;
    }
    Ok(done == 1)
}

/// Keeps a project as it is until the transaction ends. `false`: there is none of this id.
async fn lock(tx: &mut Tx, id: JobId) -> Result<bool, StoreError> {
    let text = format!("select 1 from projects where id = $1{}", tx.dialect().lock_row());
    let found: Option<(i32,)> = fetch_optional!(tx.db(), (i32,), sql(text), id.0)?;
    Ok(found.is_some())
}

async fn count_change(tx: &mut Tx) -> Result<(), StoreError> {
    execute!(tx.db(), "update project_changes set number = number + 1")?;
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct ProjectRow {
    id: Uuid,
    name: String,
    direction: String,
    client: String,
    holds: String,
}

impl ProjectRow {
    fn read(self) -> Result<Project, StoreError> {
        let bad = |column, what: &str| corrupt("projects", column, &self.id, what);
        let direction = Direction::parse(&self.direction).ok_or_else(|| bad("direction", &self.direction))?;
        let holds: Holds = serde_json::from_str(&self.holds).map_err(|error| bad("holds", &error.to_string()))?;
        Ok(Project {
            id: JobId(self.id),
            name: self.name,
            direction,
            client: self.client,
            entities: holds.entities,
        })
    }
}

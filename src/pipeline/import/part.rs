//! One part of a message: one data file, for one entity, in one business database.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::Session;
use crate::business::Database;
use crate::business::policy::{Policy, Truncate};
use crate::business::staging::Load;
use crate::definitions::Definitions;
use crate::domain::counts::Counts;
use crate::domain::entity::Entity;
use crate::domain::job::{FileFormat, ImportEntity, ImportSpec, Job};
use crate::pipeline::package_file::Member;
use crate::pipeline::stop::Stop;
use crate::storage::executions::EntityRun;

/// Where a part's file is.
pub(super) enum Source {
    /// It is the message's payload.
    Payload,
    /// It is a member of the package that the payload is.
    Member(Member),
    /// It is not in the package, which says this.
    Missing(String),
    /// It is not to be read any more: the part is only brought to its end.
    Closed,
}

/// One data file and what becomes of it.
pub(super) struct Part<'a> {
    pub(super) session: &'a Session<'a>,
    /// Position within the message, from 0.
    pub(super) entity_no: i32,
    pub(super) wanted: Cow<'a, ImportEntity>,
    /// How its records come to the target.
    pub(super) policy: Policy,
    pub(super) entity: &'a Entity,
    pub(super) database: &'a Database,
    pub(super) format: FileFormat,
    pub(super) encoding: Option<String>,
    pub(super) source: Source,
    /// How far the store knows it to be.
    pub(super) known: Option<EntityRun>,
    /// What was found in this attempt that somebody may want to look at.
    pub(super) warnings: OnceLock<Vec<String>>,
}

impl<'a> Part<'a> {
    /// The part for the entity with this label, its file as the job says.
    ///
    /// # Errors
    /// [`Stop::Fail`] when the job does not load that entity, or its database is not configured.
    pub(super) fn of(session: &'a Session<'a>, entity_no: i32, label: &str, source: Source) -> Result<Self, Stop> {
        let (wanted, entity) = entity_of(session.definitions, session.job, session.spec, label)?;
        let database = session.context.databases.get(&entity.database).ok_or_else(|| {
            Stop::fail(
                "definition_mismatch",
                format!("no database `{}` is configured", entity.database),
            )
        })?;
        Ok(Self {
            session,
            entity_no,
            wanted: Cow::Borrowed(wanted),
            policy: policy(session, wanted, entity),
            entity,
            database,
            format: session.spec.format.clone(),
            encoding: session.spec.encoding.clone(),
            source,
            known: session
                .execution
                .entities
                .iter()
                .find(|run| run.entity_no == entity_no)
                .cloned(),
            warnings: OnceLock::new(),
        })
    }

    pub(super) fn load(&self) -> Load<'_> {
        Load {
            fence: self.session.fence,
            entity_no: self.entity_no,
            entity: self.entity,
            mode: self.wanted.mode,
            policy: &self.policy,
        }
    }

    /// The entities whose tables this one refers to.
    pub(super) fn parents(&self) -> Result<Vec<&'a Entity>, Stop> {
        let named = self.entity.fields.iter().filter_map(|f| f.references.as_ref());
        let mut parents: Vec<&Entity> = Vec::new();
        for reference in named {
            let parent = self.session.definitions.entity(&reference.entity).ok_or_else(|| {
                Stop::fail(
                    "definition_mismatch",
                    format!(
                        "`{}` refers to the unknown entity `{}`",
                        self.entity.name, reference.entity
                    ),
                )
            })?;
            if !parents.iter().any(|p| p.name == parent.name) {
                parents.push(parent);
            }
        }
        Ok(parents)
    }

    /// How far it is known to be, or that it has begun.
    pub(super) fn run(&self) -> EntityRun {
        let mut run = self.known.clone().unwrap_or_else(|| EntityRun {
            entity_no: self.entity_no,
            label: self.entity.label.clone(),
            company: self.session.message.company.clone(),
            staging_status: "Executing".to_owned(),
            staging_records: 0,
            staging_errors: 0,
            target_status: "NotStarted".to_owned(),
            counts: Counts::default(),
            target_errors: 0,
            started_at: Some(self.session.execution.started_at),
            truncated: 0,
            finished_at: None,
            warnings: Vec::new(),
        });
        if let Some(warnings) = self.warnings.get() {
            run.warnings.clone_from(warnings);
        }
        run
    }

    /// Tells the store how far it is.
    pub(super) async fn save(&self, run: &EntityRun) -> Result<(), Stop> {
        let session = self.session;
        let store = &session.context.store;
        Ok(store.save_entity_run(session.fence, &session.execution.id, run).await?)
    }
}

/// What the job says of how an entity's records come to the target. Corrections are added to what their parent landed: they
/// replace nothing.
fn policy(session: &Session<'_>, wanted: &ImportEntity, entity: &Entity) -> Policy {
    let replaces = wanted.truncate && session.message.parent.is_none();
    let company = entity.company_field.clone().zip(session.message.company.clone());
    Policy {
        atomicity: session.spec.atomicity,
        document_key: wanted.document_key.clone(),
        truncate: replaces
            .then(|| company.map_or(Truncate::All, |(field, company)| Truncate::Company { field, company })),
    }
}

/// What the job says of the entity with this label.
pub(super) fn entity_of<'a>(
    definitions: &'a Definitions,
    job: &Job,
    spec: &'a ImportSpec,
    label: &str,
) -> Result<(&'a ImportEntity, &'a Entity), Stop> {
    spec.entities
        .iter()
        .filter_map(|wanted| definitions.entity(&wanted.entity).map(|entity| (wanted, entity)))
        .find(|(_, entity)| entity.label.to_lowercase() == label.to_lowercase())
        .ok_or_else(|| {
            Stop::fail(
                "entity_unknown",
                format!("the job `{}` does not load the entity `{label}`", job.name),
            )
        })
}

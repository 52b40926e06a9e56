//! One part of a message: one data file, for one entity, in one business database.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::Session;
use super::order::Place;
use crate::business::Database;
use crate::business::policy::{Policy, Truncate};
use crate::business::staging::{Load, WriteOrder};
use crate::definitions::Definitions;
use crate::domain::counts::Counts;
use crate::domain::entity::Entity;
use crate::domain::job::{Atomicity, FileFormat, ImportEntity, ImportSpec, Job, Order, Origin};
use crate::domain::time::Timestamp;
use crate::format::mapping::Mapping;
use crate::format::record::RecordReader;
use crate::format::xml::composite::{CompositeOptions, composite_reader};
use crate::pipeline::composite::Composed;
use crate::pipeline::data_file;
use crate::pipeline::package_file::Member;
use crate::pipeline::stop::Stop;
use crate::storage::executions::EntityRun;

/// Where a part's file is.
#[derive(Clone)]
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

/// What is made up where the file brings nothing.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Fields that only new rows take.
    only_new: Vec<String>,
    /// Fields that are numbered.
    numbered: Vec<String>,
}

impl From<&Mapping> for Filled {
    fn from(mapping: &Mapping) -> Self {
        Self {
            only_new: mapping.only_new().to_owned(),
            numbered: mapping.numbered(),
        }
    }
}

/// One data file and what becomes of it.
pub(super) struct Part<'a> {
    pub(super) session: &'a Session<'a>,
    /// Position within the message, from 0.
    pub(super) entity_no: i32,
    pub(super) wanted: Cow<'a, ImportEntity>,
    /// How its records come to the target.
    pub(super) policy: Policy,
    /// Whether the manifest wants records to land as they are read (`SkipStaging`, DMF-3).
    pub(super) skips_staging: bool,
    pub(super) entity: &'a Entity,
    pub(super) database: &'a Database,
    pub(super) format: FileFormat,
    pub(super) encoding: Option<String>,
    /// Of a composite file, how it is read, and which of its entities this is.
    pub(super) composite: Option<(CompositeOptions, usize)>,
    pub(super) source: Source,
    pub(super) place: Place,
    /// How far the store knows it to be.
    pub(super) known: Option<EntityRun>,
    /// What was found in this attempt that somebody may want to look at.
    pub(super) warnings: OnceLock<Vec<String>>,
    /// Known once the file's columns are.
    pub(super) filled: OnceLock<Filled>,
    /// What the reader had to remark when it came to the end.
    pub(super) remarks: OnceLock<Vec<String>>,
    /// When it came to its end in this attempt.
    pub(super) ended_at: OnceLock<Timestamp>,
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
            policy: policy(session, &wanted, entity),
            wanted,
            skips_staging: false,
            entity,
            database,
            format: session.spec.format.clone(),
            encoding: session.spec.encoding.clone(),
            composite: None,
            source,
            place: Place::default(),
            known: session
                .execution
                .entities
                .iter()
                .find(|run| run.entity_no == entity_no)
                .cloned(),
            warnings: OnceLock::new(),
            filled: OnceLock::new(),
            remarks: OnceLock::new(),
            ended_at: OnceLock::new(),
        })
    }

    /// A reader of its records, at the start of its file.
    pub(super) fn reader(&self) -> Box<dyn RecordReader> {
        match &self.composite {
            Some((options, node)) => Box::new(composite_reader(options, *node)),
            None => data_file::reader(&self.format, &self.session.context.limits),
        }
    }

    pub(super) fn load(&self) -> Load<'_> {
        let filled = self.filled.get();
        Load {
            only_new: filled.map_or(&[], |filled| &filled.only_new),
            numbered: filled.map_or(&[], |filled| &filled.numbered),
            checks_rules: self.wanted.runs_validation(),
            order: self.order(),
            policy: &self.policy,
            ..Load::new(self.session.fence, self.entity_no, self.entity, self.wanted.mode)
        }
    }

    /// Whether its records land as they are read: as the job or the manifest says, where each stands for itself and nothing is to be
    /// judged before. What is not to land at all is staged.
    pub(super) fn lands_directly(&self) -> bool {
        let spec = self.session.spec;
        let can = spec.atomicity == Atomicity::Record && spec.max_errors.is_none();
        self.session.asked.executes && (spec.skip_staging || self.skips_staging && can)
    }

    /// How its writes stand to those of other messages, where a job keeps the entity's in order.
    fn order(&self) -> Option<WriteOrder<'_>> {
        let order = self.session.order.as_ref()?;
        let is_kept = self.session.definitions.is_kept_in_order(&self.entity.name);
        is_kept.then_some(WriteOrder {
            store: &order.store,
            sequence: order.sequence,
            refuses_older: self.session.job.queue.order != Order::None && !self.session.message.forced,
        })
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
            run.warnings.extend(self.remarks.get().into_iter().flatten().cloned());
        }
        run
    }

    /// What an attempt that read the file to its end had to remark, as far as it told the store.
    pub(super) fn recall_remarks(&self) {
        let told = self.known.iter().flat_map(|run| &run.warnings);
        let warnings = self.warnings.get();
        let remarks = told.filter(|told| warnings.is_none_or(|warnings| !warnings.contains(told)));
        let _ = self.remarks.set(remarks.cloned().collect());
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

/// What the job says of the entity with this label, by itself or within a composite.
pub(in crate::pipeline) fn entity_of<'a>(
    definitions: &'a Definitions,
    job: &Job,
    spec: &'a ImportSpec,
    label: &str,
) -> Result<(Cow<'a, ImportEntity>, &'a Entity), Stop> {
    let mut listed =
        (spec.entities.iter()).filter_map(|wanted| definitions.entity(&wanted.entity).map(|entity| (wanted, entity)));
    if let Some((wanted, entity)) = listed.find(|(_, entity)| entity.label.to_lowercase() == label.to_lowercase()) {
        return Ok((Cow::Borrowed(wanted), entity));
    }
    let composed = Composed::of_job(definitions, spec);
    let part = composed.and_then(|composed| {
        let (part, entity) = composed.part(label)?;
        Some((composed.wanted(part), entity))
    });
    // A project takes what its packages list: they were looked at when they came, whatever its list is by now.
    let brought = || {
        let entity = definitions.find_entity(label);
        let entity = entity.filter(|entity| job.origin == Origin::Project && entity.data_management)?;
        let wanted = ImportEntity {
            entity: entity.name.clone(),
            ..ImportEntity::default()
        };
        Some((Cow::Owned(wanted), entity))
    };
    part.or_else(brought).ok_or_else(|| {
        Stop::fail(
            "entity_unknown",
            format!("the job `{}` does not load the entity `{label}`", job.name),
        )
    })
}

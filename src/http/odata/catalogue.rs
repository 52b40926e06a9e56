//! Which entities a client sees: those of jobs it may look at.

use std::collections::BTreeSet;

use crate::definitions::Definitions;
use crate::domain::composite::Composite;
use crate::domain::entity::Entity;
use crate::domain::job::Job;
use crate::http::auth::Caller;

/// An entity or composite entity.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) enum Listed<'a> {
    /// An entity.
    Entity(&'a Entity),
    /// A composite entity.
    Composite(&'a Composite),
}

impl<'a> Listed<'a> {
    /// Its technical name.
    pub(in crate::http) fn name(self) -> &'a str {
        match self {
            Self::Entity(entity) => &entity.name,
            Self::Composite(composite) => &composite.name,
        }
    }

    /// The name on the wire.
    pub(in crate::http) fn label(self) -> &'a str {
        match self {
            Self::Entity(entity) => &entity.label,
            Self::Composite(composite) => &composite.label,
        }
    }

    /// Whether it is called that, by label or name, in any case.
    pub(in crate::http) fn is_called(self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.name().to_lowercase() == name || self.label().to_lowercase() == name
    }
}

/// Technical names of what a job imports or exports, in its order.
pub(in crate::http) fn entities_of(job: &Job) -> Vec<&str> {
    let imported = job.import.iter().flat_map(|import| &import.entities);
    let exported = job.export.iter().flat_map(|export| &export.entities);
    let imported = imported.map(|wanted| wanted.entity.as_str());
    imported.chain(exported.map(|wanted| wanted.entity.as_str())).collect()
}

/// What the caller sees, by technical name.
pub(in crate::http) fn visible<'a>(definitions: &'a Definitions, caller: &Caller) -> Vec<Listed<'a>> {
    let entities = definitions.entities.iter().map(Listed::Entity);
    let composites = definitions.composites.iter().map(Listed::Composite);
    let mut listed: Vec<_> = entities.chain(composites).collect();
    if !caller.sees_all() {
        let jobs = definitions.jobs.iter().filter(|job| caller.may_see(job));
        let mut names: BTreeSet<&str> = jobs.flat_map(entities_of).collect();
        let composites = definitions
            .composites
            .iter()
            .filter(|composite| names.contains(composite.name.as_str()));
        let inside: Vec<_> = composites.flat_map(|composite| &composite.parts).collect();
        names.extend(inside.into_iter().map(|part| part.entity.as_str()));
        listed.retain(|listed| names.contains(listed.name()));
    }
    listed.sort_by_key(|listed| listed.name());
    listed
}

//! Composite entities: several entities whose records come in one document, one inside the other (FMT-11).

use super::entity::Drift;

/// A composite entity, as read from `entities/*.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composite {
    /// Technical name. Unique among those of entities.
    pub name: String,
    /// The name used on the wire and in manifests.
    pub label: String,
    /// What a record means that holds no element of an entity that belongs into it (MAP011).
    pub missing_elements: Drift,
    /// Its entities, each behind the one its records stand in; never empty.
    pub parts: Vec<CompositePart>,
}

/// One entity of a composite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompositePart {
    /// Technical name of the entity.
    pub entity: String,
    /// Local name of its XML element.
    pub element: String,
    /// Position of the part its records stand in; `None` for the first one alone.
    pub parent: Option<usize>,
    /// Fields it takes over from the record around where it does not bring them: own field, and field of that record.
    pub inherit: Vec<(String, String)>,
}

impl Composite {
    /// How many records a record of this part stands in.
    #[must_use]
    pub fn depth(&self, part: usize) -> u32 {
        let parent = |part: &usize| self.parts.get(*part).and_then(|part| part.parent);
        let around = std::iter::successors(parent(&part), parent);
        u32::try_from(around.count()).unwrap_or(u32::MAX)
    }
}

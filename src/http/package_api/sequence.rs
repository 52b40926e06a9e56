//! `GetEntitySequence`: in which order entities are to be loaded, so that what a record points at is there before it.

use serde_json::{Value, json};

use super::super::Api;
use super::super::auth::Caller;
use super::super::odata::catalogue::{Listed, visible};
use super::super::problem::Problem;
use crate::definitions::Definitions;
use crate::domain::package_export::names;

/// A JSON array in a text: each entity with its execution unit, level and place in it, in the order in which a package lists
/// them. What the real product answers is not known; these are the words of manifests (DMF-5).
pub(super) fn of_entities(api: &Api, caller: &Caller, list: &str) -> Result<String, Problem> {
    let definitions = api.definitions();
    let seen = visible(&definitions, caller);
    let mut listed: Vec<Listed<'_>> = Vec::new();
    for name in names(list) {
        let found = seen.iter().find(|entity| entity.is_called(&name));
        let found = found.ok_or_else(|| Problem::bad("action_failed", format!("there is no entity `{name}`")))?;
        if !listed.iter().any(|entity| entity.name() == found.name()) {
            listed.push(*found);
        }
    }
    let mut placed: Vec<_> = levels(&definitions, &listed).into_iter().zip(listed).collect();
    placed.sort_by_key(|(level, _)| *level);
    let (mut items, mut current, mut place) = (Vec::new(), 0, 0);
    for (level, entity) in placed {
        place = if level == current { place + 1 } else { 1 };
        current = level;
        items.push(json!({
            "EntityName": entity.label(),
            "ExecutionUnit": 1,
            "LevelInExecutionUnit": level,
            "SequenceInLevel": place,
        }));
    }
    Ok(Value::from(items).to_string())
}

/// The level of each: one more than that of the highest entity it points at, of those in the list. In a circle somebody has to be
/// first.
fn levels(definitions: &Definitions, listed: &[Listed<'_>]) -> Vec<usize> {
    let position = |name: &str| listed.iter().position(|other| other.name() == name);
    let pointed_at: Vec<Vec<usize>> = listed
        .iter()
        .map(|entity| targets(definitions, *entity).into_iter().filter_map(position).collect())
        .collect();
    let mut levels = vec![1; listed.len()];
    // Round by round; what still rises after as many rounds as there are entities is a circle.
    for _ in 1..listed.len() {
        for (at, pointed_at) in pointed_at.iter().enumerate() {
            let others = pointed_at.iter().filter(|other| **other != at);
            let above = others.map(|other| levels[*other] + 1).max().unwrap_or(1);
            levels[at] = above.max(levels[at]).min(listed.len());
        }
    }
    levels
}

/// The entities that records of this one point at.
fn targets<'a>(definitions: &'a Definitions, of: Listed<'a>) -> Vec<&'a str> {
    let entities = match of {
        Listed::Entity(entity) => vec![entity],
        Listed::Composite(composite) => {
            let parts = composite.parts.iter();
            parts.filter_map(|part| definitions.entity(&part.entity)).collect()
        }
    };
    let fields = entities.into_iter().flat_map(|entity| &entity.fields);
    fields
        .filter_map(|field| Some(field.references.as_ref()?.entity.as_str()))
        .collect()
}

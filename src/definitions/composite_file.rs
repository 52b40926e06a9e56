//! One file of `entities/` that puts several entities together.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::names;
use super::read::{Findings, Placed, Table};
use crate::domain::composite::{Composite, CompositePart};
use crate::domain::entity::Drift;

/// Longest name of an element, in bytes.
const ELEMENT_BYTES_MAX: usize = 128;

/// A composite as one file gives it, with the places later checks need.
pub(super) struct CompositeDraft {
    pub findings: Rc<Findings>,
    /// Its parts' names are not resolved yet.
    pub composite: Composite,
    pub name: Placed<String>,
    pub label: Placed<String>,
    /// In the order of `composite.parts`.
    pub parts: Vec<PartPlaces>,
}

/// One `[[composite]]` before its names are resolved.
pub(super) struct PartPlaces {
    pub span: Range<usize>,
    pub entity: Placed<String>,
    pub parent: Option<Placed<String>>,
    /// `None`: what it refers to.
    pub inherit: Option<BTreeMap<String, Placed<String>>>,
}

/// Reads a composite. `None` when it has no name.
pub(super) fn read(table: Table<'_>, findings: &Rc<Findings>) -> Option<CompositeDraft> {
    let name = table.required_text("name");
    let label = table.text("label").or_else(|| name.clone());
    let missing_elements = table.choice("missing_elements", &Drift::WORDS);
    let (mut parts, mut places) = (Vec::new(), Vec::new());
    for part in table.tables("composite", "[[composite]]") {
        if let Some((part, place)) = read_part(part, &parts) {
            parts.push(part);
            places.push(place);
        }
    }
    if parts.is_empty() {
        findings.at(
            table.span(),
            "`composite` has no entity; write one [[composite]] for each",
        );
    }
    table.finish();
    let (name, label) = (name?, label?);
    if let Some(flaw) = names::identifier_flaw(&name.value) {
        findings.at(&name.span, format!("entity name `{}` {flaw}", name.value));
    }
    if let Some(flaw) = names::title_flaw(&label.value) {
        findings.at(&label.span, format!("label `{}` {flaw}", label.value));
    }
    Some(CompositeDraft {
        findings: Rc::clone(findings),
        composite: Composite {
            name: name.value.clone(),
            label: label.value.clone(),
            missing_elements: missing_elements.map_or(Drift::Warn, |drift| drift.value),
            parts,
        },
        name,
        label,
        parts: places,
    })
}

fn read_part(table: Table<'_>, earlier: &[CompositePart]) -> Option<(CompositePart, PartPlaces)> {
    let findings = table.findings();
    let entity = table.required_text("entity");
    let element = table.required_text("element");
    let parent = table.text("parent");
    let inherit = table.has("inherit").then(|| table.free_texts("inherit"));
    if let Some(element) = &element {
        let name = &element.value;
        if !is_element_name(name) {
            let message = format!("`{name}` is no name of an XML element; write it as in the file, without a prefix");
            findings.at(&element.span, message);
        } else if earlier.iter().any(|part| part.element == *name) {
            findings.at(
                &element.span,
                format!("two entities have the element `{name}`; it is what tells them apart"),
            );
        }
    }
    let span = table.span().clone();
    table.finish();
    let (entity, element) = (entity?, element?);
    Some((
        CompositePart {
            entity: entity.value.clone(),
            element: element.value,
            parent: None,
            inherit: Vec::new(),
        },
        PartPlaces {
            span,
            entity,
            parent,
            inherit,
        },
    ))
}

/// Whether an element may be called so, without a prefix.
pub(super) fn is_element_name(name: &str) -> bool {
    let first = |c: char| c.is_alphabetic() || c == '_';
    name.len() <= ELEMENT_BYTES_MAX
        && name.starts_with(first)
        && name
            .chars()
            .all(|c| first(c) || c.is_numeric() || matches!(c, '-' | '.'))
}

//! Composite XML data files (FMT-11): records of several entities, one inside the other, read as a stream that survives damage.
//!
//! # Grammar
//! As in any XML data file, but the elements below the root are records of the composite's first entity, and those may hold elements
//! that are records of others, and so on. What an element is, its name alone tells, so no member may have the name of one. Elements
//! may stand anywhere in the one around them, between its members or in an element of its own that only gathers them; a record's
//! members are what is left when the records inside it are taken out. In [`XmlStyle::Attribute`](super::XmlStyle) they are its attributes.
//!
//! A record takes over fields of the one around it that it does not bring itself, if they stand in front of it. An element with
//! `_context="true"` is no record: it is there for what it holds, as in a rejects file.
//!
//! # Damage
//! Only the tags of the composite's elements and the root's end tag decide what is inside what; everything between them is
//! kept for the record it stands in and parsed when that ends. So what is wrong inside a record costs that record, and neither those in it
//! nor the one around it (unless they take over something from it). A record that is not closed before the end tag of one around it,
//! or before a start tag of an element that cannot stand in it, ends there, damaged. One that stands where it does not belong is damaged.
//! What stands directly below the root and is no record costs one of the first entity. A comment, CDATA section or processing
//! instruction that is not closed, or is longer than a record may be, or a comment in which another begins, is not believed to be one.
//!
//! # Cost
//! Memory holds one record of each entity, of at most `max_record_bytes` without the records inside it, however many those are. White
//! space and comments between them are not kept. Time is linear in the size of the file. Going on after a crash reads it from the start.

mod frame;
mod outside;
mod rejects;
mod source;
#[cfg(test)]
mod tests;
mod token;
mod values;
mod walk;

use std::sync::Arc;

pub use rejects::{CompositeRejects, Element, Written};
pub use source::CompositeSource;

use super::XmlOptions;
use crate::domain::entity::{Drift, Entity};
use crate::domain::job::ImportEntity;
use crate::format::named::Named;

/// Attribute of an element that is no record itself.
pub const CONTEXT_ATTRIBUTE: &str = "_context";

/// One entity of a composite, and how its records come to it.
#[derive(Debug, Clone, PartialEq)]
pub struct CompositeNode {
    /// Local name of its element.
    pub element: String,
    /// Position of the node its elements stand in; `None` for the first one alone.
    pub parent: Option<usize>,
    /// The entity.
    pub entity: Entity,
    /// How its members come to fields, as the job says.
    pub wanted: ImportEntity,
    /// The message's company.
    pub company: Option<String>,
    /// Fields taken over from the record around: own field, and field of that record.
    pub inherit: Vec<(String, String)>,
}

/// A composite as the reader needs it.
#[derive(Debug, Clone)]
pub struct CompositeOptions {
    /// Style and limits.
    pub xml: XmlOptions,
    /// Its entities, each behind the one its elements stand in.
    pub nodes: Arc<[CompositeNode]>,
    /// What a record means that lacks an element of some entity (MAP011).
    pub missing_elements: Drift,
}

/// Column under which a record's own or inherited value of a field is read. No XML name has a blank.
#[must_use]
pub fn inherited_column(field: &str) -> String {
    format!("{field} (inherited)")
}

/// A reader of the records of one entity of a composite, at the start of the file.
#[must_use]
pub fn composite_reader(options: &CompositeOptions, node: usize) -> Named<CompositeSource> {
    Named::new(CompositeSource::new(options, node), options.xml.max_columns)
}

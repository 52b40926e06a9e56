//! What a record takes over from the one around it.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::members::{self, Members};
use super::frame::Flaw;
use super::walk::Walk;
use super::{CompositeNode, inherited_column};
use crate::domain::reject::RecordCode;
use crate::format::mapping::field_of_column;

/// Names of members remembered for each entity.
const NAMES_MAX: usize = 4096;

/// Texts of an element's members by the position of the field they come to.
pub(super) type Fields = Vec<(usize, Vec<u8>)>;

/// To which field which member comes.
#[derive(Debug)]
pub(super) struct Lookup {
    nodes: Arc<[CompositeNode]>,
    /// For each node, by the members' names.
    known: Vec<HashMap<String, Option<usize>>>,
}

impl Lookup {
    pub fn new(nodes: &Arc<[CompositeNode]>) -> Self {
        Self {
            nodes: Arc::clone(nodes),
            known: vec![HashMap::new(); nodes.len()],
        }
    }

    fn field(&mut self, node: usize, member: &str) -> Option<usize> {
        if let Some(field) = self.known[node].get(member) {
            return *field;
        }
        let CompositeNode { entity, wanted, .. } = &self.nodes[node];
        let field = field_of_column(entity, &wanted.map, member);
        if self.known[node].len() < NAMES_MAX {
            self.known[node].insert(member.to_owned(), field);
        }
        field
    }

    /// Puts in what a record of this node inherits from the innermost open element, which is the one around it.
    ///
    /// # Errors
    /// `inherited_missing` when something is to be taken over and is not there.
    pub fn take_over(&mut self, node: usize, record: &mut Members, walk: &mut Walk) -> Result<(), Flaw> {
        let nodes = Arc::clone(&self.nodes);
        for (field, from) in &nodes[node].inherit {
            let at = nodes[node].entity.field_index(field);
            let own = record.iter().position(|(name, _)| self.field(node, name) == at);
            if let Some(own) = own {
                record[own].0 = inherited_column(field);
                if !record[own].1.is_empty() {
                    continue;
                }
            }
            let around = walk.open.len().checked_sub(1);
            let value = around.map_or(Ok(None), |around| self.value(around, from, walk));
            match (value, own) {
                (Ok(Some(text)), Some(own)) => record[own].1 = text,
                (Ok(Some(text)), None) => record.push((inherited_column(field), text)),
                (Ok(None), Some(_)) => {}
                (Ok(None), None) if fallback(&nodes[node], field).is_some() => {}
                (Ok(None), None) => {
                    return Err(missing(format!(
                        "the record has no {field} of its own, and {from} does not stand in front of it in the element around it: \
                         put that first there"
                    )));
                }
                (Err(reason), _) => {
                    return Err(missing(format!(
                        "{field} is to be taken over from the element around it, which cannot be read: {reason}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What an open element has for a field so far; an error says why it cannot be read.
    fn value(&mut self, depth: usize, field: &str, walk: &mut Walk) -> Result<Option<Vec<u8>>, String> {
        let nodes = Arc::clone(&self.nodes);
        let node = &nodes[walk.open[depth].node];
        let own = self.fields(depth, walk)?;
        let at = node.entity.field_index(field);
        let own = own.iter().find(|(of, _)| Some(*of) == at).map(|(_, text)| text.clone());
        if let Some(text) = own.as_ref().filter(|text| !text.is_empty()) {
            return Ok(Some(translated(node, field, text)));
        }
        let from = node.inherit.iter().find(|(own, _)| own == field);
        if let (Some((_, from)), Some(around)) = (from, depth.checked_sub(1))
            && let Some(text) = self.value(around, from, walk)?
        {
            return Ok(Some(text));
        }
        Ok(fallback(node, field).or(own))
    }

    /// What an open element brings so far.
    fn fields<'w>(&mut self, depth: usize, walk: &'w mut Walk) -> Result<&'w Fields, String> {
        let options = walk.options;
        let frame = &mut walk.open[depth];
        if frame.fields.is_none() {
            let read = match &frame.flaw {
                Some(flaw) => Err(flaw.reason.clone()),
                None => members::read_so_far(&frame.own, &options).map_err(|problem| problem.reason),
            };
            let node = frame.node;
            let by_field = |members: Members| {
                let fields = members.into_iter();
                fields
                    .filter_map(|(name, text)| Some((self.field(node, &name)?, text)))
                    .collect()
            };
            frame.fields = Some(read.map(by_field));
        }
        match &frame.fields {
            Some(Ok(fields)) => Ok(fields),
            Some(Err(reason)) => Err(reason.clone()),
            None => Err(String::new()),
        }
    }
}

/// As the job translates a value of the field.
fn translated(node: &CompositeNode, field: &str, text: &[u8]) -> Vec<u8> {
    let values = node.wanted.values.get(field);
    let meant = values.and_then(|values| values.get(std::str::from_utf8(text).ok()?.trim()));
    meant.map_or_else(|| text.to_owned(), |meant| meant.clone().into_bytes())
}

/// What an empty cell of the field becomes: the company, or the job's default.
fn fallback(node: &CompositeNode, field: &str) -> Option<Vec<u8>> {
    let is_company = node.entity.company_field.as_deref() == Some(field);
    let company = node.company.as_ref().filter(|_| is_company);
    let text = company.or_else(|| node.wanted.defaults.get(field))?;
    Some(text.clone().into_bytes())
}

fn missing(reason: String) -> Flaw {
    Flaw {
        code: RecordCode::InheritedMissing,
        reason,
    }
}

//! The reader: of all elements of a composite file, those of one entity.

use std::sync::Arc;

use super::frame::{Flaw, Frame};
use super::values::Lookup;
use super::walk::{Passed, Walk};
use super::{CompositeNode, CompositeOptions};
use crate::domain::entity::Drift;
use crate::domain::reject::RecordCode;
use crate::format::excerpt;
use crate::format::named::{NamedRecord, NamedSource, NamedStep};
use crate::format::record::{Damage, FileError, Position};

/// A push parser: bytes are fed in, the records of one entity come out. Memory is bounded by the options.
#[derive(Debug)]
pub struct CompositeSource {
    walk: Walk,
    nodes: Arc<[CompositeNode]>,
    lookup: Lookup,
    node: usize,
    missing_elements: Drift,
    /// Of each node whose elements a record should hold, how many hold none, and the first one's line.
    lacking: Vec<Lacking>,
    /// Behind the last record.
    position: Position,
    /// Where to skip to.
    target: Option<Position>,
}

#[derive(Debug)]
struct Lacking {
    node: usize,
    records: u64,
    first_line: u64,
}

impl CompositeSource {
    /// A reader of the records of this node, at the start of the file.
    #[must_use]
    pub fn new(options: &CompositeOptions, node: usize) -> Self {
        let held = (0..options.nodes.len()).filter(|held| options.nodes[*held].parent == Some(node));
        Self {
            walk: Walk::new(options),
            nodes: Arc::clone(&options.nodes),
            lookup: Lookup::new(&options.nodes),
            node,
            missing_elements: options.missing_elements,
            lacking: held
                .map(|node| Lacking {
                    node,
                    records: 0,
                    first_line: 0,
                })
                .collect(),
            position: Position::START,
            target: None,
        }
    }

    #[cfg(test)]
    pub(super) fn bytes_examined(&self) -> u64 {
        self.walk.bytes_examined()
    }

    /// A record of ours that has ended.
    fn record(&mut self, frame: &Frame) -> NamedStep {
        self.position = Position {
            records: self.position.records + 1,
            line: self.walk.input.line(),
            // Two may end in one place: a record, and the file.
            byte: frame.byte_end.max(self.position.byte + 1),
        };
        let place = frame.place(self.position.records);
        let read = frame.members(&self.walk.options).and_then(|mut members| {
            self.lookup.take_over(self.node, &mut members, &mut self.walk)?;
            self.look_for_elements(frame)?;
            Ok(members)
        });
        match read {
            Ok(members) => NamedStep::Record(NamedRecord { place, members }),
            Err(Flaw { code, reason }) => NamedStep::Damaged(Damage {
                place,
                code,
                column: None,
                reason,
                excerpt: frame.excerpt(),
            }),
        }
    }

    /// Whether the record holds an element of each entity that belongs into it (MAP011).
    fn look_for_elements(&mut self, frame: &Frame) -> Result<(), Flaw> {
        for lacking in &mut self.lacking {
            if frame.holds.contains(&lacking.node) {
                continue;
            }
            if self.missing_elements == Drift::Reject {
                return Err(Flaw {
                    code: RecordCode::ElementMissing,
                    reason: format!(
                        "the record holds no {} (MAP011): add one, or let the composite entity `warn` of `missing_elements`",
                        excerpt::quoted(&self.nodes[lacking.node].element)
                    ),
                });
            }
            if lacking.records == 0 {
                lacking.first_line = frame.line;
            }
            lacking.records += 1;
        }
        Ok(())
    }
}

impl NamedSource for CompositeSource {
    fn feed(&mut self, bytes: &[u8]) {
        self.walk.input.feed(bytes);
    }

    fn finish(&mut self) {
        self.walk.input.finish();
    }

    fn step(&mut self) -> Result<NamedStep, FileError> {
        loop {
            let frame = match self.walk.step()? {
                Passed::NeedInput => return Ok(NamedStep::NeedInput),
                Passed::End => {
                    self.target = None;
                    return Ok(NamedStep::End);
                }
                Passed::Element(frame) if frame.node != self.node || frame.is_context => continue,
                Passed::Element(frame) => frame,
            };
            let step = self.record(&frame);
            // What a record takes over stands in front of it, so the file is read from its start all the same.
            match self.target {
                Some(target) if self.position.records < target.records => {}
                Some(target) if self.position.records == target.records => self.target = None,
                _ => return Ok(step),
            }
        }
    }

    fn position(&self) -> Position {
        self.target.unwrap_or(self.position)
    }

    fn skip_to(&mut self, position: Position) {
        if position.records > self.position.records {
            self.target = Some(position);
        }
    }

    fn remarks(&self) -> Vec<String> {
        let told = self.lacking.iter().filter(|lacking| lacking.records > 0);
        let told = told.filter(|_| self.missing_elements == Drift::Warn);
        told.map(|lacking| {
            format!(
                "{} records hold no element {} (MAP011), the first in line {}",
                lacking.records,
                excerpt::quoted(&self.nodes[lacking.node].element),
                lacking.first_line
            )
        })
        .collect()
    }
}

//! The rejects file of a composite: rejected records inside the elements they stood in, so that it is a composite file of the same
//! shape again. An element around a rejected record that was not rejected itself says so with `_context`.

use super::super::rejects::XmlRejects;
use super::frame::Frame;
use super::walk::{Passed, Walk};
use super::{CompositeNode, CompositeOptions};
use crate::format::record::FileError;

/// What comes next of the source.
#[derive(Debug)]
pub enum Written {
    /// It needs more bytes.
    NeedInput,
    /// An element has ended; those inside it came before.
    Element(Element),
    /// All read.
    End,
}

/// An element of the source.
#[derive(Debug)]
pub struct Element {
    /// Its node.
    pub node: usize,
    /// How many elements it stands in.
    pub depth: usize,
    /// Its number among the records of its node; none: it is no record itself.
    pub record: Option<u64>,
    frame: Frame,
}

impl Element {
    /// Puts another text in the place of the element's own, without what stands inside it.
    ///
    /// # Errors
    /// Those of `correct`.
    pub fn correct<E>(&mut self, correct: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, E>) -> Result<(), E> {
        self.frame.own = correct(std::mem::take(&mut self.frame.own))?;
        Ok(())
    }
}

/// Goes through a source once more to write its rejects.
#[derive(Debug)]
pub struct CompositeRejects {
    walk: Walk,
    /// Records so far, for each node.
    records: Vec<u64>,
}

impl CompositeRejects {
    /// At the start of the source.
    #[must_use]
    pub fn new(options: &CompositeOptions) -> Self {
        Self {
            walk: Walk::new(options),
            records: vec![0; options.nodes.len()],
        }
    }

    /// Adds bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.walk.input.feed(bytes);
    }

    /// Says that there are no more.
    pub fn finish(&mut self) {
        self.walk.input.finish();
    }

    /// Goes on to the next element that ends.
    ///
    /// # Errors
    /// As when the source was loaded.
    pub fn step(&mut self) -> Result<Written, FileError> {
        let frame = match self.walk.step()? {
            Passed::NeedInput => return Ok(Written::NeedInput),
            Passed::End => return Ok(Written::End),
            Passed::Element(frame) => frame,
        };
        let node = frame.node;
        self.records[node] += u64::from(!frame.is_context);
        Ok(Written::Element(Element {
            node,
            depth: self.walk.open.len(),
            record: (!frame.is_context).then_some(self.records[node]),
            frame,
        }))
    }

    /// Appends what stands before the first element.
    pub fn prefix(&self, out: &mut Vec<u8>) {
        self.rejects(0).prefix(out);
    }

    /// Appends what stands after the last.
    pub fn suffix(&self, out: &mut Vec<u8>) {
        self.rejects(0).suffix(out);
    }

    /// An element with its id and what is wrong with it, or as context; if it `holds` others, in two pieces, between which they go.
    #[must_use]
    pub fn written(&self, element: &Element, rejected: Option<(&str, &str)>, holds: bool) -> (Vec<u8>, Vec<u8>) {
        let rejects = self.rejects(element.node);
        let Frame { own, is_cut, .. } = &element.frame;
        let mut out = Vec::new();
        match rejected {
            Some((id, error)) => rejects.record(&mut out, own, id, error, *is_cut),
            None => rejects.context(&mut out, own, element.frame.is_context),
        }
        out.truncate(out.trim_ascii_end().len());
        if holds { in_two(out) } else { (out, Vec::new()) }
    }

    fn rejects(&self, node: usize) -> XmlRejects {
        let CompositeNode { element, .. } = &self.walk.nodes()[node];
        XmlRejects::of_element(self.walk.options.style, self.walk.root(), element)
    }
}

/// Before its end tag, which is made if there is none.
fn in_two(mut element: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    if element.ends_with(b"/>") {
        let name = element[1..]
            .iter()
            .take_while(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/'));
        let tail = [b"</", name.copied().collect::<Vec<_>>().as_slice(), b">"].concat();
        element.truncate(element.len() - b"/>".len());
        element.push(b'>');
        return (element, tail);
    }
    let end = memchr::memmem::rfind(&element, b"</").unwrap_or(element.len());
    let tail = element.split_off(end);
    (element, tail)
}

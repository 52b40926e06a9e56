//! The rejects of a composite file: rejected records inside the elements they stood in, those around them as context.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use bytes::Bytes;
use tempfile::SpooledTempFile;
use tokio::sync::mpsc;

use super::corrections::corrected;
use super::pages::Pages;
use super::sink::Sink;
use super::window::Window;
use super::{Halt, Of, unreadable};
use crate::blob::BlobError;
use crate::disk;
use crate::domain::job::FileFormat;
use crate::format::xml::composite::{CompositeRejects, Element, Written};
use crate::pipeline::composite::Composed;
use crate::pipeline::data_file::DataFile;
use crate::pipeline::source::SourceError;
use crate::storage::executions::StoredError;

/// Rejects of one record's inside kept in memory; the rest goes to a temporary file.
const CHILDREN_IN_MEMORY: usize = 1 << 20;
/// Bytes taken back from there at a time.
const PIECE_BYTES: usize = 64 << 10;

/// Writes the file of a composite whose first entity has this number in the message.
pub(super) async fn write(
    of: Of<'_>,
    (composed, first_no): (Composed<'_>, i32),
    format: &FileFormat,
    file: DataFile,
    out: &mpsc::Sender<Result<Bytes, SourceError>>,
) -> Result<(), Halt> {
    let company = of.message.company.as_deref();
    let options = composed
        .options(format, company, &of.context.limits)
        .map_err(unreadable)?;
    let mut payload = Window::new(file);
    let mut rejects = CompositeRejects::new(&options);
    let mut wanted = Wanted::of(of, first_no, options.nodes.len()).await?;
    let mut inside = Inside::default();
    let mut sink = Sink::new(out, b',');
    let mut is_begun = false;
    while wanted.is_left() || !inside.is_empty() {
        let mut element = match rejects.step().map_err(|error| SourceError::Unreadable(error.reason))? {
            Written::Element(element) => element,
            Written::NeedInput => {
                match payload.next(&sink).await? {
                    Some(bytes) => rejects.feed(&bytes),
                    None => rejects.finish(),
                }
                continue;
            }
            Written::End => {
                return Err(SourceError::Unreadable("a rejected record is not in the payload".to_owned()).into());
            }
        };
        if !is_begun {
            begin(&rejects, &payload, &mut sink);
            is_begun = true;
        }
        let rejected = wanted.take(&element).await?;
        let children = inside.take(element.depth + 1);
        if rejected.is_none() && children.is_none() {
            continue;
        }
        if let Some((first, _)) = &rejected {
            let corrections = of.selection.corrections.as_ref();
            let corrections = corrections.map_or(&[][..], |corrections| corrections.of(first.reject));
            element.correct(|own| corrected(format, own, corrections))?;
        }
        let rejected = rejected.map(|(first, reasons)| (first.reject.to_string(), reasons));
        let rejected = rejected.as_ref().map(|(id, reasons)| (id.as_str(), reasons.as_str()));
        let (head, tail) = rejects.written(&element, rejected, children.is_some());
        inside.put(element.depth, &mut sink, &head, children, &tail).await?;
    }
    if !is_begun {
        begin(&rejects, &payload, &mut sink);
    }
    sink.append(|out| rejects.suffix(out));
    sink.flush().await
}

fn begin(rejects: &CompositeRejects, payload: &Window, sink: &mut Sink<'_>) {
    if !payload.is_utf8() {
        sink.mark_utf8();
    }
    sink.append(|out| rejects.prefix(out));
}

/// The rejects of each entity that are still to be written.
struct Wanted<'a>(Vec<Ahead<'a>>);

struct Ahead<'a> {
    pages: Pages<'a>,
    page: std::vec::IntoIter<(StoredError, String)>,
    next: Option<(StoredError, String)>,
}

impl<'a> Wanted<'a> {
    async fn of(of: Of<'a>, first_no: i32, entities: usize) -> Result<Self, Halt> {
        let mut wanted = Vec::with_capacity(entities);
        for entity_no in (first_no..).take(entities) {
            let mut ahead = Ahead {
                pages: Pages::new(of, entity_no),
                page: Vec::new().into_iter(),
                next: None,
            };
            ahead.advance().await?;
            wanted.push(ahead);
        }
        Ok(Self(wanted))
    }

    fn is_left(&self) -> bool {
        self.0.iter().any(|ahead| ahead.next.is_some())
    }

    /// The reject that this element is, if it is one.
    async fn take(&mut self, element: &Element) -> Result<Option<(StoredError, String)>, Halt> {
        let ahead = &mut self.0[element.node];
        let record = ahead.next.as_ref().map(|(first, _)| first.reject.record);
        if record.is_none() || record != element.record {
            return Ok(None);
        }
        let reject = ahead.next.take();
        ahead.advance().await?;
        Ok(reject)
    }
}

impl Ahead<'_> {
    async fn advance(&mut self) -> Result<(), Halt> {
        self.next = self.page.next();
        if self.next.is_none() {
            self.page = self.pages.next().await?.into_iter();
            self.next = self.page.next();
        }
        Ok(())
    }
}

/// What is written already of elements around which others are still open, by how deep they stand.
#[derive(Default)]
struct Inside(Vec<Option<SpooledTempFile>>);

impl Inside {
    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn take(&mut self, depth: usize) -> Option<SpooledTempFile> {
        self.0.get_mut(depth).and_then(Option::take)
    }

    /// Puts an element where it belongs: into the file, or to what stands inside the one around it.
    async fn put(
        &mut self,
        depth: usize,
        sink: &mut Sink<'_>,
        head: &[u8],
        children: Option<SpooledTempFile>,
        tail: &[u8],
    ) -> Result<(), Halt> {
        if depth > 0 {
            if self.0.len() <= depth {
                self.0.resize_with(depth + 1, || None);
            }
            let spool = self.0[depth].get_or_insert_with(|| SpooledTempFile::new(CHILDREN_IN_MEMORY));
            return append(spool, head, children, tail).map_err(|error| spill(&error));
        }
        sink.append(|out| out.extend_from_slice(head));
        if let Some(mut children) = children {
            children.seek(SeekFrom::Start(0)).map_err(|error| spill(&error))?;
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                let length = children.read(&mut piece).map_err(|error| spill(&error))?;
                if length == 0 {
                    break;
                }
                sink.append(|out| out.extend_from_slice(&piece[..length]));
                sink.flush_when_full().await?;
            }
        }
        sink.append(|out| out.extend_from_slice(tail));
        sink.append(|out| out.extend_from_slice(b"\r\n"));
        sink.flush_when_full().await
    }
}

fn append(
    spool: &mut SpooledTempFile,
    head: &[u8],
    children: Option<SpooledTempFile>,
    tail: &[u8],
) -> std::io::Result<()> {
    spool.write_all(head)?;
    if let Some(mut children) = children {
        children.seek(SeekFrom::Start(0))?;
        std::io::copy(&mut children, spool)?;
    }
    spool.write_all(tail)
}

fn spill(error: &std::io::Error) -> Halt {
    let why = disk::told(error);
    SourceError::from(BlobError::failed(format!(
        "rejects could not be kept in a temporary file: {why}"
    )))
    .into()
}

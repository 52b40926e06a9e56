//! What a correction changed: its records beside those they stand for.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::corrections::Corrections;
use super::entity_file::EntityFile;
use super::reread::{Reread, Rows};
use super::selection::Selection;
use super::sink::Sink;
use super::table::is_ours;
use super::window::Window;
use super::{ErrorFiles, Halt};
use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::message::Message;
use crate::domain::reject::RejectId;
use crate::format::mapping::REJECT_ID_COLUMN;
use crate::format::record::Step;
use crate::pipeline::Context;
use crate::pipeline::source::SourceError;

/// One cell that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The column's name.
    pub column: String,
    /// What stood there; `None`: there was no such column, or the record could not be read.
    pub before: Option<String>,
    /// What stands there now; `None`: the column is gone.
    pub after: Option<String>,
}

/// What the first records of a correction changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each record that was looked at, by its reject in the parent, with its changes.
    pub records: Vec<(RejectId, Vec<Change>)>,
    /// Whether there are records beyond.
    pub more: bool,
}

/// A record's cells by the names of their columns.
type Named = Vec<(String, String)>;

impl Changes {
    /// What `child` changed of the rejects of `parent`, of its first `most` records; `None` when the job of either is gone.
    ///
    /// # Errors
    /// [`SourceError`] when a payload is no longer kept, cannot be read, or is out of reach.
    pub async fn between(
        context: &Context,
        definitions: &Arc<Definitions>,
        (parent, child): (Message, Message),
        most: usize,
    ) -> Result<Option<Self>, SourceError> {
        let of = |message, selection| ErrorFiles::of(context, Arc::clone(definitions), message, selection);
        let parent_id = parent.id;
        let Some(child) = of(child, Selection::default()) else {
            return Ok(None);
        };
        let (after, more) = sent_back(&child, parent_id, most).await.map_err(Halt::into_source)?;
        let mut corrections = Corrections::default();
        for reject in after.keys() {
            corrections.send(*reject, Vec::new());
        }
        let selection = Selection {
            corrections: Some(Arc::new(corrections)),
            ..Selection::default()
        };
        let Some(parent) = of(parent, selection) else {
            return Ok(None);
        };
        let before = rejected(&parent).await.map_err(Halt::into_source)?;
        let records = after
            .into_iter()
            .filter_map(|(reject, after)| Some((reject, compare(before.get(&reject)?, &after))));
        Ok(Some(Self {
            records: records.collect(),
            more,
        }))
    }
}

/// The first records of a correction that name a reject of the parent, and whether there are more.
async fn sent_back(
    child: &ErrorFiles,
    parent: MessageId,
    most: usize,
) -> Result<(BTreeMap<RejectId, Named>, bool), Halt> {
    let package = child.package().await?;
    let (out, _held) = mpsc::channel(1);
    let sink = Sink::new(&out, b',');
    let mut found = BTreeMap::new();
    for file in EntityFile::all(child, package.as_ref())? {
        let payload = Window::new(file.open(child).await?);
        let mut rows = Rows::new(file.reader(&child.context.limits), payload);
        let names = rows.header(&sink).await?;
        let Some(id_at) = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(REJECT_ID_COLUMN))
        else {
            continue;
        };
        let take = |step: Step<'_>| {
            let Step::Record(record) = step else { return None };
            let id = std::str::from_utf8(record.cells.get(id_at)?).ok()?;
            let reject: RejectId = id.parse().ok()?;
            (reject.message == parent).then(|| (reject, named(&names, &record.cells)))
        };
        while let Some(row) = rows.next(&sink, take).await? {
            let Some((reject, cells)) = row else { continue };
            if found.len() == most {
                return Ok((found, true));
            }
            found.insert(reject, cells);
        }
    }
    Ok((found, false))
}

/// The rejects that are wanted, as they were; without cells, those that could not be read.
async fn rejected(parent: &ErrorFiles) -> Result<BTreeMap<RejectId, Named>, Halt> {
    let package = parent.package().await?;
    let (out, _held) = mpsc::channel(1);
    let sink = Sink::new(&out, b',');
    let mut found = BTreeMap::new();
    for file in EntityFile::with_rejects(parent, package.as_ref()).await? {
        let payload = Window::new(file.open(parent).await?);
        let mut rejects = Reread::new(
            file.reader(&parent.context.limits),
            payload,
            parent.as_of(),
            file.entity_no,
        );
        let names = rejects.header(&sink).await?;
        let take = |step: Step<'_>| match step {
            Step::Record(record) => named(&names, &record.cells),
            _ => Vec::new(),
        };
        while let Some((first, _, cells)) = rejects.next(&sink, take).await? {
            found.insert(first.reject, cells);
        }
    }
    Ok(found)
}

fn named(names: &[String], cells: &[std::borrow::Cow<'_, [u8]>]) -> Named {
    let text = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    names
        .iter()
        .zip(cells)
        .filter(|(name, _)| !is_ours(name))
        .map(|(name, cell)| (name.clone(), text(cell)))
        .collect()
}

fn compare(before: &Named, after: &Named) -> Vec<Change> {
    let find = |cells: &Named, wanted: &str| {
        let is = |name: &str| name.trim().to_lowercase() == wanted.trim().to_lowercase();
        cells.iter().find(|(name, _)| is(name)).map(|(_, text)| text.clone())
    };
    let added = after.iter().filter(|(name, _)| find(before, name).is_none());
    let columns = before.iter().chain(added).map(|(name, _)| name);
    columns
        .map(|column| Change {
            column: column.clone(),
            before: find(before, column),
            after: find(after, column),
        })
        // A member that is absent reads as an empty one.
        .filter(|change| change.before.as_deref().unwrap_or_default() != change.after.as_deref().unwrap_or_default())
        .collect()
}

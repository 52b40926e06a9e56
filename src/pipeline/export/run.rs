//! Reading a run's entities into its payloads, all in one snapshot: of the database, or of a copy where others write too much
//! meanwhile.

use tokio::sync::mpsc;

use super::incremental::{self, Planned, Prepared, Reading};
use super::parts::{Part, Source};
use super::payloads::{OpenFile, Payloads};
use super::requested::Requested;
use super::{Written, faulty};
use crate::business::backup::BackupCopy;
use crate::business::snapshot::{Row, Selection, Snapshot};
use crate::business::{BusinessError, Database};
use crate::domain::export::ExportSpec;
use crate::domain::job::Job;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::pipeline::Context;
use crate::pipeline::stop::Stop;
use crate::pipeline::telling::Done;
use crate::storage::occurrences::Occurrence;

/// Batches of rows read ahead of the writer: with what is being written, all of an export that is in memory.
const BATCHES_AHEAD: usize = 4;

/// A run, its entities got ready.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) context: &'a Context,
    pub(super) job: &'a Job,
    pub(super) spec: &'a ExportSpec,
    pub(super) parts: &'a [Part<'a>],
    /// One for each entity of each part, in their order.
    pub(super) prepared: &'a [Prepared],
    pub(super) due_at: Timestamp,
    /// What a client asked for; none: the run is an ordinary one.
    pub(super) requested: Option<&'a Requested>,
}

/// What was read: the payloads that hold it, what is told of it, and how each entity was read.
type Read<'a> = (Payloads<'a>, Written, Vec<(&'a Source<'a>, Planned)>);

impl<'a> Run<'a> {
    /// Reads everything. On SQLite a reader keeps the write-ahead log from being started anew; when others have written
    /// `export.max_wal_bytes` meanwhile, what was written is given up and all is read from a copy.
    pub(super) async fn read(self, database: &Database, claimed: &Occurrence) -> Result<Read<'a>, Stop> {
        let max_wal_bytes = self.context.limits.export.max_wal_bytes;
        let began = self.context.clock.now();
        let mut snapshot = database.snapshot_within(max_wal_bytes).await?;
        self.context
            .tell_run_phase(claimed, Done::well("snapshot", began), Vec::new);
        match self.read_in(&mut snapshot, claimed).await {
            Err(Stop::Retry(why)) if snapshot.is_given_up() => self.read_copy(database, claimed, &why).await,
            done => done,
        }
    }

    /// Positions are those of the copy's state: it has the change tables, too, and the marks that were raised before.
    async fn read_copy(self, database: &Database, claimed: &Occurrence, why: &str) -> Result<Read<'a>, Stop> {
        let (job, due_at) = (&self.job.name, self.due_at);
        tracing::warn!(job.name = %job, %due_at, "the export begins again from a copy: {why}");
        let copy = self.copy(database).await?;
        tracing::info!(job.name = %job, %due_at, bytes = copy.bytes(), copy = %copy.path().display(), "copied the database");
        let (payloads, mut written, planned) = self.read_in(&mut copy.database().snapshot().await?, claimed).await?;
        written.remarks.push(format!(
            "read from a copy of database `{}`, because others wrote more than export.max_wal_bytes while it was read",
            database.name()
        ));
        Ok((payloads, written, planned))
    }

    async fn copy(self, database: &Database) -> Result<BackupCopy, Stop> {
        metrics::counter!("tranship_export_copies_total", "database" => database.name().to_owned()).increment(1);
        Ok(database.back_up(&self.context.copies).await?)
    }

    async fn read_in(self, snapshot: &mut Snapshot, claimed: &Occurrence) -> Result<Read<'a>, Stop> {
        failpoint::reached("export.snapshot_open");
        let mut prepared = self.prepared.iter();
        let mut payloads = Payloads::begin(self)?;
        let (mut written, mut planned) = (Written::default(), Vec::new());
        for part in self.parts {
            let mut readings = Vec::new();
            for (source, prepared) in part.sources.iter().zip(&mut prepared) {
                let plan = incremental::plan(snapshot, source, prepared, self.due_at).await?;
                readings.push(plan.reading.clone());
                planned.push((source, plan));
            }
            let began = self.context.clock.now();
            let counts = self.write_part(snapshot, &mut payloads, part, &readings).await?;
            self.context.tell_run_phase(claimed, Done::well("file", began), || {
                let records = counts.iter().map(|(_, records)| records).sum::<u64>();
                let records = i64::try_from(records).unwrap_or(i64::MAX);
                vec![("entity", part.label.to_owned().into()), ("records", records.into())]
            });
            written.entities.extend(counts);
        }
        Ok((payloads, written, planned))
    }

    /// Writes one data file; the records of each of its entities, by its label.
    async fn write_part(
        self,
        snapshot: &mut Snapshot,
        payloads: &mut Payloads<'a>,
        part: &'a Part<'a>,
        readings: &[Reading],
    ) -> Result<Vec<(String, u64)>, Stop> {
        let mut file = OpenFile::begin(part, payloads).await?;
        let (rows, mut batches) = mpsc::channel::<Vec<Row>>(BATCHES_AHEAD);
        let reading = async {
            let read = self.read_part(snapshot, part, readings.first(), rows).await;
            read.map_err(|error| faulty::unread(part, error))
        };
        // What is read in full tells of nothing that is gone.
        let (tells, is_full) = (
            part.sources.first().is_some_and(Source::tells_deleted),
            !matches!(readings.first(), Some(Reading::Changes(_))),
        );
        let writing = async {
            while let Some(batch) = batches.recv().await {
                let batch = match (tells, is_full) {
                    (true, true) => batch.into_iter().map(there).collect(),
                    (false, false) => batch.into_iter().filter_map(untold).collect(),
                    _ => batch,
                };
                file.rows(payloads, &batch).await?;
            }
            file.end(payloads).await
        };
        // `try_join` drops the reader when the writer fails, and the other way round.
        let (_, counts) = tokio::try_join!(reading, writing)?;
        Ok(counts)
    }

    async fn read_part(
        &self,
        snapshot: &mut Snapshot,
        part: &Part<'_>,
        reading: Option<&Reading>,
        rows: mpsc::Sender<Vec<Row>>,
    ) -> Result<u64, BusinessError> {
        let companies = self.spec.companies(self.job.company.as_deref());
        // Of a preview, which is a full export.
        let limit = self.requested.and_then(|requested| requested.asked.preview);
        if let Some(composite) = part.composite {
            let nested = part.nested(composite, &companies, limit);
            return snapshot.read_nested(&nested, rows).await;
        }
        let Some((source, reading)) = part.sources.first().zip(reading) else {
            return Ok(0);
        };
        let selection = Selection {
            limit,
            ..source.selection(&companies)
        };
        match reading {
            Reading::All => snapshot.read(selection, rows).await,
            Reading::Changes(changes) => snapshot.read_changes(selection, *changes, rows).await,
            Reading::Newer { field, than } => snapshot.read_newer(selection, (field, than.as_deref()), rows).await,
            Reading::Query { sql, since, until } => snapshot.read_query(selection, sql, (since, until), rows).await,
        }
    }
}

/// A row of a full export beside a column that tells what is gone.
fn there(mut row: Row) -> Row {
    row.push(Some("No"));
    row
}

/// A change without what tells whether its record is gone; nothing where it is.
fn untold(mut row: Row) -> Option<Row> {
    let is_gone = row.pop().as_deref() == Some("Yes");
    (!is_gone).then_some(row)
}

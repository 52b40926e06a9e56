//! What an incremental export reads of an entity: the changes since the run before, or everything where those cannot be told.

use sha2::{Digest as _, Sha256};

use super::parts::Source;
use crate::business::Database;
use crate::business::snapshot::Snapshot;
use crate::business::tracking::{Blocker, Changes, Horizon, Mark};
use crate::domain::entity::FieldType;
use crate::domain::export::Refresh;
use crate::domain::ids::JobId;
use crate::domain::job::Job;
use crate::domain::position::Position;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::pipeline::stop::Stop;
use crate::storage::positions::{NewPosition, Start};

const MICROS: i64 = 1_000_000;

/// An entity before its snapshot is taken.
pub(super) struct Prepared {
    start: Start,
    mark: Option<Mark>,
    /// A digest of what the job selects.
    selection: String,
}

/// What is read of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    /// All records.
    All,
    /// Those that changed, and those that are gone.
    Changes(Changes),
    /// Those whose field is greater than this, or has a value where none had one yet.
    Newer { field: String, than: Option<String> },
    /// Those that a query finds between two moments.
    Query { sql: String, since: String, until: String },
}

/// An entity, its snapshot taken.
pub(super) struct Planned {
    pub(super) reading: Reading,
    /// Where it comes to; none for a full export.
    pub(super) position: Option<NewPosition>,
    /// Changes that have to wait, and for whom.
    pub(super) held_back: Option<String>,
}

/// Gets an entity ready: its changes tracked, and its last position known. Before the snapshot, because triggers must be committed
/// by then.
pub(super) async fn prepare(
    context: &Context,
    database: &Database,
    job: &Job,
    source: &Source<'_>,
) -> Result<Prepared, Stop> {
    let companies = job.export.as_ref().map(|spec| spec.companies(job.company.as_deref()));
    let companies = companies.unwrap_or_default();
    if source.wanted.refresh == Refresh::Full {
        return Ok(Prepared {
            start: Start::default(),
            mark: None,
            selection: String::new(),
        });
    }
    let now = context.clock.now();
    let start = context.store.export_start(job.id, &source.entity.name, now).await?;
    let mark = if matches!(source.wanted.refresh, Refresh::Tracked { .. }) {
        database.track(source.entity).await?;
        Some(database.raise_mark(job.id, source.entity, start.mark).await?)
    } else {
        None
    };
    let selection = selection(source, &companies);
    Ok(Prepared { start, mark, selection })
}

/// What decides which records are told, and of which fields.
fn selection(source: &Source<'_>, companies: &[String]) -> String {
    let parts = [source.fields.as_slice(), companies].concat();
    let filter = source.wanted.filter.iter().cloned();
    let mut hash = Sha256::new();
    for part in parts.into_iter().chain(filter) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    format!(
        "{:x}",
        u64::from_be_bytes(hash.finalize()[..8].try_into().unwrap_or_default())
    )
}

/// Decides what is read.
pub(super) async fn plan(
    snapshot: &mut Snapshot,
    source: &Source<'_>,
    prepared: &Prepared,
    due_at: Timestamp,
) -> Result<Planned, Stop> {
    let start = &prepared.start;
    let (reading, to, why, held_back) = match &source.wanted.refresh {
        Refresh::Full => {
            return Ok(Planned {
                reading: Reading::All,
                position: None,
                held_back: None,
            });
        }
        Refresh::Tracked { .. } => tracked(snapshot, source, prepared).await?,
        Refresh::Column { field, lag } => {
            let (reading, to) = by_column(snapshot, source, start, field, *lag).await?;
            (reading, to, None, None)
        }
        Refresh::Query { sql } => {
            let (reading, to) = by_query(start, sql, due_at);
            (reading, to, None, None)
        }
    };
    let remarks = [told_again(start), why.map(str::to_owned), held_back.clone()];
    let note = remarks.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let from = match reading {
        Reading::All => None,
        _ => start.from.clone(),
    };
    Ok(Planned {
        reading,
        position: Some(NewPosition {
            entity: source.entity.name.clone(),
            from,
            to,
            recovers: start.lost.clone(),
            after: start.newest,
            note: (!note.is_empty()).then_some(note),
        }),
        held_back,
    })
}

/// That changes are exported once more.
fn told_again(start: &Start) -> Option<String> {
    let first = start.lost.first()?;
    Some(format!(
        "the changes from position {first} on are exported again, because a message that carried them ended without an acknowledgement, or a package before it was fetched"
    ))
}

type Decided = (Reading, Position, Option<&'static str>, Option<String>);

async fn tracked(snapshot: &mut Snapshot, source: &Source<'_>, prepared: &Prepared) -> Result<Decided, Stop> {
    let horizon = snapshot.horizon(source.entity, prepared.start.from.as_ref()).await?;
    let mark = prepared.mark.unwrap_or(Mark { known: 0, new: 0 });
    let held_back = held_back(&horizon);
    let to = Position {
        history: horizon.history,
        at: horizon.at,
        mark: mark.new,
        selection: prepared.selection.clone(),
    };
    let Some(then) = &prepared.start.from else {
        let why = (!prepared.start.is_first).then_some("everything is exported, as was asked for");
        return Ok((Reading::All, to, why, held_back));
    };
    // Whatever position it goes on from, the database must know of the newest one.
    let then = Position {
        mark: prepared.start.mark,
        ..then.clone()
    };
    if let Err(why) = then.continues_to(&to, mark.known, horizon.oldest) {
        return Ok((Reading::All, to, Some(why), held_back));
    }
    let changes = Changes {
        since: then.at,
        until: to.at,
    };
    if snapshot.is_truncated(source.entity, changes).await? {
        let why = "the table was truncated, so everything is exported";
        return Ok((Reading::All, to, Some(why), held_back));
    }
    Ok((Reading::Changes(changes), to, None, held_back))
}

fn held_back(horizon: &Horizon) -> Option<String> {
    let changes = match horizon.withheld {
        0 => return None,
        1 => "1 change is".to_owned(),
        more => format!("{more} changes are"),
    };
    let by = horizon.blocker.as_ref().map_or_else(
        || "a transaction that has ended since".to_owned(),
        |Blocker { process, age_seconds }| match age_seconds {
            Some(seconds) => format!("process {process}, whose transaction is open for {seconds} s"),
            None => format!("process {process}, whose transaction is open (since when is not shown to this role)"),
        },
    );
    Some(format!("{changes} held back by {by}"))
}

/// The position of a run that found no row with a value.
const NO_VALUE: i64 = i64::MIN;

async fn by_column(
    snapshot: &mut Snapshot,
    source: &Source<'_>,
    start: &Start,
    field: &str,
    lag: u32,
) -> Result<(Reading, Position), Stop> {
    let unfit = || {
        Stop::fail(
            "definition_mismatch",
            format!("the field `{field}` cannot be exported by"),
        )
    };
    let kind = &source.entity.field(field).ok_or_else(unfit)?.kind;
    let greatest = snapshot.greatest(source.entity, field).await?;
    let greatest = greatest
        .map(|text| count_of(kind, &text).ok_or_else(unfit))
        .transpose()?;
    let history = format!("column {field}");
    let then = start.from.as_ref().filter(|then| then.history == history);
    let at = greatest
        .into_iter()
        .chain(then.map(|then| then.at))
        .max()
        .unwrap_or(NO_VALUE);
    let to = position(history, at);
    let reading = then.map_or(Reading::All, |then| Reading::Newer {
        field: field.to_owned(),
        than: (then.at != NO_VALUE).then(|| text_of(kind, then.at.saturating_sub(lag_of(kind, lag)))),
    });
    Ok((reading, to))
}

/// A lag in the units that values of this type are counted in.
fn lag_of(kind: &FieldType, lag: u32) -> i64 {
    match kind {
        FieldType::Datetime => i64::from(lag) * MICROS,
        FieldType::Date => i64::from(lag.div_ceil(86_400)),
        _ => i64::from(lag),
    }
}

/// A canonical text as a number: microseconds or days since 1970, or itself.
fn count_of(kind: &FieldType, text: &str) -> Option<i64> {
    match kind {
        FieldType::Datetime => {
            let moment = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
            Some(moment.and_utc().timestamp_micros())
        }
        FieldType::Date => {
            let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            Some(date.signed_duration_since(chrono::NaiveDate::default()).num_days())
        }
        _ => text.parse().ok(),
    }
}

fn text_of(kind: &FieldType, count: i64) -> String {
    let date = || chrono::NaiveDate::default().checked_add_signed(chrono::TimeDelta::try_days(count)?);
    match kind {
        FieldType::Datetime => moment(Timestamp(count)),
        FieldType::Date => date().map_or_else(|| "0001-01-01".to_owned(), |date| date.format("%Y-%m-%d").to_string()),
        _ => count.to_string(),
    }
}

fn by_query(start: &Start, sql: &str, due_at: Timestamp) -> (Reading, Position) {
    const HISTORY: &str = "query";
    let then = start.from.as_ref().filter(|then| then.history == HISTORY);
    let until = due_at.micros().max(then.map_or(i64::MIN, |then| then.at));
    let reading = Reading::Query {
        sql: sql.to_owned(),
        since: then.map_or_else(|| "0001-01-01 00:00:00".to_owned(), |then| moment(Timestamp(then.at))),
        until: moment(Timestamp(until)),
    };
    (reading, position(HISTORY.to_owned(), until))
}

/// A position that needs no database to know of it.
fn position(history: String, at: i64) -> Position {
    Position {
        history,
        at,
        mark: 0,
        selection: String::new(),
    }
}

/// As databases read it, in UTC.
fn moment(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// Forgets positions and changes that no job needs any more. What stays behind costs space, not truth.
pub(super) async fn tidy(
    context: &Context,
    database: &Database,
    jobs: &[JobId],
    job: JobId,
    source: &Source<'_>,
    position: &Position,
) {
    let name = &source.entity.name;
    let forgotten = async {
        let store = &context.store;
        store
            .forget_positions(job, name, context.limits.export.positions_kept)
            .await?;
        if !matches!(source.wanted.refresh, Refresh::Tracked { .. }) {
            return Ok(0);
        }
        let oldest = store.oldest_change_wanted(jobs, name, &position.history).await?;
        Ok::<_, Stop>(
            database
                .forget_changes(source.entity, oldest.unwrap_or(position.at))
                .await?,
        )
    };
    if let Err(error) = forgotten.await {
        tracing::warn!(entity = %name, ?error, "changes that were exported stay in the change table for now");
    }
}

#[cfg(test)]
mod tests {
    use super::{count_of, lag_of, text_of};
    use crate::domain::entity::FieldType;

    #[test]
    fn what_a_field_counts_comes_back_as_it_was() {
        for (kind, text) in [
            (FieldType::Int, "-42"),
            (FieldType::Date, "2024-02-29"),
            (FieldType::Date, "1969-12-31"),
            (FieldType::Datetime, "2026-11-28 23:59:59.000001"),
        ] {
            let count = count_of(&kind, text).expect("a count");
            assert_eq!(text_of(&kind, count), text);
        }
        assert_eq!(count_of(&FieldType::Datetime, "1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(lag_of(&FieldType::Date, 1), 1, "part of a day is a day");
    }
}

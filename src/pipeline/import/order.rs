//! In which order, and which of them at once, the parts of a message are loaded (DMF-5).
//!
//! Execution units run side by side. In a unit one level follows the other, in a level one sequence number; parts with the
//! same number run side by side. What a manifest does not order is not ordered: a reference from one unit into another waits
//! for nothing. Two parts that land in one table never run at once, and no more than `import.parallel_entities` run at all.
//!
//! A part has failed when it could not be loaded as a whole or when any of its records was rejected. `FailLevelOnError` then
//! begins nothing more of its level, `FailExecutionUnitOnError` nothing more of its unit. Both are judged by what is committed, so
//! a rerun comes to the same end; a part that an earlier attempt had begun and this one may not is given up where it stands.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

use super::finish::{self, Phase};
use super::part::Part;
use super::{Session, load};
use crate::domain::message::Failure;
use crate::pipeline::stop::Stop;

/// Where a part stands in the order of its message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) unit: u32,
    pub(super) level: u32,
    pub(super) sequence: u32,
    /// How deep its records stand in those of a composite entity; what stands deeper comes later.
    pub(super) depth: u32,
    /// Position in the manifest: the same for the parts of a composite entity.
    pub(super) listed: usize,
    pub(super) fail_level: bool,
    pub(super) fail_unit: bool,
}

impl Place {
    /// What parts are ordered by; those with the same may run side by side.
    pub(super) fn key(&self) -> (u32, u32, u32, u32) {
        (self.unit, self.level, self.sequence, self.depth)
    }
}

/// A part that came to its end, and how.
pub(super) struct Ran<'p, 'a> {
    pub(super) part: &'p Part<'a>,
    pub(super) phase: Phase,
    /// Why it failed as a whole.
    pub(super) failure: Option<Failure>,
}

/// Brings all parts, which are sorted by [`Place::key`], to their end; in the order given.
///
/// # Errors
/// What keeps the message from its end now: the other parts are dropped where they are, and a rerun goes on with all.
pub(super) async fn load_all<'p, 'a>(session: &Session<'_>, parts: &'p [Part<'a>]) -> Result<Vec<Ran<'p, 'a>>, Stop> {
    let order = Order {
        permits: Semaphore::new(session.context.limits.import.parallel_entities),
        tables: parts
            .iter()
            .map(|part| (table(part), tokio::sync::Mutex::new(())))
            .collect(),
        is_alone: parts.len() == 1,
        is_in_turn: session.asked.fails_fast,
    };
    if order.is_in_turn {
        return order.in_turn(parts).await;
    }
    let units = parts.chunk_by(|a, b| a.place.unit == b.place.unit);
    let ran = try_join_all(units.map(|unit| order.unit(unit))).await?;
    Ok(ran.into_iter().flatten().collect())
}

/// Names a target table for as long as the parts live.
type Table<'p> = (&'p str, &'p str);

fn table<'p>(part: &'p Part<'_>) -> Table<'p> {
    (part.database.name(), &part.entity.table)
}

struct Order<'p> {
    permits: Semaphore,
    /// Who lands in a table holds its lock, and takes it before a permit: whoever has a permit then waits for nobody.
    tables: HashMap<Table<'p>, tokio::sync::Mutex<()>>,
    is_alone: bool,
    /// Whether one part is loaded after the other, and none after one that failed (PKG-11e).
    is_in_turn: bool,
}

/// What of one execution unit may not be begun any more.
#[derive(Default)]
struct Stopped(Mutex<Vec<StoppedBy>>);

struct StoppedBy {
    place: Place,
    label: String,
}

impl<'p> Order<'p> {
    async fn in_turn<'a>(&self, parts: &'p [Part<'a>]) -> Result<Vec<Ran<'p, 'a>>, Stop> {
        let stopped = Stopped::default();
        let mut ran = Vec::with_capacity(parts.len());
        for part in parts {
            ran.push(self.part(part, &stopped).await?);
        }
        Ok(ran)
    }

    async fn unit<'a>(&self, unit: &'p [Part<'a>]) -> Result<Vec<Ran<'p, 'a>>, Stop> {
        let stopped = Stopped::default();
        let mut ran = Vec::with_capacity(unit.len());
        for together in unit.chunk_by(|a, b| a.place.key() == b.place.key()) {
            let parts = together.iter().map(|part| self.part(part, &stopped));
            ran.extend(try_join_all(parts).await?);
        }
        Ok(ran)
    }

    async fn part<'a>(&self, part: &'p Part<'a>, stopped: &Stopped) -> Result<Ran<'p, 'a>, Stop> {
        let _table = match self.tables.get(&table(part)) {
            Some(table) => Some(table.lock().await),
            None => None,
        };
        // Never closed.
        let _permit = self.permits.acquire().await.ok();
        part.session.checkpoint()?;
        if let Some(failure) = stopped.reason(&part.place, self.is_in_turn) {
            let phase = finish::give_up_part(part, &failure).await?;
            let failure = Some(failure);
            return Ok(Ran { part, phase, failure });
        }
        let (phase, failure) = match load(part).await {
            Ok(ended) => ended,
            // Of several the others are not at fault.
            Err(Stop::Fail(failure)) if !self.is_alone => {
                finish::give_up_part(part, &failure).await?;
                (Phase::Failed, Some(failure))
            }
            Err(stop) => return Err(stop),
        };
        let stops = self.is_in_turn || part.place.fail_level || part.place.fail_unit;
        if stops && (failure.is_some() || has_rejects(part).await?) {
            stopped.note(part);
        }
        if !self.is_alone {
            // The message may go on for long.
            finish::tell(part, phase).await?;
        }
        Ok(Ran { part, phase, failure })
    }
}

async fn has_rejects(part: &Part<'_>) -> Result<bool, Stop> {
    let loaded = part.database.load_counts(part.load()).await?;
    Ok(loaded.counts.rejected > 0)
}

impl Stopped {
    fn note(&self, part: &Part<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(StoppedBy {
            place: part.place,
            label: part.entity.label.clone(),
        });
    }

    /// Why the part at this place may not be begun. In turn, whatever failed stops it.
    fn reason(&self, place: &Place, is_in_turn: bool) -> Option<Failure> {
        let stopped = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The parts of one composite entity are one to the manifest.
        let others = || stopped.iter().filter(|by| by.place.listed != place.listed);
        let failure = |code: &str, by: &StoppedBy, flag| Failure {
            code: code.to_owned(),
            detail: format!(
                "not run, because `{}` had errors and {flag}: correct that, then send this file again",
                by.label
            ),
        };
        if let Some(by) = others().next().filter(|_| is_in_turn) {
            return Some(failure(
                "package_stopped",
                by,
                "the import was asked for with failOnError",
            ));
        }
        if let Some(by) = others().find(|by| by.place.fail_unit) {
            return Some(failure(
                "unit_stopped",
                by,
                "the manifest says FailExecutionUnitOnError",
            ));
        }
        let by = others().find(|by| by.place.fail_level && by.place.level == place.level)?;
        Some(failure("level_stopped", by, "the manifest says FailLevelOnError"))
    }
}

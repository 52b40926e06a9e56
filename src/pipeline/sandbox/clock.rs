//! The clock of the sandbox: it runs, and jumps ahead.
//!
//! A jump holds all background work, so that no worker's lease lapses by it; leases of dequeuers, tokens and links do, which is what a
//! jump is for. How far the clock is ahead is kept in the store: after a restart it goes on from there.

use serde::{Deserialize, Serialize};

use super::{Refusal, hold_all};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::pipeline::Context;
use crate::sandbox::Sandbox;
use crate::storage::{Store, StoreError};

/// The fact that says how far the clock is ahead, in microseconds.
const AHEAD: &str = "sandbox_clock_ahead_micros";
/// Farthest the clock may be ahead.
const DAYS_MAX: i64 = 3660;
const DAY_SECONDS: i64 = 86_400;

/// Where the clock is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jump {
    /// So many seconds ahead.
    AdvanceSeconds(u32),
    /// To this instant, which lies ahead.
    Set(Timestamp),
    /// Back to the system's time.
    Real(True),
}

/// The one value that makes sense: `{"real": true}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "bool")]
pub struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(truth: bool) -> Result<Self, Self::Error> {
        truth.then_some(Self).ok_or("`real` is true, or left out")
    }
}

/// How the clock stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stand {
    /// What time it is here.
    pub now: Timestamp,
    /// The system's time.
    pub real: Timestamp,
    /// How far it is ahead.
    pub ahead_seconds: i64,
    /// How far it went back just now, and what that means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub went_back: Option<WentBack>,
}

/// A clock that went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WentBack {
    /// How far.
    pub seconds: i64,
    /// What lies in the future now.
    pub note: &'static str,
}

const WENT_BACK: &str = "what was written meanwhile bears times that are still to come: leases and delays last that much longer, schedules \
     are due again only after the time they were evaluated up to, and tokens issued meanwhile are not good yet. A reset empties all of it";

/// How the clock stands.
#[must_use]
pub fn stand(clock: &Clock) -> Stand {
    Stand {
        now: clock.now(),
        real: clock.real(),
        ahead_seconds: clock.ahead_micros() / 1_000_000,
        went_back: None,
    }
}

/// How far ahead the clock of this store was, in microseconds.
///
/// # Errors
/// [`StoreError`]
pub async fn ahead_of(store: &Store) -> Result<i64, StoreError> {
    let fact = store.fact(AHEAD).await?;
    Ok(fact.and_then(|micros| micros.parse().ok()).unwrap_or(0))
}

/// Moves the clock. Whoever waits for a time is told (see [`Clock::jumps`]).
///
/// # Errors
/// [`Refusal`]; the clock stands where it stood.
pub async fn jump(context: &Context, sandbox: &Sandbox, jump: Jump) -> Result<Stand, Refusal> {
    let _turn = sandbox.turn.lock().await;
    let _held = hold_all(context, sandbox).await?;
    let clock = &context.clock;
    let real = clock.real();
    let now = Timestamp(real.micros() + clock.ahead_micros());
    let to = match jump {
        Jump::AdvanceSeconds(seconds) => now.plus_seconds(i64::from(seconds)),
        Jump::Set(to) if to < now => return Err(Refusal::Backwards { now, to }),
        Jump::Set(to) => to,
        Jump::Real(True) => real,
    };
    if to > real.plus_seconds(DAYS_MAX * DAY_SECONDS) {
        let max_days = DAYS_MAX;
        return Err(Refusal::TooFar { to, real, max_days });
    }
    put_ahead(context, to.micros() - real.micros()).await?;
    tracing::warn!(from = %now, %to, "the sandbox's clock jumped");
    let back = now.seconds_since(to);
    Ok(Stand {
        went_back: (back > 0).then_some(WentBack {
            seconds: back,
            note: WENT_BACK,
        }),
        ..stand(clock)
    })
}

/// Puts the clock this far ahead: first for the next start, then for now.
pub(super) async fn put_ahead(context: &Context, micros: i64) -> Result<(), StoreError> {
    context.store.set_fact(AHEAD, &micros.to_string()).await?;
    context.clock.jump(micros);
    Ok(())
}

//! `tranship sandbox clock`.

use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};

use super::at;
use crate::cli::api::Api;
use crate::cli::connection::Connection;
use crate::cli::screen::{Screen, Tone, plain};
use crate::cli::{Exit, Failure};

/// Show and move the service's clock
#[derive(Debug, Subcommand)]
pub enum Clock {
    /// What time it is there
    Show {
        #[command(flatten)]
        connection: Connection,
    },
    /// Move it ahead: tokens, leases and retention run out, schedules fall due
    Advance {
        /// How far: 90s, 15m, 2h, 3d, or several of them as in 1d12h
        #[arg(value_name = "DURATION", value_parser = duration_seconds)]
        by: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Move it to an instant ahead, such as 2027-01-01T00:00:00Z
    Set {
        /// The instant, RFC 3339
        #[arg(value_name = "INSTANT")]
        to: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Take it back to the system's time
    Real {
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, Deserialize)]
struct Stand {
    now: String,
    ahead_seconds: i64,
    went_back: Option<WentBack>,
}

#[derive(Debug, Deserialize)]
struct WentBack {
    seconds: i64,
    note: String,
}

impl Clock {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Self::Show { connection }
            | Self::Advance { connection, .. }
            | Self::Set { connection, .. }
            | Self::Real { connection } => connection,
        }
    }

    fn asked(&self) -> Option<Value> {
        match self {
            Self::Show { .. } => None,
            Self::Advance { by, .. } => Some(json!({ "advance_seconds": by })),
            Self::Set { to, .. } => Some(json!({ "set": to })),
            Self::Real { .. } => Some(json!({ "real": true })),
        }
    }

    pub(super) async fn run(self, screen: &Screen, api: &Api) -> Result<Exit, Failure> {
        let path = at(&["clock"]);
        let answer = match self.asked() {
            None => api.get::<Stand>(&path, &[]).await?,
            // Longer than the service waits for what runs.
            Some(asked) => api.post_within::<Stand>(120, &path, Some(&asked)).await?,
        };
        if screen.is_json() {
            screen.json(&answer.raw);
            return Ok(Exit::Ok);
        }
        let Stand {
            now,
            ahead_seconds,
            went_back,
        } = answer.body;
        let ahead = match ahead_seconds {
            0 => "the system's time".to_owned(),
            seconds => format!("{} ahead of the system's time", spelled(seconds)),
        };
        screen.line(format!("{}  {ahead}", plain(&now)));
        if let Some(WentBack { seconds, note }) = went_back {
            let said = format!("It went back by {}: {}.", spelled(seconds), plain(&note));
            screen.note(screen.paint(Tone::Warning, &said));
        }
        Ok(Exit::Ok)
    }
}

/// `90s`, `15m`, `2h`, `3d`, `1d12h`.
fn duration_seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is no duration; write 90s, 15m, 2h, 3d, or several of them as in 1d12h");
    let mut total: u32 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u32 = rest[..unit_at].parse().map_err(|_| wrong())?;
        let mut letters = rest[unit_at..].chars();
        let seconds = match letters.next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3600,
            Some('d') => 86_400,
            _ => return Err(wrong()),
        };
        total = number
            .checked_mul(seconds)
            .and_then(|seconds| total.checked_add(seconds))
            .ok_or_else(wrong)?;
        rest = letters.as_str();
    }
    Ok(total)
}

/// Seconds as people say them: `1d 12h`.
fn spelled(seconds: i64) -> String {
    let mut left = seconds.unsigned_abs();
    let mut parts = Vec::new();
    for (unit, size) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if left >= size {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_spelled() {
        assert_eq!(duration_seconds("90s"), Ok(90));
        assert_eq!(duration_seconds("1d12h"), Ok(129_600));
        for bad in ["", "12", "h", "1w", "-1h", "1h-", "99999999999s", "60000d"] {
            assert!(duration_seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(spelled(129_605), "1d 12h 5s");
    }
}

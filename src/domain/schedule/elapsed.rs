//! Lengths of time as people write them (`90s`, `90m`, `1h30m`, `2d`), and due times at such a distance.

use crate::domain::time::Timestamp;

/// Longest length: a year and a day.
const SECONDS_MAX: u64 = 366 * 86_400;

/// A length of time of at least a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elapsed {
    text: String,
    seconds: u32,
}

/// The text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time from 1s to 366d; write it as 90s, 15m, 1h30m or 2d")]
pub struct InvalidElapsed(String);

impl Elapsed {
    /// Reads numbers with the units `d` (24 hours), `h`, `m`, `s`, each once, largest first.
    ///
    /// # Errors
    /// [`InvalidElapsed`] for anything else, nothing at all, or more than 366 days.
    pub fn parse(text: &str) -> Result<Self, InvalidElapsed> {
        let invalid = || InvalidElapsed(text.chars().take(80).collect());
        let text = text.trim();
        let (mut rest, mut total) = (text, 0_u64);
        for (unit, seconds) in [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)] {
            let Some((number, after)) = rest.split_once(unit) else {
                continue;
            };
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(invalid());
            }
            let number: u64 = number.parse().map_err(|_| invalid())?;
            total = total.saturating_add(number.saturating_mul(seconds));
            rest = after;
        }
        let seconds = u32::try_from(total).ok();
        let seconds = seconds.filter(|_| rest.is_empty() && (1..=SECONDS_MAX).contains(&total));
        Ok(Self {
            text: text.to_owned(),
            seconds: seconds.ok_or_else(invalid)?,
        })
    }

    /// The text it was read from, without outer spaces.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How long, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.seconds
    }

    /// How long, in microseconds.
    pub(super) fn micros(&self) -> i64 {
        i64::from(self.seconds) * 1_000_000
    }

    /// The times `anchor`, `anchor` + this, `anchor` + twice this, … that lie in `(from, to]`: at most `limit`. Clock changes
    /// do not count: a length of time is elapsed time (promise 6).
    pub(super) fn due_between(
        &self,
        anchor: Timestamp,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Vec<Timestamp> {
        let step = self.micros();
        let first = if from < anchor {
            Some(anchor)
        } else {
            let steps = from.0.saturating_sub(anchor.0) / step + 1;
            let first = steps
                .checked_mul(step)
                .and_then(|distance| distance.checked_add(anchor.0));
            first.map(Timestamp)
        };
        std::iter::successors(first, |due| due.0.checked_add(step).map(Timestamp))
            .take_while(|due| *due <= to)
            .take(limit)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u32> {
        Elapsed::parse(text).ok().map(|elapsed| elapsed.seconds())
    }

    #[test]
    fn lengths_of_time_are_read_and_nothing_else_is() {
        for (text, wanted) in [
            ("1s", 1),
            ("90s", 90),
            ("90m", 5400),
            (" 1h30m ", 5400),
            ("2d", 172_800),
            ("1d2h3m4s", 93_784),
            ("366d", 31_622_400),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
        for text in [
            "",
            "90",
            "s",
            "0s",
            "-1s",
            "1.5h",
            "30m1h",
            "1h1h",
            "1 h",
            "1w",
            "1H",
            "1s!",
            "367d",
            "99999999999999999999d",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        let error = Elapsed::parse("soon").expect_err("no length").to_string();
        assert!(error.starts_with("`soon` is not a length of time"), "{error}");
    }

    #[test]
    fn due_times_stand_at_equal_distances_from_their_anchor() {
        let every = Elapsed::parse("90s").expect("a length");
        let at = |seconds: i64| Timestamp(seconds * 1_000_000);
        let due = |from, to| every.due_between(at(1000), at(from), at(to), 10);
        assert_eq!(due(0, 1200), [at(1000), at(1090), at(1180)]);
        assert_eq!(due(999, 1000), [at(1000)]);
        assert_eq!(due(1000, 1090), [at(1090)], "open at its start, closed at its end");
        assert_eq!(due(1089, 1089), []);
        assert_eq!(
            every.due_between(at(0), at(0), Timestamp(i64::MAX), 2),
            [at(90), at(180)]
        );
        assert_eq!(
            every.due_between(at(0), Timestamp(i64::MAX), Timestamp(i64::MAX), 2),
            []
        );
    }
}

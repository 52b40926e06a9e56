//! Sizes and ages as people say them.

use std::time::Duration;

use indicatif::HumanBytes;

/// `1.50 GiB`.
pub(super) fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// `40 s`, `12 min`, `3 h`, `2 d`: in the largest unit that is there at least twice.
pub(super) fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// `12 µs`, `3.4 ms`, `1.2 s`.
pub(super) fn span(span: Duration) -> String {
    let micros = span.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_spans_are_said_in_units_a_person_would_choose() {
        let ages = [0, 119, 120, 7_199, 7_200, 172_800].map(age);
        assert_eq!(ages, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d"]);
        let spans = [12, 3_400, 1_200_000].map(|micros| span(Duration::from_micros(micros)));
        assert_eq!(spans, ["12 µs", "3.4 ms", "1.2 s"]);
    }
}

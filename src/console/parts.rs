//! Small parts of pages: times, statuses, sizes, tables.

use chrono_tz::Tz;
use maud::{Markup, html};

use crate::domain::status::Status;
use crate::domain::time::Timestamp;

/// A time as people say it; the exact one in `datetime` and as a hint.
pub(super) fn time(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(exact(at)) { (relative(at, now)) } }
}

/// The same of a time there may not be.
pub(super) fn maybe_time(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(none, |at| time(at, now))
}

/// A time of a schedule, as the clocks of its zone show it.
pub(super) fn time_in(at: Timestamp, zone: Tz, now: Timestamp) -> Markup {
    let local = at.to_utc().with_timezone(&zone);
    let hint = format!("{}, {}", relative(at, now), exact(at));
    html! { time datetime=(at) title=(hint) { (local.format("%a %Y-%m-%d %H:%M:%S %Z")) } }
}

pub(super) fn exact(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S%.f UTC").to_string()
}

/// How long ago, or how soon.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.seconds_since(at);
    let span = match seconds.unsigned_abs() {
        0..=4 => return "just now".to_owned(),
        seconds @ 5..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3600),
        seconds @ 172_800..=2_591_999 => format!("{} d", seconds / 86_400),
        _ => return at.to_utc().format("%Y-%m-%d").to_string(),
    };
    if seconds < 0 {
        format!("in {span}")
    } else {
        format!("{span} ago")
    }
}

/// How long something took or takes.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let micros = to.micros().saturating_sub(from.micros()).max(0);
    match micros {
        0..=999 => "< 1 ms".to_owned(),
        1_000..=999_999 => format!("{} ms", micros / 1000),
        1_000_000..=119_999_999 => format!("{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        120_000_000..=7_199_999_999 => format!("{} min", micros / 60_000_000),
        _ => format!("{} h", micros / 3_600_000_000),
    }
}

/// What stands where there is nothing.
pub(super) fn none() -> Markup {
    html! { span.none { "–" } }
}

/// A text there may not be.
pub(super) fn maybe(text: Option<&str>) -> Markup {
    text.map_or_else(none, |text| html! { (text) })
}

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// One thing or several.
pub(super) fn counted(count: u64, what: &str) -> String {
    let many = if count == 1 { "" } else { "s" };
    format!("{} {what}{many}", number(count))
}

/// A size; to the byte as a hint.
pub(super) fn bytes(bytes: u64) -> Markup {
    let hint = counted(bytes, "byte");
    let mut unit = 0;
    let mut tenths = u128::from(bytes) * 10;
    while tenths >= 10_240 && unit < 4 {
        tenths /= 1024;
        unit += 1;
    }
    let name = ["B", "KiB", "MiB", "GiB", "TiB"][unit];
    let shown = if unit == 0 || tenths >= 1000 {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    };
    html! { span title=(hint) { (shown) } }
}

/// How something stands: in words, a sign and a colour.
pub(super) fn badge(tone: Tone, text: &str) -> Markup {
    let sign = match tone {
        Tone::Good => "✓",
        Tone::Odd => "!",
        Tone::Bad => "✕",
        Tone::Busy => "▸",
        Tone::Quiet => "·",
    };
    html! { span class={ "badge " (tone.class()) } { span aria-hidden="true" { (sign) } " " (text) } }
}

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Odd,
    Bad,
    Busy,
    Quiet,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "bad",
            Self::Busy => "busy",
            Self::Quiet => "quiet",
        }
    }
}

/// A message's status.
pub(super) fn status(status: Status) -> Markup {
    badge(tone(status), status.as_str())
}

/// How good a status is.
pub(super) fn tone(status: Status) -> Tone {
    match status {
        Status::Acked | Status::Processed => Tone::Good,
        Status::ProcessedWithErrors | Status::Expired => Tone::Odd,
        Status::PreProcessingError | Status::PostProcessingFailed | Status::DeadLettered => Tone::Bad,
        Status::PreProcessing | Status::Processing | Status::Dequeued | Status::Downloaded => Tone::Busy,
        Status::Enqueued | Status::Staged | Status::Cancelled => Tone::Quiet,
    }
}

/// An occurrence's state, or a delivery's, or a phase's.
pub(super) fn state(word: &str) -> Markup {
    badge(tone_of(word), word)
}

/// How such a state is to be taken.
pub(super) fn tone_of(state: &str) -> Tone {
    match state {
        "done" | "delivered" | "Finished" => Tone::Good,
        "failed" | "Error" => Tone::Bad,
        "skipped" | "cancelled" | "Canceled" => Tone::Odd,
        "running" | "Executing" => Tone::Busy,
        _ => Tone::Quiet,
    }
}

/// A table that scrolls inside itself where it is wider than the page. A `#` before a column's name: it holds numbers; a `-`: what it holds
/// says so itself, and only who hears the page needs the name.
pub(super) fn table(caption: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption.away { (caption) }
                thead { tr { @for column in columns { (head(column)) } } }
                tbody { (rows) }
            }
        }
    }
}

fn head(column: &str) -> Markup {
    html! {
        @if let Some(numbers) = column.strip_prefix('#') { th.number scope="col" { (numbers) } }
        @else if let Some(plain) = column.strip_prefix('-') { th scope="col" { span.away { (plain) } } }
        @else { th scope="col" { (column) } }
    }
}

/// A filter that on a narrow screen is folded away until it is asked for, or something is asked for by it.
pub(super) fn folded(is_asked: bool, form: &Markup) -> Markup {
    html! { details.fold open[is_asked] { summary { "Filter" } (form) } }
}

/// Facts, a name and a value each; those without a value are left out.
pub(super) fn facts(facts: impl IntoIterator<Item = (&'static str, Option<Markup>)>) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// What a place says that has nothing to show, and what to do about it.
pub(super) fn empty(what: &str, cure: &Markup) -> Markup {
    html! { div.empty { p { strong { (what) } } p { (cure) } } }
}

/// A notice above everything else.
pub(super) fn notice(tone: Tone, text: &Markup) -> Markup {
    html! { div class={ "notice " (tone.class()) } role=[(tone == Tone::Bad).then_some("alert")] { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sizes_and_numbers_are_said_as_people_say_them() {
        let now = Timestamp(1_767_600_000_000_000);
        let said: Vec<String> = [-90_000, -3, 5, 119, 120, 7_200, 400_000, 100_000_000]
            .map(|ago| relative(now.plus_seconds(-ago), now))
            .into();
        let expected = [
            "in 25 h",
            "just now",
            "5 s ago",
            "119 s ago",
            "2 min ago",
            "2 h ago",
            "4 d ago",
            "2022-11-04",
        ];
        assert_eq!(said, expected);
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!((number(999), number(1000)), ("999".to_owned(), "1,000".to_owned()));
        let sizes = [0, 1023, 1024, 1_310_720, u64::MAX].map(|size| bytes(size).into_string());
        let shown = ["0 B", "1023 B", "1.0 KiB", "1.2 MiB", "16777215 TiB"];
        for (size, shown) in sizes.iter().zip(shown) {
            assert!(size.contains(&format!(">{shown}<")), "{size}");
        }
        assert_eq!(span(now, Timestamp(now.micros() + 1_500_000)), "1.5 s");
    }
}

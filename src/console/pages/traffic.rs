//! How much comes in and ends: the rates now, and a chart of the last hour, day or week.
//!
//! What came in stands above the line, what ended below it, so that nobody needs colours to tell them apart; among what ended
//! patterns tell how. The page's policy lets no element bring a style of its own: bars get their places as attributes of SVG, in
//! per cent across and in units down, so that the drawing fits any width and its texts stay as they are.

use maud::{Markup, html};

use crate::console::parts::{counted, empty, number, table};
use crate::domain::time::Timestamp;
use crate::domain::traffic::{Range, Traffic};
use crate::http::rates::Rates;

/// Height of the tallest bar, each way.
const BAR: u64 = 80;
/// What there is at all must be seen.
const BAR_MIN: u64 = 2;
/// Room above the bars.
const ABOVE: u64 = 6;
/// Room below them: for what must be seen though the bar is full, and for the times.
const BELOW: u64 = 28;
/// Where the line is that bars stand on and hang from.
const LINE: u64 = ABOVE + BAR;
const HEIGHT: u64 = LINE + BAR + BELOW;

/// Heading, rates, and the chart with its ranges; `page` is the address of the page it is on.
pub(super) fn section(page: &str, rates: &Rates) -> Markup {
    let total = rates.total();
    html! {
        section aria-labelledby="traffic" {
            h2 #traffic { "Traffic" }
            (now(rates))
            nav.tabs aria-label="How far back" {
                @for range in Range::ALL {
                    a href={ (page) "?range=" (range.as_str()) "#traffic" } aria-current=[(range == rates.range).then_some("true")] {
                        "Last " (range.as_str())
                    }
                }
            }
            @if total == Traffic::default() {
                @let what = format!("Nothing came in and nothing ended in the last {}.", rates.range.as_str());
                (empty(&what, &html! { "What is pushed, exported, loaded or collected is counted here within seconds." }))
            } @else {
                (chart(rates, &total))
                (listed(rates))
            }
        }
    }
}

/// The rates of the last minutes.
fn now(rates: &Rates) -> Markup {
    let lately = &rates.lately;
    let rate = |messages| format!("{:.1}", lately.per_minute(messages));
    let failed = lately.traffic.failed;
    html! {
        div.figures {
            div { span.figure { (rate(lately.traffic.enqueued)) } " a minute in" }
            div { span.figure { (rate(lately.traffic.ended())) } " a minute out" }
            div.bad[failed > 0] { span.figure { (rate(failed)) } " a minute failed" }
            div { "over the last five minutes" }
        }
    }
}

fn chart(rates: &Rates, total: &Traffic) -> Markup {
    let tallest = rates
        .buckets
        .iter()
        .map(|(_, traffic)| traffic.enqueued.max(traffic.ended()));
    let top = rounded_up(tallest.max().unwrap_or(1));
    let scale = Scale {
        top,
        buckets: rates.buckets.len() as u64,
    };
    html! {
        figure.chart {
            div.plot {
                div.scale aria-hidden="true" { span { (number(top)) " in" } span { "0" } span { (number(top)) " out" } }
                svg width="100%" height=(HEIGHT) role="img" aria-label=(said(rates, total)) {
                    (patterns())
                    @for y in [ABOVE, LINE + BAR] { line.grid x1="0" x2="100%" y1=(y) y2=(y) {} }
                    @for (at, (start, traffic)) in (0..).zip(&rates.buckets) {
                        (bucket(&scale, at, &hint(rates.range, *start, traffic), traffic))
                        @if let Some(label) = tick(rates.range, *start).filter(|_| scale.has_room(at)) {
                            @let x = scale.x(at);
                            line.grid x1=(x) x2=(x) y1=(ABOVE) y2=(LINE + BAR + 4) {}
                            text x=(x) y=(HEIGHT - 4) text-anchor="middle" { (label) }
                        }
                    }
                    line.axis x1="0" x2="100%" y1=(LINE) y2=(LINE) {}
                }
            }
            figcaption {
                @for (class, name, messages) in legend(total) {
                    span.key { (swatch(class)) (name) " " b { (number(messages)) } }
                }
                span { "Times are UTC." }
            }
        }
    }
}

/// What the parts of bars are called, and how many there are of each.
fn legend(total: &Traffic) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    let ends = ends(total)
        .into_iter()
        .filter(|(class, _, messages)| *class == "well" || *messages > 0);
    std::iter::once(("in", "came in", total.enqueued)).chain(ends)
}

/// How messages ended, from the line downwards.
fn ends(traffic: &Traffic) -> [(&'static str, &'static str, u64); 4] {
    [
        ("well", "ended well", traffic.succeeded),
        ("rejects", "ended with rejected records", traffic.with_errors),
        ("stopped", "cancelled or expired", traffic.stopped),
        ("failed", "failed", traffic.failed),
    ]
}

fn swatch(class: &str) -> Markup {
    html! {
        svg width="14" height="14" aria-hidden="true" focusable="false" {
            rect class=(class) fill=[pattern(class)] x="1" y="1" width="12" height="12" {}
        }
    }
}

/// The pattern a part of a bar is filled with; others have a colour.
fn pattern(class: &str) -> Option<&'static str> {
    match class {
        "rejects" => Some("url(#dotted)"),
        "failed" => Some("url(#hatched)"),
        _ => None,
    }
}

/// Rejects are dotted, failures hatched.
fn patterns() -> Markup {
    html! {
        defs {
            pattern #dotted width="5" height="5" patternUnits="userSpaceOnUse" {
                rect.odd-back width="5" height="5" {} circle.odd-ink cx="2.5" cy="2.5" r="1.4" {}
            }
            pattern #hatched width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect.bad-back width="5" height="5" {} rect.bad-ink width="2.5" height="5" {}
            }
        }
    }
}

/// Where things are in the drawing.
struct Scale {
    /// Messages of the tallest bar there could be.
    top: u64,
    buckets: u64,
}

impl Scale {
    /// Where a bucket begins.
    fn x(&self, at: u64) -> String {
        self.across(at * 10)
    }

    /// So many tenths of buckets from the left.
    fn across(&self, tenths: u64) -> String {
        let thousandths = tenths * 10_000 / self.buckets;
        format!("{}.{:03}%", thousandths / 1000, thousandths % 1000)
    }

    /// Whether a time can stand where this bucket begins, without running over an edge.
    fn has_room(&self, at: u64) -> bool {
        at * 100 >= self.buckets * 6 && at * 100 <= self.buckets * 94
    }

    fn height(&self, messages: u64) -> u64 {
        let height = u128::from(messages) * u128::from(BAR) / u128::from(self.top);
        let height = u64::try_from(height).unwrap_or(BAR);
        if messages > 0 { height.max(BAR_MIN) } else { 0 }
    }
}

/// A bucket: its bars, and over all of its height what a pointer is told.
fn bucket(scale: &Scale, at: u64, hint: &str, traffic: &Traffic) -> Markup {
    let (x, width) = (scale.across(at * 10 + 1), scale.across(8));
    let up = scale.height(traffic.enqueued);
    let mut y = LINE;
    let down = ends(traffic).map(|(class, _, messages)| {
        let (top, height) = (y, scale.height(messages));
        y += height;
        (class, top, height)
    });
    html! {
        g {
            title { (hint) }
            rect.hit x=(scale.x(at)) y=(ABOVE) width=(scale.across(10)) height=(2 * BAR) {}
            @if up > 0 { rect.in x=(x) y=(LINE - up) width=(width) height=(up) {} }
            @for (class, top, height) in down.into_iter().filter(|(_, _, height)| *height > 0) {
                rect class=(class) fill=[pattern(class)] x=(x) y=(top) width=(width) height=(height) {}
            }
        }
    }
}

/// The next number that is easy to read: one digit with noughts.
fn rounded_up(messages: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for factor in [1, 2, 3, 4, 5, 6, 8] {
            let round = unit.saturating_mul(factor);
            if round >= messages {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// A time that stands below the chart, where this bucket begins: every quarter, every six hours, every day.
fn tick(range: Range, start: Timestamp) -> Option<String> {
    let (every, form) = match range {
        Range::Hour => (15 * 60, "%H:%M"),
        Range::Day => (6 * 3600, "%a %H:%M"),
        Range::Week => (86_400, "%a %-d"),
    };
    (start.micros() % (every * 1_000_000) == 0).then(|| start.to_utc().format(form).to_string())
}

/// When a bucket was, in words that fit the range.
fn when(range: Range, start: Timestamp) -> String {
    let end = start.plus_seconds(range.bucket_seconds()).to_utc();
    let start = start.to_utc();
    match range {
        Range::Hour => start.format("%H:%M").to_string(),
        Range::Day | Range::Week => format!("{} to {}", start.format("%a %Y-%m-%d %H:%M"), end.format("%H:%M")),
    }
}

fn hint(range: Range, start: Timestamp, traffic: &Traffic) -> String {
    let ends = ends(traffic).into_iter().filter(|(_, _, messages)| *messages > 0);
    let ends = ends.map(|(_, name, messages)| format!(", {} {name}", number(messages)));
    format!(
        "{} UTC: {} came in{}",
        when(range, start),
        number(traffic.enqueued),
        ends.collect::<String>()
    )
}

/// The chart in words, for who does not see it.
fn said(rates: &Rates, total: &Traffic) -> String {
    let range = rates.range;
    let most = rates.buckets.iter().rev().max_by_key(|(_, traffic)| traffic.enqueued);
    let most = most
        .filter(|(_, traffic)| traffic.enqueued > 0)
        .map_or_else(String::new, |(start, traffic)| {
            format!(
                " Most came in at {} UTC: {}.",
                when(range, *start),
                number(traffic.enqueued)
            )
        });
    format!(
        "Chart of the last {}: {} came in, {} ended, {} of them failed.{most} The table below has every number.",
        range.as_str(),
        counted(total.enqueued, "message"),
        number(total.ended()),
        number(total.failed)
    )
}

/// The same as a table, newest first; stretches without anything are left out.
fn listed(rates: &Rates) -> Markup {
    let busy = rates
        .buckets
        .iter()
        .rev()
        .filter(|(_, traffic)| *traffic != Traffic::default());
    let rows = html! {
        @for (start, traffic) in busy {
            tr {
                td { time datetime=(start) { (when(rates.range, *start)) } }
                td.number { (number(traffic.enqueued)) }
                @for (_, _, messages) in ends(traffic) { td.number { (number(messages)) } }
            }
        }
    };
    let heads = [
        "UTC",
        "#In",
        "#Ended well",
        "#With rejects",
        "#Cancelled, expired",
        "#Failed",
    ];
    html! {
        details {
            summary { "The numbers" }
            (table("What came in and ended, newest first", &heads, &rows))
            p.faint { "Stretches in which nothing happened are left out." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::rates::Lately;

    #[test]
    fn bars_stay_in_the_drawing_and_nothing_that_happened_is_invisible() {
        assert_eq!(
            [1, 2, 3, 5, 6, 11, 101, 999].map(rounded_up),
            [1, 2, 3, 5, 6, 20, 200, 1000]
        );
        assert!(rounded_up(u64::MAX) >= u64::MAX / 10);
        let scale = Scale { top: 1000, buckets: 60 };
        assert_eq!(
            (scale.height(0), scale.height(1), scale.height(1000)),
            (0, BAR_MIN, BAR)
        );
        assert_eq!(
            (scale.x(0), scale.x(30), scale.x(59)),
            ("0.000%".into(), "50.000%".into(), "98.333%".into())
        );
        let crowded = Traffic {
            enqueued: 1000,
            succeeded: 997,
            with_errors: 1,
            failed: 1,
            stopped: 1,
        };
        let drawn = bucket(&scale, 59, "", &crowded).into_string();
        for class in ["in", "well", "rejects", "stopped", "failed"] {
            assert!(drawn.contains(&format!("class=\"{class}\"")), "{class}: {drawn}");
        }
    }

    #[test]
    fn times_below_the_chart_are_those_of_the_buckets() {
        // 2026-01-05 08:00:00 UTC, a Monday.
        let now = Timestamp(1_767_600_000_000_000);
        let ticks = |range: Range| {
            range
                .starts(now)
                .filter_map(|start| tick(range, start))
                .collect::<Vec<_>>()
        };
        assert_eq!(ticks(Range::Hour), ["07:15", "07:30", "07:45", "08:00"]);
        assert_eq!(ticks(Range::Day), ["Sun 12:00", "Sun 18:00", "Mon 00:00", "Mon 06:00"]);
        assert_eq!(
            ticks(Range::Week),
            ["Tue 30", "Wed 31", "Thu 1", "Fri 2", "Sat 3", "Sun 4", "Mon 5"]
        );
        let rates = Rates {
            range: Range::Hour,
            buckets: vec![(
                now,
                Traffic {
                    enqueued: 3,
                    failed: 1,
                    ..Traffic::default()
                },
            )],
            lately: Lately {
                traffic: Traffic::default(),
                micros: 300_000_000,
            },
        };
        assert_eq!(
            said(&rates, &rates.total()),
            "Chart of the last hour: 3 messages came in, 1 ended, 1 of them failed. Most came in at 08:00 UTC: 3. \
             The table below has every number."
        );
    }
}

//! Exemplars: of each bucket of a duration's histogram, the trace that was last counted in it.
//!
//! The recorder of metrics keeps none, and the format that Prometheus asks for without saying so has no place for them. So they are
//! kept here, one per bucket, and put into the text when somebody asks for OpenMetrics.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::BUCKETS;
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;

/// A duration that was counted, and whose it was.
#[derive(Debug, Clone, Copy)]
struct Exemplar {
    trace: TraceContext,
    seconds: f64,
    at: Timestamp,
}

/// The buckets of one series; the last one is what is longer than all bounds.
type Buckets = [Option<Exemplar>; BUCKETS.len() + 1];

/// By series, as it stands in the text up to its buckets' bound. Series are as few as those of the histograms.
static KEPT: Mutex<BTreeMap<String, Buckets>> = Mutex::new(BTreeMap::new());

/// Counts a duration in the histogram `name`, and keeps the trace it belongs to, and when it was over, as the example of its bucket. A
/// trace that its sender does not sample is recorded nowhere, so it is no example.
///
/// Values of labels must need no escaping in the text.
pub fn record(
    name: &'static str,
    labels: &[(&'static str, &str)],
    seconds: f64,
    example: Option<(TraceContext, Timestamp)>,
) {
    let owned: Vec<metrics::Label> = labels
        .iter()
        .map(|(label, value)| metrics::Label::new(*label, (*value).to_owned()))
        .collect();
    metrics::histogram!(name, owned).record(seconds);
    let Some((trace, at)) = example.filter(|(trace, _)| trace.is_sampled) else {
        return;
    };
    let bucket = BUCKETS
        .iter()
        .position(|bound| seconds <= *bound)
        .unwrap_or(BUCKETS.len());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.entry(series(name, labels)).or_insert([None; BUCKETS.len() + 1])[bucket] =
        Some(Exemplar { trace, seconds, at });
}

fn series(name: &str, labels: &[(&'static str, &str)]) -> String {
    let mut text = format!("{name}_bucket{{");
    for (label, value) in labels {
        // Writing to a text cannot fail.
        let _ = write!(text, "{label}=\"{value}\",");
    }
    text
}

/// The text exposition 0.0.4, as OpenMetrics 1.0: a counter's family without its `_total`, bounds as numbers with a point, exemplars,
/// and an end.
#[must_use]
pub fn open_metrics(text: &str) -> String {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.lines().filter(|line| !line.is_empty()) {
        // Writing to a text cannot fail.
        let _ = match (about(line), line.split_once("le=\"")) {
            (Some((keyword, family, rest)), _) => writeln!(out, "# {keyword} {family} {rest}"),
            (None, Some((before, after))) => bucket(&mut out, before, after, &kept),
            (None, None) => writeln!(out, "{line}"),
        };
    }
    out.push_str("# EOF\n");
    out
}

/// A line about a family: which, and what it says.
fn about(line: &str) -> Option<(&str, &str, &str)> {
    let (keyword, line) = line.strip_prefix("# ")?.split_once(' ')?;
    let (name, rest) = line.split_once(' ')?;
    Some((keyword, name.strip_suffix("_total").unwrap_or(name), rest))
}

/// The line of a bucket, which is `before`, `le="`, `after`.
fn bucket(out: &mut String, before: &str, after: &str, kept: &BTreeMap<String, Buckets>) -> std::fmt::Result {
    let Some((bound, count)) = after.split_once('"') else {
        return writeln!(out, "{before}le=\"{after}");
    };
    let point = if bound.contains(['.', 'I']) { "" } else { ".0" };
    write!(out, "{before}le=\"{bound}{point}\"{count}")?;
    // Infinity is no bound of ours, and stands last.
    let index = BUCKETS
        .iter()
        .position(|known| bound.parse() == Ok(*known))
        .unwrap_or(BUCKETS.len());
    if let Some(example) = kept.get(before).and_then(|buckets| buckets[index]) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds with their fractions, as the format has them"
        )]
        let at = example.at.micros() as f64 / 1e6;
        let (trace, seconds) = (example.trace.trace_id(), example.seconds);
        write!(out, " # {{trace_id=\"{trace}\"}} {seconds:?} {at:.3}")?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP x_total Things\n# TYPE x_total counter\nx_total{job=\"a\"} 3\n\n# HELP t_seconds How long\n\
        # TYPE t_seconds histogram\nt_seconds_bucket{kind=\"k\",le=\"0.25\"} 1\nt_seconds_bucket{kind=\"k\",le=\"1\"} 2\n\
        t_seconds_bucket{kind=\"k\",le=\"+Inf\"} 3\nt_seconds_sum{kind=\"k\"} 9\nt_seconds_count{kind=\"k\"} 3\n\n";

    #[test]
    fn a_text_with_examples_in_their_buckets() {
        let trace = |last: u8| {
            let parsed = TraceContext::parse(&format!(
                "00-4bf92f3577b34da6a3ce929d0e0e47{last:02}-00f067aa0ba902b7-01"
            ));
            parsed.expect("a trace")
        };
        let at = Timestamp(1_767_225_600_250_000);
        let unsampled = TraceContext {
            is_sampled: false,
            ..trace(99)
        };
        for (seconds, trace) in [(0.5, trace(1)), (0.7, trace(2)), (0.1, unsampled), (9000.0, trace(3))] {
            record("t_seconds", &[("kind", "k")], seconds, Some((trace, at)));
        }
        record("t_seconds", &[("kind", "other")], 0.1, Some((trace(4), at)));
        let text = open_metrics(TEXT);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..4],
            [
                "# HELP x Things",
                "# TYPE x counter",
                "x_total{job=\"a\"} 3",
                "# HELP t_seconds How long"
            ]
        );
        assert_eq!(lines[5], "t_seconds_bucket{kind=\"k\",le=\"0.25\"} 1");
        let one = "t_seconds_bucket{kind=\"k\",le=\"1.0\"} 2 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4702\"} 0.7 1767225600.250";
        assert_eq!(lines[6], one);
        let longer = "t_seconds_bucket{kind=\"k\",le=\"+Inf\"} 3 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4703\"} 9000.0 1767225600.250";
        assert_eq!(lines[7], longer);
        assert_eq!(
            lines[8..],
            ["t_seconds_sum{kind=\"k\"} 9", "t_seconds_count{kind=\"k\"} 3", "# EOF"]
        );
    }
}

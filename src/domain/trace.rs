//! Traces (W3C trace context): every message has one, which its steps belong to, whichever process takes them.
//!
//! A message's trace is the one its sender named by `traceparent`; of an export, that of the run that made it; else its own, whose id
//! is the message's without hyphens. The ids of spans that others point at are computed from what they are about, so that a process
//! that starts where another one died goes on with the same trace, and nothing need be kept for it.

use sha2::{Digest as _, Sha256};

use super::ids::{JobId, MessageId, RequestId};
use super::time::Timestamp;

/// A place in a trace: what a child says whose child it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub span: [u8; 8],
    /// Whether somebody records the trace.
    pub is_sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` for what is none. Of versions to come, the members known today are read.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version == "00" && parts.next().is_some() {
            return None;
        }
        let [version] = bytes(version)?;
        let [flags] = bytes(flags)?;
        let (trace, span) = (bytes(trace)?, bytes(span)?);
        let is_good = version != 0xff && trace != [0; 16] && span != [0; 8];
        is_good.then_some(Self {
            trace,
            span,
            is_sampled: flags & 1 == 1,
        })
    }

    /// The span of a message, which all its steps are children of.
    #[must_use]
    pub fn of_message(id: MessageId, parent: Option<Self>) -> Self {
        let own = id.0.as_bytes();
        let mut span = [0; 8];
        span.copy_from_slice(&own[8..]);
        Self {
            trace: parent.map_or(*own, |parent| parent.trace),
            span,
            is_sampled: parent.is_none_or(|parent| parent.is_sampled),
        }
    }

    /// The span of an export's run.
    #[must_use]
    pub fn of_run(job: JobId, due_at: Timestamp) -> Self {
        let hash = Sha256::new()
            .chain_update(job.0.as_bytes())
            .chain_update(due_at.micros().to_be_bytes())
            .finalize();
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&hash[..16]);
        span.copy_from_slice(&hash[16..24]);
        Self {
            trace,
            span,
            is_sampled: true,
        }
    }

    /// A child whose id is computed from what it is.
    #[must_use]
    pub fn child(self, what: &str, number: i64) -> Self {
        let hash = Sha256::new()
            .chain_update(self.span)
            .chain_update(what)
            .chain_update(number.to_be_bytes())
            .finalize();
        let mut span = [0; 8];
        span.copy_from_slice(&hash[..8]);
        Self { span, ..self }
    }

    /// A child nobody points at.
    #[must_use]
    pub fn any_child(self) -> Self {
        let mut span = [0; 8];
        span.copy_from_slice(&RequestId::generate().0.as_bytes()[8..]);
        Self { span, ..self }
    }

    /// The id of the trace in hexadecimal, as logs have it.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }
}

/// A `traceparent`.
impl std::fmt::Display for TraceContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{}-{}-{flags:02x}", hex(&self.trace), hex(&self.span))
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// So many bytes in lower-case hexadecimal, and nothing else.
fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let is_hex = text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    if !is_hex || text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let read = TraceContext::parse(SENT).expect("a traceparent");
        assert_eq!(read.to_string(), SENT);
        assert_eq!(read.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let unsampled = SENT.replace("-01", "-00");
        assert!(!TraceContext::parse(&unsampled).expect("a traceparent").is_sampled);
        let later = format!("{}-more", SENT.replace("00-4bf", "01-4bf"));
        assert!(TraceContext::parse(&later).is_some());
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-ébf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_message_without_a_sender_s_trace_has_one_of_its_own_name() {
        let id: MessageId = "0199e4a2-7c1e-7d31-9a55-0d4c1f7b2e10".parse().expect("an id");
        let own = TraceContext::of_message(id, None);
        assert_eq!(own.trace_id(), "0199e4a27c1e7d319a550d4c1f7b2e10");
        let parent = TraceContext::parse(SENT);
        let sent = TraceContext::of_message(id, parent);
        assert_eq!(Some(sent.trace), parent.map(|parent| parent.trace));
        assert_eq!(sent.span, own.span, "the span is the message's in any trace");
        assert_ne!(own.child("import", 1), own.child("import", 2));
    }
}

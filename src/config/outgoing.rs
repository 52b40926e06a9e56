//! `webhooks.*` and `destinations.*`: what is sent to others over HTTP.

use super::number;
use super::reader::Reader;

/// How something is sent to others, and how often.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The section these settings stand in, for messages.
    pub section: &'static str,
    /// `allow_private`: whether receivers may lie in networks that are not public.
    pub allow_private: bool,
    /// `allow_http`: whether receivers may be without TLS.
    pub allow_http: bool,
    /// `timeout_seconds`: longest one attempt takes.
    pub timeout_seconds: u32,
    /// `concurrency`: attempts at once.
    pub concurrency: usize,
    /// `concurrency_per_host`: attempts at once to one host and port.
    pub concurrency_per_host: usize,
    /// `max_attempts`
    pub max_attempts: u32,
    /// `retry_first_seconds`: first wait; doubles with every attempt.
    pub retry_first_seconds: u32,
    /// `retry_cap_seconds`: longest wait.
    pub retry_cap_seconds: u32,
}

impl Outgoing {
    /// For the keys of issuers, whose addresses are the operator's own words in the settings: they may lie anywhere.
    #[must_use]
    pub fn for_issuers() -> Self {
        Self {
            section: "issuers",
            allow_private: true,
            allow_http: true,
            timeout_seconds: 10,
            concurrency: 1,
            concurrency_per_host: 1,
            max_attempts: 1,
            retry_first_seconds: 1,
            retry_cap_seconds: 1,
        }
    }

    /// Reads a section; an attempt in it may take so many seconds at most.
    pub(super) fn read(reader: &Reader<'_>, section: &'static str, timeout_max: u64) -> Self {
        let key = |name: &str| format!("{section}.{name}");
        Self {
            section,
            allow_private: reader.truth(&key("allow_private")),
            allow_http: reader.truth(&key("allow_http")),
            timeout_seconds: number(reader, &key("timeout_seconds"), 1, timeout_max),
            concurrency: number(reader, &key("concurrency"), 1, 256),
            concurrency_per_host: number(reader, &key("concurrency_per_host"), 1, 64),
            max_attempts: number(reader, &key("max_attempts"), 1, 100),
            retry_first_seconds: number(reader, &key("retry_first_seconds"), 1, 3600),
            retry_cap_seconds: number(reader, &key("retry_cap_seconds"), 1, 86_400),
        }
    }
}

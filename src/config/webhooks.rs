//! `webhooks.*`

use super::number;
use super::reader::Reader;

/// How outcomes are sent to the webhooks that jobs name.
#[derive(Debug, Clone)]
pub struct Webhooks {
    /// `allow_private`: whether destinations may lie in networks that are not public.
    pub allow_private: bool,
    /// `allow_http`: whether destinations may be without TLS.
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

impl Webhooks {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        Self {
            allow_private: reader.truth("webhooks.allow_private"),
            allow_http: reader.truth("webhooks.allow_http"),
            timeout_seconds: number(reader, "webhooks.timeout_seconds", 1, 60),
            concurrency: number(reader, "webhooks.concurrency", 1, 256),
            concurrency_per_host: number(reader, "webhooks.concurrency_per_host", 1, 64),
            max_attempts: number(reader, "webhooks.max_attempts", 1, 100),
            retry_first_seconds: number(reader, "webhooks.retry_first_seconds", 1, 3600),
            retry_cap_seconds: number(reader, "webhooks.retry_cap_seconds", 1, 86_400),
        }
    }
}

//! `telemetry.*`: where spans go.

use url::Url;

use super::reader::Reader;

/// `telemetry.*`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// `otlp_endpoint`: base URL of an OpenTelemetry collector; without it nothing is traced.
    pub otlp_endpoint: Option<Url>,
    /// `service_name`: what the service is called in traces.
    pub service_name: String,
}

impl Telemetry {
    pub(super) fn read(reader: &Reader<'_>) -> Self {
        Self {
            otlp_endpoint: reader.text("telemetry.otlp_endpoint").and_then(|text| {
                let url = Url::parse(&text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
                if url.is_none() {
                    let flaw = "`telemetry.otlp_endpoint` is no http:// or https:// URL; write one such as http://127.0.0.1:4318";
                    reader.blame("telemetry.otlp_endpoint", flaw);
                }
                url
            }),
            service_name: reader.text_or_default("telemetry.service_name"),
        }
    }
}

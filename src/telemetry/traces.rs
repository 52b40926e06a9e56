//! Spans of messages and runs, to an OpenTelemetry collector (OTLP over HTTP). Off unless an endpoint is set, and then free.
//!
//! A step is told when it is over, with its beginning and its end: nothing is open meanwhile, so a process that dies leaves no half
//! span, and the next one goes on with the same trace ([`TraceContext`]). What is told waits in a queue of bounded length and is sent
//! by a thread of its own; a collector that is slow or gone costs spans, never work.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks, SpanProcessor,
};
use tokio::runtime::Handle;

use crate::domain::time::Timestamp;
use crate::domain::trace::TraceContext;

/// Spans that wait to be sent; more are dropped, and counted.
const QUEUE_MAX: usize = 4096;
/// Spans sent together.
const BATCH_MAX: usize = 512;
/// How long a span waits for others to be sent with.
const BATCH_WAIT: Duration = Duration::from_millis(500);
/// How long a collector may take to answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last spans may take when the service stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);
/// Most bytes of a collector's answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where spans go. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Sink>>);

#[derive(Debug)]
struct Sink {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

/// Something that happened, from its beginning to its end.
#[derive(Debug, Clone)]
pub struct Step {
    /// What happened, in a word: `enqueue`, `stage`, …
    pub name: &'static str,
    /// Its place in the trace.
    pub at: TraceContext,
    /// The span it is part of; none: it begins the trace.
    pub parent: Option<TraceContext>,
    /// When it began.
    pub began: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Why it failed, where it did.
    pub failed: Option<String>,
    /// Whether another process asked for it (`Some(true)`), is asked by it (`Some(false)`), or neither.
    pub is_served: Option<bool>,
}

impl Traces {
    /// Spans go to the collector at this base URL. Must be called within the runtime that sends them.
    ///
    /// # Errors
    /// What is wrong with the endpoint or with what the standard variables say, in a sentence.
    pub fn to(endpoint: &url::Url, service_name: &str) -> Result<Self, String> {
        let url = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let client = Client {
            client: reqwest::Client::builder()
                .timeout(SEND_TIMEOUT)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(|error| error.to_string())?,
            runtime: Handle::current(),
        };
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(&url)
            .with_timeout(SEND_TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        let exporter = Watched {
            exporter,
            url,
            is_down: AtomicBool::new(false),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(BATCH_WAIT)
            .build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder()
            .with_service_name(service_name.to_owned())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        processor.set_resource(&resource);
        let scope = InstrumentationScope::builder("tranship").build();
        Ok(Self(Some(Arc::new(Sink { processor, scope }))))
    }

    /// Whether anybody wants spans: what they take is worth asking for only then.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tells of a step. `attributes` are asked for only where somebody records the trace.
    pub fn tell(&self, step: Step, attributes: impl FnOnce() -> Vec<(&'static str, Value)>) {
        let Some(sink) = self.0.as_ref().filter(|_| step.at.is_sampled) else {
            return;
        };
        metrics::counter!("tranship_trace_spans_total", "outcome" => "told").increment(1);
        sink.processor.on_end(span(step, attributes(), sink.scope.clone()));
    }

    /// Sends what still waits, as far as there is time. Blocks.
    pub fn stop(&self) {
        if let Some(sink) = &self.0 {
            let _ = sink.processor.shutdown_with_timeout(STOP_TIMEOUT);
        }
    }
}

fn span(step: Step, attributes: Vec<(&'static str, Value)>, scope: InstrumentationScope) -> SpanData {
    let context = SpanContext::new(
        TraceId::from_bytes(step.at.trace),
        SpanId::from_bytes(step.at.span),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    SpanData {
        span_context: context,
        parent_span_id: step
            .parent
            .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span)),
        parent_span_is_remote: false,
        span_kind: match step.is_served {
            None => SpanKind::Internal,
            Some(true) => SpanKind::Server,
            Some(false) => SpanKind::Client,
        },
        name: Cow::Borrowed(step.name),
        start_time: system_time(step.began),
        end_time: system_time(step.ended.max(step.began)),
        attributes: attributes
            .into_iter()
            .map(|(name, value)| KeyValue::new(name, value))
            .collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: step.failed.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope,
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at.micros()).unwrap_or(0))
}

/// Says once that a collector is out of reach, and once that it is back; counts what was lost.
#[derive(Debug)]
struct Watched {
    exporter: opentelemetry_otlp::SpanExporter,
    url: String,
    is_down: AtomicBool,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let sent = self.exporter.export(batch).await;
        let outcome = if sent.is_ok() { "sent" } else { "lost" };
        metrics::counter!("tranship_trace_spans_total", "outcome" => outcome).increment(spans);
        let was_down = self.is_down.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !was_down => {
                tracing::warn!(url = %self.url, %error, "spans cannot be sent; they are dropped until the collector is back");
            }
            Ok(()) if was_down => tracing::info!(url = %self.url, "spans are sent again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Sends by the client everything else is sent by, on the service's runtime: the thread that waits for it has none.
#[derive(Debug, Clone)]
struct Client {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let (head, body) = request.into_parts();
            let url = head.uri.to_string();
            let mut answer = client
                .request(head.method, url)
                .headers(head.headers)
                .body(body)
                .send()
                .await?;
            let status = answer.status();
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                let room = ANSWER_BYTES_MAX.saturating_sub(bytes.len());
                bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if room <= chunk.len() {
                    break;
                }
            }
            let mut response = Response::new(Bytes::from(bytes));
            *response.status_mut() = status;
            Ok::<_, reqwest::Error>(response)
        });
        let response = sent
            .await
            .map_err(|error| OTelSdkError::InternalFailure(error.to_string()))??;
        Ok(response)
    }
}

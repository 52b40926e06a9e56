//! Noting requests and answers as they pass.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use bytes::Bytes;
use futures_util::Stream;

use super::{Boxed, Found, boxed, is_left_alone};
use crate::domain::ids::RequestId;
use crate::http::Api;
use crate::http::auth::base_url;
use crate::http::canonical::canonical_path;
use crate::sandbox::journal::{Entry, Sent, Side};
use crate::sandbox::{MARK, Sandbox};

/// Notes a request and its answer, and marks the answer. The outermost of all: it sees what was sent.
///
/// # Errors
/// Those of the request's handler.
pub async fn record(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<Boxed>, Error> {
    let path = canonical_path(request.path());
    let api = request.app_data::<web::Data<Api>>().cloned();
    let sandbox = api.as_ref().and_then(|api| api.context.sandbox.clone());
    let sandbox = sandbox.filter(|_| !is_left_alone(&request, path.as_deref().unwrap_or(request.path())));
    let (Some(api), Some(sandbox)) = (api, sandbox) else {
        return next
            .call(request)
            .await
            .map(|answer| mark(answer.map_body(|_, body| boxed(body))));
    };
    let entry = sandbox.journal.begin(sent(&api, &request));
    let noted = NotedPayload {
        payload: request.take_payload(),
        noting: Noting(Arc::clone(&sandbox), Arc::clone(&entry)),
    };
    request.set_payload(Payload::Stream {
        payload: Box::pin(noted),
    });
    let answered = next.call(request).await;
    match &answered {
        Ok(answer) => note_answer(&entry, answer),
        Err(error) => entry.note(|rest, waited| {
            rest.status = Some(error.as_response_error().status_code().as_u16());
            (rest.waited, rest.took) = (Some(waited), Some(waited));
        }),
    }
    let noting = Noting(sandbox, entry);
    answered.map(|answer| {
        mark(answer.map_body(|_, body| {
            boxed(NotedBody {
                body: Box::pin(body),
                noting,
            })
        }))
    })
}

fn mark(mut answer: ServiceResponse<Boxed>) -> ServiceResponse<Boxed> {
    answer
        .headers_mut()
        .insert(HeaderName::from_static(MARK), HeaderValue::from_static("1"));
    answer
}

fn sent(api: &Api, request: &ServiceRequest) -> Sent {
    Sent {
        at: api.context.clock.now(),
        method: request.method().to_string(),
        base: base_url(api, request.request()),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        version: format!("{:?}", request.version()),
        headers: texts(request.headers()),
        peer: request.peer_addr().map(|peer| peer.to_string()),
    }
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn note_answer<B>(entry: &Entry, answer: &ServiceResponse<B>) {
    let extensions = answer.request().extensions();
    entry.note(|rest, waited| {
        rest.request_id = extensions.get::<RequestId>().map(ToString::to_string);
        rest.waited = Some(waited);
        let mut is_lost = false;
        if let Some(found) = extensions.get::<Found>() {
            rest.client.clone_from(&found.client);
            rest.faults.clone_from(&found.faults);
            is_lost = found.is_lost;
        }
        if !is_lost {
            rest.status = Some(answer.status().as_u16());
            rest.headers = texts(answer.headers());
        }
    });
}

/// Where what passes is noted.
struct Noting(Arc<Sandbox>, Arc<Entry>);

impl Noting {
    fn pass(&self, side: Side, chunk: &[u8]) {
        self.0.journal.pass(&self.1, side, chunk);
    }
}

struct NotedPayload {
    payload: Payload,
    noting: Noting,
}

impl Stream for NotedPayload {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.payload).poll_next(context);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            self.noting.pass(Side::Request, chunk);
        }
        polled
    }
}

struct NotedBody<B> {
    body: Pin<Box<B>>,
    noting: Noting,
}

impl<B: MessageBody> MessageBody for NotedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let polled = self.body.as_mut().poll_next(context);
        if let Poll::Ready(Some(Ok(chunk))) = &polled {
            self.noting.pass(Side::Answer, chunk);
        }
        polled
    }
}

impl<B> Drop for NotedBody<B> {
    fn drop(&mut self) {
        self.noting.1.note(|rest, took| rest.took = Some(took));
    }
}

//! A payload as the body of a request to a web service.

use reqwest::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder};
use url::Url;

use super::blob::open;
use super::token::{Asked, Tokens};
use crate::domain::destination::{Auth, Destination, HttpMethod, HttpTarget, idempotency_key};
use crate::domain::message::Message;
use crate::domain::webhook::SecretSource;
use crate::outgoing::{Answer, Client, read_secret};
use crate::pipeline::Context;

/// What is sent where.
pub(super) struct Parcel<'a> {
    pub message: &'a Message,
    pub job_name: &'a str,
    pub destination: &'a Destination,
    pub target: &'a HttpTarget,
    pub path: Option<&'a str>,
    /// The call's place in the message's trace.
    pub traceparent: Option<&'a str>,
}

/// One attempt. A token that the receiver does not take any more is asked for anew, once.
pub(super) async fn send(context: &Context, client: &Client, tokens: &Tokens, parcel: &Parcel<'_>) -> Answer {
    let (answer, was_kept) = match attempt(context, client, tokens, parcel).await {
        Ok(answered) => answered,
        Err(answer) => return answer,
    };
    let is_stale = was_kept && matches!(answer, Answer::Status { code: 401, .. });
    if !is_stale {
        return answer;
    }
    match attempt(context, client, tokens, parcel).await {
        Ok((answer, _)) | Err(answer) => answer,
    }
}

/// The answer, and whether it was asked with a token that was kept from before.
async fn attempt(
    context: &Context,
    client: &Client,
    tokens: &Tokens,
    parcel: &Parcel<'_>,
) -> Result<(Answer, bool), Answer> {
    let method = match parcel.target.method {
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
    };
    let request = client.request(method, &address(parcel)?).await?;
    let now = context.clock.now();
    let (request, token) = authorize(request, client, tokens, &parcel.target.auth, now).await?;
    let payload = open(context, parcel.message).await?;
    let request = describe(request, parcel).body(reqwest::Body::wrap_stream(payload.into_stream()));
    let answer = Client::send(request).await;
    let was_kept = token.as_ref().is_some_and(|token| token.was_kept);
    if let (Some(token), Answer::Status { code: 401, .. }) = (token, &answer) {
        tokens.forget(&token);
    }
    Ok((answer, was_kept))
}

/// The URL with the path below it, every part of it encoded.
fn address(parcel: &Parcel<'_>) -> Result<String, Answer> {
    let refused = || Answer::Refused("the destination's `url` is not one".to_owned());
    let mut url = Url::parse(parcel.destination.url.trim()).map_err(|_| refused())?;
    if let Some(path) = parcel.path {
        let mut segments = url.path_segments_mut().map_err(|()| refused())?;
        segments.pop_if_empty().extend(path.split('/'));
    }
    Ok(url.into())
}

/// What the receiver is told beside the bytes. What the job's file says stands.
fn describe(mut request: RequestBuilder, parcel: &Parcel<'_>) -> RequestBuilder {
    let message = parcel.message;
    let headers = &parcel.target.headers;
    let key = idempotency_key(message.id, &parcel.destination.name);
    let own = [
        (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
        (CONTENT_DISPOSITION.as_str(), attachment(message)),
        ("tranship-message", message.id.to_string()),
        ("tranship-job", encoded(parcel.job_name)),
    ];
    for (name, value) in own {
        if !headers.contains_key(name) {
            request = request.header(name, value);
        }
    }
    if let Some(trace) = parcel.traceparent.filter(|_| !headers.contains_key("traceparent")) {
        request = request.header("traceparent", trace);
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
        .header(CONTENT_LENGTH, message.bytes)
        .header("content-digest", message.digest.content_digest())
        .header("idempotency-key", key)
}

/// What the file is called (RFC 6266).
fn attachment(message: &Message) -> String {
    let name = message.external_id.as_deref().unwrap_or("export");
    format!("attachment; filename*=UTF-8''{}", encoded(name))
}

/// A text fit for a header: what RFC 8187 lets stand, and the rest by its bytes.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Says who we are.
async fn authorize(
    request: RequestBuilder,
    client: &Client,
    tokens: &Tokens,
    auth: &Auth,
    now: crate::domain::time::Timestamp,
) -> Result<(RequestBuilder, Option<Asked>), Answer> {
    Ok(match auth {
        Auth::None => (request, None),
        Auth::Basic { username, secret } => (request.basic_auth(username, Some(read(secret).await?)), None),
        Auth::Header { name, secret } => (request.header(name, hidden(read(secret).await?)?), None),
        Auth::OAuth2 {
            token_url,
            client_id,
            secret,
            scope,
            ..
        } => {
            let secret = read(secret).await?;
            let token = tokens
                .token(client, (token_url, client_id, scope.as_deref()), &secret, now)
                .await?;
            let header = hidden(format!("Bearer {}", token.token))?;
            (request.header(AUTHORIZATION, header), Some(token))
        }
    })
}

/// A header's value that no log shows.
fn hidden(value: String) -> Result<HeaderValue, Answer> {
    let mut value = HeaderValue::try_from(value).map_err(|_| {
        Answer::Failed("the secret cannot stand in a header: it holds a line break or the like".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The secret, without the line's end that files have. One that is not there yet may be the next time.
async fn read(source: &SecretSource) -> Result<String, Answer> {
    let source = source.clone();
    let read = tokio::task::spawn_blocking(move || read_secret(&source)).await;
    let (text, name) = read
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(Answer::Failed)?;
    let secret = text.trim();
    if secret.is_empty() {
        return Err(Answer::Failed(format!("{name} is empty")));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_header_cannot_hold_is_encoded() {
        assert_eq!(encoded("Café & Söhne.csv"), "Caf%C3%A9%20&%20S%C3%B6hne.csv");
        assert_eq!(encoded("a\"b\r\n"), "a%22b%0D%0A");
    }
}

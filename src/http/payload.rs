//! Payload bytes out, verified on the way.

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::header::{
    CONTENT_TYPE, Charset, ContentDisposition, DispositionParam, DispositionType, ETAG, ExtendedValue,
};
use bytes::Bytes;
use futures_util::stream;

use super::Api;
use super::problem::Problem;
use crate::blob::BlobReader;
use crate::domain::job::Direction;
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::pipeline::source;
use crate::pipeline::telling::Done;

/// What fetching a payload means for its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Nothing: somebody looks.
    Look,
    /// Its dequeuer has it: the message becomes `Downloaded` (RI-18).
    Delivery,
}

/// A payload on its way to a client.
struct Sending {
    api: Api,
    message: Message,
    reader: BlobReader,
    fetch: Fetch,
    sent: u64,
    began: Timestamp,
}

/// Answers 200 with a message's payload. Its digest goes along (RFC 9530); when the bytes turn out not to be the ones stored,
/// the transfer breaks off before the last chunk, so no client takes damaged bytes for the file.
///
/// # Errors
/// [`Problem`] when the payload is gone or out of reach.
pub async fn send(api: &Api, message: Message, fetch: Fetch) -> Result<HttpResponse, Problem> {
    let reader = source::open(&api.context, &message).await?;
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header(("Content-Digest", message.digest.content_digest()))
        .insert_header((ETAG, format!("\"{}\"", message.digest.hex())));
    if let Some(name) = message
        .external_id
        .as_deref()
        .filter(|_| message.direction == Direction::Export)
    {
        answer.insert_header(attachment(name));
    }
    let bytes = message.bytes;
    if bytes == 0 && fetch == Fetch::Delivery {
        // Nobody asks a body of no bytes for its last one.
        let context = &api.context;
        context.store.mark_downloaded(message.id, context.clock.now()).await?;
    }
    let sending = Sending {
        api: api.clone(),
        message,
        reader,
        fetch,
        sent: 0,
        began: api.context.clock.now(),
    };
    let chunks = stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        match sending.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(sending))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(answer.body(SizedStream::new(bytes, chunks)))
}

/// What an exported file is called, also where its name is not ASCII (RFC 6266).
fn attachment(name: &str) -> ContentDisposition {
    let plain = name
        .chars()
        .map(|c| if c.is_ascii() && !c.is_control() { c } else { '_' });
    ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![
            DispositionParam::Filename(plain.collect()),
            DispositionParam::FilenameExt(ExtendedValue {
                charset: Charset::Ext("UTF-8".to_owned()),
                language_tag: None,
                value: name.as_bytes().to_vec(),
            }),
        ],
    }
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Bytes>, actix_web::Error> {
        let broke_off = |error: &dyn std::fmt::Display| {
            tracing::error!(message.id = %self.message.id, %error, "a download broke off");
            actix_web::error::ErrorInternalServerError("the payload cannot be read")
        };
        let chunk = self.reader.next().await.map_err(|error| broke_off(&error))?;
        self.sent += chunk.as_ref().map_or(0, |c| c.len() as u64);
        if chunk.is_some() && self.sent == self.message.bytes {
            let context = &self.api.context;
            context.tell_step(&self.message, Done::well("download", self.began), Vec::new);
        }
        // The reader lets the last chunk go only when the digest proved right, so this is the moment the file is whole.
        if self.fetch == Fetch::Delivery && chunk.is_some() && self.sent == self.message.bytes {
            let context = &self.api.context;
            context
                .store
                .mark_downloaded(self.message.id, context.clock.now())
                .await
                .map_err(|error| broke_off(&error))?;
            failpoint::reached("download.marked");
        }
        Ok(chunk)
    }
}

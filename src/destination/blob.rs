//! A payload as an object of a bucket or a file of a folder, written once.

use crate::blob::{BlobError, BlobReader, Blobs};
use crate::domain::destination::Exists;
use crate::domain::ids::BlobKey;
use crate::domain::message::Message;
use crate::outgoing::Answer;
use crate::pipeline::{Context, source};

/// Writes a message's payload to a path below a place for blobs; what is to be said of it.
///
/// # Errors
/// [`Answer::Refused`] where something else is at the path, or the place is none; [`Answer::Failed`] where trying again may help.
pub(super) async fn write(
    context: &Context,
    message: &Message,
    url: &str,
    path: &str,
    exists: Exists,
) -> Result<String, Answer> {
    let blobs = Blobs::open(url).map_err(|error| Answer::Refused(error.to_string()))?;
    let key = BlobKey(path.to_owned());
    // Looked at before anything is sent: most often it is this delivery's own, of an attempt whose end nobody wrote down.
    if exists == Exists::Fail && is_there(&blobs, &key, message).await? {
        return Ok(format!("{path} was there already, with the very bytes"));
    }
    let mut writer = match exists {
        Exists::Fail => blobs.writer(&key).await,
        Exists::Replace => Ok(blobs.replacing_writer(&key)),
    }
    .map_err(failed)?;
    let mut reader = open(context, message).await?;
    // The last chunk is handed out once the digest proved right, so nothing is finished that is damaged.
    while let Some(chunk) = reader.next().await.map_err(failed)? {
        writer.write(chunk).await.map_err(failed)?;
    }
    match writer.finish().await {
        Ok(()) => Ok(format!("written to {path}")),
        // Somebody was faster: whether with these bytes is seen at the next attempt.
        Err(error) => Err(failed(error)),
    }
}

/// Whether the object is there with the message's bytes.
async fn is_there(blobs: &Blobs, key: &BlobKey, message: &Message) -> Result<bool, Answer> {
    let mut found = match blobs.reader(key, message.digest).await {
        Ok(found) => found,
        Err(BlobError::Missing(_)) => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    loop {
        match found.next().await {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(true),
            Err(BlobError::Damaged { .. }) => {
                return Err(Answer::Refused(format!(
                    "{key} exists, and is another file; move it away, or say `exists = \"replace\"`, and replay the delivery"
                )));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Opens the payload of a message.
///
/// # Errors
/// [`Answer::Refused`] when it is gone, [`Answer::Failed`] when it is out of reach.
pub(super) async fn open(context: &Context, message: &Message) -> Result<BlobReader, Answer> {
    source::open(context, message).await.map_err(|error| match error {
        source::SourceError::Unreadable(why) => Answer::Refused(why),
        error => Answer::Failed(format!("the payload cannot be read: {error}")),
    })
}

fn failed(error: BlobError) -> Answer {
    match error {
        BlobError::Settings(why) => Answer::Refused(why),
        error => Answer::Failed(error.to_string()),
    }
}

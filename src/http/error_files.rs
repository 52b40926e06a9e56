//! The package API's error files (PKG-15): whether there is one, and the link to it.
//!
//! Nothing is made ahead: the file is made while it is fetched, so its link is there as soon as the execution has ended, and a
//! client that polls for it never waits in vain.

use actix_web::HttpRequest;

use super::Api;
use super::auth::link_base;
use super::dmf::ROOT;
use super::problem::{Kind, Problem};
use super::rejects::{Found, find};
use crate::auth::sas::Permission;
use crate::domain::ids::MessageId;
use crate::domain::message::Message;
use crate::domain::reject::RejectPhase;

/// A file of one entity of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorFileKind {
    /// The input rows that were rejected before the target was touched.
    StagingErrors,
    /// The keys of the records that the target refused.
    ErrorKeys,
}

impl ErrorFileKind {
    const ALL: [Self; 2] = [Self::StagingErrors, Self::ErrorKeys];

    /// The last word of its path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StagingErrors => "staging-errors",
            Self::ErrorKeys => "error-keys",
        }
    }

    pub fn phase(self) -> RejectPhase {
        match self {
            Self::StagingErrors => RejectPhase::Staging,
            Self::ErrorKeys => RejectPhase::Target,
        }
    }
}

/// What a link to an error file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorFilePath {
    pub message: MessageId,
    pub entity: String,
    pub kind: ErrorFileKind,
}

const FOLDER: &str = "errors/";

impl ErrorFilePath {
    /// Reads what follows [`ROOT`], unescaped. A label may hold slashes.
    pub fn read(name: &str) -> Option<Self> {
        let (message, rest) = name.strip_prefix(FOLDER)?.split_once('/')?;
        let (entity, kind) = rest.rsplit_once('/')?;
        Some(Self {
            message: message.parse().ok()?,
            entity: entity.to_owned(),
            kind: ErrorFileKind::ALL.into_iter().find(|known| known.as_str() == kind)?,
        })
    }

    fn written(&self, entity: &str) -> String {
        format!("{ROOT}{FOLDER}{}/{entity}/{}", self.message, self.kind.as_str())
    }

    /// The path, unescaped: what is signed.
    fn plain(&self) -> String {
        self.written(&self.entity)
    }

    /// The path as it stands in a URL.
    fn escaped(&self) -> String {
        let entity: String = url::form_urlencoded::byte_serialize(self.entity.as_bytes()).collect();
        self.written(&entity.replace('+', "%20"))
    }
}

/// Whether the message has the file; it has once it ended.
///
/// # Errors
/// 400 when that cannot be told yet, or the file cannot be made: the job or the payload is gone, no such entity. A client that was
/// told `true` would poll for its link for ever.
pub(super) async fn is_there(api: &Api, message: Message, entity: &str, kind: ErrorFileKind) -> Result<bool, Problem> {
    if !message.status.is_final() && is_import(api, &message) {
        let detail = format!("message {} has not ended yet: it is {}", message.id, message.status);
        return Err(Problem::new(Kind::Conflict, detail));
    }
    Ok(makeable(api, message, entity, kind).await?.is_some())
}

/// The link to the file; empty while the message has not ended, and where there is none.
///
/// # Errors
/// As [`is_there`].
pub(super) async fn link(
    api: &Api,
    request: &HttpRequest,
    message: Message,
    entity: &str,
    kind: ErrorFileKind,
) -> Result<String, Problem> {
    let id = message.id;
    let Some(entity) = makeable(api, message, entity, kind).await? else {
        return Ok(String::new());
    };
    let path = ErrorFilePath {
        message: id,
        entity,
        kind,
    };
    let until = api.context.clock.now().plus_seconds(i64::from(api.server.link_seconds));
    let query = api.signers().links.sign(&path.plain(), &[Permission::Read], until);
    Ok(format!("{}{}?{query}", link_base(api, request), path.escaped()))
}

/// The entity as it is spelled, when it has the file and that can be made.
async fn makeable(api: &Api, message: Message, entity: &str, kind: ErrorFileKind) -> Result<Option<String>, Problem> {
    if !is_import(api, &message) {
        return Ok(None);
    }
    let Found { files, entity, records } = find(api, message, Some(entity), Some(kind.phase())).await?;
    if records == 0 {
        return Ok(None);
    }
    files.is_kept().await?;
    Ok(entity)
}

/// An export rejects nothing. Of a message whose job is gone that cannot be said.
fn is_import(api: &Api, message: &Message) -> bool {
    let definitions = api.definitions();
    definitions.job(message.job).is_none_or(|job| job.import.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_message_entity_and_kind() {
        let path = ErrorFilePath {
            message: MessageId::generate(),
            entity: "Größen/Maße + more".to_owned(),
            kind: ErrorFileKind::ErrorKeys,
        };
        let plain = path.plain();
        assert_eq!(
            ErrorFilePath::read(plain.strip_prefix(ROOT).expect("the root")),
            Some(path.clone())
        );
        assert_eq!(
            path.escaped(),
            format!(
                "/dmf/errors/{}/Gr%C3%B6%C3%9Fen%2FMa%C3%9Fe%20%2B%20more/error-keys",
                path.message
            )
        );
        for bad in ["", "errors/", "errors/1/A/error-keys", "blobs/x", "errors//error-keys"] {
            assert_eq!(ErrorFilePath::read(bad), None, "{bad}");
        }
    }
}

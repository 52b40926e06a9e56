//! What a message rejected, as files: `/api/v1/messages/{id}/rejects` and `…/error-keys`, and what the package API's error files
//! (PKG-15) have in common with them.

use actix_web::body::BoxBody;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::mpsc;

use super::Api;
use super::auth::caller;
use super::messages::visible;
use super::problem::{Kind, Problem, Surface};
use super::query::Query;
use crate::domain::job::FileFormat;
use crate::domain::message::Message;
use crate::domain::reject::RejectPhase;
use crate::pipeline::rejects::{EntitiesNamed, ErrorFile, ErrorFiles, Form, Selection};
use crate::pipeline::source::SourceError;
use crate::storage::executions::EntityRun;

/// Some of a message's rejects: how many there are, and the files they can be had as.
pub(crate) struct Found {
    /// The files, made while they are read.
    pub files: ErrorFiles,
    /// The entity asked for, as it is spelled.
    pub entity: Option<String>,
    /// How many records were rejected.
    pub records: u64,
}

/// The rejects of a message, of one entity or all, of one phase or both. A message that has not ended has none yet.
///
/// # Errors
/// 404 when its job is gone or no import, 400 for an entity that neither job nor message has.
pub(crate) async fn find(
    api: &Api,
    message: Message,
    entity: Option<&str>,
    phase: Option<RejectPhase>,
) -> Result<Found, Problem> {
    let definitions = api.definitions();
    let job = definitions.job(message.job);
    let Some((job, spec)) = job.and_then(|job| Some((job, job.import.as_ref()?))) else {
        let detail = format!("message {} is not of an import job that is still there", message.id);
        return Err(Problem::new(Kind::NotFound, detail));
    };
    let runs = runs(api, &message).await?;
    let named = entity.map(|name| {
        let named = EntitiesNamed::find(&definitions, spec, &runs, name.trim());
        named.ok_or_else(|| {
            let detail = format!(
                "neither message {} nor the job `{}` has an entity `{name}`",
                message.id, job.name
            );
            Problem::bad("entity_unknown", detail)
        })
    });
    let named = named.transpose()?;
    let selection = Selection {
        entities: named.as_ref().map(|named| named.numbers.clone()),
        phase,
        corrections: None,
    };
    let has_ended = message.status.is_final() && message.counts.rejected > 0;
    let records = if has_ended { selection.count(&runs) } else { 0 };
    let id = message.id;
    let selection = selection.narrowed(&runs);
    let files = ErrorFiles::of(&api.context, api.definitions(), message, selection);
    let gone = || Problem::new(Kind::NotFound, format!("the job of message {id} is no longer there"));
    Ok(Found {
        files: files.ok_or_else(gone)?,
        entity: named.map(|named| named.label),
        records,
    })
}

/// What each entity of a message came to.
pub(crate) async fn runs(api: &Api, message: &Message) -> Result<Vec<EntityRun>, Problem> {
    let Some(id) = &message.execution else {
        return Ok(Vec::new());
    };
    let execution = api.context.store.execution(id).await?;
    Ok(execution.map(|execution| execution.entities).unwrap_or_default())
}

/// `GET /api/v1/messages/{id}/rejects?entity=&phase=`: the rejected records in the source's format.
pub async fn rejects(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let sent = async {
        let query = Query::of(&request);
        let phase = query.get("phase").map(|text| phase(&text)).transpose()?;
        let found = asked(&api, &request, &id, &query, phase).await?;
        let file = found.files.rejects().await?;
        Ok(answer(&api, file, &format!("rejects-{}", *id)))
    };
    respond(sent.await)
}

/// `GET /api/v1/messages/{id}/error-keys?entity=`: the keys of the records the target refused, as CSV.
pub async fn error_keys(api: web::Data<Api>, request: HttpRequest, id: web::Path<String>) -> HttpResponse {
    let sent = async {
        let query = Query::of(&request);
        let found = asked(&api, &request, &id, &query, Some(RejectPhase::Target)).await?;
        let file = found.files.keys().await?;
        Ok(answer(&api, file, &format!("error-keys-{}", *id)))
    };
    respond(sent.await)
}

fn respond(result: Result<HttpResponse, Problem>) -> HttpResponse {
    result.unwrap_or_else(|problem| problem.respond(Surface::Native))
}

/// What the caller asks for, if there is any of it.
async fn asked(
    api: &Api,
    request: &HttpRequest,
    id: &str,
    query: &Query,
    phase: Option<RejectPhase>,
) -> Result<Found, Problem> {
    let caller = caller(api, request).await?;
    let message = visible(api, &caller, id).await?;
    let id = message.id;
    let found = find(api, message, query.get("entity").as_deref(), phase).await?;
    if found.records > 0 {
        return Ok(found);
    }
    let of = found.entity.map(|label| format!(" of `{label}`")).unwrap_or_default();
    let by = match phase {
        None => "",
        Some(RejectPhase::Staging) => " that were rejected before the target was touched",
        Some(RejectPhase::Target) => " that the target refused",
    };
    let which = if by.is_empty() { "rejected records" } else { "records" };
    Err(Problem::new(
        Kind::NotFound,
        format!("message {id} has no {which}{of}{by}"),
    ))
}

fn phase(text: &str) -> Result<RejectPhase, Problem> {
    RejectPhase::parse(text.trim()).ok_or_else(|| {
        let detail = format!("`{text}` is not a phase; write staging or target");
        Problem::bad("invalid_phase", detail)
    })
}

/// 200 with the file, made while it is sent. When it cannot be made to its end, the transfer breaks off.
pub(crate) fn answer(api: &Api, file: ErrorFile, name: &str) -> HttpResponse {
    let mut answer = head(&file.form(), name);
    answer.streaming(made(api, file, name.to_owned()))
}

/// The file, made while it is read. When it cannot be made to its end, an error is the last of it.
pub(crate) fn made(
    api: &Api,
    file: ErrorFile,
    name: String,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<> {
    let (out, chunks) = mpsc::channel::<Result<Bytes, SourceError>>(4);
    let sent = out.clone();
    // Not on this thread: of a workbook it goes to the disk.
    api.context.runtime.spawn(async move {
        if let Err(error) = Box::pin(file.write(&out)).await {
            tracing::error!(file = %name, %error, "an error file broke off");
            let _ = sent.send(Err(error)).await;
        }
    });
    let chunks = stream::unfold(chunks, |mut chunks| async move {
        chunks.recv().await.map(|chunk| (chunk, chunks))
    });
    chunks.map(|chunk| chunk.map_err(std::io::Error::other))
}

/// The same without the file.
pub(super) fn answer_head(file: &ErrorFile, name: &str) -> HttpResponse {
    // Of what length it would be only making it tells.
    head(&file.form(), name)
        .streaming(stream::empty::<Result<Bytes, std::io::Error>>())
        .map_body(|_, body| BoxBody::new(body))
}

fn head(form: &Form, name: &str) -> HttpResponseBuilder {
    let extension = match form {
        Form::Package => "zip",
        Form::File(format) => format.extension(),
    };
    let mut answer = HttpResponse::Ok();
    answer.content_type(media_type(form)).insert_header((
        CONTENT_DISPOSITION,
        format!("attachment; filename=\"{name}.{extension}\""),
    ));
    answer
}

fn media_type(form: &Form) -> &'static str {
    match form {
        Form::Package => "application/zip",
        Form::File(FileFormat::Csv { delimiter: b'\t' }) => "text/tab-separated-values; charset=utf-8",
        Form::File(FileFormat::Csv { .. } | FileFormat::Xlsx { .. } | FileFormat::Parquet) => "text/csv; charset=utf-8",
        Form::File(FileFormat::Fixed(_)) => "text/plain; charset=utf-8",
        Form::File(FileFormat::Json) => "application/json",
        Form::File(FileFormat::JsonLines) => "application/x-ndjson",
        Form::File(FileFormat::XmlElement | FileFormat::XmlAttribute) => "application/xml",
    }
}

//! Error files under `/dmf/errors/`: made while they are fetched (PKG-15).

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};

use super::problem::BlobProblem;
use crate::http::Api;
use crate::http::error_files::{ErrorFileKind, ErrorFilePath};
use crate::http::problem::Problem;
use crate::http::rejects::{Found, answer, answer_head, find};
use crate::pipeline::rejects::ErrorFile;

/// Whether the name stands for an error file, not for a blob.
pub(super) fn is_one(name: &str) -> bool {
    name.starts_with("errors/")
}

/// The file, to who has its link.
pub(super) async fn fetch(api: &Api, request: &HttpRequest, name: &str) -> Result<HttpResponse, BlobProblem> {
    let path = ErrorFilePath::read(name).ok_or_else(BlobProblem::not_found)?;
    let file = open(api, &path).await?;
    let shown = format!("{}-{}", path.kind.as_str(), path.message);
    Ok(if request.method() == Method::HEAD {
        answer_head(&file, &shown)
    } else {
        answer(api, file, &shown)
    })
}

async fn open(api: &Api, path: &ErrorFilePath) -> Result<ErrorFile, BlobProblem> {
    let message = api.context.store.message(path.message).await.map_err(Problem::from)?;
    let message = message.ok_or_else(BlobProblem::not_found)?;
    let Found { files, records, .. } = find(api, message, Some(&path.entity), Some(path.kind.phase())).await?;
    if records == 0 {
        return Err(BlobProblem::not_found());
    }
    let file = match path.kind {
        ErrorFileKind::StagingErrors => files.rejects_unpacked().await,
        ErrorFileKind::ErrorKeys => files.keys().await,
    };
    Ok(file.map_err(Problem::from)?)
}

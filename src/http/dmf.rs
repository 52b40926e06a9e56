//! `/dmf/…`: what links open that carry their own right (AUTH-15). It answers as Azure's blob storage does, because clients take it
//! for that: errors are XML with their code in `x-ms-error-code` (PKG-7).

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use quick_xml::escape::escape;

use super::Api;
use super::error_files::{ErrorFileKind, ErrorFilePath, ROOT};
use super::problem::{Kind, Problem};
use super::query::Query;
use super::rejects::{Found, answer, answer_head, find};
use crate::auth::sas::{Permission, Sas, SasRefusal};
use crate::pipeline::rejects::ErrorFile;

/// A failure as Azure's blob storage tells it.
#[derive(Debug)]
struct BlobProblem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// `GET`, `HEAD /dmf/{name}?{SAS}`: an error file, with no token. Nothing is told to who has no link.
pub async fn fetch(api: web::Data<Api>, request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let sent = async {
        allow(&api, &request, &name)?;
        let path = ErrorFilePath::read(&name).ok_or_else(BlobProblem::not_found)?;
        let file = open(&api, &path).await?;
        let shown = format!("{}-{}", path.kind.as_str(), path.message);
        Ok(if request.method() == Method::HEAD {
            answer_head(&file, &shown)
        } else {
            answer(&api, file, &shown)
        })
    };
    sent.await.unwrap_or_else(|problem: BlobProblem| problem.respond())
}

/// What any other method is answered.
pub async fn no_such_method(request: HttpRequest) -> HttpResponse {
    let problem = BlobProblem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "UnsupportedHttpVerb",
        message: format!("The resource doesn't support the method {}.", request.method()),
    };
    problem.respond()
}

fn allow(api: &Api, request: &HttpRequest, name: &str) -> Result<(), BlobProblem> {
    let query = Query::of(request);
    let of = |name: &str| query.get(name).unwrap_or_default();
    let sas = Sas {
        version: of("sv"),
        resource: of("sr"),
        permissions: of("sp"),
        expires: of("se"),
        signature: of("sig"),
    };
    let now = api.context.clock.now();
    Ok(api.links.check(&format!("{ROOT}{name}"), &sas, Permission::Read, now)?)
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

impl BlobProblem {
    fn not_found() -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "BlobNotFound",
            message: "The specified blob does not exist.".to_owned(),
        }
    }

    fn respond(&self) -> HttpResponse {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            self.code,
            escape(&self.message)
        );
        HttpResponse::build(self.status)
            .content_type("application/xml")
            .insert_header(("x-ms-error-code", self.code))
            .body(body)
    }
}

impl From<SasRefusal> for BlobProblem {
    fn from(refusal: SasRefusal) -> Self {
        let code = match refusal {
            SasRefusal::Unsigned | SasRefusal::Expired => "AuthenticationFailed",
            SasRefusal::NotPermitted => "AuthorizationPermissionMismatch",
        };
        Self {
            status: StatusCode::FORBIDDEN,
            code,
            message: format!("Server failed to authenticate the request: {refusal}."),
        }
    }
}

impl From<Problem> for BlobProblem {
    fn from(problem: Problem) -> Self {
        let (status, code) = match problem.kind {
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServerBusy"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            _ => (StatusCode::NOT_FOUND, "BlobNotFound"),
        };
        Self {
            status,
            code,
            message: problem.detail,
        }
    }
}

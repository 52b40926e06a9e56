//! Failures as Azure's blob storage tells them (PKG-7).

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_RANGE, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use quick_xml::escape::escape;

use crate::auth::sas::SasRefusal;
use crate::domain::dmf::Unmet;
use crate::http::problem::{Kind, Problem};
use crate::pipeline::blob_host::BlobHostError;
use crate::pipeline::payload::PayloadError;

/// A failure with the code clients know.
#[derive(Debug)]
pub(super) struct BlobProblem {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Bytes of a blob of which a part was asked for that it has not.
    of_bytes: Option<u64>,
}

impl std::fmt::Display for BlobProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl BlobProblem {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            of_bytes: None,
        }
    }

    /// A request that makes no sense.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub fn not_found() -> Self {
        BlobHostError::Missing.into()
    }

    pub fn no_such_verb(method: &Method) -> Self {
        let message = format!("The resource doesn't support the method {method}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", message)
    }

    /// A part was asked for that begins behind the last byte.
    pub fn invalid_range(bytes: u64) -> Self {
        let message = format!("The range begins after the end of the blob, which has {bytes} bytes.");
        Self {
            of_bytes: Some(bytes),
            ..Self::new(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message)
        }
    }

    /// The answer. Where no body may be, the code stands in the header alone.
    pub fn respond(&self, head: bool) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        answer.insert_header(("x-ms-error-code", self.code));
        if let Some(bytes) = self.of_bytes {
            answer.insert_header((CONTENT_RANGE, format!("bytes */{bytes}")));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.insert_header((RETRY_AFTER, "5"));
        }
        if head || self.status == StatusCode::NOT_MODIFIED {
            return answer.finish();
        }
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            self.code,
            escape(&self.message)
        );
        answer.content_type("application/xml").body(body)
    }
}

impl From<SasRefusal> for BlobProblem {
    fn from(refusal: SasRefusal) -> Self {
        let code = match refusal {
            SasRefusal::Unsigned | SasRefusal::TooEarly | SasRefusal::Expired => "AuthenticationFailed",
            SasRefusal::NotPermitted => "AuthorizationPermissionMismatch",
        };
        let message = format!("Server failed to authenticate the request: {refusal}.");
        Self::new(StatusCode::FORBIDDEN, code, message)
    }
}

impl From<Problem> for BlobProblem {
    fn from(problem: Problem) -> Self {
        let (status, code) = match problem.kind {
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServerBusy"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge"),
            Kind::BadRequest(_) => (StatusCode::BAD_REQUEST, "InvalidInput"),
            _ => (StatusCode::NOT_FOUND, "BlobNotFound"),
        };
        Self::new(status, code, problem.detail)
    }
}

impl From<PayloadError> for BlobProblem {
    fn from(error: PayloadError) -> Self {
        Problem::from(error).into()
    }
}

impl From<BlobHostError> for BlobProblem {
    fn from(error: BlobHostError) -> Self {
        let error = match error {
            BlobHostError::Payload(error) => return error.into(),
            error => error,
        };
        let (status, code) = match &error {
            BlobHostError::Missing => (StatusCode::NOT_FOUND, "BlobNotFound"),
            BlobHostError::Unmet(Unmet::Condition) => (StatusCode::PRECONDITION_FAILED, "ConditionNotMet"),
            BlobHostError::Unmet(Unmet::Exists) => (StatusCode::CONFLICT, "BlobAlreadyExists"),
            BlobHostError::Unmet(Unmet::NotModified) => (StatusCode::NOT_MODIFIED, "ConditionNotMet"),
            BlobHostError::Unmet(Unmet::Overwrite) => (StatusCode::FORBIDDEN, "UnauthorizedBlobOverwrite"),
            BlobHostError::Md5Mismatch { .. } => (StatusCode::BAD_REQUEST, "Md5Mismatch"),
            BlobHostError::Interrupted { .. } => (StatusCode::BAD_REQUEST, "InvalidInput"),
            BlobHostError::InvalidBlockList { .. } => (StatusCode::BAD_REQUEST, "InvalidBlockList"),
            BlobHostError::TooManyBlocks => (StatusCode::CONFLICT, "BlockCountExceedsLimit"),
            BlobHostError::Overtaken => (StatusCode::SERVICE_UNAVAILABLE, "ServerBusy"),
            BlobHostError::Payload(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        };
        Self::new(status, code, error.to_string())
    }
}

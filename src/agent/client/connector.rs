//! `/api/connector` (contract section 3).

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::super::trouble::{Kind, Trouble};
use super::{Client, read, read_text};
use crate::domain::ids::{JobId, ParcelId};

/// A file on its way into a queue.
#[derive(Debug)]
pub struct Upload<'a> {
    /// The queue.
    pub job: JobId,
    /// Label of the entity.
    pub entity: Option<&'a str>,
    /// Company of the records.
    pub company: Option<&'a str>,
    /// The file's name, which becomes the external identifier (RI-3).
    pub name: &'a str,
    /// The same for every attempt: to Tranship they are one message.
    pub id: ParcelId,
    /// RFC 9530 digest of the bytes.
    pub digest: String,
    /// How many bytes.
    pub bytes: u64,
}

/// A dequeued message (contract 3.3).
#[derive(Debug, Clone, Deserialize)]
pub struct Delivery {
    /// The message's id on the wire.
    #[serde(rename = "CorrelationId")]
    pub correlation: String,
    /// Where its file is.
    #[serde(rename = "DownloadLocation")]
    pub location: Option<String>,
    /// Whether it is there.
    #[serde(rename = "IsDownLoadFileExist", default = "yes")]
    pub file_exists: bool,
    /// Why not.
    #[serde(rename = "FileDownLoadErrorMessage")]
    pub file_error: Option<String>,
    /// The answer's text, which the acknowledgement sends back (RI-20).
    #[serde(skip)]
    pub raw: String,
}

fn yes() -> bool {
    true
}

/// How a message stands (contract 3.6).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct JobStatus {
    /// Missing for a message the server does not know, or not yet (RI-29).
    #[serde(rename = "DataJobStatus")]
    pub job: Option<DataJobStatus>,
    /// What it said while it ran.
    #[serde(default)]
    pub execution_log: Option<String>,
    /// Entity by entity.
    #[serde(default)]
    pub execution_detail: Option<Vec<EntityDetail>>,
}

/// Its main part.
#[derive(Debug, Clone, Deserialize)]
pub struct DataJobStatus {
    /// RI-26: a name, or its number.
    #[serde(rename = "DataJobState")]
    state: Value,
}

/// Counts of one entity, handed on as they are.
pub type EntityDetail = Value;

impl JobStatus {
    /// The state's name.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        const NAMES: [&str; 9] = [
            "Enqueued",
            "Dequeued",
            "Downloaded",
            "Acked",
            "InProcess",
            "Processed",
            "ProcessedWithErrors",
            "PostProcessError",
            "PreProcessError",
        ];
        let state = &self.job.as_ref()?.state;
        let number = state.as_u64().and_then(|number| usize::try_from(number).ok());
        state.as_str().or_else(|| NAMES.get(number?).copied())
    }
}

impl Client {
    /// Enqueues a file; the message's id (RI-5).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx.
    pub async fn enqueue(&self, upload: &Upload<'_>, file: std::fs::File) -> Result<String, Trouble> {
        let job = upload.job.to_string();
        let query = [("entity", upload.entity), ("company", upload.company)];
        let query: Vec<_> = query
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        let url = self.at(&["api", "connector", "enqueue", &job], &query);
        let id = upload.id.to_string();
        let request = self
            .request(Method::POST, url)
            .await?
            .header(CONTENT_TYPE, "application/octet-stream")
            .header("x-ms-dyn-externalidentifier", external_identifier(upload.name))
            .header("x-ms-client-request-id", &id)
            .header("Idempotency-Key", &id)
            .header("Content-Digest", &upload.digest);
        let answer: Value = read(self.send_file(request, file, upload.bytes).await?).await?;
        match answer.as_str() {
            Some(message) if !message.is_empty() => Ok(message.to_owned()),
            _ => Err(Trouble::new(
                Kind::Failed,
                "the answer to enqueue is no message id (RI-5)",
            )),
        }
    }

    /// How a message stands.
    ///
    /// # Errors
    /// Whatever the server answers but 2xx.
    pub async fn job_status(&self, job: JobId, message: &str) -> Result<JobStatus, Trouble> {
        let url = self.at(
            &["api", "connector", "jobstatus", &job.to_string()],
            &[("jobId", message)],
        );
        read(self.send(self.request(Method::GET, url).await?).await?).await
    }

    /// The next message of a queue; nothing when it is empty (RI-9).
    ///
    /// # Errors
    /// Whatever the server answers but 200 and 204.
    pub async fn dequeue(&self, job: JobId) -> Result<Option<Delivery>, Trouble> {
        let url = self.at(&["api", "connector", "dequeue", &job.to_string()], &[]);
        let response = self.send(self.request(Method::GET, url).await?).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        let raw = read_text(response).await?;
        let delivery: Delivery = serde_json::from_str(&raw)
            .map_err(|error| Trouble::new(Kind::Failed, format!("the answer to dequeue cannot be read: {error}")))?;
        Ok(Some(Delivery { raw, ..delivery }))
    }

    /// Opens the file of a delivery. Of its location only path and query are used: the token goes to the configured server and
    /// to no other, and scheme and port of the real server's location are wrong at times (RI-14).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx, and a location that is none (RI-12).
    pub async fn download(&self, delivery: &Delivery) -> Result<Response, Trouble> {
        let location = delivery.location.as_deref().filter(|location| !location.is_empty());
        let stated = location.and_then(|location| self.server.url.join(location).ok());
        let stated =
            stated.ok_or_else(|| Trouble::new(Kind::Failed, "the delivery has no usable DownloadLocation (RI-12)"))?;
        let mut url = self.server.url.clone();
        url.set_path(stated.path());
        url.set_query(stated.query());
        self.send(self.request(Method::GET, url).await?).await
    }

    /// Acknowledges a delivery by sending back what its dequeue answered (RI-20).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx.
    pub async fn acknowledge(&self, job: JobId, raw: &str) -> Result<(), Trouble> {
        let url = self.at(&["api", "connector", "ack", &job.to_string()], &[]);
        let request = self.request(Method::POST, url).await?;
        let request = request.header(CONTENT_TYPE, "application/json").body(raw.to_owned());
        self.send(request).await.map(drop)
    }
}

/// A name as a header takes it: its UTF-8 bytes, control characters as spaces.
fn external_identifier(name: &str) -> HeaderValue {
    let name = name.replace(char::is_control, " ");
    HeaderValue::from_bytes(name.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static("file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_a_name_and_as_a_number() {
        let of = |state: Value| -> JobStatus {
            serde_json::from_value(serde_json::json!({"DataJobStatus": {"DataJobState": state}})).expect("a status")
        };
        assert_eq!(of("Processed".into()).state(), Some("Processed"));
        assert_eq!(of(6.into()).state(), Some("ProcessedWithErrors"));
        assert_eq!(of(99.into()).state(), None);
        let unknown: JobStatus = serde_json::from_str(r#"{"DataJobStatus":null}"#).expect("RI-29");
        assert_eq!(unknown.state(), None);
    }

    #[test]
    fn any_name_of_a_file_is_an_external_identifier() {
        assert_eq!(external_identifier("a b.csv").as_bytes(), b"a b.csv");
        assert_eq!(external_identifier("a\nb\u{7f}.csv").as_bytes(), b"a b .csv");
        assert_eq!(external_identifier("Größe.csv").as_bytes(), "Größe.csv".as_bytes());
    }
}

//! The package API and its blobs (contract section 4).

use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::super::trouble::{Kind, Trouble};
use super::{Client, read};

/// Where every action hangs.
const ACTIONS: [&str; 2] = ["data", "DataManagementDefinitionGroups"];
/// What an action's name begins with.
const NAMESPACE: &str = "Microsoft.Dynamics.DataEntities.";
/// Version of the blob protocol, for uploads of any size in one request.
const BLOB_VERSION: &str = "2021-12-02";

/// What `ImportFromPackage` is told.
#[derive(Debug)]
pub struct ImportRequest<'a> {
    /// Where the package was uploaded to.
    pub blob_url: &'a str,
    /// The project.
    pub project: &'a str,
    /// The execution's id, of the agent's making (PKG-11a).
    pub execution: &'a str,
    /// Whether records go on from staging.
    pub execute: bool,
    /// Whether the project becomes what the package says.
    pub overwrite: bool,
    /// Company.
    pub legal_entity: &'a str,
}

/// What `ExportToPackage` is told.
#[derive(Debug)]
pub struct ExportRequest<'a> {
    /// The project.
    pub project: &'a str,
    /// The package's name.
    pub package_name: &'a str,
    /// The execution's id, of the agent's making (PKG-19).
    pub execution: &'a str,
    /// Company.
    pub legal_entity: &'a str,
    /// Only these entities; empty: all.
    pub entities: &'a [String],
}

/// How an execution stands (PKG-12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStatus {
    /// The server has no execution of this id, or not yet (PKG-13).
    Unknown,
    /// It has not ended.
    Running,
    /// It has, with this status.
    Ended(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct WriteUrl {
    #[serde(rename = "BlobUrl")]
    blob_url: String,
}

impl Client {
    /// Calls an action; the text it answers (PKG-0).
    async fn action(&self, action: &str, parameters: &Value) -> Result<String, Trouble> {
        let [data, groups] = ACTIONS;
        let url = self.at(&[data, groups, &format!("{NAMESPACE}{action}")], &[]);
        let request = self.request(Method::POST, url).await?.json(parameters);
        let answer: Answer = read(self.send(request).await?).await?;
        Ok(match answer.value {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        })
    }

    /// A URL to upload a package to (PKG-1).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx, and a URL the agent does not send to.
    pub async fn write_url(&self, name: &str) -> Result<String, Trouble> {
        let answered = self
            .action("GetAzureWriteUrl", &json!({ "uniqueFileName": name }))
            .await?;
        let parsed: WriteUrl = serde_json::from_str(&answered).map_err(|error| {
            Trouble::new(
                Kind::Failed,
                format!("GetAzureWriteUrl answered no BlobUrl (PKG-1): {error}"),
            )
        })?;
        self.blob(&parsed.blob_url)?;
        Ok(parsed.blob_url)
    }

    /// Uploads a package as a block blob (PKG-4). The URL carries the right to: no token goes along.
    ///
    /// # Errors
    /// Whatever the blob host answers but 2xx.
    pub async fn put_blob(&self, blob_url: &str, file: std::fs::File, bytes: u64) -> Result<(), Trouble> {
        let request = self
            .http
            .put(self.blob(blob_url)?)
            .header("x-ms-blob-type", "BlockBlob")
            .header("x-ms-version", BLOB_VERSION)
            .header(reqwest::header::CONTENT_TYPE, "application/zip");
        self.send_file(request, file, bytes).await.map(drop)
    }

    /// Opens a package by its URL, which carries the right to (AUTH-15).
    ///
    /// # Errors
    /// Whatever the blob host answers but 2xx.
    pub async fn get_blob(&self, blob_url: &str) -> Result<Response, Trouble> {
        self.send(self.http.get(self.blob(blob_url)?)).await
    }

    /// A blob may lie on any host, but not behind less than what the server itself is spoken to over.
    fn blob(&self, text: &str) -> Result<Url, Trouble> {
        let url =
            Url::parse(text).map_err(|error| Trouble::new(Kind::Failed, format!("the blob's URL is none: {error}")))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.server.url.scheme() == "http" => Ok(url),
            other => Err(Trouble::new(
                Kind::Failed,
                format!("the blob's URL begins with {other}://, not https://"),
            )),
        }
    }

    /// Submits an import (PKG-11).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx.
    pub async fn import(&self, import: &ImportRequest<'_>) -> Result<(), Trouble> {
        let parameters = json!({
            "packageUrl": import.blob_url,
            "definitionGroupId": import.project,
            "executionId": import.execution,
            "execute": import.execute,
            "overwrite": import.overwrite,
            "legalEntityId": import.legal_entity,
        });
        self.action("ImportFromPackage", &parameters).await.map(drop)
    }

    /// Starts an export (PKG-19); of some entities only by the action that takes a list of them (PKG-22).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx.
    pub async fn export(&self, export: &ExportRequest<'_>) -> Result<(), Trouble> {
        let mut parameters = json!({
            "definitionGroupId": export.project,
            "packageName": export.package_name,
            "executionId": export.execution,
            "reExecute": false,
            "legalEntityId": export.legal_entity,
        });
        let action = if export.entities.is_empty() {
            "ExportToPackage"
        } else {
            parameters["entityList"] = export.entities.join(",").into();
            "ExportToPackageAsync"
        };
        self.action(action, &parameters).await.map(drop)
    }

    /// How an execution stands.
    ///
    /// # Errors
    /// Whatever the server answers but 2xx and 400.
    pub async fn run_status(&self, execution: &str) -> Result<RunStatus, Trouble> {
        let asked = self
            .action("GetExecutionSummaryStatus", &json!({ "executionId": execution }))
            .await;
        Ok(match asked {
            // PKG-13: 400 for an id it does not know, or not yet.
            Err(trouble) if trouble.kind == Kind::Refused => RunStatus::Unknown,
            Err(trouble) => return Err(trouble),
            Ok(status) if matches!(status.as_str(), "NotRun" | "Executing" | "") => RunStatus::Running,
            Ok(status) => RunStatus::Ended(status),
        })
    }

    /// The errors of an execution, or of a message (RI-33): a list where the server writes valid JSON, else its text (PKG-14).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx.
    pub async fn errors(&self, execution: &str) -> Result<Value, Trouble> {
        let text = self
            .action("GetExecutionErrors", &json!({ "executionId": execution }))
            .await?;
        if text.is_empty() {
            return Ok(json!([]));
        }
        Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// The URL of an exported package; empty until it is there (PKG-20).
    ///
    /// # Errors
    /// Whatever the server answers but 2xx.
    pub async fn exported_url(&self, execution: &str) -> Result<String, Trouble> {
        self.action("GetExportedPackageUrl", &json!({ "executionId": execution }))
            .await
    }
}

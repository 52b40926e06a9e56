//! The steps of a file that speak to the server.

use super::Sender;
use crate::agent::client::{ImportRequest, RunStatus, Upload};
use crate::agent::config::Target;
use crate::agent::files::{self, blocking};
use crate::agent::record::{Ending, Parcel, Stage};
use crate::agent::trouble::{Kind, Trouble};
use crate::domain::message::Digest;
use crate::failpoint;

impl Sender {
    /// Sends a file, or uploads a package.
    pub(super) async fn transmit(&mut self, parcel: &Parcel, digest: String, bytes: u64) -> Result<Stage, Trouble> {
        let held = parcel.held.clone();
        let file = blocking(move || match files::look(&held)? {
            None => Ok(Err("it vanished from the processing folder")),
            Some(mark) if mark.bytes != bytes => Ok(Err("it changed while it was in the processing folder")),
            Some(_) => files::open(&held).map(Ok),
        })
        .await?;
        let file = match file {
            Ok(file) => file,
            Err(why) => return Ok(failed("Unsent", None, why.to_owned())),
        };
        let sent = match &self.folder.to {
            Target::Queue {
                job, entity, company, ..
            } => {
                let upload = Upload {
                    job: *job,
                    entity: entity.as_deref(),
                    company: company.as_deref(),
                    name: &parcel.name,
                    id: parcel.id,
                    digest: content_digest(&digest)?,
                    bytes,
                };
                let answered = self.shared.client.enqueue(&upload, file).await;
                failpoint::reached("agent.answered");
                answered.map(|message| Stage::Sent { message })
            }
            Target::Project { .. } => {
                let uploaded = async {
                    let blob_url = self.shared.client.write_url(&format!("{}.zip", parcel.id)).await?;
                    self.shared
                        .client
                        .put_blob(&blob_url, file, bytes)
                        .await
                        .map(|()| blob_url)
                };
                uploaded.await.map(|blob_url| Stage::Uploaded {
                    digest,
                    bytes,
                    blob_url,
                })
            }
        };
        sent.or_else(|trouble| self.judge(parcel, trouble))
    }

    /// Submits a package that was uploaded. What may have been submitted already is asked after first; when it was not, the
    /// package is uploaded once more, because the first link may have run out.
    pub(super) async fn submit(
        &mut self,
        parcel: &Parcel,
        (digest, bytes): (String, u64),
        blob_url: &str,
        is_fresh: bool,
    ) -> Result<Stage, Trouble> {
        let execution = parcel.execution.as_deref().unwrap_or_default();
        let sent = Stage::Sent {
            message: execution.to_owned(),
        };
        if !is_fresh {
            return Ok(match self.shared.client.run_status(execution).await? {
                RunStatus::Unknown => Stage::Sending { digest, bytes },
                RunStatus::Running | RunStatus::Ended(_) => sent,
            });
        }
        let Target::Project {
            project,
            legal_entity,
            overwrite,
            execute,
        } = &self.folder.to
        else {
            let why = "the folder's section of the configuration was one of [[import]] when this file was picked";
            return Ok(failed("Unsent", None, why.to_owned()));
        };
        let request = ImportRequest {
            blob_url,
            project,
            execution,
            execute: *execute,
            overwrite: *overwrite,
            legal_entity,
        };
        let submitted = self.shared.client.import(&request).await;
        failpoint::reached("agent.submitted");
        match submitted {
            Ok(()) => Ok(sent),
            // An attempt before this one may have come through although nobody heard of it.
            Err(trouble) if trouble.kind == Kind::Refused => match self.shared.client.run_status(execution).await? {
                RunStatus::Unknown => self.judge(parcel, trouble),
                RunStatus::Running | RunStatus::Ended(_) => Ok(sent),
            },
            Err(trouble) => self.judge(parcel, trouble),
        }
    }

    /// Whether what was sent has ended, and how (RI-29, PKG-12).
    pub(super) async fn ask(&self, parcel: &Parcel, message: &str) -> Result<Option<Ending>, Trouble> {
        let ended = |status: &str, failure: Option<String>| {
            Some(Ending {
                status: status.to_owned(),
                message: Some(message.to_owned()),
                failure,
            })
        };
        match &self.folder.to {
            Target::Queue {
                until_enqueued: true, ..
            } => Ok(ended("Enqueued", None)),
            Target::Queue { job, .. } => {
                let status = self.shared.client.job_status(*job, message).await?;
                Ok(match status.state() {
                    Some(state @ ("Processed" | "Acked")) => ended(state, None),
                    Some(state @ ("ProcessedWithErrors" | "PreProcessError" | "PostProcessError")) => {
                        let log = status.execution_log.clone().filter(|log| !log.trim().is_empty());
                        ended(
                            state,
                            Some(log.unwrap_or_else(|| "the server rejected records".to_owned())),
                        )
                    }
                    Some(_) => None,
                    None => {
                        tracing::warn!(
                            folder = parcel.flow,
                            file = parcel.name,
                            message,
                            "the server does not know this message, or not yet"
                        );
                        None
                    }
                })
            }
            Target::Project { .. } => Ok(match self.shared.client.run_status(message).await? {
                RunStatus::Ended(status) if status == "Succeeded" => ended(&status, None),
                RunStatus::Ended(status) => ended(&status, Some("the execution did not succeed".to_owned())),
                RunStatus::Running => None,
                RunStatus::Unknown => {
                    tracing::warn!(
                        folder = parcel.flow,
                        file = parcel.name,
                        execution = message,
                        "the server does not know this execution, or not yet"
                    );
                    None
                }
            }),
        }
    }

    /// Whether trouble ends a file: a refusal does, and so do many answers with status 500.
    fn judge(&mut self, parcel: &Parcel, trouble: Trouble) -> Result<Stage, Trouble> {
        match trouble.kind {
            Kind::Refused => Ok(failed("Refused", None, trouble.what)),
            Kind::Failed => {
                let times = self.failures.entry(parcel.id).or_default();
                *times += 1;
                if *times < self.shared.retry.attempts_max {
                    return Err(trouble);
                }
                Ok(failed(
                    "Refused",
                    None,
                    format!("given up after {times} attempts: {}", trouble.what),
                ))
            }
            Kind::Away | Kind::NotAllowed | Kind::Local => Err(trouble),
        }
    }
}

fn failed(status: &str, message: Option<String>, why: String) -> Stage {
    Stage::Ended(Ending {
        status: status.to_owned(),
        message,
        failure: Some(why),
    })
}

/// The header's form of a digest in hexadecimal digits.
fn content_digest(hex: &str) -> Result<String, Trouble> {
    let pairs = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok());
    let bytes = pairs
        .collect::<Option<Vec<u8>>>()
        .and_then(|bytes| bytes.try_into().ok());
    let bytes =
        bytes.ok_or_else(|| Trouble::new(Kind::Local, format!("the journal has a digest that is none: {hex:?}")))?;
    Ok(Digest(bytes).content_digest())
}

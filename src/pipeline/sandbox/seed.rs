//! Seed data: files that are pushed through their jobs, as any client would, so that a test begins with what it needs.
//!
//! A folder holds a folder for each job, called as the job; a number and a dash before the name (`10-Inbound customers`) say the order.
//! In it are files, or for jobs of several entities folders called as the entity with files. Folders go one after the other: the
//! messages of one have ended before the next begins.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::io::ReaderStream;

use crate::definitions::Definitions;
use crate::domain::ids::MessageId;
use crate::domain::job::{Direction, Job};
use crate::domain::message::{Message, Wait};
use crate::domain::status::Status;
use crate::pipeline::Context;
use crate::pipeline::enqueue::{self, Envelope};

/// Who enqueued them, in their status.
const SENDER: &str = "seed";
/// How long the messages of one folder may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// Between two looks at a message.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A file that was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seeded {
    /// The job.
    pub job: String,
    /// The file, below the seed folder.
    pub file: String,
    /// Its message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// How it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Records applied, and rejected.
    pub applied: u64,
    /// Records rejected.
    pub rejected: u64,
    /// Why it was not pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A file to push.
#[derive(Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    entity: Option<String>,
}

/// The files of one job.
struct Batch<'a> {
    job: &'a Job,
    files: Vec<File>,
}

/// Checks a seed folder against the jobs there are.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check(folder: &Path, definitions: &Definitions) -> Result<(), String> {
    plan(folder, definitions).map(drop)
}

/// Pushes all files of a seed folder and waits until their messages have ended. What became of each; no failure keeps the others.
pub async fn push(context: &Context, definitions: &Definitions, folder: &Path) -> Vec<Seeded> {
    let batches = match plan(folder, definitions) {
        Ok(batches) => batches,
        Err(error) => {
            tracing::error!("the seed folder cannot be used: {error}");
            return vec![failed(String::new(), String::new(), error)];
        }
    };
    let mut seeded = Vec::new();
    for batch in batches {
        let first = seeded.len();
        for file in &batch.files {
            let shown = file
                .path
                .strip_prefix(folder)
                .unwrap_or(&file.path)
                .display()
                .to_string();
            seeded.push(match push_file(context, definitions, batch.job, file).await {
                Ok(message) => pushed(batch.job, shown, &message),
                Err(error) => {
                    tracing::warn!(file = shown, "a seed file was not pushed: {error}");
                    failed(batch.job.name.clone(), shown, error)
                }
            });
        }
        if batch.job.direction == Direction::Import {
            wait_for(context, &mut seeded[first..]).await;
        }
    }
    let pushed = seeded.iter().filter(|one| one.error.is_none()).count();
    tracing::info!(files = pushed, folder = %folder.display(), "pushed the seed files");
    seeded
}

async fn push_file(context: &Context, definitions: &Definitions, job: &Job, file: &File) -> Result<Message, String> {
    let name = file.path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut envelope = Envelope {
        entity: file.entity.clone(),
        external_id: name,
        sender: SENDER.to_owned(),
        ..Envelope::default()
    };
    enqueue::check(job, definitions, &mut envelope).map_err(|error| error.to_string())?;
    let opened = tokio::fs::File::open(&file.path).await;
    let body = ReaderStream::new(opened.map_err(|error| format!("it cannot be read: {error}"))?);
    let taken = Box::pin(enqueue::enqueue(context, job, envelope, body)).await;
    taken.map(|taken| taken.message).map_err(|error| error.to_string())
}

/// Waits until these have ended, or wait for a time to come.
async fn wait_for(context: &Context, seeded: &mut [Seeded]) {
    let until = Instant::now() + PATIENCE;
    for one in seeded {
        let Some(id) = one.message else { continue };
        while Instant::now() < until {
            // A store that does not answer now may do so with the next look.
            if let Ok(Some(message)) = context.store.message(id).await {
                *one = Seeded {
                    status: Some(message.status),
                    applied: message.counts.applied(),
                    rejected: message.counts.rejected,
                    ..one.clone()
                };
                if message.status.is_final() || message.wait == Some(Wait::Delayed) {
                    break;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn pushed(job: &Job, file: String, message: &Message) -> Seeded {
    Seeded {
        job: job.name.clone(),
        file,
        message: Some(message.id),
        status: Some(message.status),
        applied: 0,
        rejected: 0,
        error: None,
    }
}

fn failed(job: String, file: String, error: String) -> Seeded {
    Seeded {
        job,
        file,
        message: None,
        status: None,
        applied: 0,
        rejected: 0,
        error: Some(error),
    }
}

/// What is to be pushed, in its order.
fn plan<'a>(folder: &Path, definitions: &'a Definitions) -> Result<Vec<Batch<'a>>, String> {
    let mut batches = Vec::new();
    for path in entries(folder)? {
        if !path.is_dir() {
            // What explains the folder, perhaps.
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let job = definitions
            .find_job(&name)
            .or_else(|| definitions.find_job(unnumbered(&name)));
        let job = job.ok_or_else(|| {
            format!(
                "{}: there is no job `{}`; a folder is called as the job its files are for",
                path.display(),
                unnumbered(&name)
            )
        })?;
        if job.direction == Direction::Export {
            return Err(format!(
                "{}: `{}` is an export job; it takes no files",
                path.display(),
                job.name
            ));
        }
        let mut files = Vec::new();
        for path in entries(&path)? {
            if path.is_dir() {
                let entity = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let inner = entries(&path)?.into_iter().filter(|path| path.is_file());
                files.extend(inner.map(|path| File {
                    path,
                    entity: Some(unnumbered(&entity).to_owned()),
                }));
            } else {
                files.push(File { path, entity: None });
            }
        }
        batches.push(Batch { job, files });
    }
    Ok(batches)
}

/// What is in a folder, by name; hidden files are not.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// A name without the number that says its place.
fn unnumbered(name: &str) -> &str {
    let rest = name.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() == name.len() {
        return name;
    }
    rest.strip_prefix('-').map_or(name, str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Definitions {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        Definitions::load(&folder.join("jobs"), &folder.join("entities"), &["main".to_owned()]).expect("they load")
    }

    fn write(folder: &Path, name: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, "x").expect("written");
    }

    #[test]
    fn folders_are_jobs_in_the_order_of_their_numbers() {
        let (folder, definitions) = (tempfile::tempdir().expect("a folder"), shipped());
        for name in [
            "README.md",
            "10-Inbound customers/b.csv",
            "10-Inbound customers/a.csv",
            "10-Inbound customers/.hidden",
            "20-inbound sales orders/Sales order headers/orders.csv",
        ] {
            write(folder.path(), name);
        }
        let plan = plan(folder.path(), &definitions).unwrap_or_else(|error| panic!("{error}"));
        let files: Vec<_> = plan
            .iter()
            .flat_map(|batch| batch.files.iter().map(|file| (batch.job.name.as_str(), file)))
            .map(|(job, file)| {
                (
                    job,
                    file.path.file_name().expect("a name").to_owned(),
                    file.entity.clone(),
                )
            })
            .collect();
        assert_eq!(
            files,
            [
                ("Inbound customers", "a.csv".into(), None),
                ("Inbound customers", "b.csv".into(), None),
                (
                    "Inbound sales orders",
                    "orders.csv".into(),
                    Some("Sales order headers".to_owned())
                ),
            ]
        );
    }

    #[test]
    fn a_folder_without_a_job_and_one_of_an_export_are_refused() {
        for (name, said) in [
            ("Inbound custmers/a.csv", "there is no job `Inbound custmers`"),
            ("Nightly sales orders/a.csv", "is an export job"),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            write(folder.path(), name);
            let error = check(folder.path(), &shipped()).expect_err(name);
            assert!(error.contains(said), "{error}");
        }
        assert!(
            check(Path::new("/nowhere/at/all"), &shipped())
                .expect_err("missing")
                .contains("cannot be read")
        );
    }
}

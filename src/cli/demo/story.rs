//! The journey itself, told over HTTP: each step does something, checks it, and says what happened.

use std::path::{Path, PathBuf};

use tokio::fs;
use tokio::time::Instant;
use url::Url;

use super::mistakes::{self, Planted};
use super::package::Package;
use super::promises::Promises;
use super::scratch;
use crate::cli::answers::{Message, Occurrence, RecordError, RecordErrors, Records};
use crate::cli::api::Api;
use crate::cli::screen::{Screen, Tone, count, counted, plain};
use crate::cli::{Failure, pull, push, show, wait};

/// The sample jobs, in the order of the story.
#[cfg(test)]
pub(super) const JOBS: [&str; 3] = [CUSTOMERS, ORDERS, EXPORT];
const CUSTOMERS: &str = "Inbound customers";
const ORDERS: &str = "Inbound sales orders";
const EXPORT: &str = "Nightly sales orders";
/// Lines of the exported file that are shown, and how much of each.
const LINES_SHOWN: usize = 3;
const LINE_CHARS_SHOWN: usize = 96;

/// Tells the story.
pub(super) struct Guide<'a> {
    screen: &'a Screen,
    folder: &'a Path,
    api: Api,
    promises: Promises,
    began: Instant,
}

/// What is left when the story is told.
pub(super) struct Told {
    /// What was claimed.
    pub promises: Promises,
    /// The message with the three bad records.
    pub orders: String,
    /// The export job.
    pub export_job: String,
}

impl<'a> Guide<'a> {
    pub(super) fn new(
        screen: &'a Screen,
        folder: &'a Path,
        address: &str,
        id: &str,
        secret: &str,
    ) -> Result<Self, Failure> {
        let base = Url::parse(address).map_err(|error| Failure::failed(format!("{address}: {error}")))?;
        Ok(Self {
            screen,
            folder,
            api: Api::new(base, id, secret)?,
            promises: Promises::default(),
            began: Instant::now(),
        })
    }

    pub(super) async fn tell(mut self) -> Result<Told, Failure> {
        let title = self.screen.paint(Tone::Strong, "Tranship, the whole journey");
        self.say(format!(
            "{title}  on {}",
            self.api.base().as_str().trim_end_matches('/')
        ));
        self.customers().await?;
        let (orders, planted) = self.orders().await?;
        self.repair(&orders, &planted).await?;
        self.again().await?;
        let run = self.export().await?;
        self.collect(&run).await?;
        self.say("");
        self.say(format!(
            "All of it in {:.1} seconds.",
            self.began.elapsed().as_secs_f64()
        ));
        Ok(Told {
            promises: self.promises,
            orders: orders.id,
            export_job: EXPORT.to_owned(),
        })
    }

    /// Master data first: sales orders refer to customers.
    async fn customers(&mut self) -> Result<(), Failure> {
        self.heading(1, "Customers");
        let ended = self.push(CUSTOMERS, "customers.csv", scratch::CUSTOMERS).await?;
        let sent = mistakes::records(scratch::CUSTOMERS)?;
        let records = ended.records;
        let all = ended.status == "Processed" && records.read == sent && records.applied == sent;
        let found = format!("{} of {} customers", count(records.applied), count(sent));
        self.promises.add("A file pushed in lands record by record", all, found);
        Ok(())
    }

    /// A file with three bad records: they are named, the others land.
    async fn orders(&mut self) -> Result<(Message, Vec<Planted>), Failure> {
        self.heading(2, "Sales orders, three of them spoiled on purpose");
        let (file, planted) = mistakes::spoil(scratch::ORDERS)?;
        for mistake in &planted {
            self.say(format!(
                "   record {}, line {}, column {} ({}): {} → {}  {}",
                mistake.record,
                mistake.line,
                mistake.column,
                mistake.name,
                mistake.right,
                self.screen.paint(Tone::Bad, mistake.wrong),
                self.screen.paint(Tone::Faint, mistake.what),
            ));
        }
        let ended = self.push(ORDERS, "orders-with-three-mistakes.csv", &file).await?;
        if !self.screen.is_json() {
            show::causes(self.screen, "   ", &ended.errors);
        }
        let (sent, bad) = (mistakes::records(&file)?, planted.len() as u64);
        let records = ended.records;
        let kept = ended.status == "ProcessedWithErrors"
            && records.read == sent
            && records.applied == sent - bad
            && records.rejected == bad;
        let found = format!("{} landed, {} did not", count(records.applied), count(records.rejected));
        self.promises.add("One bad record costs one record", kept, found);
        let page: RecordErrors = self
            .api
            .get(&["api", "v1", "messages", &ended.id, "errors"], &[])
            .await?
            .body;
        let named = planted
            .iter()
            .filter(|mistake| page.errors.iter().any(|error| names(error, mistake)))
            .count();
        let kept = named == planted.len() && page.errors.len() == planted.len();
        let found = format!("{named} of {bad} with record, line, column, code and value");
        self.promises.add("Every reject is named where it stands", kept, found);
        let found = format!(
            "{} read = {} applied + {} rejected + {} skipped",
            count(records.read),
            count(records.applied),
            count(records.rejected),
            count(records.skipped)
        );
        self.promises
            .add("Nothing is lost, nothing counted twice", records.conserved(), found);
        Ok((ended, planted))
    }

    /// Takes the rejects out, corrects them, sends them back as a child.
    async fn repair(&mut self, parent: &Message, planted: &[Planted]) -> Result<(), Failure> {
        self.heading(3, "Take the three out, correct them, send them back");
        let from = self.api.at(&["api", "v1", "messages", &parent.id, "rejects"], &[]);
        self.request("GET", &from);
        let rejects = self.api.open(from).await?.bytes().await;
        let rejects = rejects.map_err(|error| Failure::failed(format!("the rejects file broke off: {error}")))?;
        let corrected = mistakes::correct(&rejects, planted)?;
        let taken_out = mistakes::records(&rejects)?;
        self.keep("rejects.csv", &rejects).await?;
        let path = self.keep("rejects-corrected.csv", &corrected).await?;
        for mistake in planted {
            self.say(format!(
                "   order {}  {}: {} → {}",
                mistake.key,
                mistake.name,
                self.screen.paint(Tone::Bad, mistake.wrong),
                self.screen.paint(Tone::Good, &mistake.right)
            ));
        }
        let to = self.api.at(&["api", "v1", "messages", &parent.id, "resubmit"], &[]);
        self.request("POST", &to);
        let child = push::send_file(&self.api, self.screen, &path, to, None).await?.body;
        let child = self.end_of(&child.id).await?;
        let after = self.api.message(&parent.id).await?.body;
        self.say(format!(
            "   the message itself: {}, {} repaired",
            plain(&after.status),
            count(after.records.repaired)
        ));

        let bad = planted.len() as u64;
        let landed = taken_out == bad
            && child.status == "Processed"
            && child.records.applied == bad
            && child
                .links
                .parent
                .as_deref()
                .is_some_and(|link| link.contains(&parent.id))
            && after.records.repaired == bad;
        let found = format!(
            "{} of {bad} repaired by message {}",
            count(after.records.repaired),
            plain(&child.id)
        );
        self.promises
            .add("Rejects can be corrected and sent back", landed, found);
        let own = Records {
            repaired: 0,
            ..after.records
        };
        let kept = own == parent.records && after.status == parent.status;
        self.promises.add(
            "What happened stays as it happened",
            kept,
            "the first message's own numbers did not change",
        );
        Ok(())
    }

    /// The file as it should have been: everything is there already.
    async fn again(&mut self) -> Result<(), Failure> {
        self.heading(4, "The whole good file again");
        let ended = self.push(ORDERS, "orders.csv", scratch::ORDERS).await?;
        let sent = mistakes::records(scratch::ORDERS)?;
        let kept = ended.status == "Processed" && ended.records.unchanged == sent && ended.records.read == sent;
        let found = format!("{} of {} unchanged", count(ended.records.unchanged), count(sent));
        self.promises.add("The same file again changes nothing", kept, found);
        Ok(())
    }

    /// The nightly export, now.
    async fn export(&mut self) -> Result<Occurrence, Failure> {
        self.heading(5, "The nightly export, tonight a little early");
        let path = ["api", "v1", "jobs", EXPORT, "run"];
        self.request("POST", &self.api.at(&path, &[]));
        let asked: Occurrence = self.api.post(&path, None).await?.body;
        let run = wait::run_end(&self.api, self.screen, EXPORT, &asked.due_at)
            .await?
            .body
            .occurrence;
        let records = run.records.unwrap_or_default();
        self.say(format!(
            "   {}: {} packed",
            plain(&run.state),
            counted(records, "record")
        ));
        if let Some(note) = &run.note {
            self.say(format!("   {}", plain(note)));
        }
        let kept = run.state == "done" && run.message.is_some() && records > 0;
        self.promises.add(
            "A schedule's run is queued for collection",
            kept,
            counted(records, "record"),
        );
        Ok(run)
    }

    /// What middleware does every morning: dequeue, download, verify, acknowledge.
    async fn collect(&mut self, run: &Occurrence) -> Result<(), Failure> {
        self.heading(6, "Collect, verify, acknowledge");
        let job = self.api.job(EXPORT).await?.body;
        self.request("GET", &self.api.at(&["api", "connector", "dequeue", &job.id], &[]));
        let delivery = self
            .api
            .dequeue(&job.id)
            .await?
            .ok_or_else(|| Failure::failed("the export is done, but its queue has nothing to collect"))?;
        let folder = self.folder.join("collected");
        fs::create_dir_all(&folder)
            .await
            .map_err(|error| Failure::file("make", &folder, &error))?;
        let file = pull::collect(&self.api, self.screen, &job, &delivery, &folder).await?;
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.say(format!(
            "   {name}, {}, sha-256 {}",
            counted(file.bytes, "byte"),
            file.digest.hex()
        ));

        let queued = run.message.as_deref().unwrap_or_default();
        let stated = self.api.message(queued).await?.body.digest;
        let verified = stated.as_deref() == Some(file.digest.content_digest().as_str());
        self.promises.add(
            "What arrives is what was sent",
            verified,
            "digest computed here, stated there, the same",
        );

        let package = fs::read(&file.path)
            .await
            .map_err(|error| Failure::file("read", &file.path, &error))?;
        let package = Package::open(package)?;
        self.say(format!("   holds {}", package.names.join(", ")));
        for line in package.data.lines().take(LINES_SHOWN) {
            let mut shown: String = line.chars().take(LINE_CHARS_SHOWN).collect();
            if shown.len() < line.len() {
                shown.push('…');
            }
            self.say(format!("   {}", self.screen.paint(Tone::Faint, &plain(&shown))));
        }
        let packed = mistakes::records(package.data.as_bytes())?;
        let kept = package.is_complete() && Some(packed) == run.records;
        let found = format!("manifest, header and {}", counted(packed, "record"));
        self.promises
            .add("A package holds exactly what was exported", kept, found);

        self.request("POST", &self.api.at(&["api", "connector", "ack", &job.id], &[]));
        self.api.acknowledge(&job.id, &delivery).await?;
        let status = self.api.message(queued).await?.body.status;
        let empty = self.api.dequeue(&job.id).await?.is_none();
        let rest = if empty {
            "the queue is empty"
        } else {
            "the queue still has something"
        };
        self.say(format!("   {}, {rest}", plain(&status)));
        let kept = status == "Acked" && empty;
        self.promises.add(
            "Acknowledged once, never offered again",
            kept,
            format!("{}, {rest}", plain(&status)),
        );
        Ok(())
    }

    /// Pushes a file that is kept in the folder too, and waits for its end.
    async fn push(&self, job: &str, name: &str, content: &[u8]) -> Result<Message, Failure> {
        let path = self.keep(name, content).await?;
        let to = self
            .api
            .at(&["api", "v1", "jobs", job, "messages"], &[("external_id", name)]);
        self.request("POST", &to);
        let enqueued = push::send_file(&self.api, self.screen, &path, to, None).await?.body;
        self.end_of(&enqueued.id).await
    }

    /// Waits for a message's end and says how it went.
    async fn end_of(&self, id: &str) -> Result<Message, Failure> {
        let ended = wait::message_end(&self.api, self.screen, id, |_| {}).await?.body;
        let records = ended.records;
        let tone = if ended.exit() == crate::cli::Exit::Ok {
            Tone::Good
        } else {
            Tone::Warning
        };
        self.say(format!(
            "   {}  {} read = {} applied + {} rejected + {} skipped",
            self.screen.paint(tone, &plain(&ended.status)),
            count(records.read),
            count(records.applied),
            count(records.rejected),
            count(records.skipped)
        ));
        let what = [
            (records.inserted, "inserted"),
            (records.updated, "updated"),
            (records.unchanged, "unchanged"),
        ];
        let what = what.iter().filter(|(number, _)| *number > 0);
        let what: Vec<_> = what
            .map(|(number, word)| format!("{} {word}", count(*number)))
            .collect();
        if !what.is_empty() {
            self.say(format!("   {}", what.join(", ")));
        }
        if let Some(failure) = &ended.failure {
            self.say(format!("   {}: {}", plain(&failure.code), plain(&failure.detail)));
        }
        Ok(ended)
    }

    /// Writes a file of the story into the folder, to be looked at afterwards.
    async fn keep(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        fs::write(&path, content)
            .await
            .map_err(|error| Failure::file("write", &path, &error))?;
        Ok(path)
    }

    fn heading(&self, number: u32, title: &str) {
        self.say("");
        self.say(self.screen.paint(Tone::Strong, &format!("{number}  {title}")));
    }

    /// The request a step makes, so that everything seen here can be done by hand.
    fn request(&self, method: &str, url: &Url) {
        let address = format!(
            "   {method} {}{}",
            url.path(),
            url.query().map(|q| format!("?{q}")).unwrap_or_default()
        );
        self.say(self.screen.paint(Tone::Faint, &address));
    }

    fn say(&self, line: impl AsRef<str>) {
        if !self.screen.is_json() {
            self.screen.line(line);
        }
    }
}

/// Whether an error names the planted mistake exactly.
fn names(error: &RecordError, mistake: &Planted) -> bool {
    error.record == Some(mistake.record)
        && error.line == Some(mistake.line)
        && error.column == Some(mistake.column)
        && error.value.as_deref() == Some(mistake.wrong)
        && mistake
            .codes
            .iter()
            .any(|code| error.code.as_deref() == Some(code.as_str()))
        && error.reason.as_deref().is_some_and(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_must_name_the_mistake_in_every_respect() {
        let mistake = Planted {
            record: 17,
            line: 18,
            column: 2,
            name: "CustomerID",
            key: "10264".to_owned(),
            wrong: "ZZZZZ",
            right: "FOLKO".to_owned(),
            codes: &[crate::domain::reject::RecordCode::ReferenceMissing],
            what: "",
        };
        let error = RecordError {
            record: Some(17),
            line: Some(18),
            column: Some(2),
            code: Some("reference_missing".to_owned()),
            value: Some("ZZZZZ".to_owned()),
            reason: Some("there is no such customer".to_owned()),
            ..RecordError::default()
        };
        assert!(names(&error, &mistake));
        for other in [
            RecordError {
                line: Some(19),
                ..error.clone()
            },
            RecordError {
                column: None,
                ..error.clone()
            },
            RecordError {
                code: Some("too_long".to_owned()),
                ..error.clone()
            },
            RecordError {
                value: None,
                ..error.clone()
            },
            RecordError {
                reason: Some(String::new()),
                ..error.clone()
            },
        ] {
            assert!(!names(&other, &mistake), "{other:?}");
        }
    }
}

//! Many messages at once: which ones, how many, whether that is meant, and what came of it.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::answers::{Counted, FailedMessage, Report};
use super::api::Api;
use super::connection::{name_or_id, not_empty};
use super::progress::{self, Cleared};
use super::screen::{Screen, Tone, counted, plain};
use super::{Exit, Failure, show};
use crate::domain::ids::MessageId;
use crate::domain::schedule::moment::Moment;
use crate::pipeline::find::WantedStatus;

/// Ids in one call.
const IDS_PER_CALL: usize = 500;
/// A call acts on so many messages, and takes no longer than this.
const MESSAGES_PER_CALL: u64 = 500;
const CALL_SECONDS_MAX: u64 = 120;

/// Which messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Which messages")]
pub struct Filters {
    /// Only of this job (name or activity id)
    #[arg(long, value_name = "JOB", value_parser = name_or_id)]
    pub job: Option<String>,
    /// Only in this status, e.g. `ProcessedWithErrors`, or `failed`
    #[arg(long, value_name = "STATUS", value_parser = status_word)]
    pub status: Option<String>,
    /// Only those that failed as a whole with this code, or have records that were rejected for it
    #[arg(long, value_name = "CODE", value_parser = not_empty)]
    pub code: Option<String>,
    /// Only those with this in their file name or external id, in any case
    #[arg(long, value_name = "TEXT", value_parser = not_empty)]
    pub file: Option<String>,
    /// Only those with exactly this external id
    #[arg(long, value_name = "TEXT", value_parser = not_empty)]
    pub external_id: Option<String>,
    /// Only those enqueued at this time or later: 2026-01-31 or 2026-01-31T18:00, in UTC, or an instant
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub since: Option<String>,
    /// Only those enqueued before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub until: Option<String>,
    /// Only those that ended at this time or later
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub ended_since: Option<String>,
    /// Only those that ended before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub ended_until: Option<String>,
    /// Only those with the record that has this key: its values in the order of the key's fields, with commas between them
    #[arg(long, value_name = "VALUES", value_parser = not_empty)]
    pub key: Option<String>,
    /// Label or technical name of that record's entity, where the job has several or none is named
    #[arg(long, value_name = "NAME", requires = "key", value_parser = not_empty)]
    pub entity: Option<String>,
}

impl Filters {
    /// Those that are given, as the service calls them.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("job", &self.job),
            ("status", &self.status),
            ("code", &self.code),
            ("file", &self.file),
            ("external_id", &self.external_id),
            ("enqueued_from", &self.since),
            ("enqueued_before", &self.until),
            ("ended_from", &self.ended_since),
            ("ended_before", &self.ended_until),
            ("entity", &self.entity),
            ("key", &self.key),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .collect()
    }
}

/// How it is done.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct How {
    /// Only say how many there are, of which jobs
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// A message's id as the service writes it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn message_id(text: &str) -> Result<String, String> {
    let id = text.parse::<MessageId>().map_err(|error| error.to_string())?;
    Ok(id.to_string())
}

fn status_word(text: &str) -> Result<String, String> {
    match text.parse::<WantedStatus>()? {
        WantedStatus::One(status) => Ok(status.as_str().to_owned()),
        _ => Ok(WantedStatus::FAILED.to_owned()),
    }
}

fn instant(text: &str) -> Result<String, String> {
    let moment = Moment::parse(text).map(|moment| moment.first(chrono_tz::UTC).to_string());
    moment.ok_or_else(|| "write 2026-01-31 or 2026-01-31T18:00, in UTC, or 2026-01-31T18:00:00+02:00".to_owned())
}

/// What is to be done to which messages.
pub(super) struct Bulk<'a> {
    /// `retry` or `cancel`.
    pub action: &'static str,
    /// These; where there are none, all that are like `filters`.
    pub ids: &'a [String],
    pub filters: &'a Filters,
    /// Put back ones are offered at this rate.
    pub per_second: Option<u32>,
    pub how: &'a How,
}

/// What came of it.
#[derive(Default)]
struct Tally {
    done: u64,
    asked: u64,
    failed: Vec<FailedMessage>,
    raw: Vec<Value>,
}

impl Bulk<'_> {
    /// Does it.
    ///
    /// # Errors
    /// [`Exit::Usage`] where it is not said which messages; whatever the service refuses.
    pub async fn run(&self, api: &Api, screen: &Screen) -> Result<Exit, Failure> {
        let which = self.which()?;
        let mut total = self.ids.len() as u64;
        if self.how.dry_run || total != 1 {
            let counted = self.count(api, &which).await?;
            if self.how.dry_run {
                self.show_count(screen, &counted);
                return Ok(Exit::Ok);
            }
            total = counted.iter().map(|(_, counted)| counted.matched).sum();
            if total == 0 && counted.iter().all(|(_, counted)| !counted.at_least) {
                return Ok(self.finish(screen, &Tally::default()));
            }
            let is_more = counted.iter().any(|(_, counted)| counted.at_least);
            if (total > 1 || is_more) && !self.is_meant(screen, total, is_more)? {
                return Err(Failure::failed("nothing was done"));
            }
        }
        let tally = self.go_through(api, screen, &which, total).await?;
        Ok(self.finish(screen, &tally))
    }

    /// The part of each call that says which messages.
    fn which(&self) -> Result<Vec<Value>, Failure> {
        let filters = self.filters.pairs();
        match (self.ids.is_empty(), filters.is_empty()) {
            (true, true) => Err(Failure::usage("which messages?")
                .cure("Name their ids, or say what they are like: --job, --status, --code, --file, --since, --until.")),
            (false, false) => Err(Failure::usage("ids and filters do not go together").cure("Leave out one of them.")),
            (true, false) => {
                let members = filters
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), Value::from(value)));
                Ok(vec![json!({ "filter": members.collect::<serde_json::Map<_, _>>() })])
            }
            (false, true) => Ok(self.ids.chunks(IDS_PER_CALL).map(|ids| json!({ "ids": ids })).collect()),
        }
    }

    fn body(&self, which: &Value, more: &Value) -> Value {
        let mut body = json!({ "action": self.action });
        for part in [which, more] {
            if let (Some(body), Some(part)) = (body.as_object_mut(), part.as_object()) {
                body.extend(part.clone());
            }
        }
        body
    }

    async fn count(&self, api: &Api, which: &[Value]) -> Result<Vec<(Value, Counted)>, Failure> {
        let mut all = Vec::with_capacity(which.len());
        for which in which {
            let body = self.body(which, &json!({ "dry_run": true }));
            let answer = api
                .post_within::<Counted>(CALL_SECONDS_MAX, &["api", "v1", "messages", "bulk"], Some(&body))
                .await?;
            all.push((answer.raw, answer.body));
        }
        Ok(all)
    }

    fn show_count(&self, screen: &Screen, counted_parts: &[(Value, Counted)]) {
        for (raw, part) in counted_parts {
            if screen.is_json() {
                screen.json(raw);
                continue;
            }
            let at_least = if part.at_least { "at least " } else { "" };
            screen.line(format!(
                "{at_least}{} to {}",
                counted(part.matched, "message"),
                self.action
            ));
            for job in &part.jobs {
                screen.line(format!("  {}  {}", counted(job.matched, "message"), plain(&job.job)));
            }
            if part.will_fail > 0 {
                let text = format!("{} of these cannot be", counted(part.will_fail, "message"));
                screen.line(screen.paint(Tone::Warning, &text));
            }
            if !part.sample.is_empty() {
                screen.note("The first of them:");
                show::messages(screen, &part.sample);
            }
        }
    }

    /// Asks a person who is there.
    fn is_meant(&self, screen: &Screen, total: u64, is_more: bool) -> Result<bool, Failure> {
        let is_asked = screen.is_terminal() && std::io::stdin().is_terminal() && !screen.is_json();
        if self.how.yes || !is_asked {
            return Ok(true);
        }
        let at_least = if is_more { "at least " } else { "" };
        let verb = if self.action == "retry" { "Try again" } else { "Cancel" };
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{verb} {at_least}{}? [y/N] ", counted(total, "message"));
        let _ = err.flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.map_err(|error| Failure::failed(format!("cannot read your answer: {error}")))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    async fn go_through(&self, api: &Api, screen: &Screen, which: &[Value], total: u64) -> Result<Tally, Failure> {
        let bar = Cleared::from(progress::messages(screen, self.action, total));
        let mut tally = Tally::default();
        for which in which {
            let mut after = Value::Null;
            loop {
                let more = json!({ "limit": MESSAGES_PER_CALL, "after": after, "per_second": self.per_second });
                let body = self.body(which, &more);
                let answer = api
                    .post_within::<Report>(CALL_SECONDS_MAX, &["api", "v1", "messages", "bulk"], Some(&body))
                    .await?;
                let report = answer.body;
                bar.inc(report.done + report.asked + report.failed.len() as u64);
                tally.done += report.done;
                tally.asked += report.asked;
                tally
                    .raw
                    .extend(answer.raw["failed"].as_array().cloned().unwrap_or_default());
                tally.failed.extend(report.failed);
                let Some(next) = report.next else { break };
                after = next.into();
            }
        }
        Ok(tally)
    }

    fn finish(&self, screen: &Screen, tally: &Tally) -> Exit {
        if screen.is_json() {
            screen.json(&json!({
                "action": self.action, "done": tally.done, "asked": tally.asked, "failed": tally.raw,
            }));
        } else {
            let became = if self.action == "retry" {
                "put back"
            } else {
                "cancelled"
            };
            screen.line(format!("{} {became}", counted(tally.done, "message")));
            if tally.asked > 0 {
                let workers = counted(tally.asked, "message");
                screen.line(format!(
                    "{workers} held by a worker, which ends it at its next heartbeat"
                ));
            }
            for failed in &tally.failed {
                let [id, code, detail] = [&failed.id, &failed.code, &failed.detail].map(|text| plain(text));
                screen.line(format!("{}  {code}  {detail}", screen.paint(Tone::Bad, &id)));
            }
        }
        exit(&tally.failed)
    }
}

fn exit(failed: &[FailedMessage]) -> Exit {
    match failed {
        [] => Exit::Ok,
        failed if failed.iter().all(|failed| failed.code == "not_found") => Exit::Refused,
        _ => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_known_in_any_case_and_others_are_named() {
        assert_eq!(status_word("processedwitherrors").as_deref(), Ok("ProcessedWithErrors"));
        assert_eq!(status_word("Failed").as_deref(), Ok("failed"));
        assert!(
            status_word("Executing")
                .expect_err("no status")
                .contains("PostProcessingFailed")
        );
    }

    #[test]
    fn times_become_instants() {
        assert_eq!(instant("2026-01-31").as_deref(), Ok("2026-01-31T00:00:00Z"));
        assert!(instant("2026-01-31T18:00:00+02:00").is_ok_and(|at| at.starts_with("2026-01-31T16:00:00")));
        assert!(instant("monday").is_err());
    }

    #[test]
    fn it_is_said_which_messages() {
        let (ids, filters, how) = (vec!["a".to_owned(); 501], Filters::default(), How::default());
        let bulk = |ids, filters| Bulk {
            action: "retry",
            ids,
            filters,
            per_second: None,
            how: &how,
        };
        let which = bulk(&ids, &filters).which().expect("ids");
        assert_eq!((which.len(), which[1]["ids"].as_array().map(Vec::len)), (2, Some(1)));
        assert_eq!(bulk(&[], &filters).which().expect_err("nothing").exit, Exit::Usage);
        let of_job = Filters {
            job: Some("Shop".to_owned()),
            ..Filters::default()
        };
        assert_eq!(
            bulk(&[], &of_job).which(),
            Ok(vec![json!({ "filter": { "job": "Shop" } })])
        );
        assert_eq!(bulk(&ids, &of_job).which().expect_err("both").exit, Exit::Usage);
    }

    #[test]
    fn the_exit_says_whether_all_was_done() {
        let failed = |code: &str| FailedMessage {
            id: "m".to_owned(),
            code: code.to_owned(),
            detail: String::new(),
        };
        assert_eq!(exit(&[]), Exit::Ok);
        assert_eq!(exit(&[failed("not_found")]), Exit::Refused);
        assert_eq!(exit(&[failed("not_found"), failed("ended")]), Exit::Failed);
    }
}

//! `tranship erase`: removes a person's data from what the service keeps. Works on the store itself, beside a running service.

mod say;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::actor::entry;
use super::progress::{self, Cleared};
use say::{NOT_REACHED, left, say_report};

use super::screen::{Screen, counted, plain};
use super::settings::Settings;
use super::shell::program;
use super::store::refusal;
use super::{Exit, Failure};
use crate::app::beside;
use crate::auth::secrets::random_key;
use crate::business::erase::FieldValue;
use crate::definitions::Definitions;
use crate::domain::audit::{Action, NewEntry, Outcome};
use crate::domain::cell::Cell;
use crate::domain::entity::Entity;
use crate::domain::ids::MessageId;
use crate::domain::message::Digest as Hash;
use crate::format::typed::type_canonical;
use crate::hints::nearest;
use crate::pipeline::Context;
use crate::pipeline::erase::{self as use_case, Report, Wanted};
use crate::storage::StoreError;

/// Remove a person's data from payloads, rejects and staging
#[derive(Debug, Args)]
#[command(after_help = "\
Looks into the payload of every message of jobs that carry the entity, imports and exports, alone, in packages and in composites. The payload of
an ended message that holds such a record is withdrawn whole, for its digest is a promise: who fetches it gets 410 `payload_erased`. Its id,
status, counts and error codes stay; what its record errors quote is blanked. Messages that have not ended are named and left alone.
Works beside a running service. Whatever ends it early, run it again: it does the rest.

Not reached: backups, files that agents archived, what was collected or sent to destinations, the blob host, and the target without --target.

Examples:
  tranship erase --entity Customers --key customer_account=C-1042 --dry-run
  tranship erase --entity Customers --key company=usmf --key customer_account=C-1042 --yes")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct Erase {
    /// The entity, by its label or name
    #[arg(long, value_name = "NAME")]
    entity: String,
    /// What the person's records have in a field; several: all of them
    #[arg(long = "key", value_name = "FIELD=VALUE", required = true, value_parser = field_value)]
    keys: Vec<(String, String)>,
    /// Only say what would be erased
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also withdraw payloads that cannot be read to the end, so that nobody can say whether they hold the person
    #[arg(long)]
    unclear: bool,
    /// Also blank the record errors of messages whose payload is gone, so that nobody can say whose they are
    #[arg(long)]
    unmatched: bool,
    /// Also delete the rows of the target table; exports of changes tell of it
    #[arg(long)]
    target: bool,
    /// SQLite: write the files anew at the end, so that no free page holds what was deleted before; others cannot write meanwhile
    #[arg(long)]
    vacuum: bool,
    /// Go on behind this message, named by a run that broke off
    #[arg(long, value_name = "ID", value_parser = message)]
    after: Option<MessageId>,
    /// Print what was erased as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    settings: Settings,
}

fn field_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, value)) if !field.trim().is_empty() && !value.is_empty() => {
            Ok((field.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as FIELD=VALUE, e.g. customer_account=C-1042".to_owned()),
    }
}

fn message(text: &str) -> Result<MessageId, String> {
    text.parse::<MessageId>().map_err(|error| error.to_string())
}

impl Erase {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let config = self.settings.load()?;
        let (context, definitions) = beside::open(&config).await.map_err(|error| unopened(&error))?;
        let wanted = self.wanted(&definitions);
        let done = match wanted {
            Ok(wanted) => self.carry_out(screen, &context, &definitions, wanted).await,
            Err(failure) => Err(failure),
        };
        context.databases.close().await;
        context.store.close().await;
        done
    }

    fn wanted(&self, definitions: &Definitions) -> Result<Wanted, Failure> {
        let entity = definitions.find_entity(&self.entity).ok_or_else(|| {
            let names = definitions.entities.iter().map(|entity| entity.label.as_str());
            let hint = nearest(&self.entity, names).map(|name| format!("; did you mean `{name}`?"));
            let entity = plain(&self.entity);
            Failure::new(
                Exit::Refused,
                format!("there is no entity `{entity}`{}", hint.unwrap_or_default()),
            )
        })?;
        let values = self.keys.iter().map(|(field, text)| value(entity, field, text));
        Ok(Wanted {
            entity: entity.name.clone(),
            values: values.collect::<Result<_, _>>()?,
            dry_run: self.dry_run,
            unclear_too: self.unclear,
            unmatched_too: self.unmatched,
            target_too: self.target,
            after: self.after,
            by: entry(Action::Erase, "").actor,
        })
    }

    async fn carry_out(
        &self,
        screen: &Screen,
        context: &Context,
        definitions: &Arc<Definitions>,
        wanted: Wanted,
    ) -> Result<Exit, Failure> {
        if !self.dry_run && !self.is_meant(screen)? {
            screen.note("Nothing was erased.");
            return Ok(Exit::Failed);
        }
        let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
        let told = told_as(&wanted);
        let mut asked = None;
        if !self.dry_run {
            let seq = context.store.note(told.clone(), Outcome::Asked).await;
            asked = Some(seq.map_err(|error| failed(&error))?);
        }
        let mut last = None;
        let bar = Cleared::from(progress::spinner(screen));
        let mut looked_at = 0_u64;
        let mut tell = |id| {
            looked_at += 1;
            last = Some(id);
            bar.set_message(format!("{} looked at", counted(looked_at, "message")));
        };
        let erased = Box::pin(use_case::erase(context, definitions, &wanted, &mut tell)).await;
        drop(bar);
        let mut report = match erased {
            Ok(report) => report,
            Err(error) => {
                if let Some(asked) = asked {
                    let told = told.with("asked", asked).with("error", error.to_string());
                    let _ = context.store.note(at_now(told), Outcome::Failed).await;
                }
                return Err(broke_off(&error, last));
            }
        };
        if let Some(asked) = asked {
            report.logs_emptied = self.empty_logs(context, definitions, &wanted).await?;
            let told = counts(told.with("asked", asked), &report);
            let noted = context.store.note(at_now(told), Outcome::Done).await;
            noted.map_err(|error| failed(&error))?;
        }
        self.say(screen, &wanted, &report)
    }

    async fn empty_logs(&self, context: &Context, definitions: &Definitions, wanted: &Wanted) -> Result<bool, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
        let emptied = context.store.empty_log(self.vacuum).await;
        let mut emptied = emptied.map_err(|error| failed(&error))?;
        let entity = definitions.entity(&wanted.entity);
        let database = entity.and_then(|entity| context.databases.get(&entity.database));
        if let Some(database) = database.filter(|database| !database.is_yet_to_be_made()) {
            let also = database.empty_log(self.vacuum).await;
            emptied &= also.map_err(|error| failed(&error))?;
        }
        Ok(emptied)
    }

    /// Asks a person who is there; a script says `--yes`.
    fn is_meant(&self, screen: &Screen) -> Result<bool, Failure> {
        if self.yes {
            return Ok(true);
        }
        if screen.is_json() || !screen.is_terminal() || !std::io::stdin().is_terminal() {
            return Err(
                Failure::usage("nobody is there to be asked, and what is erased does not come back")
                    .cure("Look first with --dry-run, then say --yes."),
            );
        }
        let mut err = std::io::stderr().lock();
        let _ = write!(
            err,
            "Erase this for good? What was withdrawn does not come back. [y/N] "
        );
        let _ = err.flush();
        let mut answer = String::new();
        let read = std::io::stdin().read_line(&mut answer);
        read.map_err(|error| Failure::failed(format!("cannot read your answer: {error}")))?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    fn say(&self, screen: &Screen, wanted: &Wanted, report: &Report) -> Result<Exit, Failure> {
        if screen.is_json() {
            let mut answer = serde_json::to_value(report).unwrap_or_default();
            answer["entity"] = wanted.entity.clone().into();
            answer["dry_run"] = self.dry_run.into();
            answer["not_reached"] = json!(NOT_REACHED);
            screen.json(&answer);
        } else {
            say_report(screen, self, report);
        }
        if self.dry_run || report.is_complete() {
            return Ok(Exit::Ok);
        }
        Err(left(report))
    }
}

/// What kept the store, the definitions or a database from opening.
fn unopened(error: &anyhow::Error) -> Failure {
    match error.downcast_ref::<StoreError>() {
        Some(missing @ StoreError::Missing { .. }) => refusal(missing),
        _ => Failure::failed(format!("{error:#}")),
    }
}

/// The value a field must have.
fn value(entity: &Entity, name: &str, text: &str) -> Result<FieldValue, Failure> {
    let field = entity.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let field = field.ok_or_else(|| {
        let names: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).collect();
        let hint = nearest(name, names.iter().copied()).map(|name| format!("; did you mean `{name}`?"));
        let what = format!(
            "`{}` has no field `{}`{}",
            entity.label,
            plain(name),
            hint.unwrap_or_default()
        );
        Failure::new(Exit::Refused, what).cure(format!("Its fields: {}", names.join(", ")))
    })?;
    match type_canonical(field, text) {
        Ok(Cell::Null) => Err(Failure::usage(format!("`{name}` needs a value"))),
        Ok(cell) => Ok((field.name.clone(), cell)),
        Err(error) => Err(Failure::usage(format!("the value of `{name}` {}", error.reason))),
    }
}

/// The audit log's words: the key is in them as a hash with a salt of its own, which proves a value that is known and shows none.
fn told_as(wanted: &Wanted) -> NewEntry {
    let salt = hex(random_key());
    let mut hash = Sha256::new().chain_update(&salt);
    for (field, cell) in &wanted.values {
        let text = cell.text().unwrap_or_default();
        hash = hash.chain_update(format!("\n{field}={text}"));
    }
    let hash = hex(hash.finalize().into());
    let fields: Vec<&str> = wanted.values.iter().map(|(field, _)| field.as_str()).collect();
    entry(Action::Erase, &wanted.entity)
        .with("fields", fields)
        .with("salt", salt)
        .with("sha256", hash)
}

fn hex(bytes: [u8; 32]) -> String {
    Hash(bytes).hex()
}

fn at_now(told: NewEntry) -> NewEntry {
    let now = crate::clock::Clock::system().now();
    NewEntry { at: now, ..told }
}

fn counts(told: NewEntry, report: &Report) -> NewEntry {
    told.with("looked_at", report.looked_at)
        .with("withdrawn", report.withdrawn.count)
        .with("waiting", report.waiting.count)
        .with("unclear", report.unclear.count)
        .with("unmatched", report.unmatched.count)
        .with("record_errors", report.record_errors)
        .with("notes", report.notes)
        .with("staging_rows", report.staging_rows)
        .with("last_writes", report.last_writes)
        .with("target_rows", report.target_rows)
}

fn broke_off(error: &use_case::EraseError, last: Option<MessageId>) -> Failure {
    let cure = match last {
        Some(id) => format!(
            "What was erased until then is. Run it again; with --after {id} it goes on from there ({} erase --help).",
            program()
        ),
        None => "Run it again.".to_owned(),
    };
    Failure::failed(format!("erasing broke off: {error}")).cure(cure)
}

//! `tranship backup` and `tranship restore`: the store and its blobs into a folder, and back.

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;

use super::actor::entry;
use super::progress::{self, Cleared};
use super::screen::{Screen, Tone, counted, plain};
use super::settings::Settings;
use super::{Exit, Failure, store};
use crate::backup::{self, BackupError, Manifest};
use crate::blob::Blobs;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::audit::{Action, NewEntry, Outcome};
use crate::storage::{Sharing, Store, StoreError, StoreSettings};

/// Copy the store and every blob it names into a folder, as they are at one moment
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Works beside a running service and without one. What is enqueued after the moment named at the end is not in the backup.
Business databases are not in it: back them up as you do; a restored store goes on with them, be they ahead of it.

Examples:
  tranship backup /backups/2026-03-28
  tranship backup /backups/2026-03-28 --without-blobs     a bucket that keeps what was deleted holds them")]
pub struct Backup {
    /// A folder that is new or empty
    folder: PathBuf,
    /// Keep only the list of blobs, with their digests
    #[arg(long)]
    without_blobs: bool,
    /// Print what was backed up as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    settings: Settings,
}

/// Make the store from a backup, where there is none
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Stop the service first and move what is left of its store away. Every digest is compared before anything is written, and the
store comes last: a restore that was ended early is begun again.

Examples:
  tranship restore /backups/2026-03-28 --check
  tranship restore /backups/2026-03-28")]
pub struct Restore {
    /// The backup
    folder: PathBuf,
    /// Read all of it, compare every digest, restore nothing
    #[arg(long)]
    check: bool,
    /// Go on although blobs are nowhere to be had; their messages have lost their payload
    #[arg(long, conflicts_with = "check")]
    accept_lost: bool,
    /// Print what was restored as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    settings: Settings,
}

impl Backup {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        let config = self.settings.load()?;
        let blobs = Blobs::open(&config.blobs_url).map_err(|error| Failure::usage(error.to_string()))?;
        let take = backup::Take {
            store: &config.store.url,
            blobs: &blobs,
            folder: &self.folder,
            with_blobs: !self.without_blobs,
            now: Clock::system().now(),
        };
        let bar = bar(screen, "blobs copied");
        let taken = backup::take(&take, |bytes| bar.inc(bytes)).await;
        drop(bar);
        let manifest = taken.map_err(|error| refusal(&error))?;
        self.tell(screen, &config, &manifest).await;
        if screen.is_json() {
            screen.json(&manifest);
        } else {
            say_content(screen, &manifest);
            screen.note(format!(
                "Back up tranship.toml, entities and jobs with it: they are not in {}.",
                self.folder.display()
            ));
        }
        if manifest.blobs.lost.is_empty() {
            return Ok(Exit::Ok);
        }
        let what = format!(
            "{} gone or damaged in {}, {} the first of them; everything else is backed up",
            counted(manifest.blobs.lost.len() as u64, "blob"),
            config.blobs_url,
            manifest.blobs.lost[0]
        );
        Err(Failure::failed(what).cure("See what the store says of its disks: tranship doctor"))
    }
}

impl Backup {
    /// Tells the audit log. A backup is good without that: whoever may only read takes one, too.
    async fn tell(&self, screen: &Screen, config: &Config, manifest: &Manifest) {
        // Opening it would bring it up to this version, under a service of that one.
        if manifest.store.schema != manifest.store.newest_known() {
            screen.note("The store is of an older version: its audit log does not tell of this backup.");
            return;
        }
        let told = entry(Action::StoreBackup, &absolute(&self.folder))
            .with("taken_at", manifest.taken_at.wire())
            .with("blobs", manifest.blobs.count)
            .with("lost", manifest.blobs.lost.len());
        if let Err(error) = note(config, told).await {
            screen.note(format!("The audit log could not be told of this backup: {error}"));
        }
    }
}

/// Appends an entry to the store's audit log.
async fn note(config: &Config, told: NewEntry) -> Result<(), StoreError> {
    let store = Store::connect(&StoreSettings {
        url: config.store.url.clone(),
        max_connections: config.store.max_connections,
        sharing: Sharing::Beside,
    })
    .await?;
    let noted = store.note(told, Outcome::Done).await;
    store.close().await;
    noted.map(|_| ())
}

/// A folder, wherever somebody reads of it.
fn absolute(folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.display().to_string()
}

impl Restore {
    pub(super) async fn run(self, screen: &Screen) -> Result<Exit, Failure> {
        if self.check {
            let bar = bar(screen, "blobs read");
            let checked = backup::check(&self.folder, |bytes| bar.inc(bytes)).await;
            drop(bar);
            let manifest = checked.map_err(|error| refusal(&error))?;
            if screen.is_json() {
                screen.json(&manifest);
            } else {
                say_content(screen, &manifest);
                screen.line(if manifest.blobs.copied {
                    "every digest is right"
                } else {
                    "every digest of the store is right; the blobs are not in the backup, and were not looked at"
                });
            }
            return Ok(Exit::Ok);
        }
        let config = self.settings.load()?;
        let blobs = Blobs::open(&config.blobs_url).map_err(|error| Failure::usage(error.to_string()))?;
        let store = StoreSettings {
            url: config.store.url.clone(),
            max_connections: config.store.max_connections,
            sharing: Sharing::Exclusive,
        };
        let restore = backup::Restore {
            folder: &self.folder,
            store: &store,
            blobs: &blobs,
            accept_lost: self.accept_lost,
            now: Clock::system().now(),
        };
        let bar = bar(screen, "blobs restored");
        let restored = backup::restore(&restore, |bytes| bar.inc(bytes)).await;
        drop(bar);
        let restored = restored.map_err(|error| refusal(&error))?;
        let told = entry(Action::StoreRestore, &absolute(&self.folder))
            .with("taken_at", restored.manifest.taken_at.wire())
            .with("copied", restored.copied)
            .with("present", restored.present)
            .with("lost", restored.lost.len());
        if let Err(error) = note(&config, told).await {
            screen.note(format!("The audit log could not be told of this: {error}"));
        }
        if screen.is_json() {
            screen.json(&json!({
                "backup": restored.manifest,
                "blobs": { "copied": restored.copied, "present": restored.present, "lost": restored.lost },
            }));
            return Ok(Exit::Ok);
        }
        say_content(screen, &restored.manifest);
        screen.line(format!(
            "restored: {} copied, {} there already, {} lost",
            counted(restored.copied, "blob"),
            restored.present,
            restored.lost.len()
        ));
        screen.note("What was enqueued or collected after that moment is not known to it. Start it: tranship serve");
        Ok(Exit::Ok)
    }
}

fn bar(screen: &Screen, what: &str) -> Cleared {
    let bar: ProgressBar = progress::bytes(screen, what, None);
    Cleared::from(bar)
}

fn say_content(screen: &Screen, manifest: &Manifest) {
    let moment = format!("the store as of {}", manifest.taken_at);
    screen.line(screen.paint(Tone::Strong, &moment));
    let blobs = &manifest.blobs;
    let where_from = if blobs.copied { "" } else { ", listed only" };
    screen.line(format!(
        "  {}, {} of blobs{where_from}",
        counted(blobs.count, "blob"),
        indicatif::HumanBytes(blobs.bytes)
    ));
    let store: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    screen.line(format!(
        "  schema {}, {} of store, by tranship {}",
        manifest.store.schema,
        indicatif::HumanBytes(store),
        plain(&manifest.tranship)
    ));
}

fn refusal(error: &BackupError) -> Failure {
    match error {
        BackupError::Store(missing @ StoreError::Missing { .. }) => store::refusal(missing),
        _ => Failure::failed(error.to_string()),
    }
}

//! Files out of a folder: picked, sent, waited for, moved to where they stay. Each step is in the journal before the next.

mod reasons;
mod step;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::config::{SendFolder, Target};
use super::files::{self, blocking, file_name};
use super::folder::{DONE, Found, Watcher};
use super::pace::Passed;
use super::record::{Ending, Mark, Parcel, Record, Stage};
use super::shared::Shared;
use super::trouble::{Kind, Trouble};
use crate::domain::ids::ParcelId;
use crate::domain::time::Timestamp;
use crate::failpoint;

/// What the file of reasons has behind the name of its file.
pub const REASONS: &str = ".errors.json";

/// One folder that is sent from.
#[derive(Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    folder: SendFolder,
    watcher: Watcher,
    /// Answers with status 500, by file.
    failures: HashMap<ParcelId, u32>,
    /// How many ended badly in this life.
    pub failed: u64,
}

impl Sender {
    /// Of this folder.
    #[must_use]
    pub fn new(shared: Arc<Shared>, folder: SendFolder) -> Self {
        Self {
            shared,
            folder,
            watcher: Watcher::default(),
            failures: HashMap::new(),
            failed: 0,
        }
    }

    /// Goes on with what was begun, then takes what is next.
    pub async fn pass(&mut self) -> Passed {
        let mut passed = Passed::default();
        let mut in_flight = 0;
        let mut stopped = None;
        for record in self.shared.live(&self.folder.name) {
            let Record::Parcel(parcel) = record else { continue };
            let before = parcel.stage.clone();
            match self.advance(parcel).await {
                Ok(Stage::Over) => passed.moved = true,
                Ok(Stage::Stopped { place, .. }) => stopped = Some(place),
                Ok(after) => {
                    passed.moved |= after != before;
                    in_flight += 1;
                }
                Err(trouble) => {
                    in_flight += 1;
                    if !self.is_its_own(&trouble) {
                        passed.trouble = Some(trouble);
                        passed.left = true;
                        return passed;
                    }
                    passed.aside = Some(trouble);
                }
            }
            if self.shared.stopping.is_cancelled() {
                return passed;
            }
        }
        passed.left |= in_flight > 0;
        let why = stopped.map(|place| {
            format!(
                "{:?} failed; it goes on when that is no longer there",
                place.display().to_string()
            )
        });
        let is_stopped = why.is_some();
        self.shared.waits(&self.folder.name, why);
        if !is_stopped {
            match self.take(in_flight, &mut passed).await {
                Ok(()) => {}
                Err(trouble) => passed.trouble = Some(trouble),
            }
        }
        passed
    }

    /// Picks and sends files while there is room for more.
    async fn take(&mut self, mut in_flight: usize, passed: &mut Passed) -> Result<(), Trouble> {
        let started = self.shared.clock.now();
        if !self.is_open().await? {
            return Ok(());
        }
        let (watcher, folder) = (&mut self.watcher, &self.folder);
        // As long as the folder is: a list of very many files takes its time.
        let seen = tokio::task::block_in_place(|| watcher.look(folder, folder.stop_at_failure, Instant::now()))?;
        passed.left |= seen.settling > 0;
        passed.aside = passed.aside.take().or(seen.unfit);
        let all_taken = seen.settling == 0 && seen.ready.len() <= self.folder.in_flight.saturating_sub(in_flight);
        for found in seen.ready {
            if in_flight >= self.folder.in_flight || self.shared.stopping.is_cancelled() {
                return Ok(());
            }
            let after = match self.pick(found).await {
                Ok(None) => continue,
                Ok(Some(parcel)) => self.advance(parcel).await,
                Err(trouble) => Err(trouble),
            };
            match after {
                Ok(Stage::Over) => passed.moved = true,
                Ok(Stage::Stopped { .. }) => {
                    passed.moved = true;
                    return Ok(());
                }
                Ok(_) => {
                    passed.moved = true;
                    in_flight += 1;
                }
                Err(trouble) if self.is_its_own(&trouble) => passed.aside = Some(trouble),
                Err(trouble) => return Err(trouble),
            }
        }
        if all_taken {
            self.close(started).await?;
        }
        Ok(())
    }

    /// Whether other files may do better where this one is at fault.
    fn is_its_own(&self, trouble: &Trouble) -> bool {
        trouble.kind == Kind::Local && !self.folder.stop_at_failure
    }

    /// Whether files are taken now: always, but where a schedule says when.
    async fn is_open(&self) -> Result<bool, Trouble> {
        let schedule = self.folder.schedule.as_ref().filter(|_| !self.shared.once);
        match schedule {
            None => Ok(true),
            Some(schedule) => self.shared.is_due(&self.folder.name, Some(schedule), None).await,
        }
    }

    /// Everything that was due is on its way.
    async fn close(&self, until: Timestamp) -> Result<(), Trouble> {
        if self.folder.schedule.is_some() {
            self.shared.see_to(&self.folder.name, until).await?;
        }
        Ok(())
    }

    /// Writes down that a file is on its way. Nothing when it is gone already.
    async fn pick(&self, found: Found) -> Result<Option<Parcel>, Trouble> {
        let source = self.folder.folders.incoming.join(&found.name);
        let processing = self.folder.folders.processing.clone();
        let (looked, name) = (source.clone(), found.name.clone());
        let held = blocking(move || {
            if files::look(&looked)?.is_none() {
                return Ok(None);
            }
            // Found out here, where the file can stay: who can rename a file may still not read it.
            files::open(&looked)?;
            files::free_name(&processing, &name, "").map(Some)
        })
        .await?;
        let Some(held) = held else { return Ok(None) };
        let id = ParcelId::generate();
        let execution = match &self.folder.to {
            Target::Queue { .. } => None,
            Target::Project { project, .. } => {
                Some(super::execution_id(project, self.shared.clock.now(), &id.to_string()))
            }
        };
        let parcel = Parcel {
            id,
            flow: self.folder.name.clone(),
            name: found.name,
            source,
            mark: found.mark,
            held,
            execution,
            stage: Stage::Picked,
        };
        self.shared.note(Record::Parcel(parcel.clone())).await?;
        failpoint::reached("agent.picked");
        tracing::info!(folder = self.folder.name, file = parcel.name, parcel = %parcel.id, "picked");
        Ok(Some(parcel))
    }

    /// Takes a parcel as far as it goes now; where it is then.
    async fn advance(&mut self, mut parcel: Parcel) -> Result<Stage, Trouble> {
        let mut was_sent_here = false;
        while !self.shared.stopping.is_cancelled() {
            let next = match parcel.stage.clone() {
                Stage::Picked => self.hold(&mut parcel).await?,
                Stage::Sending { digest, bytes } => self.transmit(&parcel, digest, bytes).await?,
                Stage::Uploaded {
                    digest,
                    bytes,
                    blob_url,
                } => self.submit(&parcel, (digest, bytes), &blob_url, was_sent_here).await?,
                Stage::Sent { message } => match self.ask(&parcel, &message).await? {
                    Some(ending) => Stage::Ended(ending),
                    None => return Ok(parcel.stage),
                },
                Stage::Ended(ending) => self.choose_place(&parcel, ending).await?,
                Stage::Moving { to, ending } => self.settle(&parcel, to, ending).await?,
                Stage::Stopped { place, ending } => {
                    let looked = place.clone();
                    if blocking(move || Ok(looked.symlink_metadata().is_ok())).await? {
                        return Ok(Stage::Stopped { place, ending });
                    }
                    Stage::Over
                }
                Stage::Over => return Ok(Stage::Over),
            };
            was_sent_here = matches!(next, Stage::Uploaded { .. });
            parcel.stage = next;
            self.shared.note(Record::Parcel(parcel.clone())).await?;
            failpoint::reached(match &parcel.stage {
                Stage::Picked => "agent.picked",
                Stage::Sending { .. } => "agent.sending",
                Stage::Uploaded { .. } => "agent.uploaded",
                Stage::Sent { .. } => "agent.sent",
                Stage::Ended(_) => "agent.ended",
                Stage::Moving { .. } => "agent.moving",
                Stage::Stopped { .. } | Stage::Over => "agent.moved",
            });
        }
        Ok(parcel.stage)
    }

    /// Brings the file to where it is worked on, and hashes it there. Another name is chosen where the first was taken meanwhile.
    async fn hold(&self, parcel: &mut Parcel) -> Result<Stage, Trouble> {
        let (source, held, mark) = (parcel.source.clone(), parcel.held.clone(), parcel.mark);
        let done = self.folder.ready.done_file;
        let brought = blocking(move || bring(&source, &held, mark, done)).await?;
        failpoint::reached("agent.held");
        match brought {
            Brought::There => {
                let held = parcel.held.clone();
                let (digest, bytes) = blocking(move || files::digest(&held)).await?;
                Ok(Stage::Sending {
                    digest: digest.hex(),
                    bytes,
                })
            }
            Brought::Taken => {
                let (processing, name) = (self.folder.folders.processing.clone(), parcel.name.clone());
                parcel.held = blocking(move || files::free_name(&processing, &name, "")).await?;
                Ok(Stage::Picked)
            }
            Brought::Gone => {
                let what = format!("{:?} vanished before it was sent", parcel.name);
                tracing::warn!(folder = self.folder.name, "{what}");
                Ok(Stage::Over)
            }
        }
    }

    /// A name in the folder it belongs to, that nobody has.
    async fn choose_place(&self, parcel: &Parcel, ending: Ending) -> Result<Stage, Trouble> {
        let folders = &self.folder.folders;
        let folder = if ending.failure.is_none() {
            &folders.success
        } else {
            &folders.error
        };
        let beside = if ending.failure.is_none() { "" } else { REASONS };
        let (folder, name) = (folder.clone(), parcel.name.clone());
        let to = blocking(move || files::free_name(&folder, &name, beside)).await?;
        Ok(Stage::Moving { to, ending })
    }

    /// Writes the reasons of a failure, and moves the file beside them.
    async fn settle(&mut self, parcel: &Parcel, to: std::path::PathBuf, ending: Ending) -> Result<Stage, Trouble> {
        if ending.failure.is_some() {
            reasons::write(&self.shared, &self.folder, parcel, &to, &ending).await?;
            failpoint::reached("agent.reasons_written");
        }
        let (held, place) = (parcel.held.clone(), to.clone());
        match blocking(move || put_away(&held, &place)).await? {
            Brought::There | Brought::Gone => {}
            Brought::Taken => {
                let reasons = to.with_file_name(format!("{}{REASONS}", file_name(&to)));
                let _ = blocking(move || Ok(std::fs::remove_file(reasons))).await;
                return Ok(Stage::Ended(ending));
            }
        }
        self.failures.remove(&parcel.id);
        let name = &self.folder.name;
        let Some(failure) = &ending.failure else {
            self.shared
                .done(name, format!("{:?} ended {}", parcel.name, ending.status));
            return Ok(Stage::Over);
        };
        self.failed += 1;
        let told = format!(
            "{:?} ended {}: {failure}; it is in {:?}",
            parcel.name,
            ending.status,
            to.display().to_string()
        );
        self.shared.failed(name, told);
        Ok(if self.folder.stop_at_failure {
            Stage::Stopped { place: to, ending }
        } else {
            Stage::Over
        })
    }
}

/// What a move came to.
enum Brought {
    There,
    /// Another has the name.
    Taken,
    /// It is neither here nor there.
    Gone,
}

/// From where files arrive to where they are worked on; also what a crash cut short.
fn bring(source: &std::path::Path, held: &std::path::Path, mark: Mark, done_file: bool) -> Result<Brought, Trouble> {
    let there = files::look(held)?;
    let here = files::look(source)?;
    let brought = match (here, there) {
        // A copy to another file system whose original was not removed any more. Another file of its name is none of ours.
        (Some(here), Some(_)) if here == mark => {
            std::fs::remove_file(source).map_err(|error| Trouble::local("remove", source, &error))?;
            Brought::There
        }
        (_, Some(_)) => Brought::There,
        (None, None) => Brought::Gone,
        (Some(_), None) => match files::move_new(source, held) {
            Ok(()) => Brought::There,
            Err(files::MoveError::Taken) => Brought::Taken,
            Err(files::MoveError::Io(error)) => return Err(Trouble::local("move", source, &error)),
        },
    };
    if done_file && files::look(source)?.is_none() {
        // The next file of this name needs one of its own.
        let _ = std::fs::remove_file(source.with_file_name(format!("{}{DONE}", file_name(source))));
    }
    Ok(brought)
}

/// From where files are worked on to where they stay; also what a crash cut short.
fn put_away(held: &std::path::Path, to: &std::path::Path) -> Result<Brought, Trouble> {
    if files::look(held)?.is_none() {
        return Ok(Brought::Gone);
    }
    match files::move_new(held, to) {
        Ok(()) => Ok(Brought::There),
        // A copy to another file system whose original was not removed any more.
        Err(files::MoveError::Taken) if files::digest(held)? == files::digest(to)? => {
            std::fs::remove_file(held).map_err(|error| Trouble::local("remove", held, &error))?;
            Ok(Brought::There)
        }
        Err(files::MoveError::Taken) => Ok(Brought::Taken),
        Err(files::MoveError::Io(error)) => Err(Trouble::local("move", held, &error)),
    }
}
